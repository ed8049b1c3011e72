use std::sync::Arc;
use std::time::Duration;

/// Tells the time to those who may know it: whoever records circumstances, never a step.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> String + Send + Sync>,
    monotonic: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// Takes the two sources of time: UTC as RFC 3339 to the millisecond, and a time that never goes back.
    pub fn new(
        now: impl Fn() -> String + Send + Sync + 'static,
        monotonic: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self { now: Arc::new(now), monotonic: Arc::new(monotonic) }
    }

    /// Returns the wall time: UTC, RFC 3339, to the millisecond. No decision about what runs depends on it.
    pub fn now(&self) -> String {
        (self.now)()
    }

    /// Returns the time since some fixed moment; differences are durations.
    pub fn monotonic(&self) -> Duration {
        (self.monotonic)()
    }
}
