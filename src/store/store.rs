use std::collections::HashSet;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};

use super::folder::Folder;
use super::index::Index;
use super::inputs::Inputs;
use super::layout::{Layout, Tree, digest_at, file_name, place, shown_path};
use super::notices::Notices;
use super::{
    Access, ActionRecord, ActionTable, BlobReader, BlobRef, Generation, LedgerLine, LoggedDraw, Opening, Presence,
    Session, StoreError, StoredBatch, StoredRun, batches, blob_reader, ledger, migrate, pinned, records, roots, runs,
    served, session,
};
use crate::digest::{ActionKey, BlobId, Digest, StreamHasher};
use crate::request::DrawAddress;

type Result<T> = std::result::Result<T, StoreError>;

/// Is a store on disk: blobs, action records, the draw log and the records of runs. Cheap to clone and to share.
///
/// Looking never writes. What writes is a [`Session`].
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: Utf8PathBuf,
    /// Is absent for a store that does not exist and may not be created: it is empty.
    opened: Option<Opened>,
}

/// Is what an existing store consists of.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) layout: Arc<Layout>,
    pub(super) notices: Arc<Notices>,
    pub(super) index: Index,
    pub(super) inputs: Inputs,
}

/// Is the oldest SQLite without the WAL-reset bug: 3.51.3.
const OLDEST_SQLITE: i32 = 3_051_003;
/// Says up to how many rows for each action asked about one pass over all of them is cheaper than looking each up.
const SCAN_FACTOR: usize = 12;
/// Is how many threads look at blobs.
const LOOKERS: usize = 2;

impl Store {
    /// Opens the store in a directory.
    ///
    /// With [`Access::ReadWrite`] the layout is made where it is absent. With [`Access::ReadOnly`] nothing is created or
    /// written, ever, and a store that does not exist is an empty one. A store of an older format is copied to this one before
    /// it may be written.
    pub fn open(dir: &Utf8Path, access: Access) -> Result<Self> {
        Self::open_as(dir, &Opening::of(access))
    }

    /// Opens the store in a directory; one that is made is for whom the opening says. A store that is there stays what it is:
    /// where it was made for its owner alone and the group is to use it, the error says how it is opened to them.
    pub fn open_as(dir: &Utf8Path, opening: &Opening<'_>) -> Result<Self> {
        let version = rusqlite::version_number();
        if version < OLDEST_SQLITE {
            let why = format!("SQLite {} is too old: 3.51.3 is needed", rusqlite::version());
            return Err(StoreError::Unfit { why });
        }
        let notices = Arc::new(Notices::default());
        if opening.access == Access::ReadWrite {
            migrate::if_older(dir)?.into_iter().for_each(|said| notices.add(said));
        }
        let opened = Layout::open(dir, opening)?.map(|layout| {
            let layout = Arc::new(layout);
            let index = Index::new(Arc::clone(&layout), Arc::clone(&notices));
            Opened { layout, notices, index, inputs: Inputs::default() }
        });
        Ok(Self(Arc::new(Inner { dir: dir.to_owned(), opened })))
    }

    /// Returns the store's directory.
    pub fn dir(&self) -> &Utf8Path {
        &self.0.dir
    }

    /// Tells whether there is a store at all.
    pub fn exists(&self) -> bool {
        self.0.opened.is_some()
    }

    /// Starts a session, which is the right to write.
    pub fn session(&self) -> Result<Session> {
        Session::start(self, &self.opened()?.layout)
    }

    /// Returns what was found damaged or was mended since the last call, in words.
    pub fn take_notices(&self) -> Vec<String> {
        self.0.opened.as_ref().map(|opened| opened.notices.take()).unwrap_or_default()
    }

    /// Lists every batch, oldest first.
    pub fn batches(&self) -> Result<Vec<StoredBatch>> {
        match &self.0.opened {
            Some(opened) => batches::all(&opened.layout, &opened.notices),
            None => Ok(Vec::new()),
        }
    }

    /// Lists the batches that are not over.
    pub fn open_batches(&self) -> Result<Vec<StoredBatch>> {
        self.0.opened.as_ref().map_or_else(|| Ok(Vec::new()), |opened| batches::open(&opened.layout))
    }

