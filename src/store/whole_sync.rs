//! One sync of a whole file system in place of one for each file of a large group.

use std::sync::{Mutex, PoisonError};

use super::StoreError;
use super::folder::Folder;

/// Is how many files a group has at least that is made durable by syncing the file system.
const MIN_FILES: usize = 16;
/// Is how many bytes of other people's may wait to be written then: they are waited for too.
const OTHERS: u64 = 64 << 20;
/// Is the first Linux whose `syncfs` reports whatever went wrong: lost bytes since 5.8, and a journal that was not written
/// since this one.
#[cfg(target_os = "linux")]
const TELLS_ALL: (u32, u32) = (5, 17);

/// Syncs the file system that a store is on.
///
/// That is several times cheaper for many files than syncing each, and it waits for all that anybody has written there:
/// it is done only for large groups, while little else waits, and where its errors can be trusted.
#[derive(Debug)]
pub(super) struct WholeSync {
    is_possible: bool,
    /// Whether it failed once. An error is told once for each open file, and all the groups of a process ask through the
    /// same: from then on each file is synced by itself, and tells its own.
    has_failed: Mutex<bool>,
}

impl WholeSync {
    /// Looks at the file system that a directory is on.
    pub(super) fn of(root: &Folder) -> Self {
        Self { is_possible: is_possible(root), has_failed: Mutex::new(false) }
    }

    /// Says whether a group of so many files, with so many bytes, had better be made durable this way.
    pub(super) fn is_better(&self, files: usize, bytes: u64) -> bool {
        self.is_possible
            && files >= MIN_FILES
            && !*self.has_failed.lock().unwrap_or_else(PoisonError::into_inner)
            && waiting().is_some_and(|waiting| waiting <= bytes.saturating_add(OTHERS))
    }

    /// Makes everything durable that was written so far to the file system of the store's directory. `root` must have been
    /// open since before that was written; a failure is final.
    pub(super) fn sync(&self, root: &Folder) -> Result<(), StoreError> {
        // One at a time: a group whose error was told to another must not go on.
        let mut has_failed = self.has_failed.lock().unwrap_or_else(PoisonError::into_inner);
        if *has_failed {
            return Err(StoreError::io("sync the file system of", root.path())(std::io::Error::other(
                "an earlier sync of it has failed",
            )));
        }
        let synced = root.sync_file_system();
        *has_failed = synced.is_err();
        synced
    }
}

#[cfg(target_os = "linux")]
fn is_possible(root: &Folder) -> bool {
    let release = rustix::system::uname();
    super::place::syncs_as_one(root)
        && release.release().to_str().ok().and_then(version).is_some_and(|version| version >= TELLS_ALL)
}

#[cfg(not(target_os = "linux"))]
fn is_possible(_: &Folder) -> bool {
    false
}

/// Reads the first two numbers of a kernel's release, such as `6.1.0-9-amd64`.
#[cfg(target_os = "linux")]
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Returns how many bytes wait to be written to any disk of this machine.
fn waiting() -> Option<u64> {
    kilobytes(&std::fs::read_to_string("/proc/meminfo").ok()?).map(|kilobytes| kilobytes.saturating_mul(1024))
}

/// Adds up what `/proc/meminfo` says of bytes that are to be written and of those that are being written.
fn kilobytes(meminfo: &str) -> Option<u64> {
    let of = |name: &str| {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    Some(of("Dirty:")?.saturating_add(of("Writeback:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_read_from_the_system() {
        let meminfo =
            "MemTotal:  8 kB\nDirty:             14064 kB\nWriteback:             6 kB\nWritebackTmp:   0 kB\n";
        assert_eq!(kilobytes(meminfo), Some(14_070));
        assert_eq!(kilobytes("Dirty:  1 kB\nWritebackTmp:  5 kB\n"), None);
        assert_eq!(kilobytes("Dirty:  many kB\nWriteback:  5 kB\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_release_begins_with_its_version() {
        assert_eq!(version("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(version("5.4+"), Some((5, 4)));
        assert!(version("4.4.0") < Some(TELLS_ALL) && version("5.17") >= Some(TELLS_ALL));
        assert_eq!(version("next"), None);
    }

    #[test]
    fn small_groups_and_those_after_a_failure_are_synced_file_by_file() {
        let sync = WholeSync { is_possible: true, has_failed: Mutex::new(false) };
        assert!(!sync.is_better(MIN_FILES - 1, u64::MAX));
        assert_eq!(sync.is_better(MIN_FILES, u64::MAX), waiting().is_some());
        *sync.has_failed.lock().unwrap() = true;
        assert!(!sync.is_better(MIN_FILES, u64::MAX));
        let temp = tempfile::tempdir().unwrap();
        let root = Folder::open_root(camino::Utf8Path::from_path(temp.path()).unwrap()).unwrap();
        let error = sync.sync(&root).unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("earlier sync"));
    }
}
