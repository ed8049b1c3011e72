use std::sync::Arc;

use crate::ask::AskError;
use crate::plan::PlanError;
use crate::step::StepError;
use crate::store::StoreError;

/// Says why one action did not finish.
#[derive(Debug, thiserror::Error)]
pub enum NodeFailure {
    /// The step failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// Its draws could not be settled.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
    /// Its parameters do not read back.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl NodeFailure {
    /// Writes the error and its causes in one line.
    pub(super) fn in_a_line(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let words = cause.to_string();
            if !text.ends_with(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            source = cause.source();
        }
        text
    }
}

/// Says why a build could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
    /// Steps that may not run are not done.
    #[error("{} actions are not done, and these steps may not run: {}", .0.len(), .0.first().map_or("", String::as_str))]
    NotDone(Vec<String>),
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}
