use std::collections::HashMap;
use std::fs::File;
use std::sync::{Mutex, OnceLock, PoisonError};

use camino::Utf8Path;
use rusqlite::{OptionalExtension as _, params};
use rustix::fs::{FileType, Mode, OFlags, Stat};

use super::index::Index;
use super::layout::Layout;
use super::row::checksum;
use super::{StoreError, session};
use crate::digest::{BlobId, Digest, StreamHasher};

type Result<T> = std::result::Result<T, StoreError>;

/// Remembers the hashes of input files by what the file system says of them: device, inode, size, and the times of the
/// last change of content and of metadata, in nanoseconds.
///
/// An entry is relied on only if the file had last changed before the tick of the clock in which it began to be hashed: a
/// later change then shows in its times. The clock is the file system's own, read off a file made for that.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    fresh: Mutex<HashMap<(u64, u64), Entry>>,
    tick: OnceLock<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    size: u64,
    changed: i64,
    mtime: i64,
    began: i64,
    blob: BlobId,
}

const BODY: usize = 64;

impl Entry {
    fn to_bytes(self, file: (u64, u64)) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BODY + 16);
        bytes.extend_from_slice(&self.size.to_le_bytes());
        for time in [self.changed, self.mtime, self.began] {
            bytes.extend_from_slice(&time.to_le_bytes());
        }
        bytes.extend_from_slice(self.blob.digest().as_bytes());
        let sum = checksum(&name(file), &bytes);
        bytes.extend_from_slice(&sum);
        bytes
    }

    fn from_bytes(file: (u64, u64), bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(BODY)?;
        if sum != checksum(&name(file), body) {
            return None;
        }
        let number = |i: usize| body[i * 8..i * 8 + 8].try_into().map(u64::from_le_bytes).ok();
        let blob = BlobId::new(Digest::from_bytes(body[32..].try_into().ok()?));
        let time = |i: usize| number(i).map(|n| n as i64);
        Some(Self { size: number(0)?, changed: time(1)?, mtime: time(2)?, began: time(3)?, blob })
    }

    /// Tells whether a change after hashing would show.
    fn is_settled(&self) -> bool {
        let last = self.changed.max(self.mtime);
        // A file system that keeps whole seconds (or pairs of them) hides a change for as long.
        let coarse = self.changed % 1_000_000_000 == 0 || self.mtime % 1_000_000_000 == 0 && self.mtime == self.changed;
        last < self.began.saturating_sub(if coarse { 2_000_000_000 } else { 0 })
    }

    fn is_of(&self, stat: &Stat) -> bool {
        (self.size, self.changed, self.mtime) == (stat.st_size as u64, changed(stat), modified(stat))
    }
}

/// Checks the checksum of every row; returns how many there are, and what is wrong.
pub(super) fn check_rows(conn: &rusqlite::Connection) -> rusqlite::Result<(u64, Vec<&'static str>)> {
    let (mut count, mut bad) = (0, Vec::new());
    let mut all = conn.prepare("SELECT dev, ino, body FROM inputs")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        count += 1;
        let file = (row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64);
        if Entry::from_bytes(file, row.get_ref(2)?.as_blob()?).is_none() {
            bad.push("the row of an input file");
        }
    }
    Ok((count, bad))
}

fn name((dev, ino): (u64, u64)) -> [u8; 16] {
    (u128::from(dev) << 64 | u128::from(ino)).to_le_bytes()
}

fn changed(stat: &Stat) -> i64 {
    nanoseconds(stat.st_ctime, stat.st_ctime_nsec as i64)
}

