use std::fmt;

/// Is something wrong in a file that people wrote: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputProblem {
    /// The file, as written in the config.
    pub file: String,
    /// The line, from 1, where there is one.
    pub line: Option<u64>,
    /// The column, from 1, in characters, where it is known.
    pub column: Option<u64>,
    /// The text of that line, cut to a readable length.
    pub source_line: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for InputProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Says why a step did not finish.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Files that people wrote cannot be used as they are; every problem found is listed.
    #[error("{}", .0.first().map_or_else(|| "an input cannot be used".to_owned(), ToString::to_string))]
    Inputs(Vec<InputProblem>),
    /// An input could not be read from the store.
    #[error("cannot read {input}")]
    Read {
        /// The input's label.
        input: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An output could not be written to the store.
    #[error("cannot store {output}")]
    Write {
        /// The output's name.
        output: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The plan did not give an input that the step needs: a fault of the program.
    #[error("the plan gave no input `{name}`")]
    NoInput {
        /// The input's name.
        name: String,
    },
    /// A blob that an earlier step wrote does not read back as what it should be: a fault of the program.
    #[error("{blob} is not what its step should have written: {why}")]
    Unexpected {
        /// The input's name.
        blob: String,
        /// What is wrong with it.
        why: String,
    },
}
