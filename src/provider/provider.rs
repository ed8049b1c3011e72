use std::time::Duration;

use super::{Line, LookError, RateLimits};
use crate::request::{Circumstances, DrawAddress, Outcome, ProviderIdentity, Request};

/// Says what a provider would have its caller do next. Every rule of retrying is here and in the asker, nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Keep the outcome: an answer, or a failure that asking again would not change.
    Keep,
    /// Ask again: the failure may pass.
    Retry {
        /// How long the provider asks to wait; absent: it does not say.
        after: Option<Duration>,
        /// Whether it says that it is asked too much (429, 529), so that less is to be in flight.
        overloaded: bool,
    },
    /// Ask this provider for nothing more: whatever is sent would fail alike (key, credit, unknown model).
    StopProvider {
        /// Why, in one sentence that names what to do.
        why: String,
    },
}

/// Is what one asking brought: its outcome, what happened on the way, and the bytes as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The answer, or the failure.
    pub outcome: Outcome,
    /// What happened on the way.
    pub circumstances: Circumstances,
    /// The body of the response as received; empty where the answer is all there is.
    pub raw: Vec<u8>,
    /// What to do next.
    pub advice: Advice,
    /// What the response says of the provider's limits.
    pub limits: RateLimits,
}

impl Given {
    /// Returns what a provider embedded here gives: its outcome stands, and nothing was sent.
    pub fn embedded(outcome: Outcome) -> Self {
        let circumstances = Circumstances { bought: Some("embedded".to_owned()), ..Circumstances::default() };
        Self { outcome, circumstances, raw: Vec::new(), advice: Advice::Keep, limits: RateLimits::default() }
    }
}

/// Is what a server says of the model it serves, before anything is asked of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// What tells one revision of the model from another (a digest, a file, a root); absent: the server does not say.
    pub revision: Option<String>,
    /// The longest context it takes, in tokens.
    pub context_length: Option<u64>,
    /// What else is worth a record: quantisation, build of the server.
    pub note: Option<String>,
}

/// Answers requests: one implementation per way of asking.
///
/// An implementation sees the request it is sent and the address of the draw (for its seed), and nothing of the
/// experiment: not the gold answers, not the arm, not the trial.
pub trait Provider: Send + Sync {
    /// Returns the identity that its requests carry.
    fn identity(&self) -> &ProviderIdentity;

    /// Returns the address that its requests are sent to, without path; `None`: nothing leaves this process.
    fn endpoint(&self) -> Option<&str> {
        None
    }

    /// Opens what one thread sends through.
    fn open(&self) -> Line {
        Line::default()
    }

    /// Asks the server what it serves under a model's name, before the first request is sent to it.
    ///
    /// `Ok(None)`: it has no way to say.
    fn look(&self, line: &mut Line, model: &str) -> Result<Option<Served>, LookError> {
        let _ = (line, model);
        Ok(None)
    }

    /// Asks once. Failures are outcomes: the caller logs them, and asks again where [`Given::advice`] says so.
    fn answer(&self, line: &mut Line, request: &Request, draw: &DrawAddress) -> Given;
}
