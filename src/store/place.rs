use camino::{Utf8Path, Utf8PathBuf};

/// Is what is known of the place where a store is, or would be, without writing there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory that was looked at: the store's, or the nearest one above it that is there.
    pub looked_at: Utf8PathBuf,
    /// Whether that is the store's own.
    pub exists: bool,
    /// The kind of the file system; absent where the system has no name for it.
    pub file_system: Option<FileSystem>,
    /// How many bytes are free for this user.
    pub free: Option<u64>,
    /// Whether this user may write there.
    pub is_writable: bool,
    /// Whether a lock can be taken there; the error is the system's.
    pub locks: Result<(), String>,
}

/// Names a kind of file system, as far as it matters to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Its name.
    pub name: &'static str,
    /// Whether it may be shared over a network: locks and renames are then as good as the server is.
    pub is_shared: bool,
    /// Whether it has symbolic links.
    pub has_links: bool,
}

/// Returns the version of the SQLite that the index is kept by.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// Looks at the place of a store. Nothing is written.
pub fn look_at_place(dir: &Utf8Path) -> Result<Place, std::io::Error> {
    let looked_at = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(Utf8Path::new("/")).to_owned();
    let handle = std::fs::File::open(&looked_at)?;
    let free = rustix::fs::fstatvfs(&handle).ok().map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    let is_writable = rustix::fs::access(looked_at.as_std_path(), rustix::fs::Access::WRITE_OK).is_ok();
    // A directory can be locked like a file, and nobody else locks this one.
    let locks = match handle.try_lock_shared() {
        Ok(()) | Err(std::fs::TryLockError::WouldBlock) => Ok(()),
        Err(std::fs::TryLockError::Error(error)) => Err(error.to_string()),
    };
    let exists = looked_at == dir;
    Ok(Place { file_system: file_system(&handle), looked_at, exists, free, is_writable, locks })
}

/// Says whether a directory may be shared over a network.
pub(super) fn is_network(handle: impl std::os::fd::AsFd) -> bool {
    file_system(handle).is_some_and(|kind| kind.is_shared)
}

/// Says whether one sync of the file system that a directory is on makes all durable that is in it, and tells what went wrong.
pub(super) fn syncs_as_one(handle: impl std::os::fd::AsFd) -> bool {
    file_system(handle).is_some_and(|kind| matches!(kind.name, "ext4" | "xfs" | "btrfs"))
}

/// Names a file system by the number that Linux gives its kind (`statfs(2)`, `linux/magic.h`).
#[cfg(target_os = "linux")]
fn file_system(handle: impl std::os::fd::AsFd) -> Option<FileSystem> {
    // The type of the number differs between platforms; all these fit into 32 bits.
    #[allow(clippy::unnecessary_cast, clippy::cast_possible_truncation)]
    let kind = rustix::fs::fstatfs(handle).ok()?.f_type as u32;
    let named = |name, is_shared, has_links| Some(FileSystem { name, is_shared, has_links });
    match kind {
        0xEF53 => named("ext4", false, true),
        0x5846_5342 => named("xfs", false, true),
        0x9123_683E => named("btrfs", false, true),
        0xF2F5_2010 => named("f2fs", false, true),
        0x2FC1_2FC1 => named("zfs", false, true),
        0x794C_7630 => named("overlayfs", false, true),
        0x0102_1994 => named("tmpfs", false, true),
        0x6969 => named("nfs", true, true),
        0x517B | 0xFE53_4D42 | 0xFF53_4D42 => named("smb", true, false),
        0x0102_1997 => named("9p", true, true),
        0x6573_5546 => named("fuse", true, true),
        0x00C3_6400 => named("ceph", true, true),
        0x0BD0_0BD0 => named("lustre", true, true),
        0x4D44 => named("vfat", false, false),
        0x2011_BAB0 => named("exfat", false, false),
        _ => None,
    }
}

/// Names a file system: there are no such numbers here.
#[cfg(not(target_os = "linux"))]
fn file_system(_: impl std::os::fd::AsFd) -> Option<FileSystem> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_looked_at_and_left_as_it_was() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(temp.path()).unwrap();
        let place = look_at_place(&dir.join("a/b/store")).unwrap();
        assert_eq!((place.looked_at.as_path(), place.exists, place.is_writable), (dir, false, true));
        assert_eq!(place.locks, Ok(()));
        assert!(place.free.is_some());
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0);
        assert!(look_at_place(dir).unwrap().exists);
    }
}
