use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use rusqlite::params;

use super::folder::Folder;
use super::holds::Hold;
use super::index::Index;
use super::layout::{Tree, place};
use super::staged::Temp;
use super::{ActionRecord, ActionRow, Session, StagedBlob, StoreError};
use crate::digest::{ActionKey, BlobId, Digest};

type Result<T> = std::result::Result<T, StoreError>;

/// Is one result to publish: blobs, and the record that names them.
#[derive(Debug, Default)]
pub struct Commit {
    /// The record; absent for blobs that no action made (a config, an input).
    pub record: Option<ActionRecord>,
    /// The blobs. Outputs that the record names and that are not here must be in the store.
    pub blobs: Vec<StagedBlob>,
}

/// Is how many threads wait for the disk at once.
const THREADS: usize = 8;

/// Is a file on its way to its name, or one that has it and only needs to be made durable.
enum Piece {
    New(Temp),
    There,
}

/// Publishes a group. The order is the promise: all bytes durable → all blobs named, durably → all records named, durably
/// → one transaction of rows. A failure at any point publishes no record after it.
pub(super) fn run(session: &Session, commits: Vec<Commit>) -> Result<()> {
    let mut blobs: HashMap<BlobId, (u64, bool, Piece)> = HashMap::new();
    let mut records = Vec::new();
    for commit in commits {
        for staged in commit.blobs {
            add_blob(session, &mut blobs, staged);
        }
        records.extend(commit.record);
    }
    let outputs = records.iter().flat_map(|record| &record.outputs).map(|output| Hold::Blob(output.blob));
    let keys = records.iter().map(|record| Hold::Action(record.key));
    session.hold(blobs.keys().copied().map(Hold::Blob).chain(outputs).chain(keys))?;
    for record in &records {
        require_outputs(session, &mut blobs, record)?;
    }
    let mut record_files = BTreeMap::new();
    for record in &records {
        let mut temp = session.temp()?;
        temp.write(&record.to_bytes()?)?;
        temp.seal()?;
        record_files.insert(*record.key.digest(), Piece::New(temp));
    }
    let ids: Vec<BlobId> = blobs.keys().copied().collect();
    let mut blob_files = BTreeMap::new();
    let mut unsynced = Vec::new();
    for (id, (size, read_back, piece)) in blobs {
        unsynced.push((*id.digest(), size, read_back, piece, Tree::Blobs));
    }
    for (key, piece) in std::mem::take(&mut record_files) {
        unsynced.push((key, 0, false, piece, Tree::Actions));
    }
    let bytes = unsynced.iter().map(|(_, size, ..)| size).sum();
    let at_once = session.layout.whole_sync().is_better(unsynced.len(), bytes);
    let synced = Mutex::new(Vec::with_capacity(unsynced.len()));
    in_parallel(unsynced, |(digest, size, read_back, mut piece, tree)| {
        match &mut piece {
            Piece::New(temp) => {
                if tree == Tree::Blobs {
                    check(temp, &BlobId::new(digest), size, read_back)?;
                }
                if !at_once {
                    temp.sync()?;
                }
            }
            Piece::There if at_once => {}
            Piece::There => sync_existing(session, &digest)?,
        }
        synced.lock().unwrap_or_else(PoisonError::into_inner).push((digest, piece, tree));
        Ok(())
    })?;
    for (digest, piece, tree) in synced.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match tree {
            Tree::Blobs => blob_files.insert(digest, piece),
            Tree::Actions => record_files.insert(digest, piece),
        };
    }
    if at_once {
        session.layout.whole_sync().sync(session.layout.root())?;
    }
    publish(session, Tree::Blobs, blob_files, at_once)?;
    session.known().extend(ids);
    forget_replaced(session, &records)?;
    publish(session, Tree::Actions, record_files, at_once)?;
    if records.is_empty() {
        return Ok(());
    }
    let index = &session.store.opened()?.index;
    index.write(|tx| {
        let insert = || {
            let mut insert = tx.prepare_cached("INSERT OR REPLACE INTO actions (key, body) VALUES (?1, ?2)")?;
            for record in &records {
                insert.execute(params![record.key.digest().as_bytes(), ActionRow::from(record).to_bytes()])?;
            }
            Ok(())
        };
        insert().map_err(index.failed("write to"))
    })
}

/// Removes the rows of records that are about to be replaced: a row must never outlive its record, and an action without
/// a row is looked up in its record.
fn forget_replaced(session: &Session, records: &[ActionRecord]) -> Result<()> {
    let mut replaced = Vec::new();
    for record in records {
        let (byte, name) = place(record.key.digest());
        if session.layout.shard_to_fill(Tree::Actions, byte)?.stat(&name)?.is_some() {
            replaced.push(record.key);
        }
    }
    drop_rows(session, &replaced)
}

fn drop_rows(session: &Session, keys: &[ActionKey]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    drop_rows_of(&session.store.opened()?.index, keys)
}

