use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::batches::BatchLane;
use super::embedded::answer_all;
use super::lane::{Closed, Lane, Outlets};
use super::logger::{Logged, log};
use super::ticket::Message;
use super::waiting::{Claimed, Waiting};
use super::{AskError, Batching, Expected, Inbox, Policies, Providers, Settlement, Tariff, Tariffs, Ticket};
use crate::digest::DrawId;
use crate::flow::{Budget, Clock, Event, Events, Money, StopFlag, Tally};
use crate::request::{Answer, Circumstances, DrawAddress, FailureCode, ProviderIdentity, Request};
use crate::store::{Claim, Session, StoreError};

/// Counts what became of the draws that were wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Found in the store, or answered by another build while this one waited.
    pub reused: u64,
    /// Sent by this build and answered.
    pub sent: u64,
    /// Failed in this build, or not asked because the provider rejected them before.
    pub failed: u64,
}

/// Settles tickets in a thread of its own; further threads send, and one logs.
pub struct Asker<'a> {
    /// Where draws are claimed and logged.
    pub session: &'a Session,
    /// Who can be asked.
    pub providers: &'a Providers,
    /// How each provider over a network is asked; one without a policy of its own is asked by the default.
    pub policies: &'a Policies,
    /// How batches are gone about.
    pub batching: &'a Batching,
    /// What servers are expected to serve.
    pub expected: &'a Expected,
    /// What answers cost.
    pub tariffs: &'a Tariffs,
    /// What may be spent.
    pub budget: &'a Budget,
    /// Computes the answers of embedded providers.
    pub pool: &'a rayon::ThreadPool,
    /// The time.
    pub clock: &'a Clock,
    /// The wish to stop.
    pub stop: &'a StopFlag,
    /// Takes events.
    pub events: &'a Events<'a>,
}

/// How many draws of an embedded provider are claimed at once: enough to share one durable write, few enough to hold.
const EMBEDDED_ROOM: usize = 8192;
/// How long to wait before looking again at draws that another build holds.
const LOOK_AGAIN: Duration = Duration::from_millis(25);
/// How long to sleep at most before looking at the stop flag.
const LOOK_UP: Duration = Duration::from_millis(100);

impl Asker<'_> {
    /// Settles tickets until no more come and none is open; returns the counts.
    pub fn serve(&self, inbox: Inbox, done: &mut (dyn FnMut(Settlement) + Send)) -> Counts {
        let lanes: BTreeMap<ProviderIdentity, Lane<'_>> = self
            .providers
            .iter()
            .filter(|provider| provider.endpoint().is_some())
            .map(|provider| {
                let identity = provider.identity();
                (identity.clone(), Lane::new(provider, self.policies.of(identity), self))
            })
            .collect();
        let batches: BTreeMap<ProviderIdentity, BatchLane<'_>> = self
            .providers
            .batch_services()
            .map(|service| {
                let identity = service.identity();
                (identity.clone(), BatchLane::new(service, self.batching.of(identity), self))
            })
            .collect();
        let Inbox { messages, own } = inbox;
        std::thread::scope(|scope| {
            let (attempts, to_log) = channel();
            let (embedded, to_answer) = channel();
            let outlets = Outlets { log: attempts, inbox: own };
            let outbox = outlets.inbox.clone();
            scope.spawn(move || log(self.session, self.clock, &to_log, &outbox));
            let Outlets { log, inbox } = outlets.clone();
            scope.spawn(move || answer_all(self.pool, self.providers, self.stop, &to_answer, &log, &inbox));
            let mut serving = Serving {
                asker: self,
                waiting: Waiting::new(done),
                counts: Counts::default(),
                embedded,
                embedded_out: HashSet::new(),
                priced_out: HashMap::new(),
                is_gathered: false,
                in_batches: Vec::new(),
                failure: None,
            };
            let mut is_open = true;
            let mut looked_again = self.clock.monotonic();
            while is_open || !serving.waiting.is_idle() {
                let wait = if serving.waiting.has_elsewhere() { LOOK_AGAIN } else { LOOK_UP };
                let mut next = match messages.recv_timeout(wait) {
                    Ok(message) => Some(message),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                while let Some(message) = next {
                    match message {
                        Message::Ticket(ticket) => serving.take_in(ticket),
                        Message::NoMore => (is_open, serving.is_gathered) = (false, true),
                        Message::Gathered => serving.is_gathered = true,
                        Message::Again(ids) => serving.ask_again(&ids),
                        Message::GivenUp(ids, error) => serving.give_up(&ids, &error),
                        Message::Logged(logged) => serving.settle(logged),
                        Message::Broken(error) => serving.break_off(error),
                        Message::Returned(ids) => serving.take_back(&ids, &lanes),
                    }
                    next = messages.try_recv().ok();
                }
                if serving.failure.is_some() {
                    lanes.values().for_each(Lane::break_off);
                    batches.values().for_each(BatchLane::break_off);
                }
                let now = self.clock.monotonic();
                let look_again = now.saturating_sub(looked_again) >= LOOK_AGAIN;
                if look_again {
                    looked_again = now;
                }
                let going = serving.look(look_again).and_then(|()| {
                    serving.hand_out(&lanes, &batches, |way, claimed| match way {
                        Way::Alone(lane) => lane.feed(scope, &outlets, claimed),
                        Way::InBatches(lane) => lane.feed(scope, &outlets, claimed),
                    })
                });
                for (identity, batch, draws) in std::mem::take(&mut serving.in_batches) {
                    if let Some(lane) = batches.get(&identity) {
                        lane.watch(scope, &outlets, batch, draws);
                    }
                }
                if let Err(error) = going {
                    serving.waiting.fail(&error);
                }
                serving.tell();
            }
            for lane in lanes.values() {
                lane.end();
            }
            for lane in batches.values() {
                lane.end();
            }
            serving.counts
        })
    }
}

