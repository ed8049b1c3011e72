use camino::Utf8Path;

use super::on_disk::{self, OnDisk};
use super::{Catalog, MANIFEST_NAME, Manifest, RunError, RunRecord, ViewDir};
use crate::digest::BlobId;
use crate::store::Store;

/// Reads the manifest that a run's record names, from the store or, where that has lost it, from the run's directory; `None`
/// where none was written yet.
pub(super) fn manifest_of(
    store: &Store,
    experiments: &Utf8Path,
    record: &RunRecord,
) -> Result<Option<Manifest>, RunError> {
    let Some(id) = record.manifest else { return Ok(None) };
    let stored = Catalog::manifest(store, record);
    let Err(error) = stored else { return stored.map(Some) };
    let path = ViewDir::new(experiments, &record.run_id).path().join(MANIFEST_NAME);
    let shown = match OnDisk::at(&path)? {
        OnDisk::File(_) => Some(on_disk::read(&path)?).filter(|bytes| BlobId::of(bytes) == id),
        _ => None,
    };
    let text = shown.and_then(|bytes| String::from_utf8(bytes).ok());
    match text.map(|text| Manifest::parse("the run's manifest", &text)) {
        Some(Ok((manifest, _))) => Ok(Some(manifest)),
        _ => Err(error),
    }
}
