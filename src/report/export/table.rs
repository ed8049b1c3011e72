use csv::{QuoteStyle, Terminator, WriterBuilder};
use serde_json::{Map, Value, json};

use super::parquet::{Cells, Column, parquet};
use super::{ExportDraw, ExportError, ExportRun, ExportTrial};

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
pub fn csv_table(run: &ExportRun, is_safe: bool) -> Result<Vec<u8>, ExportError> {
    let metrics = run.metrics();
    let mut table =
        WriterBuilder::new().terminator(Terminator::CRLF).quote_style(QuoteStyle::Necessary).from_writer(Vec::new());
    let columns = COLUMNS.iter().chain(&["served_model"]).chain(&metrics);
    table.write_record(columns.map(|name| cell(name, is_safe)))?;
    for (trial, draw) in run.draws() {
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
    Ok(table.into_inner().map_err(csv::IntoInnerError::into_error)?)
}

/// Writes a JSON object a line for each draw: the columns of the CSV, with `targets` a list and `scores` an object.
pub fn json_lines(run: &ExportRun) -> Vec<u8> {
    let mut out = Vec::new();
    for (trial, draw) in run.draws() {
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

/// Writes the same as Parquet: `temp`, tokens and metrics are numbers, `targets` a list, and what is not known is null.
///
/// The metrics are columns of their names, each with `score_` before it, so that none is taken for another column.
pub fn parquet_table(run: &ExportRun) -> Result<Vec<u8>, ExportError> {
    let metrics: Vec<(&str, String)> =
        run.metrics().into_iter().map(|metric| (metric, format!("score_{metric}"))).collect();
    let rows: Vec<(&ExportTrial, &ExportDraw)> = run.draws().collect();
    // A table without rows has columns all the same.
    let groups = if rows.is_empty() { vec![&rows[..]] } else { row_groups(&rows) };
    let groups = groups.into_iter().map(|rows| columns(run, rows, &metrics));
    parquet(&run.tool, groups)
}

/// Divides rows so that the texts of a group stay far below what a page can hold.
fn row_groups<'r, 'd>(rows: &'r [(&'d ExportTrial, &'d ExportDraw)]) -> Vec<&'r [(&'d ExportTrial, &'d ExportDraw)]> {
    const MOST_ROWS: usize = 1 << 16;
    const MOST_BYTES: usize = 1 << 28;
    let (mut groups, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, (_, draw)) in rows.iter().enumerate() {
        let size = draw.text.len() + draw.answer.len() + draw.question.as_ref().map_or(0, String::len);
        if at > start && (at - start == MOST_ROWS || bytes + size > MOST_BYTES) {
            groups.push(&rows[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    groups.push(&rows[start..]);
    groups
}

fn columns<'r>(
    run: &'r ExportRun,
    rows: &[(&'r ExportTrial, &'r ExportDraw)],
    metrics: &'r [(&'r str, String)],
) -> Vec<Column<'r>> {
    type Row<'r> = (&'r ExportTrial, &'r ExportDraw);
    fn texts<'r>(name: &'r str, rows: &[Row<'r>], of: impl Fn(Row<'r>) -> &'r str) -> Column<'r> {
        Column { name, cells: Cells::Texts(rows.iter().map(|row| Some(of(*row))).collect()) }
    }
    fn wholes<'r>(name: &'r str, rows: &[Row<'r>], of: impl Fn(&'r ExportDraw) -> Option<u64>) -> Column<'r> {
        let whole = |row: &Row<'r>| of(row.1).and_then(|value| i64::try_from(value).ok());
        Column { name, cells: Cells::Wholes(rows.iter().map(whole).collect()) }
    }
    fn numbers<'r>(name: &'r str, rows: &[Row<'r>], of: impl Fn(&'r ExportDraw) -> Option<f64>) -> Column<'r> {
        Column { name, cells: Cells::Numbers(rows.iter().map(|row| of(row.1)).collect()) }
    }
    let questions = rows.iter().map(|(_, draw)| draw.question.as_deref()).collect();
    let mut all = vec![
        texts("run_id", rows, |_| &run.run_id),
        texts("trial", rows, |(trial, _)| &trial.slug),
        texts("model", rows, |(trial, _)| &trial.model),
        texts("prompt_set", rows, |(trial, _)| &trial.prompt_set),
        texts("dataset", rows, |(_, draw)| &draw.dataset),
        texts("item_id", rows, |(_, draw)| &draw.item),
        texts("condition", rows, |(_, draw)| &draw.condition),
        numbers("temp", rows, |draw| draw.temperature.parse().ok()),
        wholes("draw", rows, |draw| Some(draw.draw)),
        texts("type", rows, |(_, draw)| &draw.kind),
        texts("status", rows, |(_, draw)| &draw.status),
        texts("finish_reason", rows, |(_, draw)| &draw.finish_reason),
        Column { name: "question", cells: Cells::Texts(questions) },
        Column { name: "targets", cells: Cells::Lists(rows.iter().map(|(_, draw)| &*draw.targets).collect()) },
        texts("response_text", rows, |(_, draw)| &draw.text),
        texts("answer", rows, |(_, draw)| &draw.answer),
        wholes("prompt_tokens", rows, |draw| draw.input_tokens),
        wholes("completion_tokens", rows, |draw| draw.output_tokens),
        texts("served_model", rows, |(_, draw)| &draw.served_model),
    ];
    for (metric, name) in metrics {
        all.push(numbers(name, rows, |draw| draw.scores.iter().find(|(of, _)| of == metric).map(|(_, value)| *value)));
    }
    all
}

fn cell(text: &str, is_safe: bool) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    if is_safe && is_formula { format!("'{text}") } else { text.to_owned() }
}
