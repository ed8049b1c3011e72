use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader};

use super::super::Settled;
use super::driving::{Driving, Result};
use crate::digest::{BlobId, DrawId};
use crate::flow::Money;
use crate::provider::{Advice, BatchComplaint, Given, RemoteBatch};
use crate::request::{Billed, Circumstances, DrawAddress, FailureCode, Outcome};
use crate::store::{BatchState, BatchStep, BlobReader, Brought, Commit, LoggedDraw, LoggedFailure, StoreError};

/// How many results share one write, at most.
const GROUP: usize = 512;
/// The bytes of results after which a group is written, however few they are.
const GROUP_BYTES: usize = 8 << 20;

/// Is what is known of the results of one draw before any is logged.
#[derive(Clone, Copy)]
struct Seen {
    /// What the first one says.
    hash: [u8; 16],
    /// A later one says something else.
    is_conflict: bool,
    is_logged: bool,
}

/// Is a group of results on its way to the log.
#[derive(Default)]
struct Group {
    draws: Vec<LoggedDraw>,
    failures: Vec<LoggedFailure>,
    settled: Vec<(DrawId, Settled)>,
    bytes: usize,
}

/// Is what the harvest of one batch came to.
#[derive(Default)]
struct Tally {
    brought: Brought,
    spent: Money,
    /// How many answers have no known price.
    unpriced: u64,
    /// Draws that are to be asked again, and why they have no answer.
    again: Vec<(DrawId, FailureCode)>,
}

/// Reads results from a blob, line by line.
struct Results {
    reader: BufReader<BlobReader>,
    line: Vec<u8>,
}

impl Results {
    /// Returns the next line without its end.
    fn next(&mut self) -> Result<Option<&[u8]>> {
        self.line.clear();
        let read = self.reader.read_until(b'\n', &mut self.line);
        let n = read.map_err(|source| StoreError::Unfit { why: format!("results cannot be read: {source}") })?;
        Ok((n > 0).then(|| self.line.strip_suffix(b"\n").unwrap_or(&self.line)))
    }
}

impl Driving<'_, '_> {
    /// Brings the results of an ended batch into the store, whole and durable.
    pub(super) fn fetch(&mut self, at: usize) -> Result<()> {
        let batch = &self.batches[at];
        let Some(id) = batch.held.stored().remote().map(str::to_owned) else {
            return self.abandon(at, "it has no id");
        };
        let last = batch.last.clone().map_or_else(|| self.lane.service.look(&mut self.line, &id), Ok);
        let session = self.lane.asker.session;
        let mut writer = session.stage_writer()?;
        let fetched = last.and_then(|remote| {
            if !remote.outputs.is_empty() {
                self.lane.service.fetch(&mut self.line, &remote, &mut writer)?;
            }
            Ok(remote)
        });
        let remote = match fetched {
            Ok(remote) => remote,
            Err(trouble) => {
                // The files may have other addresses by the next time.
                self.batches[at].last = None;
                // The provider did its part: that the results cannot be kept is no trouble of its.
                if let Some(error) = writer.failure() {
                    return Err(error);
                }
                self.troubled(at, &trouble);
                return Ok(());
            }
        };
        let results = if remote.outputs.is_empty() {
            None
        } else {
            let staged = writer.finish()?.read_back();
            let blob = staged.blob();
            session.commit(vec![Commit { record: None, blobs: vec![staged] }])?;
            Some(blob)
        };
        let mut step = BatchStep::new(BatchState::Fetched, self.at());
        step.results = results;
        let batch = &mut self.batches[at];
        batch.last = Some(remote);
        batch.held.step(step)
    }

    /// Logs what a batch brought: each answer once, whoever wants it; what has none is free again when the batch is over.
    pub(super) fn harvest(&mut self, at: usize) -> Result<()> {
        let stored = self.batches[at].held.stored();
        let results = stored.step(BatchState::Fetched).and_then(|step| step.results).map(|blob| blob.id);
        let own: HashMap<DrawId, usize> = stored.draws.iter().enumerate().map(|(n, draw)| (draw.id(), n)).collect();
        let models = stored.head.models.clone();
        let mut seen: Vec<Option<Seen>> = vec![None; stored.draws.len()];
        let mut tally = Tally::default();
        if let Some(blob) = results {
            self.compare(&blob, &own, &mut seen, &mut tally)?;
            self.log_results(&blob, &own, &mut seen, &models, &mut tally)?;
        }
        self.end(at, &seen, tally)
    }

