use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use super::Policy;
use super::pace::Pace;
use super::sending::{Later, Sending};
use crate::digest::DrawId;
use crate::request::FailureCode;

/// Says why a lane sends nothing more in this build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// The provider must not be asked again.
    Stopped,
    /// It wants to be left alone for longer than a build waits.
    Parked(Duration),
    /// The next request could cost more than is left of the budget.
    OverBudget,
}

/// Is what the threads of a lane share.
pub(super) struct LaneState {
    pub(super) ready: VecDeque<Sending>,
    pub(super) later: BinaryHeap<Reverse<Later>>,
    pub(super) pace: Pace,
    pub(super) threads: usize,
    /// How many of them wait for something to send.
    pub(super) idle: usize,
    /// No more draws come.
    pub(super) is_last: bool,
    pub(super) closed: Option<Closed>,
    /// A thread is asking the server what it serves.
    pub(super) looking: bool,
    pub(super) served: BTreeMap<String, Option<String>>,
    pub(super) answers: u64,
    /// When it was last told that an attempt is repeated.
    pub(super) told: Option<Duration>,
    pub(super) first_failures: Vec<FailureCode>,
}

impl LaneState {
    /// Starts with nothing to send, within the limits of a policy.
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            ready: VecDeque::new(),
            later: BinaryHeap::new(),
            pace: Pace::new(policy),
            threads: 0,
            idle: 0,
            is_last: false,
            closed: None,
            looking: false,
            served: BTreeMap::new(),
            answers: 0,
            told: None,
            first_failures: Vec::new(),
        }
    }

    /// Says whether there is something to send, and fewer in flight than there may be.
    pub(super) fn can_send(&self) -> bool {
        !self.ready.is_empty() && self.pace.in_flight() < self.pace.limit()
    }

    /// Takes all that waits to be sent.
    pub(super) fn take_all(&mut self) -> Vec<DrawId> {
        let ready = self.ready.drain(..).map(|sending| sending.draw.id);
        let later = self.later.drain().map(|Reverse(Later(_, id, _))| id);
        ready.chain(later).collect()
    }
}
