use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::build_args::BuildArgs;
use super::environment::{self, Variables};
use super::failure::{Exit, Failure};
use super::heartbeat::with_heartbeat;
use super::history::estimate_build;
use super::limits::{most_open, step_limits};
use super::online::Outside;
use super::output::Output;
use super::plan_inputs::PlanInputs;
use super::planning::Planning;
use super::progress::Progress;
use super::project::Project;
use super::signals::stop_flag;
use super::threads::{cores, pool};
use super::unaskable::{Silence, unaskable};
use super::up_to_date::UpToDate;
use super::{consent, prices, who};
use crate::ask::Asker;
use crate::digest::BlobId;
use crate::engine::{Engine, MissReason, NodeDone, NodeFailure, RangeResult, Verdict};
use crate::flow::{Budget, Clock, Event, Money, StopFlag};
use crate::plan::{From, NodeIndex, StepKind};
use crate::provider::Proxies;
use crate::run::{Catalog, ServedModel, ViewDir, check_run_id};
use crate::step::StepError;
use crate::store::{Access, ActionRow, Commit, Session, Store};

/// Is the program and its version, as records name it.
pub const TOOL: &str = concat!("exp ", env!("CARGO_PKG_VERSION"));

/// How often the display goes on of itself.
const TICK: Duration = Duration::from_millis(200);

/// Says what else a build has to know, beyond what was typed.
#[derive(Default)]
pub struct Mode {
    /// The run that this one re-scores.
    pub parent: Option<String>,
    /// Nothing may be asked of anybody.
    pub ask_nothing: bool,
    /// The account that it spends from, where it shares one; absent: one of its own.
    pub budget: Option<Budget>,
}

/// Makes the account of a build: limited as the command line says, else the config.
pub fn budget(project: &Project, args: &BuildArgs) -> Budget {
    Budget::new(args.max_cost.or_else(|| Money::usd(project.config.max_usd?)))
}

/// Builds: plans, runs what is missing, and shows the run.
pub fn build(project: &Project, args: &BuildArgs, mode: &Mode, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    with_heartbeat(out, || {
        out.doing("reading the inputs");
        let exit = built(project, args, mode, out, clock);
        out.doing("");
        exit
    })
}

fn built(project: &Project, args: &BuildArgs, mode: &Mode, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    if let Some(id) = &args.run_id {
        check_run_id(id)?;
    }
    let started = clock.monotonic();
    super::gates::check_names(&super::gates::parse(&args.gate)?, &project.config)?;
    let limits = step_limits(args)?;
    PlanInputs::check(project, &args.select)?;
    let store = project.home.open_store(Access::ReadWrite, out)?;
    let inputs = PlanInputs::read(project, &store, &args.select)?;
    let up_to_date = UpToDate::new((project, &store), args, (&inputs, &limits), out, (clock, started));
    if let Some(exit) = up_to_date.by_conclusion()? {
        return Ok(exit);
    }
    out.doing("working out what is to be done");
    let mut planning = Planning::start(inputs, &store, limits, args.force)?;
    if planning.is_prepared() {
        planning.expand_from_hits(&store)?;
        if planning.is_done()
            && let Some(exit) = up_to_date.by_plan(&planning)?
        {
            // The process ends here: taking a graph of thousands of nodes apart first would be a third of the whole time.
            std::mem::forget(planning);
            return Ok(exit);
        }
    }
    let stop = stop_flag()?;
    // Whoever asks nobody over a network needs no `.env`, however it is written.
    let is_online = planning.asked().iter().any(|asked| !asked.provider.kind.is_embedded());
    let variables = if is_online { Variables::read(&project.config_path())? } else { Variables::default() };
    let session = store.session()?;
    let mut building = Building {
        args,
        mode,
        out,
        clock,
        stop,
        session: &session,
        store: &store,
        planning,
        served: Mutex::default(),
        budget: mode.budget.clone().unwrap_or_else(|| budget(project, args)),
        variables,
        proxies: environment::proxies(),
    };
    let result = building.run(started);
    session.flush_stat_cache()?;
    result
}

