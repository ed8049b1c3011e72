use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;

use super::dataset::{Item, Json, Layout, Problems, Row, Surrogates, each_row, holds, listed, nearest};
use super::{Inputs, StepError};
use crate::plan::{RecordingFormat, RecordingMapping};
use crate::request::{RecordedAnswer, Usage};

/// Reads the input `recordings` and gives each item its recorded answers, in the order of the file, which is that of
/// the draws; an item without any has none.
///
/// A recording belongs to the items whose field `join` is equal to its key; one that belongs to none is passed over.
pub fn read_recordings(
    mapping: &RecordingMapping,
    inputs: &Inputs<'_>,
    items: &[Item<'_>],
) -> Result<Vec<Vec<RecordedAnswer>>, StepError> {
    let label = inputs.need("recordings")?.label.clone();
    let mut problems = Problems::new(label.clone());
    let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        if let Some(key) = item.find(&mapping.join) {
            by_key.entry(key.into_owned()).or_default().push(at);
        } else {
            let remedy = format!("join on a field of the items: {}", listed(&item.names(&mapping.join)));
            problems.file(format!("item `{}` has no field `{}` to join on", item.id, mapping.join), remedy);
            break;
        }
    }
    let mut answers = vec![Vec::new(); items.len()];
    let mut source = inputs.open("recordings")?;
    let unreadable = |error: io::Error| StepError::Read { input: label.clone(), source: error.into() };
    let mut visit = |row: Row<'_>, problems: &mut Problems| {
        if let Some((owners, recorded)) = recording(mapping, &row, &by_key, problems) {
            for &owner in owners {
                answers[owner].extend(recorded.iter().cloned());
            }
        }
        ControlFlow::Continue(())
    };
    let layout = match mapping.format {
        RecordingFormat::Jsonl => Layout::Lines,
        RecordingFormat::Csv => Layout::Delimited(b','),
        RecordingFormat::Tsv => Layout::Delimited(b'\t'),
        RecordingFormat::Json => Layout::Array,
        RecordingFormat::JsonMap => Layout::Entries,
    };
    // Answers of models do hold halves of characters; datasets should not.
    each_row(&mut source, layout, Surrogates::Replace, &mut problems, &mut visit).map_err(unreadable)?;
    problems.finish()?;
    io::copy(&mut source, &mut io::sink()).map_err(unreadable)?;
    Ok(answers)
}

/// Reads the answers of one row, and the items they belong to.
fn recording<'k>(
    mapping: &RecordingMapping,
    row: &Row<'_>,
    by_key: &'k HashMap<String, Vec<usize>>,
    problems: &mut Problems,
) -> Option<(&'k [usize], Vec<RecordedAnswer>)> {
    if !holds(&mapping.conditions, &row.value) {
        return None;
    }
    let owners = match &row.key {
        Some(key) => by_key.get(key),
        None if mapping.format == RecordingFormat::JsonMap => None,
        None => {
            let path = mapping.key.as_deref().unwrap_or(&mapping.join);
            by_key.get(field(row, path, problems)?.0.to_text().as_ref())
        }
    }?;
    let (value, at) = match &mapping.text {
        Some(path) if matches!(row.value, Json::Object(_)) => field(row, path, problems)?,
        None if matches!(row.value, Json::Object(_)) => field(row, "text", problems)?,
        _ => (&row.value, row.at),
    };
    let usage = Usage {
        input_tokens: tokens(mapping.input_tokens.as_deref(), row, problems)?,
        output_tokens: tokens(mapping.output_tokens.as_deref(), row, problems)?,
        reasoning_tokens: None,
    };
    let one = |text: String| RecordedAnswer { text, usage };
    let answers = match (value, &mapping.join_lists) {
        (Json::List(items), Some(between)) => {
            let texts: Option<Vec<_>> = items.iter().map(|item| text(item, row, at, problems)).collect();
            vec![one(texts?.join(between))]
        }
        (Json::List(items), None) if mapping.format == RecordingFormat::JsonMap => {
            items.iter().map(|item| text(item, row, at, problems).map(one)).collect::<Option<_>>()?
        }
        (value, _) => vec![one(text(value, row, at, problems)?)],
    };
    Some((owners, answers))
}

fn field<'j, 'a>(row: &'j Row<'a>, path: &str, problems: &mut Problems) -> Option<(&'j Json<'a>, usize)> {
    if let Some(found) = row.value.find(path) {
        return Some((found.value, found.at));
    }
    let names = row.value.names_near(path);
    let meant = nearest(path, names.iter().map(String::as_str)).map(|name| format!("did you mean `{name}`? "));
    let remedy = format!("{}the recording has {}", meant.unwrap_or_default(), listed(&names));
    problems.row(&row.origin, row.at, format!("the recording has no field `{path}`"), remedy);
    None
}

fn text(value: &Json<'_>, row: &Row<'_>, at: usize, problems: &mut Problems) -> Option<String> {
    let remedy = match value {
        Json::Text(_) | Json::Number(_) | Json::Bool(_) => return Some(value.to_text().into_owned()),
        Json::List(_) => "set `join_lists` to the text that stands between the parts",
        Json::Object(_) => "name the field with the text: `text: …`",
        Json::Null => "leave such rows out with `where`; their items are then counted as missing",
    };
    problems.at(&row.origin, at, format!("the recorded answer is {}, not a text", value.kind()), remedy);
    None
}

/// Reads a number of tokens: `Some(None)` where none is stated or recorded, `None` where it is no number.
#[allow(clippy::option_option)] // The outer level says whether the row can be used.
fn tokens(path: Option<&str>, row: &Row<'_>, problems: &mut Problems) -> Option<Option<u64>> {
    let Some(path) = path else { return Some(None) };
    let (value, at) = field(row, path, problems)?;
    let text = value.to_text();
    if matches!(value, Json::Null) || text.is_empty() {
        return Some(None);
    }
    if let Ok(count) = text.parse() {
        return Some(Some(count));
    }
    problems.at(&row.origin, at, format!("`{path}` is no number of tokens"), "write a whole number, or null");
    None
}
