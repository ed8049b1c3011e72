use std::sync::Arc;
use std::sync::mpsc::channel;

use super::super::lane::Outlets;
use super::super::{AskError, Asker};
use super::BatchLane;
use super::driving::{Driving, Result};

/// Says what is done for batches by whoever wants no draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tending {
    /// Batches of ours at the provider that are not known here are taken up.
    pub adopts: bool,
    /// It does not end before all batches have.
    pub waits: bool,
}

impl Asker<'_> {
    /// Goes on with the batches of all providers: looks at each, takes in what has ended, submits nothing.
    pub fn tend(&self, how: Tending) -> std::result::Result<(), AskError> {
        // Nobody wants a draw: nothing is logged but by the batches themselves, and nobody is told.
        let (log, _attempts) = channel();
        let (inbox, _messages) = channel();
        for service in self.providers.batch_services() {
            let lane = BatchLane::new(service, self.batching.of(service.identity()), self);
            let outlets = Outlets { log: log.clone(), inbox: inbox.clone() };
            let tended = Driving::new(&lane, outlets).tend(how);
            tended.map_err(|error| AskError::Store(Arc::new(error)))?;
        }
        Ok(())
    }
}

impl Driving<'_, '_> {
    fn tend(mut self, how: Tending) -> Result<()> {
        self.adopts_all = how.adopts;
        self.take_over()?;
        loop {
            if self.lane.asker.stop.is_raised() {
                return Ok(());
            }
            if how.adopts && !self.is_closed() {
                self.reconcile()?;
            }
            self.advance_all()?;
            let is_settled = !how.adopts || self.is_reconciled || self.is_closed();
            let at_work = self.batches.iter().filter(|batch| batch.stuck.is_none());
            let is_over = if how.waits {
                at_work.count() == 0 && self.unknown.is_empty()
            } else {
                at_work.filter(|batch| !batch.was_looked_at()).count() == 0
            };
            if is_over && (is_settled || !self.unknown.is_empty()) {
                for why in self.batches.iter().filter_map(|batch| batch.stuck.clone()) {
                    self.tell(why);
                }
                return Ok(());
            }
            std::thread::sleep(self.sleep());
        }
    }
}
