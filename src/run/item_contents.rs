use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use super::item_table::ItemTable;
use super::{Manifest, RunBlobs, RunSide};
use crate::digest::{BlobId, Digest};

/// Says what is known of what an item is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemContent {
    /// It was not read: the part that it stands in is the very same on both sides.
    Shared,
    /// It cannot be read.
    Unknown,
    /// The beginnings of the hashes of what it is made of.
    Known(ContentHashes),
}

/// Is what tells one content from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ContentHashes {
    label: u128,
    question: u128,
    context: u128,
    fields: u128,
    gold: u128,
}

impl ContentHashes {
    /// Names what differs, in the words of a prepared item.
    pub(super) fn differing(&self, other: &Self) -> Vec<&'static str> {
        let parts = [
            ("question", self.question == other.question),
            ("context", self.context == other.context),
            ("fields", self.fields == other.fields),
            ("gold", self.gold == other.gold),
        ];
        parts.into_iter().filter(|(_, is_same)| !is_same).map(|(name, _)| name).collect()
    }

    #[cfg(test)]
    pub(super) fn of_test(question: u128, gold: u128) -> Self {
        Self { question, gold, ..Self::default() }
    }

    /// Takes the same item of another dataset of the same label in, in whatever order.
    fn add(&mut self, other: &Self) {
        for (one, other) in [
            (&mut self.label, other.label),
            (&mut self.question, other.question),
            (&mut self.context, other.context),
            (&mut self.fields, other.fields),
            (&mut self.gold, other.gold),
        ] {
            *one = one.wrapping_add(other);
        }
    }
}

/// Holds what the items of a table are made of, in its order.
#[derive(Debug)]
pub(super) struct ItemContents {
    pub(super) of_item: Vec<ItemContent>,
    /// Why some could not be read.
    pub(super) note: Option<String>,
}

/// Is a part of a dataset as it was prepared.
type Part = (String, BlobId, BlobId);

/// Reads what the items of two sides are made of, a line at a time; parts that both have are not read.
pub(super) fn item_contents(sides: [(&RunSide<'_>, &ItemTable); 2]) -> [ItemContents; 2] {
    let parts = sides.map(|(side, _)| parts(side.manifest));
    let shared: BTreeSet<Part> = parts[0].intersection(&parts[1]).cloned().collect();
    let of_side = |at: usize| {
        let (side, table) = sides[at];
        if parts[at].is_empty() {
            let note = Some("it does not hold what the items are made of".to_owned());
            return ItemContents { of_item: vec![ItemContent::Unknown; table.items().len()], note };
        }
        let mut of_item = vec![ItemContent::Shared; table.items().len()];
        let mut note = None;
        for part in parts[at].difference(&shared) {
            if let Err(why) = read_part(side.blobs, part, table, &mut of_item) {
                note = Some(why);
            }
        }
        if note.is_some() {
            for item in of_item.iter_mut().filter(|item| **item == ItemContent::Shared) {
                *item = ItemContent::Unknown;
            }
        }
        ItemContents { of_item, note }
    };
    [of_side(0), of_side(1)]
}

fn parts(manifest: &Manifest) -> BTreeSet<Part> {
    let mut all = BTreeSet::new();
    for action in &manifest.actions {
        let Some(dataset) = action.label.strip_prefix("prepare/") else { continue };
        let blobs: BTreeMap<&str, BlobId> =
            action.outputs.iter().map(|output| (output.name.as_str(), output.blob)).collect();
        for (name, items) in &blobs {
            let gold = name.strip_prefix("items/").and_then(|part| blobs.get(format!("gold/{part}").as_str()));
            all.extend(gold.map(|gold| (dataset.to_owned(), *items, *gold)));
        }
    }
    all
}

/// Is a line of `items`.
#[derive(serde::Deserialize)]
struct QuestionLine {
    id: String,
    question: String,
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    fields: Value,
}

/// Is a line of `gold`. What only groups items is no part of what an item is.
#[derive(serde::Deserialize)]
struct GoldLine {
    id: String,
    answers: Vec<String>,
    #[serde(default)]
    unanswerable: bool,
    #[serde(default)]
    dataset: Option<String>,
}

/// Reads both halves of a part side by side: they hold the same items in the same order.
fn read_part(
    blobs: RunBlobs<'_>,
    (dataset, items, gold): &Part,
    table: &ItemTable,
    of_item: &mut [ItemContent],
) -> Result<(), String> {
    let lines = |blob| -> Result<_, String> {
        let reader = blobs.open(blob).map_err(|error| error.to_string())?;
        Ok(BufReader::with_capacity(1 << 16, reader).lines())
    };
    let (mut questions, mut golds) = (lines(items)?, lines(gold)?);
    let broken = |why: &dyn std::fmt::Display| format!("what `{dataset}` was prepared to does not read: {why}");
    loop {
        let (question, gold) = match (questions.next(), golds.next()) {
            (None, None) => return Ok(()),
            (Some(question), Some(gold)) => {
                (question.map_err(|error| broken(&error))?, gold.map_err(|error| broken(&error))?)
            }
            _ => return Err(broken(&"`items` and `gold` are not of the same items")),
        };
        let question: QuestionLine = serde_json::from_str(&question).map_err(|error| broken(&error))?;
        let gold: GoldLine = serde_json::from_str(&gold).map_err(|error| broken(&error))?;
        if question.id != gold.id {
            return Err(broken(&"`items` and `gold` are not of the same items"));
        }
        let label = gold.dataset.as_deref().unwrap_or(dataset);
        let key = format!("{label}|{}", gold.id);
        let Ok(at) = table.items().binary_search(&key) else { continue };
        let json = |value: serde_json::Result<Vec<u8>>| value.map_or(0, |bytes| hash(&bytes));
        let hashes = ContentHashes {
            label: hash(label.as_bytes()),
            question: hash(question.question.as_bytes()),
            context: question.context.as_ref().map_or(0, |context| hash(context.as_bytes())),
            // The members of an object stand sorted.
            fields: json(serde_json::to_vec(&question.fields)),
            gold: json(serde_json::to_vec(&(&gold.answers, gold.unanswerable))),
        };
        match &mut of_item[at] {
            ItemContent::Known(known) => known.add(&hashes),
            other => *other = ItemContent::Known(hashes),
        }
    }
}

fn hash(bytes: &[u8]) -> u128 {
    let digest = *Digest::of(bytes).as_bytes();
    digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}
