use std::time::Duration;

use super::driving::{Closed, Driving, Result, TROUBLES, backoff, rfc3339};
use super::lane::BatchLane;
use super::packing::{OVER_BUDGET, Pack, Packed, addresses};
use super::under_way::UnderWay;
use crate::digest::DrawId;
use crate::flow::Event;
use crate::provider::{BatchTicket, BatchTrouble, BatchTroubleKind, Line, RemoteBatch};
use crate::request::{DrawAddress, FailureCode};
use crate::store::{BatchState, BatchStep, StoreError};

/// The longest wait after too much was waiting at the provider, in multiples of the time between two looks.
const LONGEST_QUIET: u32 = 20;

/// How a batch gets to the provider, and what becomes of one that does not.
impl Driving<'_, '_> {
    pub(super) fn can_submit(&self) -> bool {
        !self.queue.is_empty()
            && self.closed.is_none()
            && self.unknown.is_empty()
            && self.now() >= self.quiet_until
            && self.batches.iter().filter(|batch| batch.stuck.is_none()).count() < self.lane.policy.most_at_once.max(1)
            && !self.lane.asker.stop.is_raised()
    }

    /// Begins a batch with what fits of the queue.
    pub(super) fn prepare(&mut self) -> Result<()> {
        let asker = self.lane.asker;
        let pack: Pack = match self.pack_next()? {
            Packed::Some(pack) => *pack,
            Packed::Unfit(unfit) => {
                if let Some((_, why)) = unfit.first() {
                    self.tell(format!("{} requests cannot be sent in a batch: {why}", unfit.len()));
                }
                let ids: Vec<DrawId> = unfit.iter().map(|(draw, _)| draw.id).collect();
                self.fail(&ids, FailureCode::Rejected)?;
                return Ok(());
            }
            Packed::OverBudget(why) => {
                (asker.events)(Event::ProviderStopped { provider: self.lane.service.identity().0.clone(), why });
                self.closed = Some(Closed::Error(OVER_BUDGET));
                return Ok(());
            }
        };
        let head = self.head(&pack)?;
        let draws = addresses(&pack.draws);
        let account = |salt: &str| self.lane.service.account(salt);
        let step = BatchStep::new(BatchState::Prepared, self.at());
        let held = asker.session.begin_batch(head, draws.clone(), account, step)?;
        // The batch holds the claims from here on.
        asker.session.release(&draws)?;
        self.batches.push(UnderWay::new(held, true, pack.reserved));
        Ok(())
    }

    /// Calls the service about a batch, with its input.
    pub(super) fn with_input<T>(
        &mut self,
        at: usize,
        call: impl FnOnce(
            &BatchLane<'_>,
            &mut Line,
            BatchTicket<'_>,
            &mut dyn std::io::Read,
        ) -> std::result::Result<T, BatchTrouble>,
    ) -> Result<std::result::Result<T, BatchTrouble>> {
        let batch = &self.batches[at];
        let head = &batch.held.stored().head;
        let Some(input) = head.input else {
            return Err(StoreError::Unfit { why: format!("{} has no input", batch.named()) });
        };
        let first = batch.held.stored().draws.first().map(DrawAddress::id);
        let Some((_, sample)) = first.and_then(|id| self.wanted.get(&id)) else {
            return Err(StoreError::Unfit { why: format!("{} holds nothing that is wanted", batch.named()) });
        };
        let mut reader = self.lane.asker.session.store().open_blob(&input.id)?;
        let ticket = BatchTicket {
            name: &head.name,
            key: &head.key,
            sample,
            size: input.size,
            requests: head.requests,
            ordinal: head.ordinal,
            continues: head.continues.as_deref(),
        };
        Ok(call(self.lane, &mut self.line, ticket, &mut reader))
    }

    pub(super) fn upload(&mut self, at: usize) -> Result<()> {
        let called = self.with_input(at, |lane, line, ticket, input| lane.service.upload(line, ticket, input))?;
        match called {
            Ok(file) => {
                let mut step = BatchStep::new(BatchState::Uploaded, self.at());
                step.files = file.into_iter().collect();
                let batch = &mut self.batches[at];
                batch.troubles = 0;
                batch.held.step(step)
            }
            Err(trouble) => self.refused(at, trouble),
        }
    }

