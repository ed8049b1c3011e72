//! The state logs of batches: one file each, lines as in the draw log, each durable before the next call to a provider.

use std::fs::File;
use std::sync::Arc;

use super::batch::{BatchHead, BatchStep, StoredBatch};
use super::folder::{Folder, read_whole, write_whole};
use super::layout::{Layout, is_name};
use super::line::{checked, framed, put_addresses, put_json, read_addresses};
use super::{Notices, Session, StoreError, session};
use crate::digest::{Digest, DrawId};
use crate::request::DrawAddress;

type Result<T> = std::result::Result<T, StoreError>;

/// Ends the name of a batch that is not over, and holds its claims.
const OPEN: &str = ".log";
/// Ends the name of one that is over.
const OVER: &str = ".done";
/// Is how many draws stand on one line.
const DRAWS_A_LINE: usize = 1000;

#[derive(serde::Deserialize)]
struct DrawsWire<'a> {
    #[serde(borrow)]
    draws: Vec<&'a str>,
}

/// Returns a name that no other batch will have.
fn fresh_name() -> String {
    format!("b{}", &session::nonce()[1..])
}

fn put_head(out: &mut Vec<u8>, head: &BatchHead, draws: &[DrawAddress]) {
    framed(out, |out| put_json(out, head));
    for draws in draws.chunks(DRAWS_A_LINE) {
        framed(out, |out| {
            out.extend_from_slice(b"{\"draws\":");
            put_addresses(out, draws);
            out.push(b'}');
        });
    }
}

fn put_step(out: &mut Vec<u8>, step: &BatchStep) {
    framed(out, |out| put_json(out, step));
}

/// Reads a state log: what it says, and where its last whole line ends. A torn line at the end is the mark of a crash, and is
/// passed over; any other damage makes the file unreadable, since a claim that is not known of would be paid for twice.
fn parse(bytes: &[u8]) -> Option<(StoredBatch, usize)> {
    let end = bytes.iter().rposition(|byte| *byte == b'\n')? + 1;
    let mut lines = bytes[..end - 1].split(|byte| *byte == b'\n');
    let head: BatchHead = serde_json::from_slice(checked(lines.next()?)?).ok()?;
    let mut stored = StoredBatch { head, draws: Vec::new(), steps: Vec::new() };
    if stored.head.batch != 1 {
        return None;
    }
    for line in lines {
        let json = checked(line)?;
        if json.starts_with(b"{\"draws\":") {
            let wire: DrawsWire<'_> = serde_json::from_slice(json).ok()?;
            stored.draws.extend(read_addresses(&wire.draws)?);
        } else {
            stored.steps.push(serde_json::from_slice(json).ok()?);
        }
    }
    Some((stored, end))
}

/// Tells whether bytes are a state log that says something, with no torn line.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    parse(bytes).is_some_and(|(_, end)| end == bytes.len())
}

fn names(folder: &Folder, end: &str) -> Result<Vec<String>> {
    let named = |name: String| name.strip_suffix(end).filter(|name| is_name(name)).map(str::to_owned);
    Ok(folder.names()?.into_iter().filter_map(named).collect())
}

fn read(folder: &Folder, file_name: &str) -> Result<Option<(StoredBatch, usize)>> {
    let (file, stat) = match folder.open(file_name) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let path = folder.path().join(file_name);
    match parse(&read_whole(&file, stat.st_size as u64, &path)?) {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(StoreError::Corrupt { what: "the state log of batch", id: file_name.to_owned() }),
    }
}

