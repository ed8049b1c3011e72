use std::fmt::Write as _;

use crate::ask::{AskError, HandoutError};
use crate::engine::{EngineError, NodeFailure};
use crate::plan::PlanError;
use crate::report::export::ExportError;
use crate::run::RunError;
use crate::step::StepError;
use crate::store::StoreError;

/// Is an exit code of `docs/exit-codes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// A step failed, or too many draws did.
    Failed = 1,
    /// Usage, config, input or credential error; nothing ran.
    Usage = 2,
    /// Audit found damage or drift.
    Damage = 3,
    /// Stopped on request.
    Stopped = 4,
    /// The budget is reached.
    Budget = 5,
    /// A provider has to be waited for.
    Pending = 6,
    /// The environment: store locked, read-only, full, unfit.
    Environment = 7,
    /// A gate failed.
    Gate = 100,
}

/// Is an error as people see it: what, why, what to do, and the exit code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong; may hold several lines when it is rendered already.
    pub message: String,
    /// The chain of causes.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hints: Vec<String>,
    /// Set where `message` is a finished text.
    pub rendered: bool,
}

impl Failure {
    /// Makes a failure with a message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), causes: Vec::new(), hints: Vec::new(), rendered: false }
    }

    /// Makes a usage failure.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Makes a failure whose text is finished.
    pub fn rendered(exit: Exit, text: String) -> Self {
        Self { rendered: true, ..Self::new(exit, text) }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    fn from_error(exit: Exit, error: &dyn std::error::Error) -> Self {
        let mut failure = Self::new(exit, error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if failure.causes.last() != Some(&text) && failure.message != text {
                failure.causes.push(text);
            }
            source = cause.source();
        }
        failure
    }

    /// Renders the failure: `error:`, `caused by:`, `hint:`.
    pub fn render(&self) -> String {
        let mut out = if self.rendered { self.message.clone() } else { format!("error: {}", self.message) };
        for cause in &self.causes {
            let _ = write!(out, "\n  caused by: {cause}");
        }
        for hint in &self.hints {
            let _ = write!(out, "\n  hint: {hint}");
        }
        out
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        Self::from_error(Exit::Failed, &error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        from_store(&error)
    }
}

fn from_store(error: &StoreError) -> Failure {
    let failure = Failure::from_error(Exit::Environment, error);
    match error {
        StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            failure.hint("the disk is full: free some space and build again; everything finished is kept")
        }
        StoreError::Index { source, .. } if source.to_string().contains("full") => {
            failure.hint("the disk is full: free some space and build again; everything finished is kept")
        }
        StoreError::NotRegular { .. } | StoreError::ChangedWhileRead { .. } => Failure { exit: Exit::Usage, ..failure },
        StoreError::Corrupt { id, .. } if id == "FORMAT" => failure
            .hint("`docs/formats.md` says what stands in it; put the file back as another store of this exp has it"),
        StoreError::Corrupt { .. } => failure.hint("build again: what can be made anew will be"),
        _ => failure,
    }
}

impl From<HandoutError> for Failure {
    fn from(error: HandoutError) -> Self {
        match &error {
            HandoutError::Store(store) => from_store(store),
            HandoutError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Self::from_error(Exit::Environment, &error)
            }
            HandoutError::Io { .. } | HandoutError::Manifest { .. } => Self::from_error(Exit::Usage, &error),
        }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::from_error(Exit::Usage, &error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match &error {
            RunError::Store(store) => from_store(store),
            RunError::Io { .. } => Self::from_error(Exit::Environment, &error),
            RunError::Unknown { .. } | RunError::Ambiguous { .. } => {
                Self::from_error(Exit::Usage, &error).hint("`exp list` shows them")
            }
            _ => Self::from_error(Exit::Usage, &error),
        }
    }
}

impl From<StepError> for Failure {
    fn from(error: StepError) -> Self {
        from_step(&error)
    }
}

fn from_step(error: &StepError) -> Failure {
    match error {
        StepError::Inputs(problems) => {
            let texts: Vec<String> = problems.iter().map(super::problem::render).collect();
            Failure::rendered(Exit::Usage, texts.join("\n\n"))
        }
        StepError::Write { source, .. } | StepError::Read { source, .. } => match source.downcast_ref::<StoreError>() {
            Some(store) => from_store(store),
            None => Failure::from_error(Exit::Failed, error),
        },
        _ => Failure::from_error(Exit::Failed, error),
    }
}

impl From<&NodeFailure> for Failure {
    fn from(failure: &NodeFailure) -> Self {
        match failure {
            NodeFailure::Step(step) => from_step(step),
            NodeFailure::Store(store) | NodeFailure::Ask(AskError::Store(store)) => from_store(store),
            NodeFailure::Ask(error @ AskError::NoProvider { .. }) => Self::from_error(Exit::Usage, error)
                .hint(
                    "give a provider of the config the kind and the address, or the `identity`, under which it was asked; answers \
                     that are in the store are reused",
                ),
            NodeFailure::Ask(error @ AskError::Damaged { .. }) => Self::from_error(Exit::Environment, error)
                .hint("put back `store/draws/` from a backup; or open a new generation in the config: `reuse: {generation: 1}`"),
            NodeFailure::Ask(_) | NodeFailure::Plan(_) => Self::from_error(Exit::Failed, failure),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match &error {
            EngineError::Store(store) => from_store(store),
            EngineError::NotDone(labels) => {
                let listed: Vec<String> = labels.iter().take(10).map(|label| format!("  {label}")).collect();
                let more = labels.len().saturating_sub(10);
                let more = if more > 0 { format!("\n  … and {more} more") } else { String::new() };
                Self::usage(format!(
                    "{} actions have to be done already, and are not:\n{}{more}",
                    labels.len(),
                    listed.join("\n")
                ))
                .hint("build without the step limits, or with limits that include these steps")
            }
        }
    }
}
