//! What sessions relied on, kept for some collections after they ended: what no run names yet is not garbage at once.
//!
//! Collections are counted, in `locks/gc`; no clock is asked. The entries of a session that ends move to
//! `grace/<count>-<session>`, and every collection honours those of the last counts.

use std::os::unix::fs::FileExt as _;

use super::StoreError;
use super::folder::Folder;
use super::holds::GC;
use super::layout::{Layout, is_name};

type Result<T> = std::result::Result<T, StoreError>;

/// Is the directory's name.
pub(super) const GRACE: &str = "grace";
/// Is the length of a count as it stands in `locks/gc`.
const DIGITS: usize = 20;

/// Returns how many collections there have been.
pub(super) fn count(layout: &Layout) -> Result<u64> {
    let locks = match layout.root().folder("locks") {
        Err(error) if error.is_not_found() => return Ok(0),
        other => other?,
    };
    let file = match locks.open(GC) {
        Ok((file, _)) => file,
        Err(error) if error.is_not_found() => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut digits = [0; DIGITS];
    let n = super::folder::read_at(&file, &mut digits, 0, locks.path())?;
    // What does not read is no count: then everything is younger than the last collection.
    Ok(str::from_utf8(&digits[..n]).ok().and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Counts one more collection. The file keeps its length, so that a full disk does not stand in the way.
pub(super) fn advance(layout: &Layout, from: u64) -> Result<()> {
    let locks = layout.root().folder("locks")?;
    let (file, _) = locks.open_or_create(GC)?;
    let text = format!("{:0DIGITS$}", from.saturating_add(1));
    file.write_all_at(text.as_bytes(), 0).map_err(StoreError::io("write", locks.path().join(GC)))
}

/// Ends a session's file: its entries are honoured for some collections more. An empty file just goes.
pub(super) fn retire(layout: &Layout, id: &str) -> Result<()> {
    let sessions = layout.sessions()?;
    if sessions.stat(id)?.is_none_or(|stat| stat.st_size == 0) {
        return sessions.unlink(id);
    }
    let moved = count(layout).and_then(|count| {
        layout.root().make(GRACE)?;
        sessions.rename(id, &layout.root().folder(GRACE)?, &format!("{count:010}-{id}"))
    });
    // On a full disk there may be no place for a name; then there is no grace either.
    moved.or_else(|_| sessions.unlink(id))
}

/// Opens the directory; `None` where no session has left anything.
pub(super) fn folder(layout: &Layout) -> Result<Option<Folder>> {
    match layout.root().folder(GRACE) {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells in which count the session of a file ended; `None` for what is not ours.
fn count_of(name: &str) -> Option<u64> {
    let (count, session) = name.split_once('-')?;
    is_name(session).then(|| count.parse().ok()).flatten()
}

/// Lists the files, each with its count.
pub(super) fn files(folder: &Folder) -> Result<Vec<(String, u64)>> {
    let names = folder.names()?;
    Ok(names.into_iter().filter_map(|name| count_of(&name).map(|count| (name, count))).collect())
}