    pub(super) fn create(&mut self, at: usize) -> Result<()> {
        let uploaded = self.batches[at].held.stored().step(BatchState::Uploaded);
        let file = uploaded.and_then(|step| step.files.first().cloned());
        let called =
            self.with_input(at, |lane, line, ticket, input| lane.service.create(line, ticket, file.as_deref(), input))?;
        match called {
            Ok(remote) => {
                self.batches[at].is_fresh = false;
                self.submitted(at, &remote, None)
            }
            Err(trouble) if trouble.may_have_arrived => {
                self.tell(format!("{}: {}; it is looked for at the provider", self.batches[at].named(), trouble.why));
                self.batches[at].is_fresh = false;
                Ok(())
            }
            Err(trouble) => self.refused(at, trouble),
        }
    }

    /// Notes that a batch is at the provider under an id.
    pub(super) fn submitted(&mut self, at: usize, remote: &RemoteBatch, note: Option<&str>) -> Result<()> {
        let store = self.lane.asker.session.store();
        let name = self.batches[at].held.name().to_owned();
        let twin = store.batches()?.into_iter().find(|other| {
            other.head.name != name
                && other.head.provider == self.lane.service.identity().0
                && other.remote() == Some(&remote.id)
        });
        if let Some(twin) = twin {
            let why = format!(
                "the provider gave batch {name} the id {}, which batch {} has already: nothing more is done with it",
                remote.id, twin.head.name
            );
            self.batches[at].stuck = Some(why);
            return Ok(());
        }
        let mut step = BatchStep::new(BatchState::Submitted, self.at());
        step.remote = vec![remote.id.clone()];
        step.status = Some(remote.status.clone());
        step.expires = remote.expires_at.and_then(rfc3339);
        step.note = note.map(str::to_owned);
        let next = self.now() + self.interval(0);
        let batch = &mut self.batches[at];
        batch.held.step(step)?;
        (batch.troubles, batch.looks, batch.sought) = (0, 0, None);
        // One that was found may have been at it for long.
        batch.next = if note.is_some() { Duration::ZERO } else { next };
        let (named, requests) = (batch.named(), batch.held.stored().head.requests);
        let words = note.unwrap_or("submitted");
        self.tell(format!("{named}: {requests} requests, {words}"));
        Ok(())
    }

    /// Takes a trouble with a batch that was not created.
    pub(super) fn refused(&mut self, at: usize, trouble: BatchTrouble) -> Result<()> {
        let now = self.now();
        let BatchTrouble { kind, after, why, .. } = trouble;
        match kind {
            BatchTroubleKind::Passing if self.batches[at].troubles < TROUBLES => {
                let batch = &mut self.batches[at];
                batch.troubles += 1;
                batch.next = now + backoff(batch.troubles, self.lane.policy.poll).max(after.unwrap_or_default());
                Ok(())
            }
            BatchTroubleKind::Quota => {
                self.be_quiet(self.batches[at].held.stored().head.requests, &why);
                self.abandon(at, &why)
            }
            _ => {
                self.abandon(at, &why)?;
                self.close(why);
                Ok(())
            }
        }
    }

    /// Sends less at once, and later, after a batch of so many requests was too much for what is waiting already.
    pub(super) fn be_quiet(&mut self, requests: u64, why: &str) {
        self.refusals += 1;
        self.most_requests = (requests / 2).max(1);
        let times = (1 << (self.refusals - 1).min(10)).min(LONGEST_QUIET);
        self.quiet_until = self.now() + self.lane.policy.poll.saturating_mul(times);
        let most = self.most_requests;
        self.tell(format!(
            "too much is waiting at the provider ({why}): batches of {most} requests at most, and later"
        ));
    }

    /// Ends a batch that is not at the provider: its draws are free.
    pub(super) fn abandon(&mut self, at: usize, why: &str) -> Result<()> {
        let mut batch = self.batches.remove(at);
        let ids: Vec<DrawId> = batch.held.stored().draws.iter().map(DrawAddress::id).collect();
        let abandoned = self.abandon_held(&mut batch, why);
        self.batches.insert(at, batch);
        abandoned?;
        self.again(ids);
        Ok(())
    }

    pub(super) fn abandon_held(&self, batch: &mut UnderWay, why: &str) -> Result<()> {
        let mut step = BatchStep::new(BatchState::Abandoned, self.at());
        step.note = Some(why.to_owned());
        batch.held.step(step)?;
        if let Some(reserved) = batch.reserved.take() {
            // Ignored at the provider's: nobody knows what it costs. Otherwise it was never there.
            if batch.held.stored().remote().is_some() { reserved.leave_uncertain() } else { reserved.release() }
        }
        Ok(())
    }
}
