use super::{ArchiveFile, RunError};
use crate::digest::BlobId;
use crate::store::Store;

/// Is where the blobs of a run are read from.
#[derive(Clone, Copy, Debug)]
pub enum RunBlobs<'a> {
    /// A store.
    Store(&'a Store),
    /// An archive.
    Archive(&'a ArchiveFile),
}

impl RunBlobs<'_> {
    /// Reads a whole blob; its hash holds.
    pub fn read(&self, blob: &BlobId) -> Result<Vec<u8>, RunError> {
        match self {
            Self::Store(store) => Ok(store.read(blob)?),
            Self::Archive(archive) => archive.read_blob(blob),
        }
    }
}