/// Is a build at work.
pub(super) struct Building<'b, 'p> {
    pub(super) args: &'b BuildArgs,
    pub(super) mode: &'b Mode,
    pub(super) out: &'b Output,
    pub(super) clock: &'b Clock,
    pub(super) stop: StopFlag,
    pub(super) session: &'b Session,
    pub(super) store: &'b Store,
    pub(super) planning: Planning<'p>,
    /// What may be spent.
    pub(super) budget: Budget,
    /// What servers said that they serve.
    pub(super) served: Mutex<Vec<ServedModel>>,
    /// The variables that keys are named by.
    variables: Variables,
    /// The proxies of the environment.
    proxies: Proxies,
}

impl Building<'_, '_> {
    fn run(&mut self, started: Duration) -> Result<Exit, Failure> {
        self.hold_hits()?;
        self.ingest()?;
        let mut done: Vec<Option<NodeDone>> = Vec::new();
        if self.planning.is_prepared() {
            done = (0..self.planning.plan.first_stage).map(|at| self.hit(at)).collect();
            if self.planning.plan.trials.is_empty() {
                self.planning.expand_from_hits(self.store)?;
                self.hold_hits()?;
            }
        } else {
            let first = self.stage_mending(0..self.planning.plan.first_stage, &mut done, None)?;
            refuse_inputs(&first)?;
            if first.stopped || !first.failures.is_empty() {
                return self.early_end(&first);
            }
            // It has grown already where a prepared dataset was there at first, and went.
            if self.planning.plan.trials.is_empty() {
                self.planning.expand(&|node| done.get(node.get())?.as_ref().map(|done| done.row.clone()))?;
            }
            self.adopt(&done);
            let start = self.planning.plan.first_stage;
            self.planning.resolve(self.store, start);
            self.hold_hits()?;
        }
        // The requests are made before there is a run: what is wrong in an input ends here, with nothing shown or sent.
        let built = self.build_requests(&mut done)?;
        refuse_inputs(&built)?;
        // A store that could not take the requests is not asked to take a run.
        if built.stopped || built.failures.iter().any(|(_, failure)| matches!(failure, NodeFailure::Store(_))) {
            return self.early_end(&built);
        }
        // Who cannot be asked here is an error of the config, not of a run.
        let silence = match (self.mode.ask_nothing, self.args.offline) {
            (true, _) => Some(Silence::Score),
            (false, true) => Some(Silence::Offline),
            (false, false) => None,
        };
        unaskable(&self.planning, self.store, &done, silence, &self.variables)?;
        if !self.mode.ask_nothing {
            self.out.doing("pricing what is to be sent");
            self.agree(&done)?;
        }
        let (mut record, dir) = self.begin()?;
        self.out.note(&format!("run {}", record.run_id));
        let range = self.planning.plan.first_stage..self.planning.plan.graph.nodes().len();
        let result = self.stage_mending(range, &mut done, Some(&dir))?;
        self.refuse_missing_providers(&result, &mut record, &dir)?;
        self.out.doing("writing down what came of it");
        self.end(record, &dir, &done, &result, started)
    }

    /// Prices what is to be sent, and ends the build where nobody agrees to spend that.
    fn agree(&self, done: &[Option<NodeDone>]) -> Result<(), Failure> {
        let planning = &self.planning;
        let asked = planning.asked();
        if asked.iter().all(|asked| asked.provider.kind.is_embedded()) {
            return Ok(());
        }
        let tariffs = prices::tariffs(&asked, &planning.sources);
        let estimate = estimate_build(planning, self.store, done, &tariffs, &self.args.ignore_batch)?;
        if estimate.draws > 0 {
            for warning in prices::old_prices(&asked, &self.clock.now()) {
                self.out.note(&warning);
            }
        }
        consent::require(&estimate, &planning.project.config, self.args, &self.budget, self.out)
    }

