//! Reads a dataset into parts.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::ControlFlow;

use super::dataset::{
    Item, Mapping, Problems, Row, Spool, Surrogates, describe, each_question, each_row, holds, part_count, part_hash,
    part_name, write_text,
};
use super::{Inputs, Outputs, StepError};
use crate::plan::{DatasetFormat, DuplicateIds, PrepareParams};

/// How many bytes of items are held in memory; what is more waits in an unnamed file.
const IN_MEMORY: usize = 64 << 20;

/// Reads the input `source` and gives, per part that has items, `items/NNNNN` and `gold/NNNNN`, and `order`.
///
/// `items/NNNNN` holds what requests may be made of, `gold/NNNNN` what answers are compared with; both have one JSON
/// object a line, sorted by the bytes of the item's id, so that the order of the rows does not enter them. `order` has
/// one id a line, a JSON string, in the order of the file. Errors: [`StepError::Inputs`] with up to twenty problems.
pub fn run(params: &PrepareParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let label = inputs.need("source")?.label.clone();
    let mut source = inputs.open("source")?;
    let unreadable = |error: io::Error| StepError::Read { input: label.clone(), source: error.into() };
    let mut problems = Problems::new(label.clone());
    let mut collector = Collector::new(params);
    if params.max_items != Some(0) {
        let mapping = Mapping::new(params.format, &params.fields, params.split.as_deref());
        let layout = Mapping::layout(params.format);
        let read = each_row(&mut source, layout, Surrogates::Reject, &mut problems, &mut |row, problems| {
            if params.format == DatasetFormat::Squad {
                each_question(&row, problems, &mut |row, group, problems| {
                    collector.row(&mapping, &row, Some(group), problems)
                })
            } else {
                collector.row(&mapping, &row, None, problems)
            }
        });
        read.map_err(unreadable)?;
        if let Some(error) = collector.failure.take() {
            return Err(unstored(error));
        }
        if problems.is_empty() && collector.kept == 0 {
            empty(params, collector.rows, &mut problems);
        }
    }
    problems.finish()?;
    // What was not looked at is read all the same: a blob is checked against its name at its end.
    io::copy(&mut source, &mut io::sink()).map_err(unreadable)?;
    collector.write(outputs)
}

fn unstored(error: io::Error) -> StepError {
    StepError::Write { output: "a temporary file for items".to_owned(), source: error.into() }
}

fn empty(params: &PrepareParams, rows: u64, problems: &mut Problems) {
    if rows == 0 {
        problems.file("the dataset is empty", "add rows, or remove the dataset from the config");
    } else {
        let message = format!("no row is left of {rows}: none meets `where` ({})", describe(&params.conditions));
        problems.file(message, "correct `where`: values are compared as texts, numbers and truth values as written");
    }
}

/// Is where one item's lines are.
struct Entry {
    id: String,
    hash: u64,
    /// The row's line, for a message about a repeat.
    line: u64,
    at: u64,
    question: usize,
    gold: usize,
}

struct Collector<'p> {
    params: &'p PrepareParams,
    spool: Spool,
    entries: Vec<Entry>,
    by_id: HashMap<String, usize>,
    repeats: HashMap<String, u64>,
    by_label: BTreeMap<String, u64>,
    order: String,
    /// How many rows were read, and how many met the conditions.
    rows: u64,
    kept: u64,
    failure: Option<io::Error>,
}

impl<'p> Collector<'p> {
    fn new(params: &'p PrepareParams) -> Self {
        Self {
            params,
            spool: Spool::new(IN_MEMORY),
            entries: Vec::new(),
            by_id: HashMap::new(),
            repeats: HashMap::new(),
            by_label: BTreeMap::new(),
            order: String::new(),
            rows: 0,
            kept: 0,
            failure: None,
        }
    }

    fn row(
        &mut self,
        mapping: &Mapping<'_>,
        row: &Row<'_>,
        group: Option<String>,
        problems: &mut Problems,
    ) -> ControlFlow<()> {
        self.rows += 1;
        if !holds(&self.params.conditions, &row.value) {
            return ControlFlow::Continue(());
        }
        self.kept += 1;
        if !self.params.max_items_by_label.is_empty()
            && let Some(label) = mapping.label(row)
        {
            let limit = self.params.max_items_by_label.get(label.as_ref()).copied().unwrap_or(u64::MAX);
            let count = self.by_label.entry(label.into_owned()).or_default();
            if *count == limit {
                return ControlFlow::Continue(());
            }
            *count += 1;
        }
        let Some(mut item) = mapping.item(row, problems) else { return ControlFlow::Continue(()) };
        if self.params.fields.group.is_none() {
            item.group = group.map(Cow::Owned);
        }
        self.item(item, row, problems)
    }

    fn item(&mut self, mut item: Item<'_>, row: &Row<'_>, problems: &mut Problems) -> ControlFlow<()> {
        if let Some(&first) = self.by_id.get(item.id.as_ref()) {
            if self.params.duplicate_ids == DuplicateIds::Error {
                let message = format!("the id `{}` stands already on line {}", item.id, self.entries[first].line);
                problems.row(
                    &row.origin,
                    row.at,
                    message,
                    "give each row an id of its own, or set `duplicate_ids: number`",
                );
                return ControlFlow::Continue(());
            }
            let count = self.repeats.entry(item.id.to_string()).or_insert(1);
            item.id = loop {
                *count += 1;
                let numbered = format!("{}-{count}", item.id);
                if !self.by_id.contains_key(&numbered) {
                    break Cow::Owned(numbered);
                }
            };
        }
        let (mut question, mut gold) = (0, 0);
        let stored = self.spool.append(|out| {
            let start = out.len();
            item.write_question(out);
            question = out.len() - start;
            item.write_gold(out);
            gold = out.len() - start - question;
        });
        match stored {
            Ok(place) => {
                write_text(&item.id, &mut self.order);
                self.order.push('\n');
                let id = item.id.into_owned();
                self.by_id.insert(id.clone(), self.entries.len());
                let hash = part_hash(&id);
                self.entries.push(Entry { id, hash, line: row.line, at: place, question, gold });
            }
            Err(error) => {
                self.failure = Some(error);
                return ControlFlow::Break(());
            }
        }
        if self.params.max_items.is_some_and(|limit| self.entries.len() as u64 >= limit) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn write(mut self, outputs: &mut dyn Outputs) -> Result<(), StepError> {
        let count = part_count(self.params.parts, self.entries.len() as u64);
        let mut entries = self.entries;
        entries.sort_unstable_by(|a, b| (a.hash % count, &a.id).cmp(&(b.hash % count, &b.id)));
        for part in entries.chunk_by(|a, b| a.hash % count == b.hash % count) {
            let name = part_name(part[0].hash % count);
            let mut items = Vec::with_capacity(part.iter().map(|entry| entry.question).sum());
            let mut gold = Vec::with_capacity(part.iter().map(|entry| entry.gold).sum());
            for entry in part {
                self.spool.read(entry.at, entry.question, &mut items).map_err(unstored)?;
                self.spool.read(entry.at + entry.question as u64, entry.gold, &mut gold).map_err(unstored)?;
            }
            outputs.put(&format!("items/{name}"), items)?;
            outputs.put(&format!("gold/{name}"), gold)?;
        }
        outputs.put("order", self.order.into_bytes())
    }
}
