//! Which runs are pinned: no garbage collection lets them go. A pin is an empty file under the run's name.

use super::StoreError;
use super::folder::Folder;
use super::layout::{Layout, is_name};

type Result<T> = std::result::Result<T, StoreError>;

const PINS: &str = "pins";

fn folder(layout: &Layout) -> Result<Option<Folder>> {
    match layout.root().folder(PINS) {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn named(id: &str) -> Result<&str> {
    if is_name(id) { Ok(id) } else { Err(StoreError::BadName { what: "run", name: id.to_owned() }) }
}

/// Lists the pinned runs, sorted.
pub(super) fn all(layout: &Layout) -> Result<Vec<String>> {
    let names = folder(layout)?.map_or(Ok(Vec::new()), |folder| folder.names())?;
    Ok(names.into_iter().filter(|name| is_name(name)).collect())
}

/// Pins a run, durably; says whether it was not pinned before.
pub(super) fn pin(layout: &Layout, id: &str) -> Result<bool> {
    layout.require_writable()?;
    layout.root().make(PINS)?;
    layout.root().sync()?;
    let folder = layout.root().folder(PINS)?;
    if folder.stat(named(id)?)?.is_some() {
        return Ok(false);
    }
    let (file, _) = folder.open_or_create(id)?;
    file.sync_all().map_err(StoreError::io("sync", folder.path().join(id)))?;
    folder.sync()?;
    Ok(true)
}

/// Takes a pin away, durably; says whether there was one.
pub(super) fn unpin(layout: &Layout, id: &str) -> Result<bool> {
    layout.require_writable()?;
    let Some(folder) = folder(layout)? else { return Ok(false) };
    if folder.stat(named(id)?)?.is_none() {
        return Ok(false);
    }
    folder.unlink(id)?;
    folder.sync()?;
    Ok(true)
}
