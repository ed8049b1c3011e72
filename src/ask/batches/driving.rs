use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::lane::Outlets;
use super::super::logger::Logged;
use super::super::ticket::Message;
use super::super::waiting::Claimed;
use super::super::{AskError, Settled};
use super::finding::Unknown;
use super::lane::{BatchLane, Handed};
use super::under_way::UnderWay;
use crate::digest::{Decimal, DrawId};
use crate::flow::{Event, Money};
use crate::provider::Line;
use crate::request::{DrawAddress, FailureCode, Request};
use crate::store::{BatchState, StoreError};

pub(super) type Result<T> = std::result::Result<T, StoreError>;

/// Is the thread of a lane at work. What it waits for, it waits for in `run` and nowhere else.
pub(super) struct Driving<'l, 'a> {
    pub(super) lane: &'l BatchLane<'a>,
    pub(super) outlets: Outlets,
    pub(super) line: Line,
    /// Claimed by this session, and in no batch.
    pub(super) queue: Vec<Claimed>,
    /// All that somebody waits for, and how it is asked.
    pub(super) wanted: HashMap<DrawId, (DrawAddress, Arc<Request>)>,
    /// In how many batches of this build a draw was.
    pub(super) rounds: HashMap<DrawId, u32>,
    pub(super) batches: Vec<UnderWay>,
    /// Batches that other processes work on, with when they are looked at next.
    pub(super) others: Vec<(String, Vec<DrawId>, Duration)>,
    /// Batches at the provider of which it is not known whose they are.
    pub(super) unknown: Vec<Unknown>,
    /// Batches that have expired, by the provider's ids, with what they left: a batch of just that may go on with them.
    pub(super) expired: Vec<(String, HashSet<DrawId>)>,
    /// The draws of batches that nobody waited for when they were found, with the provider's ids of these.
    pub(super) foreign: HashMap<DrawId, String>,
    /// Since when batches of ours that are not known here have been looked for; nothing is submitted before they were.
    pub(super) sought: Option<Duration>,
    pub(super) is_reconciled: bool,
    /// Batches that are found at the provider are taken up whether or not somebody wants their draws.
    pub(super) adopts_all: bool,
    pub(super) next_search: Duration,
    pub(super) searches_failed: u32,
    /// Requests in one batch, at most: less after each time that too much was waiting at the provider.
    pub(super) most_requests: u64,
    /// Nothing is submitted before this time.
    pub(super) quiet_until: Duration,
    pub(super) refusals: u32,
    /// Why nothing more is submitted.
    pub(super) closed: Option<Closed>,
}

/// Says how draws end that a closed lane does not send.
#[derive(Clone, Debug)]
pub(super) enum Closed {
    Error(AskError),
    Stopped,
}

/// How many calls in a row may have troubles that pass before a batch is not sent in this build.
pub(super) const TROUBLES: u32 = 8;
/// How long the thread sleeps at most before it looks at the stop flag.
const LOOK_UP: Duration = Duration::from_millis(100);
/// The longest wait after a trouble.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);

impl<'l, 'a> Driving<'l, 'a> {
    pub(super) fn new(lane: &'l BatchLane<'a>, outlets: Outlets) -> Self {
        Self {
            line: lane.service.open(),
            most_requests: lane.policy.most_requests.unwrap_or(u64::MAX),
            lane,
            outlets,
            queue: Vec::new(),
            wanted: HashMap::new(),
            rounds: HashMap::new(),
            batches: Vec::new(),
            others: Vec::new(),
            unknown: Vec::new(),
            expired: Vec::new(),
            foreign: HashMap::new(),
            sought: None,
            is_reconciled: false,
            adopts_all: false,
            next_search: Duration::ZERO,
            searches_failed: 0,
            quiet_until: Duration::ZERO,
            refusals: 0,
            closed: None,
        }
    }

