use std::collections::BTreeSet;

use super::args::{Global, ScoreArgs};
use super::build::{Mode, build};
use super::build_args::{BuildArgs, SelectArgs};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::project::Project;
use crate::flow::Clock;
use crate::plan::{Selection, select};
use crate::run::Catalog;
use crate::store::Access;

/// Is a run that is scored again, and which of the config's trials it has.
struct Parent {
    run_id: String,
    trials: BTreeSet<String>,
}

/// Scores again what was answered, each run as a new one that names its parent; nothing is asked.
///
/// A run is scored with the config as it is now, as far as the config still has its trials.
pub fn score(global: &Global, args: &ScoreArgs, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    let project = Project::load(global, out)?;
    let all: BTreeSet<String> =
        select(&project.config, &Selection::default())?.into_iter().map(|trial| trial.slug).collect();
    let mut parents = parents(&project, args, &all, out)?;
    let parts = out.gathering();
    let is_one = parents.len() == 1 && !args.all;
    let mut worst = Exit::Done;
    for Parent { run_id, trials } in parents.drain(..) {
        if !is_one {
            out.note(&format!("scoring {run_id} again"));
        }
        let trials: Vec<String> = if trials == all { Vec::new() } else { trials.into_iter().collect() };
        let select = SelectArgs { trials, ..SelectArgs::default() };
        let mode = Mode { parent: Some(run_id), ask_nothing: true, budget: None };
        let exit = build(&project, &BuildArgs { offline: true, select, ..BuildArgs::default() }, &mode, &parts, clock)?;
        worst = if worst == Exit::Done { exit } else { worst };
    }
    let mut documents = parts.take_gathered();
    match documents.pop() {
        Some(only) if is_one => out.document(&only),
        Some(last) => {
            documents.push(last);
            out.document(&serde_json::Value::Array(documents));
        }
        None => {}
    }
    Ok(worst)
}

/// Finds the runs that are meant; of several with the same trials that the config still has, the first that is met.
fn parents(project: &Project, args: &ScoreArgs, all: &BTreeSet<String>, out: &Output) -> Result<Vec<Parent>, Failure> {
    let store = project.home.open_store(Access::ReadOnly, out)?;
    let catalog = Catalog::read(&store)?;
    let named: Vec<_> = if args.all {
        catalog.entries().iter().rev().filter(|entry| entry.record.manifest.is_some()).collect()
    } else if args.runs.is_empty() {
        vec![catalog.find("latest")?]
    } else {
        args.runs.iter().map(|name| catalog.find(name)).collect::<Result<_, _>>()?
    };
    let mut parents: Vec<Parent> = Vec::new();
    for entry in named {
        let run_id = entry.record.run_id.clone();
        let slugs = Catalog::manifest(&store, &entry.record)?.trials.into_iter().map(|trial| trial.slug);
        let trials: BTreeSet<String> = slugs.filter(|slug| all.contains(slug)).collect();
        if trials.is_empty() {
            let message = format!("run `{run_id}` has no trial that the config still has");
            if !args.all {
                let known = all.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                return Err(Failure::usage(message).hint(format!("the config's trials are {known}")));
            }
            out.note(&message);
        } else if let Some(same) = parents.iter().find(|parent| parent.trials == trials) {
            out.note(&format!("run `{run_id}` has the same trials as `{}`: both are scored as one", same.run_id));
        } else {
            parents.push(Parent { run_id, trials });
        }
    }
    if parents.is_empty() {
        return Err(Failure::usage("there is no run to score again").hint("`exp build` makes one"));
    }
    Ok(parents)
}
