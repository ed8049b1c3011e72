use std::time::Duration;

use super::driving::{Driving, Result, TROUBLES, backoff, rfc3339};
use crate::provider::{BatchTrouble, BatchTroubleKind, RemotePhase};
use crate::store::{BatchState, BatchStep};

/// The time to the first look at a batch; it doubles from there up to the policy's.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// How often the state log of a batch is read that another process works on.
const LOOK_AT_OTHERS: Duration = Duration::from_millis(500);

/// How batches at the provider are looked at.
impl Driving<'_, '_> {
    /// Returns the time to the next look at a batch that was looked at so often.
    pub(super) fn interval(&self, looks: u32) -> Duration {
        let poll = self.lane.policy.poll;
        poll.min(FIRST_LOOK.min(poll).saturating_mul(1 << looks.min(10)))
    }

    pub(super) fn look(&mut self, at: usize) -> Result<()> {
        let Some(id) = self.batches[at].held.stored().remote().map(str::to_owned) else {
            return self.abandon(at, "it has no id");
        };
        let is_cancelled = self.batches[at].state() == BatchState::Cancelling;
        let looked = self.lane.service.look(&mut self.line, &id).or_else(|trouble| {
            let is_gone = is_cancelled && trouble.kind == BatchTroubleKind::Absent;
            is_gone.then(|| self.lane.service.left_by_cancelling(&id)).flatten().ok_or(trouble)
        });
        match looked {
            Ok(remote) if remote.phase == RemotePhase::Ended => {
                let mut step = BatchStep::new(BatchState::Ended, self.at());
                step.status = Some(remote.status.clone());
                step.expires = remote.expires_at.and_then(rfc3339);
                step.files = remote.input.iter().chain(&remote.outputs).cloned().collect();
                step.note = remote.complaints.first().map(|first| format!("{}: {}", first.code, first.message));
                let batch = &mut self.batches[at];
                batch.troubles = 0;
                batch.last = Some(remote);
                batch.held.step(step)
            }
            Ok(remote) => {
                let next = self.now() + self.interval(self.batches[at].looks);
                let is_late = remote.phase == RemotePhase::Waiting
                    && self.batches[at].state() == BatchState::Submitted
                    && self.waited(at) > self.lane.policy.start_deadline;
                let batch = &mut self.batches[at];
                (batch.troubles, batch.looks, batch.next) = (0, batch.looks + 1, next);
                batch.was_running |= batch.state() == BatchState::Submitted && !remote.status.contains("cancel");
                let is_news = batch
                    .last
                    .as_ref()
                    .is_none_or(|last| (last.finished, &last.status) != (remote.finished, &remote.status));
                let text = match (remote.finished, remote.requests) {
                    (Some(done), Some(all)) => format!("{}: {}, {done} of {all}", batch.named(), remote.status),
                    _ => format!("{}: {}", batch.named(), remote.status),
                };
                batch.last = Some(remote);
                if is_news {
                    self.tell(text);
                }
                if is_late { self.cancel_late(at, &id) } else { Ok(()) }
            }
            Err(trouble) => {
                self.troubled(at, &trouble);
                Ok(())
            }
        }
    }

    /// Returns for how long a batch has been at the provider, as the wall clock has it.
    pub(super) fn waited(&self, at: usize) -> Duration {
        let submitted = self.batches[at].held.stored().step(BatchState::Submitted);
        let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
        let since = submitted.and_then(|step| time(&step.at)).zip(time(&self.at()));
        since.map_or(Duration::ZERO, |(then, now)| Duration::try_from(now.duration_since(then)).unwrap_or_default())
    }

    /// Cancels a batch that does not begin: its draws fail, and another build may ask again.
    pub(super) fn cancel_late(&mut self, at: usize, id: &str) -> Result<()> {
        let named = self.batches[at].named();
        match self.lane.service.cancel(&mut self.line, id) {
            Ok(()) => {
                let mut step = BatchStep::new(BatchState::Cancelling, self.at());
                step.note = Some("it did not begin in time".to_owned());
                self.tell(format!("{named} has not begun in time, and is cancelled"));
                self.batches[at].held.step(step)
            }
            Err(trouble) => {
                self.troubled(at, &trouble);
                Ok(())
            }
        }
    }

    /// Takes a trouble with a batch that is, or may be, at the provider: it is never given up, only waited for.
    pub(super) fn troubled(&mut self, at: usize, trouble: &BatchTrouble) {
        let now = self.now();
        let account = self.lane.service.account(self.batches[at].held.name());
        let batch = &mut self.batches[at];
        batch.troubles += 1;
        batch.next = now + backoff(batch.troubles, self.lane.policy.poll).max(trouble.after.unwrap_or_default());
        let is_hopeless = match trouble.kind {
            BatchTroubleKind::Passing | BatchTroubleKind::Quota => batch.troubles > TROUBLES,
            BatchTroubleKind::Absent | BatchTroubleKind::Refused | BatchTroubleKind::Stopped => true,
        };
        if !is_hopeless {
            return;
        }
        let known = &batch.held.stored().head.account;
        let key = if trouble.kind == BatchTroubleKind::Absent && *known != account && !known.is_empty() {
            "; it was submitted under another key or organisation"
        } else {
            ""
        };
        let name = batch.held.name();
        batch.stuck = Some(format!(
            "{} cannot be seen here{key} ({}): nothing of it is asked again; `--ignore-batch {name}` gives it up",
            batch.named(),
            trouble.why
        ));
    }

    /// Looks what became of batches that other processes work on, and takes up those that nobody works on any more.
    pub(super) fn look_at_others(&mut self) -> Result<()> {
        let now = self.now();
        for (name, ids, next) in std::mem::take(&mut self.others) {
            if next > now {
                self.others.push((name, ids, next));
                continue;
            }
            if self.take_up(&name)? {
                continue;
            }
            let stored = self.lane.asker.session.store().batch(&name)?;
            if stored.is_none_or(|stored| stored.state().is_terminal()) {
                self.again(ids);
            } else {
                self.others.push((name, ids, now + LOOK_AT_OTHERS));
            }
        }
        Ok(())
    }
}
