//! The little Markdown that reports are made of.

use std::fmt::Write;

/// Shows a text as code: nothing in it is markup, in a table or out of it.
///
/// White space and control characters become spaces, among them line ends, and so do the marks that reorder or hide
/// text. A vertical bar, which ends a table's cell even within code, becomes a broken one.
pub(super) fn code(text: &str) -> String {
    let shown: String = text.chars().map(visible).collect();
    let shown = shown.trim();
    if shown.is_empty() {
        return "(empty)".to_owned();
    }
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if shown.starts_with('`') || shown.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{shown}{pad}{fence}")
}

/// Shows a text as prose: what could be markup is escaped, and nothing becomes a link of itself.
pub(super) fn prose(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().map(visible) {
        match c {
            '@' => shown.push_str("(at)"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '!' | '~' | '&' | ':' | '.' | '+'
            | '=' => {
                shown.push('\\');
                shown.push(c);
            }
            c => shown.push(c),
        }
    }
    shown.trim().to_owned()
}

fn visible(c: char) -> char {
    match c {
        '|' => '¦',
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => ' ',
        c if c.is_control() || c.is_whitespace() => ' ',
        c => c,
    }
}

/// Is a table in the making. Cells are Markdown already.
pub(super) struct Table {
    text: String,
}

impl Table {
    /// Starts a table; a column whose heading starts with `>` is set to the right.
    pub(super) fn new<S: AsRef<str>>(headings: impl IntoIterator<Item = S>) -> Self {
        let (mut names, mut rules) = (String::from("|"), String::from("|"));
        for heading in headings {
            let heading = heading.as_ref();
            let (name, rule) = heading.strip_prefix('>').map_or((heading, "---|"), |name| (name, "---:|"));
            let _ = write!(names, " {name} |");
            rules.push_str(rule);
        }
        Self { text: format!("{names}\n{rules}\n") }
    }

    /// Adds a row.
    pub(super) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.text.push('|');
        for cell in cells {
            let _ = write!(self.text, " {} |", cell.as_ref());
        }
        self.text.push('\n');
    }

    /// Ends the table, with a blank line after it.
    pub(super) fn finish(self) -> String {
        self.text + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_code_whatever_they_hold() {
        assert_eq!(code("gpt-4.1_mini*"), "`gpt-4.1_mini*`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`x`"), "`` `x` ``");
        assert_eq!(code("a|b\r\n# c\u{202e}d\u{2028}e"), "`a¦b  # c d e`");
        assert_eq!(code(" \n"), "(empty)");
        assert_eq!(code("<img src=x> [a](http://b)"), "`<img src=x> [a](http://b)`");
    }

    #[test]
    fn prose_has_no_markup() {
        assert_eq!(prose("An extractive baseline, not a model"), "An extractive baseline, not a model");
        assert_eq!(prose("<b> [x](y) ![z]\n# |"), "\\<b\\> \\[x\\](y) \\!\\[z\\] \\# ¦");
        assert_eq!(prose("http://a.b www.c.d e@f.g"), "http\\://a\\.b www\\.c\\.d e(at)f\\.g");
    }

    #[test]
    fn tables_have_a_rule() {
        let mut table = Table::new(["A", ">B"]);
        table.row(["x", "1"]);
        assert_eq!(table.finish(), "| A | B |\n|---|---:|\n| x | 1 |\n\n");
    }

    proptest! {
        #[test]
        fn a_fence_is_longer_than_any_run_within(text in "[`a|\n ]{0,20}") {
            let shown = code(&text);
            prop_assert!(!shown.contains(['|', '\n']));
            if shown != "(empty)" {
                let fence = shown.len() - shown.trim_start_matches('`').len();
                let inner = &shown[fence..shown.len() - fence];
                prop_assert!(shown.ends_with(&"`".repeat(fence)));
                prop_assert!(!inner.starts_with('`') && !inner.ends_with('`'));
                prop_assert!(inner.split(|c| c != '`').all(|run| run.len() < fence));
            }
        }
    }
}
