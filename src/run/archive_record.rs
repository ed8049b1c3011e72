//! The text of an action's record as it stands in an archive: byte for byte the file of the store.

use crate::digest::{ActionKey, Digest};
use crate::store::ActionRecord;

const SELF_OPEN: &str = ",\"self\":\"";
const SELF_CLOSE: &str = "\"}\n";

/// Writes a record: its JSON in one line, and in a last field `self` the hash of the line as it stands without it.
pub(super) fn record_text(record: &ActionRecord) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string(record)?;
    let hash = Digest::of(text.as_bytes());
    text.pop();
    Ok(text + SELF_OPEN + &hash.to_string() + SELF_CLOSE)
}

/// Reads a record; `Err` says why it is not that of `key`.
pub(super) fn read_record(text: &str, key: &ActionKey) -> Result<ActionRecord, String> {
    let (body, _) = text.rsplit_once(SELF_OPEN).ok_or("it has no hash of its own")?;
    let record: ActionRecord = serde_json::from_str(&format!("{body}}}")).map_err(|error| error.to_string())?;
    if record_text(&record).is_ok_and(|written| written == text) {
        if record.key == *key { Ok(record) } else { Err(format!("it is the record of {}", record.key)) }
    } else {
        Err("its own hash does not match".to_owned())
    }
}
