use csv::{QuoteStyle, Terminator, WriterBuilder};
use serde_json::{Map, Value, json};

use super::{ExportDraw, ExportRun, ExportTrial};

const COLUMNS: [&str; 18] = [
    "run_id",
    "trial",
    "model",
    "prompt_set",
    "dataset",
    "item_id",
    "condition",
    "temp",
    "draw",
    "type",
    "status",
    "finish_reason",
    "question",
    "targets",
    "response_text",
    "answer",
    "prompt_tokens",
    "completion_tokens",
];

/// Writes a row for each draw: what predictions.csv says, its question and accepted answers (a JSON list), and a column for
/// each metric. RFC 4180 with CRLF.
///
/// Where it `is_safe` for spreadsheets, a cell that is no number and begins with `=`, `+`, `-`, `@`, a tab or a carriage return
/// gets an apostrophe before it, so that none is taken for a formula.
pub fn csv_table(run: &ExportRun, is_safe: bool) -> Result<Vec<u8>, csv::Error> {
    let mut metrics: Vec<&str> =
        draws(run).flat_map(|(_, draw)| draw.scores.iter().map(|(name, _)| name.as_str())).collect();
    metrics.sort_unstable();
    metrics.dedup();
    let mut table =
        WriterBuilder::new().terminator(Terminator::CRLF).quote_style(QuoteStyle::Necessary).from_writer(Vec::new());
    let columns = COLUMNS.iter().chain(&["served_model"]).chain(&metrics);
    table.write_record(columns.map(|name| cell(name, is_safe)))?;
    for (trial, draw) in draws(run) {
        let count = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
        let targets = Value::from(draw.targets.clone()).to_string();
        let number = draw.draw.to_string();
        let (input, output) = (count(draw.input_tokens), count(draw.output_tokens));
        let cells = [
            &*run.run_id,
            &trial.slug,
            &trial.model,
            &trial.prompt_set,
            &draw.dataset,
            &draw.item,
            &draw.condition,
            &draw.temperature,
            &number,
            &draw.kind,
            &draw.status,
            &draw.finish_reason,
            draw.question.as_deref().unwrap_or_default(),
            &targets,
            &draw.text,
            &draw.answer,
            &input,
            &output,
            &draw.served_model,
        ];
        let scores = metrics.iter().map(|metric| {
            let found = draw.scores.iter().find(|(name, _)| name == metric);
            found.map(|(_, value)| format!("{value:?}")).unwrap_or_default()
        });
        table.write_record(cells.iter().map(|text| cell(text, is_safe)).chain(scores))?;
    }
    table.into_inner().map_err(|error| csv::Error::from(std::io::Error::from(error.error().kind())))
}

/// Writes a JSON object a line for each draw: the columns of the CSV, with `targets` a list and `scores` an object.
pub fn json_lines(run: &ExportRun) -> Vec<u8> {
    let mut out = Vec::new();
    for (trial, draw) in draws(run) {
        let scores: Map<String, Value> = draw.scores.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let line = json!({
            "run_id": run.run_id, "trial": trial.slug, "model": trial.model, "prompt_set": trial.prompt_set,
            "dataset": draw.dataset, "item_id": draw.item, "condition": draw.condition,
            "temp": draw.temperature.parse::<f64>().ok(), "draw": draw.draw, "type": draw.kind, "status": draw.status,
            "finish_reason": draw.finish_reason, "question": draw.question, "targets": draw.targets,
            "response_text": draw.text, "answer": draw.answer, "prompt_tokens": draw.input_tokens,
            "completion_tokens": draw.output_tokens, "served_model": draw.served_model, "scores": scores,
        });
        out.extend_from_slice(line.to_string().as_bytes());
        out.push(b'\n');
    }
    out
}

fn draws(run: &ExportRun) -> impl Iterator<Item = (&ExportTrial, &ExportDraw)> {
    run.trials.iter().flat_map(|trial| trial.draws.iter().map(move |draw| (trial, draw)))
}

fn cell(text: &str, is_safe: bool) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    if is_safe && is_formula { format!("'{text}") } else { text.to_owned() }
}
