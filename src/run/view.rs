use std::collections::HashSet;
use std::fs;
use std::io::Write;

use camino::{Utf8Path, Utf8PathBuf};

use super::{RunError, ViewEntry};

/// Is the manifest's name in a run's directory.
pub const MANIFEST_NAME: &str = "multi_trial_manifest.json";
/// Is the name of the run's page: made from manifest, blobs and draw log, and no part of the root.
pub const PAGE_NAME: &str = "report.html";
/// Is the name of the file that asks a run to stop.
pub const STOP_NAME: &str = "STOP_REQUESTED";
/// Is the name of the link to the newest complete run.
pub const LATEST: &str = "latest";

/// Is a run's directory under `experiments/`.
pub struct ViewDir {
    experiments: Utf8PathBuf,
    path: Utf8PathBuf,
    name: String,
}

fn io<'p>(verb: &'static str, path: &'p Utf8Path) -> impl FnOnce(std::io::Error) -> RunError + 'p {
    move |source| RunError::Io { verb, path: path.to_owned(), source }
}

impl ViewDir {
    /// Names the directory of a run; nothing is made yet.
    pub fn new(experiments: &Utf8Path, run_id: &str) -> Self {
        let name = format!("run_{run_id}");
        Self { path: experiments.join(&name), experiments: experiments.to_owned(), name }
    }

    /// Returns the path.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Says whether a stop was requested by a file in the directory.
    pub fn stop_requested(&self) -> bool {
        fs::symlink_metadata(self.path.join(STOP_NAME)).is_ok()
    }

    /// Removes the request to stop.
    pub fn clear_stop(&self) -> Result<(), RunError> {
        let path = self.path.join(STOP_NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Writes a file of the directory aside and renames it into place.
    pub fn write(&self, name: &str, text: &str) -> Result<(), RunError> {
        let whole = |file: &mut dyn Write| -> Result<(), RunError> {
            file.write_all(text.as_bytes()).map_err(io("write", &self.path.join(name)))
        };
        self.write_with(name, whole)
    }

    /// Writes a file piece by piece aside, and renames it into place once it is whole.
    ///
    /// Its name aside is always the same, so that what a crash left is written over: whoever may not be alone holds the lock of
    /// the runs.
    pub fn write_with<E: From<RunError>>(
        &self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = self.path.join(name);
        let parent = path.parent().unwrap_or(&self.path).to_owned();
        self.make_dirs(&parent, &mut HashSet::new())?;
        let aside = parent.join(format!(".{}.new", path.file_name().unwrap_or("file")));
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io("remove", &aside)(error).into());
            }
            _ => {}
        }
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&aside).map_err(io("create", &aside))?;
        let mut file = std::io::BufWriter::new(file);
        if let Err(error) = write(&mut file) {
            drop(file);
            drop(fs::remove_file(&aside));
            return Err(error);
        }
        file.flush().map_err(io("write", &aside))?;
        file.get_ref().sync_all().map_err(io("sync", &aside))?;
        drop(file);
        fs::rename(&aside, &path).map_err(io("rename", &path))?;
        Ok(())
    }

    /// Says whether a file of that name is there.
    pub fn has_file(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path.join(name)).is_ok_and(|meta| meta.is_file())
    }

    /// Says whether every view is the link it should be and the manifests are there: nothing needs to be put back, as far
    /// as names tell. Contents are an audit's business.
    pub fn stands(&self, views: &[ViewEntry], blob_path: &dyn Fn(&ViewEntry) -> Utf8PathBuf) -> bool {
        let is_file = |name: &str| self.has_file(name);
        is_file(MANIFEST_NAME)
            && is_file(PAGE_NAME)
            && views.iter().all(|view| {
                let path = self.path.join(view.path());
                let parent = path.parent().unwrap_or(&self.path);
                let manifest = view.slug.is_empty() || is_file(&format!("{}/results/trial_manifest.json", view.slug));
                manifest
                    && fs::read_link(&path).is_ok_and(|link| link == relative(parent, &blob_path(view)).as_std_path())
            })
    }

    /// Says whether `experiments/latest` points at this run.
    pub fn is_latest(&self) -> bool {
        fs::read_link(self.experiments.join(LATEST)).is_ok_and(|link| link == std::path::Path::new(&self.name))
    }

    /// Makes every view that is absent or differs a link into the store (or a copy, where links cannot be made).
    ///
    /// `blob_path` says where a blob is. Returns how many were made.
    pub fn show(&self, views: &[ViewEntry], blob_path: &dyn Fn(&ViewEntry) -> Utf8PathBuf) -> Result<usize, RunError> {
        let mut made = 0;
        let mut dirs = HashSet::new();
        for view in views {
            let path = self.path.join(view.path());
            let parent = path.parent().unwrap_or(&self.path);
            if !dirs.contains(parent) {
                self.make_dirs(parent, &mut dirs)?;
            }
            let blob = blob_path(view);
            let target = relative(parent, &blob);
            // The link is tried first: where nothing is there, that is all there is to do.
            match std::os::unix::fs::symlink(&target, &path) {
                Ok(()) => made += 1,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    let stands = fs::read_link(&path).is_ok_and(|link| link == target.as_std_path());
                    if !stands && !is_copy(&path, view) {
                        replace(parent, &path, &target)?;
                        made += 1;
                    }
                }
                Err(_) => {
                    fs::copy(&blob, &path).map_err(io("copy", &path))?;
                    fs::File::open(&path).and_then(|file| file.sync_all()).map_err(io("sync", &path))?;
                    made += 1;
                }
            }
        }
        Ok(made)
    }

    /// Makes the names of all that was put into the directory durable, and its own name: a journal may do that by the way (ext4,
    /// xfs), and need not (btrfs).
    pub fn sync(&self) -> Result<(), RunError> {
        let mut dirs = vec![self.path.clone()];
        while let Some(dir) = dirs.pop() {
            for entry in dir.read_dir_utf8().map_err(io("read", &dir))? {
                let entry = entry.map_err(io("read", &dir))?;
                if entry.file_type().map_err(io("look at", entry.path()))?.is_dir() {
                    dirs.push(entry.into_path());
                }
            }
            sync_dir(&dir)?;
        }
        sync_dir(&self.experiments)
    }

    /// Points `experiments/latest` at this run.
    pub fn make_latest(&self) -> Result<(), RunError> {
        let path = self.experiments.join(LATEST);
        if self.is_latest() {
            return Ok(());
        }
        if fs::symlink_metadata(&path).is_ok_and(|meta| !meta.file_type().is_symlink()) {
            return Err(RunError::NotOurs { path, what: "not a link" });
        }
        let aside = self.experiments.join(format!(".latest.{}", self.name));
        drop(fs::remove_file(&aside));
        std::os::unix::fs::symlink(&self.name, &aside).map_err(io("link", &aside))?;
        fs::rename(&aside, &path).map_err(io("rename", &path))
    }

    /// Makes the directories down to `dir`, following no link below `experiments/`. `made` holds those that are there.
    fn make_dirs(&self, dir: &Utf8Path, made: &mut HashSet<Utf8PathBuf>) -> Result<(), RunError> {
        if made.is_empty() {
            fs::create_dir_all(&self.experiments).map_err(io("create", &self.experiments))?;
        }
        let below = dir.strip_prefix(&self.experiments).unwrap_or(Utf8Path::new(""));
        let mut at = self.experiments.clone();
        for segment in below.components() {
            at.push(segment);
            if made.contains(&at) {
                continue;
            }
            match fs::create_dir(&at) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    let meta = fs::symlink_metadata(&at).map_err(io("look at", &at))?;
                    if !meta.is_dir() {
                        return Err(RunError::NotOurs { path: at, what: "not a directory" });
                    }
                }
                Err(error) => return Err(io("create", &at)(error)),
            }
            made.insert(at.clone());
        }
        Ok(())
    }
}

