use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StoreError;
use super::folder::Folder;
use super::layout::Layout;
use crate::digest::{ActionKey, BlobId, Digest};

type Result<T> = std::result::Result<T, StoreError>;

/// Is what a session relies on, in its own file under `sessions/` for every garbage collection to see: entries of 33 bytes,
/// one that names the kind and the 32 of the hash.
///
/// The rule is *hold before you look*: an entry is written under the shared lock of `locks/gc`, and what is there after that
/// stays as long as the session's file does, since a collection deletes only under the exclusive lock, and reads all
/// entries first. So a thing that is about to be made is held before it is looked for.
#[derive(Debug)]
pub(super) struct Holds {
    layout: Arc<Layout>,
    file: File,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: HashSet<Hold>,
    /// Is the length of the entries that were written whole.
    end: u64,
    gate: Option<Gate>,
}

/// Is one thing that is relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Hold {
    /// A blob.
    Blob(BlobId),
    /// An action's record.
    Action(ActionKey),
}

/// Is the length of an entry.
pub(super) const ENTRY: usize = 33;
/// Is the lock that collections hold exclusively while they delete.
pub(super) const GC: &str = "gc";
/// Is the lock that a collection holds while it waits for the other: nobody passes it by.
pub(super) const GC_TURN: &str = "gc-turn";

impl Hold {
    fn put(self, out: &mut Vec<u8>) {
        let (kind, digest) = match self {
            Self::Blob(id) => (b'b', *id.digest()),
            Self::Action(key) => (b'a', *key.digest()),
        };
        out.push(kind);
        out.extend_from_slice(digest.as_bytes());
    }

    fn read(entry: &[u8; ENTRY]) -> Option<Self> {
        let (kind, digest) = entry.split_first()?;
        let digest = Digest::from_bytes(digest.try_into().ok()?);
        match kind {
            b'b' => Some(Self::Blob(BlobId::new(digest))),
            b'a' => Some(Self::Action(ActionKey::new(digest))),
            _ => None,
        }
    }
}

impl Holds {
    /// Keeps entries in a session's file, which is empty.
    pub(super) fn new(layout: Arc<Layout>, file: File) -> Self {
        Self { layout, file, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds what is not held yet. When this returns, what is there stays there.
    pub(super) fn add(&self, holds: impl IntoIterator<Item = Hold>) -> Result<()> {
        let mut state = self.state();
        let mut fresh: Vec<Hold> = holds.into_iter().filter(|hold| !state.held.contains(hold)).collect();
        fresh.sort_unstable();
        fresh.dedup();
        if fresh.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(fresh.len() * ENTRY);
        for hold in &fresh {
            hold.put(&mut bytes);
        }
        if state.gate.is_none() {
            state.gate = Some(Gate::open(&self.layout)?);
        }
        let end = state.end;
        let Some(gate) = &state.gate else { return Ok(()) };
        let passed = gate.pass()?;
        // In place of what a failed write may have left half.
        let path = self.layout.sessions()?.path();
        self.file.write_all_at(&bytes, end).map_err(StoreError::io("write in", path))?;
        drop(passed);
        state.end += bytes.len() as u64;
        state.held.extend(fresh);
        Ok(())
    }

    /// Tells whether nothing was ever held.
    pub(super) fn is_empty(&self) -> bool {
        self.state().end == 0
    }
}

/// Reads the entries of a file from an offset on, a multiple of [`ENTRY`]; returns where to go on the next time.
pub(super) fn read_holds(folder: &Folder, name: &str, from: u64, found: &mut HashSet<Hold>) -> Result<u64> {
    let (file, stat) = match folder.open(name) {
        Err(error) if error.is_not_found() => return Ok(from),
        other => other?,
    };
    let mut bytes = vec![0; (stat.st_size as u64).saturating_sub(from) as usize];
    let n = super::folder::read_at(&file, &mut bytes, from, &folder.path().join(name))?;
    let (entries, _) = bytes[..n].as_chunks::<ENTRY>();
    found.extend(entries.iter().filter_map(Hold::read));
    Ok(from + (entries.len() * ENTRY) as u64)
}

/// Is a pair of lock files: one for the right to delete, one for the turn.
///
/// The system hands out shared locks for ever while somebody waits for an exclusive one. So whoever deletes takes the turn
/// first, and whoever holds passes through the turn: then nobody waits for long.
#[derive(Debug)]
pub(super) struct Gate {
    lock: File,
    turn: File,
    path: camino::Utf8PathBuf,
}

impl Gate {
    /// Opens both lock files.
    pub(super) fn open(layout: &Layout) -> Result<Self> {
        let locks = layout.root().folder("locks")?;
        let (lock, _) = locks.open_or_create(GC)?;
        let (turn, _) = locks.open_or_create(GC_TURN)?;
        Ok(Self { lock, turn, path: locks.path().join(GC) })
    }

    /// Waits until nobody deletes; nobody does as long as what is returned lives.
    fn pass(&self) -> Result<Locked<'_>> {
        let failed = |error| StoreError::io("lock", &self.path)(error);
        self.turn.lock_shared().map_err(failed)?;
        self.turn.unlock().map_err(failed)?;
        self.lock.lock_shared().map_err(failed)?;
        Ok(Locked(&self.lock))
    }

    /// Waits until nobody holds and nobody else deletes.
    pub(super) fn close(&self) -> Result<Locked<'_>> {
        let failed = |error| StoreError::io("lock", &self.path)(error);
        self.turn.lock().map_err(failed)?;
        let turn = Locked(&self.turn);
        self.lock.lock().map_err(failed)?;
        drop(turn);
        Ok(Locked(&self.lock))
    }
}

/// Is a lock that is held; dropped, it is released.
pub(super) struct Locked<'a>(&'a File);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Closing the file releases it as well.
        let _ = self.0.unlock();
    }
}
