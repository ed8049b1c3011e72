use std::ffi::CStr;
use std::fs::File;
use std::sync::OnceLock;

use camino::{Utf8Path, Utf8PathBuf};

use super::folder::{Folder, SEALED};
use super::whole_sync::WholeSync;
use super::{Format, Opening, Sharing, StoreError, place};
use crate::digest::Digest;

/// Says what may be done to an opened store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing is created or written.
    ReadOnly,
    /// The layout is created where it is absent.
    ReadWrite,
}

/// Is where things stand in the store's directory, with the directories that are used often held open.
#[derive(Debug)]
pub(super) struct Layout {
    root: Folder,
    /// Where the index is that is not in the store: beside a network file system.
    index_home: Option<Folder>,
    access: Access,
    whole_sync: WholeSync,
    tmp: OnceLock<Folder>,
    blobs: OnceLock<Folder>,
    actions: OnceLock<Folder>,
    draws: OnceLock<Folder>,
    sessions: OnceLock<Folder>,
    batches: OnceLock<Folder>,
}

/// Names every directory directly under the store.
const FOLDERS: [&str; 10] =
    ["blobs", "actions", "draws", "batches", "runs", "tmp", "trash", "sessions", "locks", "quarantine"];

/// Is one of the two trees that are split into 256 directories by the first byte of the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    /// Is `blobs/`.
    Blobs,
    /// Is `actions/`.
    Actions,
}

impl Layout {
    /// Opens the store's directory; `None` when it does not exist and may not be created. A store that is made is for whom
    /// `sharing` says; one that is there has to be for the group where that says so.
    pub(super) fn open(dir: &Utf8Path, opening: &Opening<'_>) -> Result<Option<Self>, StoreError> {
        let Opening { access, sharing, index_home: above } = *opening;
        let mut root = match (Folder::open_root(dir), access) {
            (Ok(root), _) => root,
            (Err(error), Access::ReadOnly) if error.is_not_found() => return Ok(None),
            (Err(error), Access::ReadWrite) if error.is_not_found() => Self::make_root(dir, sharing)?,
            (Err(error), _) => return Err(error),
        };
        let format = Format::read(&root)?;
        if sharing == Sharing::Group && root.sharing() == Sharing::Owner && access == Access::ReadWrite {
            if format.is_some() {
                return Err(StoreError::Unfit { why: not_shared(dir) });
            }
            root.share()?;
        }
        let mut layout = Self::of(root, access);
        layout.index_home = match above.filter(|_| place::is_network(&layout.root)) {
            Some(above) => index_home(dir, above, access)?,
            None => None,
        };
        match (format, access) {
            (Some(format), _) => format.check(dir, access)?,
            // No FORMAT: nothing was ever completed here, so there is nothing to read.
            (None, Access::ReadOnly) => return Ok(None),
            (None, Access::ReadWrite) => layout.create()?,
        }
        Ok(Some(layout))
    }

    /// Fills a directory that is there with all but `FORMAT`: without it there is no store yet.
    pub(super) fn begin(dir: &Utf8Path) -> Result<Self, StoreError> {
        let layout = Self::of(Folder::open_root(dir)?, Access::ReadWrite);
        layout.make_folders()?;
        Ok(layout)
    }

    fn of(root: Folder, access: Access) -> Self {
        Self {
            whole_sync: WholeSync::of(&root),
            root,
            index_home: None,
            access,
            tmp: OnceLock::new(),
            blobs: OnceLock::new(),
            actions: OnceLock::new(),
            draws: OnceLock::new(),
            sessions: OnceLock::new(),
            batches: OnceLock::new(),
        }
    }