/// Is what a draw counts as that the store had.
const REUSED: Tally = Tally { reused: 1, sent: 0, failed: 0, tokens: 0, cost: Money::ZERO };
/// Is what a draw counts as that failed.
const FAILED: Tally = Tally { reused: 0, sent: 0, failed: 1, tokens: 0, cost: Money::ZERO };

/// Is a way to a provider.
#[derive(Clone, Copy)]
enum Way<'l, 'p> {
    Alone(&'l Lane<'p>),
    InBatches(&'l BatchLane<'p>),
}

/// Is the state of an asker at work; one thread owns it.
struct Serving<'s> {
    asker: &'s Asker<'s>,
    waiting: Waiting<'s>,
    counts: Counts,
    embedded: Sender<Vec<Claimed>>,
    embedded_out: HashSet<DrawId>,
    /// What was asked by draws that are out and have a price.
    priced_out: HashMap<DrawId, Arc<Request>>,
    /// All that is wanted for now is here: batches can be packed.
    is_gathered: bool,
    /// Draws that were found to be in batches, with who takes these.
    in_batches: Vec<(ProviderIdentity, String, Vec<Claimed>)>,
    /// Is set once the log cannot be written: nothing is sent after that.
    failure: Option<AskError>,
}

fn store(error: StoreError) -> AskError {
    AskError::Store(Arc::new(error))
}

