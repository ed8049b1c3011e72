//! How a store of an older format comes to be one of this: by a copy beside it, which takes its place when it is whole.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::folder::{Folder, seal};
use super::format::Format;
use super::layout::{Layout, Tree, hex_byte};
use super::{Access, Opening, StoreError, session};

type Result<T> = std::result::Result<T, StoreError>;

/// Names the directories with files that are the truth, beside the two trees. All else is derived, or of the moment.
const KEPT: [&str; 5] = ["draws", "batches", "runs", "pins", "quarantine"];

/// Copies a store of an older format, and puts the copy in its place; returns what to say about it, `None` where there was
/// nothing to do.
///
/// The older store stays as it was, beside the new one. It is an error if anybody is at work on it.
pub(super) fn if_older(dir: &Utf8Path) -> Result<Option<String>> {
    if older(dir)?.is_none() {
        return Ok(None);
    }
    let Some(from) = Layout::open(dir, &Opening::of(Access::ReadWrite))? else { return Ok(None) };
    // No session begins while this is held, and of two programs that find an old store the second one finds a new one.
    let _sweeping = from.lock("sweep")?;
    let Some(format) = older(dir)? else { return Ok(None) };
    for id in from.sessions()?.names()? {
        if session::is_alive(&from, &id)? {
            let why = format!(
                "`{dir}` is of an older format, and an older exp is at work on it; build again when that has ended"
            );
            return Err(StoreError::Unfit { why });
        }
    }
    let beside = Beside::of(dir)?;
    beside.clear()?;
    if let Err(error) = copy(&from, &beside).and_then(|()| beside.swap()) {
        let _ = beside.clear();
        return Err(error);
    }
    let aside = beside.set_aside(format)?;
    Ok(Some(format!("the store was of an older format and was copied; the old one is `{aside}`, and can be deleted")))
}

/// Reads the format of a store that has to be copied before it is written to.
fn older(dir: &Utf8Path) -> Result<Option<Format>> {
    let root = match Folder::open_root(dir) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    Ok(Format::read(&root)?.filter(|format| format.is_older()))
}

/// Is the place of the copy: another name in the store's parent directory.
struct Beside {
    parent: Folder,
    name: String,
    copy: String,
}

impl Beside {
    fn of(dir: &Utf8Path) -> Result<Self> {
        // The store may be reached by a link: what it leads to is what is replaced.
        let dir = dir.canonicalize_utf8().map_err(StoreError::io("find", dir))?;
        let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
            return Err(StoreError::Unfit { why: format!("`{dir}` has no place beside it for a copy") });
        };
        Ok(Self { parent: Folder::open_root(parent)?, name: name.to_owned(), copy: format!("{name}.migrating") })
    }

    fn path(&self) -> Utf8PathBuf {
        self.parent.path().join(&self.copy)
    }

    /// Removes what a copy that was cut short left. What stands there whole and is of an older format is the old store of a
    /// copy that was cut short at its very end: that is kept.
    fn clear(&self) -> Result<()> {
        if self.parent.stat(&self.copy)?.is_none() {
            return Ok(());
        }
        if let Some(format) = older(&self.path())? {
            return self.set_aside(format).map(drop);
        }
        std::fs::remove_dir_all(self.path()).map_err(StoreError::io("remove", self.path()))
    }

    /// Gives the copy the store's name, and the store the copy's: at no moment is there none.
    fn swap(&self) -> Result<()> {
        use rustix::fs::{RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(&self.parent, &self.name, &self.parent, &self.copy, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            // Where the file system cannot do that, there is a moment.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                let moment = format!("{}.moving", self.name);
                self.parent.rename(&self.name, &self.parent, &moment)?;
                self.parent.rename(&self.copy, &self.parent, &self.name)?;
                self.parent.rename(&moment, &self.parent, &self.copy)?;
            }
            Err(errno) => {
                return Err(StoreError::io("rename to", self.parent.path().join(&self.name))(errno.into()));
            }
        }
        self.parent.sync()
    }

    /// Gives the older store, which has the copy's name now, one that says what it is.
    fn set_aside(&self, format: Format) -> Result<String> {
        let label = format!("{}.format-{}", self.name, format.writer());
        let mut name = label.clone();
        let mut n = 1;
        while self.parent.stat(&name)?.is_some() {
            n += 1;
            name = format!("{label}-{n}");
        }
        self.parent.rename(&self.copy, &self.parent, &name)?;
        self.parent.sync()?;
        Ok(name)
    }
}

