use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camino::Utf8Path;

use super::batches::KnownBatches;
use super::draw_log::DrawLog;
use super::folder::read_whole;
use super::holds::{Hold, Holds};
use super::layout::{Layout, Tree, is_name, place};
use super::staged::Temp;
use super::{
    ActionRow, BlobRef, Commit, Presence, StagedBlob, StagingWriter, Store, StoreError, commit, grace, inputs, runs,
    sweep,
};
use crate::digest::{ActionKey, BlobId, DrawId, StreamHasher};

type Result<T> = std::result::Result<T, StoreError>;

/// Is the right to write to a store: a file under `sessions/`, held locked for as long as the session lives.
///
/// Whether a session lives is asked of the lock alone, never of a clock or a process number. What a dead one leaves (files
/// in `tmp/`, the torn end of its draw log, claims) is cleaned up by the next session that opens.
#[derive(Debug)]
pub struct Session {
    pub(super) store: Store,
    pub(super) layout: Arc<Layout>,
    pub(super) id: String,
    lock: Option<File>,
    holds: Holds,
    temps: AtomicU64,
    open_temps: Arc<AtomicUsize>,
    /// Are blobs that this session has seen whole and made durable.
    pub(super) known: Mutex<HashSet<BlobId>>,
    pub(super) log: DrawLog,
    pub(super) claims: Mutex<Claims>,
    pub(super) batches: Mutex<KnownBatches>,
    /// Is the number of the next intent.
    pub(super) intents: AtomicU32,
}

/// Is what a session has claimed and not yet logged or released.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) next: u32,
    pub(super) number_of: HashMap<DrawId, u32>,
    pub(super) left: HashMap<u32, usize>,
}

impl Claims {
    /// Counts, by the number of the claim, those of the draws that are claimed.
    pub(super) fn numbers(&self, ids: &[DrawId]) -> HashMap<u32, usize> {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for number in ids.iter().filter_map(|id| self.number_of.get(id)) {
            *counts.entry(*number).or_default() += 1;
        }
        counts
    }

    /// Takes draws out that are answered, counted as [`Claims::numbers`] did.
    pub(super) fn settle(&mut self, ids: &[DrawId], counts: HashMap<u32, usize>) {
        for id in ids {
            self.number_of.remove(id);
        }
        for (number, count) in counts {
            if let Some(left) = self.left.get_mut(&number) {
                *left = left.saturating_sub(count);
            }
        }
    }
}

/// Is the size below which a blob that is there already is read again before it is relied on: 1 MiB.
const SMALL: u64 = 1 << 20;
impl Session {
    /// Starts a session: first cleans up after dead ones.
    pub(super) fn start(store: &Store, layout: &Arc<Layout>) -> Result<Self> {
        layout.require_writable()?;
        let sweeping = sweep::run(store, layout)?;
        let (id, lock) = register(layout)?;
        drop(sweeping);
        let holds = lock.try_clone().map_err(StoreError::io("open", layout.sessions()?.path().join(&id)))?;
        Ok(Self {
            holds: Holds::new(Arc::clone(layout), holds),
            store: store.clone(),
            layout: Arc::clone(layout),
            log: DrawLog::new(Arc::clone(layout), &id),
            id,
            lock: Some(lock),
            temps: AtomicU64::new(0),
            open_temps: Arc::default(),
            known: Mutex::default(),
            claims: Mutex::default(),
            batches: Mutex::default(),
            intents: AtomicU32::new(0),
        })
    }

    /// Returns the session's id: unique for ever, usable as a file name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the store the session writes to.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Writes bytes to a temporary file in the store, read-only and not yet durable; bytes that the store has already
    /// (seen whole by this session, or small enough to be read again now) need none.
    pub fn stage(&self, bytes: &[u8]) -> Result<StagedBlob> {
        let blob = BlobRef::of(bytes);
        self.holds.add([Hold::Blob(blob.id)])?;
        if self.holds(&blob, Some(bytes))? {
            return Ok(StagedBlob::settled(blob));
        }
        let mut writer = self.stage_writer()?;
        std::io::Write::write_all(&mut writer, bytes)
            .map_err(StoreError::io("write in", self.layout.dir().join("tmp")))?;
        writer.finish()
    }

