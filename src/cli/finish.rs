use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::build::TOOL;
use super::failure::{Exit, Failure};
use super::output::Output;
use super::planning::Planning;
use super::project::Project;
use super::reasons::Reasons;
use super::spending;
use super::wanted_draws::count_distinct;
use crate::ask::Counts;
use crate::digest::{BlobId, hex};
use crate::engine::{NodeDone, RangeResult, Verdict, spec_of};
use crate::flow::Clock;
use crate::plan::{NodeIndex, SourceBlob, TrialPlan};
use crate::run::{
    ActionEntry, Catalog, CostSummary, FailureEntry, GateResult, MANIFEST_NAME, Manifest, OutputEntry, PAGE_NAME,
    PromptEntry, RequestCounts, RunError, RunRecord, RunState, SourceEntry, TrialEntry, TrialSettings, ViewDir,
    ViewEntry, made_files,
};
use crate::store::Store;

/// Counts the actions of a build.
#[derive(Clone, Copy, Debug, Default)]
pub struct ActionCounts {
    /// Those that the build includes.
    pub total: usize,
    /// Done before.
    pub hit: usize,
    /// Run by this build.
    pub executed: usize,
    /// Failed in this build.
    pub failed: usize,
}

/// Is a build's end, as it is printed.
pub struct Finished {
    /// The run.
    pub record: RunRecord,
    /// Whether a finished run showed all of it already.
    pub up_to_date: bool,
    /// How many views were put back.
    pub restored: usize,
    /// What became of the actions.
    pub actions: ActionCounts,
    /// What became of the draws.
    pub requests: RequestCounts,
    /// What they cost.
    pub cost: CostSummary,
    /// What failed.
    pub failures: Vec<FailureEntry>,
    /// The trials' slugs.
    pub slugs: Vec<String>,
    /// How long it took.
    pub duration: Duration,
}

/// Finds an output of a node: its content and length, where they are known.
pub type FindOutput<'f> = dyn Fn(NodeIndex, &str) -> Option<(BlobId, u64)> + 'f;

/// Lists the run's views whose content is known.
pub fn views(planning: &Planning<'_>, output: &FindOutput<'_>) -> Vec<ViewEntry> {
    let views = planning.plan.views.iter().filter_map(|view| {
        let (blob, size) = output(view.node, view.output)?;
        Some(ViewEntry { slug: view.slug.clone(), name: view.name.to_owned(), blob, size })
    });
    views.collect()
}

/// Lists the trials' slugs.
pub fn slugs(planning: &Planning<'_>) -> Vec<String> {
    planning.plan.trials.iter().map(|trial| trial.label.slug.clone()).collect()
}

/// Says whether every action that the build includes is done.
pub fn all_done(planning: &Planning<'_>, done: &[Option<NodeDone>]) -> bool {
    planning
        .resolution
        .verdicts
        .iter()
        .enumerate()
        .all(|(at, verdict)| matches!(verdict, Verdict::LeftOut) || done.get(at).is_some_and(Option::is_some))
}

/// Counts the draws that have no answer.
pub fn failed_draws(planning: &Planning<'_>, done: &[Option<NodeDone>]) -> u64 {
    distinct_infer(planning, done).map(|(_, node)| node.row.failures).sum()
}

/// Lists the actions that ask and are done, equal ones once.
fn distinct_infer<'d>(
    planning: &'d Planning<'_>,
    done: &'d [Option<NodeDone>],
) -> impl Iterator<Item = (NodeIndex, &'d NodeDone)> {
    let mut seen = HashSet::new();
    done.iter().enumerate().filter_map(move |(at, node)| {
        let node = node.as_ref()?;
        let index = NodeIndex(at as u32);
        let asks = planning.plan.graph.node(index).step.asks();
        (asks && seen.insert(node.key)).then_some((index, node))
    })
}

/// Sums up the draws of a build, what several actions want once: those of actions that were hits count as reused.
pub fn requests(planning: &Planning<'_>, store: &Store, done: &[Option<NodeDone>], counts: Counts) -> RequestCounts {
    let actions = distinct_infer(planning, done).map(|(index, node)| (index, &*node.row));
    let total = count_distinct(planning, store, done, actions);
    let total = total.max(counts.reused + counts.sent + counts.failed);
    RequestCounts { total, reused: total - counts.sent - counts.failed, sent: counts.sent, failed: counts.failed }
}

