use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{ActionRow, Generation, Store};
use crate::digest::{ActionKey, Digest};

/// Answers what is known of many actions: the rows of the index in memory, in the order of their keys, when that is
/// cheaper than asking for each.
#[derive(Debug)]
pub struct ActionTable {
    store: Store,
    /// Is whether `entries` are all the rows there were.
    loaded: bool,
    /// Is what the index was when it was read; absent until then.
    generation: Option<Generation>,
    /// Is whether an answer was sought in a record, of which the index knows nothing.
    asked_records: AtomicBool,
    entries: Vec<Entry>,
    bodies: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: [u8; 32],
    start: usize,
    len: usize,
}

impl ActionTable {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            loaded: false,
            generation: None,
            asked_records: AtomicBool::new(false),
            entries: Vec::new(),
            bodies: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, key: [u8; 32], body: &[u8]) {
        self.entries.push(Entry { key, start: self.bodies.len(), len: body.len() });
        self.bodies.extend_from_slice(body);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn complete(&mut self) {
        self.loaded = true;
    }

    pub(super) fn clear(&mut self) {
        self.entries = Vec::new();
        self.bodies = Vec::new();
    }

    /// Notes what the index was before anything else was read of it.
    pub(super) fn set_generation(&mut self, generation: Option<Generation>) {
        self.generation = generation;
    }

    /// Returns the generation of the rows that gave every answer so far; `None` where a record was asked.
    pub fn basis(&self) -> Option<&Generation> {
        self.generation.as_ref().filter(|_| !self.asked_records.load(Ordering::Relaxed))
    }

    /// Returns what is known of an action.
    ///
    /// A row counts only if its checksum holds; where there is none that does, the record's file is asked. A record that is
    /// damaged, or a file that cannot be read, is reported as a notice and is a miss.
    pub fn get(&self, key: &ActionKey) -> Option<Arc<ActionRow>> {
        let body = if self.loaded {
            self.loaded_body(key.digest()).map(Cow::Borrowed)
        } else {
            self.store.indexed_row(key).map(Cow::Owned)
        };
        if let Some(body) = body {
            match ActionRow::from_bytes(key, &body) {
                Some(row) => return Some(Arc::new(row)),
                None => self.store.notice(format!("the index's row of action {key} is damaged")),
            }
        }
        self.asked_records.store(true, Ordering::Relaxed);
        match self.store.record(key) {
            Ok(record) => record.as_ref().map(|record| Arc::new(ActionRow::from(record))),
            Err(error) => {
                self.store.notice(format!("the record of action {key} cannot be read: {error}"));
                None
            }
        }
    }

    /// Finds a row among the entries, which are sorted by key. Keys are hashes, so a key's place can be told from its first
    /// bytes: a few steps from there instead of a search through all.
    fn loaded_body(&self, key: &Digest) -> Option<&[u8]> {
        let key = key.as_bytes();
        let head = u32::from_be_bytes([key[0], key[1], key[2], key[3]]);
        let guess = ((u64::from(head) * self.entries.len() as u64) >> 32) as usize;
        let (mut low, mut high) = (guess, guess);
        let mut step = 8;
        while low > 0 && self.entries[low - 1].key >= *key {
            low = low.saturating_sub(step);
            step *= 2;
        }
        step = 8;
        while high < self.entries.len() && self.entries[high].key <= *key {
            high = (high + step).min(self.entries.len());
            step *= 2;
        }
        let at = self.entries[low..high].binary_search_by(|entry| entry.key.cmp(key)).ok()?;
        let entry = self.entries[low + at];
        Some(&self.bodies[entry.start..entry.start + entry.len])
    }
}
