use std::collections::HashMap;

use super::failure::{Exit, Failure};
use crate::digest::{ActionKey, BlobId};
use crate::plan::{ActionSpec, ParamsDoc};
use crate::run::{ActionEntry, ArchiveFile, Manifest, imported_records};
use crate::store::{ActionRecord, Store};

/// Is a step of a run as it was recorded: its parameters, its inputs, and what it made.
pub struct Recorded {
    /// The parameters.
    pub params: ParamsDoc,
    /// The specification.
    pub spec: ActionSpec,
    /// The outputs, by name.
    pub outputs: HashMap<String, BlobId>,
}

/// Reads what the actions of a run did, for people to look at: the store's records, and those that came with an archive, or with a
/// run which was imported and is not trusted.
pub struct Records<'s> {
    store: &'s Store,
    imported: HashMap<ActionKey, ActionRecord>,
}

impl<'s> Records<'s> {
    /// Opens the records of a run.
    pub fn open(store: &'s Store, manifest: &Manifest) -> Result<Self, Failure> {
        Ok(Self { store, imported: imported_records(store, &manifest.run_id)? })
    }

    /// Opens the records that an archive holds.
    pub fn of_archive(store: &'s Store, archive: &ArchiveFile) -> Self {
        Self { store, imported: archive.actions().map(|record| (record.key, record.clone())).collect() }
    }

    /// Reads the record of an action; `None` where it was not done.
    pub fn of(&self, action: &ActionEntry) -> Result<Option<Recorded>, Failure> {
        let Some(key) = action.key.filter(|_| !action.outputs.is_empty()) else { return Ok(None) };
        let record = match self.imported.get(&key) {
            Some(record) => record.clone(),
            None => self.store.record(&key)?.ok_or_else(|| damaged(action, "its record is gone"))?,
        };
        let spec: ActionSpec =
            serde_json::from_str(record.spec.get()).map_err(|error| damaged(action, &error.to_string()))?;
        let params = ParamsDoc::new(&spec.params)?;
        let outputs = action.outputs.iter().map(|output| (output.name.clone(), output.blob)).collect();
        Ok(Some(Recorded { params, spec, outputs }))
    }
}

/// Says that what a run names cannot be read.
pub fn damaged(action: &ActionEntry, why: &str) -> Failure {
    Failure::new(Exit::Damage, format!("action `{}`: {why}", action.label)).hint("`exp audit` says what is damaged")
}
