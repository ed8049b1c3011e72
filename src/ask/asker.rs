use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rayon::prelude::*;

use super::{AskError, Providers, Settled, Settlement, Ticket, WantedDraw};
use crate::digest::DrawId;
use crate::flow::{Clock, Event, Events, StopFlag};
use crate::provider::{Given, Line};
use crate::request::{DrawAddress, Outcome};
use crate::store::{Claim, LoggedDraw, LoggedFailure, Session, StoreError};

/// Counts what became of the draws that were wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Found in the store, or answered by another build while this one waited.
    pub reused: u64,
    /// Sent by this build and answered.
    pub sent: u64,
    /// Sent by this build and failed.
    pub failed: u64,
}

/// Settles tickets, one batch of them after another, in a thread of its own.
pub struct Asker<'a> {
    session: &'a Session,
    providers: &'a Providers,
    clock: &'a Clock,
    stop: &'a StopFlag,
    events: &'a Events<'a>,
}

/// How many draws are taken on at once: enough to share one durable write, few enough to hold.
const BATCH: usize = 8192;
/// How many answers share one write to the log.
const CHUNK: usize = 4096;
/// How long to wait before looking again at draws that another build holds.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

struct Open {
    owner: u32,
    unsettled: HashSet<DrawId>,
    draws: HashMap<DrawId, Settled>,
}

struct Waiting<'w> {
    wanted: HashMap<DrawId, WantedDraw>,
    tickets: Vec<Open>,
    done: &'w mut (dyn FnMut(Settlement) + Send),
    counts: Counts,
}

impl Waiting<'_> {
    fn add(&mut self, ticket: Ticket) {
        let mut open = Open { owner: ticket.owner, unsettled: HashSet::new(), draws: HashMap::new() };
        for wanted in ticket.wanted {
            let id = wanted.address.id();
            open.unsettled.insert(id);
            self.wanted.entry(id).or_insert(wanted);
        }
        self.tickets.push(open);
    }

    fn settle(&mut self, settled: &HashMap<DrawId, Settled>) {
        for id in settled.keys() {
            self.wanted.remove(id);
        }
        for open in &mut self.tickets {
            let found: Vec<DrawId> = open.unsettled.iter().filter(|id| settled.contains_key(id)).copied().collect();
            for id in found {
                open.unsettled.remove(&id);
                open.draws.insert(id, settled[&id].clone());
            }
        }
        let mut rest = Vec::new();
        for open in self.tickets.drain(..) {
            if open.unsettled.is_empty() {
                (self.done)(Settlement { owner: open.owner, draws: Ok(open.draws) });
            } else {
                rest.push(open);
            }
        }
        self.tickets = rest;
    }

    fn fail(&mut self, error: &AskError) {
        self.wanted.clear();
        for open in self.tickets.drain(..) {
            (self.done)(Settlement { owner: open.owner, draws: Err(error.clone()) });
        }
    }
}

impl<'a> Asker<'a> {
    /// Makes an asker that logs through `session`.
    pub fn new(
        session: &'a Session,
        providers: &'a Providers,
        clock: &'a Clock,
        stop: &'a StopFlag,
        events: &'a Events<'a>,
    ) -> Self {
        Self { session, providers, clock, stop, events }
    }

    /// Settles tickets until the sender is gone and none is open; returns the counts.
    pub fn serve(&self, tickets: &Receiver<Ticket>, done: &mut (dyn FnMut(Settlement) + Send)) -> Counts {
        let mut waiting = Waiting { wanted: HashMap::new(), tickets: Vec::new(), done, counts: Counts::default() };
        let mut open = true;
        while open || !waiting.tickets.is_empty() {
            if waiting.tickets.is_empty() {
                match tickets.recv() {
                    Ok(ticket) => waiting.add(ticket),
                    Err(_) => break,
                }
            } else {
                match tickets.recv_timeout(LOOK_AGAIN) {
                    Ok(ticket) => waiting.add(ticket),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => {
                        open = false;
                        std::thread::sleep(LOOK_AGAIN);
                    }
                }
            }
            while waiting.wanted.len() < BATCH
                && let Ok(ticket) = tickets.try_recv()
            {
                waiting.add(ticket);
            }
            if let Err(error) = self.round(&mut waiting) {
                waiting.fail(&error);
            }
        }
        waiting.counts
    }

