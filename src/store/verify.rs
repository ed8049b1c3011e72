//! A look at every byte of a store: blobs and records here, the logs and the index beside.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rustix::fs::{FileType, Stat};

use super::flaw::MODE;
use super::folder::{SEALED, read_whole};
use super::forget::is_forgotten;
use super::layout::{Layout, Tree, digest_at, hex_byte};
use super::{ActionRecord, ActionRow, Flaw, FlawPart, Store, StoreError, Verified, verify_index, verify_logs};
use crate::digest::{ActionKey, BlobId, Digest, StreamHasher};

type Result<T> = std::result::Result<T, StoreError>;

/// Is how much of a blob is read at once: enough for all lanes of the hash, and little enough for the processor's cache.
const CHUNK: usize = 256 << 10;
const REMADE: &str = "`exp verify --repair` sets it aside and makes it again, where that is free";

impl Store {
    /// Reads every byte of the store and compares it with what it should be: blobs and records with their names and their
    /// own hashes, lines of logs with their checksums, rows of the index with records and log.
    ///
    /// Nothing is written or moved. Builds and collections may be at work meanwhile: what they remove or add is no flaw.
    pub fn verify(&self) -> Result<Verified> {
        let mut verified = Verified::default();
        let Ok(opened) = self.opened() else { return Ok(verified) };
        let layout = &*opened.layout;
        let blobs = check_blobs(layout, &mut verified)?;
        let records = check_records(layout, &blobs, &mut verified)?;
        let lines = verify_logs::check(layout, &mut verified)?;
        verify_index::check(layout, &opened.index, (&records, &lines), &mut verified)?;
        verified.flaws.sort_by(|a, b| a.subject.cmp(&b.subject));
        Ok(verified)
    }
}

/// Is what a directory of a tree holds: names that are hashes, and others.
type Listed = (Vec<(Digest, String, Stat)>, Vec<String>);

fn list(layout: &Layout, tree: Tree, byte: u8) -> Result<Listed> {
    let folder = match layout.shard(tree, byte) {
        Err(error) if error.is_not_found() => return Ok((Vec::new(), Vec::new())),
        other => other?,
    };
    let (mut named, mut strays) = (Vec::new(), Vec::new());
    for name in folder.names()? {
        match digest_at(byte, &name) {
            Some(digest) => named.extend(folder.stat(&name)?.map(|stat| (digest, name, stat))),
            None => strays.push(format!("{}/{}/{name}", tree.name(), hex_byte(byte))),
        }
    }
    Ok((named, strays))
}

fn list_tree(layout: &Layout, tree: Tree, verified: &mut Verified) -> Result<Vec<(Digest, String, Stat)>> {
    let shards: Result<Vec<Listed>> = (0..=255u8).into_par_iter().map(|byte| list(layout, tree, byte)).collect();
    let mut all = Vec::new();
    for (named, strays) in shards? {
        all.extend(named);
        verified.flaws.extend(strays.into_iter().map(stray));
    }
    Ok(all)
}

/// Says that a file is named as nothing that the store would make.
pub(super) fn stray(path: String) -> Flaw {
    Flaw::new(FlawPart::Stray, path, "nothing", "a file that is none of the store's", "move it elsewhere")
}

/// Hashes every blob; returns the sizes of those that are whole.
fn check_blobs(layout: &Layout, verified: &mut Verified) -> Result<HashMap<BlobId, u64>> {
    let all = list_tree(layout, Tree::Blobs, verified)?;
    let looked: Vec<LookedBlob> =
        all.into_par_iter().map(|(digest, name, stat)| look_at_blob(layout, digest, &name, &stat)).collect();
    let mut whole = HashMap::new();
    for (id, size, flaws) in looked {
        verified.blobs += 1;
        verified.bytes += size;
        if !flaws.iter().any(|flaw| !flaw.is_of_mode()) {
            whole.insert(id, size);
        }
        verified.flaws.extend(flaws);
    }
    Ok(whole)
}

/// Is what hashing one blob gave: its size, and what is wrong with it.
type LookedBlob = (BlobId, u64, Vec<Flaw>);