fn copy(from: &Layout, beside: &Beside) -> Result<()> {
    beside.parent.make(&beside.copy)?;
    let to = Layout::begin(&beside.path())?;
    for name in KEPT {
        if from.root().stat(name)?.is_some() {
            to.root().make(name)?;
            copy_files(&from.root().folder(name)?, &to.root().folder(name)?)?;
        }
    }
    for tree in [Tree::Blobs, Tree::Actions] {
        for byte in 0..=255u8 {
            if from.tree(tree)?.stat(&hex_byte(byte))?.is_some() {
                copy_files(&from.shard(tree, byte)?, &to.shard_to_fill(tree, byte)?)?;
            }
        }
    }
    // One call for a million files. What fails to be written is reported by it.
    rustix::fs::syncfs(to.root()).map_err(|errno| StoreError::io("sync", to.dir())(errno.into()))?;
    to.write_format()
}

fn copy_files(from: &Folder, to: &Folder) -> Result<()> {
    for name in from.names()? {
        // Nothing but files was ever put there by a program.
        let (mut source, stat) = match from.open(&name) {
            Err(StoreError::NotRegular { .. }) => continue,
            other => other?,
        };
        let mut copy = to.create_new(&name)?;
        io::copy(&mut source, &mut copy).map_err(StoreError::io("copy", from.path().join(&name)))?;
        seal(&copy, rustix::fs::Mode::from_raw_mode(stat.st_mode & 0o777), &to.path().join(&name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::tests::{Place, addresses, assert_whole, filled, overwrite};

    const OLDER: &[u8] = b"{\"min_reader\":1,\"min_writer\":1}\n";

    /// Makes a store as the first format had it.
    fn of_format_1() -> Place {
        let place = filled();
        overwrite(&place.file("FORMAT"), OLDER);
        std::fs::remove_dir_all(place.file("grace")).ok();
        place
    }

    fn beside(place: &Place) -> Vec<String> {
        let parent = place.path().parent().unwrap().to_owned();
        let mut names: Vec<String> =
            parent.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_older_store_is_copied_when_it_is_to_be_written_and_stays_as_it_was() {
        let place = of_format_1();
        let before = place.everything();
        assert_whole(&place.read_only());
        assert_eq!((place.everything(), beside(&place)), (before.clone(), vec!["store".to_owned()]));
        let store = place.open();
        let said = store.take_notices();
        assert!(said.len() == 1 && said[0].contains("`store.format-1`"), "{said:?}");
        assert_whole(&store);
        assert!(store.verify().unwrap().flaws.is_empty());
        assert_eq!(std::fs::read(place.file("FORMAT")).unwrap(), Format::CURRENT.to_bytes());
        let session = store.session().unwrap();
        assert!(session.claim(&addresses(4)).unwrap().iter().all(|claim| *claim == crate::store::Claim::Recorded));
        drop((session, store));
        assert_eq!(place.open().take_notices(), Vec::<String>::new());
        assert_eq!(beside(&place), ["store", "store.format-1"]);
        // What was there is there as it was, under the other name.
        std::fs::rename(place.path(), place.path().with_file_name("new")).unwrap();
        std::fs::rename(place.path().with_file_name("store.format-1"), place.path()).unwrap();
        assert_eq!(place.everything(), before);
    }

    #[test]
    fn nobody_at_work_is_disturbed_and_what_was_cut_short_is_begun_anew() {
        let place = of_format_1();
        overwrite(&place.file("FORMAT"), &Format::CURRENT.to_bytes());
        let session = place.open().session().unwrap();
        overwrite(&place.file("FORMAT"), OLDER);
        let error = Store::open(&place.path(), Access::ReadWrite).unwrap_err();
        assert!(matches!(error, StoreError::Unfit { .. }), "{error}");
        assert_eq!(beside(&place), ["store"]);
        drop(session);
        // Half a copy, and the old store of a copy whose last step is missing.
        let half = place.path().with_file_name("store.migrating");
        std::fs::create_dir_all(half.join("blobs")).unwrap();
        assert_whole(&place.open());
        std::fs::rename(place.path().with_file_name("store.format-1"), &half).unwrap();
        overwrite(&place.file("FORMAT"), OLDER);
        assert_whole(&place.open());
        assert_eq!(beside(&place), ["store", "store.format-1", "store.format-1-2"]);
    }
}
