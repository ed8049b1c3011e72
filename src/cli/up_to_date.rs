use std::time::Duration;

use super::build_args::BuildArgs;
use super::failure::{Exit, Failure};
use super::finish::{self, Finished};
use super::output::Output;
use super::plan_inputs::PlanInputs;
use super::planning::{Planning, narrowed};
use super::premises::Premises;
use super::program::Program;
use super::project::Project;
use crate::digest::{BlobId, ConclusionKey};
use crate::engine::{StepLimits, Verdict};
use crate::flow::Clock;
use crate::run::{Catalog, RequestCounts, RunState, ViewDir, ViewEntry, root_of};
use crate::store::{Conclusion, Store, StoreError};

/// Is the end of a build that has nothing to do.
pub struct UpToDate<'b> {
    project: &'b Project,
    store: &'b Store,
    args: &'b BuildArgs,
    out: &'b Output,
    clock: &'b Clock,
    started: Duration,
    wanted: RunState,
    /// Absent where no conclusion may be relied on.
    premises: Option<(ConclusionKey, Program)>,
}

/// Is what such a build has to show and to say.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    actions: usize,
    requests: u64,
    slugs: Vec<String>,
    views: Vec<ViewEntry>,
}

impl Facts {
    fn of(planning: &Planning<'_>, store: &Store) -> Self {
        Self {
            actions: planning.resolution.total(),
            requests: finish::hit_requests(planning, store).total,
            slugs: finish::slugs(planning),
            views: finish::views(planning, &|node, output| planning.hit_output(node, output)),
        }
    }
}

impl<'b> UpToDate<'b> {
    /// Prepares for it.
    pub fn new(
        (project, store): (&'b Project, &'b Store),
        args: &'b BuildArgs,
        (inputs, limits): (&PlanInputs<'_>, &StepLimits),
        out: &'b Output,
        (clock, started): (&'b Clock, Duration),
    ) -> Self {
        // What was done is not asked for again: nothing can be concluded from its being done.
        let program = if args.force { None } else { Program::running(store, !args.select.no_stat_cache) };
        let premises = program.map(|program| (Premises { inputs, limits, program: &program }.key(), program));
        let is_narrowed = narrowed(&inputs.selection, limits).is_some();
        let wanted = if is_narrowed { RunState::Partial } else { RunState::Complete };
        Self { project, store, args, out, clock, started, wanted, premises }
    }

    /// Ends the build by what an earlier one concluded, if that still holds and every output is there.
    pub fn by_conclusion(&self) -> Result<Option<Exit>, Failure> {
        let Some((key, _)) = &self.premises else { return Ok(None) };
        let Some(conclusion) = self.store.conclusion(key)? else { return Ok(None) };
        let Ok(facts) = serde_json::from_str(&conclusion.facts) else { return Ok(None) };
        if !self.store.holds_all(&conclusion) {
            return Ok(None);
        }
        let ended = self.end(facts)?;
        if ended.is_some() {
            self.tell(self.store.keep_hashes());
        }
        Ok(ended)
    }

    /// Ends the build if a finished run shows just what the plan says, and keeps that for the next one.
    pub fn by_plan(&self, planning: &Planning<'_>) -> Result<Option<Exit>, Failure> {
        let facts = Facts::of(planning, self.store);
        let ended = self.end(facts.clone())?;
        if ended.is_some() {
            self.tell(self.keep(planning, &facts));
        }
        Ok(ended)
    }

    /// Ends the build, if a finished run shows just that already.
    fn end(&self, facts: Facts) -> Result<Option<Exit>, Failure> {
        let (project, store) = (self.project, self.store);
        let root = root_of(&facts.views);
        let catalog = Catalog::read(store)?;
        let known = catalog.made_here().rev().find(|entry| {
            let record = &entry.record;
            record.state == self.wanted
                && record.root == Some(root)
                && record.manifest.is_some()
                && self.args.run_id.as_ref().is_none_or(|id| *id == record.run_id)
        });
        let Some(entry) = known else { return Ok(None) };
        let record = &entry.record;
        let dir = ViewDir::new(&project.home.experiments, &record.run_id);
        let is_newest = catalog.latest().is_some_and(|latest| latest.record.run_id == record.run_id);
        let stands = dir.stands(&facts.views, &|view| store.blob_path(&view.blob)) && (!is_newest || dir.is_latest());
        let restored = match if stands { Ok(0) } else { finish::show(&dir, store, record) } {
            // The run was let go since it was found: what it shows is made again by a run of this build's own.
            Err(_) if store.run(&record.run_id)?.is_none() => return Ok(None),
            shown => shown?,
        };
        let (actions, requests) = (facts.actions, facts.requests);
        let finished = Finished {
            record: record.clone(),
            up_to_date: true,
            restored,
            actions: finish::ActionCounts { total: actions, hit: actions, ..Default::default() },
            requests: RequestCounts { total: requests, reused: requests, ..RequestCounts::default() },
            cost: super::spending::all_saved(record.cost_usd.as_ref()),
            failures: Vec::new(),
            slugs: facts.slugs,
            duration: self.clock.monotonic().saturating_sub(self.started),
        };
        if self.args.archive {
            super::archive::write(&project.home, store, &record.run_id, self.out)?;
        }
        let (exit, gates) = super::gates::of_build(store, record, self.args, self.out)?;
        finish::print(&finished, &gates, project, self.out);
        Ok(Some(exit))
    }

    /// Keeps what was found, where it is certain that it holds for this program and these rows alone.
    fn keep(&self, planning: &Planning<'_>, facts: &Facts) -> Result<(), StoreError> {
        let certain = self.premises.as_ref().filter(|(_, program)| program.is_certain(self.store));
        let (Some((key, _)), Some(generation), Ok(facts)) = (certain, &planning.basis, serde_json::to_string(facts))
        else {
            return self.store.keep_hashes();
        };
        let hits = planning.resolution.verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Hit(row) => Some(row),
            _ => None,
        });
        let outputs: Vec<(BlobId, u64)> =
            hits.flat_map(|row| row.outputs.iter().map(|output| (output.blob, output.size))).collect();
        self.store.keep_conclusion(key, &Conclusion::new(facts, outputs), generation).map(drop)
    }

    /// Nothing is lost but time where something could not be kept: it is told, and the build has ended all the same.
    fn tell(&self, kept: Result<(), StoreError>) {
        if let Err(error) = kept
            && !error.is_forbidden()
        {
            let Failure { message, causes, .. } = Failure::from(error);
            let why = [&[message], causes.as_slice()].concat().join(": ");
            self.out.note(&format!("what was found could not be kept, and the next build looks again: {why}"));
        }
    }
}
