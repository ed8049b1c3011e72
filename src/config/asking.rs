use std::time::Duration;

/// Says how batches of a provider are gone about. None of it decides an answer, and none of it is in any key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchLimits {
    /// From how many missing requests on `mode: auto` sends batches.
    pub from: Option<u64>,
    /// Requests in one batch.
    pub max_requests: Option<u64>,
    /// Bytes of one input.
    pub max_bytes: Option<u64>,
    /// How long is waited between two looks.
    pub poll: Option<Duration>,
    /// How long a batch may wait before it begins.
    pub start_deadline: Option<Duration>,
    /// How long a batch may be there before the provider's list shows it.
    pub list_delay: Option<Duration>,
    /// Whether files at the provider are removed once the results are in the store.
    pub remove_files: bool,
}

/// Says how a provider may be asked: how long is waited, how often a failure is asked again, how much is sent at once.
///
/// None of it decides an answer, and none of it is in any key. What is absent is decided by whoever asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskingLimits {
    /// How long to wait for a connection.
    pub connect_timeout: Option<Duration>,
    /// How long to wait for the next bytes; the first of them come when the model has finished.
    pub read_timeout: Option<Duration>,
    /// How long one attempt may take in all.
    pub total_timeout: Option<Duration>,
    /// How often a draw is sent at most in one build.
    pub max_attempts: Option<u32>,
    /// The wait before a second attempt, where the server names none; it doubles from there.
    pub first_wait: Option<Duration>,
    /// The longest wait that a provider may ask for (`Retry-After`); beyond it the action is set aside until the next build.
    pub max_wait: Option<Duration>,
    /// How long a draw may be tried in all, waits included.
    pub max_retry_time: Option<Duration>,
    /// Requests sent in a minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens asked for in a minute.
    pub tokens_per_minute: Option<u64>,
    /// Requests in flight at once.
    pub max_concurrent_requests: Option<u32>,
}
