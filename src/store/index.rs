use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camino::Utf8PathBuf;
use rusqlite::{Connection, MAIN_DB, OpenFlags, Transaction, TransactionBehavior};

use super::layout::Layout;
use super::notices::Notices;
use super::{StoreError, catalogue, machine, rebuild, schema};

/// Is the derived index: quick answers to what the records and the draw log say, and nothing that cannot be rebuilt from
/// them.
///
/// Looking up opens the file without locks and without writing (`immutable`) while no write-ahead log stands beside it; what
/// such a look misses, the records answer. The first write opens the one connection for writing, which first brings the
/// index up to date with the log. An index that is absent, empty, of another version or damaged is set aside as
/// `index.sqlite.bad-<n>` and rebuilt; where nothing may be written the rebuilt one is kept in memory.
#[derive(Debug)]
pub(super) struct Index {
    layout: Arc<Layout>,
    notices: Arc<Notices>,
    state: Mutex<State>,
    verified: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    reader: Option<Connection>,
    writer: Option<Writer>,
}

#[derive(Debug)]
struct Writer {
    conn: Connection,
    /// Is `locks/index`: held shared in each transaction, exclusively while the file is replaced. Its content is the mark.
    lock: File,
    inode: u64,
    marked: bool,
    /// Keeps other machines from writing to indexes of their own.
    _alone: Option<File>,
}

type Result<T> = std::result::Result<T, StoreError>;

/// Is the file's name in the store.
pub(super) const FILE: &str = "index.sqlite";
/// Are the files that SQLite keeps beside it.
const BESIDE: [&str; 3] = ["index.sqlite-wal", "index.sqlite-shm", "index.sqlite-journal"];
const LOCK: &str = "index";
/// Says why an index that is not in its store is built anew.
const ELSEWHERE: &str = "the store was written to from elsewhere";
/// Is how long a transaction waits for another process's.
const PATIENCE: Duration = Duration::from_secs(30);

