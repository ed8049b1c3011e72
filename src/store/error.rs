use std::io;

use camino::{Utf8Path, Utf8PathBuf};

/// Says why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A call on the file system failed: a full disk, a missing permission, a failing device.
    #[error("cannot {op} `{path}`")]
    Io {
        /// What was tried, as a verb: "open", "rename", …
        op: &'static str,
        /// The path it was tried on.
        path: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The derived index could not be read or written, and a rebuild did not help: locked for too long, or a full disk.
    #[error("cannot {op} the store's index `{path}`")]
    Index {
        /// What was tried, as a verb.
        op: &'static str,
        /// The index file.
        path: Utf8PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The store was made by a newer `exp`.
    #[error(
        "`{path}` has a newer format: to {purpose} it, an exp that knows store format {needs} is needed; this one knows {known}"
    )]
    Newer {
        /// The store.
        path: Utf8PathBuf,
        /// "read" or "write".
        purpose: &'static str,
        /// The format that is needed.
        needs: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// Stored bytes are not what they were: the hash differs.
    #[error("{what} {id} is damaged: its bytes no longer match its hash")]
    Corrupt {
        /// Which kind of thing: "blob", "action record", "run record", …
        what: &'static str,
        /// Which one.
        id: String,
    },
    /// Something that was asked for is not in the store.
    #[error("{what} {id} is not in the store")]
    Missing {
        /// Which kind of thing.
        what: &'static str,
        /// Which one.
        id: String,
    },
    /// A path names a directory, a pipe, a device or a link where a regular file is needed.
    #[error("`{path}` is not a regular file")]
    NotRegular {
        /// The path.
        path: Utf8PathBuf,
    },
    /// An input file was written to while it was read, or is no longer what it was when the plan was made.
    #[error("`{path}` changed while it was read")]
    ChangedWhileRead {
        /// The path.
        path: Utf8PathBuf,
    },
    /// A name cannot be a file name in the store.
    #[error(
        "`{name}` cannot name a {what} in the store: use letters, digits, `.`, `_` and `-`, at most 120, a letter or digit first"
    )]
    BadName {
        /// What it should have named.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The place or the build is not fit to hold a store.
    #[error("the store cannot be used: {why}")]
    Unfit {
        /// Why, in words.
        why: String,
    },
}

impl StoreError {
    /// Makes an [`StoreError::Io`]; shaped for `map_err`.
    pub(super) fn io(op: &'static str, path: impl AsRef<Utf8Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { op, path, source }
    }

    /// Tells whether the error is that one may not write in that place.
    pub fn is_forbidden(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        use rusqlite::ErrorCode;
        match self {
            Self::Io { source, .. } => matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem),
            Self::Index { source, .. } => {
                let code = source.sqlite_error_code();
                matches!(code, Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly))
            }
            _ => false,
        }
    }

    /// Tells whether the error is that a file or directory does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
