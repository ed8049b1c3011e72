use std::collections::HashMap;

use super::{ArchiveFile, RunError, RunRecord};
use crate::digest::{ActionKey, BlobId};
use crate::store::{ActionRecord, Commit, Session, Store};

/// Keeps the records of an archive's actions in one blob, a line each: a run is shown by them, and no build looks there.
pub(super) fn keep_records(session: &Session, archive: &ArchiveFile) -> Result<BlobId, RunError> {
    let mut lines = Vec::new();
    for record in archive.actions() {
        lines.extend(record.to_bytes()?);
    }
    let staged = session.stage(&lines)?;
    let id = staged.blob().id;
    session.commit(vec![Commit { record: None, blobs: vec![staged] }])?;
    Ok(id)
}

/// Reads the records that came with a run which is not trusted; none for every other run.
///
/// Errors: a blob that is gone or damaged, or holds something else than records.
pub fn imported_records(store: &Store, run_id: &str) -> Result<HashMap<ActionKey, ActionRecord>, RunError> {
    #[derive(serde::Deserialize)]
    struct Keyed {
        key: ActionKey,
    }
    let run = store.run(run_id)?.map(|run| RunRecord::parse(&run.id, &run.text)).transpose()?;
    let Some(blob) = run.and_then(|run| run.records) else { return Ok(HashMap::new()) };
    let unreadable = || RunError::Unreadable {
        what: format!("the records of run `{run_id}`"),
        why: "a line is no record".to_owned(),
    };
    let bytes = store.read(&blob)?;
    let record = |line: &[u8]| {
        let Keyed { key } = serde_json::from_slice(line).map_err(|_| unreadable())?;
        Ok((key, ActionRecord::from_bytes(line, &key).ok_or_else(unreadable)?))
    };
    bytes.split_inclusive(|byte| *byte == b'\n').map(record).collect()
}