    /// Opens the results in a blob.
    fn results(&self, blob: &BlobId) -> Result<Results> {
        let reader = self.lane.asker.session.store().open_blob(blob)?;
        Ok(Results { reader: BufReader::with_capacity(1 << 18, reader), line: Vec::new() })
    }

    /// Finds out which draws have results, and which have two that differ.
    fn compare(
        &self,
        blob: &BlobId,
        own: &HashMap<DrawId, usize>,
        seen: &mut [Option<Seen>],
        tally: &mut Tally,
    ) -> Result<()> {
        let mut unread = None;
        let mut results = self.results(blob)?;
        while let Some(line) = results.next()? {
            let result = match self.lane.service.read(line) {
                Ok(result) => result,
                Err(why) => {
                    tally.brought.unknown += 1;
                    unread.get_or_insert(why);
                    continue;
                }
            };
            let Some(n) = place(&result.custom_id, own) else {
                tally.brought.unknown += 1;
                continue;
            };
            let hash = hash_of(&result.given);
            match &mut seen[n] {
                Some(first) => first.is_conflict |= first.hash != hash,
                none => *none = Some(Seen { hash, is_conflict: false, is_logged: false }),
            }
        }
        if let Some(why) = unread {
            self.tell(format!("a line of the results cannot be read ({why}); its request is asked again"));
        }
        Ok(())
    }

    fn log_results(
        &mut self,
        blob: &BlobId,
        own: &HashMap<DrawId, usize>,
        seen: &mut [Option<Seen>],
        models: &[String],
        tally: &mut Tally,
    ) -> Result<()> {
        let mut group = Group::default();
        let mut results = self.results(blob)?;
        while let Some(line) = results.next()? {
            if let Ok(result) = self.lane.service.read(line)
                && let Some(n) = place(&result.custom_id, own)
                && let Some(known) = &mut seen[n]
                && !known.is_logged
            {
                known.is_logged = true;
                let is_conflict = known.is_conflict;
                if let Some(address) = DrawAddress::from_custom_id(&result.custom_id) {
                    group.bytes += line.len();
                    self.sort_in(address, result.given, is_conflict.then_some(line), &mut group, tally);
                }
            }
            if group.draws.len() + group.failures.len() >= GROUP || group.bytes >= GROUP_BYTES {
                self.log_group(std::mem::take(&mut group), models, tally)?;
            }
        }
        self.log_group(group, models, tally)
    }

    /// Puts one result into a group. Of a draw with two results that differ nobody can say which is meant: it is an error.
    fn sort_in(
        &mut self,
        address: DrawAddress,
        given: Given,
        conflict: Option<&[u8]>,
        group: &mut Group,
        tally: &mut Tally,
    ) {
        let id = address.id();
        let Given { outcome, mut circumstances, raw, advice, .. } = given;
        circumstances.logged_at = Some(self.at());
        if let Some(line) = conflict {
            circumstances.billed = Some(Billed::Uncertain);
            circumstances.note = Some("the batch has two results of this request that differ".to_owned());
            let code = FailureCode::Malformed;
            group.failures.push(LoggedFailure { address, code, circumstances, raw: line.to_vec() });
            group.settled.push((id, Err(code)));
            tally.brought.failures += 1;
            return;
        }
        match outcome {
            Outcome::Answer(answer) => {
                tally.brought.answers += 1;
                group.draws.push(LoggedDraw { address, answer, circumstances, raw });
            }
            Outcome::Failure(code) => {
                match advice {
                    Advice::Retry { .. } => {
                        tally.brought.unanswered += 1;
                        tally.again.push((id, code));
                    }
                    Advice::Keep => {
                        tally.brought.failures += 1;
                        group.settled.push((id, Err(code)));
                    }
                    Advice::StopProvider { why } => {
                        tally.brought.failures += 1;
                        self.close(why);
                        group.settled.push((id, Err(code)));
                    }
                }
                group.failures.push(LoggedFailure { address, code, circumstances, raw });
            }
        }
    }

