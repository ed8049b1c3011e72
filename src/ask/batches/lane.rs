use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::Duration;

use super::super::Asker;
use super::super::lane::Outlets;
use super::super::waiting::Claimed;
use super::BatchPolicy;
use super::driving::Driving;
use crate::provider::BatchService;

/// Is the way to one provider by batches: what was handed to it, and one thread that does everything else.
pub(in crate::ask) struct BatchLane<'a> {
    pub(super) service: &'a dyn BatchService,
    pub(in crate::ask) policy: BatchPolicy,
    pub(super) asker: &'a Asker<'a>,
    handed: Mutex<Handed>,
    wake: Condvar,
}

/// Is what a lane was handed since it last looked.
#[derive(Default)]
pub(super) struct Handed {
    /// Claimed by this session, to be put into batches.
    pub draws: Vec<Claimed>,
    /// In batches that are under way, by the batches' names.
    pub watched: Vec<(String, Vec<Claimed>)>,
    /// No more comes.
    pub is_last: bool,
    /// Nothing can be logged any more.
    pub is_broken: bool,
    has_thread: bool,
}

impl<'a> BatchLane<'a> {
    pub(in crate::ask) fn new(service: &'a dyn BatchService, policy: BatchPolicy, asker: &'a Asker<'a>) -> Self {
        Self { service, policy, asker, handed: Mutex::default(), wake: Condvar::new() }
    }

    fn handed(&self) -> MutexGuard<'_, Handed> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether so many missing draws are to be sent in batches.
    pub(in crate::ask) fn takes(&self, missing: usize) -> bool {
        self.policy.from.is_some_and(|from| missing as u64 >= from)
    }

    /// Takes claimed draws, in the order in which they are to be packed.
    pub(in crate::ask) fn feed<'s>(&'s self, scope: &'s Scope<'s, '_>, outlets: &Outlets, draws: Vec<Claimed>) {
        self.hand(scope, outlets, |handed| {
            // As a rule all come at once: they are not copied.
            if handed.draws.is_empty() {
                handed.draws = draws;
            } else {
                handed.draws.extend(draws);
            }
        });
    }

    /// Takes draws that are in a batch which is under way.
    pub(in crate::ask) fn watch<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        outlets: &Outlets,
        batch: String,
        draws: Vec<Claimed>,
    ) {
        self.hand(scope, outlets, |handed| handed.watched.push((batch, draws)));
    }

    fn hand<'s>(&'s self, scope: &'s Scope<'s, '_>, outlets: &Outlets, hand: impl FnOnce(&mut Handed)) {
        let mut handed = self.handed();
        hand(&mut handed);
        if !handed.has_thread {
            handed.has_thread = true;
            let outlets = outlets.clone();
            scope.spawn(move || Driving::new(self, outlets).run());
        }
        drop(handed);
        self.wake.notify_all();
    }

    /// Sends nothing more, because nothing more can be logged.
    pub(in crate::ask) fn break_off(&self) {
        self.handed().is_broken = true;
        self.wake.notify_all();
    }

    /// Says that no more draws come.
    pub(in crate::ask) fn end(&self) {
        self.handed().is_last = true;
        self.wake.notify_all();
    }

    /// Waits for draws, for as long as said at most, and returns what was handed over.
    pub(super) fn wait(&self, at_most: Duration) -> Handed {
        let mut handed = self.handed();
        if handed.draws.is_empty() && handed.watched.is_empty() && !handed.is_last && !at_most.is_zero() {
            handed = self.wake.wait_timeout(handed, at_most).unwrap_or_else(PoisonError::into_inner).0;
        }
        let (is_last, is_broken) = (handed.is_last, handed.is_broken);
        let taken = std::mem::take(&mut *handed);
        handed.has_thread = true;
        (handed.is_last, handed.is_broken) = (is_last, is_broken);
        taken
    }
}
