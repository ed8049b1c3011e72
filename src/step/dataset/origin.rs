/// Says where a row came from, so that a fault in it can be shown: its text and where that text begins in the file.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The row's text; it may span lines.
    pub text: &'a str,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// What stands before it on that line, where that is short.
    pub head: &'a str,
    /// How many characters stand before it on that line.
    pub before: u64,
}

/// Is a place in a file as a person finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1, in characters.
    pub column: u64,
    /// The text of the line, cut to a readable length.
    pub source_line: String,
}

/// How many characters of a line are shown.
const SHOWN: usize = 160;

impl<'a> Origin<'a> {
    /// Describes a text that begins at the start of a line.
    pub fn line(text: &'a str, line: u64) -> Self {
        Self { text, line, head: "", before: 0 }
    }

    /// Finds the place of a byte offset into the text.
    pub fn place(&self, at: usize) -> Place {
        let at = self.text.floor_char_boundary(at);
        let (before, after) = self.text.split_at(at);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let end = after.find('\n').map_or(self.text.len(), |newline| at + newline);
        let line = self.line + before.bytes().filter(|&b| b == b'\n').count() as u64;
        let mut column = self.text[start..at].chars().count() as u64 + 1;
        let mut source_line = String::new();
        if start == 0 {
            column += self.before;
            let whole = self.head.chars().count() as u64 == self.before;
            source_line.push_str(if whole { self.head } else { "…" });
        }
        source_line.push_str(&self.text[start..end]);
        Place { line, column, source_line: clip(&source_line) }
    }
}

/// Cuts a line to a readable length.
pub fn clip(line: &str) -> String {
    let line = line.trim_end_matches(['\r', '\n']);
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let origin = Origin { text: "{\"ä\": 1,\r\n \"b\": 2}", line: 7, head: "[ ", before: 2 };
        let place = |line, column, text: &str| Place { line, column, source_line: text.into() };
        assert_eq!(origin.place(0), place(7, 3, "[ {\"ä\": 1,"));
        assert_eq!(origin.place(4), place(7, 6, "[ {\"ä\": 1,"));
        assert_eq!(origin.place(12), place(8, 2, " \"b\": 2}"));
    }

    #[test]
    fn a_long_line_is_cut() {
        assert_eq!(clip(&"ä".repeat(161)), format!("{}…", "ä".repeat(160)));
        assert_eq!(clip(&"ä".repeat(160)), "ä".repeat(160));
        let origin = Origin { text: "{}", line: 1, head: "[", before: 900 };
        assert_eq!(origin.place(1), Place { line: 1, column: 902, source_line: "…{}".into() });
    }
}