    /// Makes a group durable, then tells of it. What the log has already, from a harvest that was not finished, is left out.
    fn log_group(&mut self, group: Group, models: &[String], tally: &mut Tally) -> Result<()> {
        let asker = self.lane.asker;
        let Group { draws, failures, mut settled, .. } = group;
        let addresses: Vec<DrawAddress> = draws.iter().map(|draw| draw.address).collect();
        let found = asker.session.store().draws(&addresses)?;
        let mut new = Vec::with_capacity(draws.len());
        for (draw, found) in draws.into_iter().zip(found) {
            let model = match (models, self.wanted.get(&draw.address.id())) {
                ([only], _) => Some(only.as_str()),
                (_, Some((_, request))) => Some(request.model.as_str()),
                _ => None,
            };
            let price = model.and_then(|model| {
                asker.tariffs.price(self.lane.service.identity(), model, &draw.answer.usage, &draw.circumstances)
            });
            match price {
                Some(price) => tally.spent = tally.spent.plus(price),
                None => tally.unpriced += 1,
            }
            let first = found.as_ref().map_or(&draw.answer, |first| &first.answer);
            settled.push((draw.address.id(), Ok(first.clone())));
            let is_there = found.is_some_and(|first| first.raw == draw.raw && first.answer == draw.answer);
            if !is_there {
                new.push(draw);
            }
        }
        asker.session.log_draws(&new)?;
        asker.session.log_failures(&failures)?;
        self.settle(settled);
        Ok(())
    }

    /// Ends a batch whose results are in the log, and says what becomes of the draws without one.
    fn end(&mut self, at: usize, seen: &[Option<Seen>], mut tally: Tally) -> Result<()> {
        let batch = &mut self.batches[at];
        let stored = batch.held.stored();
        let ended = stored.step(BatchState::Ended).cloned();
        let status = ended.as_ref().and_then(|step| step.status.clone()).unwrap_or_default();
        let draws = stored.draws.clone();
        let remote = stored.remote().map(str::to_owned);
        let is_late = stored.step(BatchState::Cancelling).is_some_and(|step| step.note.is_some());
        let was_running = batch.was_running;
        // After a crash between fetching and here, what the batch failed of has to be asked for again; where it cannot be, the
        // first complaint is in the log.
        let mut last = batch.last.clone();
        if last.is_none() && status == "failed" {
            let id = stored.remote().unwrap_or_default().to_owned();
            last = self.lane.service.look(&mut self.line, &id).ok();
        }
        let mut complaints = last.map(|RemoteBatch { complaints, .. }| complaints).unwrap_or_default();
        if complaints.is_empty()
            && let Some(note) = ended.as_ref().and_then(|step| step.note.as_ref())
        {
            let (code, message) = note.split_once(": ").unwrap_or(("", note));
            complaints.push(BatchComplaint { code: code.to_owned(), message: message.to_owned(), line: None });
        }
        let missing: Vec<usize> = (0..draws.len()).filter(|n| seen[*n].is_none()).collect();
        tally.brought.unanswered += missing.len() as u64;
        let code = match status.as_str() {
            "expired" => FailureCode::Timeout,
            "cancelled" | "canceled" => FailureCode::NotSent,
            _ => FailureCode::Malformed,
        };
        let mut failed: Vec<(DrawId, FailureCode)> = Vec::new();
        let mut refusal = None;
        if status == "failed" && !missing.is_empty() {
            let lines: HashSet<u64> = complaints.iter().filter_map(|complaint| complaint.line).collect();
            let is_quota = complaints.iter().any(BatchComplaint::is_about_quota);
            let words = complaints.first().map(|first| format!("{}: {}", first.code, first.message));
            let why = words.unwrap_or_else(|| "it does not say why".to_owned());
            if is_quota {
                self.be_quiet(draws.len() as u64, &why);
                tally.again.extend(missing.iter().map(|n| (draws[*n].id(), FailureCode::RateLimited)));
            } else if !lines.is_empty() && lines.len() < draws.len() {
                for n in &missing {
                    let id = draws[*n].id();
                    if lines.contains(&(*n as u64 + 1)) {
                        failed.push((id, FailureCode::Rejected));
                    } else {
                        tally.again.push((id, FailureCode::Malformed));
                    }
                }
            } else {
                refusal = Some(why);
                failed.extend(missing.iter().map(|n| (draws[*n].id(), FailureCode::ProviderStopped)));
            }
        } else {
            tally.again.extend(missing.iter().map(|n| (draws[*n].id(), code)));
        }
        let is_cancelled = matches!(status.as_str(), "cancelled" | "canceled") || is_late;
        if is_cancelled && (was_running || is_late) {
            // Somebody did not want this batch, while this build was waiting for it: another build may ask again.
            let code = if is_late { FailureCode::Timeout } else { FailureCode::NotSent };
            failed.extend(tally.again.drain(..).map(|(id, _)| (id, code)));
        }
        let mut step = BatchStep::new(BatchState::Committed, self.at());
        step.brought = Some(tally.brought);
        step.status = Some(status.clone());
        let batch = &mut self.batches[at];
        batch.held.step(step)?;
        let (named, reserved) = (batch.named(), batch.reserved.take());
        if let Some(reserved) = reserved {
            let ceiling = reserved.ceiling();
            reserved.settle(tally.spent);
            // An answer whose price is not known cost no more than what is left of the ceiling.
            if tally.unpriced > 0 && ceiling > tally.spent {
                self.lane.asker.budget.owe(ceiling.minus(tally.spent)).leave_uncertain();
            }
        }
        let Brought { answers, failures, unanswered, unknown } = tally.brought;
        let others = if unknown > 0 { format!(", {unknown} lines that belong to none of them") } else { String::new() };
        self.tell(format!(
            "{named}: {status}: {answers} answers, {failures} failures, {unanswered} without a result{others}"
        ));
        if let Some(why) = refusal {
            self.close(format!("{named} was refused ({why})"));
        }
        self.log_unsent(&failed)?;
        self.settle(failed.into_iter().map(|(id, code)| (id, Err(code))).collect());
        let is_quota = !complaints.is_empty() && complaints.iter().any(BatchComplaint::is_about_quota);
        let mut once_more = Vec::new();
        let mut too_often = Vec::new();
        for (id, code) in tally.again {
            // That the provider was full is no fault of the draw's.
            if is_quota || self.may_have_another_round(id) {
                once_more.push(id);
            } else {
                too_often.push((id, Err(code)));
            }
        }
        self.settle(too_often);
        if status == "expired" && self.lane.service.goes_on_with_expired() {
            let left: HashSet<DrawId> = missing.iter().map(|n| draws[*n].id()).collect();
            let left: HashSet<DrawId> = once_more.iter().filter(|id| left.contains(id)).copied().collect();
            self.expired.extend(remote.filter(|_| !left.is_empty()).map(|remote| (remote, left)));
        }
        self.again(once_more);
        if self.lane.policy.removes_files {
            self.remove_files(ended.map(|step| step.files).unwrap_or_default());
        }
        Ok(())
    }

