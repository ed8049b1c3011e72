use std::os::unix::fs::MetadataExt as _;

use camino::Utf8Path;

use crate::digest::{BlobId, Value};
use crate::store::Store;

/// Is the program that runs, so that two with different code are never taken for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// What the file system says of its file: device, inode, size, and the times of the last change of content and of
    /// metadata, seconds and nanoseconds.
    File([i64; 7]),
    /// Its bytes.
    Bytes(BlobId),
}

/// Leads to the file that was started, even where another has taken its name since.
const RUNNING: &str = "/proc/self/exe";
/// Lists what is mapped into memory, and from which files.
const MAPPED: &str = "/proc/self/maps";

impl Program {
    /// Looks at the running program; by its bytes where times are not to be believed. `None` where it cannot be told.
    pub fn running(store: &Store, believe_times: bool) -> Option<Self> {
        if !is_in(
            &std::fs::read_to_string(MAPPED).ok()?,
            is_in as *const () as usize,
            std::fs::read_link(RUNNING).ok()?.to_str()?,
        ) {
            return None;
        }
        if !believe_times {
            return store.hash_file(Utf8Path::new(RUNNING), false).ok().map(|(blob, _)| Self::Bytes(blob));
        }
        let meta = std::fs::metadata(RUNNING).ok().filter(std::fs::Metadata::is_file)?;
        let (dev, ino, size) = (meta.dev() as i64, meta.ino() as i64, meta.size() as i64);
        let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
        Some(Self::File([dev, ino, size, times[0], times[1], times[2], times[3]]))
    }

    /// Says whether no other program can come to look like this one: a file that was written this very moment may be
    /// written once more within the same tick of the clock.
    pub fn is_certain(&self, store: &Store) -> bool {
        match self {
            Self::File(_) => store.is_settled(Utf8Path::new(RUNNING)).unwrap_or(false),
            Self::Bytes(_) => true,
        }
    }

    /// Returns it as part of a key.
    pub fn value(&self) -> Value {
        match self {
            Self::File(facts) => Value::List(facts.iter().map(|fact| Value::Int(*fact)).collect()),
            Self::Bytes(blob) => Value::Digest(*blob.digest()),
        }
    }
}

/// Tells whether an address of this very code was mapped from that file. Where a loader or an emulator was started to run it,
/// the file that was started is theirs, and the same for every program.
fn is_in(mapped: &str, address: usize, file: &str) -> bool {
    mapped.lines().any(|line| {
        // start-end, permissions, offset, device, inode, and a path that may hold blanks.
        let mut fields = line.splitn(6, ' ');
        let number = |text: &str| usize::from_str_radix(text, 16).ok();
        let range = fields.next().and_then(|range| range.split_once('-'));
        let range = range.and_then(|(start, end)| Some(number(start)?..number(end)?));
        range.is_some_and(|range| range.contains(&address))
            && fields.nth(4).is_some_and(|path| path.trim_start_matches(' ') == file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_in_the_file_that_it_was_mapped_from() {
        let mapped = "1000-2000 r--p 00000000 fe:00 326279                     /usr/bin/my exp\n\
                      2000-5000 r-xp 00001000 fe:00 326279                     /usr/bin/my exp\n\
                      7000-8000 rw-p 00000000 00:00 0 \n\
                      7f00-8000 r-xp 00000000 fe:00 5                          /lib/ld.so (deleted)\n";
        for (address, file, expected) in [
            (0x2000, "/usr/bin/my exp", true),
            (0x4fff, "/usr/bin/my exp", true),
            (0x5000, "/usr/bin/my exp", false),
            (0x2000, "/lib/ld.so", false),
            (0x7f00, "/lib/ld.so", false),
            (0x7f00, "/lib/ld.so (deleted)", true),
            (0x7000, "/usr/bin/my exp", false),
        ] {
            assert_eq!(is_in(mapped, address, file), expected, "{address:x} {file}");
        }
        let maps = std::fs::read_to_string(MAPPED).unwrap_or_default();
        let own = std::env::current_exe().unwrap();
        assert_eq!(is_in(&maps, is_in as *const () as usize, own.to_str().unwrap()), !maps.is_empty());
    }
}
