//! How garbage goes: in short batches under the exclusive lock, so that nobody waits for long, and with no need of new space.

use std::io;

use super::folder::Folder;
use super::garbage::{Garbage, Watch};
use super::holds::{Gate, Hold};
use super::layout::{Layout, Tree, place};
use super::{Store, StoreError, catalogue, draw_log, grace, session};
use crate::digest::{ActionKey, BlobId, Digest};

type Result<T> = std::result::Result<T, StoreError>;

/// Is what a collection removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Collected {
    /// Blobs.
    pub blobs: u64,
    /// Records of actions.
    pub actions: u64,
    /// Files that dead processes had left.
    pub leftovers: u64,
    /// Segments of the draw log.
    pub segments: u64,
    /// Answers in them.
    pub draws: u64,
    /// Bytes of all of these.
    pub bytes: u64,
    /// Blobs and records that somebody has come to rely on since the plan was made: they stay.
    pub kept: u64,
    /// Set where segments stayed because a session was at work, which might have wanted their answers.
    pub segments_kept: bool,
}

/// Is how many files go while the lock is held: some tens of milliseconds' work.
const BATCH: usize = 1024;
/// Is the size from which a blob is moved away under the lock and removed after it: removing takes its time.
const LARGE: u64 = 1 << 20;

impl Store {
    /// Removes garbage: first what dead processes left, which makes room; then rows, records and blobs in this order; then,
    /// where the plan has any, segments of the draw log. What sessions have come to rely on since stays.
    ///
    /// Several collections at once, and one that is cut short anywhere, do no harm: whatever is left is garbage again.
    pub fn collect(&self, mut garbage: Garbage) -> Result<Collected> {
        let layout = &*self.opened()?.layout;
        layout.require_writable()?;
        let mut done = Collected::default();
        for leftover in &garbage.leftovers {
            let (folder, name) = match leftover.path.split_once('/') {
                Some((folder, name)) => (Some(layout.root().folder(folder)?), name),
                None => (None, leftover.path.as_str()),
            };
            folder.as_ref().unwrap_or(layout.root()).unlink(name)?;
            done.leftovers += 1;
            done.bytes += leftover.size;
        }
        let gate = Gate::open(layout)?;
        let mut collecting = Collecting { store: self, layout, gate: &gate, watch: &mut garbage.watch, done };
        for batch in garbage.actions.chunks(BATCH) {
            collecting.actions(batch)?;
        }
        for batch in garbage.blobs.chunks(BATCH) {
            collecting.blobs(batch)?;
        }
        let mut done = collecting.done;
        let names: Vec<(&str, u64)> =
            garbage.segments.iter().map(|unused| (unused.name.as_str(), unused.size)).collect();
        self.collect_segments(&names, &mut done)?;
        self.count_collection(&garbage.watch)?;
        Ok(done)
    }

    /// Counts the collection, and removes what sessions left that no later one will ask for.
    fn count_collection(&self, watch: &Watch) -> Result<()> {
        let layout = &*self.opened()?.layout;
        grace::advance(layout, watch.count)?;
        let Some(folder) = grace::folder(layout)? else { return Ok(()) };
        // What this one no longer honoured no later one does.
        for (name, _) in grace::files(&folder)?.into_iter().filter(|(_, count)| *count < watch.since.min(watch.count)) {
            folder.unlink(&name)?;
        }
        Ok(())
    }

    /// Removes segments with their rows, unless anybody is at work: what a build at work was promised it must get.
    fn collect_segments(&self, segments: &[(&str, u64)], done: &mut Collected) -> Result<()> {
        if segments.is_empty() {
            return Ok(());
        }
        let opened = self.opened()?;
        let layout = &*opened.layout;
        // No session begins as long as this is held.
        let _sweeping = layout.lock("sweep")?;
        for id in layout.sessions()?.names()? {
            if session::is_alive(layout, &id)? {
                done.segments_kept = true;
                return Ok(());
            }
        }
        opened.index.reconcile()?;
        let draws = layout.draws()?;
        for (name, size) in segments {
            if draw_log::session_of(name).is_none() {
                continue;
            }
            let removed =
                opened.index.write(|tx| catalogue::drop_segment(tx, name).map_err(opened.index.failed("write to")))?;
            draws.unlink(name)?;
            done.segments += 1;
            done.draws += removed;
            done.bytes += size;
        }
        draws.sync()
    }
}

