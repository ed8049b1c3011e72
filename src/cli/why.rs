use super::args::{Global, WhyArgs};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::project::Home;
use crate::digest::BlobId;
use crate::run::{Catalog, Cause, Change, Explanation, explain};
use crate::store::Access;

/// How many actions are explained one by one before the rest is summed up.
const SHOWN: usize = 20;

/// Says why actions of a run ran or were reused: what differs from the run before, down to the file and its text.
pub fn why(global: &Global, args: &WhyArgs, out: &Output) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    let store = home.open_store(Access::ReadOnly, out)?;
    let catalog = Catalog::read(&store)?;
    let finished: Vec<_> = catalog.entries().iter().filter(|entry| entry.record.manifest.is_some()).collect();
    // `exp why RUN` is about all of that run.
    let named = catalog.find(&args.what).ok().filter(|_| args.run.is_none());
    let newer = match (&args.run, named) {
        (Some(name), _) => catalog.find(name)?,
        (None, Some(entry)) => entry,
        (None, None) => finished.last().copied().ok_or_else(|| Failure::usage("there is no run yet"))?,
    };
    let older = match &args.against {
        Some(name) => Some(catalog.find(name)?),
        None => finished
            .iter()
            .rev()
            .find(|entry| {
                (&entry.record.created_at, &entry.record.run_id) < (&newer.record.created_at, &newer.record.run_id)
            })
            .copied(),
    };
    let newer_manifest = Catalog::manifest(&store, &newer.record)?;
    let older_manifest = older.map(|entry| Catalog::manifest(&store, &entry.record)).transpose()?;
    let mut explanations = Vec::new();
    if named.is_some() {
        for kind in crate::plan::StepKind::ALL {
            explanations.extend(explain(&store, &newer_manifest, older_manifest.as_ref(), kind.as_str())?);
        }
    } else {
        explanations = explain(&store, &newer_manifest, older_manifest.as_ref(), &args.what)?;
    }
    if explanations.is_empty() {
        return Err(Failure::usage(format!("run `{}` has no action `{}`", newer.record.run_id, args.what))
            .hint("name a step (`score`), a trial's slug, or an action's label; `exp list -v` shows trials"));
    }
    let against = older.map_or_else(|| "no earlier run".to_owned(), |entry| format!("run {}", entry.record.run_id));
    out.line(&format!("run {}, compared with {against}", newer.record.run_id));
    let hits = explanations.iter().filter(|explanation| explanation.verdict == "hit").count();
    if hits > 0 {
        out.line(&format!("{hits} of {} actions were reused: their specifications were known", explanations.len()));
    }
    // Against a run that was named, what differs counts, whether or not it had to run.
    let differs = |explanation: &&Explanation| {
        explanation.verdict != "hit" || (args.against.is_some() && !explanation.causes.is_empty())
    };
    let others: Vec<_> = explanations.iter().filter(differs).collect();
    let mut told: Vec<Vec<&Change>> = Vec::new();
    for explanation in others.iter().take(SHOWN) {
        let reason = explanation.reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"));
        out.line(&format!("{} {}{reason}", explanation.label, explanation.verdict));
        // The way that a change took is told once: what matters is what changed.
        let changes: Vec<&Change> = explanation.causes.iter().map(|cause| &cause.change).collect();
        if told.contains(&changes) && !changes.is_empty() {
            out.line("  for the same causes as above");
            continue;
        }
        for cause in &explanation.causes {
            print_cause(cause, out);
        }
        told.push(changes);
    }
    if others.len() > SHOWN {
        out.line(&format!("… and {} more (name one to see it; --json lists all)", others.len() - SHOWN));
    }
    out.document(&serde_json::json!({
        "run_id": newer.record.run_id,
        "against": older.map(|entry| &entry.record.run_id),
        "actions": serde_json::to_value(&explanations).unwrap_or_default(),
    }));
    Ok(Exit::Done)
}

fn short(blob: Option<&BlobId>) -> String {
    blob.map_or_else(|| "none".to_owned(), |blob| blob.digest().short(12))
}

fn print_cause(cause: &Cause, out: &Output) {
    let via = match cause.via.last() {
        Some(last) if cause.via.len() > 1 => format!(" (through {last})"),
        _ => String::new(),
    };
    let json =
        |value: &Option<serde_json::Value>| value.as_ref().map_or_else(|| "not set".to_owned(), ToString::to_string);
    match &cause.change {
        Change::New => out.line(&format!("  nothing like it was built before{via}")),
        Change::RecordGone { key } => out.line(&format!("  the record of action {key} is gone: no comparison{via}")),
        Change::Revision { old, new } => out.line(&format!("  the step's code changed: revision {old} -> {new}{via}")),
        Change::Parameter { path, old, new } => {
            out.line(&format!("  parameter {path}: {} -> {}{via}", json(old), json(new)));
        }
        Change::File { input, path, old_path, old, new, diff, note } => {
            let name = path.as_deref().or(old_path.as_deref()).unwrap_or("a file");
            let renamed = old_path.as_deref().filter(|old| Some(*old) != path.as_deref());
            let renamed = renamed.map_or_else(String::new, |old| format!(", was {old}"));
            out.line(&format!(
                "  file {name} ({input}{renamed}): {} -> {}{via}",
                short(old.as_ref()),
                short(new.as_ref())
            ));
            if let Some(note) = note {
                out.line(&format!("    {note}"));
            }
            for line in diff.iter().flat_map(|diff| diff.lines()) {
                out.line(&format!("    {line}"));
            }
        }
        Change::Input { input, old, new } => {
            out.line(&format!("  input {input}: {} -> {}{via}", short(old.as_ref()), short(new.as_ref())));
        }
        Change::OtherOutput { output, old, new } => out.line(&format!(
            "  the same specification gave another {output}: {} -> {}{via}",
            old.digest().short(12),
            new.digest().short(12)
        )),
    }
}