/// Says whether a plain file already stands for the view (a copy, where links cannot be made).
fn is_copy(path: &Utf8Path, view: &ViewEntry) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == view.size)
        && fs::read(path).is_ok_and(|bytes| crate::digest::BlobId::of(&bytes) == view.blob)
}

/// Makes the names in a directory durable, where its file system can do that for a directory at all (SMB cannot): the next
/// build puts back what is lost.
fn sync_dir(dir: &Utf8Path) -> Result<(), RunError> {
    match fs::File::open(dir).and_then(|dir| dir.sync_all()) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Ok(()),
        synced => synced.map_err(io("sync", dir)),
    }
}

fn replace(parent: &Utf8Path, path: &Utf8Path, target: &Utf8Path) -> Result<(), RunError> {
    // What is there is not what should be: a new link is made aside and takes its place in one step.
    let aside = parent.join(format!(".{}.new", path.file_name().unwrap_or("view")));
    drop(fs::remove_file(&aside));
    std::os::unix::fs::symlink(target, &aside).map_err(io("link", &aside))?;
    fs::rename(&aside, path).map_err(io("rename", path))
}

/// Writes the way from a directory to a file, both absolute (or both relative to one place).
pub(super) fn relative(from_dir: &Utf8Path, to: &Utf8Path) -> Utf8PathBuf {
    let from: Vec<_> = from_dir.components().collect();
    let target: Vec<_> = to.components().collect();
    let common = from.iter().zip(&target).take_while(|(a, b)| a == b).count();
    let mut path = Utf8PathBuf::new();
    for _ in common..from.len() {
        path.push("..");
    }
    for part in &target[common..] {
        path.push(part);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_synced_is_no_error_and_one_that_is_not_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        assert!(sync_dir(dir).is_ok());
        assert!(matches!(sync_dir(&dir.join("absent")), Err(RunError::Io { verb: "sync", .. })));
        if cfg!(target_os = "linux") {
            // The kernel's own files have no disk to be synced to.
            let kernels = Utf8Path::new("/proc/self");
            let said = fs::File::open(kernels).and_then(|dir| dir.sync_all()).unwrap_err();
            assert_eq!(said.kind(), std::io::ErrorKind::InvalidInput);
            assert!(sync_dir(kernels).is_ok());
        }
    }

    #[test]
    fn the_way_between_two_places() {
        let way = |a: &str, b: &str| relative(Utf8Path::new(a), Utf8Path::new(b)).into_string();
        assert_eq!(way("/p/experiments/run_1/s/results", "/p/store/blobs/ab/c"), "../../../../store/blobs/ab/c");
        assert_eq!(way("/p/experiments/run_1", "/s/blobs/ab/c"), "../../../s/blobs/ab/c");
    }
}
