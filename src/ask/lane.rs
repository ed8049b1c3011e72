use std::cmp::Reverse;
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::Duration;

use super::lane_state::{Closed, LaneState};
use super::logger::Attempt;
use super::pace::Ready;
use super::policy::Next;
use super::sending::{Later, Sending};
use super::ticket::Message;
use super::waiting::Claimed;
use super::{Asker, Ceiling, Policy};
use crate::digest::DrawId;
use crate::flow::{Event, Money, Reservation};
use crate::provider::{Advice, Given, Line, LookError, Provider, RateLimits, Served};
use crate::request::{Billed, FailureCode, Outcome, Request};
use crate::store::{LoggedDraw, Written};

/// Is the way to one provider over a network: a queue, threads that send, and what was learnt of its limits.
///
/// A failed attempt that may be repeated goes back into the queue with the time before which it is not sent again; no
/// thread waits for it.
pub(super) struct Lane<'a> {
    provider: &'a dyn Provider,
    policy: Policy,
    asker: &'a Asker<'a>,
    state: Mutex<LaneState>,
    wake: Condvar,
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

/// Says what a thread that would send does next.
enum Turn {
    /// It sends this.
    Send(Box<Sending>),
    /// There is nothing to send.
    Empty,
    /// The server is asked first what it serves for this model.
    Look(String),
    /// It waits, until a time or until something has ended.
    Wait(Option<Duration>),
    /// Nothing more can be paid for.
    Closed,
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
        let state = LaneState::new(&policy);
        Self { provider, policy, asker, state: Mutex::new(state), wake: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, LaneState> {
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
        // What is known of a request is found out before the lock is taken: all threads that send wait for it.
        let tariffs = self.asker.tariffs;
        let sendings: Vec<Sending> =
            draws.into_iter().map(|draw| Sending::new(tariffs.ceiling(&draw.request), draw)).collect();
        let mut state = self.state();
        state.ready.extend(sendings);
        self.staff(scope, outlets, &mut state);
        drop(state);
        // All of them: how many may be in flight rises only where so many are.
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

    /// Starts as many threads as there may be requests in flight, and as there are draws to send; wakes one that is idle where
    /// it could send.
    fn staff<'s>(&'s self, scope: &'s Scope<'s, '_>, outlets: &Outlets, state: &mut LaneState) {
        if state.idle > 0 && state.can_send() {
            self.wake.notify_one();
        }
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
        let mut noted = None;
        loop {
            let sending = if let Some(sending) = noted.take() {
                sending
            } else {
                let Some(mut sending) = self.next(&mut line, outlets) else { break };
                if let Err(error) = self.asker.session.log_intents(&[sending.draw.address]) {
                    drop(self.release(&mut sending));
                    drop(outlets.inbox.send(Message::Broken(error.into())));
                    drop(outlets.inbox.send(Message::Returned(vec![sending.draw.id])));
                    continue;
                }
                sending
            };
            noted = self.send(scope, sending, &mut line, outlets);
        }
    }

    /// Lets go of what was set aside for a draw that is not sent after all.
    fn release(&self, sending: &mut Sending) -> MutexGuard<'_, LaneState> {
        if let Some(reserved) = sending.reserved.take() {
            reserved.release();
        }
        let mut state = self.state();
        state.pace.failed(self.asker.clock.monotonic(), &RateLimits::default());
        state
    }

