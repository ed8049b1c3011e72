use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::retry_on_intr;

use super::{Sharing, StoreError};

/// Is an opened directory of the store: every call goes through its descriptor and follows no link, so that a link planted
/// under the store leads nowhere.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: Utf8PathBuf,
    sharing: Sharing,
}

/// Is shorthand for what calls on the store give.
type Result<T> = std::result::Result<T, StoreError>;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens a directory by path; the path itself may lead through links (a store may be reached by one).
    pub(super) fn open_root(path: &Utf8Path) -> Result<Self> {
        let fd = retry_on_intr(|| rustix::fs::open(path.as_std_path(), DIRECTORY, Mode::empty()))
            .map_err(|e| fail("open", path, e))?;
        let stat = rustix::fs::fstat(&fd).map_err(|e| fail("look at", path, e))?;
        Ok(Self { fd, path: path.to_owned(), sharing: Sharing::of(stat.st_mode) })
    }

    /// Says who may use it besides its owner.
    pub(super) fn sharing(&self) -> Sharing {
        self.sharing
    }

    /// Lets its group use it, and what is made in it from now on.
    pub(super) fn share(&mut self) -> Result<()> {
        let mode = Sharing::Group.of_folders();
        rustix::fs::fchmod(&self.fd, mode).map_err(|e| fail("set the mode of", &self.path, e))?;
        self.sharing = Sharing::Group;
        Ok(())
    }

    /// Returns the mode of what is made here and written to later.
    pub(super) fn written_to(&self) -> Mode {
        self.sharing.of_files()
    }

    /// Returns the path it was opened by.
    pub(super) fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Opens a directory inside.
    pub(super) fn folder(&self, name: &str) -> Result<Self> {
        let path = self.path.join(name);
        let fd = retry_on_intr(|| rustix::fs::openat(&self.fd, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()))
            .map_err(|e| fail("open", &path, e))?;
        Ok(Self { fd, path, sharing: self.sharing })
    }

    /// Makes a directory inside, for whom this one is, whatever the umask; one that is there already is left as it is.
    pub(super) fn make(&self, name: &str) -> Result<()> {
        self.make_for(name, self.sharing)
    }

    /// Makes a directory inside: mode 0700, or 2770 for the group; one that is there already is left as it is.
    pub(super) fn make_for(&self, name: &str, sharing: Sharing) -> Result<()> {
        let path = self.path.join(name);
        let mode = sharing.of_folders();
        match rustix::fs::mkdirat(&self.fd, name, mode) {
            // The umask may have taken more than it should.
            Ok(()) => match self.stat(name)? {
                Some(stat) if Mode::from_raw_mode(stat.st_mode).contains(mode) => Ok(()),
                _ => rustix::fs::chmodat(&self.fd, name, mode, AtFlags::empty())
                    .map_err(|e| fail("set the mode of", &path, e)),
            },
            Err(rustix::io::Errno::EXIST) => match self.stat(name)? {
                Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => Ok(()),
                _ => Err(StoreError::Unfit { why: format!("`{path}` is not a directory") }),
            },
            Err(error) => Err(fail("make the directory", &path, error)),
        }
    }

    /// Opens a regular file inside for reading.
    ///
    /// Anything else under that name (a link, a pipe, a directory) is an error, and opening it does not block.
    pub(super) fn open(&self, name: &str) -> Result<(File, Stat)> {
        self.open_with(name, OFlags::RDONLY)
    }

    /// Opens a regular file inside for appending.
    pub(super) fn open_append(&self, name: &str) -> Result<(File, Stat)> {
        self.open_with(name, OFlags::RDWR | OFlags::APPEND)
    }

    /// Opens a regular file inside for reading and writing.
    pub(super) fn open_write(&self, name: &str) -> Result<(File, Stat)> {
        self.open_with(name, OFlags::RDWR)
    }

    /// Opens a regular file inside for reading and writing, and makes it, mode 0600 (0660 for the group), where it does not
    /// exist.
    pub(super) fn open_or_create(&self, name: &str) -> Result<(File, Stat)> {
        self.open_with(name, OFlags::RDWR | OFlags::CREATE)
    }

    fn open_with(&self, name: &str, access: OFlags) -> Result<(File, Stat)> {
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd =
            retry_on_intr(|| rustix::fs::openat(&self.fd, name, flags, self.written_to())).map_err(
                |errno| match errno {
                    rustix::io::Errno::LOOP | rustix::io::Errno::ISDIR | rustix::io::Errno::NXIO => {
                        StoreError::NotRegular { path: self.path.join(name) }
                    }
                    other => fail("open", &self.path.join(name), other),
                },
            )?;
        let stat = rustix::fs::fstat(&fd).map_err(|e| fail("read the size of", &self.path.join(name), e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(StoreError::NotRegular { path: self.path.join(name) });
        }
        // The umask may have taken from a file that was just made what the group needs.
        let is_short = !Mode::from_raw_mode(stat.st_mode).contains(self.written_to());
        if self.sharing == Sharing::Group && access.contains(OFlags::CREATE) && is_short {
            self.open_up(&fd, name)?;
        }
        Ok((File::from(fd), stat))
    }

    fn open_up(&self, file: &OwnedFd, name: &str) -> Result<()> {
        rustix::fs::fchmod(file, self.written_to()).map_err(|e| fail("set the mode of", &self.path.join(name), e))
    }

    /// Creates a new file inside, mode 0600 (0660 for the group), for reading and writing; it is an error if anything has that
    /// name.
    pub(super) fn create_new(&self, name: &str) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| rustix::fs::openat(&self.fd, name, flags, self.written_to()))
            .map_err(|e| fail("create", &self.path.join(name), e))?;
        // The umask may have taken more than it should.
        self.open_up(&fd, name)?;
        Ok(File::from(fd))
    }

    /// Returns what a name inside stands for, links not followed; `None` where there is nothing.
    pub(super) fn stat(&self, name: &str) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(fail("look at", &self.path.join(name), error)),
        }
    }

    /// Does the same for a name that the system can take as it is: for thousands of them, one after another.
    pub(super) fn stat_raw(&self, name: &CStr) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(fail("look at", &self.path.join(name.to_string_lossy().as_ref()), error)),
        }
    }

    /// Moves a name to another directory of the same file system, replacing what has it there.
    pub(super) fn rename(&self, name: &str, to: &Self, new_name: &str) -> Result<()> {
        rustix::fs::renameat(&self.fd, name, &to.fd, new_name)
            .map_err(|e| fail("rename to", &to.path.join(new_name), e))
    }

    /// Removes a name; one that is gone already is no error.
    pub(super) fn unlink(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(fail("remove", &self.path.join(name), error)),
        }
    }

    /// Makes the names inside durable.
    pub(super) fn sync(&self) -> Result<()> {
        retry_on_intr(|| rustix::fs::fsync(&self.fd)).map_err(|e| fail("sync", &self.path, e))
    }

    /// Makes everything durable that was written to the file system that it is on.
    #[cfg(target_os = "linux")]
    pub(super) fn sync_file_system(&self) -> Result<()> {
        rustix::fs::syncfs(&self.fd).map_err(|e| fail("sync the file system of", &self.path, e))
    }

    /// Fails: there is no such call here.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn sync_file_system(&self) -> Result<()> {
        Err(fail("sync the file system of", &self.path, rustix::io::Errno::NOSYS))
    }

    /// Lists the names inside, sorted; names that are not UTF-8 are not ours and are left out.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let failed = |e| fail("list", &self.path, e);
        let mut names = Vec::new();
        for entry in retry_on_intr(|| Dir::read_from(&self.fd)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Writes a small file so that it is there whole and durable, or not at all.
    pub(super) fn write_atomic(&self, name: &str, bytes: &[u8], tmp: &Self, tmp_name: &str, mode: Mode) -> Result<()> {
        let file = tmp.create_new(tmp_name)?;
        let written = write_whole(&file, bytes, &tmp.path.join(tmp_name))
            .and_then(|()| seal(&file, mode, &tmp.path.join(tmp_name)))
            .and_then(|()| file.sync_all().map_err(StoreError::io("sync", tmp.path.join(tmp_name))))
            .and_then(|()| tmp.rename(tmp_name, self, name));
        if let Err(error) = written {
            let _ = tmp.unlink(tmp_name);
            return Err(error);
        }
        self.sync()
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Writes all the bytes, however many the system takes at once.
pub(super) fn write_whole(mut file: &File, bytes: &[u8], path: &Utf8Path) -> Result<()> {
    io::Write::write_all(&mut file, bytes).map_err(StoreError::io("write", path))
}

/// Sets a file's mode.
pub(super) fn seal(file: &File, mode: Mode, path: &Utf8Path) -> Result<()> {
    rustix::fs::fchmod(file, mode).map_err(|e| fail("set the mode of", path, e))
}

/// Is the mode of what is never written again: read by the owner, the group and others, as far as the folders let them.
pub(super) const SEALED: Mode = Mode::RUSR.union(Mode::RGRP).union(Mode::ROTH);

/// Reads from an offset until the buffer is full or the file ends; returns the bytes read.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64, path: &Utf8Path) -> Result<usize> {
    use std::os::unix::fs::FileExt;
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(StoreError::io("read", path)(error)),
        }
    }
    Ok(filled)
}

