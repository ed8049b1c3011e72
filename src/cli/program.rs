use std::os::unix::fs::MetadataExt as _;

use camino::Utf8Path;

use crate::digest::{BlobId, Value};
use crate::store::Store;

/// Is the program that runs, so that two with different code are never taken for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// What the file system says of its file: device, inode, size, and the times of the last change of content and of
    /// metadata, seconds and nanoseconds.
    File([i64; 7]),
    /// Its bytes.
    Bytes(BlobId),
}

/// Leads to the running program's own file, even where another has taken its name since.
const RUNNING: &str = "/proc/self/exe";

impl Program {
    /// Looks at the running program; by its bytes where times are not to be believed. `None` where it cannot be told.
    pub fn running(store: &Store, believe_times: bool) -> Option<Self> {
        if !believe_times {
            return store.hash_file(Utf8Path::new(RUNNING), false).ok().map(|(blob, _)| Self::Bytes(blob));
        }
        let meta = std::fs::metadata(RUNNING).ok().filter(std::fs::Metadata::is_file)?;
        let (dev, ino, size) = (meta.dev() as i64, meta.ino() as i64, meta.size() as i64);
        let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
        Some(Self::File([dev, ino, size, times[0], times[1], times[2], times[3]]))
    }

    /// Says whether no other program can come to look like this one: a file that was written this very moment may be
    /// written once more within the same tick of the clock.
    pub fn is_certain(&self, store: &Store) -> bool {
        match self {
            Self::File(_) => store.is_settled(Utf8Path::new(RUNNING)).unwrap_or(false),
            Self::Bytes(_) => true,
        }
    }

    /// Returns it as part of a key.
    pub fn value(&self) -> Value {
        match self {
            Self::File(facts) => Value::List(facts.iter().map(|fact| Value::Int(*fact)).collect()),
            Self::Bytes(blob) => Value::Digest(*blob.digest()),
        }
    }
}
