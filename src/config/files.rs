use std::cell::Cell;
use std::io::{Error, ErrorKind};

use camino::Utf8Path;
use rustix::io::Errno;

/// Says what stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file of this many bytes.
    File(u64),
    /// A directory.
    Directory,
    /// A device, pipe or socket: never opened.
    Other,
    /// Nothing.
    Missing,
    /// It cannot be told, for this reason.
    Unreadable(String),
}

/// Gives the loader its only sight of the file system.
pub trait Files {
    /// Says what stands at a path, symbolic links followed, without opening it.
    fn kind(&self, path: &Utf8Path) -> FileKind;

    /// Reads a regular file; the error is the reason in words.
    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, String>;
}

/// Looks at the real file system.
#[derive(Debug, Default)]
pub struct Disk {
    has_failed: Cell<bool>,
}

impl Disk {
    /// Says whether something could not be read for a reason that lies in the machine, and not in what was written.
    pub fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    fn note(&self, error: &Error) -> String {
        if lies_in_the_machine(error) {
            self.has_failed.set(true);
        }
        error.to_string()
    }
}

/// Says whether a file cannot be read for a reason that nobody who writes paths or files can mend: a disk that fails or is full,
/// or a process without descriptors or memory.
pub fn lies_in_the_machine(error: &Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::IO | Errno::MFILE | Errno::NFILE | Errno::NOSPC | Errno::DQUOT | Errno::NOMEM | Errno::STALE)
    )
}

impl Files for Disk {
    fn kind(&self, path: &Utf8Path) -> FileKind {
        match std::fs::metadata(path) {
            Ok(data) if data.is_dir() => FileKind::Directory,
            Ok(data) if data.is_file() => FileKind::File(data.len()),
            Ok(_) => FileKind::Other,
            Err(error) if error.kind() == ErrorKind::NotFound => FileKind::Missing,
            Err(error) => FileKind::Unreadable(self.note(&error)),
        }
    }

    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|error| self.note(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_fails_at_is_told_apart() {
        for errno in [Errno::IO, Errno::MFILE, Errno::NOSPC, Errno::DQUOT] {
            assert!(lies_in_the_machine(&errno.into()), "{errno}");
        }
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::ISDIR, Errno::LOOP, Errno::NAMETOOLONG] {
            assert!(!lies_in_the_machine(&errno.into()), "{errno}");
        }
        let disk = Disk::default();
        assert!(disk.read(Utf8Path::new("/nowhere/at/all")).is_err() && !disk.has_failed());
        disk.note(&Errno::MFILE.into());
        assert!(disk.has_failed());
    }
}
