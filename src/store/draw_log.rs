use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::folder::{Folder, SEALED, read_at, read_whole, seal, write_whole};
use super::layout::{Layout, is_name};
use super::line::{checked, put_head};
use super::notices::Notices;
use super::segment::scan;
use super::{Sharing, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// Is the size at which a segment is sealed and the next one begun: 64 MiB.
const FULL: u64 = 64 << 20;

/// Writes one session's part of the draw log: segments that are only ever appended to, and sealed (0444) when they are
/// full or the session ends.
///
/// Any number of threads append at once. Writing and making durable are apart: whoever waits for a disk holds up nobody
/// who only writes.
#[derive(Debug)]
pub(super) struct DrawLog {
    layout: Arc<Layout>,
    session: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u32,
    open: Option<Open>,
    /// By segment, the answers that were written and are not in the index.
    unknown: BTreeMap<String, Unknown>,
}

#[derive(Debug)]
struct Unknown {
    file: Arc<Durable>,
    starts: BTreeSet<u64>,
}

#[derive(Debug)]
struct Open {
    name: String,
    file: Arc<Durable>,
    size: u64,
}

/// Is a segment's file, and whether making it durable ever failed.
///
/// The system reports a failure to one of those who ask at once, and nothing to the others, whose lines may be lost as well:
/// so they ask in turn, and none is told that all is well after a failure.
#[derive(Debug)]
struct Durable {
    file: File,
    has_failed: Mutex<bool>,
}

impl Durable {
    fn sync(&self) -> std::io::Result<()> {
        let mut has_failed = self.has_failed.lock().unwrap_or_else(PoisonError::into_inner);
        if *has_failed {
            return Err(std::io::Error::other("an earlier attempt to make this file durable failed"));
        }
        let result = self.file.sync_data();
        *has_failed = result.is_err();
        result
    }
}

/// Is where appended bytes came to stand.
#[derive(Clone, Debug)]
pub(super) struct Appended {
    /// The segment's file name.
    pub(super) segment: String,
    /// Where the bytes start.
    pub(super) start: u64,
    /// How far the index knows the segment once it has been told of these bytes: to their end, or to the first answer before
    /// it that was written and that the index was not told of.
    pub(super) end: u64,
}

impl DrawLog {
    pub(super) fn new(layout: Arc<Layout>, session: &str) -> Self {
        Self { layout, session: session.to_owned(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends complete lines with one write, and makes them durable where that is asked for.
    ///
    /// After any failure the segment is left as it is, whole lines and all, and never written to again: what a failed
    /// `fsync` left in memory cannot be trusted, so it is not asked twice.
    pub(super) fn append(&self, lines: &[u8], durable: bool) -> Result<Appended> {
        let (appended, file, is_full) = self.write(lines, false)?;
        let path = self.layout.draws()?.path().join(&appended.segment);
        if durable && let Err(error) = file.sync() {
            return Err(self.give_up(&appended.segment, error));
        }
        if is_full {
            seal(&file.file, SEALED, &path)?;
        }
        Ok(appended)
    }

    /// Appends the line of an answer, neither durable nor known: until [`DrawLog::make_known`] no mark of the index passes it,
    /// so that it is found if this process dies.
    pub(super) fn append_unknown(&self, line: &[u8]) -> Result<Appended> {
        let (appended, file, is_full) = self.write(line, true)?;
        if is_full {
            seal(&file.file, SEALED, &self.layout.draws()?.path().join(&appended.segment))?;
        }
        Ok(appended)
    }

    /// Makes durable what was written to a segment and is not known.
    pub(super) fn sync_unknown(&self, segment: &str) -> Result<()> {
        let Some(file) = self.state().unknown.get(segment).map(|unknown| Arc::clone(&unknown.file)) else {
            return Ok(());
        };
        file.sync().map_err(|error| self.give_up(segment, error))
    }

    /// Returns how far the index knows a segment once it was told of the answers at `starts`, of which the last ends at `end`.
    pub(super) fn known_after(&self, segment: &str, starts: &BTreeSet<u64>, end: u64) -> u64 {
        let state = self.state();
        let unknown = state.unknown.get(segment);
        unknown
            .and_then(|unknown| unknown.starts.difference(starts).next().copied())
            .map_or(end, |first| first.min(end))
    }

    /// Takes note that the index was told of the answers at `starts`.
    pub(super) fn make_known(&self, segment: &str, starts: &BTreeSet<u64>) {
        let mut state = self.state();
        if let Some(unknown) = state.unknown.get_mut(segment) {
            unknown.starts.retain(|start| !starts.contains(start));
            if unknown.starts.is_empty() {
                state.unknown.remove(segment);
            }
        }
    }

    /// Leaves a segment that could not be made durable, for good.
    fn give_up(&self, segment: &str, error: std::io::Error) -> StoreError {
        let mut state = self.state();
        if state.open.as_ref().is_some_and(|open| open.name == segment) {
            state.open = None;
        }
        drop(state);
        match self.layout.draws() {
            Ok(draws) => StoreError::io("sync", draws.path().join(segment))(error),
            Err(other) => other,
        }
    }

    /// Appends lines; the flag says that the segment is full now, and nobody else will write to it.
    fn write(&self, lines: &[u8], is_unknown: bool) -> Result<(Appended, Arc<Durable>, bool)> {
        let mut state = self.state();
        let mut open = match state.open.take() {
            Some(open) => open,
            None => self.begin(&mut state)?,
        };
        if let Err(error) = write_whole(&open.file.file, lines, &self.layout.draws()?.path().join(&open.name)) {
            abandon(&open.file.file, open.size, &self.layout.draws()?.path().join(&open.name));
            return Err(error);
        }
        let start = open.size;
        open.size += lines.len() as u64;
        let file = Arc::clone(&open.file);
        if is_unknown {
            let unknown = state.unknown.entry(open.name.clone());
            let unknown = unknown.or_insert_with(|| Unknown { file: Arc::clone(&file), starts: BTreeSet::new() });
            unknown.starts.insert(start);
        }
        let first = state.unknown.get(&open.name).and_then(|unknown| unknown.starts.first().copied());
        let end = first.map_or(open.size, |first| first.min(open.size));
        let appended = Appended { segment: open.name.clone(), start, end };
        let is_full = open.size >= FULL;
        if !is_full {
            state.open = Some(open);
        }
        Ok((appended, file, is_full))
    }

    fn begin(&self, state: &mut State) -> Result<Open> {
        let draws = self.layout.draws()?;
        let name = format!("{}-{}.log", self.session, state.next);
        let created = draws.create_new(&name)?;
        let number = state.next;
        state.next += 1;
        let mut head = Vec::new();
        put_head(&mut head, &self.session, number);
        let path = draws.path().join(&name);
        let written = write_whole(&created, &head, &path).and_then(|()| draws.sync());
        if let Err(error) = written {
            let _ = draws.unlink(&name);
            return Err(error);
        }
        // Appending needs no position of its own; the descriptor is opened so that nothing can ever be overwritten.
        let (file, _) = draws.open_append(&name)?;
        let file = Arc::new(Durable { file, has_failed: Mutex::new(false) });
        Ok(Open { name, file, size: head.len() as u64 })
    }

    /// Seals the open segment, at the end of the session.
    pub(super) fn close(&self) -> Result<()> {
        let Some(open) = self.state().open.take() else { return Ok(()) };
        let path = self.layout.draws()?.path().join(&open.name);
        open.file.sync().map_err(StoreError::io("sync", &path))?;
        seal(&open.file.file, SEALED, &path)
    }
}

/// Cuts a half-written line off a segment that will not be written again; best effort, since mending does it too.
fn abandon(file: &File, known: u64, path: &camino::Utf8Path) {
    if let Ok(scanned) = scan(file, known, path, |_| {}) {
        let _ = rustix::fs::ftruncate(file, scanned.complete);
    }
    let _ = file.sync_data();
}

/// Returns the session that a segment's file name belongs to; `None` when it is not the name of a segment.
pub(super) fn session_of(name: &str) -> Option<&str> {
    let (session, number) = name.strip_suffix(".log")?.rsplit_once('-')?;
    (is_name(session) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(session)
}

/// Mends the end of a segment whose session is gone, and seals it.
///
/// Only an incomplete last line is touched: a line that lacks no more than its newline is given one; anything else after
/// the last newline (half a line, zeros) is copied to `quarantine/` and then cut off. `from` is the start of some line.
pub(super) fn mend(layout: &Layout, notices: &Notices, draws: &Folder, name: &str, from: u64) -> Result<()> {
    let path = draws.path().join(name);
    let (mut file, mut stat) = draws.open(name)?;
    let scanned = scan(&file, from, &path, |_| {})?;
    let is_done = stat.st_mode & 0o777 == SEALED.bits() && scanned.complete == scanned.size;
    if !is_done && draws.sharing() == Sharing::Group && stat.st_uid != rustix::process::geteuid().as_raw() {
        // Only its owner sets a file's mode: a copy of ours takes the place of what a colleague's session left.
        let bytes = read_whole(&file, stat.st_size as u64, &path)?;
        let tmp_name = format!("mend-{}", super::session::nonce());
        draws.write_atomic(name, &bytes, layout.tmp()?, &tmp_name, draws.written_to())?;
        (file, stat) = draws.open(name)?;
    }
    if scanned.complete < scanned.size {
        // Sealed or not, the owner may write: make it so where the mode says otherwise.
        seal(&file, draws.written_to(), &path)?;
        let (file, _) = draws.open_write(name)?;
        let mut tail = vec![0; (scanned.size - scanned.complete) as usize];
        read_at(&file, &mut tail, scanned.complete, &path)?;
        let whole = if checked(&tail).is_some() {
            Some(tail.len())
        } else {
            // The last byte may be a newline with a flipped bit.
            checked(&tail[..tail.len() - 1]).map(|_| tail.len() - 1)
        };
        layout.quarantine_bytes(&tail, &format!("tail-{name}"))?;
        if let Some(len) = whole {
            use std::os::unix::fs::FileExt as _;
            file.write_all_at(b"\n", scanned.complete + len as u64).map_err(StoreError::io("write", &path))?;
            notices.add(format!("draw log {name} was mended: its last line had no newline"));
        } else {
            rustix::fs::ftruncate(&file, scanned.complete)
                .map_err(|errno| StoreError::io("shorten", &path)(errno.into()))?;
            notices.add(format!("draw log {name} was mended: {} bytes of an unfinished line were cut off", tail.len()));
        }
        file.sync_all().map_err(StoreError::io("sync", &path))?;
    }
    if stat.st_mode & 0o777 != SEALED.bits() || scanned.complete < scanned.size {
        seal(&file, SEALED, &path)?;
        // A session that ended uncleanly may have left lines that were never made durable.
        file.sync_all().map_err(StoreError::io("sync", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::line::tests::{address, draw};
    use crate::store::{Access, Session, Store};

    fn session(dir: &tempfile::TempDir) -> Session {
        let path = camino::Utf8Path::from_path(dir.path()).unwrap().join("store");
        Store::open(&path, Access::ReadWrite).unwrap().session().unwrap()
    }

    fn file(session: &Session) -> Arc<Durable> {
        Arc::clone(&session.log.state().open.as_ref().unwrap().file)
    }

    #[test]
    fn an_intent_does_not_wait_for_a_disk() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(&dir);
        session.log_intents(&[address(0)]).unwrap();
        let file = file(&session);
        // As long as this is held, somebody is making the segment durable.
        let busy = file.has_failed.lock().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| session.log_draws(&[draw(1, "text")]).unwrap());
            for n in 2..50 {
                session.log_intents(&[address(n)]).unwrap();
            }
            assert!(!waiting.is_finished());
            drop(busy);
            assert_eq!(waiting.join().unwrap(), 0);
        });
    }

    #[test]
    fn after_a_failure_nobody_is_told_that_lines_are_durable() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(&dir);
        session.log_intents(&[address(0)]).unwrap();
        let first = file(&session);
        *first.has_failed.lock().unwrap() = true;
        assert!(session.log.append(b"x\n", true).is_err());
        // What comes next goes into another segment.
        assert_eq!(session.log_draws(&[draw(1, "text")]).unwrap(), 0);
        assert!(!Arc::ptr_eq(&first, &file(&session)));
    }
}
