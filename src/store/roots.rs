use std::collections::HashSet;

use super::StoreError;
use super::folder::read_whole;
use super::layout::Layout;
use crate::digest::{ActionKey, BlobId, Digest};
use crate::request::DrawAddress;

/// Is what a garbage collection must leave: what runs, archives and batches are made of. What sessions rely on, the store
/// knows by itself.
#[derive(Debug, Default)]
pub struct Roots {
    /// Blobs.
    pub blobs: HashSet<BlobId>,
    /// Records of actions; their outputs are named by themselves.
    pub actions: HashSet<ActionKey>,
    /// Draws, where paid answers may go.
    pub draws: HashSet<DrawAddress>,
    /// Sessions whose part of the draw log says what a run cost.
    pub sessions: HashSet<String>,
    /// Blobs that runs named which are let go: these have no grace.
    pub released_blobs: HashSet<BlobId>,
    /// Records of such runs.
    pub released_actions: HashSet<ActionKey>,
}

/// Finds every hash in the logs of batches, finished or not: 64 hexadecimal digits, whatever they are of. What is no blob
/// does no harm among the roots.
pub(super) fn named_by_batches(layout: &Layout) -> Result<Vec<Digest>, StoreError> {
    let folder = match layout.root().folder("batches") {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for name in folder.names()? {
        let (file, stat) = match folder.open(&name) {
            Err(error) if error.is_not_found() => continue,
            other => other?,
        };
        let bytes = read_whole(&file, stat.st_size as u64, &folder.path().join(&name))?;
        let digits = bytes.split(|byte| !byte.is_ascii_hexdigit()).filter(|word| word.len() == 64);
        found.extend(digits.filter_map(|word| str::from_utf8(word).ok().and_then(|text| Digest::parse(text).ok())));
    }
    Ok(found)
}
