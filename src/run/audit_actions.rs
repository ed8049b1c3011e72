use std::collections::HashSet;

use super::infer_draws::{answers, wanted};
use super::{ActionEntry, AuditReport, Manifest, RunError};
use crate::digest::{ActionKey, BlobId};
use crate::plan::{ActionSpec, InferParams};
use crate::request::DrawAddress;
use crate::store::{ActionRecord, ActionState, LoggedDraw};

/// Reads draws, in the order asked.
type ReadDraws<'a> = dyn Fn(&[DrawAddress]) -> Result<Vec<Option<LoggedDraw>>, RunError> + 'a;

/// Says where the records, blobs and draws of a run are.
pub(super) struct ActionChecks<'a> {
    /// Finds an action's record; one that does not hold is none.
    pub(super) record: &'a dyn Fn(&ActionKey) -> Result<Option<ActionRecord>, RunError>,
    /// Reads a blob; a damaged one is none.
    pub(super) read: &'a dyn Fn(&BlobId) -> Option<Vec<u8>>,
    /// Says whether a record is left out on purpose.
    pub(super) withheld: &'a dyn Fn(&ActionKey) -> bool,
    /// Reads draws; absent where they are not checked.
    pub(super) draws: Option<&'a ReadDraws<'a>>,
}

/// Says whether an action was done, so that there is a record of it.
pub(super) fn is_done(action: &ActionEntry) -> bool {
    matches!(action.verdict.as_str(), "hit" | "ran")
}

/// Checks each action that was done: its record, the key of its specification, its outputs, its inputs, its draws.
pub(super) fn check_actions(
    manifest: &Manifest,
    checks: &ActionChecks<'_>,
    report: &mut AuditReport,
) -> Result<(), RunError> {
    let mut known: HashSet<BlobId> =
        std::iter::once(&manifest.config).chain(&manifest.sources).map(|source| source.blob).collect();
    known.extend(manifest.actions.iter().flat_map(|action| &action.outputs).map(|output| output.blob));
    for action in manifest.actions.iter().filter(|action| is_done(action)) {
        let Some(key) = action.key else {
            let remedy = "the manifest is not to be believed";
            report.find(format!("action `{}`", action.label), "a key", "none in the manifest", remedy);
            continue;
        };
        report.checked.actions += 1;
        match (checks.record)(&key)? {
            Some(record) => check_action(action, &key, &record, &known, checks, report)?,
            None if (checks.withheld)(&key) => {}
            None => report.find(
                format!("record of action {key} (`{}`)", action.label),
                "a record whose hash holds",
                "missing or damaged",
                "`exp build` makes it again",
            ),
        }
    }
    Ok(())
}

