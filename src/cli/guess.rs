use std::collections::BTreeSet;

use camino::Utf8Path;
use serde_json::{Map, Value};

use super::failure::Failure;

/// Is what a data file seems to hold: which field is what.
pub struct Guess {
    /// The layout, as the config names it.
    pub format: &'static str,
    parts: Vec<(&'static str, Option<String>, String)>,
    /// What separates several answers in one text.
    pub split: Option<String>,
    /// Whether some ids occur more than once.
    pub repeats_ids: bool,
}

/// What each part of an item is often called, likeliest first.
const NAMES: [(&str, &[&str]); 6] = [
    ("id", &["id", "example_id", "qid", "uuid", "item_id", "_id", "key"]),
    ("question", &["question", "query", "prompt", "input", "instruction", "problem", "text"]),
    ("answers", &["answers", "answer", "gold", "target", "label", "expected", "output", "reference", "ideal"]),
    ("context", &["context", "passage", "document", "paragraph", "article"]),
    ("group", &["group", "cluster", "customer", "title", "doc_id", "passage_id"]),
    ("unanswerable", &["is_unanswerable", "is_impossible", "unanswerable"]),
];

/// How many rows are looked at.
const ROWS: usize = 1000;

/// Guesses the layout and the fields of a data file.
pub fn guess(path: &Utf8Path, bytes: &[u8]) -> Result<Guess, Failure> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bad = |why: String| Failure::usage(format!("--from: `{path}` {why}"));
    let (format, rows) = match path.extension() {
        Some("jsonl" | "ndjson") => ("jsonl", jsonl(bytes).map_err(bad)?),
        Some("csv") => ("csv", table(bytes, b',').map_err(bad)?),
        Some("tsv") => ("tsv", table(bytes, b'\t').map_err(bad)?),
        _ => {
            return Err(bad("is not JSONL, CSV or TSV by its name".into())
                .hint("rename it to .jsonl, .csv or .tsv, or write a config by hand: `exp schema` describes it"));
        }
    };
    if rows.is_empty() {
        return Err(bad("has no rows".into()));
    }
    let fields: BTreeSet<String> = rows.iter().flat_map(|row| row.keys().cloned()).collect();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut parts = Vec::new();
    for (part, names) in NAMES {
        let everywhere = |name: &str| rows.iter().all(|row| row.contains_key(name));
        let found = names
            .iter()
            .find_map(|name| fields.iter().find(|field| field.eq_ignore_ascii_case(name) && !taken.contains(*field)))
            .filter(|field| matches!(part, "unanswerable") || everywhere(field))
            .cloned();
        if let Some(field) = &found {
            taken.insert(field.clone());
        }
        let example = found.as_ref().and_then(|field| rows[0].get(field)).map_or_else(String::new, shorten);
        parts.push((part, found, example));
    }
    for part in ["question", "answers"] {
        if parts.iter().any(|(name, field, _)| *name == part && field.is_none()) {
            let list = fields.iter().cloned().collect::<Vec<_>>().join(", ");
            return Err(bad(format!("has no field that looks like the {part}; its fields are: {list}"))
                .hint("rename a field, or write a config by hand with `fields:`; `exp schema` describes it"));
        }
    }
    let field_of = |part: &str| parts.iter().find(|(name, _, _)| *name == part).and_then(|(_, field, _)| field.clone());
    let texts = |part: &str| -> Vec<String> {
        let Some(field) = field_of(part) else { return Vec::new() };
        rows.iter().filter_map(|row| row.get(&field)?.as_str().map(str::to_owned)).collect()
    };
    let answers = texts("answers");
    let split = ["|", ";"].into_iter().find(|mark| format != "jsonl" && answers.iter().any(|text| text.contains(mark)));
    let ids = if field_of("id").is_some() { texts("id") } else { texts("question") };
    let distinct: BTreeSet<&String> = ids.iter().collect();
    Ok(Guess { format, split: split.map(str::to_owned), repeats_ids: distinct.len() < ids.len(), parts })
}

fn jsonl(bytes: &[u8]) -> Result<Vec<Map<String, Value>>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).take(ROWS);
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| format!("line {}: is not a JSON object: {error}", at + 1))
        })
        .collect()
}

fn table(bytes: &[u8], delimiter: u8) -> Result<Vec<Map<String, Value>>, String> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(bytes);
    let header: Vec<String> =
        reader.headers().map_err(|error| format!("has no header: {error}"))?.iter().map(str::to_owned).collect();
    let mut rows = Vec::new();
    for record in reader.records().take(ROWS) {
        let record = record.map_err(|error| format!("cannot be read: {error}"))?;
        let cells = record.iter().map(|cell| Value::String(cell.to_owned()));
        rows.push(header.iter().cloned().zip(cells).collect());
    }
    Ok(rows)
}

fn shorten(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let text = text.replace('\n', " ");
    if text.chars().count() > 48 { text.chars().take(47).chain(['…']).collect() } else { text }
}

impl Guess {
    /// Lists the parts that were found, with the field of each.
    pub fn fields(&self) -> Vec<(String, String)> {
        let found = self.parts.iter().filter_map(|(part, field, _)| Some(((*part).to_owned(), field.clone()?)));
        found.collect()
    }

    /// Shows the guess, with a value of the first row.
    pub fn table(&self) -> String {
        let rows = self.parts.iter().map(|(part, field, example)| match field {
            Some(field) => format!("  {part:<13} <- {field:<16} {example}"),
            None => format!("  {part:<13} (none)"),
        });
        format!("guessed fields:\n{}", rows.collect::<Vec<_>>().join("\n"))
    }
}