fn look_at_blob(layout: &Layout, digest: Digest, name: &str, stat: &Stat) -> LookedBlob {
    let id = BlobId::new(digest);
    let path = format!("blobs/{}/{name}", hex_byte(digest.as_bytes()[0]));
    let flaw =
        |expected: &str, actual: String, remedy: &str| Flaw::new(FlawPart::Blob(id), &path, expected, actual, remedy);
    let mut flaws = Vec::new();
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        flaws.push(flaw("a file with this hash", "not a regular file".to_owned(), REMADE));
        return (id, 0, flaws);
    }
    // A mismatch is read once more before it counts as damage: memory and cables fail too.
    let mut actual = None;
    for _ in 0..2 {
        let file = match layout.shard(Tree::Blobs, digest.as_bytes()[0]).and_then(|shard| shard.open(name)) {
            Ok((file, _)) => file,
            // Collected meanwhile.
            Err(error) if error.is_not_found() => return (id, 0, flaws),
            Err(error) => {
                flaws.push(flaw("a file that can be read", words(&error), "see to the disk and its permissions"));
                return (id, 0, flaws);
            }
        };
        match hash(file) {
            Ok((found, size)) if found == digest => {
                if stat.st_mode & 0o7777 != SEALED.bits() {
                    let mode = format!("mode {:04o}", stat.st_mode & 0o7777);
                    flaws.push(flaw(MODE, mode, &format!("chmod 0444 {}", layout.dir().join(&path))));
                }
                return (id, size, flaws);
            }
            Ok((found, size)) => actual = Some((size, format!("{size} bytes with the hash {found}"))),
            Err(error) => {
                flaws.push(flaw("a file that can be read", error.to_string(), "see to the disk"));
                return (id, 0, flaws);
            }
        }
    }
    let (size, actual) = actual.unwrap_or_default();
    flaws.push(flaw("bytes with this hash", actual, REMADE));
    (id, size, flaws)
}

fn hash(mut file: File) -> std::io::Result<(Digest, u64)> {
    thread_local! {
        static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; CHUNK]);
    }
    BUFFER.with_borrow_mut(|buffer| {
        let mut hasher = StreamHasher::new();
        loop {
            match file.read(buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(n) => hasher.update(&buffer[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    })
}

/// Checks every record, and that its outputs are there; returns what the index should say of each.
fn check_records(
    layout: &Layout,
    blobs: &HashMap<BlobId, u64>,
    verified: &mut Verified,
) -> Result<HashMap<ActionKey, ActionRow>> {
    let all = list_tree(layout, Tree::Actions, verified)?;
    let looked: Result<Vec<Option<LookedRecord>>> =
        all.into_par_iter().map(|(digest, name, stat)| look_at_record(layout, (digest, &name, &stat), blobs)).collect();
    let mut rows = HashMap::new();
    for (row, size, flaws) in looked?.into_iter().flatten() {
        verified.records += 1;
        verified.bytes += size;
        if !flaws.iter().any(|flaw| matches!(flaw.part, FlawPart::Record(_))) {
            rows.insert(row.key, row);
        }
        verified.flaws.extend(flaws);
    }
    Ok(rows)
}

/// Is what reading one record gave: what the index should say, its size, and what is wrong with it.
type LookedRecord = (ActionRow, u64, Vec<Flaw>);

fn look_at_record(
    layout: &Layout,
    (digest, name, stat): (Digest, &str, &Stat),
    blobs: &HashMap<BlobId, u64>,
) -> Result<Option<LookedRecord>> {
    let key = ActionKey::new(digest);
    let path = format!("actions/{}/{name}", hex_byte(digest.as_bytes()[0]));
    let flawed = |actual: String| {
        let remedy = "`exp verify --repair` sets it aside; `exp build` makes it again";
        Flaw::new(
            FlawPart::Record(key),
            &path,
            "a record whose hash holds, of the action it is named for",
            actual,
            remedy,
        )
    };
    let none = ActionRow { key, outputs: Vec::new(), state: super::ActionState::Complete, draws: 0, failures: 0 };
    let opened = layout.shard(Tree::Actions, digest.as_bytes()[0]).and_then(|shard| shard.open(name));
    let bytes = match opened.and_then(|(file, stat)| read_whole(&file, stat.st_size as u64, layout.dir())) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Ok(Some((none, 0, vec![flawed(words(&error))]))),
    };
    let size = bytes.len() as u64;
    let Some(record) = ActionRecord::from_bytes(&bytes, &key) else {
        return Ok(Some((none, size, vec![flawed(format!("{size} bytes whose hash does not hold"))])));
    };
    let mut flaws = Vec::new();
    if stat.st_mode & 0o7777 != SEALED.bits() {
        let (mode, remedy) =
            (format!("mode {:04o}", stat.st_mode & 0o7777), format!("chmod 0444 {}", layout.dir().join(&path)));
        flaws.push(Flaw::new(FlawPart::Stray, &path, MODE, mode, remedy));
    }
    for output in &record.outputs {
        let is_whole = blobs.get(&output.blob) == Some(&output.size);
        if is_whole || is_on_disk(layout, &output.blob)? || is_forgotten(layout, &output.blob)? {
            continue;
        }
        let subject = format!("{path}: output `{}`", output.name);
        let expected = format!("blob {} of {} bytes", output.blob, output.size);
        flaws.push(Flaw::new(FlawPart::MissingBlob(output.blob), subject, expected, "missing", REMADE));
    }
    Ok(Some((ActionRow::from(&record), size, flaws)))
}

/// Tells whether there is anything under a blob's name: what is damaged has a flaw of its own, what is new is not listed yet.
fn is_on_disk(layout: &Layout, id: &BlobId) -> Result<bool> {
    let (byte, name) = super::layout::place(id.digest());
    match layout.shard(Tree::Blobs, byte) {
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
        Ok(shard) => Ok(shard.stat(&name)?.is_some()),
    }
}

/// Writes an error with its cause.
pub(super) fn words(error: &StoreError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
