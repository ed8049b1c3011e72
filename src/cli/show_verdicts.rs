use std::collections::{BTreeMap, BTreeSet};

use super::failure::Failure;
use super::online::wire_of;
use super::output::Output;
use crate::config::Config;
use crate::digest::BlobId;
use crate::plan::{StepKind, judge_rater, judged_draw, judged_name};
use crate::provider::wire_body;
use crate::request::DrawAddress;
use crate::run::{ActionEntry, Manifest};
use crate::step::{AnswerLine, AnswersReader, ItemRequest, RequestsReader, VerdictsLine};
use crate::store::Store;

/// Names what is judged: the answers to an item under an arm, by a scorer.
pub struct JudgedItem<'w> {
    /// The item's id.
    pub item: &'w str,
    /// The arm.
    pub arm: &'w str,
    /// The scorer's name.
    pub judge: &'w str,
}

/// Is an action that makes a judge's requests.
struct Asking<'m> {
    action: &'m ActionEntry,
    arm: &'m str,
    judge: &'m str,
}

fn asking(manifest: &Manifest) -> impl Iterator<Item = Asking<'_>> {
    manifest.actions.iter().filter_map(|action| {
        let mut segments = action.label.rsplit('/').skip(1);
        let (judge, arm) = (segments.next()?, segments.next()?);
        let is_it = action.label.starts_with(&format!("{}/", StepKind::JudgeBuild));
        is_it.then_some(Asking { action, arm, judge })
    })
}

/// Lists the scorers by models that judge the answers of an arm.
pub fn judges_of(manifest: &Manifest, arm: &str) -> BTreeSet<String> {
    asking(manifest).filter(|asking| asking.arm == arm).map(|asking| asking.judge.to_owned()).collect()
}

/// Prints what a model that judges was asked about the answers to an item, and what it said; with `exact` the bodies alone.
pub fn verdicts(
    store: &Store,
    manifest: &Manifest,
    config: Option<&Config>,
    wanted: &JudgedItem<'_>,
    exact: bool,
    out: &Output,
) -> Result<(), Failure> {
    let mut seen: BTreeSet<BlobId> = BTreeSet::new();
    let mut documents = Vec::new();
    let is_wanted = |asking: &Asking<'_>| asking.arm == wanted.arm && asking.judge == wanted.judge;
    for Asking { action, .. } in asking(manifest).filter(is_wanted) {
        let Some(requests) = output(action, "requests") else { continue };
        if !seen.insert(requests) {
            continue;
        }
        let mut asked: Vec<(u32, ItemRequest)> = Vec::new();
        for line in RequestsReader::new(store.open_blob(&requests)?)? {
            let line = line?;
            if let Some((n, item)) = judged_draw(&line.item)
                && item == wanted.item
            {
                asked.push((n, line));
            }
        }
        if asked.is_empty() {
            continue;
        }
        let said = said(store, manifest, action, wanted.item)?;
        let worth = worth(store, manifest, action, wanted.item)?;
        for (n, line) in asked {
            // A verdict is drawn once, whatever the generation of the answer.
            let address = DrawAddress { request: line.key, generation: 0, number: 0 };
            let sent = wire_of(config, &line.request).map(|wire| wire_body(&wire, &line.request, &address));
            let body = match &sent {
                Some(sent) => serde_json::from_str(sent).unwrap_or_default(),
                None => serde_json::json!(line.request),
            };
            let verdict = worth.get(&n);
            let name = judged_name(n, wanted.item);
            let answers = said.iter().filter(|answer| answer.item == name).map(|line| {
                let answer = line.answer.as_ref();
                let worth = verdict.and_then(|verdict| verdict.raters.get(&judge_rater(line.n)));
                serde_json::json!({
                    "draw": line.n, "status": answer.map(|answer| answer.status), "failure": line.failure,
                    "text": answer.map(|answer| &answer.text), "reasoning": answer.and_then(|answer| answer.reasoning.as_ref()),
                    "value": worth,
                })
            });
            let shown = serde_json::json!({
                "action": action.label, "key": line.key, "draw": n, "body": body, "answers": answers.collect::<Vec<_>>(),
                "verdict": verdict.and_then(|verdict| verdict.value),
            });
            if exact {
                out.line(&sent.clone().unwrap_or_else(|| serde_json::to_string(&line.request).unwrap_or_default()));
            } else {
                out.line(&serde_json::to_string_pretty(&shown).unwrap_or_default());
            }
            let mut document = shown;
            document["exact"] = serde_json::json!(sent);
            documents.push(document);
        }
    }
    if documents.is_empty() {
        let message = format!(
            "run `{}` asks `{}` nothing about the answers to item `{}` under `{}`",
            manifest.run_id, wanted.judge, wanted.item, wanted.arm
        );
        return Err(Failure::usage(message)
            .hint("an answer whose status decides its score is not judged; ids stand in the column item_id of predictions.csv"));
    }
    out.document(&serde_json::json!(documents));
    Ok(())
}

fn output(action: &ActionEntry, name: &str) -> Option<BlobId> {
    action.outputs.iter().find(|output| output.name == name).map(|output| output.blob)
}

/// Finds an output of the action of another kind about the same part.
fn beside(manifest: &Manifest, build: &ActionEntry, step: StepKind, name: &str) -> Option<BlobId> {
    let label = build.label.replacen(StepKind::JudgeBuild.as_str(), step.as_str(), 1);
    output(manifest.actions.iter().find(|action| action.label == label)?, name)
}

fn said(store: &Store, manifest: &Manifest, build: &ActionEntry, item: &str) -> Result<Vec<AnswerLine>, Failure> {
    let Some(blob) = beside(manifest, build, StepKind::JudgeInfer, "answers") else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for line in AnswersReader::new(store.open_blob(&blob)?) {
        let line = line?;
        if judged_draw(&line.item).is_some_and(|(_, other)| other == item) {
            found.push(line);
        }
    }
    Ok(found)
}

/// Reads what each draw of an item was said to be worth.
fn worth(
    store: &Store,
    manifest: &Manifest,
    build: &ActionEntry,
    item: &str,
) -> Result<BTreeMap<u32, VerdictsLine>, Failure> {
    let Some(blob) = beside(manifest, build, StepKind::Judge, "verdicts") else { return Ok(BTreeMap::new()) };
    let text = store.read(&blob)?;
    let mut found = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: VerdictsLine =
            serde_json::from_slice(line).map_err(|error| super::records::damaged(build, &error.to_string()))?;
        if line.item == item {
            found.insert(line.n, line);
        }
    }
    Ok(found)
}
