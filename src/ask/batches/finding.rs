use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::driving::{Driving, Result, backoff};
use crate::provider::{BatchTrouble, BatchTroubleKind, Recognition, RemoteBatch, RemotePhase};
use crate::request::DrawAddress;
use crate::store::{BatchState, BatchStep};

/// Is a batch at the provider of which it is not known whose it is: nothing is submitted while there is one.
pub(super) struct Unknown {
    pub remote: RemoteBatch,
}

/// Is what came of looking for a batch that nothing but its results tells from others.
enum Search {
    /// It is this one.
    Is(Box<RemoteBatch>),
    /// It may be one that has not ended.
    MayBe,
    /// None that is shown can be it.
    IsNone,
}

/// Is how far back batches are looked for, in seconds: no provider keeps results for longer.
const HORIZON: i64 = 31 * 86_400;
/// Is how much earlier than ours the provider's clock may be, in seconds.
const SKEW: i64 = 3600;
/// Into how many looks the delay of a list is divided.
const LOOKS: u32 = 6;
/// Is why a batch is left alone that nobody here waits for.
const NOT_WANTED: &str = "it holds nothing that was wanted";

impl Driving<'_, '_> {
    /// Looks for a batch that may have been created without its id being written down.
    ///
    /// As long as it cannot be known, its draws stay claimed. Where it is not there after the delay that lists may have, it was
    /// not created, and its draws are free.
    pub(super) fn find(&mut self, at: usize) -> Result<()> {
        let now = self.lane.asker.clock.monotonic();
        let since = *self.batches[at].sought.get_or_insert(now);
        let found = match self.lane.service.recognition() {
            Recognition::Name => self.find_by_name(at),
            Recognition::Tag => self.find_by_tag(at),
            Recognition::Results => match self.find_by_results(at)? {
                Ok(Search::MayBe) => return Ok(()),
                Ok(Search::Is(remote)) => Ok(Some(*remote)),
                Ok(Search::IsNone) => Ok(None),
                Err(trouble) => Err(trouble),
            },
        };
        match found {
            Ok(Some(remote)) => self.submitted(at, &remote, Some("found again at the provider")),
            Ok(None) if now.saturating_sub(since) >= self.lane.policy.list_delay => {
                self.abandon(at, "it is not at the provider: it was never created")
            }
            Ok(None) => {
                self.batches[at].next = now + self.look_again();
                Ok(())
            }
            Err(trouble) => {
                self.troubled(at, &trouble);
                Ok(())
            }
        }
    }

    fn look_again(&self) -> Duration {
        (self.lane.policy.list_delay / LOOKS).max(Duration::from_millis(5))
    }

