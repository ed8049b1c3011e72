use std::sync::Arc;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rusqlite::{Connection, OpenFlags, Transaction};

use super::index::FILE;
use super::layout::{Layout, Tree, digest_at};
use super::notices::Notices;
use super::{ActionRow, StoreError, catalogue, records, schema};
use crate::digest::ActionKey;

type Result<T> = std::result::Result<T, StoreError>;

/// Builds the whole index in memory, for a store that may not be written.
pub(super) fn in_memory(layout: &Layout, notices: &Notices) -> Result<Connection> {
    let failed = failed(layout);
    let mut conn = Connection::open_in_memory().map_err(&failed)?;
    fill(&mut conn, layout, notices, None)?;
    Ok(conn)
}

/// Builds the whole index in a file of its own, durable, and then gives it its name.
///
/// The caller holds the index's lock and has moved away what stood there.
pub(super) fn into_file(layout: &Arc<Layout>, notices: &Notices, mark: Option<&str>) -> Result<()> {
    let failed = failed(layout);
    let home = layout.index_home();
    // A name can be given within one file system only.
    let tmp = if layout.index_is_away() { home } else { layout.tmp()? };
    if layout.index_is_away() {
        // Whoever holds the lock is alone: what is there was left by the dead.
        home.names()?.iter().filter(|name| name.starts_with("index-")).try_for_each(|name| home.unlink(name))?;
    }
    let name = format!("index-{}", super::session::nonce());
    let file = tmp.create_new(&name)?;
    let built = (|| {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(tmp.path().join(&name), flags).map_err(&failed)?;
        // Nothing can be lost here that could not be built again.
        conn.execute_batch("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;")
            .map_err(&failed)?;
        fill(&mut conn, layout, notices, mark)?;
        conn.execute_batch("PRAGMA journal_mode=WAL;").map_err(&failed)?;
        conn.close().map_err(|(_, error)| failed(error))?;
        file.sync_all().map_err(StoreError::io("sync", tmp.path().join(&name)))?;
        tmp.rename(&name, home, FILE)
    })();
    if let Err(error) = built {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = tmp.unlink(&format!("{name}{suffix}"));
        }
        return Err(error);
    }
    home.sync()
}

/// Adds what is on disk and not yet in the index: the ends of draw-log segments always, records when `all` is set.
pub(super) fn catch_up(conn: &mut Connection, layout: &Layout, notices: &Notices, all: bool) -> Result<()> {
    let failed = failed(layout);
    if !all && !catalogue::lacks_lines(conn, layout)? {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(&failed)?;
    catalogue::add_segments(&tx, layout, notices, catalogue::Scope::EndsOfDead)?;
    if all {
        add_actions(&tx, layout, notices)?;
    }
    tx.commit().map_err(&failed)
}

fn fill(conn: &mut Connection, layout: &Layout, notices: &Notices, mark: Option<&str>) -> Result<()> {
    let failed = failed(layout);
    schema::create(conn).map_err(&failed)?;
    schema::configure(conn).map_err(&failed)?;
    let tx = conn.transaction().map_err(&failed)?;
    if let Some(mark) = mark {
        tx.execute("INSERT INTO meta (name, value) VALUES ('mark', ?1)", [mark]).map_err(&failed)?;
    }
    catalogue::add_segments(&tx, layout, notices, catalogue::Scope::Everything)?;
    add_actions(&tx, layout, notices)?;
    tx.commit().map_err(&failed)
}

/// Adds a row for each record that has none; damaged records are reported and left out.
fn add_actions(tx: &Transaction<'_>, layout: &Layout, notices: &Notices) -> Result<()> {
    let failed = failed(layout);
    let mut known = tx.prepare("SELECT key FROM actions WHERE key >= ?1 AND key < ?2").map_err(&failed)?;
    let mut insert = tx.prepare("INSERT OR REPLACE INTO actions (key, body) VALUES (?1, ?2)").map_err(&failed)?;
    for shard in 0..=255u8 {
        let names = match layout.shard(Tree::Actions, shard).and_then(|folder| folder.names()) {
            Err(error) if error.is_not_found() => continue,
            other => other?,
        };
        if names.is_empty() {
            continue;
        }
        // The first byte of the key selects the directory: a range of the table.
        let below = if shard == 255 { vec![255; 33] } else { vec![shard + 1] };
        let rows: std::collections::HashSet<Vec<u8>> = known
            .query_map(rusqlite::params![vec![shard], below], |row| row.get(0))
            .and_then(Iterator::collect)
            .map_err(&failed)?;
        let keys: Vec<ActionKey> = names
            .iter()
            .filter_map(|name| digest_at(shard, name))
            .filter(|digest| !rows.contains(digest.as_bytes().as_slice()))
            .map(ActionKey::new)
            .collect();
        let read: Result<Vec<Option<ActionRow>>> = keys
            .into_par_iter()
            .map(|key| Ok(records::read(layout, notices, &key)?.as_ref().map(ActionRow::from)))
            .collect();
        for row in read?.into_iter().flatten() {
            insert.execute(rusqlite::params![row.key.digest().as_bytes(), row.to_bytes()]).map_err(&failed)?;
        }
    }
    Ok(())
}

fn failed(layout: &Layout) -> impl Fn(rusqlite::Error) -> StoreError + Sync + '_ {
    move |source| StoreError::Index { op: "rebuild", path: layout.index_path(), source }
}