    /// Lists the draws of the batches that are not over: they are bought, or about to be, and not there yet. Batches that are
    /// named, by us or by the provider, are left out.
    pub fn draws_in_batches(&self, but_of: &[String]) -> Result<HashSet<DrawAddress>> {
        let is_named = |name: &str| but_of.iter().any(|other| other == name);
        let open = self.open_batches()?.into_iter();
        let rest = open.filter(|batch| !is_named(&batch.head.name) && !batch.remote().is_some_and(is_named));
        Ok(rest.flat_map(|batch| batch.draws).collect())
    }

    /// Reads one batch, whatever its state; `None` where there is none of that name.
    pub fn batch(&self, name: &str) -> Result<Option<StoredBatch>> {
        self.0.opened.as_ref().map_or(Ok(None), |opened| batches::one(&opened.layout, name))
    }

    /// Reads a whole blob, hashing it: bytes that are not the blob's are never returned. A damaged blob is moved to
    /// `quarantine/` where the store may be written.
    pub fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        match &self.0.opened {
            Some(opened) => blob_reader::read(&opened.layout, &opened.notices, id),
            None => Err(StoreError::Missing { what: "blob", id: id.to_string() }),
        }
    }

    /// Opens a blob for streaming; see [`BlobReader`] for what happens when it is damaged.
    pub fn open_blob(&self, id: &BlobId) -> Result<BlobReader> {
        match &self.0.opened {
            Some(opened) => BlobReader::open(&opened.layout, &opened.notices, id),
            None => Err(StoreError::Missing { what: "blob", id: id.to_string() }),
        }
    }

    /// Returns where a blob stands, for links to it.
    pub fn blob_path(&self, id: &BlobId) -> Utf8PathBuf {
        shown_path(&self.0.dir, Tree::Blobs, id.digest())
    }

    /// Looks at many blobs at once, each with the size it should have; in the order asked. A blob that cannot be looked at is missing.
    pub fn present(&self, blobs: &[(BlobId, u64)]) -> Vec<Presence> {
        let Some(opened) = &self.0.opened else { return vec![Presence::Missing; blobs.len()] };
        let mut order: Vec<u32> = (0..blobs.len() as u32).collect();
        // By directory, and equal blobs together: each is looked at once.
        order.sort_unstable_by_key(|i| head(&blobs[*i as usize].0));
        let mut found = vec![Presence::Missing; blobs.len()];
        let per_thread = order.len().div_ceil(LOOKERS).max(256);
        let parts: Vec<Vec<(u32, Presence)>> = std::thread::scope(|scope| {
            let mut parts = order.chunks(per_thread);
            let first = parts.next();
            let others: Vec<_> = parts.map(|part| scope.spawn(move || look(&opened.layout, blobs, part))).collect();
            let mut looked: Vec<_> = first.map(|part| look(&opened.layout, blobs, part)).into_iter().collect();
            looked.extend(others.into_iter().filter_map(|thread| thread.join().ok()));
            looked
        });
        for (i, presence) in parts.into_iter().flatten() {
            found[i as usize] = presence;
        }
        found
    }

    /// Prepares to ask about `expected` actions: reads all rows in one pass if that is cheaper.
    pub fn actions(&self, expected: usize) -> Result<ActionTable> {
        let mut table = ActionTable::new(self.clone());
        let Some(opened) = &self.0.opened else { return Ok(table) };
        let limit = expected.saturating_mul(SCAN_FACTOR);
        opened.index.read("read", |conn| {
            table.clear();
            // First: what is read after it may be newer, and is then known to be of another generation.
            table.set_generation(Generation::read(conn)?);
            let mut all = conn.prepare_cached("SELECT key, body FROM actions")?;
            let mut rows = all.query([])?;
            while let Some(row) = rows.next()? {
                // A key of another length is damage; the action's record answers for it.
                let Ok(key) = row.get_ref(0)?.as_blob()?.try_into() else { continue };
                if table.len() == limit {
                    table.clear();
                    return Ok(());
                }
                table.push(key, row.get_ref(1)?.as_blob()?);
            }
            table.complete();
            Ok(())
        })?;
        Ok(table)
    }

    pub(super) fn indexed_row(&self, key: &ActionKey) -> Option<Vec<u8>> {
        use rusqlite::OptionalExtension as _;
        let opened = self.0.opened.as_ref()?;
        let looked = opened.index.read("read", |conn| {
            conn.prepare_cached("SELECT body FROM actions WHERE key = ?1")?
                .query_row([key.digest().as_bytes()], |row| row.get(0))
                .optional()
        });
        looked.unwrap_or_else(|error| {
            self.notice(format!("the index cannot be read: {error}"));
            None
        })
    }

    /// Reads an action's record, the truth about it; `None` where there is none, or a damaged one (reported).
    pub fn record(&self, key: &ActionKey) -> Result<Option<ActionRecord>> {
        match &self.0.opened {
            Some(opened) => records::read(&opened.layout, &opened.notices, key),
            None => Ok(None),
        }
    }

    /// Lists every action that has a record, sorted.
    pub fn action_keys(&self) -> Result<Vec<ActionKey>> {
        let Some(opened) = &self.0.opened else { return Ok(Vec::new()) };
        let mut keys = Vec::new();
        for byte in 0..=255u8 {
            match opened.layout.shard(Tree::Actions, byte).and_then(|shard| shard.names()) {
                Ok(names) => keys.extend(names.iter().filter_map(|name| digest_at(byte, name)).map(ActionKey::new)),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(keys)
    }

    /// Reads the answers at the given addresses; `None` for each that has none, or a damaged one (reported).
    pub fn draws(&self, addresses: &[DrawAddress]) -> Result<Vec<Option<LoggedDraw>>> {
        match &self.0.opened {
            Some(opened) => served::read(&opened.layout, &opened.index, &opened.notices, addresses),
            None => Ok(vec![None; addresses.len()]),
        }
    }

    /// Visits what the draw log says of money in the given sessions, each session's lines in the order in which they were
    /// written. The log is read in pieces; a damaged line is reported and left out.
    pub fn ledger(&self, sessions: &[String], mut visit: impl FnMut(LedgerLine)) -> Result<()> {
        match &self.0.opened {
            Some(opened) => ledger::read(&opened.layout, &opened.notices, sessions, &mut visit),
            None => Ok(()),
        }
    }

    /// Reads the records of all runs, sorted by id; damaged ones are reported and left out.
    pub fn runs(&self) -> Result<Vec<StoredRun>> {
        match &self.0.opened {
            Some(opened) => runs::all(&opened.layout, &opened.notices),
            None => Ok(Vec::new()),
        }
    }

    /// Reads a run's record; `None` where there is none, an error where it is damaged.
    pub fn run(&self, id: &str) -> Result<Option<StoredRun>> {
        match &self.0.opened {
            Some(opened) => runs::read(&opened.layout, id),
            None => Ok(None),
        }
    }

    /// Lists the names under which records of runs stand, whether or not these can be read.
    pub fn run_names(&self) -> Result<Vec<String>> {
        match &self.0.opened {
            Some(opened) => runs::names(&opened.layout),
            None => Ok(Vec::new()),
        }
    }

    /// Removes a run's record; one that is gone already is no error.
    pub fn remove_run(&self, id: &str) -> Result<()> {
        let layout = &self.opened()?.layout;
        layout.require_writable()?;
        runs::remove(layout, id)
    }

    /// Lists the pinned runs, sorted.
    pub fn pinned_runs(&self) -> Result<Vec<String>> {
        self.0.opened.as_ref().map_or(Ok(Vec::new()), |opened| pinned::all(&opened.layout))
    }

    /// Pins a run, so that no garbage collection lets it go; says whether it was not pinned before.
    pub fn pin_run(&self, id: &str) -> Result<bool> {
        pinned::pin(&self.opened()?.layout, id)
    }

    /// Takes a run's pin away; says whether it had one.
    pub fn unpin_run(&self, id: &str) -> Result<bool> {
        pinned::unpin(&self.opened()?.layout, id)
    }

    /// Lists the hashes that logs of batches name: each may be of a blob that the batch is made of.
    pub fn named_by_batches(&self) -> Result<Vec<Digest>> {
        self.0.opened.as_ref().map_or(Ok(Vec::new()), |opened| roots::named_by_batches(&opened.layout))
    }

    /// Sums up the draw log, in bytes.
    pub fn draw_bytes(&self) -> Result<u64> {
        let Some(opened) = &self.0.opened else { return Ok(0) };
        let draws = match opened.layout.draws() {
            Err(error) if error.is_not_found() => return Ok(0),
            other => other?,
        };
        draws.names()?.iter().try_fold(0, |sum, name| Ok(sum + draws.stat(name)?.map_or(0, |stat| stat.st_size as u64)))
    }

    /// Waits for the right to begin a run or to show one, and holds it as long as the file that is returned: of two builds
    /// that do so at once, the second one sees what the first one did.
    pub fn hold_runs(&self) -> Result<std::fs::File> {
        let layout = &self.opened()?.layout;
        layout.require_writable()?;
        layout.lock("runs")
    }

    /// Tells whether a session lives: its lock decides, no clock and no process number.
    pub fn session_alive(&self, session_id: &str) -> bool {
        // Whoever cannot be asked is taken to live: that only makes others wait.
        self.0.opened.as_ref().is_some_and(|opened| session::is_alive(&opened.layout, session_id).unwrap_or(true))
    }

    /// Hashes an input file; with `stat_cache`, only if it is not known from its device, inode, size and times.
    ///
    /// Returns its hash and size. The file must be a regular one and must hold still while it is read.
    pub fn hash_file(&self, path: &Utf8Path, stat_cache: bool) -> Result<(BlobId, u64)> {
        match &self.0.opened {
            Some(opened) => opened.inputs.hash(path, stat_cache.then_some((&*opened.layout, &opened.index))),
            None => Inputs::default().hash(path, None),
        }
    }

    pub(super) fn opened(&self) -> Result<&Opened> {
        let absent = || StoreError::Unfit { why: format!("there is no store in `{}`", self.0.dir) };
        self.0.opened.as_ref().ok_or_else(absent)
    }

    pub(super) fn notice(&self, text: String) {
        if let Some(opened) = &self.0.opened {
            opened.notices.add(text);
        }
    }

    /// Reads a blob in the store to see whether it is whole; damage is left where it is, to be replaced.
    pub(super) fn verifies(&self, blob: &BlobRef) -> bool {
        let (byte, name) = place(blob.id.digest());
        let opened = self.opened().and_then(|opened| opened.layout.shard(Tree::Blobs, byte)?.open(&name));
        opened.is_ok_and(|(file, _)| {
            StreamHasher::read_all(file).is_ok_and(|(digest, size)| digest == *blob.id.digest() && size == blob.size)
        })
    }
}

/// Looks at blobs that are sorted by directory, so that each directory is opened once.
fn look(layout: &Layout, blobs: &[(BlobId, u64)], order: &[u32]) -> Vec<(u32, Presence)> {
    let mut shard: Option<(u8, Option<Folder>)> = None;
    let mut found = Vec::with_capacity(order.len());
    let mut name = [0; 62];
    let mut last: Option<(&(BlobId, u64), Presence)> = None;
    for i in order {
        let blob = &blobs[*i as usize];
        if let Some((same, presence)) = last
            && same == blob
        {
            found.push((*i, presence));
            continue;
        }
        let (id, size) = blob;
        let byte = id.digest().as_bytes()[0];
        if shard.as_ref().is_none_or(|(open, _)| *open != byte) {
            shard = Some((byte, layout.shard(Tree::Blobs, byte).ok()));
        }
        let folder = shard.as_ref().and_then(|(_, folder)| folder.as_ref());
        let stat = folder.and_then(|folder| folder.stat(file_name(id.digest(), &mut name)).ok().flatten());
        let presence = stat.map_or(Presence::Missing, |stat| presence(&stat, *size));
        last = Some((blob, presence));
        found.push((*i, presence));
    }
    found
}

/// Returns the first 8 bytes of a blob's name, for sorting; the very first names its directory.
fn head(id: &BlobId) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&id.digest().as_bytes()[..8]);
    u64::from_be_bytes(bytes)
}

pub(super) fn presence(stat: &rustix::fs::Stat, size: u64) -> Presence {
    let regular = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile;
    if regular && stat.st_size as u64 == size { Presence::Present } else { Presence::WrongSize }
}
