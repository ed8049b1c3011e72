use std::fs::File;
use std::sync::Arc;

use super::folder::Folder;
use super::layout::{Layout, is_name};
use super::{Store, StoreError, catalogue, grace, session};

/// Cleans up after sessions that ended without doing so: brings the index up to date with what they recorded, mends the
/// end of their draw logs, voids their claims, and removes their temporary files; their own files go last.
///
/// Returns the lock under which this was done. A new session registers under it, so that no sweep takes it for a dead one
/// before it has locked its file.
pub(super) fn run(store: &Store, layout: &Arc<Layout>) -> Result<File, StoreError> {
    let lock = layout.lock("sweep")?;
    let sessions = layout.sessions()?;
    let mut dead = Vec::new();
    for id in sessions.names()? {
        if is_name(&id) && !session::is_alive(layout, &id)? {
            dead.push(id);
        }
    }
    if !dead.is_empty() {
        let index = &store.opened()?.index;
        index.reconcile()?;
        index.write(|tx| {
            dead.iter().try_for_each(|id| catalogue::drop_claims(tx, id)).map_err(index.failed("write to"))
        })?;
    }
    sweep_tmp(layout)?;
    for id in dead {
        grace::retire(layout, &id)?;
    }
    Ok(lock)
}

/// Removes temporary files whose session is gone, and those of an index or a repair that was never finished.
fn sweep_tmp(layout: &Layout) -> Result<(), StoreError> {
    let tmp = layout.tmp()?;
    abandoned(layout)?.iter().try_for_each(|name| tmp.unlink(name))
}

/// Lists those files. Nothing is written.
pub(super) fn abandoned(layout: &Layout) -> Result<Vec<String>, StoreError> {
    let mut names = match layout.tmp().and_then(Folder::names) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        other => other?,
    };
    if names.is_empty() {
        return Ok(names);
    }
    let index_lock = match layout.root().folder("locks").and_then(|locks| locks.open("index")) {
        Ok((file, _)) => Some(file),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error),
    };
    let mut alive = Vec::new();
    for name in &names {
        let owner = name.split('-').next().unwrap_or_default();
        let is_alive = match owner {
            // Whoever writes one of these holds the index's lock.
            "index" | "cut" => index_lock.as_ref().is_some_and(|lock| lock.try_lock().is_err()),
            _ => session::is_alive(layout, owner)?,
        };
        if is_alive {
            alive.push(name.clone());
        }
    }
    names.retain(|name| !alive.contains(name));
    Ok(names)
}
