use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Carries the wish to stop: once raised it stays raised; what is under way ends, nothing new begins.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Makes a flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wraps a flag that a signal handler raises.
    pub fn from_atomic(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }

    /// Raises the flag.
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Says whether the flag was raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