    /// Starts a blob whose bytes come bit by bit.
    pub fn stage_writer(&self) -> Result<StagingWriter> {
        Ok(StagingWriter::new(self.temp()?))
    }

    /// Copies an input file, hashing on the way; it is an error if its content is no longer `expect`.
    ///
    /// A blob that the store holds is read and checked there instead; the file is not looked at.
    pub fn stage_file(&self, path: &Utf8Path, expect: &BlobId) -> Result<StagedBlob> {
        self.holds.add([Hold::Blob(*expect)])?;
        let (byte, name) = place(expect.digest());
        if let Some(stat) = self.layout.shard_to_fill(Tree::Blobs, byte)?.stat(&name)? {
            let blob = BlobRef { id: *expect, size: stat.st_size as u64 };
            if self.known().contains(expect) || self.store.verifies(&blob) {
                return Ok(StagedBlob::settled(blob));
            }
        }
        let (file, stat) = inputs::open(path)?;
        let staged = self.stage_writer()?.copy(&file, stat.st_size as u64, path)?;
        if staged.blob().id == *expect {
            Ok(staged)
        } else {
            Err(StoreError::ChangedWhileRead { path: path.to_owned() })
        }
    }

    /// Looks at blobs that are going to be relied on, each with the size it should have: those that are there stay there as
    /// long as the session lives, whatever garbage is collected meanwhile.
    pub fn hold_blobs(&self, blobs: &[(BlobId, u64)]) -> Result<Vec<Presence>> {
        self.holds.add(blobs.iter().map(|(id, _)| Hold::Blob(*id)))?;
        Ok(self.store.present(blobs))
    }

    /// Does the same for finished actions, their records and all their outputs: says of each whether it is there.
    pub fn hold_actions(&self, rows: &[&ActionRow]) -> Result<Vec<bool>> {
        let outputs: Vec<(BlobId, u64)> =
            rows.iter().flat_map(|row| &row.outputs).map(|output| (output.blob, output.size)).collect();
        self.holds.add(rows.iter().map(|row| Hold::Action(row.key)))?;
        let mut there = self.hold_blobs(&outputs)?.into_iter();
        let mut held = Vec::with_capacity(rows.len());
        for row in rows {
            let outputs = there.by_ref().take(row.outputs.len()).filter(|there| *there == Presence::Present).count();
            let (byte, name) = place(row.key.digest());
            let has_record = self.layout.shard_to_fill(Tree::Actions, byte)?.stat(&name)?.is_some();
            held.push(has_record && outputs == row.outputs.len());
        }
        Ok(held)
    }

    /// Holds what is about to be published or named by a record.
    pub(super) fn hold(&self, holds: impl IntoIterator<Item = Hold>) -> Result<()> {
        self.holds.add(holds)
    }

    /// Publishes a group of results, all or nothing for each: every byte is durable before a record names it, every record
    /// before a row of the index shows it. When this returns, all of it survives a power cut.
    pub fn commit(&self, commits: Vec<Commit>) -> Result<()> {
        commit::run(self, commits)
    }

    /// Forgets that actions were done; their outputs stay, and they are done again when they are needed.
    pub fn forget_actions(&self, keys: &[ActionKey]) -> Result<()> {
        commit::forget(self, keys)
    }

    /// Writes the stat cache's new entries, in one transaction; writes nothing when there are none.
    pub fn flush_stat_cache(&self) -> Result<()> {
        self.store.opened()?.inputs.flush(&self.store.opened()?.index)
    }

    /// Writes a run's record in place of what it was, whole and durable. The text may be anything.
    pub fn write_run(&self, id: &str, text: &str) -> Result<()> {
        runs::write(&self.layout, id, text, &self.temp_name())
    }

