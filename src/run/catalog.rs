use super::{Manifest, RunError, RunRecord, RunState};
use crate::store::Store;

/// Is one run that the store knows.
#[derive(Clone, Debug)]
pub struct CatalogEntry {
    /// The record.
    pub record: RunRecord,
    /// Whether its session lives: a run that is `running` without one was interrupted.
    pub alive: bool,
}

impl CatalogEntry {
    /// Returns the state in words: `interrupted` where the record says running and nobody is at work.
    pub fn state_words(&self) -> &'static str {
        if self.record.state == RunState::Running && !self.alive { "interrupted" } else { self.record.state.as_str() }
    }
}

/// Lists the runs of a store, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    entries: Vec<CatalogEntry>,
}

impl Catalog {
    /// Reads every run's record.
    pub fn read(store: &Store) -> Result<Self, RunError> {
        let mut entries = Vec::new();
        for stored in store.runs()? {
            let record = RunRecord::parse(&stored.id, &stored.text)?;
            let alive = record.state == RunState::Running && store.session_alive(&record.session);
            entries.push(CatalogEntry { record, alive });
        }
        entries.sort_by(|a, b| (&a.record.created_at, &a.record.run_id).cmp(&(&b.record.created_at, &b.record.run_id)));
        Ok(Self { entries })
    }

    /// Lists the entries, oldest first.
    pub fn entries(&self) -> &[CatalogEntry] {
        &self.entries
    }

    /// Returns the newest complete run that was made here.
    pub fn latest(&self) -> Option<&CatalogEntry> {
        self.made_here().rev().find(|entry| entry.record.state == RunState::Complete)
    }

    /// Lists the runs that were made here, oldest first: an imported run is nothing that a build may go on with or name.
    pub fn made_here(&self) -> impl DoubleEndedIterator<Item = &CatalogEntry> {
        self.entries.iter().filter(|entry| entry.record.imported.is_none())
    }

    /// Finds a run by id, by a unique beginning of it, by its directory (`run_<id>` or a path to it), or as `latest`.
    pub fn find(&self, name: &str) -> Result<&CatalogEntry, RunError> {
        if name == "latest" {
            return self
                .latest()
                .ok_or_else(|| RunError::Unknown { name: name.to_owned(), known: "no complete run yet".to_owned() });
        }
        let last = name.trim_end_matches('/').rsplit('/').next().unwrap_or(name);
        for id in [name, last, last.strip_prefix("run_").unwrap_or(last)] {
            if let Some(entry) = self.entries.iter().find(|entry| entry.record.run_id == id) {
                return Ok(entry);
            }
        }
        let start = last.strip_prefix("run_").unwrap_or(last);
        let found: Vec<&CatalogEntry> =
            self.entries.iter().filter(|entry| !start.is_empty() && entry.record.run_id.starts_with(start)).collect();
        let names = |entries: &[&CatalogEntry]| {
            entries.iter().map(|entry| entry.record.run_id.as_str()).collect::<Vec<_>>().join(", ")
        };
        match found.as_slice() {
            [one] => Ok(one),
            [] => {
                let all: Vec<&CatalogEntry> = self.entries.iter().collect();
                let known = if all.is_empty() { "none yet".to_owned() } else { names(&all) };
                Err(RunError::Unknown { name: name.to_owned(), known })
            }
            several => Err(RunError::Ambiguous { name: name.to_owned(), found: names(several) }),
        }
    }

    /// Reads the manifest of a run as it was last written, from the store.
    pub fn manifest(store: &Store, record: &RunRecord) -> Result<Manifest, RunError> {
        let what = format!("the manifest of run `{}`", record.run_id);
        let blob = record
            .manifest
            .ok_or_else(|| RunError::Unreadable { what: what.clone(), why: "none was written yet".into() })?;
        let text = String::from_utf8(store.read(&blob)?)
            .map_err(|_| RunError::Unreadable { what: what.clone(), why: "it is not UTF-8".into() })?;
        Ok(Manifest::parse(&what, &text)?.0)
    }
}
