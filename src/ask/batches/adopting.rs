use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::super::Ceiling;
use super::super::waiting::Claimed;
use super::driving::{Driving, Result, rfc3339};
use super::packing::addresses;
use super::under_way::UnderWay;
use crate::digest::DrawId;
use crate::flow::Money;
use crate::provider::RemoteBatch;
use crate::request::DrawAddress;
use crate::store::{BatchHead, BatchState, BatchStep, StoredBatch};

/// How batches come to be this project's that were found at the provider, and what becomes of those that nobody here waits for.
/// How many answers are looked for at once.
const LOOKED_UP: usize = 1024;

impl Driving<'_, '_> {
    /// Reads which batches of the provider are known here, by the provider's ids, and which draws those hold that nobody waits for.
    pub(super) fn read_known(&mut self) -> Result<BTreeSet<String>> {
        let all = self.own_batches()?;
        let is_foreign = |stored: &&StoredBatch| stored.state() == BatchState::Foreign;
        let taken: HashSet<&str> =
            all.iter().filter(|stored| !is_foreign(stored)).filter_map(StoredBatch::remote).collect();
        self.foreign = all
            .iter()
            .filter(is_foreign)
            .filter_map(|stored| Some((stored.remote().filter(|id| !taken.contains(id))?, &stored.draws)))
            .flat_map(|(id, draws)| draws.iter().map(|draw| (draw.id(), id.to_owned())))
            .collect();
        Ok(all.iter().filter_map(|stored| stored.remote().map(str::to_owned)).collect())
    }

    /// Reads all batches of this provider, those that are over included.
    pub(super) fn own_batches(&self) -> Result<Vec<StoredBatch>> {
        let identity = &self.lane.service.identity().0;
        let mut all = self.lane.asker.session.store().batches()?;
        all.retain(|stored| stored.head.provider == *identity);
        Ok(all)
    }

    /// Notes that nobody here waits for a batch at the provider, and what of ours it holds: it was paid for, and should one of
    /// its draws be wanted later, it is taken up instead of being bought again.
    pub(super) fn note_foreign(&mut self, remote: &str, draws: &[DrawAddress], why: &str) -> Result<()> {
        let service = self.lane.service;
        let (provider, name) = (service.identity().0.clone(), service.name().to_owned());
        let head = BatchHead { provider, service: name, ..BatchHead::default() };
        let mut step = BatchStep::new(BatchState::Foreign, self.at());
        step.remote = vec![remote.to_owned()];
        step.note = Some(why.to_owned());
        self.lane.asker.session.note_foreign_batch(head, draws, &step)?;
        self.foreign.extend(draws.iter().map(|draw| (draw.id(), remote.to_owned())));
        Ok(())
    }

    /// Takes up those batches that nobody waited for and that hold what waits now, and waits for those that another process has
    /// taken up meanwhile. The caller has the right to look for batches.
    pub(super) fn take_up_foreign(&mut self) -> Result<()> {
        self.read_known()?;
        let remotes: BTreeSet<String> =
            self.queue.iter().filter_map(|draw| self.foreign.get(&draw.id)).cloned().collect();
        let mut others: Vec<StoredBatch> = Vec::new();
        for stored in self.own_batches()? {
            let remote = stored.remote().filter(|_| stored.state() == BatchState::Foreign).map(str::to_owned);
            match remote {
                Some(remote) if remotes.contains(&remote) || self.brings_more(&stored)? => {
                    let mut step = BatchStep::new(BatchState::Submitted, self.at());
                    step.remote = vec![remote];
                    self.adopt(step, &stored.draws)?;
                }
                None if !stored.state().is_terminal() => others.push(stored),
                _ => {}
            }
        }
        for stored in others {
            self.leave_to(&stored)?;
        }
        self.read_known().map(drop)
    }

