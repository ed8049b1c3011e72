use std::collections::{BTreeMap, BTreeSet};

use super::failure::Failure;
use super::online::wire_of;
use super::output::Output;
use super::pair_verdicts::{ComparedPart, PairVerdicts};
use crate::config::Config;
use crate::digest::BlobId;
use crate::plan::{PairOrder, StepKind, compared_pair, judge_rater, judged_draw};
use crate::provider::wire_body;
use crate::request::DrawAddress;
use crate::run::{ActionEntry, Manifest};
use crate::step::{AnswerLine, AnswersReader, ItemRequest, PreferenceReader, RequestsReader, VerdictsLine};
use crate::store::Store;

/// Names what is judged: the answers to an item under an arm, by a scorer; or the pair of these and the control's, by a setting.
pub struct JudgedItem<'w> {
    /// The item's id.
    pub item: &'w str,
    /// The arm.
    pub arm: &'w str,
    /// The scorer's, or the setting's, name.
    pub judge: &'w str,
}

/// Is an action that makes a judge's requests: about answers, or about pairs of them.
struct Asking<'m> {
    action: &'m ActionEntry,
    step: StepKind,
    arm: &'m str,
    judge: &'m str,
}

fn asking(manifest: &Manifest) -> impl Iterator<Item = Asking<'_>> {
    manifest.actions.iter().filter_map(|action| {
        let step = action.label.split('/').next().and_then(StepKind::parse)?;
        let mut segments = action.label.rsplit('/').skip(1);
        let (judge, arm) = (segments.next()?, segments.next()?);
        let is_it = matches!(step, StepKind::JudgeBuild | StepKind::PairwiseBuild);
        is_it.then_some(Asking { action, step, arm, judge })
    })
}

/// Lists the models, by the names of their scorers and settings, that judge the answers of an arm or compare them with the control's.
pub fn judges_of(manifest: &Manifest, arm: &str) -> BTreeSet<String> {
    asking(manifest).filter(|asking| asking.arm == arm).map(|asking| asking.judge.to_owned()).collect()
}

/// Lists the prompt sets whose answers are compared with the control's under a setting's name.
pub fn compared_under(manifest: &Manifest, judge: &str) -> BTreeSet<String> {
    let compares = |asking: &Asking<'_>| asking.step == StepKind::PairwiseBuild && asking.judge == judge;
    asking(manifest).filter(compares).map(|asking| asking.arm.to_owned()).collect()
}

/// Says which draw a request is about, or which draws, shown in which order.
#[derive(Clone, Copy, PartialEq, Eq)]
struct About {
    n: u32,
    order: Option<PairOrder>,
}

/// Reads the name of a request: what it is about, and the item.
fn about(step: StepKind, name: &str) -> Option<(About, &str)> {
    if step == StepKind::PairwiseBuild {
        let (n, order, item) = compared_pair(name)?;
        return Some((About { n, order: Some(order) }, item));
    }
    judged_draw(name).map(|(n, item)| (About { n, order: None }, item))
}

