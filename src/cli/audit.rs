use std::collections::BTreeMap;

use super::again::{again, is_of_another_revision, spec_of};
use super::args::Global;
use super::audit_args::AuditArgs;
use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::keys::read_keys;
use super::output::Output;
use super::project::{Home, current_dir};
use crate::digest::{ActionKey, BlobId, StreamHasher};
use crate::plan::StepKind;
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
    let results: Vec<Result<Option<Vec<Finding>>, Failure>> =
        actions.par_iter().map(|(key, action)| rerun_one(store, key, action)).collect();
    let total = results.len();
    let mut others = 0;
    for result in results {
        match result? {
            Some(findings) => report.findings.extend(findings),
            None => others += 1,
        }
    }
    let is_hermetic = |label: &str| label.split('/').next().and_then(StepKind::parse).is_none_or(StepKind::is_hermetic);
    let foreign = actions.values().filter(|action| !is_hermetic(&action.label)).count();
    let again = thousands((total - foreign - others) as u64);
    report.notes.push(format!("{again} actions were executed again and their bytes compared"));
    if foreign > 0 {
        let count = thousands(foreign as u64);
        report
            .notes
            .push(format!("{count} actions of executables were not: nobody says that they would do the same again"));
    }
    if others > 0 {
        let count = thousands(others as u64);
        report.notes.push(format!(
            "{count} actions were not: another version of `exp` made them, whose steps have other revisions; that one can execute them"
        ));
    }
    Ok(())
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

/// Executes an action again, and says what is not as it was; none of an action whose step has another revision here.
fn rerun_one(
    store: &Store,
    key: &ActionKey,
    action: &crate::run::ActionEntry,
) -> Result<Option<Vec<Finding>>, Failure> {
    let Some(record) = store.record(key)? else { return Ok(Some(Vec::new())) };
    if is_forgotten(store, &record)? {
        return Ok(Some(Vec::new()));
    }
    if is_of_another_revision(&spec_of(&record)?) {
        return Ok(None);
    }
    let Some(mut made) = again(store, &record)? else { return Ok(Some(Vec::new())) };
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
    Ok(Some(findings))
}