    /// Removes a run's record; one that is gone already is no error.
    pub fn remove_run(&self, id: &str) -> Result<()> {
        self.store.remove_run(id)
    }

    pub(super) fn temp_name(&self) -> String {
        format!("{}-{}", self.id, self.temps.fetch_add(1, Ordering::Relaxed))
    }

    /// Creates a temporary file of this session's.
    pub(super) fn temp(&self) -> Result<Temp> {
        Temp::create(&self.layout, self.temp_name(), &self.open_temps)
    }

    pub(super) fn known(&self) -> MutexGuard<'_, HashSet<BlobId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether the store holds these very bytes already.
    fn holds(&self, blob: &BlobRef, bytes: Option<&[u8]>) -> Result<bool> {
        let (byte, name) = place(blob.id.digest());
        let shard = self.layout.shard_to_fill(Tree::Blobs, byte)?;
        let Some(stat) = shard.stat(&name)? else { return Ok(false) };
        if stat.st_size as u64 != blob.size {
            return Ok(false);
        }
        if self.known().contains(&blob.id) {
            return Ok(true);
        }
        let Some(bytes) = bytes.filter(|_| blob.size < SMALL) else { return Ok(false) };
        // Anything but the same bytes in a regular file is replaced.
        let Ok((file, stat)) = shard.open(&name) else { return Ok(false) };
        Ok(read_whole(&file, stat.st_size as u64, shard.path()).is_ok_and(|there| there == bytes))
    }
}

impl Drop for Session {
    /// Seals the draw log and gives up the session's file; what fails here the next session puts right.
    fn drop(&mut self) {
        if self.log.close().is_ok() {
            let _ = if self.holds.is_empty() {
                self.layout.sessions().and_then(|sessions| sessions.unlink(&self.id))
            } else {
                grace::retire(&self.layout, &self.id)
            };
        }
        self.lock = None;
    }
}

/// Returns a name that no other process will come upon.
///
/// It names files and sessions only: nothing that is hashed, decided or reported depends on it.
pub(super) fn nonce() -> String {
    let bits = |()| RandomState::new().build_hasher().finish().to_le_bytes();
    let mut hasher = StreamHasher::new();
    [(); 2].map(bits).iter().for_each(|bytes| hasher.update(bytes));
    hasher.update(&std::process::id().to_le_bytes());
    format!("s{}", hasher.finish().0.short(16))
}

/// Creates a session's file and locks it; the caller holds the lock that keeps sweeps away.
fn register(layout: &Layout) -> Result<(String, File)> {
    let sessions = layout.sessions()?;
    loop {
        let id = nonce();
        let file = match sessions.create_new(&id) {
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::AlreadyExists => continue,
            other => other?,
        };
        file.lock().map_err(StoreError::io("lock", sessions.path().join(&id)))?;
        return Ok((id, file));
    }
}

/// Waits for the lock under which sessions begin, and holds it as long as the file that is returned; it is an error if any
/// session is at work.
pub(super) fn alone(layout: &Layout) -> Result<File> {
    let sweeping = layout.lock("sweep")?;
    for id in layout.sessions()?.names()? {
        if is_alive(layout, &id)? {
            let why =
                "somebody is at work in it, and may rely on what is to be changed; do it again when that has ended";
            return Err(StoreError::Unfit { why: why.into() });
        }
    }
    Ok(sweeping)
}

/// Tells whether a session lives: whether its file is there and locked.
pub(super) fn is_alive(layout: &Layout, id: &str) -> Result<bool> {
    if !is_name(id) {
        return Ok(false);
    }
    let opened = layout.sessions().and_then(|sessions| Ok((sessions, sessions.open(id)?.0)));
    let (sessions, file) = match opened {
        Ok(opened) => opened,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(StoreError::NotRegular { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    // Shared: two who ask at once do not take each other for the session.
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(std::fs::TryLockError::WouldBlock) => Ok(true),
        Err(std::fs::TryLockError::Error(error)) => Err(StoreError::io("lock", sessions.path().join(id))(error)),
    }
}