/// Removes rows of actions, in one transaction.
pub(super) fn drop_rows_of(index: &Index, keys: &[ActionKey]) -> Result<()> {
    index.write(|tx| {
        let remove = || {
            let mut remove = tx.prepare_cached("DELETE FROM actions WHERE key = ?1")?;
            keys.iter().try_for_each(|key| remove.execute([key.digest().as_bytes()]).map(|_| ()))
        };
        remove().map_err(index.failed("write to"))
    })
}

fn add_blob(session: &Session, blobs: &mut HashMap<BlobId, (u64, bool, Piece)>, staged: StagedBlob) {
    let blob = staged.blob();
    match staged.temp {
        Some(temp) => {
            blobs.insert(blob.id, (blob.size, staged.read_back, Piece::New(temp)));
        }
        None if session.known().contains(&blob.id) => {}
        None => {
            blobs.entry(blob.id).or_insert((blob.size, false, Piece::There));
        }
    }
}

/// Sees to it that every output a record names is in this group or in the store.
fn require_outputs(
    session: &Session,
    blobs: &mut HashMap<BlobId, (u64, bool, Piece)>,
    record: &ActionRecord,
) -> Result<()> {
    for output in &record.outputs {
        if let Some((size, ..)) = blobs.get(&output.blob) {
            if *size != output.size {
                return Err(StoreError::Unfit {
                    why: format!("output `{}` is {size} bytes, not {}", output.name, output.size),
                });
            }
            continue;
        }
        let (byte, name) = place(output.blob.digest());
        let there = session.layout.shard_to_fill(Tree::Blobs, byte)?.stat(&name)?;
        if there.is_none_or(|stat| stat.st_size as u64 != output.size) {
            return Err(StoreError::Missing { what: "blob", id: output.blob.to_string() });
        }
        if !session.known().contains(&output.blob) {
            blobs.insert(output.blob, (output.size, false, Piece::There));
        }
    }
    Ok(())
}

/// Compares what was written with what was meant: its size always, its bytes where they were paid for.
fn check(temp: &mut Temp, id: &BlobId, size: u64, read_back: bool) -> Result<()> {
    let good = if read_back { temp.hash()? == (*id, size) } else { temp.size()? == size };
    if good { Ok(()) } else { Err(StoreError::Corrupt { what: "the temporary file of blob", id: id.to_string() }) }
}

/// Makes a blob durable that another session may have published a moment ago.
fn sync_existing(session: &Session, digest: &Digest) -> Result<()> {
    let (byte, name) = place(digest);
    let shard = session.layout.shard(Tree::Blobs, byte)?;
    let (file, _) = shard.open(&name)?;
    file.sync_all().map_err(StoreError::io("sync", shard.path().join(&name)))
}

/// Gives files their names, and makes the names durable: each directory once, or all at once.
fn publish(session: &Session, tree: Tree, files: BTreeMap<Digest, Piece>, at_once: bool) -> Result<()> {
    let mut shards: Vec<(u8, Vec<(String, Piece)>)> = Vec::new();
    for (digest, piece) in files {
        let (byte, name) = place(&digest);
        match shards.last_mut() {
            Some((last, names)) if *last == byte => names.push((name, piece)),
            _ => shards.push((byte, vec![(name, piece)])),
        }
    }
    let Some(&(last, _)) = shards.last() else { return Ok(()) };
    in_parallel(shards, |(byte, files)| {
        let folder: Folder = session.layout.shard_to_fill(tree, byte)?;
        for (name, piece) in files {
            if let Piece::New(mut temp) = piece {
                temp.publish(&folder, &name)?;
            }
        }
        if at_once { Ok(()) } else { folder.sync() }
    })?;
    if at_once {
        session.layout.whole_sync().sync(session.layout.root())?;
        // Names are in the journal alone, and one that has broken off is told of here if not before.
        session.layout.shard_to_fill(tree, last)?.sync()?;
    }
    Ok(())
}

/// Does something to each of the items, on several threads when there are several; returns the first failure and leaves
/// off then.
fn in_parallel<T: Send>(items: Vec<T>, each: impl Fn(T) -> Result<()> + Sync) -> Result<()> {
    let threads = items.len().min(THREADS);
    if threads <= 1 {
        return items.into_iter().try_for_each(each);
    }
    let items = Mutex::new(items.into_iter());
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let failure = Mutex::new(None);
    let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = next() {
                    if let Err(error) = each(item) {
                        failed().get_or_insert(error);
                    }
                    if failed().is_some() {
                        break;
                    }
                }
            });
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Forgets actions: their rows first, then their records. Blobs stay; what is forgotten is made again when it is needed.
pub(super) fn forget(session: &Session, keys: &[ActionKey]) -> Result<()> {
    drop_rows(session, keys)?;
    for key in keys {
        let (byte, name) = place(key.digest());
        let shard = session.layout.shard_to_fill(Tree::Actions, byte)?;
        if shard.stat(&name)?.is_some() {
            shard.unlink(&name)?;
            shard.sync()?;
        }
    }
    Ok(())
}
