use std::sync::PoisonError;
use std::time::Duration;

use super::build::Building;
use super::failure::{Exit, Failure};
use super::finish::{self, Finished};
use super::reasons::Reasons;
use super::{prices, spending};
use crate::ask::Counts;
use crate::engine::{NodeDone, NodeFailure, RangeResult};
use crate::run::{Catalog, CostSummary, RunRecord, RunState, ViewDir, ViewEntry, fresh_run_id, root_of};
use crate::store::Commit;

/// The life of a build's run: how it is opened, written down and ended.
impl Building<'_, '_> {
    /// Opens the run: the unfinished one of this plan, or a new one.
    pub(super) fn begin(&self) -> Result<(RunRecord, ViewDir), Failure> {
        let planning = &self.planning;
        let project = planning.project;
        let plan = planning.plan.graph.id(planning.narrowed().is_some());
        // Two builds of one second may not choose one id, nor both go on with one unfinished run.
        let held = self.store.hold_runs()?;
        let catalog = Catalog::read(self.store)?;
        let now = self.clock.now();
        let unfinished = catalog.made_here().rev().find(|entry| {
            entry.record.plan == plan
                && entry.record.state.is_unfinished()
                && !entry.alive
                && self.args.run_id.as_ref().is_none_or(|id| *id == entry.record.run_id)
        });
        let record = if let Some(entry) = unfinished {
            RunRecord {
                state: RunState::Running,
                session: self.session.id().to_owned(),
                updated_at: now,
                config: project.config_blob(),
                ..entry.record.clone()
            }
        } else {
            let taken = |id: &str| {
                catalog.entries().iter().any(|entry| entry.record.run_id == id)
                    || ViewDir::new(&project.home.experiments, id).path().symlink_metadata().is_ok()
            };
            let run_id = match &self.args.run_id {
                Some(id) if taken(id) => {
                    return Err(Failure::usage(format!("run `{id}` is there already, with another plan"))
                        .hint("a finished run is never changed: choose another --run-id"));
                }
                Some(id) => id.clone(),
                None => fresh_run_id(&now, taken),
            };
            RunRecord {
                schema_version: RunRecord::SCHEMA_VERSION,
                run_id,
                state: RunState::Running,
                session: self.session.id().to_owned(),
                sessions: Vec::new(),
                plan,
                created_at: now.clone(),
                updated_at: now,
                config: project.config_blob(),
                imported: None,
                records: None,
                parent: self.mode.parent.clone(),
                root: None,
                manifest: None,
                cost_usd: None,
                served: Vec::new(),
                signatures: Vec::new(),
            }
        };
        let mut record = record;
        record.sessions.push(self.session.id().to_owned());
        let dir = ViewDir::new(&project.home.experiments, &record.run_id);
        if dir.stop_requested() && !self.args.ignore_stop {
            self.out.note("a STOP file of an earlier build of this run was found and removed");
        }
        dir.clear_stop()?;
        self.write_down(&mut record, &dir, &[], &RangeResult::default(), Vec::new())?;
        drop(held);
        Ok((record, dir))
    }

    /// Makes the run's manifest durable, then the record that names it, then shows it.
    pub(super) fn write_down(
        &self,
        record: &mut RunRecord,
        dir: &ViewDir,
        done: &[Option<NodeDone>],
        result: &RangeResult,
        circumstances: Vec<ViewEntry>,
    ) -> Result<(), Failure> {
        let catalog = Catalog::read(self.store)?;
        let mut reasons =
            if done.is_empty() { None } else { Some(Reasons::new(self.store, &catalog, Some(&record.run_id))?) };
        let (planning, clock) = (&self.planning, self.clock);
        let manifest =
            finish::manifest(planning, self.store, record, done, result, clock, reasons.as_mut(), circumstances);
        let text = manifest.to_text()?;
        let staged = self.session.stage(text.as_bytes())?;
        record.manifest = Some(staged.blob().id);
        self.session.commit(vec![Commit { record: None, blobs: vec![staged] }])?;
        self.session.write_run(&record.run_id, &record.to_text()?)?;
        dir.write(crate::run::MANIFEST_NAME, &text)?;
        Ok(())
    }

    /// A provider that cannot be asked here is an error of the config, not of the run.
    pub(super) fn refuse_missing_providers(
        &self,
        result: &RangeResult,
        record: &mut RunRecord,
        dir: &ViewDir,
    ) -> Result<(), Failure> {
        let missing = result
            .failures
            .iter()
            .find(|(_, failure)| matches!(failure, NodeFailure::Ask(crate::ask::AskError::NoProvider { .. })));
        let Some((_, failure)) = missing else { return Ok(()) };
        record.state = RunState::Failed;
        record.updated_at = self.clock.now();
        let cost = self.cost(record, &[])?;
        record.cost_usd = (cost != CostSummary::default()).then_some(cost);
        self.write_down(record, dir, &[], result, Vec::new())?;
        Err(Failure::from(failure))
    }

