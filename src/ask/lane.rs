use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::Duration;

use super::logger::Attempt;
use super::pace::{Pace, Ready};
use super::policy::Next;
use super::ticket::Message;
use super::waiting::Claimed;
use super::{Asker, Ceiling, Policy};
use crate::digest::DrawId;
use crate::flow::{Event, Money, Reservation};
use crate::provider::{Advice, Given, Line, LookError, Provider, RateLimits, Served};
use crate::request::{Billed, FailureCode, Outcome, Request};
use crate::store::{LoggedDraw, Written};

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

/// Is the way to one provider over a network: a queue, threads that send, and what was learnt of its limits.
///
/// A failed attempt that may be repeated goes back into the queue with the time before which it is not sent again; no
/// thread waits for it.
pub(super) struct Lane<'a> {
    provider: &'a dyn Provider,
    policy: Policy,
    asker: &'a Asker<'a>,
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    ready: VecDeque<Sending>,
    later: BinaryHeap<Reverse<Later>>,
    pace: Pace,
    threads: usize,
    /// No more draws come.
    is_last: bool,
    closed: Option<Closed>,
    /// A thread is asking the server what it serves.
    looking: bool,
    served: BTreeMap<String, Option<String>>,
    answers: u64,
    /// When it was last told that an attempt is repeated.
    told: Option<Duration>,
    first_failures: Vec<FailureCode>,
}

struct Sending {
    draw: Claimed,
    attempts: u32,
    first_sent: Option<Duration>,
    /// What is set aside for the attempt that is under way.
    reserved: Option<Reservation>,
}

/// Says whether a request can be paid for.
enum Reserve {
    /// It is set aside; nothing is, where there is no price and no limit.
    Done(Option<Reservation>),
    /// Perhaps, once something that is in flight has ended.
    Later,
    /// No, and why.
    Never(String),
}