impl Serving<'_> {
    fn take_in(&mut self, ticket: Ticket) {
        self.is_gathered = false;
        (self.asker.events)(Event::Wanted { owner: ticket.owner, draws: ticket.wanted.len() as u64 });
        self.waiting.add(ticket);
    }

    /// Counts, and tells, what was settled since the last time.
    fn tell(&mut self) {
        if let Some((tally, owners)) = self.waiting.take_tally() {
            self.counts.reused += tally.reused;
            self.counts.sent += tally.sent;
            self.counts.failed += tally.failed;
            (self.asker.events)(Event::Drawn { tally, owners });
        }
    }

    /// Takes a group that is in the log.
    fn settle(&mut self, logged: Logged) {
        if let Some(error) = logged.error {
            self.waiting.forget(&logged.settled);
            return self.break_off(error);
        }
        for (id, settled) in &logged.settled {
            self.embedded_out.remove(id);
            let request = self.priced_out.remove(id);
            let tally = match settled {
                Ok(answer) => {
                    let cost = request.map(|request| self.cost(&request, answer, logged.given.get(id)));
                    let tokens = answer.usage.output_tokens.unwrap_or(0);
                    Tally { sent: 1, tokens, cost: cost.unwrap_or_default(), ..Tally::default() }
                }
                Err(_) => FAILED,
            };
            self.waiting.settle(id, settled, tally);
        }
    }

    /// Returns the price of an answer as far as it is known, for whoever watches: the ledger reads the log.
    ///
    /// Of what came with a batch nothing is known here of the prompt cache.
    fn cost(&self, request: &Request, answer: &Answer, given: Option<&Circumstances>) -> Money {
        let in_batch = || Circumstances { bought: Some("batch".to_owned()), ..Circumstances::default() };
        let tariffs = self.asker.tariffs;
        let price = match given {
            Some(given) => tariffs.price(&request.provider, &request.model, &answer.usage, given),
            None => tariffs.price(&request.provider, &request.model, &answer.usage, &in_batch()),
        };
        price.unwrap_or_default()
    }

    /// Notes what is asked, where it has a price.
    fn set_out(&mut self, id: &DrawId) -> Option<Claimed> {
        let claimed = self.waiting.set_out(id)?;
        let Request { provider, model, .. } = &*claimed.request;
        if matches!(self.asker.tariffs.of(provider, model), Tariff::Rated(rates) if !rates.is_nothing()) {
            self.priced_out.insert(*id, claimed.request.clone());
        }
        Some(claimed)
    }

    /// Gives everything up: what is sent from here on could not be kept.
    fn break_off(&mut self, error: Arc<StoreError>) {
        let error = AskError::Store(error);
        self.waiting.fail(&error);
        self.failure = Some(error);
    }

    /// Takes back draws that a lane did not send: they are free for others, and this build does without them.
    fn take_back(&mut self, ids: &[DrawId], lanes: &BTreeMap<ProviderIdentity, Lane<'_>>) {
        let addresses: Vec<DrawAddress> = ids.iter().filter_map(|id| self.waiting.address(id)).collect();
        let released = self.asker.session.release(&addresses).map_err(store);
        for id in ids {
            self.embedded_out.remove(id);
            self.priced_out.remove(id);
        }
        if let Err(error) = released {
            self.waiting.give_up(ids, &error);
            return;
        }
        let mut by_lane: BTreeMap<ProviderIdentity, Vec<DrawId>> = BTreeMap::new();
        for id in ids {
            if let Some(identity) = self.waiting.provider_of(id) {
                by_lane.entry(identity).or_default().push(*id);
            }
        }
        for (identity, ids) in by_lane {
            match lanes.get(&identity).and_then(Lane::closed) {
                Some(closed) => self.refuse(&identity, &closed, &ids),
                None => self.waiting.give_up(&ids, &AskError::Stopped),
            }
        }
    }

    /// Looks anew for draws that a batch lane has no answer to.
    fn ask_again(&mut self, ids: &[DrawId]) {
        for id in ids {
            self.priced_out.remove(id);
            self.waiting.set_missing(id);
        }
    }

    /// Lets draws go that a batch lane does without; what of them is claimed by this session alone is free.
    fn give_up(&mut self, ids: &[DrawId], error: &AskError) {
        for id in ids {
            self.priced_out.remove(id);
        }
        let addresses: Vec<DrawAddress> = ids.iter().filter_map(|id| self.waiting.address(id)).collect();
        let error = self.asker.session.release(&addresses).map_or_else(store, |()| error.clone());
        self.waiting.give_up(ids, &error);
    }

    /// Ends what a closed lane will not send.
    fn refuse(&mut self, identity: &ProviderIdentity, closed: &Closed, ids: &[DrawId]) {
        match closed {
            Closed::Stopped => {
                for id in ids {
                    self.waiting.settle(id, &Err(FailureCode::ProviderStopped), FAILED);
                }
            }
            Closed::Parked(wait) => {
                let error = AskError::Parked { identity: identity.0.clone(), seconds: wait.as_secs() };
                self.waiting.give_up(ids, &error);
            }
            Closed::OverBudget => self.waiting.give_up(ids, &AskError::OverBudget),
        }
    }

    /// Looks for the draws that are new here, and for those that others were to answer.
    fn look(&mut self, look_again: bool) -> Result<(), AskError> {
        if let Some(error) = &self.failure {
            return Err(error.clone());
        }
        let mut addresses = self.waiting.take_new();
        for address in &addresses {
            self.waiting.set_missing(&address.id());
        }
        let elsewhere = if look_again { self.waiting.elsewhere() } else { Vec::new() };
        let held = elsewhere.len();
        addresses.extend(&elsewhere);
        self.reuse(&addresses)?;
        // Whoever held the rest may be gone: they are claimed again, and found held again if not.
        if held > 0 {
            for address in elsewhere {
                if self.waiting.address(&address.id()).is_some() {
                    self.waiting.set_missing(&address.id());
                }
            }
        }
        Ok(())
    }

    fn reuse(&mut self, addresses: &[DrawAddress]) -> Result<(), AskError> {
        if addresses.is_empty() {
            return Ok(());
        }
        let found = self.asker.session.store().draws(addresses).map_err(store)?;
        for (address, draw) in addresses.iter().zip(found) {
            if let Some(draw) = draw {
                self.waiting.settle(&address.id(), &Ok(draw.answer), REUSED);
            }
        }
        Ok(())
    }

    /// Claims what is missing, as far as there is room for it, and hands it to whoever sends it.
    fn hand_out<'l, 'p>(
        &mut self,
        lanes: &'l BTreeMap<ProviderIdentity, Lane<'p>>,
        batches: &'l BTreeMap<ProviderIdentity, BatchLane<'p>>,
        feed: impl Fn(Way<'l, 'p>, Vec<Claimed>),
    ) -> Result<(), AskError> {
        for identity in self.waiting.asked() {
            if self.asker.stop.is_raised() {
                let ids = self.waiting.ids_of(&identity);
                self.waiting.give_up(&ids, &AskError::Stopped);
                continue;
            }
            if let Some(lane) = batches.get(&identity).filter(|lane| lane.policy.from.is_some()) {
                if !self.is_gathered {
                    continue;
                }
                if lane.takes(self.waiting.count_of(&identity)) {
                    let mut mine: Vec<Claimed> = Vec::with_capacity(self.waiting.count_of(&identity));
                    // Bit by bit, so that what a claim takes of memory is little beside what is claimed.
                    while self.waiting.count_of(&identity) > 0 {
                        match self.claim(&identity, EMBEDDED_ROOM) {
                            Ok(more) => mine.extend(more),
                            Err(error) => {
                                let ids: Vec<DrawId> = mine.iter().map(|draw| draw.id).collect();
                                self.waiting.give_up(&ids, &error);
                                return Err(error);
                            }
                        }
                    }
                    if !mine.is_empty() {
                        feed(Way::InBatches(lane), mine);
                    }
                    continue;
                }
            }
            let lane = lanes.get(&identity);
            if let Some(closed) = lane.and_then(Lane::closed) {
                let ids = self.waiting.ids_of(&identity);
                self.refuse(&identity, &closed, &ids);
                continue;
            }
            if self.asker.providers.find(&identity).is_none() {
                let ids = self.waiting.ids_of(&identity);
                let error = AskError::NoProvider { identity: identity.0.clone(), missing: ids.len() };
                self.waiting.give_up(&ids, &error);
                continue;
            }
            let room = lane.map_or_else(|| EMBEDDED_ROOM.saturating_sub(self.embedded_out.len()), Lane::room);
            if room == 0 {
                continue;
            }
            let mine = self.claim(&identity, room)?;
            if mine.is_empty() {
                continue;
            }
            if let Some(lane) = lane {
                feed(Way::Alone(lane), mine);
            } else {
                self.embedded_out.extend(mine.iter().map(|draw| draw.id));
                drop(self.embedded.send(mine));
            }
        }
        Ok(())
    }

    /// Claims the draws of a provider whose turn it is.
    fn claim(&mut self, identity: &ProviderIdentity, room: usize) -> Result<Vec<Claimed>, AskError> {
        let addresses = self.waiting.next_of(identity, room);
        let claims = self.asker.session.claim(&addresses).map_err(store)?;
        let (mut mine, mut recorded) = (Vec::new(), Vec::new());
        let (mut elsewhere, mut holder) = (0, None);
        let mut in_batches: BTreeMap<String, Vec<Claimed>> = BTreeMap::new();
        let has_batches = self.asker.providers.takes_batches(identity);
        for (address, claim) in addresses.iter().zip(claims) {
            match claim {
                Claim::Mine => mine.extend(self.set_out(&address.id())),
                Claim::Recorded => recorded.push(*address),
                Claim::InBatch { batch } if has_batches => {
                    in_batches.entry(batch).or_default().extend(self.set_out(&address.id()));
                }
                Claim::Elsewhere { session } | Claim::InBatch { batch: session } => {
                    self.waiting.set_elsewhere(&address.id());
                    elsewhere += 1;
                    holder.get_or_insert(session);
                }
            }
        }
        let found = in_batches.into_iter().map(|(batch, draws)| (identity.clone(), batch, draws));
        self.in_batches.extend(found);
        self.reuse(&recorded)?;
        let lost: Vec<DrawId> = recorded.iter().map(DrawAddress::id).collect();
        if let Some(id) = lost.iter().find(|id| self.waiting.address(id).is_some()) {
            let error = AskError::Damaged { draw: id.to_string() };
            let lost: Vec<DrawId> = lost.iter().filter(|id| self.waiting.address(id).is_some()).copied().collect();
            self.waiting.give_up(&lost, &error);
        }
        if let Some(session) = holder {
            (self.asker.events)(Event::Waiting { draws: elsewhere, session });
        }
        Ok(mine)
    }
}
