use std::io::{Cursor, Read};

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

impl<'a> RunBlobs<'a> {
    /// Opens a blob; what a damaged one held is an error at its end.
    pub fn open(&self, blob: &BlobId) -> Result<Box<dyn Read + 'a>, RunError> {
        Ok(match self {
            Self::Store(store) => Box::new(store.open_blob(blob)?),
            Self::Archive(archive) => Box::new(Cursor::new(archive.read_blob(blob)?)),
        })
    }

    /// Reads a whole blob; its hash holds.
    pub fn read(&self, blob: &BlobId) -> Result<Vec<u8>, RunError> {
        match self {
            Self::Store(store) => Ok(store.read(blob)?),
            Self::Archive(archive) => archive.read_blob(blob),
        }
    }
}