    pub(super) fn end(
        &self,
        mut record: RunRecord,
        dir: &ViewDir,
        done: &[Option<NodeDone>],
        result: &RangeResult,
        started: Duration,
    ) -> Result<Exit, Failure> {
        let planning = &self.planning;
        let project = planning.project;
        let failed_draws: u64 = finish::failed_draws(planning, done);
        let all_done = finish::all_done(planning, done);
        let too_many = failed_draws > project.config.max_failed;
        let (state, exit) = if result.stopped && !all_done {
            (RunState::Stopped, Exit::Stopped)
        } else if result.over_budget && !all_done {
            (RunState::Stopped, Exit::Budget)
        } else if !result.failures.is_empty()
            || too_many
            || (!all_done && result.parked.is_empty() && result.pending.is_empty())
        {
            (RunState::Failed, finish::exit_of_failures(result))
        } else if !all_done {
            (RunState::Pending, Exit::Pending)
        } else if planning.narrowed().is_some() {
            (RunState::Partial, Exit::Done)
        } else {
            (RunState::Complete, Exit::Done)
        };
        record.state = state;
        let views = finish::views(planning, &|node, output| {
            let row = &done.get(node.get())?.as_ref()?.row;
            crate::engine::output_of(row, output)
        });
        self.note_served(&mut record);
        record.root = all_done.then(|| root_of(&views));
        record.updated_at = self.clock.now();
        let cost = self.cost(&record, done)?;
        record.cost_usd = (cost != CostSummary::default()).then_some(cost);

        let catalog = Catalog::read(self.store)?;
        if let Some(twin) = self.twin(&catalog, &record) {
            let twin_dir = ViewDir::new(&project.home.experiments, &twin.run_id);
            let shown = finish::show(&twin_dir, self.store, &twin);
            // If a collection has let it go meanwhile, this run stands for itself.
            if shown.is_ok() || self.store.run(&twin.run_id)?.is_some() {
                let restored = shown?;
                // What ran changed nothing that is shown: the run that shows it already stands for this build.
                self.session.remove_run(&record.run_id)?;
                finish::remove_dir(dir)?;
                let (exit, gates) = super::gates::of_build(self.store, &twin, self.args, self.out)?;
                let finished = self.finished(twin, true, restored, done, result, cost, started);
                finish::print(&finished, &gates, project, self.out);
                return Ok(exit);
            }
        }

        let (circumstances, complaints) = self.origins(&record, done)?;
        let mut exit = exit;
        for complaint in complaints {
            self.out.note(&complaint.text);
            if complaint.is_error && exit == Exit::Done {
                record.state = RunState::Failed;
                exit = Exit::Failed;
            }
        }
        self.write_down(&mut record, dir, done, result, circumstances)?;
        let manifest = Catalog::manifest(self.store, &record)?;
        {
            // A build that finds all done may be showing this run as well.
            let _held = self.store.hold_runs()?;
            super::run_page::write_page(dir, self.store, &manifest, true)?;
        }
        finish::show(dir, self.store, &record)?;
        if self.args.archive && exit == Exit::Done {
            super::archive::write(&project.home, self.store, &record.run_id, self.out)?;
        }
        for (provider, seconds) in &result.parked {
            let wait = finish::duration_text(Duration::from_secs(*seconds));
            self.out.note(&format!("{provider} asks to be left alone for {wait}; `exp build` goes on after that"));
        }
        for (provider, reasons) in &result.pending {
            for why in reasons {
                self.out.note(&format!("pending at {provider}: {why}"));
            }
        }
        if !result.pending.is_empty() && exit == Exit::Pending {
            self.out.note("`exp jobs` lists the batches; `exp build` goes on with this run once they have ended");
        }
        if exit == Exit::Budget {
            self.out.note("the budget is reached: a larger `--max-cost`, and `exp build` goes on with this run");
        }
        let (gate, gates) = super::gates::of_build(self.store, &record, self.args, self.out)?;
        let finished = self.finished(record, false, 0, done, result, cost, started);
        finish::print(&finished, &gates, project, self.out);
        Ok(if exit == Exit::Done { gate } else { exit })
    }

    /// Writes down what servers said that they serve; what they were not asked this time stands as it was.
    fn note_served(&self, record: &mut RunRecord) {
        let looked = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        for now in looked.iter() {
            record.served.retain(|before| (&before.provider, &before.model) != (&now.provider, &now.model));
            record.served.push(now.clone());
        }
        record.served.sort();
    }

    /// Finds a finished run that shows the same, unless this build was asked for by name.
    fn twin(&self, catalog: &Catalog, record: &RunRecord) -> Option<RunRecord> {
        if self.args.run_id.is_some() || self.mode.parent.is_some() || record.root.is_none() {
            return None;
        }
        catalog
            .made_here()
            .rev()
            .map(|entry| &entry.record)
            .find(|other| {
                other.run_id != record.run_id
                    && other.state == record.state
                    && matches!(record.state, RunState::Complete | RunState::Partial)
                    && other.root == record.root
                    && other.manifest.is_some()
            })
            .cloned()
    }

    /// Sums up what the run cost.
    fn cost(&self, record: &RunRecord, done: &[Option<NodeDone>]) -> Result<CostSummary, Failure> {
        let tariffs = prices::tariffs(&self.planning.asked(), &self.planning.sources);
        spending::cost_of(&self.planning, self.store, &record.sessions, done, &tariffs)
    }

    #[allow(clippy::too_many_arguments)] // Each is a field of what is printed.
    fn finished(
        &self,
        record: RunRecord,
        up_to_date: bool,
        restored: usize,
        done: &[Option<NodeDone>],
        result: &RangeResult,
        cost: CostSummary,
        started: Duration,
    ) -> Finished {
        let planning = &self.planning;
        let counts: Counts = result.counts;
        Finished {
            record,
            up_to_date,
            restored,
            actions: finish::count_actions(planning, done, result),
            requests: finish::requests(planning, self.store, done, counts),
            cost,
            failures: finish::failure_entries(planning, result),
            slugs: finish::slugs(planning),
            duration: self.clock.monotonic().saturating_sub(started),
        }
    }
}
