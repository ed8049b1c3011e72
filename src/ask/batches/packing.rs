use std::collections::HashSet;

use super::super::waiting::Claimed;
use super::super::{AskError, Ceiling};
use super::driving::Driving;
use crate::digest::DrawId;
use crate::flow::{Money, Reservation};
use crate::provider::Recognition;
use crate::request::{DrawAddress, Request};
use crate::store::{BatchHead, BlobRef, Commit, StoreError};

/// Is what goes into one batch.
pub(super) struct Pack {
    pub draws: Vec<Claimed>,
    pub input: BlobRef,
    pub reserved: Option<Reservation>,
    pub ceiling: Option<Money>,
    /// The provider's id of the expired batch that it goes on with.
    pub continues: Option<String>,
}

/// Says what came of packing.
pub(super) enum Packed {
    /// A batch, its input durable.
    Some(Box<Pack>),
    /// None of the draws that were looked at can be in a batch: they have failed, and why.
    Unfit(Vec<(Claimed, String)>),
    /// The next requests could cost more than is left of the budget.
    OverBudget(String),
}

/// Says how full a batch may be, in hundredths of the provider's limits.
const FULL: u64 = 95;

/// Says whether requests that have to be alike are.
fn alike(limits: &crate::provider::BatchLimits, a: &Request, b: &Request) -> bool {
    (!limits.one_model || (a.model == b.model && a.revision == b.revision))
        && (!limits.one_decoding || (a.model == b.model && a.decoding == b.decoding && a.extra == b.extra))
}

impl Driving<'_, '_> {
    /// Packs what an expired batch left, once all of it waits again, to be gone on with; else what is next.
    pub(super) fn pack_next(&mut self) -> Result<Packed, StoreError> {
        let waits = |ids: &HashSet<DrawId>| self.queue.iter().filter(|draw| ids.contains(&draw.id)).count();
        let waiting: Vec<usize> = self.expired.iter().map(|(_, ids)| waits(ids)).collect();
        let Some(at) = waiting.iter().position(|count| *count > 0) else { return self.pack() };
        let (remote, ids) = self.expired.remove(at);
        if waiting[at] < ids.len() {
            return self.pack();
        }
        let (left, rest) = std::mem::take(&mut self.queue).into_iter().partition(|draw| ids.contains(&draw.id));
        self.queue = left;
        let packed = self.pack();
        self.queue.extend(rest);
        Ok(match packed? {
            Packed::Some(mut pack) => {
                pack.continues = (pack.draws.len() == ids.len()).then_some(remote);
                Packed::Some(pack)
            }
            other => other,
        })
    }