/// Reads every batch, those that are over included, by name; damaged logs of those that are over are reported and left out.
pub(super) fn all(layout: &Layout, notices: &Notices) -> Result<Vec<StoredBatch>> {
    let folder = match layout.batches() {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        other => other?,
    };
    let mut batches = Vec::new();
    // Also those that are over and whose logs a crash left without their new name.
    for name in names(folder, OPEN)? {
        batches.extend(read(folder, &format!("{name}{OPEN}"))?.map(|(stored, _)| stored));
    }
    for name in names(folder, OVER)? {
        match read(folder, &format!("{name}{OVER}")) {
            Ok(batch) => batches.extend(batch.map(|(batch, _)| batch)),
            Err(error @ (StoreError::Corrupt { .. } | StoreError::NotRegular { .. })) => notices.add(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    batches.sort_by(|a, b| (&a.head.created_at, &a.head.name).cmp(&(&b.head.created_at, &b.head.name)));
    Ok(batches)
}

/// Reads the batches that are not over, by name.
pub(super) fn open(layout: &Layout) -> Result<Vec<StoredBatch>> {
    let folder = match layout.batches() {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        other => other?,
    };
    let mut batches = Vec::new();
    for name in names(folder, OPEN)? {
        let stored = read(folder, &format!("{name}{OPEN}"))?.map(|(stored, _)| stored);
        batches.extend(stored.filter(|stored| !stored.state().is_terminal()));
    }
    Ok(batches)
}

/// Reads one batch, whatever its state.
pub(super) fn one(layout: &Layout, name: &str) -> Result<Option<StoredBatch>> {
    let folder = layout.batches()?;
    for end in [OPEN, OVER] {
        if let Some((stored, _)) = read(folder, &format!("{name}{end}"))? {
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

/// Is the draws of one open batch, sorted, as claims are compared with them.
pub(super) type Claimed = (String, Arc<[DrawId]>);

/// Keeps what the state logs of open batches were read to hold: their draws never change.
#[derive(Debug, Default)]
pub(super) struct KnownBatches(Vec<Known>);

/// Is a batch's name, the size of its log, and its draws while it is not over.
type Known = (String, i64, Option<Arc<[DrawId]>>);

impl KnownBatches {
    /// Returns the draws of every batch that is not over now.
    pub(super) fn claimed(&mut self, layout: &Layout) -> Result<Vec<Claimed>> {
        let folder = match layout.batches() {
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            other => other?,
        };
        let (mut known, mut claimed) = (Vec::new(), Vec::new());
        for name in names(folder, OPEN)? {
            let file_name = format!("{name}{OPEN}");
            let Some(stat) = folder.stat(&file_name)? else { continue };
            let before = self.0.iter().find(|(other, size, _)| *other == name && *size == stat.st_size);
            let ids = if let Some((_, _, ids)) = before {
                ids.clone()
            } else {
                let Some((stored, _)) = read(folder, &file_name)? else { continue };
                let mut ids: Vec<DrawId> = stored.draws.iter().map(DrawAddress::id).collect();
                ids.sort_unstable();
                (!stored.state().is_terminal()).then(|| ids.into())
            };
            claimed.extend(ids.clone().map(|ids| (name.clone(), ids)));
            known.push((name, stat.st_size, ids));
        }
        self.0 = known;
        Ok(claimed)
    }
}

/// Is the right to work on one batch: its state log, locked for as long as this lives. One process at a time has it.
#[derive(Debug)]
pub struct HeldBatch {
    layout: Arc<Layout>,
    file: File,
    stored: StoredBatch,
    end: u64,
}

impl HeldBatch {
    /// Returns the batch as its log tells it now.
    pub fn stored(&self) -> &StoredBatch {
        &self.stored
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.stored.head.name
    }

    /// Notes a step, durably. After a terminal one the batch holds no claims.
    pub fn step(&mut self, step: BatchStep) -> Result<()> {
        let folder = self.layout.batches()?;
        let file_name = format!("{}{OPEN}", self.name());
        let path = folder.path().join(&file_name);
        // What a crash left of a line goes first.
        rustix::fs::ftruncate(&self.file, self.end).map_err(|errno| StoreError::io("shorten", &path)(errno.into()))?;
        let mut line = Vec::new();
        put_step(&mut line, &step);
        write_whole(&self.file, &line, &path)?;
        self.file.sync_data().map_err(StoreError::io("sync", &path))?;
        self.end += line.len() as u64;
        let is_terminal = step.state.is_terminal();
        self.stored.steps.push(step);
        if is_terminal {
            folder.rename(&file_name, folder, &format!("{}{OVER}", self.name()))?;
            folder.sync()?;
        }
        Ok(())
    }
}

impl Session {
    /// Begins a batch with its first step: from here on its draws are claimed by it, whatever becomes of this process. The
    /// head's name is chosen here.
    ///
    /// Its log is there with that step or not at all: one that was found at a provider is never seen without its id there.
    pub fn begin_batch(
        &self,
        head: BatchHead,
        draws: Vec<DrawAddress>,
        account: impl FnOnce(&str) -> String,
        step: BatchStep,
    ) -> Result<HeldBatch> {
        let (head, end) = self.put_batch(head, &draws, account, &step, OPEN)?;
        let folder = self.layout.batches()?;
        let file_name = format!("{}{OPEN}", head.name);
        let (file, _) = folder.open_append(&file_name)?;
        file.lock().map_err(StoreError::io("lock", folder.path().join(&file_name)))?;
        let stored = StoredBatch { head, draws, steps: vec![step] };
        Ok(HeldBatch { layout: Arc::clone(&self.layout), file, stored, end })
    }

    /// Writes the log of a batch whole; returns its head, completed, and its length.
    fn put_batch(
        &self,
        mut head: BatchHead,
        draws: &[DrawAddress],
        account: impl FnOnce(&str) -> String,
        step: &BatchStep,
        end: &str,
    ) -> Result<(BatchHead, u64)> {
        head.batch = 1;
        head.name = fresh_name();
        head.account = account(&head.name);
        step.at.clone_into(&mut head.created_at);
        self.id().clone_into(&mut head.session);
        head.requests = draws.len() as u64;
        head.key = BatchHead::key_of(draws);
        let mut bytes = Vec::with_capacity(draws.len() * 80 + 512);
        put_head(&mut bytes, &head, draws);
        put_step(&mut bytes, step);
        let file_name = format!("{}{end}", head.name);
        let folder = self.layout.batches()?;
        folder.write_atomic(&file_name, &bytes, self.layout.tmp()?, &self.temp_name(), folder.written_to())?;
        Ok((head, bytes.len() as u64))
    }

    /// Takes up a batch that is not over; `None` where it is over, or somebody else is at work on it.
    pub fn hold_batch(&self, name: &str) -> Result<Option<HeldBatch>> {
        if !is_name(name) {
            return Ok(None);
        }
        let folder = self.layout.batches()?;
        let file_name = format!("{name}{OPEN}");
        let (file, _) = match folder.open_append(&file_name) {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(StoreError::io("lock", folder.path().join(&file_name))(error));
            }
        }
        // Read under the lock: whoever had it may have gone on with the batch, or ended it.
        let Some((stored, end)) = read(folder, &file_name)? else { return Ok(None) };
        if stored.state().is_terminal() {
            folder.rename(&file_name, folder, &format!("{name}{OVER}"))?;
            folder.sync()?;
            return Ok(None);
        }
        Ok(Some(HeldBatch { layout: Arc::clone(&self.layout), file, stored, end: end as u64 }))
    }

    /// Writes down a batch at a provider that nobody here waits for: it is not looked at again.
    ///
    /// Whatever draws of ours it holds are noted with it, so that it is known when one of them comes to be wanted.
    pub fn note_foreign_batch(&self, head: BatchHead, draws: &[DrawAddress], step: &BatchStep) -> Result<()> {
        self.put_batch(head, draws, |_| String::new(), step, OVER).map(drop)
    }

    /// Takes the right to look for batches that are not known here; `None` while another process has it.
    pub fn lock_batches(&self) -> Result<Option<File>> {
        let locks = self.layout.root().folder("locks")?;
        let (file, _) = locks.open_or_create("batches")?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => {
                Err(StoreError::io("lock", locks.path().join("batches"))(error))
            }
        }
    }

    /// Says whether the batches of a provider were looked for since `store/batches/` was begun: whether it knows them all.
    pub fn knows_batches_of(&self, provider: &str) -> Result<bool> {
        Ok(self.layout.batches()?.stat(&mark(provider))?.is_some())
    }

    /// Notes that they were.
    pub fn note_batches_known(&self, provider: &str) -> Result<()> {
        let (folder, bytes) = (self.layout.batches()?, format!("{provider}\n"));
        folder.write_atomic(
            &mark(provider),
            bytes.as_bytes(),
            self.layout.tmp()?,
            &self.temp_name(),
            super::folder::SEALED,
        )
    }
}

/// Names the file that says that a provider's batches were looked for.
fn mark(provider: &str) -> String {
    format!("known-{}", Digest::of(provider.as_bytes()).short(16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::line::tests::address;
    use crate::store::{Access, BatchState, Claim, Store};

    fn store(dir: &tempfile::TempDir) -> Store {
        let path = camino::Utf8Path::from_path(dir.path()).unwrap().join("store");
        Store::open(&path, Access::ReadWrite).unwrap()
    }

    fn prepare(session: &Session, numbers: std::ops::Range<u32>) -> HeldBatch {
        let draws: Vec<DrawAddress> = numbers.map(address).collect();
        let head = BatchHead { provider: "p".into(), ..BatchHead::default() };
        session.begin_batch(head, draws, |name| format!("salted {name}"), step(BatchState::Prepared)).unwrap()
    }

    fn step(state: BatchState) -> BatchStep {
        BatchStep::new(state, "t1".into())
    }

    #[test]
    fn a_batch_holds_its_draws_until_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let session = store.session().unwrap();
        let name = {
            let mut held = prepare(&session, 0..2500);
            held.step(step(BatchState::Uploaded)).unwrap();
            held.name().to_owned()
        };
        drop(session);
        // The session is gone, and so is the index: the claim stands.
        for file in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
            drop(std::fs::remove_file(dir.path().join("store").join(file)));
        }
        let store = self::store(&dir);
        let (first, second) = (store.session().unwrap(), store.session().unwrap());
        let claim = |session: &Session, n: u32| session.claim(&[address(n)]).unwrap().remove(0);
        assert_eq!(claim(&first, 2499), Claim::InBatch { batch: name.clone() });
        assert_eq!(claim(&first, 2500), Claim::Mine);
        let mut held = first.hold_batch(&name).unwrap().unwrap();
        assert_eq!((held.stored().state(), held.stored().draws.len()), (BatchState::Uploaded, 2500));
        assert_eq!(held.stored().head.account, format!("salted {name}"));
        assert!(second.hold_batch(&name).unwrap().is_none(), "one works on it at a time");
        held.step(step(BatchState::Abandoned)).unwrap();
        drop(held);
        assert!(second.hold_batch(&name).unwrap().is_none(), "it is over");
        assert_eq!(claim(&second, 2499), Claim::Mine);
        assert!(store.open_batches().unwrap().is_empty());
        assert_eq!(store.batches().unwrap()[0].state(), BatchState::Abandoned);
    }

    #[test]
    fn a_torn_line_is_cut_and_any_other_damage_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let session = store.session().unwrap();
        let mut held = prepare(&session, 0..3);
        held.step(step(BatchState::Uploaded)).unwrap();
        let name = held.name().to_owned();
        drop(held);
        let path = dir.path().join("store/batches").join(format!("{name}{OPEN}"));
        let good = std::fs::read(&path).unwrap();
        let first_states =
            good.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).nth(2).unwrap();
        for length in first_states..good.len() {
            std::fs::write(&path, &good[..length]).unwrap();
            let mut held = session.hold_batch(&name).unwrap().unwrap();
            assert_eq!(held.stored().state(), BatchState::Prepared, "{length} bytes");
            held.step(step(BatchState::Uploaded)).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), good, "{length} bytes");
        }
        for bit in 0..(first_states * 8) {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&bad).is_none(), "bit {bit}");
        }
        let mut bad = good.clone();
        bad[30] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert!(matches!(session.claim(&[address(9)]), Err(StoreError::Corrupt { .. })), "nothing is bought past it");
    }

    #[test]
    fn a_batch_whose_end_was_not_finished_is_over_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let session = store.session().unwrap();
        let mut held = prepare(&session, 0..3);
        let name = held.name().to_owned();
        held.step(step(BatchState::Committed)).unwrap();
        drop(held);
        let folder = dir.path().join("store/batches");
        let (open, over) = (folder.join(format!("{name}{OPEN}")), folder.join(format!("{name}{OVER}")));
        std::fs::rename(&over, &open).unwrap();
        assert_eq!(session.claim(&[address(1)]).unwrap(), [Claim::Mine]);
        assert_eq!(
            session.store().batches().unwrap()[0].state(),
            BatchState::Committed,
            "it is known, under either name"
        );
        assert!(session.store().open_batches().unwrap().is_empty());
        assert!(session.hold_batch(&name).unwrap().is_none());
        assert!(over.exists() && !open.exists());
    }

    #[test]
    fn what_is_known_is_marked_and_lost_with_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let session = store(&dir).session().unwrap();
        assert!(!session.knows_batches_of("p").unwrap());
        session.note_batches_known("p").unwrap();
        let foreign = BatchStep { remote: vec!["batch_1".into()], ..step(BatchState::Foreign) };
        session.note_foreign_batch(BatchHead::default(), &[address(7)], &foreign).unwrap();
        assert!(session.knows_batches_of("p").unwrap() && !session.knows_batches_of("q").unwrap());
        let known = session.store().batches().unwrap();
        assert_eq!((known[0].remote(), known[0].draws.as_slice()), (Some("batch_1"), &[address(7)][..]));
        assert_eq!(session.claim(&[address(7)]).unwrap(), [Claim::Mine], "it claims nothing");
        drop(session);
        std::fs::remove_dir_all(dir.path().join("store/batches")).unwrap();
        let session = store(&dir).session().unwrap();
        assert!(!session.knows_batches_of("p").unwrap());
        assert!(session.store().batches().unwrap().is_empty());
        drop(prepare(&session, 0..1));
    }
}