/// Sums up the draws of a build in which everything was a hit.
pub fn hit_requests(planning: &Planning<'_>, store: &Store) -> RequestCounts {
    let mut seen = HashSet::new();
    let hits = planning.resolution.verdicts.iter().enumerate().filter_map(|(at, verdict)| {
        let index = NodeIndex(at as u32);
        let Verdict::Hit(row) = verdict else { return None };
        let asks = planning.plan.graph.node(index).step.asks();
        (asks && seen.insert(row.key)).then_some((index, &**row))
    });
    let total = count_distinct(planning, store, &[], hits);
    RequestCounts { total, reused: total, ..RequestCounts::default() }
}

/// Counts what became of the actions.
pub fn count_actions(planning: &Planning<'_>, done: &[Option<NodeDone>], result: &RangeResult) -> ActionCounts {
    let executed = done.iter().flatten().filter(|node| node.ran.is_some()).count();
    let finished = done.iter().flatten().count();
    ActionCounts {
        total: planning.resolution.total(),
        hit: finished - executed,
        executed,
        failed: result.failures.len(),
    }
}

/// Writes down what failed.
pub fn failure_entries(planning: &Planning<'_>, result: &RangeResult) -> Vec<FailureEntry> {
    let entry = |(node, failure): &(NodeIndex, crate::engine::NodeFailure)| FailureEntry {
        label: planning.plan.graph.node(*node).label(),
        why: Failure::from(failure).render(),
    };
    result.failures.iter().map(entry).collect()
}

/// Chooses the exit code of a build that did not get through: the environment's comes before a step's.
pub fn exit_of_failures(result: &RangeResult) -> Exit {
    let environment = result.failures.iter().any(|(_, failure)| Failure::from(failure).exit == Exit::Environment);
    if environment { Exit::Environment } else { Exit::Failed }
}

fn prompt(store: &Store, source: &SourceBlob) -> Option<PromptEntry> {
    let bytes = store.read(&source.blob).ok()?;
    let sha256 = hex(&Sha256::digest(&bytes));
    let words = String::from_utf8_lossy(&bytes).split_whitespace().count() as u64;
    Some(PromptEntry { path: source.label.clone(), blob: source.blob, sha256, words })
}

fn trial_entry(store: &Store, trial: &TrialPlan) -> TrialEntry {
    let slug = trial.label.slug.clone();
    let (closed, open) = trial.max_tokens;
    let sides = ["control", "treatment"].into_iter().zip(&trial.prompts);
    TrialEntry {
        trial: TrialSettings {
            id: None,
            model_id: trial.model_id.clone(),
            prompt_set: trial.label.prompt_set.clone(),
            temps: trial.decoding.temperature.into_iter().collect(),
            top_p: trial.decoding.top_p,
            top_k: trial.decoding.top_k,
            max_new_tokens: BTreeMap::from([("closed_book".to_owned(), closed), ("open_book".to_owned(), open)]),
            model: trial.label.model.clone(),
            provider: trial.label.provider.clone(),
            draws: trial.label.draws,
        },
        prompts: sides.filter_map(|(side, source)| Some((side.to_owned(), prompt(store, source.as_ref()?)?))).collect(),
        decoding: trial.label.decoding.iter().cloned().collect(),
        results_dir: format!("{slug}/results"),
        reports_dir: format!("{slug}/reports"),
        report_path: format!("{slug}/reports/report.md"),
        slug,
    }
}