    /// Takes as many of the waiting draws as one batch holds, in their order, and writes their input into the store.
    ///
    /// All draws of an item that are alike go together, so that both arms of it are in one batch; an item is parted only where
    /// it alone is more than a batch holds.
    fn pack(&mut self) -> Result<Packed, StoreError> {
        let service = self.lane.service;
        let (limits, framing) = (service.limits(), service.framing());
        let most_requests = (limits.requests * FULL / 100).min(self.most_requests).max(1);
        let most_bytes = (limits.bytes * FULL / 100).min(self.lane.policy.most_bytes.unwrap_or(u64::MAX));
        let session = self.lane.asker.session;
        let mut writer = session.stage_writer()?;
        writer.put(framing.before.as_bytes())?;
        let mut size = (framing.before.len() + framing.after.len()) as u64;
        let (mut taken, mut unfit) = (Vec::new(), Vec::new());
        let mut reserved: Option<Reservation> = None;
        let mut ceiling = Some(Money::ZERO);
        let mut left = Vec::new();
        let queue = std::mem::take(&mut self.queue);
        let mut queue = queue.into_iter().peekable();
        let mut over_budget = None;
        while let Some(first) = queue.next() {
            let is_other = |sample: &Claimed| !alike(&limits, &sample.request, &first.request);
            if taken.first().is_some_and(is_other) {
                left.push(first);
                continue;
            }
            let turn = first.turn;
            let mut group = vec![first];
            while let Some(next) = queue.next_if(|next| next.turn == turn) {
                if alike(&limits, &group[0].request, &next.request) { group.push(next) } else { left.push(next) }
            }
            let mut lines = Vec::with_capacity(group.len());
            let mut fit = Vec::with_capacity(group.len());
            for draw in group {
                match service.line(&draw.request, &draw.address) {
                    Ok(line) if line.len() as u64 + size_of(&framing) > most_bytes => {
                        let why = format!("its line has {} bytes, and a batch takes {most_bytes}", line.len());
                        unfit.push((draw, why));
                    }
                    Ok(line) => {
                        lines.push(line);
                        fit.push(draw);
                    }
                    Err(why) => unfit.push((draw, why)),
                }
            }
            let bytes: u64 = lines.iter().map(|line| (line.len() + framing.between.len()) as u64).sum();
            let fits = taken.len() as u64 + fit.len() as u64 <= most_requests && size + bytes <= most_bytes;
            if !fits && !taken.is_empty() {
                left.append(&mut fit);
                break;
            }
            // An item that is too much for a batch is parted.
            while !fit.is_empty()
                && (fit.len() as u64 > most_requests
                    || size + lines.iter().map(|l| (l.len() + framing.between.len()) as u64).sum::<u64>() > most_bytes)
            {
                left.extend(fit.pop());
                lines.pop();
            }
            match self.reserve(&fit) {
                Ok((more, most)) => {
                    ceiling = ceiling.zip(most).map(|(sum, most)| sum.plus(most));
                    match (&mut reserved, more) {
                        (Some(reserved), Some(more)) => reserved.join(more),
                        (None, more) => reserved = more,
                        (_, None) => {}
                    }
                }
                Err(why) => {
                    left.append(&mut fit);
                    over_budget = Some(why);
                    break;
                }
            }
            for (line, draw) in lines.iter().zip(fit) {
                if !taken.is_empty() {
                    writer.put(framing.between.as_bytes())?;
                }
                writer.put(line.as_bytes())?;
                size += (line.len() + framing.between.len()) as u64;
                taken.push(draw);
            }
        }
        left.extend(queue);
        self.queue = left;
        if !unfit.is_empty() {
            // What was taken is packed anew without them.
            taken.append(&mut self.queue);
            self.queue = taken;
            if let Some(reserved) = reserved {
                reserved.release();
            }
            return Ok(Packed::Unfit(unfit));
        }
        if taken.is_empty() {
            return Ok(Packed::OverBudget(over_budget.unwrap_or_default()));
        }
        writer.put(framing.after.as_bytes())?;
        let staged = writer.finish()?;
        let input = staged.blob();
        session.commit(vec![Commit { record: None, blobs: vec![staged] }])?;
        Ok(Packed::Some(Box::new(Pack { draws: taken, input, reserved, ceiling, continues: None })))
    }

    /// Sets the most that requests can cost aside; the error says why they cannot be paid for.
    fn reserve(&self, draws: &[Claimed]) -> Result<(Option<Reservation>, Option<Money>), String> {
        let asker = self.lane.asker;
        let mut sum = Money::ZERO;
        for draw in draws {
            match asker.tariffs.ceiling(&draw.request) {
                Ceiling::Known(ceiling) => sum = sum.plus(ceiling),
                Ceiling::Unknown if asker.budget.limit().is_none() => return Ok((None, None)),
                Ceiling::Unknown => {
                    return Err(format!(
                        "nothing bounds what a request to `{}` costs, and there is a budget: give the model a `price:`, and \
                         `max_output_tokens`",
                        draw.request.model
                    ));
                }
            }
        }
        match asker.budget.reserve(sum) {
            Some(reserved) => Ok((Some(reserved), Some(sum))),
            None => Err("the next requests could cost more than is left of the budget".to_owned()),
        }
    }

    /// Says what is known of a batch of these draws from the beginning.
    pub(super) fn head(&self, pack: &Pack) -> Result<BatchHead, StoreError> {
        let mut models: Vec<String> = pack.draws.iter().map(|draw| draw.request.model.clone()).collect();
        models.sort_unstable();
        models.dedup();
        let mut ordinal = 0;
        if self.lane.service.recognition() == Recognition::Name {
            let key = BatchHead::key_of(&addresses(&pack.draws));
            ordinal = self.own_batches()?.iter().filter(|stored| stored.head.key == key).count();
        }
        Ok(BatchHead {
            provider: self.lane.service.identity().0.clone(),
            service: self.lane.service.name().to_owned(),
            models,
            input: Some(pack.input),
            ceiling_usd: pack.ceiling.map(Money::digits),
            ordinal: u32::try_from(ordinal).unwrap_or(u32::MAX),
            continues: pack.continues.clone(),
            ..BatchHead::default()
        })
    }
}

/// Lists the addresses of draws.
pub(super) fn addresses(draws: &[Claimed]) -> Vec<DrawAddress> {
    draws.iter().map(|draw| draw.address).collect()
}

fn size_of(framing: &crate::provider::Framing) -> u64 {
    (framing.before.len() + framing.between.len() + framing.after.len()) as u64
}

/// Makes the error of what the budget has no room for.
pub(super) const OVER_BUDGET: AskError = AskError::OverBudget;
