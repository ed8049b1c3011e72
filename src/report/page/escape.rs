/// Writes a text so that HTML shows it and nothing else, within an element or a quoted attribute.
///
/// Line feeds and tabs stay. Other control characters are shown by their pictures, and marks that reorder or hide text by
/// their code points.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            // A line's end of two characters is one line's end; a browser would make one of each.
            '\r' if chars.peek() == Some(&'\n') => {}
            '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
            '\u{7f}' => out.push('\u{2421}'),
            '\u{80}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fdd0}'..='\u{fdef}'
            | '\u{feff}' => out.push_str(&code_point(c)),
            c if c as u32 & 0xfffe == 0xfffe => out.push_str(&code_point(c)),
            c => out.push(c),
        }
    }
    out
}

fn code_point(c: char) -> String {
    format!("[U+{:04X}]", c as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup_and_nothing_is_lost() {
        assert_eq!(escape("<b a=\"'\">&amp;"), "&lt;b a=&quot;&#39;&quot;&gt;&amp;amp;");
        assert_eq!(escape("a\r\nb\rc\0\x1b[31m\u{202e}x"), "a\nb␍c␀␛[31m[U+202E]x");
        assert_eq!(escape("é漢\u{ffff}"), "é漢[U+FFFF]");
    }
}
