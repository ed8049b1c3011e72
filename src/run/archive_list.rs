use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::archive_plan::as_text;
use super::on_disk::{OnDisk, failed};
use super::{ARCHIVE_SUFFIX, ARCHIVES, ArchiveFile, RunError, RunState};
use crate::digest::RootId;

/// Is one archive under `experiments/archives/`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ArchiveEntry {
    /// Its name, without the ending.
    pub name: String,
    /// The file.
    #[serde(serialize_with = "as_text")]
    pub path: Utf8PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// What it holds, or why that cannot be read.
    pub run: Result<ArchivedRun, String>,
}

/// Is the run that an archive holds, as its first entries say; the rest is not read for a list.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ArchivedRun {
    /// Its id.
    pub run_id: String,
    /// How far it is.
    pub state: RunState,
    /// When it began: UTC, RFC 3339.
    pub created_at: String,
    /// Its root.
    pub root: Option<RootId>,
    /// How many trials.
    pub trials: usize,
}

/// Lists the archives, sorted by name; one that cannot be read is listed with the reason.
pub fn list_archives(experiments: &Utf8Path) -> Result<Vec<ArchiveEntry>, RunError> {
    let dir = experiments.join(ARCHIVES);
    if !matches!(OnDisk::at(&dir)?, OnDisk::Dir) {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(&dir).map_err(failed("list", &dir))? {
        let entry = entry.map_err(failed("list", &dir))?;
        let file_name = entry.file_name();
        let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(ARCHIVE_SUFFIX)) else { continue };
        let path = dir.join(format!("{name}{ARCHIVE_SUFFIX}"));
        let OnDisk::File(meta) = OnDisk::at(&path)? else { continue };
        let run = ArchiveFile::head(&path).map_err(|error| error.to_string()).map(|head| ArchivedRun {
            run_id: head.manifest.run_id,
            state: head.manifest.state,
            created_at: head.manifest.created_utc,
            root: head.manifest.root,
            trials: head.manifest.num_trials,
        });
        entries.push(ArchiveEntry { name: name.to_owned(), path, bytes: meta.len(), run });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Finds an archive: by path (with its ending), by name with or without it, by the id of its run, or by a beginning of its
/// name that no other has. Absent where nothing has that name.
pub fn find_archive(experiments: &Utf8Path, name: &str) -> Result<Option<Utf8PathBuf>, RunError> {
    let as_path = Utf8Path::new(name);
    if name.ends_with(ARCHIVE_SUFFIX) && as_path.is_file() {
        return Ok(Some(as_path.to_owned()));
    }
    let entries = list_archives(experiments)?;
    let short = name.strip_suffix(ARCHIVE_SUFFIX).unwrap_or(name);
    if let Some(entry) = entries.iter().find(|entry| entry.name == short) {
        return Ok(Some(entry.path.clone()));
    }
    let of_run = |entry: &&ArchiveEntry| entry.run.as_ref().is_ok_and(|run| run.run_id == short);
    let begins = |entry: &&ArchiveEntry| !short.is_empty() && entry.name.starts_with(short);
    for matching in [entries.iter().filter(of_run).collect::<Vec<_>>(), entries.iter().filter(begins).collect()] {
        match matching.as_slice() {
            [] => {}
            [one] => return Ok(Some(one.path.clone())),
            several => {
                let found = several.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(RunError::Ambiguous { name: name.to_owned(), found });
            }
        }
    }
    Ok(None)
}