/// Writes down a run as it is now.
#[allow(clippy::too_many_arguments)] // Each is one thing that a manifest tells.
pub fn manifest(
    planning: &Planning<'_>,
    store: &Store,
    record: &RunRecord,
    done: &[Option<NodeDone>],
    result: &RangeResult,
    clock: &Clock,
    reasons: Option<&mut Reasons<'_>>,
    circumstances: Vec<ViewEntry>,
) -> Manifest {
    let project = planning.project;
    let failed: HashSet<NodeIndex> = result.failures.iter().map(|(node, _)| *node).collect();
    let nodes = planning.plan.graph.nodes().iter().enumerate();
    let mut reasons = reasons;
    let mut words = |at: usize, label: &str, ran: crate::engine::Ran| match &mut reasons {
        None => ran.reason.as_str().to_owned(),
        Some(reasons) => reasons.words(ran.reason, label, || {
            spec_of(&planning.plan.graph, NodeIndex(at as u32), |node, name| {
                crate::engine::output_of(&done.get(node.get())?.as_ref()?.row, name).map(|(blob, _)| blob)
            })
        }),
    };
    let actions = nodes
        .filter(|(at, _)| !matches!(planning.resolution.verdicts.get(*at), None | Some(Verdict::LeftOut)))
        .map(|(at, node)| {
            let finished = done.get(at).and_then(Option::as_ref);
            let verdict = match finished {
                Some(NodeDone { ran: Some(_), .. }) => "ran",
                Some(_) => "hit",
                None if failed.contains(&NodeIndex(at as u32)) => "failed",
                None => "not_run",
            };
            let label = node.label();
            let reason = finished.and_then(|node| node.ran).map(|ran| words(at, &label, ran));
            ActionEntry {
                label,
                key: finished.map(|node| node.key).or(planning.resolution.keys[at]),
                verdict: verdict.to_owned(),
                reason,
                draws: finished.map_or(0, |node| node.row.draws),
                failures: finished.map_or(0, |node| node.row.failures),
                outputs: finished.map_or_else(Vec::new, |node| {
                    let output = |output: &crate::store::NamedBlob| OutputEntry {
                        name: output.name.clone(),
                        blob: output.blob,
                        size: output.size,
                    };
                    node.row.outputs.iter().map(output).collect()
                }),
            }
        })
        .collect();
    let mut sources: Vec<SourceEntry> = planning
        .sources
        .values()
        .map(|source| SourceEntry { path: source.label.clone(), blob: source.blob, size: source.size })
        .collect();
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    let output = |node: NodeIndex, name: &str| crate::engine::output_of(&done.get(node.get())?.as_ref()?.row, name);
    Manifest {
        schema_version: Manifest::SCHEMA_VERSION,
        run_id: record.run_id.clone(),
        state: record.state,
        created_utc: record.created_at.clone(),
        updated_utc: clock.now(),
        tool: TOOL.to_owned(),
        parent: record.parent.clone(),
        narrowed: planning.narrowed(),
        plan: record.plan,
        root: record.root,
        config: SourceEntry {
            path: project.config_label.clone(),
            blob: project.config_blob(),
            size: project.config_bytes.len() as u64,
        },
        num_trials: planning.plan.trials.len(),
        requests: requests(planning, store, done, result.counts),
        order_seed: project.config.analysis.random_seed,
        anonymous_of: None,
        served: record.served.clone(),
        cost_usd: record.cost_usd.unwrap_or_default(),
        sealed: record.root.and_then(|_| super::sealed::entry(planning, store, done)),
        trials: planning.plan.trials.iter().map(|trial| trial_entry(store, trial)).collect(),
        failures: failure_entries(planning, result),
        sources,
        views: views(planning, &output),
        circumstances,
        actions,
    }
}

/// Puts a finished or stopped run's files in place, from the store alone; returns how many were missing.
pub fn show(dir: &ViewDir, store: &Store, record: &RunRecord) -> Result<usize, Failure> {
    // Builds that end at once may show one run, or both point `latest` at theirs: the newest is known under the lock.
    let _held = store.hold_runs()?;
    let catalog = Catalog::read(store)?;
    if catalog.entries().iter().all(|entry| entry.record.run_id != record.run_id) {
        // A collection has let it go since it was found: its directory must not come back.
        return Err(RunError::Changed { id: record.run_id.clone() }.into());
    }
    let manifest = Catalog::manifest(store, record)?;
    let mut made = dir.show(&manifest.views, &|view| store.blob_path(&view.blob))?;
    made += dir.show(&manifest.circumstances, &|view| store.blob_path(&view.blob))?;
    let made_files = made_files(record, &manifest)?.into_iter().map(|file| (file.path, file.text));
    let mut files: Vec<(String, String)> = made_files.collect();
    files.push((MANIFEST_NAME.to_owned(), manifest.to_text()?));
    for (name, text) in files {
        let stands = std::fs::read(dir.path().join(&name)).is_ok_and(|bytes| bytes == text.as_bytes());
        if !stands {
            dir.write(&name, &text)?;
            made += 1;
        }
    }
    // A page is made of records and answers, of which a run of the predecessor's has none.
    if !manifest.is_predecessors() && !dir.has_file(PAGE_NAME) {
        match super::run_page::write_page(dir, store, &manifest, true) {
            Ok(()) => made += 1,
            // What the page is made of is gone or damaged, or was never taken in (an import that is not trusted): the links
            // stand without it, and `exp audit` and `exp report` say what is missing.
            Err(failure) if failure.exit == Exit::Damage => {}
            Err(failure) => return Err(failure),
        }
    }
    // `latest` is of those that were made here.
    if record.imported.is_none()
        && record.state == RunState::Complete
        && catalog.latest().is_none_or(|latest| latest.record.run_id == record.run_id)
    {
        dir.make_latest()?;
    }
    dir.sync()?;
    Ok(made)
}

