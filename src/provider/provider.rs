use crate::request::{Circumstances, DrawAddress, Outcome, ProviderIdentity, Request};

/// Is what one asking brought: its outcome, what happened on the way, and the bytes as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The answer, or the failure.
    pub outcome: Outcome,
    /// What happened on the way.
    pub circumstances: Circumstances,
    /// The body of the response as received; empty where the answer is all there is.
    pub raw: Vec<u8>,
}

/// Answers requests: one implementation per protocol.
///
/// An implementation sees the request it is sent and the address of the draw (for its seed), and nothing of the
/// experiment: not the gold answers, not the arm, not the trial.
pub trait Provider: Send + Sync {
    /// Returns the identity that its requests carry.
    fn identity(&self) -> &ProviderIdentity;

    /// Answers one request once. Failures are outcomes: the caller logs them and decides whether to ask again.
    fn answer(&self, request: &Request, draw: &DrawAddress) -> Given;
}
