//! Looking at files without following links and without changing anything.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::RunError;
use crate::digest::{BlobId, StreamHasher};

/// Is what a path stands for, links not followed.
pub(super) enum OnDisk {
    /// There is nothing.
    Absent,
    /// A symbolic link, and where it points.
    Link(Utf8PathBuf),
    /// A directory.
    Dir,
    /// A regular file.
    File(Metadata),
    /// A pipe, a device, a socket.
    Other,
}

impl OnDisk {
    /// Looks at a path.
    pub(super) fn at(path: &Utf8Path) -> Result<Self, RunError> {
        let meta = match fs::symlink_metadata(path) {
            Ok(meta) => meta,
            Err(error) if is_absence(&error) => return Ok(Self::Absent),
            Err(source) => return Err(RunError::Io { verb: "look at", path: path.to_owned(), source }),
        };
        let kind = meta.file_type();
        Ok(if kind.is_symlink() {
            let target = fs::read_link(path).map_err(failed("read the link", path))?;
            Self::Link(Utf8PathBuf::from(target.to_string_lossy().into_owned()))
        } else if kind.is_dir() {
            Self::Dir
        } else if kind.is_file() {
            Self::File(meta)
        } else {
            Self::Other
        })
    }

    /// Says what it is, in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Absent => "missing".to_owned(),
            Self::Link(target) => format!("a link to `{target}`"),
            Self::Dir => "a directory".to_owned(),
            Self::File(meta) => format!("a file of {} bytes", meta.len()),
            Self::Other => "not a regular file".to_owned(),
        }
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Makes an error of the file system's; shaped for `map_err`.
pub(super) fn failed<'p>(verb: &'static str, path: &'p Utf8Path) -> impl FnOnce(io::Error) -> RunError + 'p {
    move |source| RunError::Io { verb, path: path.to_owned(), source }
}

/// Opens a regular file; a link under that name is an error, and a pipe does not block.
pub(super) fn open(path: &Utf8Path) -> Result<File, RunError> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed("open", path))?;
    if file.metadata().map_err(failed("look at", path))?.is_file() {
        Ok(file)
    } else {
        Err(RunError::NotOurs { path: path.to_owned(), what: "not a regular file" })
    }
}

/// Reads a whole regular file.
pub(super) fn read(path: &Utf8Path) -> Result<Vec<u8>, RunError> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(failed("read", path))?;
    Ok(bytes)
}

/// Hashes a whole regular file in bounded memory.
pub(super) fn hash(path: &Utf8Path) -> Result<BlobId, RunError> {
    let (digest, _) = StreamHasher::read_file(&open(path)?).map_err(failed("read", path))?;
    Ok(BlobId::new(digest))
}

/// Names a path by the real directory it is in, so that two ways to one place are equal even where nothing is there.
pub(super) fn place_of(path: &Utf8Path) -> Utf8PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            let parent = if parent.as_str().is_empty() { Utf8Path::new(".") } else { parent };
            parent.canonicalize_utf8().unwrap_or_else(|_| parent.to_owned()).join(name)
        }
        _ => path.to_owned(),
    }
}
