use std::collections::{BTreeMap, BTreeSet};

use csv::{QuoteStyle, Terminator, WriterBuilder};
use sha2::{Digest as _, Sha256};

use super::{ExportDraw, ExportError, ExportFile, ExportRun};

/// Says which answers are on a sheet, and what raters see of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SheetOptions {
    /// How many items of each dataset, all their answers; absent: all.
    pub sample: Option<usize>,
    /// Leaves out which trial and condition gave an answer.
    pub is_blind: bool,
}

/// Makes a sheet for raters of each dataset: a row for each answer to an item, whoever gave it, with `rater` and `verdict` to be
/// filled in. The scorer `labels` reads it as it is: a row is about the draws of the item that have this text.
///
/// Items are chosen, and rows put into order, by their SHA-256: the order says nothing of who gave which answer.
pub fn label_sheets(run: &ExportRun, options: SheetOptions) -> Result<Vec<ExportFile>, ExportError> {
    let mut datasets: BTreeMap<&str, BTreeMap<&str, BTreeMap<&str, Row<'_>>>> = BTreeMap::new();
    for (trial, draw) in run.draws().filter(|(_, draw)| !draw.text.trim().is_empty()) {
        let answers = datasets.entry(&draw.dataset).or_default().entry(&draw.item).or_default();
        let row = answers.entry(draw.text.trim()).or_insert_with(|| Row { draw, from: BTreeSet::new() });
        row.from.insert((&trial.slug, &draw.condition));
    }
    datasets.into_iter().map(|(dataset, items)| Ok((dataset.to_owned(), sheet(items, options)?))).collect()
}

/// Is one answer to an item.
struct Row<'d> {
    draw: &'d ExportDraw,
    /// The trials and conditions that gave it.
    from: BTreeSet<(&'d str, &'d str)>,
}

fn sheet(items: BTreeMap<&str, BTreeMap<&str, Row<'_>>>, options: SheetOptions) -> Result<Vec<u8>, ExportError> {
    let mut items: Vec<_> = items.into_iter().collect();
    items.sort_by_cached_key(|(item, _)| Sha256::digest(item));
    items.truncate(options.sample.unwrap_or(usize::MAX));
    let mut rows: Vec<Row<'_>> = items.into_iter().flat_map(|(_, answers)| answers.into_values()).collect();
    rows.sort_by_cached_key(|row| Sha256::digest(format!("{}\n{}", row.draw.item, row.draw.text.trim())));
    let has_passage = rows.iter().any(|row| row.draw.context.is_some());
    let mut table =
        WriterBuilder::new().terminator(Terminator::CRLF).quote_style(QuoteStyle::Necessary).from_writer(Vec::new());
    let columns = |passage: Option<&str>, from: Option<&str>, rest: [&str; 6]| {
        let [item, question, gold, answer, rater, verdict] = rest.map(str::to_owned);
        let (passage, from) = (passage.map(str::to_owned), from.map(str::to_owned));
        let shown = [Some(item), Some(question), passage, Some(gold), Some(answer), from, Some(rater), Some(verdict)];
        shown.into_iter().flatten().collect::<Vec<String>>()
    };
    let head = ["item", "question", "gold", "answer", "rater", "verdict"];
    table.write_record(columns(has_passage.then_some("passage"), (!options.is_blind).then_some("from"), head))?;
    for Row { draw, from } in rows {
        let from =
            from.into_iter().map(|(slug, condition)| format!("{slug}:{condition}")).collect::<Vec<_>>().join("; ");
        let gold = draw.targets.join("\n");
        let question = draw.question.as_deref().unwrap_or_default();
        let passage = draw.context.as_deref().unwrap_or_default();
        table.write_record(columns(
            has_passage.then_some(passage),
            (!options.is_blind).then_some(from.as_str()),
            [&draw.item, question, &gold, draw.text.trim(), "", ""],
        ))?;
    }
    Ok(table.into_inner().map_err(csv::IntoInnerError::into_error)?)
}