    /// Takes every wanted draw one step on: reused, sent, or still held by another build.
    fn round(&self, waiting: &mut Waiting<'_>) -> Result<(), AskError> {
        if waiting.wanted.is_empty() {
            waiting.settle(&HashMap::new());
            return Ok(());
        }
        if self.stop.is_raised() {
            return Err(AskError::Stopped);
        }
        let store = |error: StoreError| AskError::Store(Arc::new(error));
        let mut addresses: Vec<DrawAddress> = waiting.wanted.values().map(|wanted| wanted.address).collect();
        addresses.sort_unstable();
        self.reuse(&addresses, waiting)?;
        addresses.retain(|address| waiting.wanted.contains_key(&address.id()));

        let mut mine = Vec::new();
        let mut elsewhere = 0;
        let mut holder = None;
        let claims = self.session.claim(&addresses).map_err(store)?;
        let mut recorded = Vec::new();
        for (address, claim) in addresses.iter().zip(claims) {
            match claim {
                Claim::Mine => mine.push(*address),
                Claim::Recorded => recorded.push(*address),
                Claim::Elsewhere { session } => {
                    elsewhere += 1;
                    holder.get_or_insert(session);
                }
            }
        }
        self.reuse(&recorded, waiting)?;
        if let Some(lost) = recorded.iter().find(|address| waiting.wanted.contains_key(&address.id())) {
            return Err(AskError::Damaged { draw: lost.id().to_string() });
        }
        if let Some(session) = holder {
            (self.events)(Event::Waiting { draws: elsewhere, session });
        }
        if let Err(error) = self.send(&mine, waiting) {
            // What was claimed and not logged is free for others at once, not only when this process ends.
            let unsent: Vec<DrawAddress> =
                mine.into_iter().filter(|address| waiting.wanted.contains_key(&address.id())).collect();
            self.session.release(&unsent).map_err(store)?;
            return Err(error);
        }
        Ok(())
    }

    fn reuse(&self, addresses: &[DrawAddress], waiting: &mut Waiting<'_>) -> Result<(), AskError> {
        let found = self.session.store().draws(addresses).map_err(|error| AskError::Store(Arc::new(error)))?;
        let settled: HashMap<DrawId, Settled> =
            addresses.iter().zip(found).filter_map(|(address, draw)| Some((address.id(), Ok(draw?.answer)))).collect();
        if !settled.is_empty() {
            let reused = settled.len() as u64;
            waiting.counts.reused += reused;
            (self.events)(Event::Drawn { reused, sent: 0, failed: 0 });
        }
        waiting.settle(&settled);
        Ok(())
    }

    fn send(&self, mine: &[DrawAddress], waiting: &mut Waiting<'_>) -> Result<(), AskError> {
        let store = |error: StoreError| AskError::Store(Arc::new(error));
        if let Some(identity) = mine.iter().find_map(|address| {
            let identity = &waiting.wanted.get(&address.id())?.request.provider;
            self.providers.find(identity).is_none().then(|| identity.0.clone())
        }) {
            return Err(AskError::NoProvider { identity, missing: mine.len() });
        }
        for chunk in mine.chunks(CHUNK) {
            if self.stop.is_raised() {
                return Err(AskError::Stopped);
            }
            let logged_at = self.clock.now();
            let wanted = &waiting.wanted;
            let given: Vec<(DrawAddress, Given)> = chunk
                .par_iter()
                .filter_map(|address| {
                    let request = &wanted.get(&address.id())?.request;
                    Some((
                        *address,
                        self.providers.find(&request.provider)?.answer(&mut Line::default(), request, address),
                    ))
                })
                .collect();
            let mut settled = HashMap::with_capacity(given.len());
            let (mut draws, mut failures) = (Vec::new(), Vec::new());
            for (address, given) in given {
                let mut circumstances = given.circumstances;
                circumstances.logged_at = Some(logged_at.clone());
                match given.outcome {
                    Outcome::Answer(answer) => {
                        settled.insert(address.id(), Ok(answer.clone()));
                        draws.push(LoggedDraw { address, answer, circumstances, raw: given.raw });
                    }
                    Outcome::Failure(code) => {
                        settled.insert(address.id(), Err(code));
                        failures.push(LoggedFailure { address, code, circumstances, raw: given.raw });
                    }
                }
            }
            self.session.log_draws(&draws).map_err(store)?;
            if !failures.is_empty() {
                self.session.log_failures(&failures).map_err(store)?;
                let failed: Vec<DrawAddress> = failures.iter().map(|failure| failure.address).collect();
                self.session.release(&failed).map_err(store)?;
            }
            let (sent, failed) = (draws.len() as u64, failures.len() as u64);
            waiting.counts.sent += sent;
            waiting.counts.failed += failed;
            (self.events)(Event::Drawn { reused: 0, sent, failed });
            waiting.settle(&settled);
        }
        Ok(())
    }
}