fn modified(stat: &Stat) -> i64 {
    nanoseconds(stat.st_mtime, stat.st_mtime_nsec as i64)
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

fn file_of(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn same(a: &Stat, b: &Stat) -> bool {
    let of = |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_size, changed(stat), modified(stat));
    of(a) == of(b)
}

/// Opens an input file, which must be a regular file; neither a pipe nor a device is waited for.
pub(super) fn open(path: &Utf8Path) -> Result<(File, Stat)> {
    let failed = |op| move |errno: rustix::io::Errno| StoreError::io(op, path)(errno.into());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    // Looked at first: merely opening some devices does something.
    let stat = rustix::fs::stat(path.as_std_path()).map_err(failed("open"))?;
    let regular = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !regular(&stat) {
        return Err(StoreError::NotRegular { path: path.to_owned() });
    }
    let fd = rustix::fs::open(path.as_std_path(), flags, Mode::empty()).map_err(failed("open"))?;
    let stat = rustix::fs::fstat(&fd).map_err(failed("look at"))?;
    if !regular(&stat) {
        return Err(StoreError::NotRegular { path: path.to_owned() });
    }
    Ok((File::from(fd), stat))
}

/// Hashes a file that must not change meanwhile; a change is given one more chance.
fn hash_steady(path: &Utf8Path) -> Result<(BlobId, u64, Stat)> {
    for _ in 0..2 {
        let (file, before) = open(path)?;
        let (digest, size) = StreamHasher::read_all(&file).map_err(StoreError::io("read", path))?;
        let after = rustix::fs::fstat(&file).map_err(|e| StoreError::io("look at", path)(e.into()))?;
        if same(&before, &after) && size == before.st_size as u64 {
            return Ok((BlobId::new(digest), size, before));
        }
    }
    Err(StoreError::ChangedWhileRead { path: path.to_owned() })
}

impl Inputs {
    /// Hashes a file, or remembers its hash.
    pub(super) fn hash(&self, path: &Utf8Path, remember: Option<(&Layout, &Index)>) -> Result<(BlobId, u64)> {
        let Some((layout, index)) = remember else {
            let (blob, size, _) = hash_steady(path)?;
            return Ok((blob, size));
        };
        let stat = rustix::fs::stat(path.as_std_path()).map_err(|e| StoreError::io("open", path)(e.into()))?;
        if let Some(entry) = self.find(index, &stat)?.filter(|entry| entry.is_of(&stat) && entry.is_settled()) {
            return Ok((entry.blob, entry.size));
        }
        let began = if layout.writable() { Some(self.tick(layout)?) } else { None };
        let (blob, size, stat) = hash_steady(path)?;
        if let Some(began) = began {
            let entry = Entry { size, changed: changed(&stat), mtime: modified(&stat), began, blob };
            if entry.is_settled() {
                self.fresh().insert(file_of(&stat), entry);
            }
        }
        Ok((blob, size))
    }

    /// Tells whether a file's last change lies so far back that a later one would show in its times.
    pub(super) fn is_settled(&self, path: &Utf8Path, layout: &Layout) -> Result<bool> {
        let began = self.tick(layout)?;
        let stat = rustix::fs::stat(path.as_std_path()).map_err(|e| StoreError::io("look at", path)(e.into()))?;
        let (changed, mtime, size) = (changed(&stat), modified(&stat), stat.st_size as u64);
        Ok(Entry { size, changed, mtime, began, blob: BlobId::of(b"") }.is_settled())
    }

    /// Tells whether something was hashed that is worth remembering.
    pub(super) fn has_fresh(&self) -> bool {
        !self.fresh().is_empty()
    }

    fn fresh(&self) -> std::sync::MutexGuard<'_, HashMap<(u64, u64), Entry>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, index: &Index, stat: &Stat) -> Result<Option<Entry>> {
        let file = file_of(stat);
        if let Some(entry) = self.fresh().get(&file) {
            return Ok(Some(*entry));
        }
        let body: Option<Vec<u8>> = index.read("read", |conn| {
            conn.prepare_cached("SELECT body FROM inputs WHERE dev = ?1 AND ino = ?2")?
                .query_row(params![file.0 as i64, file.1 as i64], |row| row.get(0))
                .optional()
        })?;
        Ok(body.and_then(|body| Entry::from_bytes(file, &body)))
    }

    /// Returns the file system's time from before anything was hashed here.
    fn tick(&self, layout: &Layout) -> Result<i64> {
        if let Some(tick) = self.tick.get() {
            return Ok(*tick);
        }
        let tmp = layout.tmp()?;
        let name = format!("{}-tick", session::nonce());
        let file = tmp.create_new(&name)?;
        tmp.unlink(&name)?;
        let stat = rustix::fs::fstat(&file).map_err(|e| StoreError::io("look at", tmp.path().join(&name))(e.into()))?;
        Ok(*self.tick.get_or_init(|| changed(&stat).min(modified(&stat))))
    }

    /// Writes the new entries, if there are any.
    pub(super) fn flush(&self, index: &Index) -> Result<()> {
        let fresh = std::mem::take(&mut *self.fresh());
        if fresh.is_empty() {
            return Ok(());
        }
        index.write(|tx| {
            let write = || {
                let mut insert =
                    tx.prepare_cached("INSERT OR REPLACE INTO inputs (dev, ino, body) VALUES (?1, ?2, ?3)")?;
                for (file, entry) in &fresh {
                    insert.execute(params![file.0 as i64, file.1 as i64, entry.to_bytes(*file)])?;
                }
                Ok(())
            };
            write().map_err(index.failed("write to"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000_000;

    fn entry(changed: i64, mtime: i64, began: i64) -> Entry {
        Entry { size: 3, changed, mtime, began, blob: BlobId::of(b"x") }
    }

    proptest! {
        #[test]
        fn an_entry_reads_back_for_its_own_file_and_no_flip_does(
            size in any::<u64>(), times in any::<(i64, i64, i64)>(), file in any::<(u64, u64)>(), bit in 0usize..80 * 8,
        ) {
            let entry = Entry { size, changed: times.0, mtime: times.1, began: times.2, blob: BlobId::of(b"x") };
            let mut bytes = entry.to_bytes(file);
            prop_assert_eq!(Entry::from_bytes(file, &bytes), Some(entry));
            prop_assert_eq!(Entry::from_bytes((file.0, file.1 ^ 1), &bytes), None);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Entry::from_bytes(file, &bytes), None);
        }
    }

    #[test]
    fn an_entry_made_in_the_tick_of_a_change_is_not_relied_on() {
        let t = 100 * SECOND + 5;
        assert!(entry(t, t, t + 1).is_settled());
        assert!(!entry(t, t, t).is_settled());
        assert!(!entry(t - 9, t, t).is_settled());
        assert!(!entry(t, t - 9, t).is_settled());
    }

    #[test]
    fn an_entry_answers_for_its_file_until_the_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let store = crate::store::Store::open(&dir.join("store"), crate::store::Access::ReadWrite).unwrap();
        let input = dir.join("input");
        std::fs::write(&input, "abc").unwrap();
        let stat = rustix::fs::stat(input.as_std_path()).unwrap();
        let planted = Entry { began: i64::MAX, ..entry(changed(&stat), modified(&stat), 0) };
        store.opened().unwrap().inputs.fresh().insert(file_of(&stat), planted);
        assert_eq!(store.hash_file(&input, true).unwrap(), (BlobId::of(b"x"), 3));
        assert_eq!(store.hash_file(&input, false).unwrap(), (BlobId::of(b"abc"), 3));
        store.session().unwrap().flush_stat_cache().unwrap();
        assert!(store.opened().unwrap().inputs.fresh().is_empty());
        assert_eq!(store.hash_file(&input, true).unwrap(), (BlobId::of(b"x"), 3));
        let file = std::fs::File::options().write(true).open(&input).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(store.hash_file(&input, true).unwrap(), (BlobId::of(b"abc"), 3));
    }

    #[test]
    fn whole_seconds_hide_more() {
        let t = 100 * SECOND;
        assert!(!entry(t, t, t + SECOND).is_settled());
        assert!(entry(t, t, t + 2 * SECOND + 1).is_settled());
    }
}