/// Is how what a judge said of an item was read.
enum Reading {
    /// What each draw is worth.
    Worth(BTreeMap<u32, VerdictsLine>),
    /// Which answers are preferred; none where that was not read yet.
    Preferred(Option<PairVerdicts>),
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
    let mut hint = "an answer whose status decides its score is not judged".to_owned();
    let is_wanted = |asking: &Asking<'_>| asking.arm == wanted.arm && asking.judge == wanted.judge;
    for asking in asking(manifest).filter(is_wanted) {
        let action = asking.action;
        let Some(requests) = output(action, "requests") else { continue };
        if !seen.insert(requests) {
            continue;
        }
        let mut asked: Vec<(About, ItemRequest)> = Vec::new();
        for line in RequestsReader::new(store.open_blob(&requests)?)? {
            let line = line?;
            if let Some((about, item)) = about(asking.step, &line.item)
                && item == wanted.item
            {
                asked.push((about, line));
            }
        }
        let answers = beside(manifest, &asking, StepKind::JudgeInfer, "answers");
        let reading = match asking.step {
            StepKind::PairwiseBuild => Reading::Preferred(match answers {
                Some(answers) => {
                    let part = ComparedPart { build: action, judge: asking.judge, answers };
                    PairVerdicts::of(store, manifest, &part, wanted.item)?
                }
                None => None,
            }),
            _ => Reading::Worth(worth(store, manifest, &asking, wanted.item)?),
        };
        if asked.is_empty() {
            if let Reading::Preferred(Some(pairs)) = &reading
                && let Some(why) = pairs.why()
            {
                hint = match why {
                    "identical" => {
                        "the judge would read the same in both orders: that is a tie, about which nobody is asked"
                            .to_owned()
                    }
                    why => format!("how an answer ended decides that the pair is not compared: {why}"),
                };
            }
            continue;
        }
        let said = match answers {
            Some(answers) => said(store, asking.step, &answers, wanted.item)?,
            None => Vec::new(),
        };
        for (about, line) in asked {
            // A verdict is drawn once, whatever the generation of the answer.
            let address = DrawAddress { request: line.key, generation: 0, number: 0 };
            let sent = wire_of(config, &line.request).map(|wire| wire_body(&wire, &line.request, &address));
            let body = match &sent {
                Some(sent) => serde_json::from_str(sent).unwrap_or_default(),
                None => serde_json::json!(line.request),
            };
            let answers: Vec<&AnswerLine> =
                said.iter().filter(|(of, _)| *of == about).map(|(_, answer)| answer).collect();
            let mut shown = serde_json::json!({"action": action.label, "key": line.key, "draw": about.n, "body": body});
            reading.tell(about, &answers, &mut shown)?;
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
        return Err(Failure::usage(message).hint(format!("{hint}; ids stand in the column item_id of predictions.csv")));
    }
    out.document(&serde_json::json!(documents));
    Ok(())
}

impl Reading {
    /// Adds to what is shown of a request what was said, and what that comes to.
    fn tell(&self, about: About, answers: &[&AnswerLine], shown: &mut serde_json::Value) -> Result<(), Failure> {
        let all = |read: &dyn Fn(&AnswerLine) -> (&'static str, serde_json::Value)| -> serde_json::Value {
            let one = |line: &&AnswerLine| {
                let answer = line.answer.as_ref();
                let (name, value) = read(line);
                serde_json::json!({
                    "draw": line.n, "status": answer.map(|answer| answer.status), "failure": line.failure,
                    "text": answer.map(|answer| &answer.text), "reasoning": answer.and_then(|answer| answer.reasoning.as_ref()),
                    name: value,
                })
            };
            answers.iter().map(one).collect()
        };
        match self {
            Self::Worth(worth) => {
                let verdict = worth.get(&about.n);
                let value = |line: &AnswerLine| {
                    let worth = verdict.and_then(|verdict| verdict.raters.get(&judge_rater(line.n)));
                    ("value", serde_json::json!(worth))
                };
                shown["answers"] = all(&value);
                shown["verdict"] = serde_json::json!(verdict.and_then(|verdict| verdict.value));
            }
            Self::Preferred(pairs) => {
                let reader = pairs.as_ref().map(|pairs| PreferenceReader::new(&pairs.reading)).transpose()?;
                let prefers = |line: &AnswerLine| {
                    let text = line.answer.as_ref().map(|answer| &answer.text);
                    let preferred = reader.as_ref().zip(text).and_then(|(reader, text)| reader.read(text));
                    ("prefers", serde_json::json!(preferred))
                };
                let row = pairs.as_ref().and_then(|pairs| pairs.row(about.n));
                let said = row.zip(about.order).and_then(|(row, order)| row.says(order));
                shown["order"] = serde_json::json!(about.order.map(PairOrder::as_str));
                shown["answers"] = all(&prefers);
                shown["verdict"] = serde_json::json!(said);
                let outcome = row.map(|row| row.outcome.as_str()).filter(|outcome| !outcome.is_empty());
                shown["outcome"] = serde_json::json!(outcome);
            }
        }
        Ok(())
    }
}

fn output(action: &ActionEntry, name: &str) -> Option<BlobId> {
    action.outputs.iter().find(|output| output.name == name).map(|output| output.blob)
}

/// Finds an output of the action of another kind about the same part.
fn beside(manifest: &Manifest, asking: &Asking<'_>, step: StepKind, name: &str) -> Option<BlobId> {
    let label = asking.action.label.replacen(asking.step.as_str(), step.as_str(), 1);
    output(manifest.actions.iter().find(|action| action.label == label)?, name)
}

/// Reads what was said about an item.
fn said(store: &Store, step: StepKind, answers: &BlobId, item: &str) -> Result<Vec<(About, AnswerLine)>, Failure> {
    let mut found = Vec::new();
    for line in AnswersReader::new(store.open_blob(answers)?) {
        let line = line?;
        let of = about(step, &line.item).filter(|(_, other)| *other == item).map(|(about, _)| about);
        found.extend(of.map(|about| (about, line)));
    }
    Ok(found)
}

/// Reads what each draw of an item was said to be worth.
fn worth(
    store: &Store,
    manifest: &Manifest,
    asking: &Asking<'_>,
    item: &str,
) -> Result<BTreeMap<u32, VerdictsLine>, Failure> {
    let Some(blob) = beside(manifest, asking, StepKind::Judge, "verdicts") else { return Ok(BTreeMap::new()) };
    let text = store.read(&blob)?;
    let mut found = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: VerdictsLine =
            serde_json::from_slice(line).map_err(|error| super::records::damaged(asking.action, &error.to_string()))?;
        if line.item == item {
            found.insert(line.n, line);
        }
    }
    Ok(found)
}