    fn make_root(dir: &Utf8Path, sharing: Sharing) -> Result<Folder, StoreError> {
        let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
            return Err(StoreError::Unfit { why: format!("`{dir}` cannot be made") });
        };
        let parent = if parent.as_str().is_empty() { Utf8Path::new(".") } else { parent };
        std::fs::create_dir_all(parent).map_err(StoreError::io("make the directory", parent))?;
        let parent = Folder::open_root(parent)?;
        parent.make_for(name, sharing)?;
        parent.sync()?;
        Folder::open_root(dir)
    }

    /// Makes every directory, durable, and FORMAT last: where FORMAT stands, the rest stands.
    fn create(&self) -> Result<(), StoreError> {
        self.make_folders()?;
        // Two processes may create one store at once: one after the other, each under a name of its own, and neither
        // while temporary files are being swept.
        let _lock = self.lock("sweep")?;
        self.write_format()
    }

    /// Writes `FORMAT`, after all else.
    pub(super) fn write_format(&self) -> Result<(), StoreError> {
        let name = format!("format-{}", super::session::nonce());
        self.root.write_atomic("FORMAT", &Format::CURRENT.to_bytes(), self.tmp()?, &name, SEALED)
    }

    fn make_folders(&self) -> Result<(), StoreError> {
        for name in FOLDERS {
            self.root.make(name)?;
        }
        for tree in [Tree::Blobs, Tree::Actions] {
            let folder = self.root.folder(tree.name())?;
            for shard in 0..=255u8 {
                folder.make(&hex_byte(shard))?;
            }
            folder.sync()?;
        }
        self.root.sync()
    }

    /// Waits for one of the files in `locks/`, and holds it as long as the file that is returned.
    pub(super) fn lock(&self, name: &str) -> Result<File, StoreError> {
        let locks = self.root.folder("locks")?;
        let (file, _) = locks.open_or_create(name)?;
        file.lock().map_err(StoreError::io("lock", locks.path().join(name)))?;
        Ok(file)
    }

    /// Returns the store's directory.
    pub(super) fn root(&self) -> &Folder {
        &self.root
    }

    /// Returns what syncs the file system that all of it is on.
    pub(super) fn whole_sync(&self) -> &WholeSync {
        &self.whole_sync
    }

    /// Returns where the index is.
    pub(super) fn index_home(&self) -> &Folder {
        self.index_home.as_ref().unwrap_or(&self.root)
    }

    /// Says whether the index is not in the store.
    pub(super) fn index_is_away(&self) -> bool {
        self.index_home.is_some()
    }

    /// Returns the path of the index.
    pub(super) fn index_path(&self) -> Utf8PathBuf {
        self.index_home().path().join(super::index::FILE)
    }

    /// Returns the path of the store's directory.
    pub(super) fn dir(&self) -> &Utf8Path {
        self.root.path()
    }

    /// Tells whether anything may be written.
    pub(super) fn writable(&self) -> bool {
        self.access == Access::ReadWrite
    }

    /// Fails unless the store may be written.
    pub(super) fn require_writable(&self) -> Result<(), StoreError> {
        if self.writable() {
            return Ok(());
        }
        Err(StoreError::Unfit { why: format!("`{}` was opened for reading only", self.dir()) })
    }

    /// Opens `tmp/`.
    pub(super) fn tmp(&self) -> Result<&Folder, StoreError> {
        self.held(&self.tmp, "tmp")
    }

    /// Opens `draws/`.
    pub(super) fn draws(&self) -> Result<&Folder, StoreError> {
        self.held(&self.draws, "draws")
    }

    /// Opens `sessions/`.
    pub(super) fn sessions(&self) -> Result<&Folder, StoreError> {
        self.held(&self.sessions, "sessions")
    }

    /// Opens `batches/`.
    pub(super) fn batches(&self) -> Result<&Folder, StoreError> {
        self.held(&self.batches, "batches")
    }

    fn held<'a>(&self, slot: &'a OnceLock<Folder>, name: &str) -> Result<&'a Folder, StoreError> {
        if let Some(folder) = slot.get() {
            return Ok(folder);
        }
        let opened = match self.root.folder(name) {
            Err(error) if error.is_not_found() && self.writable() => {
                self.root.make(name)?;
                self.root.sync()?;
                self.root.folder(name)?
            }
            other => other?,
        };
        Ok(slot.get_or_init(|| opened))
    }

    /// Opens a tree.
    pub(super) fn tree(&self, tree: Tree) -> Result<&Folder, StoreError> {
        match tree {
            Tree::Blobs => self.held(&self.blobs, "blobs"),
            Tree::Actions => self.held(&self.actions, "actions"),
        }
    }

    /// Opens the directory of a tree that holds hashes with this first byte.
    pub(super) fn shard(&self, tree: Tree, byte: u8) -> Result<Folder, StoreError> {
        self.tree(tree)?.folder(&hex_byte(byte))
    }

    /// Opens the same to put something there; one that was removed is made again.
    pub(super) fn shard_to_fill(&self, tree: Tree, byte: u8) -> Result<Folder, StoreError> {
        match self.shard(tree, byte) {
            Err(error) if error.is_not_found() => {
                let folder = self.tree(tree)?;
                folder.make(&hex_byte(byte))?;
                folder.sync()?;
                self.shard(tree, byte)
            }
            other => other,
        }
    }

    /// Moves a damaged file to `quarantine/`; `inode` guards against moving one that has just been healed.
    pub(super) fn quarantine(&self, from: &Folder, name: &str, label: &str, inode: u64) -> Result<(), StoreError> {
        self.require_writable()?;
        let quarantine = self.root.folder("quarantine")?;
        if from.stat(name)?.is_none_or(|stat| stat.st_ino != inode) {
            return Ok(());
        }
        let free = free_name(&quarantine, label)?;
        from.rename(name, &quarantine, &free)?;
        quarantine.sync()?;
        from.sync()
    }

    /// Copies bytes to `quarantine/`, durably, before they are cut off where they stand.
    pub(super) fn quarantine_bytes(&self, bytes: &[u8], label: &str) -> Result<(), StoreError> {
        self.require_writable()?;
        let quarantine = self.root.folder("quarantine")?;
        let free = free_name(&quarantine, label)?;
        let tmp_name = format!("cut-{}", super::session::nonce());
        quarantine.write_atomic(&free, bytes, self.tmp()?, &tmp_name, quarantine.written_to())
    }
}

