use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::archive_plan::as_text;
use super::archive_write::{ASIDE_PREFIX, ASIDE_SUFFIX};
use super::audit_views::walk;
use super::made_files::SIGNATURES;
use super::on_disk::{self, OnDisk, failed};
use super::{
    ARCHIVES, Catalog, CatalogEntry, MANIFEST_NAME, Manifest, PAGE_NAME, RunError, RunRecord, RunState, STATEMENT_NAME,
    STOP_NAME, ViewDir,
};
use crate::digest::{ActionKey, BlobId};
use crate::store::{Session, Store};

/// Says what is cleaned beside the runs that were never finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanOptions {
    /// Also lists the records of `prepare` and `build`, so that these steps run again.
    pub prepared: bool,
}

/// Is one run that would go.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CleanRun {
    /// Its id.
    pub run_id: String,
    /// `interrupted`, `stopped` or `failed`.
    pub state: String,
    /// Its directory, where that is ours to remove.
    pub dir: Option<String>,
    /// The links and files of ours in it, below it.
    pub files: Vec<String>,
    /// What is in it and not ours, and stays.
    pub extra: Vec<String>,
    /// Why a directory of that name is left alone, if one is.
    #[serde(skip)]
    pub(super) left_alone: Option<String>,
    #[serde(skip)]
    pub(super) text: String,
}

impl CleanRun {
    /// Looks at what there is of a run.
    pub(super) fn of(store: &Store, experiments: &Utf8Path, entry: &CatalogEntry) -> Result<Self, RunError> {
        let record = &entry.record;
        let mut run = Self {
            run_id: record.run_id.clone(),
            state: entry.state_words().to_owned(),
            dir: None,
            files: Vec::new(),
            extra: Vec::new(),
            left_alone: None,
            text: store.run(&record.run_id)?.map(|run| run.text).unwrap_or_default(),
        };
        look_at_dir(experiments, record, &mut run)?;
        Ok(run)
    }
}

/// Says what a clean would remove: a value to look at before anything is.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct CleanPlan {
    /// Unfinished runs on which nobody is at work.
    pub runs: Vec<CleanRun>,
    /// Half-written archives of processes that are gone.
    pub leftovers: Vec<LeftOver>,
    /// Records of `prepare` and `build` that no run to be kept needs.
    pub prepared: Vec<ActionKey>,
    /// How many such records are kept because a run that stays is made of them.
    pub prepared_kept: u64,
    /// Directories that look like a run's and are left alone: which, and why.
    pub left_alone: Vec<(String, String)>,
}

/// Is a half-written archive.
#[derive(Clone, Debug, serde::Serialize)]
pub struct LeftOver {
    /// The file.
    #[serde(serialize_with = "as_text")]
    pub path: Utf8PathBuf,
}

impl CleanPlan {
    /// Says whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.leftovers.is_empty() && self.prepared.is_empty()
    }
}

/// Plans what `clean` removes: runs that were interrupted or stopped or that failed, with their directories.
///
/// Complete, partial and pending runs, pinned runs, runs on which somebody is at work, archives and imported runs are never
/// touched.
/// A directory goes only if it is a real directory, is named after the run, and holds a manifest of that run, or no file at all.
pub fn plan_clean(store: &Store, experiments: &Utf8Path, options: CleanOptions) -> Result<CleanPlan, RunError> {
    let mut plan = CleanPlan { leftovers: leftovers(experiments)?, ..CleanPlan::default() };
    let catalog = Catalog::read(store)?;
    let pinned: BTreeSet<String> = store.pinned_runs()?.into_iter().collect();
    let mut prepared: BTreeMap<ActionKey, bool> = BTreeMap::new();
    for entry in catalog.entries() {
        let record = &entry.record;
        let goes = is_cleanable(store, record) && !pinned.contains(&record.run_id);
        if goes {
            let run = CleanRun::of(store, experiments, entry)?;
            if let Some(why) = &run.left_alone {
                let dir = ViewDir::new(experiments, &record.run_id);
                plan.left_alone.push((dir.path().file_name().unwrap_or_default().to_owned(), why.clone()));
            }
            plan.runs.push(run);
        }
        if options.prepared && record.manifest.is_some() {
            // A manifest that does not read holds nothing back that could be known.
            let Ok(manifest) = Catalog::manifest(store, record) else { continue };
            for action in &manifest.actions {
                let free = ["prepare/", "build/"].iter().any(|step| action.label.starts_with(step));
                if let Some(key) = action.key.filter(|_| free) {
                    *prepared.entry(key).or_default() |= !goes;
                }
            }
        }
    }
    plan.prepared_kept = prepared.values().filter(|kept| **kept).count() as u64;
    plan.prepared = prepared.into_iter().filter(|(_, kept)| !kept).map(|(key, _)| key).collect();
    Ok(plan)
}

