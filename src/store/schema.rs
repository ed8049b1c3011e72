use rusqlite::Connection;

/// Marks a SQLite file as an index of ours ("exp" and a one).
const APPLICATION_ID: i32 = 0x6578_7001;
/// Is raised whenever the tables change; an index of any other version is rebuilt.
const VERSION: i32 = 2;

const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE actions (key BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE segments (
  n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
  indexed INTEGER NOT NULL, draws INTEGER NOT NULL, total INTEGER NOT NULL, sum INTEGER NOT NULL
) STRICT;
CREATE TABLE draws (
  id BLOB PRIMARY KEY, segment INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL, sum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE claims (
  session TEXT NOT NULL, number INTEGER NOT NULL, ids BLOB NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (session, number)
) STRICT;
CREATE TABLE inputs (
  dev INTEGER NOT NULL, ino INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (dev, ino)
) STRICT, WITHOUT ROWID;
CREATE TABLE generation (
  one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL, changes INTEGER NOT NULL
) STRICT;
CREATE TABLE conclusions (
  n INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, epoch TEXT NOT NULL, changes INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TRIGGER action_added AFTER INSERT ON actions BEGIN UPDATE generation SET changes = changes + 1; END;
CREATE TRIGGER action_changed AFTER UPDATE ON actions BEGIN UPDATE generation SET changes = changes + 1; END;
CREATE TRIGGER action_removed AFTER DELETE ON actions BEGIN UPDATE generation SET changes = changes + 1; END;
";

/// Creates the tables in an empty database.
pub(super) fn create(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", VERSION)?;
    conn.execute_batch(TABLES)?;
    // No two indexes share an epoch: what was read of one says nothing of the one that took its place.
    let epoch = super::session::nonce();
    conn.execute("INSERT INTO generation (one, epoch, changes) VALUES (1, ?1, 0)", [epoch]).map(drop)
}

/// Tells whether the database is an index of this version.
pub(super) fn is_ours(conn: &Connection) -> rusqlite::Result<bool> {
    let number = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    Ok(number("application_id")? == APPLICATION_ID && number("user_version")? == VERSION)
}

/// Tells whether tables and triggers are those that [`create`] makes: a trigger that was damaged would count wrongly.
pub(super) fn is_as_made(conn: &Connection) -> rusqlite::Result<bool> {
    let texts = |conn: &Connection| -> rusqlite::Result<Vec<[Option<String>; 4]>> {
        conn.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")?
            .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?
            .collect()
    };
    let fresh = Connection::open_in_memory()?;
    fresh.execute_batch(TABLES)?;
    Ok(texts(conn)? == texts(&fresh)?)
}

/// Sets what every connection needs.
pub(super) fn configure(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;",
    )
}

/// Makes the error that says the file is not a usable index, for a reason that SQLite did not find itself.
pub(super) fn unusable(reason: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB), Some(reason.to_owned()))
}

/// Makes the error that says that a file could be opened for reading only.
pub(super) fn readable_only() -> rusqlite::Error {
    let reason = Some("it can be opened for reading only".to_owned());
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY), reason)
}

/// Checks the structure of the whole file.
pub(super) fn quick_check(conn: &Connection) -> rusqlite::Result<()> {
    let verdict: String = conn.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(unusable(&verdict)) }
}

/// Returns the checksum that a row carries, over its fields in order.
pub(super) fn sum<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> i64 {
    let mut hasher = blake3::Hasher::new();
    for field in fields {
        hasher.update(field);
    }
    sum_of(&hasher.finalize())
}

/// Returns the checksum of a row that is one piece; it is the same as [`sum`] of it, and quicker.
pub(super) fn sum_whole(bytes: &[u8]) -> i64 {
    sum_of(&blake3::hash(bytes))
}

fn sum_of(hash: &blake3::Hash) -> i64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.as_bytes()[..8]);
    i64::from_le_bytes(bytes)
}

/// Tells whether an error means that the file is damaged, as against the place it stands in being full, locked or failing.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as Code;
    !matches!(
        error.sqlite_error_code(),
        Some(
            Code::DatabaseBusy
                | Code::DatabaseLocked
                | Code::DiskFull
                | Code::CannotOpen
                | Code::OutOfMemory
                | Code::PermissionDenied
                | Code::ReadOnly
                | Code::OperationInterrupted
                | Code::OperationAborted
                | Code::NoLargeFileSupport
                | Code::FileLockingProtocolFailed
                | Code::SystemIoFailure
        )
    )
}
