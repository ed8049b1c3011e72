use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::output::Output;

/// After how long without a word something is said; with the time between two looks, less than two seconds.
const QUIET: Duration = Duration::from_millis(1700);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Works, and says meanwhile what is being done whenever nothing else was said for almost two seconds.
pub fn with_heartbeat<T>(out: &Output, work: impl FnOnce() -> T) -> T {
    let has_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let beating = scope.spawn(|| {
            while !has_ended.load(Ordering::Relaxed) {
                std::thread::park_timeout(LOOK);
                out.beat(QUIET);
            }
        });
        // Also where the work panics: the scope would wait for ever.
        let _end = End { has_ended: &has_ended, thread: beating.thread() };
        work()
    })
}

/// Ends the beating when it is dropped.
struct End<'e> {
    has_ended: &'e AtomicBool,
    thread: &'e std::thread::Thread,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }
}
