use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{AskError, Settled, Settlement, Ticket};
use crate::digest::DrawId;
use crate::flow::Tally;
use crate::request::{DrawAddress, FailureCode, ProviderIdentity, Request};

/// Is a draw that this build has claimed, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) id: DrawId,
    pub(super) address: DrawAddress,
    pub(super) request: Arc<Request>,
    /// Its place in the order of asking: equal for all arms of an item.
    pub(super) turn: u64,
}

/// Says where a wanted draw is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not looked for yet.
    New,
    /// The store does not have it; nobody was asked to get it.
    Missing,
    /// Another build has claimed it.
    Elsewhere,
    /// Claimed, and handed to a lane.
    Out,
}

#[derive(Debug)]
struct Wanted {
    draw: Claimed,
    phase: Phase,
    owners: Vec<u32>,
}

#[derive(Debug)]
struct Open {
    left: usize,
    draws: BTreeMap<DrawId, Settled>,
}

/// Is the place of a draw in the order of asking.
type Turn = (u64, u32, DrawId);

/// Holds the open tickets, and every draw that one of them wants, once.
pub(super) struct Waiting<'w> {
    draws: HashMap<DrawId, Box<Wanted>>,
    new: Vec<DrawId>,
    missing: HashMap<ProviderIdentity, BTreeSet<Turn>>,
    elsewhere: BTreeSet<DrawId>,
    tickets: HashMap<u32, Open>,
    out: usize,
    tally: Tally,
    tallies: BTreeMap<u32, Tally>,
    done: &'w mut (dyn FnMut(Settlement) + Send),
}

impl<'w> Waiting<'w> {
    /// Starts with no ticket; `done` gets each settlement.
    pub(super) fn new(done: &'w mut (dyn FnMut(Settlement) + Send)) -> Self {
        Self {
            draws: HashMap::new(),
            new: Vec::new(),
            missing: HashMap::new(),
            elsewhere: BTreeSet::new(),
            tickets: HashMap::new(),
            out: 0,
            tally: Tally::default(),
            tallies: BTreeMap::new(),
            done,
        }
    }

    /// Takes a ticket in. Draws that were rejected before are not asked; they have failed.
    pub(super) fn add(&mut self, ticket: Ticket) {
        let owner = ticket.owner;
        let mut left = 0;
        let mut draws = BTreeMap::new();
        for wanted in ticket.wanted {
            let id = wanted.address.id();
            if wanted.is_rejected {
                draws.insert(id, Err(FailureCode::Rejected));
                continue;
            }
            match self.draws.entry(id) {
                Entry::Occupied(entry) => {
                    let owners = &mut entry.into_mut().owners;
                    if owners.contains(&owner) {
                        continue;
                    }
                    owners.push(owner);
                }
                Entry::Vacant(entry) => {
                    let draw = Claimed { id, address: wanted.address, request: wanted.request, turn: wanted.turn };
                    entry.insert(Box::new(Wanted { draw, phase: Phase::New, owners: vec![owner] }));
                    self.new.push(id);
                }
            }
            left += 1;
        }
        let rejected = Tally { failed: draws.len() as u64, ..Tally::default() };
        self.tally += rejected;
        *self.tallies.entry(owner).or_default() += rejected;
        self.tickets.insert(owner, Open { left, draws });
        if left == 0 {
            self.end(owner);
        }
    }

