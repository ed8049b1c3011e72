use super::folder::read_whole;
use super::layout::{Layout, Tree, place, shown_path};
use super::notices::Notices;
use super::{ActionRecord, StoreError};
use crate::digest::ActionKey;

/// Reads an action's record from its file; `None` where there is none, or where it is damaged, which is reported.
pub(super) fn read(layout: &Layout, notices: &Notices, key: &ActionKey) -> Result<Option<ActionRecord>, StoreError> {
    let (byte, name) = place(key.digest());
    let shown = || shown_path(layout.dir(), Tree::Actions, key.digest());
    let opened = layout.shard(Tree::Actions, byte).and_then(|shard| shard.open(&name));
    let (file, stat) = match opened {
        Ok(opened) => opened,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(StoreError::NotRegular { path }) => {
            notices.add(format!("`{path}` is not a record"));
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let bytes = read_whole(&file, stat.st_size as u64, &shown())?;
    let record = ActionRecord::from_bytes(&bytes, key);
    if record.is_none() {
        notices.add(format!("the record of action {key} is damaged: {}", shown()));
    }
    Ok(record)
}
