use std::io::{BufRead, BufReader, Read};

use super::StepError;
use crate::request::{Answer, FailureCode};

/// Is one line of an `answers` blob: a draw's value, or why there is none. One of the two is set.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerLine {
    /// The item's id.
    pub item: String,
    /// Which draw, from 0.
    pub n: u32,
    /// What the model completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureCode>,
}

/// Reads an `answers` blob one draw at a time: items in the order of their ids, draws by number.
pub struct AnswersReader<R: Read> {
    source: BufReader<R>,
    line: String,
}

impl<R: Read> AnswersReader<R> {
    /// Starts at the first line.
    pub fn new(source: R) -> Self {
        Self { source: BufReader::new(source), line: String::new() }
    }

    fn parse(&self) -> Result<AnswerLine, StepError> {
        let unexpected = |why: String| StepError::Unexpected { blob: "answers".to_owned(), why };
        let line: AnswerLine = serde_json::from_str(&self.line).map_err(|error| unexpected(error.to_string()))?;
        if line.answer.is_some() == line.failure.is_some() {
            return Err(unexpected(format!(
                "draw {} of item `{}` is not one of answer and failure",
                line.n, line.item
            )));
        }
        Ok(line)
    }
}

impl<R: Read> Iterator for AnswersReader<R> {
    type Item = Result<AnswerLine, StepError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.line.clear();
        match self.source.read_line(&mut self.line) {
            Ok(0) => None,
            Ok(_) => Some(self.parse()),
            Err(error) => Some(Err(StepError::Read { input: "answers".to_owned(), source: error.into() })),
        }
    }
}