    /// Says whether no ticket is open and nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.tickets.is_empty() && self.out == 0
    }

    /// Returns the address of a draw that is wanted.
    pub(super) fn address(&self, id: &DrawId) -> Option<DrawAddress> {
        self.draws.get(id).map(|wanted| wanted.draw.address)
    }

    /// Returns who is to answer a draw that is wanted.
    pub(super) fn provider_of(&self, id: &DrawId) -> Option<ProviderIdentity> {
        self.draws.get(id).map(|wanted| wanted.draw.request.provider.clone())
    }

    /// Lists what is missing of a provider.
    pub(super) fn ids_of(&self, identity: &ProviderIdentity) -> Vec<DrawId> {
        self.missing.get(identity).into_iter().flatten().map(|(_, _, id)| *id).collect()
    }

    /// Counts what is missing of a provider.
    pub(super) fn count_of(&self, identity: &ProviderIdentity) -> usize {
        self.missing.get(identity).map_or(0, BTreeSet::len)
    }

    /// Takes the draws that were not looked for yet.
    pub(super) fn take_new(&mut self) -> Vec<DrawAddress> {
        let new = std::mem::take(&mut self.new);
        new.iter().filter_map(|id| Some(self.draws.get(id)?.draw.address)).collect()
    }

    /// Says whether others have claimed some of the draws.
    pub(super) fn has_elsewhere(&self) -> bool {
        !self.elsewhere.is_empty()
    }

    /// Lists the draws that others have claimed.
    pub(super) fn elsewhere(&self) -> Vec<DrawAddress> {
        self.elsewhere.iter().filter_map(|id| Some(self.draws.get(id)?.draw.address)).collect()
    }

    /// Lists who is to be asked for what is missing.
    pub(super) fn asked(&self) -> Vec<ProviderIdentity> {
        self.missing.iter().filter(|(_, turns)| !turns.is_empty()).map(|(identity, _)| identity.clone()).collect()
    }

    /// Returns the missing draws whose turn it is, at most `count`.
    pub(super) fn next_of(&self, identity: &ProviderIdentity, count: usize) -> Vec<DrawAddress> {
        let turns = self.missing.get(identity).into_iter().flatten().take(count);
        turns.filter_map(|(_, _, id)| Some(self.draws.get(id)?.draw.address)).collect()
    }

    /// Notes that the store does not have a draw.
    pub(super) fn set_missing(&mut self, id: &DrawId) {
        self.set(id, Phase::Missing);
    }

    /// Notes that another build has claimed a draw.
    pub(super) fn set_elsewhere(&mut self, id: &DrawId) {
        self.set(id, Phase::Elsewhere);
    }

    /// Notes that this build has claimed a draw, and returns it to be handed to a lane.
    pub(super) fn set_out(&mut self, id: &DrawId) -> Option<Claimed> {
        self.set(id, Phase::Out);
        self.draws.get(id).map(|wanted| wanted.draw.clone())
    }

    fn set(&mut self, id: &DrawId, phase: Phase) {
        let Some(wanted) = self.draws.get_mut(id) else { return };
        let turn = (wanted.draw.turn, wanted.draw.address.number, *id);
        let identity = &wanted.draw.request.provider;
        match wanted.phase {
            Phase::New => {}
            Phase::Missing => {
                if let Some(turns) = self.missing.get_mut(identity) {
                    turns.remove(&turn);
                }
            }
            Phase::Elsewhere => drop(self.elsewhere.remove(id)),
            Phase::Out => self.out -= 1,
        }
        match phase {
            Phase::New => {}
            Phase::Missing => {
                if let Some(turns) = self.missing.get_mut(identity) {
                    turns.insert(turn);
                } else {
                    self.missing.insert(identity.clone(), BTreeSet::from([turn]));
                }
            }
            Phase::Elsewhere => drop(self.elsewhere.insert(*id)),
            Phase::Out => self.out += 1,
        }
        wanted.phase = phase;
    }

    /// Drops draws of which nobody is told any more.
    pub(super) fn forget(&mut self, settled: &[(DrawId, Settled)]) {
        for (id, _) in settled {
            drop(self.remove(id));
        }
    }

    fn remove(&mut self, id: &DrawId) -> Option<Box<Wanted>> {
        self.set(id, Phase::New);
        self.draws.remove(id)
    }

    /// Settles a draw for all tickets that want it, and ends those that want nothing more. `tally` is what it counts as.
    pub(super) fn settle(&mut self, id: &DrawId, settled: &Settled, tally: Tally) {
        self.tally += tally;
        let Some(wanted) = self.remove(id) else { return };
        for owner in wanted.owners {
            *self.tallies.entry(owner).or_default() += tally;
            let Some(open) = self.tickets.get_mut(&owner) else { continue };
            open.draws.insert(*id, settled.clone());
            open.left -= 1;
            if open.left == 0 {
                self.end(owner);
            }
        }
    }

    /// Returns what was counted since the last call; `None` where nothing was.
    pub(super) fn take_tally(&mut self) -> Option<(Tally, Vec<(u32, Tally)>)> {
        let tally = std::mem::take(&mut self.tally);
        let tallies = std::mem::take(&mut self.tallies).into_iter().collect();
        (tally != Tally::default()).then_some((tally, tallies))
    }

    /// Gives draws up: the tickets that want them end with the error, and what only those wanted is wanted no more.
    pub(super) fn give_up(&mut self, ids: &[DrawId], error: &AskError) {
        for id in ids {
            let Some(wanted) = self.remove(id) else { continue };
            for owner in wanted.owners {
                if self.tickets.remove(&owner).is_some() {
                    (self.done)(Settlement { owner, draws: Err(error.clone()) });
                }
            }
        }
        let mut unwanted = Vec::new();
        for (id, wanted) in &mut self.draws {
            wanted.owners.retain(|owner| self.tickets.contains_key(owner));
            if wanted.owners.is_empty() && wanted.phase != Phase::Out {
                unwanted.push(*id);
            }
        }
        for id in unwanted {
            drop(self.remove(&id));
        }
    }

    /// Gives up everything.
    pub(super) fn fail(&mut self, error: &AskError) {
        let unclaimed: Vec<DrawId> =
            self.draws.iter().filter(|(_, wanted)| wanted.phase != Phase::Out).map(|(id, _)| *id).collect();
        for id in unclaimed {
            drop(self.remove(&id));
        }
        for (owner, _) in self.tickets.drain() {
            (self.done)(Settlement { owner, draws: Err(error.clone()) });
        }
    }

    fn end(&mut self, owner: u32) {
        if let Some(open) = self.tickets.remove(&owner) {
            (self.done)(Settlement { owner, draws: Ok(open.draws) });
        }
    }
}