    /// Works until no more draws come and none is waited for.
    pub(super) fn run(mut self) {
        let mut has_begun = false;
        let mut sleep = Duration::ZERO;
        loop {
            let Handed { draws, watched, is_last, is_broken, .. } = self.lane.wait(sleep);
            let went = if is_broken || self.lane.asker.stop.is_raised() {
                let taken = self.take_in(draws, watched);
                self.give_up_all(&AskError::Stopped);
                self.batches.clear();
                taken
            } else {
                let begun = if has_begun { Ok(()) } else { self.take_over() };
                has_begun = true;
                let taken = self.take_in(draws, watched);
                begun.and(taken).and_then(|()| self.go_on())
            };
            if let Err(error) = went {
                let error = Arc::new(error);
                drop(self.outlets.inbox.send(Message::Broken(error.clone())));
                self.give_up_all(&AskError::Store(error));
                self.batches.clear();
            }
            if is_last && self.wanted.is_empty() {
                return;
            }
            sleep = self.sleep();
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.lane.asker.clock.monotonic()
    }

    pub(super) fn sleep(&self) -> Duration {
        let now = self.now();
        let due = self.batches.iter().filter(|batch| batch.stuck.is_none()).map(|batch| batch.next);
        let due = due.chain(self.others.iter().map(|(_, _, next)| *next));
        let due = due.chain((!self.queue.is_empty() && !self.is_reconciled).then_some(self.next_search)).min();
        due.map_or(LOOK_UP, |due| due.saturating_sub(now).clamp(Duration::from_millis(1), LOOK_UP))
    }

    /// Tells people of a batch.
    pub(super) fn tell(&self, text: String) {
        (self.lane.asker.events)(Event::Batch { provider: self.lane.service.identity().0.clone(), text });
    }

    pub(super) fn at(&self) -> String {
        self.lane.asker.clock.now()
    }

    pub(super) fn is_ignored(&self, name: &str) -> bool {
        self.lane.asker.batching.ignored.contains(name)
    }

    /// Takes up the batches of this provider that nobody works on.
    pub(super) fn take_over(&mut self) -> Result<()> {
        for stored in self.lane.asker.session.store().open_batches()? {
            if stored.head.provider == self.lane.service.identity().0 {
                self.take_up(&stored.head.name)?;
            }
        }
        Ok(())
    }

    /// Takes up one; says whether it could.
    pub(super) fn take_up(&mut self, name: &str) -> Result<bool> {
        if self.batches.iter().any(|batch| batch.held.name() == name) {
            return Ok(true);
        }
        let asker = self.lane.asker;
        let Some(held) = asker.session.hold_batch(name)? else { return Ok(false) };
        let ceiling = held.stored().head.ceiling_usd.as_deref();
        let ceiling = ceiling.and_then(|digits| digits.parse::<Decimal>().ok()).and_then(Money::usd);
        // It is at the provider, or may be: what it costs is owed, whatever the limit is now.
        let reserved = ceiling.map(|ceiling| asker.budget.owe(ceiling));
        let mut batch = UnderWay::new(held, false, reserved);
        let is_ignored = self.is_ignored(name) || batch.held.stored().remote().is_some_and(|id| self.is_ignored(id));
        if is_ignored {
            self.abandon_held(&mut batch, "it is to be ignored")?;
            return Ok(false);
        }
        self.batches.push(batch);
        Ok(true)
    }

    fn take_in(&mut self, draws: Vec<Claimed>, watched: Vec<(String, Vec<Claimed>)>) -> Result<()> {
        self.wanted.reserve(draws.len());
        for draw in &draws {
            self.wanted.insert(draw.id, (draw.address, draw.request.clone()));
        }
        let mut free = if draws.is_empty() { draws } else { self.without_batched(draws)? };
        if self.queue.is_empty() {
            self.queue = free;
        } else {
            self.queue.append(&mut free);
        }
        for (name, draws) in watched {
            let ids: Vec<DrawId> = draws.iter().map(|draw| draw.id).collect();
            self.wanted.extend(draws.into_iter().map(|draw| (draw.id, (draw.address, draw.request))));
            if !self.batches.iter().any(|batch| batch.held.name() == name) {
                self.others.push((name, ids, Duration::ZERO));
            }
        }
        Ok(())
    }

    /// Does for each batch what is due.
    pub(super) fn advance_all(&mut self) -> Result<()> {
        for at in 0..self.batches.len() {
            while self.batches[at].next <= self.now()
                && self.batches[at].stuck.is_none()
                && !self.batches[at].state().is_terminal()
                && !self.lane.asker.stop.is_raised()
            {
                self.advance(at)?;
            }
        }
        self.batches.retain(|batch| !batch.state().is_terminal());
        Ok(())
    }

    /// Does all that is due.
    fn go_on(&mut self) -> Result<()> {
        self.advance_all()?;
        self.look_at_others()?;
        self.end_queue_if_closed();
        if !self.queue.is_empty() && self.reconcile()? {
            while self.can_submit() {
                self.prepare()?;
                self.end_queue_if_closed();
                let Some(at) = self.batches.len().checked_sub(1) else { break };
                // It goes out before the next one is packed.
                while self.batches[at].is_fresh
                    && self.batches[at].next <= self.now()
                    && !self.batches[at].state().is_terminal()
                    && !self.lane.asker.stop.is_raised()
                {
                    self.advance(at)?;
                }
                self.batches.retain(|batch| !batch.state().is_terminal());
            }
        }
        self.give_up_stuck();
        self.detach();
        Ok(())
    }

    /// Says whether nothing more is submitted in this build.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Does the next thing for one batch.
    pub(super) fn advance(&mut self, at: usize) -> Result<()> {
        let batch = &self.batches[at];
        match batch.state() {
            BatchState::Prepared if batch.is_fresh => self.upload(at),
            BatchState::Uploaded if batch.is_fresh => self.create(at),
            BatchState::Prepared => self.abandon(at, "it was never sent"),
            BatchState::Uploaded | BatchState::Adopting => self.find(at),
            BatchState::Submitted | BatchState::Cancelling => self.look(at),
            BatchState::Ended => self.fetch(at),
            BatchState::Fetched => self.harvest(at),
            BatchState::Committed | BatchState::Abandoned | BatchState::Foreign => Ok(()),
        }
    }

    /// Sends nothing more in this build.
    pub(super) fn close(&mut self, why: String) {
        if self.closed.is_none() {
            self.closed = Some(Closed::Stopped);
            (self.lane.asker.events)(Event::ProviderStopped { provider: self.lane.service.identity().0.clone(), why });
        }
    }

    fn end_queue_if_closed(&mut self) {
        let Some(closed) = self.closed.clone() else { return };
        let ids: Vec<DrawId> = std::mem::take(&mut self.queue).iter().map(|draw| draw.id).collect();
        if ids.is_empty() {
            return;
        }
        match closed {
            Closed::Error(error) => self.give_up(&ids, &error),
            Closed::Stopped => drop(self.fail(&ids, FailureCode::ProviderStopped)),
        }
    }

    /// Hands back draws that are free, to be claimed again: those that somebody wants.
    pub(super) fn again(&mut self, ids: impl IntoIterator<Item = DrawId>) {
        let ids: Vec<DrawId> = ids.into_iter().filter(|id| self.wanted.remove(id).is_some()).collect();
        if !ids.is_empty() {
            drop(self.outlets.inbox.send(Message::Again(ids)));
        }
    }

    /// Counts that a draw is to be in one more batch; says whether that is not too often.
    pub(super) fn may_have_another_round(&mut self, id: DrawId) -> bool {
        let rounds = self.rounds.entry(id).or_insert(1);
        *rounds += 1;
        *rounds <= self.lane.policy.rounds
    }

    /// Tells what became of draws, in the log already.
    pub(super) fn settle(&mut self, settled: Vec<(DrawId, Settled)>) {
        let settled: Vec<_> = settled.into_iter().filter(|(id, _)| self.wanted.remove(id).is_some()).collect();
        if !settled.is_empty() {
            drop(self.outlets.inbox.send(Message::Logged(Logged { settled, ..Logged::default() })));
        }
    }

    /// Lets draws fail that are in no batch.
    pub(super) fn fail(&mut self, ids: &[DrawId], code: FailureCode) -> Result<()> {
        let held: Vec<DrawAddress> =
            ids.iter().filter_map(|id| self.wanted.get(id)).map(|(address, _)| *address).collect();
        self.lane.asker.session.release(&held)?;
        self.settle(ids.iter().map(|id| (*id, Err(code))).collect());
        Ok(())
    }

    fn give_up(&mut self, ids: &[DrawId], error: &AskError) {
        let ids: Vec<DrawId> = ids.iter().filter(|id| self.wanted.remove(id).is_some()).copied().collect();
        if !ids.is_empty() {
            drop(self.outlets.inbox.send(Message::GivenUp(ids, error.clone())));
        }
    }

    fn give_up_all(&mut self, error: &AskError) {
        let running: BTreeSet<String> =
            self.batches.iter().filter(|batch| !batch.is_fresh).map(UnderWay::named).collect();
        if !running.is_empty() && !self.wanted.is_empty() {
            let list: Vec<String> = running.into_iter().collect();
            self.tell(format!("left running: {}", list.join(", ")));
        }
        self.queue.clear();
        self.others.clear();
        self.unknown.clear();
        let ids: Vec<DrawId> = self.wanted.keys().copied().collect();
        self.give_up(&ids, error);
    }

    /// Makes the error of draws that wait at the provider.
    fn pending(&self, why: String) -> AskError {
        AskError::Pending { identity: self.lane.service.identity().0.clone(), why }
    }

    /// Gives up what is in batches for which nothing can be done here.
    fn give_up_stuck(&mut self) {
        let stuck: Vec<(String, Vec<DrawId>)> = self
            .batches
            .iter()
            .filter_map(|batch| {
                let why = batch.stuck.clone()?;
                Some((why, batch.held.stored().draws.iter().map(DrawAddress::id).collect()))
            })
            .collect();
        for (why, ids) in stuck {
            let error = self.pending(why);
            self.give_up(&ids, &error);
        }
    }

    /// Ends the waiting, where nothing is to be waited for and everything is on its way.
    fn detach(&mut self) {
        if !self.lane.asker.batching.detach || self.wanted.is_empty() {
            return;
        }
        let is_blocked = !self.unknown.is_empty();
        let waits = self.batches.iter().any(|batch| !batch.is_submitted());
        // A batch that was taken up is looked at once: it may have ended by now.
        let unseen = self.batches.iter().any(|batch| {
            batch.stuck.is_none()
                && batch.last.is_none()
                && batch.next.is_zero()
                && batch.state() != BatchState::Adopting
        });
        if (!self.queue.is_empty() && !is_blocked) || waits || unseen {
            return;
        }
        let count = self.batches.len() + self.others.len();
        let why = if is_blocked {
            format!("{} batches at the provider could hold these requests, and are waited for", self.unknown.len())
        } else {
            format!("{count} {} under way", if count == 1 { "batch is" } else { "batches are" })
        };
        let error = self.pending(why);
        let ids: Vec<DrawId> = self.wanted.keys().copied().collect();
        self.queue.clear();
        self.others.clear();
        self.give_up(&ids, &error);
    }
}

/// Returns the wait after so many troubles in a row.
pub(super) fn backoff(troubles: u32, poll: Duration) -> Duration {
    poll.min(Duration::from_secs(1)).saturating_mul(1 << troubles.min(10)).min(LONGEST_BACKOFF)
}

/// Writes seconds since 1970 as RFC 3339.
pub(super) fn rfc3339(seconds: i64) -> Option<String> {
    Some(jiff::Timestamp::from_second(seconds).ok()?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
