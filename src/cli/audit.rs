use std::collections::BTreeMap;

use super::again::{again, spec_of};
use super::args::Global;
use super::audit_args::AuditArgs;
use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::keys::read_keys;
use super::output::Output;
use super::project::{Home, current_dir};
use crate::digest::{ActionKey, BlobId, StreamHasher};
use crate::run::{
    AuditOptions, AuditReport, Catalog, Finding, Manifest, RunRecord, audit as check, audit_archive, drift,
    find_archive,
};
use crate::store::{Access, ActionRecord, Presence, Store};

/// Checks a run or an archive. Never writes, spends, or uses the network.
pub fn audit(global: &Global, args: &AuditArgs, out: &Output) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    let store = home.open_store(Access::ReadOnly, out)?;
    let required = match &args.require_signature {
        Some(key) => Some(read_keys(&current_dir()?, key)?),
        None => None,
    };
    let options = AuditOptions { signed_by: required.as_deref(), ..AuditOptions::default() };
    let catalog = Catalog::read(&store)?;
    let found = catalog.find(&args.run);
    if found.is_err()
        && let Some(path) = find_archive(&home.experiments, &args.run)?
    {
        if args.rerun || args.inputs {
            return Err(Failure::usage("an archive is audited as it stands: --rerun and --inputs go with a run"));
        }
        return Ok(finish(&audit_archive(&path, options)?, &[], out));
    }
    let record = &found?.record;
    let mut report = check(&store, &home.experiments, record, options)?;
    let manifest = Catalog::manifest(&store, record).ok();
    if manifest.is_some_and(|manifest| manifest.is_predecessors()) && (args.rerun || args.inputs) {
        return Err(Failure::usage(format!(
            "run `{}` is the predecessor's: none of its steps can be executed",
            record.run_id
        ))
        .hint("`exp audit` without --rerun and --inputs checks its files"));
    }
    if args.rerun && report.is_sound() {
        rerun(&store, &Catalog::manifest(&store, record)?, &mut report)?;
    } else if args.rerun {
        report.notes.push("not executed again: what is stored is damaged".to_owned());
    }
    let changed = if args.inputs { inputs(&home, &store, record)? } else { Vec::new() };
    Ok(finish(&report, &changed, out))
}

fn inputs(home: &Home, store: &Store, record: &RunRecord) -> Result<Vec<String>, Failure> {
    let hash_now = |path: &str| -> Option<BlobId> {
        let file = std::fs::File::open(home.root.join(path)).ok()?;
        StreamHasher::read_all(std::io::BufReader::new(file)).ok().map(|(digest, _)| BlobId::new(digest))
    };
    let drifts = drift(store, record, &hash_now)?;
    let words = drifts.into_iter().map(|drift| match drift.now {
        Some(now) => {
            format!("{}: {} then, {} now", drift.path, drift.recorded.digest().short(12), now.digest().short(12))
        }
        None => format!("{}: {} then, cannot be read now", drift.path, drift.recorded.digest().short(12)),
    });
    Ok(words.collect())
}

fn finish(report: &AuditReport, changed: &[String], out: &Output) -> Exit {
    for finding in &report.findings {
        out.line(&finding.subject);
        out.line(&format!("  expected: {}", finding.expected));
        out.line(&format!("  actual:   {}", finding.actual));
        out.line(&format!("  remedy:   {}", finding.remedy));
    }
    for note in &report.notes {
        out.line(&format!("note: {note}"));
    }
    for change in changed {
        out.line(&format!("changed since: {change}"));
    }
    let checked = &report.checked;
    let subject = report.archive.as_deref().unwrap_or(&report.run_id);
    let verdict = match report.findings.len() {
        0 => "sound".to_owned(),
        1 => "1 finding".to_owned(),
        n => format!("{n} findings"),
    };
    let root = report.root.map_or_else(String::new, |root| format!(" · root {}", root.digest().short(12)));
    out.line(&format!(
        "{subject}: {verdict} · {} views, {} blobs ({} bytes), {} actions, {} answers checked{root}",
        thousands(checked.views),
        thousands(checked.blobs),
        thousands(checked.bytes),
        thousands(checked.actions),
        thousands(checked.draws),
    ));
    out.document(&serde_json::json!({
        "report": serde_json::to_value(report).unwrap_or_default(),
        "sound": report.is_sound(),
        "inputs_changed": changed,
    }));
    if report.is_sound() && changed.is_empty() { Exit::Done } else { Exit::Damage }
}

/// Executes every action again from its record, in memory, and compares names and bytes of what it gives.
fn rerun(store: &Store, manifest: &Manifest, report: &mut AuditReport) -> Result<(), Failure> {
    use rayon::prelude::*;
    let mut actions: BTreeMap<ActionKey, &crate::run::ActionEntry> = BTreeMap::new();
    for action in &manifest.actions {
        if let Some(key) = action.key.filter(|_| !action.outputs.is_empty()) {
            actions.entry(key).or_insert(action);
        }
    }
    let results: Vec<Result<Rerun, Failure>> =
        actions.par_iter().map(|(key, action)| rerun_one(store, key, action)).collect();
    let (mut again, mut foreign, mut others, mut idle) = (0, 0, 0, 0);
    for result in results {
        match result? {
            Rerun::Done(findings) => {
                again += 1;
                report.findings.extend(findings);
            }
            Rerun::Foreign => foreign += 1,
            Rerun::OfAnotherRevision => others += 1,
            Rerun::NotComputed => idle += 1,
        }
    }
    report.notes.push(format!("{} actions were executed again and their bytes compared", thousands(again)));
    if foreign > 0 {
        let count = thousands(foreign);
        report
            .notes
            .push(format!("{count} actions of executables were not: nobody says that they would do the same again"));
    }
    if others > 0 {
        let count = thousands(others);
        report.notes.push(format!(
            "{count} actions were not: another version of `exp` made them, whose steps have other revisions; that one can execute them"
        ));
    }
    if idle > 0 {
        let count = thousands(idle);
        report.notes.push(format!(
            "{count} actions were not: they fetched, or some answers failed, or something they read or made is no longer there"
        ));
    }
    Ok(())
}

