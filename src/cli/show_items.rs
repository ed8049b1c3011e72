use std::collections::BTreeSet;

use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::output::Output;
use super::run_page::trial_report;
use super::show_args::ShowArgs;
use super::trial_items::{ItemFilter, TrialItems};
use crate::report::{DiffPart, PageItem, PageVerdict, word_diff};
use crate::request::AnswerStatus;
use crate::run::Manifest;
use crate::step::DrawStatus;
use crate::store::Store;

/// Is how much of a text is shown, in characters, unless more is wanted.
const SHORT: usize = 600;

/// Shows the items on which the arms of each trial disagree, side by side with passage, gold answers, scores and what differs.
pub fn items(store: &Store, manifest: &Manifest, args: &ShowArgs, out: &Output) -> Result<Exit, Failure> {
    let filter = ItemFilter {
        flip: args.flip.map(|flip| flip.as_str().to_owned()),
        dataset: args.dataset.clone(),
        status: args.status.clone(),
        field: match &args.field {
            Some(text) => {
                Some(text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(
                    || Failure::usage(format!("--field: `{text}` has no `=`")).hint("as in `--field subject=history`"),
                )?)
            }
            None => None,
        },
    };
    if let Some(status) = &filter.status
        && serde_json::from_value::<DrawStatus>(status.as_str().into()).is_err()
    {
        let known = AnswerStatus::ALL.map(AnswerStatus::as_str).join(", ");
        return Err(Failure::usage(format!("--status: there is no status `{status}`")).hint(format!(
            "an answer ends with {known} or {}; one that failed has `failed:` and a code",
            DrawStatus::NoAnswer
        )));
    }
    let mut documents = Vec::new();
    let (mut datasets, mut items) = (BTreeSet::new(), 0);
    for trial in &manifest.trials {
        let Some((report, _)) = trial_report(store, manifest, &trial.slug)? else { continue };
        let primary: Vec<(String, String)> =
            report.verdicts.iter().map(|one| (one.dataset.clone(), one.metric.name.clone())).collect();
        let Some(found) = TrialItems::find(store, manifest, &trial.slug, &primary)? else { continue };
        let (list, _) = found.collect(&filter, args.limit)?;
        datasets.extend(found.datasets().map(str::to_owned));
        items += list.items;
        out.line(&format!(
            "{}: the arms differ on {} of {} items",
            list.slug,
            thousands(list.disagreements),
            thousands(list.items)
        ));
        for item in &list.shown {
            print(item, out);
            documents.push(document(&list.slug, item));
        }
        let more = list.disagreements - list.shown.len() as u64;
        if more > 0 {
            out.line(&format!("  … and {} more (--limit N shows more)", thousands(more)));
        }
    }
    if let (Some(dataset), None, 0, false) = (&filter.dataset, &filter.field, items, datasets.is_empty()) {
        let known = datasets.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Failure::usage(format!("--dataset: no item of this run is of `{dataset}`"))
            .hint(format!("its datasets are {known}")));
    }
    out.document(&serde_json::json!(documents));
    Ok(Exit::Done)
}

fn print(item: &PageItem, out: &Output) {
    let flip = match item.flip {
        "up" => "treatment higher",
        "down" => "control higher",
        _ => "differs otherwise",
    };
    out.line(&format!("\n  {}|{}  {flip}", item.dataset, flat(&item.id, SHORT)));
    let show = |name: &str, text: &str| {
        if !text.is_empty() {
            out.line(&format!("    {name:<11}{}", flat(text, if out.is_verbose() { usize::MAX } else { SHORT })));
        }
    };
    show("question:", &item.question);
    show("passage:", item.passage.as_deref().unwrap_or_default());
    let gold = if item.is_unanswerable { "(unanswerable)".to_owned() } else { item.gold.join(" | ") };
    show("gold:", &gold);
    for (name, value) in &item.fields {
        show(&format!("{name}:"), value);
    }
    let texts = [0, 1].map(|arm: usize| item.arms[arm].text.clone());
    let both = match &texts {
        [Some(control), Some(treatment)] => word_diff(control, treatment),
        _ => texts.map(|text| text.into_iter().map(|text| DiffPart { text, is_own: false }).collect()),
    };
    for (arm, (name, parts)) in ["control", "treatment"].into_iter().zip(both).enumerate() {
        let marks = if arm == 0 { ("[-", "-]") } else { ("{+", "+}") };
        let text: String = parts
            .iter()
            .map(|part| if part.is_own { format!("{}{}{}", marks.0, part.text, marks.1) } else { part.text.clone() })
            .collect();
        let statuses = item.arms[arm].statuses.join(", ");
        let statuses = if statuses == "stop" { String::new() } else { format!("({statuses}) ") };
        show(&format!("{name}:"), &format!("{statuses}{text}"));
        for verdict in &item.arms[arm].verdicts {
            let said = verdict.said.iter().map(|(rater, worth, text)| {
                let words = text.as_ref().map_or_else(String::new, |text| format!(", {text}"));
                let rater = if rater.is_empty() { "one rater" } else { rater };
                format!(" · {rater}: {}{words}", PageVerdict::worth(*worth))
            });
            let said: String = said.collect();
            show(&format!("  {}:", verdict.by), &format!("{}{said}", PageVerdict::worth(verdict.value)));
        }
    }
    let score = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    let scores = item.scores.iter().map(|(name, _, arms)| format!("{name} {} -> {}", score(arms[0]), score(arms[1])));
    show("scores:", &scores.collect::<Vec<_>>().join(", "));
}

fn document(slug: &str, item: &PageItem) -> serde_json::Value {
    let arm = |at: usize| {
        let arm = &item.arms[at];
        let scores: serde_json::Map<String, serde_json::Value> =
            item.scores.iter().map(|(name, _, arms)| (name.clone(), arms[at].into())).collect();
        serde_json::json!({
            "statuses": arm.statuses, "text": arm.text, "answer": arm.answer, "reasoning": arm.reasoning, "draw": arm.draw,
            "scores": scores, "verdicts": arm.verdicts.iter().map(verdict).collect::<Vec<_>>(),
        })
    };
    let fields: serde_json::Map<String, serde_json::Value> =
        item.fields.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    serde_json::json!({
        "trial": slug, "dataset": item.dataset, "item": item.id, "flip": item.flip, "question": item.question,
        "passage": item.passage, "gold": item.gold, "unanswerable": item.is_unanswerable, "fields": fields,
        "control": arm(0), "treatment": arm(1),
    })
}

fn verdict(verdict: &PageVerdict) -> serde_json::Value {
    let said = verdict.said.iter();
    let said = said.map(|(rater, worth, text)| serde_json::json!({"rater": rater, "value": worth, "text": text}));
    serde_json::json!({"by": verdict.by, "value": verdict.value, "said": said.collect::<Vec<_>>()})
}

/// Puts a text on one line, cut where it is long.
fn flat(text: &str, longest: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() > longest { flat.chars().take(longest - 1).chain(['…']).collect() } else { flat }
}