impl Index {
    pub(super) fn new(layout: Arc<Layout>, notices: Arc<Notices>) -> Self {
        Self { layout, notices, state: Mutex::default(), verified: AtomicBool::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self) -> Utf8PathBuf {
        self.layout.index_path()
    }

    /// Says that SQLite failed; shaped for `map_err`.
    pub(super) fn failed(&self, op: &'static str) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
        move |source| StoreError::Index { op, path: self.path(), source }
    }

    /// Tells whether every row about draws has been checked since the store was opened.
    pub(super) fn is_verified(&self) -> bool {
        self.verified.load(Ordering::Relaxed)
    }

    /// Notes that every row about draws has been checked.
    pub(super) fn set_verified(&self) {
        self.verified.store(true, Ordering::Relaxed);
    }

    /// Looks something up. A damaged index is rebuilt (in memory where nothing may be written) and asked again.
    pub(super) fn read<T>(
        &self,
        op: &'static str,
        mut look: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let mut state = self.state();
        if state.writer.is_none() {
            let looked = self.reader(&mut state).and_then(|conn| look(conn).map_err(self.failed(op)));
            match looked {
                // Where nothing may be written, whatever keeps the index from being read is got round.
                Err(error) if damaged(&error) || (!self.layout.writable() && is_index(&error)) => {
                    state.reader = None;
                    if !self.layout.writable() {
                        self.notices
                            .add(format!("the index cannot be read and was rebuilt in memory: {}", why(&error)));
                        let conn = rebuild::in_memory(&self.layout, &self.notices)?;
                        return look(state.reader.insert(conn)).map_err(self.failed(op));
                    }
                }
                other => return other,
            }
        }
        for last_try in [false, true] {
            let conn = &self.writer(&mut state)?.conn;
            match look(conn).map_err(self.failed(op)) {
                Err(error) if damaged(&error) && !last_try => self.replace(&mut state, &error)?,
                other => return other,
            }
        }
        Err(StoreError::Unfit { why: "the index cannot be rebuilt".into() })
    }

    /// Writes in one transaction that holds the write lock from its first moment; all of it becomes durable, or nothing.
    ///
    /// `write` may run twice: when the index turns out to be damaged it is rebuilt and asked again.
    pub(super) fn write<T>(&self, mut write: impl FnMut(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.layout.require_writable()?;
        let mut state = self.state();
        for last_try in [false, true] {
            let done = self.writer(&mut state).and_then(|writer| self.transact(writer, &mut write));
            match done {
                Err(error) if damaged(&error) && !last_try => self.replace(&mut state, &error)?,
                other => return other,
            }
        }
        Err(StoreError::Unfit { why: "the index cannot be rebuilt".into() })
    }

    fn transact<T>(&self, writer: &mut Writer, write: &mut impl FnMut(&Transaction<'_>) -> Result<T>) -> Result<T> {
        // Shared: transactions exclude each other by SQLite's own lock, and all of them exclude a replacement of the file.
        let path = self.layout.dir().join("locks").join(LOCK);
        writer.lock.lock_shared().map_err(StoreError::io("lock", &path))?;
        let unlock = Unlock(&writer.lock);
        if self.layout.index_home().stat(FILE)?.is_none_or(|stat| stat.st_ino != writer.inode) {
            return Err(self.failed("find")(schema::unusable("it was replaced or removed")));
        }
        let failed = self.failed("write to");
        let tx = writer.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&failed)?;
        if !writer.marked {
            set_mark(&tx, &writer.lock, &path).map_err(|error| match error {
                MarkError::Sql(error) => failed(error),
                MarkError::File(error) => error,
            })?;
        }
        let value = write(&tx)?;
        tx.commit().map_err(&failed)?;
        writer.marked = true;
        drop(unlock);
        Ok(value)
    }

    /// Shows the file as it stands, without mending anything; `None` where there is none, or where it cannot be read before
    /// somebody has brought it up to date.
    pub(super) fn examine<T>(&self, look: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<Option<T>> {
        let root = self.layout.index_home();
        if root.stat(FILE)?.is_none() {
            return Ok(None);
        }
        self.require_file()?;
        let log = root.stat("index.sqlite-wal")?.is_some_and(|stat| stat.st_size > 0);
        if log && root.stat("index.sqlite-shm")?.is_none() {
            return Ok(None);
        }
        let failed = self.failed("check");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mode = if log { "mode=ro" } else { "immutable=1" };
        let conn = Connection::open_with_flags(uri(&self.path(), mode), flags).map_err(&failed)?;
        conn.busy_timeout(PATIENCE).map_err(&failed)?;
        schema::configure(&conn).map_err(&failed)?;
        if !schema::is_ours(&conn).map_err(&failed)? {
            return Err(failed(schema::unusable("it is of another version")));
        }
        look(&conn).map(Some).map_err(failed)
    }

    /// Reads an action's row as it stands, whatever it says.
    pub(super) fn row(&self, key: &crate::digest::ActionKey) -> Result<Option<Vec<u8>>> {
        use rusqlite::OptionalExtension as _;
        let found = self.examine(|conn| {
            conn.query_row("SELECT body FROM actions WHERE key = ?1", [key.digest().as_bytes()], |row| row.get(0))
                .optional()
        })?;
        Ok(found.flatten())
    }

    /// Tells whether there is a file.
    pub(super) fn exists(&self) -> Result<bool> {
        Ok(self.layout.index_home().stat(FILE)?.is_some())
    }

    /// Builds the file anew, whatever stands there, which is set aside.
    pub(super) fn rebuild_now(&self, why: &str) -> Result<()> {
        let mut state = self.state();
        *state = State::default();
        let locks = self.layout.root().folder("locks")?;
        let (lock, _) = locks.open_or_create(LOCK)?;
        lock.lock().map_err(StoreError::io("lock", locks.path().join(LOCK)))?;
        self.rebuild(why, &lock)
    }

    /// Removes the file: it is derived, and takes room. Whoever needs it next builds it again.
    pub(super) fn discard(&self) -> Result<()> {
        let mut state = self.state();
        let locks = self.layout.root().folder("locks")?;
        let (lock, _) = locks.open(LOCK)?;
        lock.lock().map_err(StoreError::io("lock", locks.path().join(LOCK)))?;
        *state = State::default();
        for name in std::iter::once(FILE).chain(BESIDE) {
            self.layout.index_home().unlink(name)?;
        }
        self.notices.add("there was no room to write to the index; it was removed, and is built again".into());
        Ok(())
    }

    /// Closes the file, which folds the write-ahead log into it; whatever comes next opens it again.
    pub(super) fn close(&self) {
        *self.state() = State::default();
    }

    /// Opens the file, and says why where that cannot be done: SQLite does not tell, and goes on with a file that it could open
    /// for reading only. Where nothing is wrong with the file any more it is opened again. No other connection of this index may be
    /// open: closing a file drops the locks that a process has on it.
    fn opened(&self, open: impl Fn() -> Result<Connection>) -> Result<Connection> {
        match open() {
            Err(error) if is_unopened(&error) => {
                let home = self.layout.index_home();
                for name in std::iter::once(FILE).chain(BESIDE) {
                    if home.stat(name)?.is_some() {
                        if self.layout.writable() {
                            home.open_write(name)?
                        } else {
                            home.open(name)?
                        };
                    }
                }
                open()
            }
            other => other,
        }
    }

    /// Opens for looking, changing nothing on disk.
    fn reader<'a>(&self, state: &'a mut State) -> Result<&'a Connection> {
        if state.reader.is_none() {
            state.reader = Some(self.opened(|| self.open_reader())?);
        }
        state.reader.as_ref().ok_or_else(|| StoreError::Unfit { why: "the index is not open".into() })
    }

    fn open_reader(&self) -> Result<Connection> {
        let root = self.layout.index_home();
        self.require_file()?;
        let log = root.stat("index.sqlite-wal")?.is_some_and(|stat| stat.st_size > 0);
        if log && self.layout.writable() {
            return Err(self.failed("open")(schema::unusable("it is being written")));
        }
        let shared = root.stat("index.sqlite-shm")?.is_some();
        let failed = self.failed("open");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mode = if log && shared { "mode=ro" } else { "immutable=1" };
        let conn = Connection::open_with_flags(uri(&self.path(), mode), flags).map_err(&failed)?;
        conn.busy_timeout(PATIENCE).map_err(&failed)?;
        schema::configure(&conn).map_err(&failed)?;
        if !schema::is_ours(&conn).map_err(&failed)? {
            return Err(failed(schema::unusable("it is of another version")));
        }
        if self.layout.index_is_away() && !self.is_as_marked(&conn).map_err(&failed)? {
            return Err(failed(schema::unusable(ELSEWHERE)));
        }
        // A session that writes catches up before it decides anything; one that cannot must not overlook answers.
        if !self.layout.writable() && catalogue::lacks_lines(&conn, &self.layout)? {
            return Err(failed(schema::unusable("it lacks what a session that was cut short has logged")));
        }
        Ok(conn)
    }

    /// Says whether the index bears the mark that its lock file does.
    fn is_as_marked(&self, conn: &Connection) -> rusqlite::Result<bool> {
        let lock = self.layout.root().folder("locks").and_then(|locks| locks.open(LOCK));
        Ok(mark_of(conn)? == lock.ok().and_then(|(lock, _)| mark_in(&lock)))
    }

    /// Fails as for a damaged index unless there is a file to open.
    fn require_file(&self) -> Result<()> {
        let reason = match self.layout.index_home().stat(FILE)? {
            None => "it is absent",
            Some(stat) if !is_regular(&stat) => "it is not a file",
            Some(stat) if stat.st_size == 0 => "it is empty",
            Some(_) => {
                // Links planted beside it would be followed.
                for beside in BESIDE {
                    if self.layout.index_home().stat(beside)?.is_some_and(|stat| !is_regular(&stat)) {
                        return Err(self.failed("open")(schema::unusable("what stands beside it is not a file")));
                    }
                }
                return Ok(());
            }
        };
        Err(self.failed("open")(schema::unusable(reason)))
    }

    /// Returns the connection for writing, opened and up to date with the draw log.
    fn writer<'a>(&self, state: &'a mut State) -> Result<&'a mut Writer> {
        if state.writer.is_none() {
            state.reader = None;
            state.writer = Some(self.open_writer(None)?);
        }
        state.writer.as_mut().ok_or_else(|| StoreError::Unfit { why: "the index is not open".into() })
    }

    /// Sets the file aside and rebuilds it.
    fn replace(&self, state: &mut State, cause: &StoreError) -> Result<()> {
        state.reader = None;
        let seen = state.writer.take().map(|writer| writer.inode);
        state.writer = Some(self.open_writer(Some((seen, cause)))?);
        Ok(())
    }

    fn open_writer(&self, bad: Option<(Option<u64>, &StoreError)>) -> Result<Writer> {
        let alone = machine::alone(&self.layout)?;
        let locks = self.layout.root().folder("locks")?;
        let (lock, _) = locks.open_or_create(LOCK)?;
        lock.lock().map_err(StoreError::io("lock", locks.path().join(LOCK)))?;
        let unlock = Unlock(&lock);
        // Another process may have replaced the bad file in the meantime: then what stands there now is another file.
        if let Some((Some(inode), cause)) = bad
            && self.layout.index_home().stat(FILE)?.is_some_and(|stat| stat.st_ino == inode)
        {
            self.rebuild(&why(cause), &lock)?;
        }
        let conn = match self.opened(|| self.open_current(&lock)) {
            Err(error) if damaged(&error) => {
                self.rebuild(&why(&error), &lock)?;
                self.opened(|| self.open_current(&lock))?
            }
            other => other?,
        };
        let inode = self.layout.index_home().stat(FILE)?.map_or(0, |stat| stat.st_ino);
        drop(unlock);
        Ok(Writer { conn, lock, inode, marked: false, _alone: alone })
    }

    /// Opens the file as it stands and adds to it what the log and the records have and it has not.
    fn open_current(&self, lock: &File) -> Result<Connection> {
        let failed = self.failed("open");
        self.require_file()?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(uri(&self.path(), "mode=rw"), flags).map_err(&failed)?;
        if conn.is_readonly(MAIN_DB).map_err(&failed)? {
            return Err(failed(schema::readable_only()));
        }
        conn.busy_timeout(PATIENCE).map_err(&failed)?;
        if !schema::is_ours(&conn).map_err(&failed)? {
            return Err(failed(schema::unusable("it is of another version")));
        }
        schema::configure(&conn).map_err(&failed)?;
        conn.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32768;")
            .map_err(&failed)?;
        conn.set_prepared_statement_cache_capacity(64);
        let unclean = mark_of(&conn).map_err(&failed)? != mark_in(lock);
        if !schema::is_as_made(&conn).map_err(&failed)? {
            return Err(failed(schema::unusable("its tables are not as they were made")));
        }
        if unclean && self.layout.index_is_away() {
            return Err(failed(schema::unusable(ELSEWHERE)));
        }
        if unclean {
            schema::quick_check(&conn).map_err(&failed)?;
        }
        rebuild::catch_up(&mut conn, &self.layout, &self.notices, unclean)?;
        Ok(conn)
    }

    /// Brings the index up to date with every record and every line of the log, after a session that ended uncleanly.
    pub(super) fn reconcile(&self) -> Result<()> {
        let mut state = self.state();
        for last_try in [false, true] {
            let writer = self.writer(&mut state)?;
            let done = schema::quick_check(&writer.conn)
                .map_err(self.failed("check"))
                .and_then(|()| rebuild::catch_up(&mut writer.conn, &self.layout, &self.notices, true));
            match done {
                Err(error) if damaged(&error) && !last_try => self.replace(&mut state, &error)?,
                other => return other,
            }
        }
        Ok(())
    }

    /// Sets what stands there aside, and writes a new index under another name before it takes the place.
    fn rebuild(&self, cause: &str, lock: &File) -> Result<()> {
        let root = self.layout.index_home();
        // What another machine has outdated is of no use to anybody.
        if let Some(stat) = root.stat(FILE)?.filter(|_| !self.layout.index_is_away()) {
            let aside = (0u32..).map(|n| format!("{FILE}.bad-{n}"));
            for name in aside {
                if root.stat(&name)?.is_none() {
                    root.rename(FILE, root, &name)?;
                    // A log left beside the new file would be replayed into it.
                    if root.stat("index.sqlite-wal")?.is_some() {
                        root.rename("index.sqlite-wal", root, &format!("{name}-wal"))?;
                    }
                    if stat.st_size > 0 {
                        self.notices.add(format!("the index was rebuilt ({cause}); the old one is {name}"));
                    }
                    break;
                }
            }
        }
        for beside in BESIDE {
            root.unlink(beside)?;
        }
        if self.layout.index_is_away() {
            root.unlink(FILE)?;
        }
        root.sync()?;
        rebuild::into_file(&self.layout, &self.notices, mark_in(lock).as_deref())
    }
}