/// Says what came of executing an action again.
#[derive(Debug)]
enum Rerun {
    /// It was executed; what is not as it was.
    Done(Vec<Finding>),
    /// Somebody else's executable made it.
    Foreign,
    /// Its step has another revision here.
    OfAnotherRevision,
    /// There is nothing to compute, or what it read or made was erased: what a fetch brought, answers of which some had failed.
    NotComputed,
}

/// Tells whether something that an action read or made was erased on purpose, so that it cannot be executed again.
fn is_forgotten(store: &Store, record: &ActionRecord) -> Result<bool, Failure> {
    let spec = spec_of(record)?;
    for blob in spec.inputs.values().chain(record.outputs.iter().map(|output| &output.blob)) {
        if store.is_forgotten(blob)? && store.present(&[(*blob, 0)])[0] == Presence::Missing {
            return Ok(true);
        }
    }
    Ok(false)
}

fn rerun_one(store: &Store, key: &ActionKey, action: &crate::run::ActionEntry) -> Result<Rerun, Failure> {
    let Some(record) = store.record(key)? else { return Ok(Rerun::NotComputed) };
    if is_forgotten(store, &record)? {
        return Ok(Rerun::NotComputed);
    }
    let spec = spec_of(&record)?;
    if !spec.step.is_hermetic() {
        return Ok(Rerun::Foreign);
    }
    // Outputs are promised for the same inputs only under one revision, and parameters may read otherwise under another.
    if spec.revision != spec.step.revision() {
        return Ok(Rerun::OfAnotherRevision);
    }
    let Some(mut made) = again(store, &record)? else { return Ok(Rerun::NotComputed) };
    let remedy = "the step is not deterministic, or its code changed under an unchanged revision: please report it";
    let mut findings = Vec::new();
    for output in &action.outputs {
        let actual = made.remove(&output.name).map(|bytes| BlobId::of(&bytes));
        if actual != Some(output.blob) {
            findings.push(Finding {
                subject: format!("{}: output `{}`", action.label, output.name),
                expected: output.blob.to_string(),
                actual: actual.map_or_else(|| "not made".to_owned(), |blob| blob.to_string()),
                remedy: remedy.to_owned(),
            });
        }
    }
    for name in made.into_keys() {
        findings.push(Finding {
            subject: format!("{}: output `{name}`", action.label),
            expected: "no such output".to_owned(),
            actual: "made".to_owned(),
            remedy: remedy.to_owned(),
        });
    }
    Ok(Rerun::Done(findings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::plan::StepKind;
    use crate::run::ActionEntry;
    use crate::store::{Access, ActionRecord, ActionState, Commit, NamedBlob};

    /// Says what comes of an action of a step, under a revision, whose record is all that is known of it.
    fn rerun_of(step: StepKind, revision: u32) -> Rerun {
        let temp = tempfile::tempdir().unwrap();
        let dir = camino::Utf8Path::from_path(temp.path()).unwrap().join("store");
        let store = Store::open(&dir, Access::ReadWrite).unwrap();
        let session = store.session().unwrap();
        let staged = session.stage(b"made").unwrap();
        let blob = staged.blob();
        let spec = format!("{{\"step\":\"{step}\",\"revision\":{revision},\"params\":{{}},\"inputs\":{{}}}}");
        let key = ActionKey::new(Digest::of(spec.as_bytes()));
        let record = ActionRecord {
            key,
            step: step.to_string(),
            spec: serde_json::value::RawValue::from_string(spec).unwrap(),
            outputs: vec![NamedBlob { name: "made".into(), blob: blob.id, size: blob.size }],
            state: ActionState::Complete,
            draws: 0,
            failures: 0,
            tool: "exp".into(),
            recorded_at: "2026-11-26T00:00:00.000Z".into(),
            duration_ms: 1,
        };
        session.commit(vec![Commit { record: Some(record), blobs: vec![staged] }]).unwrap();
        let entry: ActionEntry =
            serde_json::from_value(serde_json::json!({"label": format!("{step}/t"), "verdict": "ran", "outputs": []}))
                .unwrap();
        rerun_one(&store, &key, &entry).unwrap()
    }

    #[test]
    fn what_another_version_or_an_executable_made_is_not_executed_and_counts_once() {
        let current = StepKind::Costs.revision();
        assert!(matches!(rerun_of(StepKind::Costs, current - 1), Rerun::OfAnotherRevision));
        assert!(matches!(rerun_of(StepKind::External, StepKind::External.revision() + 1), Rerun::Foreign));
        assert!(matches!(rerun_of(StepKind::Fetch, StepKind::Fetch.revision()), Rerun::NotComputed));
    }
}