    /// Says whether everything is to be taken up, and a batch that nobody waited for holds what is not in the store.
    fn brings_more(&self, stored: &StoredBatch) -> Result<bool> {
        let is_free = stored.draws.iter().any(|draw| self.foreign.contains_key(&draw.id()));
        if !self.adopts_all || !is_free {
            return Ok(false);
        }
        let store = self.lane.asker.session.store();
        for group in stored.draws.chunks(LOOKED_UP) {
            if store.draws(group)?.iter().any(Option::is_none) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits for a batch of another process with what waits here and is in it: that process took it up after the claim.
    fn leave_to(&mut self, stored: &StoredBatch) -> Result<()> {
        if self.batches.iter().any(|batch| batch.held.name() == stored.head.name) {
            return Ok(());
        }
        let theirs: HashSet<DrawId> = stored.draws.iter().map(DrawAddress::id).collect();
        let (left, kept): (Vec<Claimed>, Vec<Claimed>) =
            std::mem::take(&mut self.queue).into_iter().partition(|draw| theirs.contains(&draw.id));
        self.queue = kept;
        if left.is_empty() {
            return Ok(());
        }
        self.lane.asker.session.release(&addresses(&left))?;
        self.others.push((stored.head.name.clone(), left.iter().map(|draw| draw.id).collect(), Duration::ZERO));
        Ok(())
    }

    /// Says whether something waits that a batch holds of which nobody waited for anything.
    pub(super) fn waits_for_foreign(&self) -> bool {
        !self.foreign.is_empty() && self.queue.iter().any(|draw| self.foreign.contains_key(&draw.id))
    }

    /// Takes up a batch as the provider shows it.
    pub(super) fn adopt_found(&mut self, remote: &RemoteBatch, draws: &[DrawAddress]) -> Result<()> {
        let mut step = BatchStep::new(BatchState::Submitted, self.at());
        step.remote = vec![remote.id.clone()];
        step.status = Some(remote.status.clone());
        step.expires = remote.expires_at.and_then(rfc3339);
        self.adopt(step, draws)
    }

    /// Takes up a batch that was found at the provider, with the draws it holds.
    fn adopt(&mut self, mut step: BatchStep, draws: &[DrawAddress]) -> Result<()> {
        let (asker, service) = (self.lane.asker, self.lane.service);
        let ids: HashSet<DrawId> = draws.iter().map(DrawAddress::id).collect();
        let mut models = BTreeSet::new();
        let mut ceiling = Some(Money::ZERO);
        for id in &ids {
            let Some((_, request)) = self.wanted.get(id) else {
                ceiling = None;
                continue;
            };
            models.insert(request.model.clone());
            ceiling = match asker.tariffs.ceiling(request) {
                Ceiling::Known(more) => ceiling.map(|sum| sum.plus(more)),
                Ceiling::Unknown => None,
            };
        }
        let head = BatchHead {
            provider: service.identity().0.clone(),
            service: service.name().to_owned(),
            models: models.into_iter().collect(),
            ceiling_usd: ceiling.map(Money::digits),
            ..BatchHead::default()
        };
        step.note = Some("found at the provider, and taken up".to_owned());
        // Its id is durable with its draws, before these are anybody's but the batch's.
        let held = asker.session.begin_batch(head, draws.to_vec(), |salt| service.account(salt), step)?;
        self.queue.retain(|draw| !ids.contains(&draw.id));
        let reserved = ceiling.map(|ceiling| asker.budget.owe(ceiling));
        let batch = UnderWay::new(held, false, reserved);
        self.tell(format!("{}: {} requests, found at the provider, and taken up", batch.named(), draws.len()));
        self.batches.push(batch);
        asker.session.release(draws)
    }

    /// Sets those draws aside that are in a batch which is worked on here: they were claimed before it was taken up.
    pub(super) fn without_batched(&mut self, draws: Vec<Claimed>) -> Result<Vec<Claimed>> {
        let at_work = self.batches.iter().filter(|batch| !batch.state().is_terminal());
        let held: HashSet<DrawId> =
            at_work.flat_map(|batch| batch.held.stored().draws.iter().map(DrawAddress::id)).collect();
        if held.is_empty() {
            return Ok(draws);
        }
        let (batched, free): (Vec<_>, Vec<_>) = draws.into_iter().partition(|draw| held.contains(&draw.id));
        self.lane.asker.session.release(&addresses(&batched))?;
        Ok(free)
    }
}
