use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::rc::Rc;

use camino::Utf8Path;

use super::RunError;
use super::on_disk::failed;
use crate::digest::{ActionKey, BlobId};

/// Is the largest number of entries of an archive.
const MAX_ENTRIES: usize = 1_000_000;
/// Is the largest sum of their lengths: 64 GiB.
const MAX_BYTES: u64 = 64 << 30;
/// Is how many times longer than the file its content may be, once that is more than [`RATIO_FROM`].
const MAX_RATIO: u64 = 1000;
/// Is the length up to which the ratio does not matter: 256 MiB.
const RATIO_FROM: u64 = 256 << 20;
/// Is the largest length of an entry that is not a blob and not the draws: 1 GiB.
const MAX_TEXT: u64 = 1 << 30;
/// Is the largest length of the zeros at the end: one record of tar's.
const MAX_PADDING: u64 = 10240;

/// Is an entry by its name; no other names are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum EntryName {
    Readme,
    Manifest,
    Run,
    Sums,
    Withheld,
    Action(ActionKey),
    Blob(BlobId),
    Draws,
}

impl EntryName {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let name = str::from_utf8(bytes).ok()?;
        let hex = |rest: &str| (rest.len() == 64).then(|| crate::digest::Digest::parse(rest).ok()).flatten();
        match name {
            "README.txt" => Some(Self::Readme),
            "manifest.json" => Some(Self::Manifest),
            "run.json" => Some(Self::Run),
            "B3SUMS" => Some(Self::Sums),
            "WITHHELD" => Some(Self::Withheld),
            "draws.jsonl" => Some(Self::Draws),
            _ => match name.split_once('/')? {
                ("actions", rest) => hex(rest).map(|digest| Self::Action(ActionKey::new(digest))),
                ("blobs", rest) => hex(rest).map(|digest| Self::Blob(BlobId::new(digest))),
                _ => None,
            },
        }
    }

    /// Returns the name in the archive.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Readme => "README.txt".to_owned(),
            Self::Manifest => "manifest.json".to_owned(),
            Self::Run => "run.json".to_owned(),
            Self::Sums => "B3SUMS".to_owned(),
            Self::Withheld => "WITHHELD".to_owned(),
            Self::Draws => "draws.jsonl".to_owned(),
            Self::Action(key) => format!("actions/{}", key.digest().to_hex()),
            Self::Blob(blob) => format!("blobs/{}", blob.digest().to_hex()),
        }
    }
}

/// Is what is done with an entry: it may read the bytes, and may end the walk.
pub(super) type Visit<'a> = dyn FnMut(EntryName, u64, &mut dyn Read) -> Result<ControlFlow<()>, RunError> + 'a;

/// Visits the entries of an archive in their order.
///
/// Only regular files with names of ours are accepted, each once; links, devices, sparse files and long-name records are
/// refused, as are more entries, more bytes or a higher compression than any archive of ours has, and bytes after the end.
pub(super) fn walk_archive(path: &Utf8Path, visit: &mut Visit<'_>) -> Result<(), RunError> {
    let bad = |why: String| RunError::BadArchive { path: path.to_owned(), why };
    let file = File::open(path).map_err(failed("open", path))?;
    if !file.metadata().map_err(failed("look at", path))?.is_file() {
        return Err(bad("it is not a regular file".to_owned()));
    }
    let packed = Rc::new(Cell::new(0));
    let decoder = zstd::Decoder::with_buffer(BufReader::new(Counted { inner: file, read: Rc::clone(&packed) }))
        .map_err(|error| bad(format!("it cannot be unpacked: {error}")))?;
    walk_tar(path, decoder, &packed, visit)
}

/// Visits the entries of a tar file as [`walk_archive`] does; `packed` is how many bytes it was unpacked from so far.
pub(super) fn walk_tar(
    path: &Utf8Path,
    reader: impl Read,
    packed: &Cell<u64>,
    visit: &mut Visit<'_>,
) -> Result<(), RunError> {
    let bad = |why: String| RunError::BadArchive { path: path.to_owned(), why };
    let damaged = |error: &io::Error| bad(format!("it cannot be unpacked: {error}"));
    let mut tar = tar::Archive::new(reader);
    let mut seen = HashSet::new();
    let mut total = 0u64;
    for entry in tar.entries().map_err(|error| damaged(&error))?.raw(true) {
        let mut entry = entry.map_err(|error| damaged(&error))?;
        let shown = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let size = entry.size();
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(bad(format!("`{shown}` is not a regular file")));
        }
        let name = EntryName::parse(&entry.path_bytes()).ok_or_else(|| bad(format!("`{shown}` has no place in it")))?;
        if !seen.insert(name) {
            return Err(bad(format!("`{shown}` is in it twice")));
        }
        total = total.saturating_add(size);
        let is_text = !matches!(name, EntryName::Blob(_) | EntryName::Draws);
        if seen.len() > MAX_ENTRIES || total > MAX_BYTES || (is_text && size > MAX_TEXT) {
            return Err(bad("it holds more than an archive may".to_owned()));
        }
        let mut reader = Guarded { inner: &mut entry, packed, before: total - size, read: 0 };
        let ended = visit(name, size, &mut reader)?.is_break();
        if ended {
            return Ok(());
        }
        // What was not read is read now, so that it too is guarded and short files are found.
        io::copy(&mut reader, &mut io::sink()).map_err(|error| damaged(&error))?;
        if reader.read != size {
            return Err(bad(format!("`{shown}` is cut off")));
        }
    }
    // A tar file ends in blocks of zeros, of which the reader takes the first.
    let mut rest = Vec::new();
    tar.into_inner().take(MAX_PADDING + 1).read_to_end(&mut rest).map_err(|error| damaged(&error))?;
    let is_padding = rest.len() as u64 <= MAX_PADDING && rest.iter().all(|byte| *byte == 0);
    if is_padding { Ok(()) } else { Err(bad("something follows its end".to_owned())) }
}

struct Counted<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.read.set(self.read.get() + n as u64);
        Ok(n)
    }
}

/// Reads an entry, and ends with an error where the content grows out of all proportion to the file.
struct Guarded<'a, R> {
    inner: R,
    packed: &'a Cell<u64>,
    before: u64,
    read: u64,
}

impl<R: Read> Read for Guarded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.read += n as u64;
        let unpacked = self.before + self.read;
        if unpacked > RATIO_FROM && unpacked / self.packed.get().max(1) > MAX_RATIO {
            return Err(io::Error::other("its content is out of proportion to its length"));
        }
        Ok(n)
    }
}