/// Removes the directory of a run that turned out to show nothing new: only what this build has put there.
pub fn remove_dir(dir: &ViewDir) -> Result<(), Failure> {
    let manifest = dir.path().join(MANIFEST_NAME);
    for result in [std::fs::remove_file(&manifest), std::fs::remove_dir(dir.path())] {
        if let Err(error) = result
            && error.kind() != std::io::ErrorKind::NotFound
            && error.kind() != std::io::ErrorKind::DirectoryNotEmpty
        {
            return Err(Failure::new(Exit::Environment, format!("cannot remove {}: {error}", dir.path())));
        }
    }
    Ok(())
}

/// Prints how a build ended.
pub fn print(finished: &Finished, gates: &[GateResult], project: &Project, out: &Output) {
    let Finished { record, actions, requests, .. } = finished;
    let dir = ViewDir::new(&project.home.experiments, &record.run_id);
    for failure in &finished.failures {
        out.note(&format!("{}\n  in {}", failure.why, failure.label));
    }
    let root = record.root.map_or_else(String::new, |root| format!(" · root {}", root.digest().short(12)));
    let failed = match (actions.failed, requests.failed) {
        (0, 0) => String::new(),
        (actions, 0) => format!(", {actions} failed"),
        (0, draws) => format!(" · {} failed", draws_text(draws)),
        (actions, draws) => format!(", {actions} failed · {} failed", draws_text(draws)),
    };
    let line = format!(
        "{} of {} actions reused, {} ran{failed} · {} requests: {} reused, {} sent · {} · {} · run_{}{root}",
        actions.hit,
        actions.total,
        actions.executed,
        thousands(requests.total),
        thousands(requests.reused),
        thousands(requests.sent),
        spending::words(&finished.cost),
        duration_text(finished.duration),
        record.run_id,
    );
    let state = if finished.up_to_date { "up to date" } else { record.state.as_str() };
    let shown = project.home.shown(dir.path());
    if finished.restored > 0 {
        out.note(&format!("{} files of {shown} were put back", finished.restored));
    }
    if record.root.is_some() {
        out.line(&format!("report: {shown}/{PAGE_NAME}"));
    }
    match record.state {
        RunState::Stopped => out.note("stopped; `exp build` goes on with this run"),
        RunState::Failed if actions.failed == 0 && requests.failed > project.config.max_failed => out.note(&format!(
            "incomplete: {} failed, and `max_failed` allows {}; `exp build` asks again and goes on with this run",
            draws_text(requests.failed),
            thousands(project.config.max_failed),
        )),
        RunState::Failed => out.note("incomplete; `exp build` goes on with this run"),
        RunState::Partial => {
            out.note("partial: `exp build` without the flags that narrow it builds the whole experiment");
        }
        _ => {}
    }
    out.line(&format!("{state}: {line}"));
    if record.state == RunState::Complete && !out.json {
        out.note("your own data: `exp init my-project --from data.jsonl`, then `exp build` there");
    }
    let views = |slug: &str| format!("{}/{slug}", dir.path());
    out.document(&serde_json::json!({
        "run_id": record.run_id,
        "run_dir": dir.path().as_str(),
        "state": record.state,
        "root": record.root,
        "up_to_date": finished.up_to_date,
        "actions": {"total": actions.total, "hit": actions.hit, "executed": actions.executed, "failed": actions.failed},
        "requests": requests,
        "cost_usd": finished.cost,
        "duration_ms": finished.duration.as_millis() as u64,
        "trials": finished.slugs.iter().map(|slug| serde_json::json!({"slug": slug, "dir": views(slug)})).collect::<Vec<_>>(),
        "failures": finished.failures,
        "gates": gates,
    }));
}

fn draws_text(n: u64) -> String {
    if n == 1 { "1 request".to_owned() } else { format!("{} requests", thousands(n)) }
}

/// Writes a count with commas between thousands.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Writes how long something takes.
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.2}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}
