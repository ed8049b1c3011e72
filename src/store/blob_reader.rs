use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use super::folder::{Folder, read_whole};
use super::layout::{Layout, Tree, place, shown_path};
use super::{Notices, StoreError};
use crate::digest::{BlobId, StreamHasher};

/// Is a blob being read: hashes as it goes, and the last read fails if the bytes were not the blob's.
///
/// What was read before that error must be thrown away.
pub struct BlobReader {
    file: File,
    inode: u64,
    hasher: StreamHasher,
    id: BlobId,
    layout: Arc<Layout>,
    notices: Arc<Notices>,
    done: bool,
}

impl BlobReader {
    pub(super) fn open(layout: &Arc<Layout>, notices: &Arc<Notices>, id: &BlobId) -> Result<Self, StoreError> {
        let (_, _, file, stat) = open(layout, id)?;
        let (layout, notices) = (Arc::clone(layout), Arc::clone(notices));
        Ok(Self { file, inode: stat.st_ino, hasher: StreamHasher::new(), id: *id, layout, notices, done: false })
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        if n == 0 && !buffer.is_empty() && !self.done {
            self.done = true;
            if self.hasher.finish().0 != *self.id.digest() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    set_aside(&self.layout, &self.notices, &self.id, self.inode),
                ));
            }
        }
        Ok(n)
    }
}

/// Reads a whole blob; a mismatch is read once more, since memory and cables fail too, before it counts as damage.
pub(super) fn read(layout: &Arc<Layout>, notices: &Notices, id: &BlobId) -> Result<Vec<u8>, StoreError> {
    for last_try in [false, true] {
        let (shard, name, file, stat) = open(layout, id)?;
        let bytes = read_whole(&file, stat.st_size as u64, &shard.path().join(&name))?;
        if BlobId::of(&bytes) == *id {
            return Ok(bytes);
        }
        if last_try {
            return Err(set_aside(layout, notices, id, stat.st_ino));
        }
    }
    Err(missing(id))
}

fn open(layout: &Layout, id: &BlobId) -> Result<(Folder, String, File, rustix::fs::Stat), StoreError> {
    let (byte, name) = place(id.digest());
    let opened = layout.shard(Tree::Blobs, byte).and_then(|shard| {
        let (file, stat) = shard.open(&name)?;
        Ok((shard, file, stat))
    });
    match opened {
        Ok((shard, file, stat)) => Ok((shard, name, file, stat)),
        Err(error) if error.is_not_found() => Err(missing(id)),
        Err(error) => Err(error),
    }
}

/// Moves a damaged blob out of the way where that is allowed, reports it, and returns the error to give.
fn set_aside(layout: &Layout, notices: &Notices, id: &BlobId, inode: u64) -> StoreError {
    let (byte, name) = place(id.digest());
    if layout.writable() {
        let moved = layout
            .shard(Tree::Blobs, byte)
            .and_then(|shard| layout.quarantine(&shard, &name, &format!("blob-{}", id.digest().to_hex()), inode));
        if let Err(error) = moved {
            notices.add(format!("a damaged blob could not be moved to quarantine: {error}"));
        }
    }
    notices.add(format!("blob {} is damaged: {}", id, shown_path(layout.dir(), Tree::Blobs, id.digest())));
    StoreError::Corrupt { what: "blob", id: id.to_string() }
}

fn missing(id: &BlobId) -> StoreError {
    StoreError::Missing { what: "blob", id: id.to_string() }
}