impl Tree {
    /// Returns the name of the tree's directory.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Blobs => "blobs",
            Self::Actions => "actions",
        }
    }
}

fn free_name(folder: &Folder, label: &str) -> Result<String, StoreError> {
    for n in 0u32.. {
        let name = format!("{label}-{n}");
        if folder.stat(&name)?.is_none() {
            return Ok(name);
        }
    }
    Ok(label.to_owned())
}

/// Opens the directory, below the user's for what can be made again, that the index of a store has; `None` where there is none and none may be made.
fn index_home(dir: &Utf8Path, above: &Utf8Path, access: Access) -> Result<Option<Folder>, StoreError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let place = dir.canonicalize_utf8().map_err(StoreError::io("find", dir))?;
    let home = above.join("exp").join(format!("index-{}", Digest::of(place.as_str().as_bytes()).short(32)));
    if access == Access::ReadWrite {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&home);
        made.map_err(StoreError::io("make the directory", &home))?;
    }
    match Folder::open_root(&home) {
        Err(error) if error.is_not_found() => Ok(None),
        other => other.map(Some),
    }
}

/// Says that a store is its owner's alone, and what makes it the group's.
fn not_shared(dir: &Utf8Path) -> String {
    format!(
        "the store `{dir}` is to be shared with a group (`shared: group`), and was made for its owner alone; \
         `chgrp -R GROUP '{dir}' && find '{dir}' -type d -exec chmod 2770 {{}} + && \
         find '{dir}' -type f -perm -u+w -exec chmod 0660 {{}} +` opens it to GROUP"
    )
}

/// Returns two hexadecimal digits.
pub(super) fn hex_byte(byte: u8) -> String {
    format!("{byte:02x}")
}

/// Splits a hash into the number of its directory and its file name there, 62 digits.
pub(super) fn place(digest: &Digest) -> (u8, String) {
    let mut buffer = [0; 62];
    (digest.as_bytes()[0], file_name(digest, &mut buffer).to_owned())
}

/// Writes the file name of a hash in its directory, without allocating.
pub(super) fn file_name<'a>(digest: &Digest, buffer: &'a mut [u8; 62]) -> &'a str {
    write_digits(digest.as_bytes(), buffer);
    str::from_utf8(buffer).unwrap_or_default()
}

/// Writes the same, as the system takes it, into a buffer that ends in 0.
pub(super) fn raw_file_name<'a>(digest: &[u8; 32], buffer: &'a mut [u8; 63]) -> &'a CStr {
    write_digits(digest, &mut buffer[..62]);
    CStr::from_bytes_with_nul(buffer).unwrap_or_default()
}

fn write_digits(digest: &[u8; 32], buffer: &mut [u8]) {
    for (pair, byte) in buffer.as_chunks_mut::<2>().0.iter_mut().zip(&digest[1..]) {
        *pair = PAIRS[usize::from(*byte)];
    }
}

/// Are the two digits of each byte: names are written by the thousand.
const PAIRS: [[u8; 2]; 256] = {
    let digits = *b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Puts a hash together again from its directory and its file name.
pub(super) fn digest_at(shard: u8, name: &str) -> Option<Digest> {
    (name.len() == 62).then(|| Digest::parse(&format!("{}{name}", hex_byte(shard))).ok()).flatten()
}

/// Returns the path of a hash below a tree, as people see it.
pub(super) fn shown_path(dir: &Utf8Path, tree: Tree, digest: &Digest) -> Utf8PathBuf {
    let hex = digest.to_hex();
    dir.join(tree.name()).join(&hex[..2]).join(&hex[2..])
}

/// Tells whether a name may be a file name in the store: `[A-Za-z0-9][A-Za-z0-9._-]{0,119}`.
pub(super) fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= 120
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_one_place_and_comes_back_from_it() {
        for text in ["", "a", "b"] {
            let digest = Digest::of(text.as_bytes());
            let (byte, name) = place(&digest);
            assert_eq!(format!("{}{name}", hex_byte(byte)), digest.to_hex());
            assert_eq!(digest_at(byte, &name), Some(digest));
            assert_eq!(raw_file_name(digest.as_bytes(), &mut [0; 63]).to_str(), Ok(name.as_str()));
            assert_eq!(digest_at(byte, &name[1..]), None);
        }
    }

    #[test]
    fn names_are_allow_listed() {
        for name in ["r1", "a.b-c_d", &"x".repeat(120)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "-rf", "a/b", "a\0", "ä", "a\n", &"x".repeat(121)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
