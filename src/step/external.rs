//! What an executable that scores is told, and what it says. Running it is not a step's business.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::gold_line::GoldLine;
use super::json_lines::{read_lines, unexpected, write_line};
use super::metric_values::MetricValues;
use super::outcome::rule_for;
use super::parsed_draw::ParsedDraw;
use super::scored_draw::ScoredDraw;
use super::text::Text;
use super::{InputProblem, Inputs, Outputs, StepError};
use crate::plan::{ExternalParams, OutcomeRule};

/// Is a line that the executable is told.
#[derive(serde::Serialize)]
struct Told<'a> {
    item: &'a str,
    n: u32,
    question: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
    fields: Option<&'a RawValue>,
    gold: &'a [String],
    unanswerable: bool,
    text: &'a str,
    answer: &'a str,
}

/// Is what is told of an item.
#[derive(serde::Deserialize)]
struct ItemLine<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    question: Text<'a>,
    #[serde(borrow, default)]
    context: Option<Text<'a>>,
    #[serde(borrow, default)]
    fields: Option<&'a RawValue>,
}

/// Is a line that the executable says.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    item: String,
    n: u32,
    #[serde(default)]
    score: Option<f64>,
}

/// Makes the lines that the executable is told: one for each answer that no rule of its status has decided.
pub fn told(params: &ExternalParams, inputs: &Inputs<'_>) -> Result<Vec<u8>, StepError> {
    let (items, gold, parsed) = (inputs.text("items")?, inputs.text("gold")?, inputs.text("parsed")?);
    let mut items = read_lines::<ItemLine<'_>>("items", &items);
    let mut gold = read_lines::<GoldLine<'_>>("gold", &gold);
    let mut current: Option<(ItemLine<'_>, GoldLine<'_>)> = None;
    let mut out = Vec::new();
    for draw in read_lines::<ParsedDraw<'_>>("parsed", &parsed) {
        let draw = draw?;
        let (item, truth) = loop {
            if let Some(found) = current.take_if(|(item, _)| item.id.as_str() == draw.item.as_str()) {
                break current.insert(found);
            }
            let absent = || unexpected("items", format_args!("it has no line for `{}`, or not here", draw.item));
            current = Some((items.next().ok_or_else(absent)??, gold.next().ok_or_else(absent)??));
        };
        if rule_for(draw.status, draw.answer.is_some(), params.outcomes) != OutcomeRule::AsIs {
            continue;
        }
        let text = draw.text.as_deref().unwrap_or_default();
        let line = Told {
            item: &item.id,
            n: draw.n,
            question: &item.question,
            context: item.context.as_deref(),
            fields: item.fields,
            gold: &truth.answers,
            unanswerable: truth.unanswerable,
            text,
            answer: draw.answer.as_deref().unwrap_or(text),
        };
        write_line("the lines for the scorer", &mut out, &line)?;
    }
    Ok(out)
}

/// Takes what the executable said, JSON lines of `item`, `n` and `score` in any order, and gives `scores`, a line for each draw of
/// `parsed`. A score of null is no score.
///
/// Errors: [`StepError::Inputs`] with the line that is no JSON, is about nothing that was told, or is about it again; or with the
/// first draw that no line is about, since one that ends early without an error would else look like missing outcomes.
pub fn scores(
    params: &ExternalParams,
    inputs: &Inputs<'_>,
    (told, said): (&[u8], &[u8]),
    outputs: &mut dyn Outputs,
) -> Result<(), StepError> {
    #[derive(serde::Deserialize)]
    struct Asked {
        item: String,
        n: u32,
    }
    let wrong = |line: Option<u64>, why: String| {
        StepError::Inputs(vec![InputProblem {
            file: format!("the output of the scorer `{}`", params.name),
            line,
            column: None,
            source_line: None,
            message: why,
            remedy: "write a line `{\"item\": …, \"n\": …, \"score\": …}` for each line that it reads".to_owned(),
        }])
    };
    let told = std::str::from_utf8(told).map_err(|error| unexpected("the lines for the scorer", error))?;
    let mut asked: Vec<(String, u32)> = Vec::new();
    let mut known: HashMap<(String, u32), Option<f64>> = HashMap::new();
    for line in read_lines::<Asked>("the lines for the scorer", told) {
        let line = line?;
        known.insert((line.item.clone(), line.n), None);
        asked.push((line.item, line.n));
    }
    let mut seen = std::collections::HashSet::new();
    for (at, line) in said.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let at = Some(at as u64 + 1);
        let said: Said = serde_json::from_slice(line).map_err(|error| wrong(at, error.to_string()))?;
        let about = format!("draw {} of `{}`", said.n, said.item);
        let key = (said.item, said.n);
        let Some(slot) = known.get_mut(&key) else { return Err(wrong(at, format!("it was not told of {about}"))) };
        if !seen.insert(key) {
            return Err(wrong(at, format!("it speaks of {about} again")));
        }
        *slot = said.score;
    }
    if let Some((item, n)) = asked.iter().find(|key| !seen.contains(*key)) {
        let left_out = asked.len() - seen.len();
        let why = format!("it says nothing of draw {n} of `{item}`; {left_out} of {} are left out", asked.len());
        return Err(wrong(None, why));
    }
    let parsed = inputs.text("parsed")?;
    let mut out = Vec::new();
    for draw in read_lines::<ParsedDraw<'_>>("parsed", &parsed) {
        let draw = draw?;
        let value = known.get(&(draw.item.as_str().to_owned(), draw.n)).copied().flatten();
        let line = ScoredDraw {
            item: draw.item.as_str().into(),
            n: draw.n,
            status: draw.status,
            scores: value.map(|value| MetricValues(vec![(params.name.as_str().into(), value)])),
            support: None,
            missing: value.is_none(),
        };
        write_line("scores", &mut out, &line)?;
    }
    outputs.put("scores", out)
}