    /// Notes in the log why draws have failed of which the batch says nothing.
    fn log_unsent(&self, failed: &[(DrawId, FailureCode)]) -> Result<()> {
        let failures: Vec<LoggedFailure> = failed
            .iter()
            .filter_map(|(id, code)| {
                let (address, _) = self.wanted.get(id)?;
                let circumstances = Circumstances {
                    billed: Some(Billed::No),
                    bought: Some("batch".to_owned()),
                    logged_at: Some(self.at()),
                    ..Circumstances::default()
                };
                Some(LoggedFailure { address: *address, code: *code, circumstances, raw: Vec::new() })
            })
            .collect();
        self.lane.asker.session.log_failures(&failures)
    }

    fn remove_files(&mut self, files: Vec<String>) {
        for file in files {
            if let Err(trouble) = self.lane.service.remove(&mut self.line, &file) {
                self.tell(format!("the file {file} is still at the provider: {}", trouble.why));
            }
        }
    }
}

/// Finds the place of a result's draw in its batch.
fn place(custom_id: &str, own: &HashMap<DrawId, usize>) -> Option<usize> {
    own.get(&DrawAddress::from_custom_id(custom_id)?.id()).copied()
}

/// Hashes what a result says, so that two of one draw can be compared without being held.
fn hash_of(given: &Given) -> [u8; 16] {
    let text = match &given.outcome {
        Outcome::Answer(answer) => serde_json::to_vec(answer).unwrap_or_default(),
        Outcome::Failure(code) => format!("{} {:?}", code.as_str(), given.circumstances.note).into_bytes(),
    };
    let mut hash = [0; 16];
    hash.copy_from_slice(&blake3::hash(&text).as_bytes()[..16]);
    hash
}
