use std::sync::Arc;

use crate::store::StoreError;

/// Says why draws could not be settled at all (a draw that failed is a result, not an error).
#[derive(Clone, Debug, thiserror::Error)]
pub enum AskError {
    /// The store failed; nothing that was not durable was counted.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
    /// A draw is missing and nobody here can be asked for it.
    #[error("{missing} answers of `{identity}` are not in the store, and that provider cannot be asked here")]
    NoProvider {
        /// The provider's identity.
        identity: String,
        /// How many draws are missing.
        missing: usize,
    },
    /// An answer was logged once and can no longer be read: it is not bought again without a word.
    #[error("the answer at {draw} was logged, and can no longer be read")]
    Damaged {
        /// The draw's address.
        draw: String,
    },
    /// The provider wants to be left alone for longer than a build waits.
    #[error("`{identity}` asks to be left alone for {seconds} s")]
    Parked {
        /// The provider's identity.
        identity: String,
        /// How long, in seconds.
        seconds: u64,
    },
    /// The draws wait at the provider, in batches.
    #[error("`{identity}`: {why}")]
    Pending {
        /// The provider's identity.
        identity: String,
        /// What is waited for.
        why: String,
    },
    /// The next request could cost more than is left of the budget.
    #[error("the budget is reached")]
    OverBudget,
    /// The build was stopped before these draws were asked.
    #[error("stopped")]
    Stopped,
}
