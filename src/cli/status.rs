use std::collections::BTreeMap;

use super::args::Global;
use super::build_args::SelectArgs;
use super::failure::{Exit, Failure};
use super::output::Output;
use super::plan_inputs::PlanInputs;
use super::planning::Planning;
use super::preview::{Fate, preview};
use super::project::Project;
use crate::engine::StepLimits;
use crate::run::Catalog;
use crate::store::Access;

/// Shows what changed since the newest run: which files, and what a build would do about it.
pub fn status(global: &Global, args: &SelectArgs, out: &Output) -> Result<Exit, Failure> {
    let project = Project::load(global, out)?;
    let store = project.home.open_store(Access::ReadOnly, out)?;
    let catalog = Catalog::read(&store)?;
    let newest = catalog.entries().iter().rev().find(|entry| entry.record.manifest.is_some());
    let mut planning =
        Planning::start(PlanInputs::read(&project, &store, args)?, &store, StepLimits::default(), false)?;
    let mut changed: Vec<String> = Vec::new();
    if let Some(entry) = newest {
        out.line(&format!("newest run: {} ({})", entry.record.run_id, entry.state_words()));
        let manifest = Catalog::manifest(&store, &entry.record)?;
        let before: BTreeMap<&str, _> =
            manifest.sources.iter().map(|source| (source.path.as_str(), source.blob)).collect();
        let now: BTreeMap<&str, _> =
            planning.sources.values().map(|source| (source.label.as_str(), source.blob)).collect();
        if manifest.config.blob != project.config_blob() {
            changed.push(format!("modified: {}", project.config_label));
        }
        for (path, blob) in &now {
            match before.get(path) {
                None => changed.push(format!("new:      {path}")),
                Some(old) if old != blob => changed.push(format!("modified: {path}")),
                Some(_) => {}
            }
        }
        changed.extend(before.keys().filter(|path| !now.contains_key(*path)).map(|path| format!("unused:   {path}")));
    } else {
        out.line("no run yet");
    }
    for line in &changed {
        out.line(&format!("  {line}"));
    }
    let seen = preview(&mut planning, &store)?;
    let count = |wanted: fn(&Fate) -> bool| seen.fates.iter().filter(|fate| wanted(fate)).count();
    let run = count(|fate| matches!(fate, Fate::Run(_)));
    let waits = count(|fate| matches!(fate, Fate::Waits));
    let hit = count(|fate| matches!(fate, Fate::Hit));
    let words = if run + waits == 0 {
        "up to date: nothing would run".to_owned()
    } else {
        format!(
            "{run} actions would run, {waits} more wait for them, {hit} are reused; {} requests would be sent{}",
            seen.to_send,
            if seen.in_batches > 0 { format!(", {} are in batches", seen.in_batches) } else { String::new() }
        )
    };
    out.line(&words);
    out.document(&serde_json::json!({
        "run_id": newest.map(|entry| &entry.record.run_id),
        "changed": changed,
        "actions": {"hit": hit, "run": run, "waits": waits},
        "requests": {"to_send": seen.to_send, "in_batches": seen.in_batches},
        "up_to_date": run + waits == 0,
    }));
    Ok(Exit::Done)
}