    /// Puts every file that the plan reads, and the config, into the store: from here on a path is never read.
    fn ingest(&self) -> Result<(), Failure> {
        let mut wanted: Vec<(crate::digest::BlobId, u64)> = Vec::new();
        let mut files: Vec<&crate::plan::SourceBlob> = self.planning.sources.values().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        wanted.extend(files.iter().map(|file| (file.blob, file.size)));
        let present = self.session.hold_blobs(&wanted)?;
        let mut blobs = vec![self.session.stage(&self.planning.project.config_bytes)?];
        for (file, presence) in files.iter().zip(present) {
            if presence != crate::store::Presence::Present {
                blobs.push(self.session.stage_file(&file.path, &file.blob)?);
            }
        }
        self.session.commit(vec![Commit { record: None, blobs }])?;
        Ok(())
    }

    /// Holds what is done, so that no garbage collection takes it; what one has taken since it was looked up runs again.
    fn hold_hits(&mut self) -> Result<(), Failure> {
        let verdicts = &mut self.planning.resolution.verdicts;
        let hits: Vec<(usize, Arc<ActionRow>)> = (0..verdicts.len())
            .filter_map(|at| match &verdicts[at] {
                Verdict::Hit(row) => Some((at, row.clone())),
                _ => None,
            })
            .collect();
        let rows: Vec<&ActionRow> = hits.iter().map(|(_, row)| &**row).collect();
        let held = self.session.hold_actions(&rows)?;
        for ((at, row), held) in hits.iter().zip(held) {
            if !held {
                verdicts[*at] = Verdict::Miss(MissReason::OutputMissing, Some(row.clone()));
            }
        }
        Ok(())
    }

    fn hit(&self, at: usize) -> Option<NodeDone> {
        match &self.planning.resolution.verdicts[at] {
            Verdict::Hit(row) => Some(NodeDone { key: row.key, row: row.clone(), ran: None }),
            _ => None,
        }
    }

    /// Makes the first stage's results look like hits, so that the second stage resolves against them.
    fn adopt(&mut self, done: &[Option<NodeDone>]) {
        for (at, node) in done.iter().enumerate() {
            if let Some(node) = node {
                self.planning.resolution.verdicts[at] = Verdict::Hit(node.row.clone());
                self.planning.resolution.keys[at] = Some(node.key);
            }
        }
    }

    /// Runs the missing `build` actions ahead of everything else, so that all requests are known and all inputs are good.
    fn build_requests(&mut self, done: &mut Vec<Option<NodeDone>>) -> Result<RangeResult, Failure> {
        let range = self.planning.plan.first_stage..self.planning.plan.graph.nodes().len();
        let missing = range.clone().any(|at| {
            self.planning.plan.graph.node(NodeIndex(at as u32)).step.makes_requests()
                && matches!(self.planning.resolution.verdicts[at], Verdict::Miss(..))
        });
        if !missing || !self.planning.limits.may_run(StepKind::Build) {
            return Ok(RangeResult::default());
        }
        let kept = std::mem::take(&mut self.planning.resolution);
        let mut narrowed = crate::engine::Resolution { verdicts: kept.verdicts.clone(), keys: kept.keys.clone() };
        for at in range.clone() {
            // What a judge is asked about answers that are there is known now as well.
            let step = self.planning.plan.graph.node(NodeIndex(at as u32)).step;
            let is_kept = step.makes_requests() || matches!(narrowed.verdicts[at], Verdict::Hit(_));
            if step > StepKind::Build && !is_kept {
                narrowed.verdicts[at] = Verdict::LeftOut;
            }
        }
        self.planning.resolution = narrowed;
        let result = self.stage_mending(range, done, None);
        self.planning.resolution = kept;
        let result = result?;
        self.resolve_after_build(done)?;
        Ok(result)
    }

    /// Looks up what waited for the requests.
    fn resolve_after_build(&mut self, done: &[Option<NodeDone>]) -> Result<(), Failure> {
        let start = self.planning.plan.first_stage;
        self.planning.table = self.store.actions(self.planning.plan.graph.nodes().len())?;
        self.planning.resolve(self.store, start);
        self.adopt(done);
        self.hold_hits()
    }

