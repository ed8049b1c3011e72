//! Who may write to the index of a store on a network file system.

use std::fs::{File, TryLockError};

use super::layout::{Layout, is_name};
use super::{StoreError, session};

/// Is the file beside such an index that holds the name of this machine's, or user's, cache.
const NAME: &str = "machine";
/// Is how the files in `locks/` begin that say who is at work.
const LOCK: &str = "machine-";

/// Sees to it that no other machine writes to a store whose index is not kept in it, for as long as the file is held that is
/// returned: each has an index of its own, which knows nothing of what another claims. `None` where the index is in the store.
///
/// Each holds a lock of its own and then looks at those of the others, so that of two that come at once at most one goes on.
pub(super) fn alone(layout: &Layout) -> Result<Option<File>, StoreError> {
    if !layout.index_is_away() {
        return Ok(None);
    }
    let own = format!("{LOCK}{}", name(layout)?);
    let locks = layout.root().folder("locks")?;
    let (held, _) = locks.open_or_create(&own)?;
    held.lock_shared().map_err(StoreError::io("lock", locks.path().join(&own)))?;
    for other in locks.names()?.iter().filter(|other| other.starts_with(LOCK) && **other != own) {
        let (file, _) = locks.open_write(other)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = format!(
                    "another machine, or another user, is at work on `{}`, which is on a network file system: such a store \
                     takes one at a time; wait until that has ended",
                    layout.dir()
                );
                return Err(StoreError::Unfit { why });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", locks.path().join(other))(error)),
        }
    }
    Ok(Some(held))
}

/// Reads the name that stands beside the index, and makes one where there is none.
fn name(layout: &Layout) -> Result<String, StoreError> {
    let home = layout.index_home();
    let path = home.path().join(NAME);
    let (file, stat) = home.open_or_create(NAME)?;
    file.lock().map_err(StoreError::io("lock", &path))?;
    let known = super::folder::read_whole(&file, stat.st_size as u64, &path)?;
    if let Some(known) = String::from_utf8(known).ok().filter(|known| is_name(known)) {
        return Ok(known);
    }
    let name = session::nonce();
    super::folder::write_whole(&file, name.as_bytes(), &path)?;
    Ok(name)
}