fn check_action(
    action: &ActionEntry,
    key: &ActionKey,
    record: &ActionRecord,
    known: &HashSet<BlobId>,
    checks: &ActionChecks<'_>,
    report: &mut AuditReport,
) -> Result<(), RunError> {
    let subject = format!("record of action {key} (`{}`)", action.label);
    let remedy = "the record is not to be believed: remove it, and `exp build` makes it again";
    let spec: ActionSpec = match serde_json::from_str(record.spec.get()) {
        Ok(spec) => spec,
        Err(error) => {
            report.find(subject, "a specification", error.to_string(), remedy);
            return Ok(());
        }
    };
    let actual = spec.key();
    if actual != *key || record.key != *key {
        report.find(subject.as_str(), key.to_string(), format!("its specification has the key {actual}"), remedy);
    }
    if record.step != spec.step.as_str() {
        report.find(subject.as_str(), format!("step `{}`", spec.step), format!("step `{}`", record.step), remedy);
    }
    let mut expected: Vec<_> = action.outputs.iter().map(|o| (o.name.as_str(), o.blob, o.size)).collect();
    let mut actual: Vec<_> = record.outputs.iter().map(|o| (o.name.as_str(), o.blob, o.size)).collect();
    expected.sort_unstable();
    actual.sort_unstable();
    let words = |outputs: &[(&str, BlobId, u64)]| {
        let outputs = outputs.iter().map(|(name, blob, size)| format!("`{name}` {blob}, {size} bytes"));
        outputs.collect::<Vec<_>>().join("; ")
    };
    if expected != actual && action.failures > 0 && record.state == ActionState::Complete {
        // Draws that failed in this run were answered since: the record is of the later, whole result.
        report.notes.push(format!(
            "`{}` had {} failed draws in this run; they were answered since",
            action.label, action.failures
        ));
    } else if expected != actual {
        // Only what differs is worth reading.
        let common: Vec<_> = expected.iter().filter(|output| actual.contains(output)).copied().collect();
        expected.retain(|output| !common.contains(output));
        actual.retain(|output| !common.contains(output));
        let subject = format!("outputs of action {key} (`{}`)", action.label);
        let remedy = "the action was run again since and made something else; the run's archive holds what it had";
        report.find(subject, words(&expected), words(&actual), remedy);
    }
    for (name, blob) in spec.inputs.iter().filter(|(_, blob)| !known.contains(blob)) {
        let subject = format!("input `{name}` of `{}` ({blob})", action.label);
        let expected = "a source of the run, or an output of one of its actions";
        report.find(
            subject,
            expected,
            "neither",
            "the manifest leaves out what the action read: it is not to be believed",
        );
    }
    if spec.step.asks()
        && let Some(draws) = checks.draws
    {
        check_draws(action, &spec, checks, draws, report)?;
    }
    Ok(())
}

/// Compares every answer with the draw it was made of.
fn check_draws(
    action: &ActionEntry,
    spec: &ActionSpec,
    checks: &ActionChecks<'_>,
    draws: &ReadDraws<'_>,
    report: &mut AuditReport,
) -> Result<(), RunError> {
    let output = action.outputs.iter().find(|output| output.name == "answers");
    let Some((requests, output)) = spec.inputs.get("requests").zip(output) else { return Ok(()) };
    // A blob that is gone or damaged has its own finding.
    let Some((requests, answered)) = (checks.read)(requests).zip((checks.read)(&output.blob)) else { return Ok(()) };
    let redraws = match spec.inputs.get("redraws") {
        None => None,
        Some(blob) => match (checks.read)(blob) {
            Some(bytes) => Some(bytes),
            None => return Ok(()),
        },
    };
    let subject = format!("answers of `{}`", action.label);
    let read = serde_json::from_value::<InferParams>(spec.params.clone())
        .map_err(|error| error.to_string())
        .and_then(|params| Ok((wanted(&requests, redraws.as_deref(), &params)?, answers(&answered)?)));
    let (wanted, answers) = match read {
        Ok(read) => read,
        Err(why) => {
            report.find(subject, "requests and answers that read", why, "the run is not to be believed");
            return Ok(());
        }
    };
    let addresses: Vec<DrawAddress> = wanted.iter().map(|draw| draw.address).collect();
    let logged = draws(&addresses)?;
    let (mut lost, mut other) = (Vec::new(), Vec::new());
    for (draw, logged) in wanted.into_iter().zip(logged) {
        report.checked.draws += 1;
        let place = (draw.item, draw.address.number);
        match (answers.get(&place), logged) {
            (Some(Some(_)), None) => lost.push(place),
            (Some(Some(answer)), Some(logged)) if *answer != logged.answer => other.push(place),
            (None, _) => other.push(place),
            _ => {}
        }
    }
    let remedy = "`exp verify` looks for them; an archive of the run may hold them";
    if !lost.is_empty() {
        report.find(&subject, "each answer in the draw log", format!("missing there: {}", places(&lost)), remedy);
    }
    if !other.is_empty() {
        let actual = format!("not the logged ones: {}", places(&other));
        report.find(
            &subject,
            "the answers of the draw log",
            actual,
            "`exp build --force` makes them again from the log",
        );
    }
    Ok(())
}

fn places(places: &[(String, u32)]) -> String {
    let shown: Vec<String> = places.iter().take(5).map(|(item, n)| format!("draw {n} of item `{item}`")).collect();
    match places.len().saturating_sub(5) {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}
