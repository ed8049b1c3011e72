use std::io::{self, BufRead, BufReader, Read};

use super::Problems;

/// How long a row may be.
pub const MAX_ROW: usize = 16 << 20;

/// Reads a file line by line in bounded memory.
pub struct Lines<R: Read> {
    reader: BufReader<R>,
    number: u64,
    line: Vec<u8>,
}

/// Is one line, terminator and all, or what took its place.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its text, with the terminator that it had.
    Text(&'a str),
    /// It cannot be used; the problem has been noted.
    Unusable,
}

impl<R: Read> Lines<R> {
    /// Starts at the first line.
    pub fn new(source: R) -> Self {
        Self { reader: BufReader::with_capacity(64 << 10, source), number: 0, line: Vec::new() }
    }

    /// Returns the number of the line read last, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line; `None` is the end. A byte order mark at the start of the file is dropped.
    pub fn next(&mut self, problems: &mut Problems) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        if self.reader.by_ref().take(MAX_ROW as u64 + 1).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.number == 1 && self.line.starts_with(b"\xEF\xBB\xBF") {
            self.line.drain(..3);
        }
        if self.line.len() > MAX_ROW {
            let remedy = "write one row a line; a JSON array is `format: json`";
            problems.line(self.number, None, &self.line, "the line is longer than 16 MiB", remedy);
            self.skip_line()?;
            return Ok(Some(Line::Unusable));
        }
        Ok(Some(match check(&self.line) {
            Ok(text) => Line::Text(text),
            Err(fault) => {
                problems.line(self.number, Some(fault.column), &self.line, fault.message, fault.remedy);
                Line::Unusable
            }
        }))
    }

    /// Goes on to the next line without keeping this one.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let (used, done) = match buffer.iter().position(|&b| b == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.reader.consume(used);
            if done {
                return Ok(());
            }
        }
    }
}

/// Says why bytes are not text that can be used.
pub struct TextFault {
    /// The column, from 1, in characters.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Takes bytes as UTF-8 without NUL.
pub fn check(bytes: &[u8]) -> Result<&str, TextFault> {
    let columns = |end: usize| String::from_utf8_lossy(&bytes[..end]).chars().count() as u64 + 1;
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let utf16 = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
        let remedy = if utf16 { "the file is UTF-16: save it as UTF-8" } else { "save the file as UTF-8" };
        TextFault { column: columns(at), message: format!("the byte 0x{:02X} is not UTF-8", bytes[at]), remedy }
    })?;
    match bytes.iter().position(|&b| b == 0) {
        None => Ok(text),
        Some(at) => {
            let remedy = "remove it, or write `\\u0000` in JSON";
            Err(TextFault { column: columns(at), message: "a NUL byte stands in the text".to_owned(), remedy })
        }
    }
}