struct Collecting<'a> {
    store: &'a Store,
    layout: &'a Layout,
    gate: &'a Gate,
    watch: &'a mut Watch,
    done: Collected,
}

impl Collecting<'_> {
    /// Removes a batch of records: their rows first, since no row may outlive its record.
    fn actions(&mut self, batch: &[(ActionKey, u64)]) -> Result<()> {
        let locked = self.gate.close()?;
        self.watch.look(self.layout)?;
        let gone: Vec<&(ActionKey, u64)> =
            batch.iter().filter(|(key, _)| !self.watch.holds.contains(&Hold::Action(*key))).collect();
        self.done.kept += (batch.len() - gone.len()) as u64;
        let keys: Vec<ActionKey> = gone.iter().map(|(key, _)| *key).collect();
        self.drop_rows(&keys)?;
        let mut shards = Shards { layout: self.layout, tree: Tree::Actions, open: None };
        for (key, size) in gone {
            if let Some(name) = shards.at(key.digest())? {
                shards.folder()?.unlink(&name)?;
                self.done.actions += 1;
                self.done.bytes += size;
            }
        }
        shards.end()?;
        drop(locked);
        Ok(())
    }

    /// Removes rows of actions; where the disk has no room for that, the whole index, which is derived.
    fn drop_rows(&self, keys: &[ActionKey]) -> Result<()> {
        let index = &self.store.opened()?.index;
        if !index.exists()? {
            return Ok(());
        }
        match super::commit::drop_rows_of(index, keys) {
            Err(error) if is_full(&error) => index.discard(),
            other => other,
        }
    }

    /// Removes a batch of blobs.
    fn blobs(&mut self, batch: &[(BlobId, u64)]) -> Result<()> {
        let locked = self.gate.close()?;
        self.watch.look(self.layout)?;
        let mut trashed = Vec::new();
        let mut shards = Shards { layout: self.layout, tree: Tree::Blobs, open: None };
        for (id, size) in batch {
            if self.watch.holds.contains(&Hold::Blob(*id)) {
                self.done.kept += 1;
                continue;
            }
            let Some(name) = shards.at(id.digest())? else { continue };
            let moved = if *size >= LARGE { move_away(self.layout, shards.folder()?, &name, id) } else { None };
            match moved {
                Some(name) => trashed.push(name),
                None => shards.folder()?.unlink(&name)?,
            }
            self.done.blobs += 1;
            self.done.bytes += size;
        }
        drop(locked);
        for name in trashed {
            self.layout.root().folder("trash")?.unlink(&name)?;
        }
        Ok(())
    }
}

/// Moves a blob to `trash/`; where that fails, as on a disk without room for a name, it is removed at once instead.
fn move_away(layout: &Layout, from: &Folder, name: &str, id: &BlobId) -> Option<String> {
    let trash = layout.root().folder("trash").ok()?;
    let to = id.digest().to_hex();
    from.rename(name, &trash, &to).is_ok().then_some(to)
}

/// Goes through the directories of a tree, each opened once as long as the hashes come in order.
struct Shards<'a> {
    layout: &'a Layout,
    tree: Tree,
    open: Option<(u8, Folder)>,
}

impl Shards<'_> {
    /// Opens the directory of a hash; returns the file's name there, `None` where the directory is gone.
    fn at(&mut self, digest: &Digest) -> Result<Option<String>> {
        let (byte, name) = place(digest);
        if self.open.as_ref().is_none_or(|(open, _)| *open != byte) {
            self.end()?;
            match self.layout.shard(self.tree, byte) {
                Ok(folder) => self.open = Some((byte, folder)),
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(name))
    }

    fn folder(&self) -> Result<&Folder> {
        let closed = || StoreError::Unfit { why: "a directory is not open".into() };
        self.open.as_ref().map(|(_, folder)| folder).ok_or_else(closed)
    }

    /// Leaves a directory. Records are gone for good before their blobs go.
    fn end(&mut self) -> Result<()> {
        match self.open.take() {
            Some((_, folder)) if self.tree == Tree::Actions => folder.sync(),
            _ => Ok(()),
        }
    }
}

/// Tells whether an error is that there is no room.
fn is_full(error: &StoreError) -> bool {
    use rusqlite::ErrorCode;
    match error {
        StoreError::Io { source, .. } => {
            matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        }
        StoreError::Index { source, .. } => {
            // Its shared memory grows too, and says so by another code; and by a third where what stands beside it cannot be made.
            let code = source.sqlite_error_code();
            matches!(code, Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen))
        }
        _ => false,
    }
}