    /// Runs a range, and where an action failed because stored bytes were damaged, makes these anew and goes on.
    fn stage_mending(
        &mut self,
        range: std::ops::Range<usize>,
        done: &mut Vec<Option<NodeDone>>,
        dir: Option<&ViewDir>,
    ) -> Result<RangeResult, Failure> {
        let mut result = self.stage(range.clone(), done, dir)?;
        // Each blob is mended once: a disk that damages it again and again is not a thing to go on with.
        let mut mended = HashSet::new();
        while !result.stopped && self.mend(&result, done, &mut mended)? {
            let before = result.counts;
            result = self.stage(0..range.end, done, dir)?;
            result.counts.reused = result.counts.reused.saturating_sub(before.sent);
            result.counts.sent += before.sent;
            result.counts.failed += before.failed;
        }
        Ok(result)
    }

    /// Finds the damaged blobs among what the failed actions read, and marks who made them as not done; says whether
    /// there is something to run again.
    fn mend(
        &mut self,
        result: &RangeResult,
        done: &mut [Option<NodeDone>],
        mended: &mut HashSet<BlobId>,
    ) -> Result<bool, Failure> {
        let before = mended.len();
        let mut has_sources = false;
        for (node, _) in &result.failures {
            // A flipped byte can look like a fault of the step: what it read is hashed again, whatever it complained of.
            for (_, from) in &self.planning.plan.graph.node(*node).inputs {
                match from {
                    From::Source(at) => {
                        let blob = self.planning.plan.graph.sources()[*at as usize].blob;
                        has_sources |= self.is_damaged(&blob) && mended.insert(blob);
                    }
                    From::Output(maker, name) => {
                        let Some(slot) = done.get_mut(maker.get()) else { continue };
                        let Some(row) = slot.as_ref().map(|made| made.row.clone()) else { continue };
                        let Some((blob, _)) = crate::engine::output_of(&row, name) else { continue };
                        if self.is_damaged(&blob) && mended.insert(blob) {
                            self.planning.resolution.verdicts[maker.get()] =
                                Verdict::Miss(MissReason::OutputMissing, Some(row));
                            *slot = None;
                        }
                    }
                }
            }
        }
        if has_sources {
            self.ingest()?;
        }
        let found = mended.len() - before;
        if found > 0 {
            let blobs = if found == 1 { "1 damaged blob is" } else { &format!("{found} damaged blobs are") };
            self.out.note(&format!("{blobs} made again"));
        }
        Ok(found > 0)
    }

    /// Hashes a blob. The store sets a damaged one aside, so that it can be written again.
    fn is_damaged(&self, blob: &BlobId) -> bool {
        !self.store.open_blob(blob).is_ok_and(|mut reader| std::io::copy(&mut reader, &mut std::io::sink()).is_ok())
    }

