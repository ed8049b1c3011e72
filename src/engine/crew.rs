use std::sync::mpsc::Sender;
use std::time::Duration;

use super::running::Message;
use crate::flow::Clock;

/// Is who does the work that the loop of a build hands out, and tells the loop what came of it.
pub(super) struct Crew<'c, 's> {
    /// Where work is done.
    pub(super) scope: &'c rayon::Scope<'s>,
    /// What its time is taken by.
    pub(super) clock: &'s Clock,
    /// Where the loop is told.
    pub(super) outbox: &'c Sender<Message>,
}

impl<'s> Crew<'_, 's> {
    /// Has work done on another thread, and the loop told of its result and of how long it took.
    pub(super) fn hand<T>(
        &self,
        work: impl FnOnce() -> T + Send + 's,
        tell: impl FnOnce(T, Duration) -> Message + Send + 's,
    ) {
        let (clock, outbox) = (self.clock, self.outbox.clone());
        self.scope.spawn(move |_| {
            let started = clock.monotonic();
            let result = work();
            let took = clock.monotonic().saturating_sub(started);
            // The loop hears of it as long as something is under way, and this is.
            drop(outbox.send(tell(result, took)));
        });
    }
}