    /// Returns the time in seconds that a batch was prepared at, less what clocks may differ by.
    fn prepared_at(&self, at: usize) -> i64 {
        let text = &self.batches[at].held.stored().head.created_at;
        text.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second) - SKEW
    }

    fn find_by_tag(&mut self, at: usize) -> std::result::Result<Option<RemoteBatch>, BatchTrouble> {
        let since = self.prepared_at(at);
        let list = self.lane.service.list(&mut self.line, since)?;
        let stored = self.batches[at].held.stored();
        let file = stored.step(BatchState::Uploaded).and_then(|step| step.files.first());
        let is_it = |remote: &RemoteBatch| {
            remote.tag.as_ref() == Some(&stored.head.name) || (file.is_some() && remote.input.as_ref() == file)
        };
        Ok(list.into_iter().find(is_it))
    }

    fn find_by_name(&mut self, at: usize) -> std::result::Result<Option<RemoteBatch>, BatchTrouble> {
        let stored = self.batches[at].held.stored();
        let uploaded = stored.step(BatchState::Uploaded).and_then(|step| step.files.first().cloned());
        let Some(name) = uploaded else { return Ok(None) };
        match self.lane.service.look(&mut self.line, &name) {
            Ok(remote) => Ok(Some(remote)),
            Err(BatchTrouble { kind: BatchTroubleKind::Absent, .. }) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Finds a batch among those of its time with as many requests, by what their results are about; while one of them works,
    /// it may be this one.
    fn find_by_results(&mut self, at: usize) -> Result<std::result::Result<Search, BatchTrouble>> {
        let since = self.prepared_at(at);
        let list = match self.lane.service.list(&mut self.line, since) {
            Ok(list) => list,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let known = self.read_known()?;
        let requests = self.batches[at].held.stored().head.requests;
        let candidates: Vec<RemoteBatch> = list
            .into_iter()
            .filter(|remote| !known.contains(&remote.id) && !self.is_ignored(&remote.id))
            .filter(|remote| remote.requests.is_none_or(|count| count == requests))
            .collect();
        let own: HashSet<DrawAddress> = self.batches[at].held.stored().draws.iter().copied().collect();
        let mut open = Vec::new();
        for remote in candidates {
            if remote.phase != RemotePhase::Ended {
                open.push(remote.id);
                continue;
            }
            match self.draws_in_results(&remote) {
                Ok(draws) if draws.iter().any(|draw| own.contains(draw)) => {
                    return Ok(Ok(Search::Is(Box::new(remote))));
                }
                // Another batch of ours may be looked for at the same time.
                Ok(draws) if self.are_of_an_open_batch(&draws)? => {}
                Ok(draws) => self.note_foreign(&remote.id, &draws, NOT_WANTED)?,
                Err(trouble) => return Ok(Err(trouble)),
            }
        }
        if open.is_empty() {
            return Ok(Ok(Search::IsNone));
        }
        let next = self.lane.asker.clock.monotonic() + self.lane.policy.poll;
        let step = BatchStep { remote: open.clone(), ..BatchStep::new(BatchState::Adopting, self.at()) };
        let batch = &mut self.batches[at];
        batch.next = next;
        if batch.held.stored().step(BatchState::Adopting).is_none_or(|last| last.remote != open) {
            batch.held.step(step)?;
            let named = batch.named();
            self.tell(format!("{named} may be {} at the provider: its results will say", open.join(" or ")));
        }
        Ok(Ok(Search::MayBe))
    }

    /// Says whether one of these draws is in a batch of ours that is not over.
    fn are_of_an_open_batch(&self, draws: &[DrawAddress]) -> Result<bool> {
        let draws: HashSet<&DrawAddress> = draws.iter().collect();
        let open = self.lane.asker.session.store().open_batches()?;
        Ok(open.iter().any(|batch| batch.draws.iter().any(|draw| draws.contains(draw))))
    }

    /// Reads which draws the results of an ended batch are of.
    fn draws_in_results(&mut self, remote: &RemoteBatch) -> std::result::Result<Vec<DrawAddress>, BatchTrouble> {
        let mut draws = Vec::new();
        let service = self.lane.service;
        let mut lines = Vec::new();
        let mut take = Collect { service, line: &mut lines, draws: &mut draws, read: 0 };
        service.fetch(&mut self.line, remote, &mut take)?;
        let is_silent = take.read == 0 && service.recognition() == Recognition::Results;
        if is_silent && remote.requests.is_some_and(|count| count > 0) {
            // It would tell whose it is, and does not: nobody may say that it is somebody else's.
            return Err(BatchTrouble {
                kind: BatchTroubleKind::Passing,
                may_have_arrived: false,
                after: None,
                why: format!("the results of {} say nothing of its requests", remote.id),
            });
        }
        Ok(draws)
    }

    /// Looks for batches of ours that are not known here, before anything is submitted; says whether there is none left.
    ///
    /// Where batches carry a tag the list is asked once in each build; where they do not, only if it was never asked since
    /// `store/batches/` was begun. In that case it is asked again until the delay that lists may have is over: what is known
    /// here may have been lost a moment after a batch was created.
    pub(super) fn reconcile(&mut self) -> Result<bool> {
        if self.is_reconciled && !self.waits_for_foreign() {
            return Ok(self.unknown.is_empty());
        }
        let now = self.lane.asker.clock.monotonic();
        if now < self.next_search {
            return Ok(false);
        }
        let (asker, service) = (self.lane.asker, self.lane.service);
        let identity = service.identity().0.clone();
        let knows = asker.session.knows_batches_of(&identity)?;
        // One looks at a time: two would both take the same batch for theirs.
        let Some(_lock) = asker.session.lock_batches()? else {
            self.next_search = now + self.look_again();
            return Ok(false);
        };
        if self.is_reconciled || (knows && service.recognition() != Recognition::Tag) {
            self.take_up_foreign()?;
            self.is_reconciled = true;
            return Ok(self.unknown.is_empty());
        }
        let first = *self.sought.get_or_insert(now);
        if first == now && !knows {
            self.tell("looking for batches of this project at the provider".to_owned());
        }
        let today = self.at().parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second);
        let searched = service.list(&mut self.line, today - HORIZON);
        let searched = searched.map_err(Some).and_then(|list| self.sort_out(list));
        match searched {
            Ok(()) => self.take_up_foreign()?,
            Err(None) => return Ok(false),
            Err(Some(trouble)) => {
                self.searches_failed += 1;
                self.next_search = now + backoff(self.searches_failed, self.lane.policy.poll);
                let is_passing = trouble.kind == BatchTroubleKind::Passing && self.searches_failed <= 8;
                if !is_passing {
                    self.close(format!("{}; nothing is submitted while batches cannot be listed", trouble.why));
                }
                return Ok(false);
            }
        }
        self.searches_failed = 0;
        if !self.unknown.is_empty() {
            self.next_search = now + self.lane.policy.poll;
            return Ok(false);
        }
        if !knows && now.saturating_sub(first) < self.lane.policy.list_delay {
            self.next_search = now + self.look_again();
            return Ok(false);
        }
        asker.session.note_batches_known(&identity)?;
        self.is_reconciled = true;
        Ok(true)
    }

    /// Takes up what is ours of a list, and notes what is not. The error is a trouble, or that the store failed and was told of.
    fn sort_out(&mut self, list: Vec<RemoteBatch>) -> std::result::Result<(), Option<BatchTrouble>> {
        let broken = |driving: &mut Self, error| {
            drop(driving.outlets.inbox.send(super::super::ticket::Message::Broken(std::sync::Arc::new(error))));
            None
        };
        let known = self.read_known().map_err(|error| broken(self, error))?;
        // Also those of other processes, which may be about to write down the id.
        let open = self.lane.asker.session.store().open_batches().map_err(|error| broken(self, error))?;
        let open: BTreeSet<String> = open.into_iter().map(|stored| stored.head.name).collect();
        let carries = self.lane.service.recognition() != Recognition::Results;
        let before: BTreeSet<String> = self.unknown.drain(..).map(|unknown| unknown.remote.id).collect();
        for remote in list {
            let is_sought = remote.tag.as_ref().is_some_and(|tag| open.contains(tag));
            if known.contains(&remote.id) || is_sought || (carries && remote.tag.is_none()) {
                continue;
            }
            if self.is_ignored(&remote.id) {
                self.note_foreign(&remote.id, &[], "it is to be ignored").map_err(|error| broken(self, error))?;
                continue;
            }
            let mut draws = Vec::new();
            let mut visit = |custom_id: &str| draws.extend(DrawAddress::from_custom_id(custom_id));
            let mut is_known = self.lane.service.contents(&mut self.line, &remote, &mut visit).map_err(Some)?;
            if !is_known && remote.phase == RemotePhase::Ended {
                draws = self.draws_in_results(&remote).map_err(Some)?;
                is_known = true;
            }
            if !is_known {
                if !before.contains(&remote.id) {
                    self.tell(format!(
                        "{} is under way at the provider and could hold these requests: nothing is sent before it has ended; \
                         `--ignore-batch {}` does not wait for it",
                        remote.id, remote.id
                    ));
                }
                self.unknown.push(Unknown { remote });
                continue;
            }
            draws.sort_unstable();
            draws.dedup();
            // One that is looked for here is nobody else's.
            if self.are_of_an_open_batch(&draws).map_err(|error| broken(self, error))? && !carries {
                continue;
            }
            let is_wanted = draws.iter().any(|draw| self.wanted.contains_key(&draw.id()));
            if is_wanted || (self.adopts_all && !draws.is_empty()) {
                self.adopt_found(&remote, &draws).map_err(|error| broken(self, error))?;
            } else {
                self.note_foreign(&remote.id, &draws, NOT_WANTED).map_err(|error| broken(self, error))?;
            }
        }
        Ok(())
    }
}

/// Collects the draws that lines of results are of, and keeps nothing else of them.
struct Collect<'c> {
    service: &'c dyn crate::provider::BatchService,
    line: &'c mut Vec<u8>,
    draws: &'c mut Vec<DrawAddress>,
    /// How many lines could be read.
    read: u64,
}

impl std::io::Write for Collect<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for byte in bytes {
            if *byte == b'\n' {
                if let Ok(result) = self.service.read(self.line) {
                    self.read += 1;
                    self.draws.extend(DrawAddress::from_custom_id(&result.custom_id));
                }
                self.line.clear();
            } else {
                self.line.push(*byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
