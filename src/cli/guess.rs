use std::collections::{BTreeSet, HashSet};

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

type Row = Map<String, Value>;

/// What each part of an item is often called, likeliest first.
const NAMES: [(&str, &[&str]); 6] = [
    ("id", &["id", "example_id", "qid", "uuid", "item_id", "_id", "key"]),
    ("question", &["question", "query", "prompt", "input", "instruction", "problem", "text", "q"]),
    (
        "answers",
        &[
            "answers",
            "answer",
            "gold",
            "target",
            "label",
            "expected",
            "output",
            "reference",
            "ideal",
            "completion",
            "response",
            "a",
        ],
    ),
    ("context", &["context", "passage", "document", "paragraph", "article"]),
    ("group", &["group", "cluster", "customer", "title", "doc_id", "passage_id"]),
    ("unanswerable", &["is_unanswerable", "is_impossible", "unanswerable"]),
];

/// Where answers stand that are an object: `{"text": ["Paris"], "answer_start": [17]}`.
const INSIDE: [&str; 3] = ["text", "aliases", "value"];

/// How many rows are looked at for their fields.
const ROWS: usize = 1000;

/// Guesses the layout and the fields of a data file; `stated` fields (part and field) are not guessed.
pub fn guess(path: &Utf8Path, bytes: &[u8], stated: &[(String, String)]) -> Result<Guess, Failure> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bad = |why: String| Failure::usage(format!("--from: `{path}` {why}"));
    let format = match path.extension() {
        Some("jsonl" | "ndjson") => "jsonl",
        Some("csv") => "csv",
        Some("tsv") => "tsv",
        _ => {
            return Err(bad("is not JSONL, CSV or TSV by its name".into())
                .hint("rename it to .jsonl, .csv or .tsv, or write a config by hand: `exp schema` describes it"));
        }
    };
    let mut rows: Vec<Row> = Vec::new();
    each_row(format, bytes, &mut |row| {
        rows.push(row);
        rows.len() < ROWS
    })
    .map_err(bad)?;
    if rows.is_empty() {
        return Err(bad("has no rows".into()));
    }
    let fields: BTreeSet<String> = rows.iter().flat_map(|row| row.keys().cloned()).collect();
    let list = || fields.iter().cloned().collect::<Vec<_>>().join(", ");
    for (part, field) in stated {
        if !NAMES.iter().any(|(name, _)| name == part) {
            let parts = NAMES.map(|(name, _)| name).join(", ");
            return Err(Failure::usage(format!("--fields: `{part}` is no part of an item; its parts are: {parts}")));
        }
        if !rows.iter().any(|row| find(row, field).is_some()) {
            return Err(bad(format!("has no field `{field}`; its fields are: {}", list())));
        }
    }
    let stated_for = |part: &str| stated.iter().find(|(name, _)| name == part).map(|(_, field)| field.clone());
    let mut taken: BTreeSet<String> = stated.iter().map(|(_, field)| field.clone()).collect();
    let mut parts = Vec::new();
    for (part, names) in NAMES {
        let everywhere = |name: &str| rows.iter().all(|row| row.contains_key(name));
        let guessed = || {
            names
                .iter()
                .find_map(|name| {
                    fields.iter().find(|field| field.eq_ignore_ascii_case(name) && !taken.contains(*field))
                })
                .filter(|field| matches!(part, "unanswerable") || everywhere(field))
                .map(|field| if part == "answers" { inside(field, &rows) } else { field.clone() })
        };
        let found = stated_for(part).or_else(guessed);
        let example = found
            .as_ref()
            .and_then(|field| rows.iter().find_map(|row| find(row, field)))
            .map_or_else(String::new, shorten);
        taken.extend(found.clone());
        parts.push((part, found, example));
    }
    for part in ["question", "answers"] {
        if parts.iter().any(|(name, field, _)| *name == part && field.is_none()) {
            let why = format!("has no field that looks like the {part}; its fields are: {}", list());
            return Err(bad(why).hint(format!(
                "say which it is: `--fields {part}=FIELD`, with dots to reach into objects: `--fields {part}=data.{part}`"
            )));
        }
    }
    let field_of = |part: &str| parts.iter().find(|(name, _, _)| *name == part).and_then(|(_, field, _)| field.clone());
    let answers = field_of("answers").unwrap_or_default();
    let has = |mark: &str| {
        rows.iter().any(|row| find(row, &answers).and_then(Value::as_str).is_some_and(|t| t.contains(mark)))
    };
    let split = ["|", ";"].into_iter().find(|mark| format != "jsonl" && has(mark));
    let id = field_of("id").or_else(|| field_of("question")).unwrap_or_default();
    let (mut ids, mut repeats_ids) = (HashSet::new(), false);
    each_row(format, bytes, &mut |row| {
        repeats_ids = find(&row, &id).is_some_and(|value| !ids.insert(text(value)));
        !repeats_ids
    })
    .map_err(bad)?;
    Ok(Guess { format, split: split.map(str::to_owned), repeats_ids, parts })
}

/// Finds a field, by its name as it stands or by a dotted path.
fn find<'r>(row: &'r Row, path: &str) -> Option<&'r Value> {
    if let Some(value) = row.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    find(row.get(first)?.as_object()?, rest)
}

/// Reaches into answers that are an object.
fn inside(field: &str, rows: &[Row]) -> String {
    let object = rows.iter().find_map(|row| row.get(field)?.as_object());
    let name = object.and_then(|object| INSIDE.into_iter().find(|name| object.contains_key(*name)));
    name.map_or_else(|| field.to_owned(), |name| format!("{field}.{name}"))
}

/// Gives the rows to `take` one after the other, until it has enough.
fn each_row(format: &str, bytes: &[u8], take: &mut dyn FnMut(Row) -> bool) -> Result<(), String> {
    match format {
        "csv" => table(bytes, b',', take),
        "tsv" => table(bytes, b'\t', take),
        _ => jsonl(bytes, take),
    }
}

fn jsonl(bytes: &[u8], take: &mut dyn FnMut(Row) -> bool) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))?;
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row =
            serde_json::from_str(line).map_err(|error| format!("line {}: is not a JSON object: {error}", at + 1))?;
        if !take(row) {
            break;
        }
    }
    Ok(())
}

fn table(bytes: &[u8], delimiter: u8, take: &mut dyn FnMut(Row) -> bool) -> Result<(), String> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(bytes);
    let header: Vec<String> =
        reader.headers().map_err(|error| format!("has no header: {error}"))?.iter().map(str::to_owned).collect();
    if let Some((_, twice)) = header.iter().enumerate().find(|(at, name)| header[..*at].contains(name)) {
        return Err(format!("names the column `{twice}` twice in its header: give each a name of its own"));
    }
    for record in reader.records() {
        let record = record.map_err(|error| format!("cannot be read: {error}"))?;
        let cells = record.iter().map(|cell| Value::String(cell.to_owned()));
        if !take(header.iter().cloned().zip(cells).collect()) {
            break;
        }
    }
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn shorten(value: &Value) -> String {
    let text = text(value).replace(['\n', '\r'], " ");
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
        let mut lines: Vec<String> = rows.collect();
        if let Some(mark) = &self.split {
            lines.push(format!("an answer with `{mark}` is several answers; if that is wrong, take out `split:`"));
        }
        if self.repeats_ids {
            lines
                .push("some ids occur more than once: the second of `x` is `x-2` (`duplicate_ids: number`)".to_owned());
        }
        format!("guessed fields:\n{}", lines.join("\n"))
    }
}