    /// Sends a draw of which the log says that it is sent: where the process dies before the answer comes, the ledger knows
    /// that it may have been paid for. Returns the draw that takes its place, where the log says the same of it already.
    fn send<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        mut sending: Sending,
        line: &mut Line,
        outlets: &Outlets,
    ) -> Option<Sending> {
        let draw = sending.draw.clone();
        let sent = self.asker.clock.monotonic();
        sending.attempts += 1;
        let first = *sending.first_sent.get_or_insert(sent);
        let mut given = self.provider.answer(line, &draw.request, &draw.address);
        given.circumstances.attempts = Some(sending.attempts);
        given.circumstances.server_revision = sending.revision.take();
        let mut following = self.following(&given);
        let written = self.write(&draw, &mut given, following.as_ref());
        if written.is_none()
            && let Some(mut following) = following.take()
        {
            self.release(&mut following).ready.push_front(following);
        }
        let is_last = self.conclude(sending, &mut given, sent, first);
        // What has ended may have shown that more may be in flight than there are threads at work.
        self.staff(scope, outlets, &mut self.state());
        drop(outlets.log.send(Attempt { id: draw.id, address: draw.address, given, is_last, written }));
        following
    }

    /// Takes the draw that is sent once an answer is in the log, in the place of the one that it answers; none, where there is
    /// none to be sent at once.
    fn following(&self, given: &Given) -> Option<Sending> {
        let has_left = |left: Option<u64>| left != Some(0);
        let goes_on = has_left(given.limits.requests_left) && has_left(given.limits.tokens_left);
        if !goes_on || !matches!(given.outcome, Outcome::Answer(_)) || self.asker.stop.is_raised() {
            return None;
        }
        let mut state = self.state();
        if state.closed.is_some() {
            return None;
        }
        match self.turn(&mut state, self.asker.clock.monotonic(), 1) {
            Turn::Send(sending) => Some(*sending),
            Turn::Empty | Turn::Look(_) | Turn::Wait(_) | Turn::Closed => None,
        }
    }

    /// Writes an answer to the log before anything else is sent in its place: what a killed build has to buy again is no more
    /// than was in flight. Where that fails, the logger tries again with the group, and tells of the failure. With it the log
    /// is told of the draw that is sent next.
    fn write(&self, draw: &Claimed, given: &mut Given, next: Option<&Sending>) -> Option<Written> {
        let Outcome::Answer(answer) = &given.outcome else { return None };
        given.circumstances.logged_at = Some(self.asker.clock.now());
        let logged = LoggedDraw {
            address: draw.address,
            answer: answer.clone(),
            circumstances: given.circumstances.clone(),
            raw: std::mem::take(&mut given.raw),
        };
        let written = self.asker.session.write_draw(&logged, next.map(|next| &next.draw.address));
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
            match self.turn(&mut state, now, 0) {
                Turn::Send(sending) => {
                    // Whoever takes one wakes the next, as long as there is something to send and somebody idle: the thread
                    // that an answer frees sends again itself.
                    let wakes = state.idle > 0 && state.can_send();
                    drop(state);
                    if wakes {
                        self.wake.notify_one();
                    }
                    return Some(*sending);
                }
                Turn::Empty if state.is_last && state.later.is_empty() => {
                    state.threads -= 1;
                    return None;
                }
                Turn::Empty => {
                    let due = state.later.peek().map(|Reverse(later)| later.0);
                    state = self.sleep(state, now, due);
                }
                Turn::Wait(until) => state = self.sleep(state, now, until),
                Turn::Closed => {}
                Turn::Look(model) => {
                    state.looking = true;
                    drop(state);
                    let looked = self.look(line, &model);
                    state = self.state();
                    state.looking = false;
                    match looked {
                        Ok(revision) => drop(state.served.insert(model, revision)),
                        Err(why) => self.close(&mut state, Closed::Stopped, why),
                    }
                    self.wake.notify_all();
                }
            }
        }
    }

    /// Takes the draw whose turn it is, if it can be sent now; `freed` of those in flight are about to end.
    fn turn(&self, state: &mut LaneState, now: Duration, freed: usize) -> Turn {
        while state.later.peek().is_some_and(|Reverse(later)| later.0 <= now) {
            if let Some(Reverse(Later(_, _, sending))) = state.later.pop() {
                state.ready.push_front(sending);
            }
        }
        let Some(next) = state.ready.front() else { return Turn::Empty };
        let (request, tokens, ceiling) = (next.draw.request.clone(), next.tokens, next.ceiling);
        if state.looking {
            return Turn::Wait(None);
        }
        let Some(revision) = state.served.get(&request.model).cloned() else {
            return Turn::Look(request.model.clone());
        };
        match state.pace.ready(now, tokens, freed) {
            Ready::Now => match self.reserve(&request, ceiling) {
                Reserve::Done(reserved) => {
                    let Some(mut sending) = state.ready.pop_front() else { return Turn::Empty };
                    (sending.reserved, sending.revision) = (reserved, revision);
                    state.pace.sent(tokens);
                    Turn::Send(Box::new(sending))
                }
                Reserve::Later => Turn::Wait(None),
                Reserve::Never(why) => {
                    self.close(state, Closed::OverBudget, why);
                    Turn::Closed
                }
            },
            Ready::At(at) => Turn::Wait(Some(at)),
            Ready::AfterOne => Turn::Wait(None),
        }
    }

    /// Sets the most that a request can cost aside.
    fn reserve(&self, request: &Request, ceiling: Ceiling) -> Reserve {
        let budget = self.asker.budget;
        match ceiling {
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

    fn sleep<'g>(
        &self,
        mut state: MutexGuard<'g, LaneState>,
        now: Duration,
        until: Option<Duration>,
    ) -> MutexGuard<'g, LaneState> {
        let wait = until.map_or(LOOK_UP, |until| until.saturating_sub(now).clamp(Duration::from_millis(1), LOOK_UP));
        state.idle += 1;
        let mut state = self.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        state.idle -= 1;
        state
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
        is_last
    }

    /// Tells that an attempt is repeated, unless it did so a short while ago: who waits wants to know for what.
    fn tell(&self, state: &mut LaneState, now: Duration, code: FailureCode, given: &Given, wait: Duration) {
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

    fn close(&self, state: &mut LaneState, closed: Closed, why: String) {
        if state.closed.is_none() {
            state.closed = Some(closed);
            (self.asker.events)(Event::ProviderStopped { provider: self.provider.identity().0.clone(), why });
            self.wake.notify_all();
        }
    }
}

/// Returns a number in [0, 1) that differs between draws and attempts and is the same on every machine.
fn jitter(id: &DrawId, attempt: u32) -> f64 {
    let bytes = id.digest().as_bytes();
    let at = (attempt as usize * 2) % 30;
    f64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])) / 65_536.0
}
