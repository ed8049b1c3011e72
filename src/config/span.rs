use super::Location;

/// Is a stretch of one line of the config file: where it starts, and how many characters of that line it covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Where it starts.
    pub at: Location,
    /// How many characters it covers, on its first line only.
    pub length: u32,
}

impl Span {
    /// Makes a span from a line and a column, both from 1, and a length in characters.
    pub fn new(line: u32, column: u32, length: u32) -> Self {
        Self { at: Location { line, column }, length }
    }
}