/// Reads a whole open file.
pub(super) fn read_whole(file: &File, size: u64, path: &Utf8Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(size as usize + 1);
    let mut reader = file;
    io::Read::read_to_end(&mut reader, &mut bytes).map_err(StoreError::io("read", path))?;
    Ok(bytes)
}

fn fail(op: &'static str, path: &Utf8Path, errno: rustix::io::Errno) -> StoreError {
    StoreError::Io { op, path: path.to_owned(), source: errno.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().to_owned();
        let folder = Folder::open_root(&path).unwrap();
        (dir, folder)
    }

    #[test]
    fn planted_links_are_not_followed() {
        let (dir, folder) = folder();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("sub")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), dir.path().join("file")).unwrap();
        assert!(folder.folder("sub").is_err());
        assert!(folder.make("sub").is_err());
        assert!(matches!(folder.open("file"), Err(StoreError::NotRegular { .. })));
        assert!(folder.create_new("file").is_err());
        assert!(folder.open_or_create("file").is_err());
        assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"s");
    }

    #[test]
    fn only_regular_files_open() {
        let (dir, folder) = folder();
        folder.make("d").unwrap();
        assert!(matches!(folder.open("d"), Err(StoreError::NotRegular { .. })));
        rustix::fs::mknodat(&folder.fd, "pipe", FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(matches!(folder.open("pipe"), Err(StoreError::NotRegular { .. })));
        assert!(folder.open("absent").unwrap_err().is_not_found());
        drop(dir);
    }

    #[test]
    fn an_atomic_write_replaces_and_leaves_no_temporary() {
        let (dir, folder) = folder();
        folder.make("tmp").unwrap();
        let tmp = folder.folder("tmp").unwrap();
        for text in ["one", "two"] {
            folder.write_atomic("f", text.as_bytes(), &tmp, "t", SEALED).unwrap();
            assert_eq!(std::fs::read_to_string(dir.path().join("f")).unwrap(), text);
        }
        assert!(tmp.names().unwrap().is_empty());
        assert_eq!(folder.names().unwrap(), ["f", "tmp"]);
    }
}
