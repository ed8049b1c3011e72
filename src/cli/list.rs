use super::args::Global;
use super::failure::{Exit, Failure};
use super::output::Output;
use super::project::Home;
use crate::run::{Catalog, list_archives};
use crate::store::Access;

/// Lists runs, oldest first, and then archives.
pub fn list(global: &Global, out: &Output) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    let store = home.open_store(Access::ReadOnly, out)?;
    let catalog = Catalog::read(&store)?;
    let latest = catalog.latest().map(|entry| entry.record.run_id.clone());
    let mut runs = Vec::new();
    let mut lines = Vec::new();
    for entry in catalog.entries() {
        let record = &entry.record;
        let mark = if latest.as_ref() == Some(&record.run_id) { "latest" } else { "" };
        let imported = record.imported.map_or("", |_| "imported");
        let root = record.root.map_or_else(|| "–".to_owned(), |root| root.digest().short(12));
        let columns = [
            record.run_id.clone(),
            entry.state_words().to_owned(),
            record.created_at.clone(),
            root,
            [mark, imported].join(" ").trim().to_owned(),
        ];
        lines.push(columns);
        let manifest = if out.is_verbose() || out.json { Catalog::manifest(&store, record).ok() } else { None };
        runs.push((record.clone(), entry.state_words(), manifest));
    }
    let archives = list_archives(&home.experiments)?;
    if lines.is_empty() && archives.is_empty() {
        out.line("no runs yet; `exp build` makes one");
    }
    if !lines.is_empty() {
        out.line(format!("{:<28}{:<13}{:<26}{:<14}", "RUN", "STATE", "STARTED", "ROOT").trim_end());
    }
    for ([id, state, started, root, mark], (record, _, manifest)) in lines.iter().zip(&runs) {
        out.line(format!("{id:<28}{state:<13}{started:<26}{root:<14}{mark}").trim_end());
        if let Some(manifest) = manifest.as_ref().filter(|_| out.is_verbose()) {
            let requests = &manifest.requests;
            out.line(&format!(
                "    {} trials · {} actions · requests: {} reused, {} sent, {} failed · config {}{}",
                manifest.num_trials,
                manifest.actions.len(),
                requests.reused,
                requests.sent,
                requests.failed,
                record.config.digest().short(12),
                record.parent.as_ref().map_or_else(String::new, |parent| format!(" · re-scores {parent}")),
            ));
            for trial in &manifest.trials {
                out.line(&format!("    {}", trial.slug));
            }
        }
    }
    if !archives.is_empty() {
        out.line(&format!("{:<40}{:<28}{:<13}{:>12}", "ARCHIVE", "RUN", "STATE", "BYTES"));
    }
    for archive in &archives {
        let (run, state) = match &archive.run {
            Ok(run) => (run.run_id.clone(), run.state.as_str().to_owned()),
            Err(why) => ("cannot be read".to_owned(), why.clone()),
        };
        out.line(&format!("{:<40}{run:<28}{state:<13}{:>12}", archive.name, archive.bytes));
    }
    out.document(&serde_json::json!({
        "runs": runs.iter().map(|(record, state, manifest)| serde_json::json!({
            "run_id": record.run_id, "state": state, "created_at": record.created_at, "root": record.root,
            "latest": latest.as_ref() == Some(&record.run_id), "imported": record.imported,
            "trials": manifest.as_ref().map(|m| m.trials.iter().map(|trial| trial.slug.clone()).collect::<Vec<_>>()),
        })).collect::<Vec<_>>(),
        "archives": serde_json::to_value(&archives).unwrap_or_default(),
    }));
    Ok(Exit::Done)
}
