use super::{JsonProblem, Origin, clip};
use crate::step::{InputProblem, StepError};

/// Collects what is wrong in one file, up to a number that a person will read.
#[derive(Debug)]
pub struct Problems {
    file: String,
    list: Vec<InputProblem>,
}

/// How many problems are shown at once.
const ENOUGH: usize = 20;

impl Problems {
    /// Starts with none, for the file that people call `file`.
    pub fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), list: Vec::new() }
    }

    /// Says whether reading on would show nothing more.
    pub fn is_full(&self) -> bool {
        self.list.len() >= ENOUGH
    }

    /// Says whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a problem at a byte offset of a row.
    pub fn at(&mut self, origin: &Origin<'_>, at: usize, message: impl Into<String>, remedy: impl Into<String>) {
        let place = origin.place(at);
        self.push(Some(place.line), Some(place.column), Some(place.source_line), message, remedy);
    }

    /// Adds a problem of a row as a whole: no column.
    pub fn row(&mut self, origin: &Origin<'_>, at: usize, message: impl Into<String>, remedy: impl Into<String>) {
        let place = origin.place(at);
        self.push(Some(place.line), None, Some(place.source_line), message, remedy);
    }

    /// Adds what the JSON reader found.
    pub fn json(&mut self, origin: &Origin<'_>, problem: JsonProblem) {
        self.at(origin, problem.at, problem.message, problem.remedy);
    }

    /// Adds a problem of a line, whose text may not be text at all.
    pub fn line(
        &mut self,
        line: u64,
        column: Option<u64>,
        bytes: &[u8],
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        // Four bytes a character are enough for what is shown, and a line can be long.
        let shown = clip(&String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]));
        self.push(Some(line), column, Some(shown), message, remedy);
    }

    /// Adds a problem of the file as a whole.
    pub fn file(&mut self, message: impl Into<String>, remedy: impl Into<String>) {
        self.push(None, None, None, message, remedy);
    }

    fn push(
        &mut self,
        line: Option<u64>,
        column: Option<u64>,
        source_line: Option<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if !self.is_full() {
            let (message, remedy) = (message.into(), remedy.into());
            self.list.push(InputProblem { file: self.file.clone(), line, column, source_line, message, remedy });
        }
    }

    /// Moves what was found into a list for several files.
    pub fn append_to(self, list: &mut Vec<InputProblem>) {
        list.extend(self.list);
    }

    /// Succeeds if nothing was wrong.
    pub fn finish(self) -> Result<(), StepError> {
        if self.list.is_empty() { Ok(()) } else { Err(StepError::Inputs(self.list)) }
    }
}