fn is_cleanable(store: &Store, record: &RunRecord) -> bool {
    matches!(record.state, RunState::Running | RunState::Stopped | RunState::Failed)
        && record.imported.is_none()
        && !store.session_alive(&record.session)
}

fn look_at_dir(experiments: &Utf8Path, record: &RunRecord, run: &mut CleanRun) -> Result<(), RunError> {
    let dir = ViewDir::new(experiments, &record.run_id);
    let name = dir.path().file_name().unwrap_or_default().to_owned();
    let leave = |run: &mut CleanRun, why: &str| run.left_alone = Some(why.to_owned());
    match OnDisk::at(dir.path())? {
        OnDisk::Absent => return Ok(()),
        OnDisk::Dir => {}
        OnDisk::Link(_) => {
            leave(run, "it is a link");
            return Ok(());
        }
        _ => {
            leave(run, "it is not a directory");
            return Ok(());
        }
    }
    let path = dir.path().join(MANIFEST_NAME);
    let OnDisk::File(_) = OnDisk::at(&path)? else {
        // The last that is left of a directory whose removal was cut short is nobody's.
        if walk(dir.path())?.iter().all(|found| matches!(found.what, OnDisk::Dir)) {
            run.dir = Some(name);
        } else {
            leave(run, "it holds no manifest of ours");
        }
        return Ok(());
    };
    let bytes = on_disk::read(&path)?;
    let vouched = record.manifest == Some(BlobId::of(&bytes));
    let parsed = Manifest::parse(&name, &String::from_utf8_lossy(&bytes)).ok().map(|(manifest, _)| manifest);
    if !vouched && parsed.as_ref().is_none_or(|manifest| manifest.run_id != record.run_id) {
        leave(run, "its manifest is not this run's");
        return Ok(());
    }
    let views: BTreeSet<String> = parsed.iter().flat_map(Manifest::shown).map(super::ViewEntry::path).collect();
    for found in walk(dir.path())? {
        let path = found.path.to_string();
        let ours = match &found.what {
            OnDisk::Dir => continue,
            OnDisk::Link(_) | OnDisk::File(_) => is_ours(&found.path, &views),
            OnDisk::Absent | OnDisk::Other => false,
        };
        if ours { run.files.push(path) } else { run.extra.push(path) }
    }
    run.dir = Some(name);
    Ok(())
}

fn is_ours(path: &Utf8Path, views: &BTreeSet<String>) -> bool {
    let name = path.file_name().unwrap_or_default();
    let top = path.parent().is_none_or(|parent| parent.as_str().is_empty());
    (top && matches!(name, MANIFEST_NAME | STOP_NAME | PAGE_NAME | STATEMENT_NAME))
        || (path.parent().is_some_and(|parent| parent == SIGNATURES) && path.extension() == Some("sig"))
        || name == "trial_manifest.json"
        || (name.starts_with('.') && path.extension() == Some("new"))
        || views.contains(path.as_str())
}