/// Waits in the queue until its time.
struct Later(Duration, DrawId, Sending);

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Later {}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Later {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// How many first requests have to fail alike, with no answer among them, for a provider to be stopped.
const FIRST: usize = 8;
/// How many draws may wait for their next attempt before no more are claimed.
const MOST_LATER: usize = 1024;
/// How often a server is asked what it serves before it counts as unreachable.
const LOOKS: u32 = 3;
/// How long it is silent after it told that an attempt is repeated.
const TELL: Duration = Duration::from_secs(10);
/// How long a thread sleeps at most before it looks at the stop flag.
const LOOK_UP: Duration = Duration::from_millis(100);
/// The stack of a thread that sends.
const STACK: usize = 512 << 10;

/// Is where a lane's threads put what they did.
#[derive(Clone)]
pub(super) struct Outlets {
    pub(super) log: Sender<Attempt>,
    pub(super) inbox: Sender<Message>,
}

impl<'a> Lane<'a> {
    pub(super) fn new(provider: &'a dyn Provider, policy: Policy, asker: &'a Asker<'a>) -> Self {
        let state = State {
            ready: VecDeque::new(),
            later: BinaryHeap::new(),
            pace: Pace::new(&policy),
            threads: 0,
            is_last: false,
            closed: None,
            looking: false,
            served: BTreeMap::new(),
            answers: 0,
            told: None,
            first_failures: Vec::new(),
        };
        Self { provider, policy, asker, state: Mutex::new(state), wake: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many more draws it takes: enough to keep its threads busy, and few enough that others may claim the rest.
    pub(super) fn room(&self) -> usize {
        let state = self.state();
        let most = (2 * state.pace.limit()).max(32);
        // Draws that wait for their next attempt take no thread, and hold up the others only when they are very many.
        let waiting = state.later.len().saturating_sub(most.max(MOST_LATER));
        // Little room is not worth a claim of its own.
        let room = most.saturating_sub(state.ready.len() + waiting);
        if room * 2 >= most { room } else { 0 }
    }

    /// Returns why it sends nothing more, if that is so.
    pub(super) fn closed(&self) -> Option<Closed> {
        self.state().closed.clone()
    }

    /// Takes claimed draws, to be sent in this order.
    pub(super) fn feed<'s>(&'s self, scope: &'s Scope<'s, '_>, outlets: &Outlets, draws: Vec<Claimed>) {
        let mut state = self.state();
        state.ready.extend(draws.into_iter().map(|draw| Sending {
            draw,
            attempts: 0,
            first_sent: None,
            reserved: None,
        }));
        self.staff(scope, outlets, &mut state);
        drop(state);
        self.wake.notify_all();
    }

    /// Sends nothing more, because nothing more can be logged.
    pub(super) fn break_off(&self) {
        self.state().closed.get_or_insert(Closed::Stopped);
        self.wake.notify_all();
    }

    /// Says that no more draws come: its threads end when the queue is empty.
    pub(super) fn end(&self) {
        self.state().is_last = true;
        self.wake.notify_all();
    }

    /// Starts as many threads as there may be requests in flight, and as there are draws to send.
    fn staff<'s>(&'s self, scope: &'s Scope<'s, '_>, outlets: &Outlets, state: &mut State) {
        let waiting = state.ready.len() + state.later.len();
        let wanted = state.pace.limit().min(state.pace.in_flight() + waiting);
        while state.threads < wanted {
            let outlets = outlets.clone();
            let thread = std::thread::Builder::new().stack_size(STACK);
            if thread.spawn_scoped(scope, move || self.work(scope, &outlets)).is_err() {
                // Those that there are do the work; with none at all the machine cannot go on anyway.
                break;
            }
            state.threads += 1;
        }
    }

    /// Sends until nothing is left and no more comes.
    fn work<'s>(&'s self, scope: &'s Scope<'s, '_>, outlets: &Outlets) {
        let mut line = self.provider.open();
        while let Some(mut sending) = self.next(&mut line, outlets) {
            let draw = sending.draw.clone();
            // Where the process dies before the answer comes, the ledger knows that it may have been paid for.
            if let Err(error) = self.asker.session.log_intents(&[draw.address]) {
                if let Some(reserved) = sending.reserved.take() {
                    reserved.release();
                }
                self.state().pace.failed(self.asker.clock.monotonic(), &RateLimits::default());
                drop(outlets.inbox.send(Message::Broken(error.into())));
                drop(outlets.inbox.send(Message::Returned(vec![draw.id])));
                continue;
            }
            let sent = self.asker.clock.monotonic();
            sending.attempts += 1;
            let first = *sending.first_sent.get_or_insert(sent);
            let mut given = self.provider.answer(&mut line, &draw.request, &draw.address);
            given.circumstances.attempts = Some(sending.attempts);
            given.circumstances.server_revision = self.state().served.get(&draw.request.model).cloned().flatten();
            let written = self.write(&draw, &mut given);
            let is_last = self.conclude(sending, &mut given, sent, first);
            drop(outlets.log.send(Attempt { id: draw.id, address: draw.address, given, is_last, written }));
            self.staff(scope, outlets, &mut self.state());
        }
    }

    /// Writes an answer to the log before anything else is sent in its place: what a killed build has to buy again is no more
    /// than was in flight. Where that fails, the logger tries again with the group, and tells of the failure.
    fn write(&self, draw: &Claimed, given: &mut Given) -> Option<Written> {
        let Outcome::Answer(answer) = &given.outcome else { return None };
        given.circumstances.logged_at = Some(self.asker.clock.now());
        let logged = LoggedDraw {
            address: draw.address,
            answer: answer.clone(),
            circumstances: given.circumstances.clone(),
            raw: std::mem::take(&mut given.raw),
        };
        let written = self.asker.session.write_draw(&logged);
        if written.is_err() {
            given.raw = logged.raw;
        }
        written.ok()
    }

    /// Waits for a draw to send; `None` when there are none and no more come.
    fn next(&self, line: &mut Line, outlets: &Outlets) -> Option<Sending> {
        let mut state = self.state();
        loop {
            let now = self.asker.clock.monotonic();
            if state.closed.is_some() || self.asker.stop.is_raised() {
                let returned = state.take_all();
                if !returned.is_empty() {
                    drop(outlets.inbox.send(Message::Returned(returned)));
                }
            }
            while state.later.peek().is_some_and(|Reverse(later)| later.0 <= now) {
                if let Some(Reverse(Later(_, _, sending))) = state.later.pop() {
                    state.ready.push_front(sending);
                }
            }
            let Some(next) = state.ready.front() else {
                if state.is_last && state.later.is_empty() {
                    state.threads -= 1;
                    return None;
                }
                let due = state.later.peek().map(|Reverse(later)| later.0);
                state = self.sleep(state, now, due);
                continue;
            };
            let request = next.draw.request.clone();
            if state.looking {
                state = self.sleep(state, now, None);
            } else if state.served.contains_key(&request.model) {
                let tokens = tokens_of(&request);
                match state.pace.ready(now, tokens) {
                    Ready::Now => match self.reserve(&request) {
                        Reserve::Done(reserved) => {
                            let mut sending = state.ready.pop_front()?;
                            sending.reserved = reserved;
                            state.pace.sent(tokens);
                            return Some(sending);
                        }
                        Reserve::Later => state = self.sleep(state, now, None),
                        Reserve::Never(why) => self.close(&mut state, Closed::OverBudget, why),
                    },
                    Ready::At(at) => state = self.sleep(state, now, Some(at)),
                    Ready::AfterOne => state = self.sleep(state, now, None),
                }
            } else {
                state.looking = true;
                drop(state);
                let looked = self.look(line, &request.model);
                state = self.state();
                state.looking = false;
                match looked {
                    Ok(revision) => drop(state.served.insert(request.model.clone(), revision)),
                    Err(why) => self.close(&mut state, Closed::Stopped, why),
                }
                self.wake.notify_all();
            }
        }
    }

    /// Sets the most that a request can cost aside.
    fn reserve(&self, request: &Request) -> Reserve {
        let budget = self.asker.budget;
        match self.asker.tariffs.ceiling(request) {
            Ceiling::Known(ceiling) => match budget.reserve(ceiling) {
                Some(reserved) => Reserve::Done(Some(reserved)),
                // What is in flight may cost less than was set aside for it.
                None if budget.spending().reserved > Money::ZERO => Reserve::Later,
                None => Reserve::Never("the next request could cost more than is left of the budget".to_owned()),
            },
            Ceiling::Unknown if budget.limit().is_none() => Reserve::Done(None),
            Ceiling::Unknown => Reserve::Never(format!(
                "nothing bounds what a request to `{}` costs, and there is a budget: give the model a `price:`, and \
                 `max_output_tokens`",
                request.model
            )),
        }
    }

    fn sleep<'g>(&self, state: MutexGuard<'g, State>, now: Duration, until: Option<Duration>) -> MutexGuard<'g, State> {
        let wait = until.map_or(LOOK_UP, |until| until.saturating_sub(now).clamp(Duration::from_millis(1), LOOK_UP));
        self.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Asks the server what it serves, and compares it with what is expected.
    fn look(&self, line: &mut Line, model: &str) -> Result<Option<String>, String> {
        let mut tries = 0;
        let served = loop {
            tries += 1;
            match self.provider.look(line, model) {
                Ok(served) => break served,
                Err(LookError { why, may_pass }) if !may_pass || tries == LOOKS || self.asker.stop.is_raised() => {
                    return Err(why);
                }
                Err(_) => std::thread::sleep(self.policy.first_wait.saturating_mul(tries)),
            }
        };
        let Some(served) = served else { return Ok(None) };
        self.asker.expected.check(self.provider.identity(), model, &served)?;
        let Served { revision, .. } = &served;
        let revision = revision.clone();
        (self.asker.events)(Event::Looked {
            provider: self.provider.identity().0.clone(),
            model: model.to_owned(),
            revision: revision.clone(),
            context_length: served.context_length,
            note: served.note,
        });
        Ok(revision)
    }

    /// Takes the end of an attempt: says whether it was the last one of its draw, and puts it back into the queue if not.
    fn conclude(&self, mut sending: Sending, given: &mut Given, sent: Duration, first: Duration) -> bool {
        if let Some(reserved) = sending.reserved.take() {
            self.pay(reserved, &sending.draw.request, given);
        }
        let now = self.asker.clock.monotonic();
        let mut state = self.state();
        let Outcome::Failure(code) = given.outcome else {
            state.answers += 1;
            state.pace.answered(now, &given.limits);
            self.wake.notify_one();
            return true;
        };
        let is_uncertain = given.circumstances.billed == Some(Billed::Uncertain);
        let next = match &given.advice {
            Advice::Retry { after, .. } if self.policy.retry_uncertain || !is_uncertain => {
                let jitter = jitter(&sending.draw.id, sending.attempts);
                self.policy.next(sending.attempts, now.saturating_sub(first), *after, jitter)
            }
            _ => Next::GiveUp,
        };
        match &given.advice {
            Advice::Retry { after, overloaded: true } => {
                // The queue waits as long as the provider asks; the draw itself waits longer, by its backoff.
                let wait = after.unwrap_or_default().min(self.policy.max_wait);
                state.pace.refused(now, sent, wait, &given.limits);
            }
            _ => state.pace.failed(now, &given.limits),
        }
        if let Advice::StopProvider { why } = &given.advice {
            self.close(&mut state, Closed::Stopped, why.clone());
        }
        let is_last = match next {
            Next::Again(wait) => {
                self.tell(&mut state, now, code, given, wait);
                let id = sending.draw.id;
                state.later.push(Reverse(Later(now + wait, id, sending)));
                false
            }
            Next::Park(wait) => {
                let seconds = wait.as_secs();
                let why = format!("the provider asks to be left alone for {seconds} s; build again after that");
                self.close(&mut state, Closed::Parked(wait), why);
                // It goes back with the rest of the queue.
                state.ready.push_front(sending);
                false
            }
            Next::GiveUp => {
                state.first_failures.push(code);
                true
            }
        };
        if state.answers == 0 && state.closed.is_none() && state.first_failures.len() >= FIRST {
            let alike = state.first_failures.iter().all(|other| *other == code);
            if alike {
                let said = given.circumstances.note.as_deref().map_or_else(String::new, |note| format!(": {note}"));
                let why = format!("the first {FIRST} requests all failed with `{}`{said}", code.as_str());
                self.close(&mut state, Closed::Stopped, why);
            }
        }
        drop(state);
        self.wake.notify_one();
        is_last
    }

    /// Tells that an attempt is repeated, unless it did so a short while ago: who waits wants to know for what.
    fn tell(&self, state: &mut State, now: Duration, code: FailureCode, given: &Given, wait: Duration) {
        if state.told.is_some_and(|told| now.saturating_sub(told) < TELL) {
            return;
        }
        state.told = Some(now);
        let said = given.circumstances.note.as_deref().map_or_else(String::new, |note| format!(": {note}"));
        let why = format!("{}{said}", code.as_str());
        (self.asker.events)(Event::AskedAgain { provider: self.provider.identity().0.clone(), why, wait });
    }

    /// Counts what an attempt cost.
    fn pay(&self, reserved: Reservation, request: &Request, given: &Given) {
        match &given.outcome {
            Outcome::Answer(answer) => {
                let price =
                    self.asker.tariffs.price(&request.provider, &request.model, &answer.usage, &given.circumstances);
                match price {
                    Some(price) => reserved.settle(price),
                    None if reserved.ceiling() == Money::ZERO => reserved.release(),
                    None => reserved.leave_uncertain(),
                }
            }
            Outcome::Failure(_) if given.circumstances.billed == Some(Billed::No) => reserved.release(),
            Outcome::Failure(_) => reserved.leave_uncertain(),
        }
    }

    fn close(&self, state: &mut State, closed: Closed, why: String) {
        if state.closed.is_none() {
            state.closed = Some(closed);
            (self.asker.events)(Event::ProviderStopped { provider: self.provider.identity().0.clone(), why });
            self.wake.notify_all();
        }
    }
}

impl State {
    fn take_all(&mut self) -> Vec<DrawId> {
        let ready = self.ready.drain(..).map(|sending| sending.draw.id);
        let later = self.later.drain().map(|Reverse(Later(_, id, _))| id);
        ready.chain(later).collect()
    }
}

/// Estimates how many tokens a request asks for: four bytes of its text for one, and the most it may answer.
fn tokens_of(request: &Request) -> u64 {
    let bytes: usize = request.messages.iter().map(|message| message.content.len()).sum();
    bytes as u64 / 4 + u64::from(request.decoding.max_output_tokens.unwrap_or(256))
}

/// Returns a number in [0, 1) that differs between draws and attempts and is the same on every machine.
fn jitter(id: &DrawId, attempt: u32) -> f64 {
    let bytes = id.digest().as_bytes();
    let at = (attempt as usize * 2) % 30;
    f64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])) / 65_536.0
}
