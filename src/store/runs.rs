use super::folder::{Folder, read_whole};
use super::layout::{Layout, is_name};
use super::{Notices, StoreError};
use crate::digest::Digest;

/// Is the record of a run as the store keeps it: text of the run layer's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRun {
    /// The run's id.
    pub id: String,
    /// Its record.
    pub text: String,
}

/// Is the length of the last line of a run's file: the text form of the hash of all before it.
const SUM_LEN: usize = 7 + 64 + 1;

/// Encodes a run's record: the text, a newline, and the hash of both on a line of its own.
fn encode(text: &str) -> Vec<u8> {
    let mut bytes = format!("{text}\n").into_bytes();
    let line = format!("{}\n", Digest::of(&bytes));
    bytes.extend_from_slice(line.as_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<String> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM_LEN)?)?;
    if sum != format!("{}\n", Digest::of(body)).as_bytes() {
        return None;
    }
    String::from_utf8(body.strip_suffix(b"\n")?.to_vec()).ok()
}

fn folder(layout: &Layout) -> Result<Option<Folder>, StoreError> {
    match layout.root().folder("runs") {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn named(id: &str) -> Result<&str, StoreError> {
    if is_name(id) { Ok(id) } else { Err(StoreError::BadName { what: "run", name: id.to_owned() }) }
}

/// Reads a run's record; `None` where there is none.
pub(super) fn read(layout: &Layout, id: &str) -> Result<Option<StoredRun>, StoreError> {
    let Some(folder) = folder(layout)? else { return Ok(None) };
    let (file, stat) = match folder.open(named(id)?) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let bytes = read_whole(&file, stat.st_size as u64, &folder.path().join(id))?;
    match decode(&bytes) {
        Some(text) => Ok(Some(StoredRun { id: id.to_owned(), text })),
        None => Err(StoreError::Corrupt { what: "run record", id: id.to_owned() }),
    }
}

/// Lists the names of all records, sorted.
pub(super) fn names(layout: &Layout) -> Result<Vec<String>, StoreError> {
    let names = folder(layout)?.map_or(Ok(Vec::new()), |folder| folder.names())?;
    Ok(names.into_iter().filter(|name| is_name(name)).collect())
}

/// Reads every run's record, sorted by id; damaged ones are reported and left out.
pub(super) fn all(layout: &Layout, notices: &Notices) -> Result<Vec<StoredRun>, StoreError> {
    let mut runs = Vec::new();
    for name in names(layout)? {
        match read(layout, &name) {
            Ok(run) => runs.extend(run),
            Err(error @ (StoreError::Corrupt { .. } | StoreError::NotRegular { .. })) => notices.add(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(runs)
}

/// Writes a run's record in place of what it was, whole and durable.
pub(super) fn write(layout: &Layout, id: &str, text: &str, tmp_name: &str) -> Result<(), StoreError> {
    let folder = layout.root().folder("runs")?;
    folder.write_atomic(named(id)?, &encode(text), layout.tmp()?, tmp_name, folder.written_to())
}

/// Removes a run's record.
pub(super) fn remove(layout: &Layout, id: &str) -> Result<(), StoreError> {
    let folder = layout.root().folder("runs")?;
    folder.unlink(named(id)?)?;
    folder.sync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_reads_back_and_no_flipped_bit_does() {
        let good = encode("{\"state\":\"running\"}");
        assert_eq!(decode(&good).as_deref(), Some("{\"state\":\"running\"}"));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bad), None, "bit {bit}");
        }
    }
}