    fn stage(
        &self,
        range: std::ops::Range<usize>,
        done: &mut Vec<Option<NodeDone>>,
        dir: Option<&ViewDir>,
    ) -> Result<RangeResult, Failure> {
        let planning = &self.planning;
        let config = &planning.project.config;
        let asked = planning.asked();
        let store = self.store.clone();
        let read: who::ReadBlob = Arc::new(move |blob| store.read(blob).map_err(|error| error.to_string()));
        let providers = if self.mode.ask_nothing {
            crate::ask::Providers::default()
        } else {
            let outside = Outside { variables: &self.variables, proxies: &self.proxies, clock: self.clock };
            let outside = Some(outside).filter(|_| !self.args.offline);
            who::providers(config, &asked, &planning.sources, &read, outside.as_ref())?
        };
        let policies = who::policies(config, &asked, self.args);
        let batching = who::batching(config, &asked, self.args);
        // A batch is packed when all that is wanted is known: no part may wait for another one's answers.
        let packs = asked.iter().any(|asked| who::batch_policy(asked.provider).from.is_some());
        let expected = who::expected(&asked, &Catalog::read(self.store)?);
        let tariffs = prices::tariffs(&asked, &planning.sources);
        // The display speaks for itself.
        let doing = self.out.doing("");
        let progress = Progress::new(self.out, self.clock, &self.budget, &planning.plan, range.len());
        let stop = self.stop.clone();
        let ignore_stop = self.args.ignore_stop;
        let look_at_stop = || {
            if !ignore_stop && dir.is_some_and(ViewDir::stop_requested) {
                stop.raise();
            }
        };
        let events = |event: Event| {
            look_at_stop();
            if let Event::Looked { provider, model, revision, context_length, note } = &event {
                self.served.lock().unwrap_or_else(PoisonError::into_inner).push(ServedModel {
                    provider: provider.clone(),
                    model: model.clone(),
                    revision: revision.clone(),
                    context_length: *context_length,
                    note: note.clone(),
                });
            }
            // Before there is a run, what fails is an error in a file, told whole at the end.
            if dir.is_some() || !matches!(event, Event::Failed { .. }) {
                progress.take(&event);
            }
        };
        let fetch = |node: NodeIndex, into: &mut dyn std::io::Write| -> Result<(), NodeFailure> {
            super::fetch::fetch(config, &planning.plan, node, self.args.offline, &self.proxies, self.store.dir(), into)
        };
        let jobs = self.args.max_concurrent_jobs.or(config.max_concurrent_jobs.map(|n| n as usize));
        let (running, answering) = (pool(cores())?, pool(cores())?);
        let asker = Asker {
            session: self.session,
            providers: &providers,
            policies: &policies,
            batching: &batching,
            expected: &expected,
            tariffs: &tariffs,
            budget: &self.budget,
            pool: &answering,
            clock: self.clock,
            stop: &self.stop,
            events: &events,
        };
        let engine = Engine {
            asker: &asker,
            pool: &running,
            table: &planning.table,
            order_seed: config.analysis.random_seed,
            fetch: &fetch,
            external: &|node, told| super::external::run(config, &planning.plan, self.store, &self.stop, node, told),
            tool: TOOL,
            limits: &planning.limits,
            force: planning.force,
            keep_going: self.args.keep_going,
            retry_rejected: self.args.retry_rejected,
            most_open: if packs { usize::MAX } else { most_open(policies.most_in_flight()) },
            parts_in_flight: if packs { usize::MAX } else { jobs.map_or(usize::MAX, |jobs| jobs.max(1)) },
        };
        let has_ended = AtomicBool::new(false);
        let result = std::thread::scope(|scope| {
            // Nothing may happen for long while answers are waited for: the display goes on, and a wish to stop is seen.
            let ticking = scope.spawn(|| {
                while !has_ended.load(Ordering::Relaxed) {
                    std::thread::park_timeout(TICK);
                    look_at_stop();
                    progress.tick();
                }
            });
            let result = engine.run(&planning.plan.graph, range, &planning.resolution, done);
            has_ended.store(true, Ordering::Relaxed);
            ticking.thread().unpark();
            result
        })?;
        progress.end();
        self.out.doing(doing);
        Ok(result)
    }

    /// Ends a build that found no run to show.
    fn early_end(&self, result: &RangeResult) -> Result<Exit, Failure> {
        if let Some((_, failure)) = result.failures.first() {
            return Err(Failure::from(failure));
        }
        self.out.note("stopped before anything was sent; build again to go on");
        Ok(Exit::Stopped)
    }
}

/// Ends with every problem found in the files that people wrote, if there is one: nothing was sent, nothing is shown.
fn refuse_inputs(result: &RangeResult) -> Result<(), Failure> {
    let mut texts: Vec<String> = Vec::new();
    let mut places = std::collections::BTreeSet::new();
    for (_, failure) in &result.failures {
        if let NodeFailure::Step(StepError::Inputs(problems)) = failure {
            // Every part finds the same fault of a template, each with an item of its own: it is told once.
            let new = problems.iter().filter(|p| p.line.is_none() || places.insert((p.file.clone(), p.line, p.column)));
            texts.extend(new.map(super::problem::render));
        } else {
            let failure = Failure::from(failure);
            if failure.exit == Exit::Usage {
                texts.push(failure.render());
            }
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    texts.retain(|text| seen.insert(text.clone()));
    if texts.is_empty() {
        return Ok(());
    }
    Err(Failure::rendered(Exit::Usage, texts.join("\n\n")).hint("nothing was sent"))
}