/// Lists the half-written archives that nobody holds locked.
fn leftovers(experiments: &Utf8Path) -> Result<Vec<LeftOver>, RunError> {
    let dir = experiments.join(ARCHIVES);
    let mut found = Vec::new();
    if !matches!(OnDisk::at(&dir)?, OnDisk::Dir) {
        return Ok(found);
    }
    for entry in fs::read_dir(&dir).map_err(failed("list", &dir))? {
        let name = entry.map_err(failed("list", &dir))?.file_name();
        let Some(name) = name.to_str().filter(|n| n.starts_with(ASIDE_PREFIX) && n.ends_with(ASIDE_SUFFIX)) else {
            continue;
        };
        let path = dir.join(name);
        if matches!(OnDisk::at(&path)?, OnDisk::File(_)) && is_unlocked(&path) {
            found.push(LeftOver { path });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn is_unlocked(path: &Utf8Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Is what a clean removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cleaned {
    /// Records of runs.
    pub runs: u64,
    /// Links and files under `experiments/`.
    pub files: u64,
    /// Runs that somebody began to work on since the plan was made: they stay.
    pub skipped: u64,
}

/// Removes what a plan lists, each run's directory before its record, following no link.
///
/// A run whose record has changed since the plan was made is left alone.
pub fn apply_clean(session: &Session, experiments: &Utf8Path, plan: &CleanPlan) -> Result<Cleaned, RunError> {
    let mut cleaned = Cleaned::default();
    for run in &plan.runs {
        let now = session.store().run(&run.run_id)?;
        let unchanged = now.as_ref().is_some_and(|now| now.text == run.text);
        let record = now.map(|now| RunRecord::parse(&now.id, &now.text)).transpose()?;
        if !unchanged || !record.is_some_and(|record| is_cleanable(session.store(), &record)) {
            cleaned.skipped += 1;
            continue;
        }
        if let Some(dir) = &run.dir {
            let files: BTreeSet<&str> = run.files.iter().map(String::as_str).collect();
            cleaned.files += remove_dir(experiments, dir, &files)?;
        }
        session.remove_run(&run.run_id)?;
        cleaned.runs += 1;
    }
    for left in &plan.leftovers {
        if is_unlocked(&left.path) {
            fs::remove_file(&left.path).map_err(failed("remove", &left.path))?;
            cleaned.files += 1;
        }
    }
    session.forget_actions(&plan.prepared)?;
    Ok(cleaned)
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Removes the listed files of a directory below `experiments/`, and each directory that is empty then. Every step goes
/// through an opened directory, so that a link planted meanwhile leads nowhere.
pub(super) fn remove_dir(experiments: &Utf8Path, name: &str, files: &BTreeSet<&str>) -> Result<u64, RunError> {
    let fail = |path: &Utf8Path, errno: rustix::io::Errno| failed("remove", path)(errno.into());
    let parent =
        rustix::fs::open(experiments.as_std_path(), DIRECTORY, Mode::empty()).map_err(|e| fail(experiments, e))?;
    let mut removed = 0;
    remove_below(&parent, experiments, name, Utf8Path::new(""), files, &mut removed)?;
    Ok(removed)
}

fn remove_below(
    parent: &rustix::fd::OwnedFd,
    shown: &Utf8Path,
    name: &str,
    below: &Utf8Path,
    files: &BTreeSet<&str>,
    removed: &mut u64,
) -> Result<(), RunError> {
    let path = shown.join(name);
    let fail = |errno: rustix::io::Errno| failed("remove", &path)(errno.into());
    let dir = rustix::fs::openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).map_err(fail)?;
    let mut names = Vec::new();
    for entry in rustix::io::retry_on_intr(|| Dir::read_from(&dir)).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if let Ok(name) = entry.file_name().to_str()
            && name != "."
            && name != ".."
        {
            names.push(name.to_owned());
        }
    }
    // The manifest goes last: while it stands, the rest of a clean that was cut short can be done by the next.
    names.sort_by_key(|name| name == MANIFEST_NAME);
    for inner in names {
        let at = below.join(&inner);
        let stat = rustix::fs::statat(&dir, &inner, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            remove_below(&dir, &path, &inner, &at, files, removed)?;
        } else if files.contains(at.as_str()) {
            rustix::fs::unlinkat(&dir, &inner, AtFlags::empty()).map_err(fail)?;
            *removed += 1;
        }
    }
    drop(dir);
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(rustix::io::Errno::NOTEMPTY | rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(fail(error)),
    }
}