enum MarkError {
    Sql(rusqlite::Error),
    File(StoreError),
}

/// Writes one new mark into the index and into the lock file, inside a transaction.
///
/// An index that lost transactions (its write-ahead log gone, an old copy put back) then disagrees with the lock file, and
/// is brought up to date before it is used. The file is written first: a crash in between errs on that side.
fn set_mark(tx: &Transaction<'_>, lock: &File, path: &Utf8PathBuf) -> std::result::Result<(), MarkError> {
    let mark = super::session::nonce();
    lock.write_all_at(mark.as_bytes(), 0).map_err(|e| MarkError::File(StoreError::io("write", path)(e)))?;
    tx.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES ('mark', ?1)")
        .and_then(|mut statement| statement.execute([&mark]))
        .map_err(MarkError::Sql)?;
    Ok(())
}

fn mark_of(conn: &Connection) -> rusqlite::Result<Option<String>> {
    use rusqlite::OptionalExtension as _;
    conn.query_row("SELECT value FROM meta WHERE name = 'mark'", [], |row| row.get(0)).optional()
}

fn mark_in(lock: &File) -> Option<String> {
    let mut bytes = [0; 64];
    let n = lock.read_at(&mut bytes, 0).ok()?;
    if n == 0 { None } else { Some(String::from_utf8_lossy(&bytes[..n]).into_owned()) }
}

fn is_index(error: &StoreError) -> bool {
    matches!(error, StoreError::Index { .. })
}

/// Tells whether a file of SQLite's could not be opened, or not for writing.
fn is_unopened(error: &StoreError) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    let StoreError::Index { source, .. } = error else { return false };
    matches!(source.sqlite_error_code(), Some(CannotOpen | ReadOnly))
}

/// Tells whether an error means that the index must be rebuilt.
fn damaged(error: &StoreError) -> bool {
    matches!(error, StoreError::Index { source, .. } if schema::is_damage(source))
}

fn why(error: &StoreError) -> String {
    match error {
        StoreError::Index { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

fn is_regular(stat: &rustix::fs::Stat) -> bool {
    rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
}

/// Writes a path as SQLite takes it in a URI.
fn uri(path: &Utf8PathBuf, query: &str) -> String {
    let escaped = path.as_str().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    // A path that starts with two slashes would be read as a host.
    let escaped = if escaped.starts_with("//") { format!("/.{escaped}") } else { escaped };
    format!("file:{escaped}?{query}")
}

/// Releases a file lock at the end of a scope.
struct Unlock<'a>(&'a File);

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}
