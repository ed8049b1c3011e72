use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::on_disk::{self, OnDisk, failed, place_of};
use super::view::relative;
use super::{
    AuditReport, MANIFEST_NAME, MadeFile, Manifest, PAGE_NAME, RunError, RunRecord, STOP_NAME, ViewDir, ViewEntry,
    made_files,
};
use crate::digest::BlobId;
use crate::store::Store;

const SHOW: &str = "`exp build` shows it again";

/// Are files of a run that are made from manifest and draw log afterwards, and are outside the root.
const BESIDE: [&str; 2] = [STOP_NAME, PAGE_NAME];

/// Checks that the directory shows what the manifest lists, each by the right link, and nothing else.
pub(super) fn check_views(
    store: &Store,
    dir: &ViewDir,
    record: &RunRecord,
    manifest: &Manifest,
    report: &mut AuditReport,
) -> Result<(), RunError> {
    let root = dir.path();
    let name = root.file_name().unwrap_or_default();
    match OnDisk::at(root)? {
        OnDisk::Dir => {}
        other => {
            report.find(format!("`{name}`"), "the run's directory", other.words(), SHOW);
            return Ok(());
        }
    }
    let views: BTreeMap<String, &ViewEntry> = manifest.shown().map(|view| (view.path(), view)).collect();
    for (path, view) in &views {
        check_view(store, root, path, view, report)?;
    }
    check_made(manifest, report);

    let made: BTreeMap<String, MadeFile> =
        made_files(record, manifest)?.into_iter().map(|file| (file.path.clone(), file)).collect();
    let beside: BTreeSet<String> = BESIDE.iter().map(ToString::to_string).collect();
    let mut dirs: BTreeSet<Utf8PathBuf> = BTreeSet::new();
    for path in views.keys().chain(made.keys()).chain(manifest.trials.iter().map(|trial| &trial.report_path)) {
        dirs.extend(Utf8Path::new(path).ancestors().skip(1).map(Utf8Path::to_owned));
    }
    for found in walk(root)? {
        let path = found.path.as_str();
        let shown = format!("{name}/{path}");
        let known = match &found.what {
            OnDisk::Dir => dirs.contains(&found.path),
            OnDisk::File(_) if made.contains_key(path) => true,
            OnDisk::File(_) => path == MANIFEST_NAME || beside.contains(path) || views.contains_key(path),
            // A view outside the root may be a link, into the store and nowhere else.
            OnDisk::Link(target) if beside.contains(path) => is_blob(store, &root.join(path), target),
            _ => path == MANIFEST_NAME || views.contains_key(path),
        };
        if !known {
            report.find(shown, "nothing: the manifest does not list it", found.what.words(), "move it elsewhere");
        }
    }
    for (path, file) in &made {
        let (text, expected) = (&file.text, file.what);
        match OnDisk::at(&root.join(path))? {
            OnDisk::File(_) if on_disk::read(&root.join(path))? == text.as_bytes() => {}
            OnDisk::File(_) => report.find(format!("{name}/{path}"), expected, "edited or damaged", SHOW),
            // What is not a file is listed above, unless there is nothing.
            OnDisk::Absent => report.find(format!("{name}/{path}"), expected, "missing", SHOW),
            _ => {}
        }
    }
    Ok(())
}

fn check_view(
    store: &Store,
    root: &Utf8Path,
    path: &str,
    view: &ViewEntry,
    report: &mut AuditReport,
) -> Result<(), RunError> {
    report.checked.views += 1;
    let at = root.join(path);
    let subject = format!("{}/{path}", root.file_name().unwrap_or_default());
    let blob = store.blob_path(&view.blob);
    let parent = at.parent().unwrap_or(root);
    let expected = || format!("a link to {}", view.blob);
    match OnDisk::at(&at)? {
        OnDisk::Link(target) => {
            if target != relative(parent, &blob) && place_of(&parent.join(&target)) != place_of(&blob) {
                report.find(subject, expected(), format!("a link to `{target}`"), SHOW);
            }
        }
        OnDisk::File(_) => {
            let actual = on_disk::hash(&at)?;
            if actual != view.blob {
                let remedy = "remove it; `exp build` shows it again";
                report.find(
                    subject,
                    format!("the bytes of {}", view.blob),
                    format!("a file with the hash {actual}"),
                    remedy,
                );
            }
        }
        OnDisk::Absent if store.is_forgotten(&view.blob)? => report.forgotten.views += 1,
        other => report.find(subject, expected(), other.words(), SHOW),
    }
    Ok(())
}

/// Checks that each view is something that an action of the run made.
pub(super) fn check_made(manifest: &Manifest, report: &mut AuditReport) {
    let made: BTreeSet<BlobId> =
        manifest.actions.iter().flat_map(|action| &action.outputs).map(|output| output.blob).collect();
    for view in manifest.views.iter().filter(|view| !made.contains(&view.blob)) {
        let expected = "an output of one of the run's actions";
        let remedy = "the manifest contradicts itself: it is not to be believed";
        report.find(format!("view `{}` ({})", view.path(), view.blob), expected, "none made it", remedy);
    }
}

fn is_blob(store: &Store, path: &Utf8Path, target: &Utf8Path) -> bool {
    let Some((shard, name)) = target.parent().and_then(Utf8Path::file_name).zip(target.file_name()) else {
        return false;
    };
    let Ok(id) = BlobId::parse(&format!("{shard}{name}")) else { return false };
    let blob = store.blob_path(&id);
    let at = path.parent().unwrap_or(path).join(target);
    place_of(&at) == place_of(&blob) && on_disk::hash(&blob).is_ok_and(|actual| actual == id)
}

/// Is one thing found below a run's directory.
pub(super) struct Found {
    /// The path below it.
    pub(super) path: Utf8PathBuf,
    /// What it is.
    pub(super) what: OnDisk,
}

/// Lists all that stands below a directory, sorted, links not followed. A directory comes before what is in it.
pub(super) fn walk(root: &Utf8Path) -> Result<Vec<Found>, RunError> {
    let mut found = Vec::new();
    let mut left = vec![Utf8PathBuf::new()];
    while let Some(dir) = left.pop() {
        let at = root.join(&dir);
        for entry in fs::read_dir(&at).map_err(failed("list", &at))? {
            let entry = entry.map_err(failed("list", &at))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                // A name that is not UTF-8 is not ours, and nothing below it is looked at.
                found.push(Found { path: dir.join(name.to_string_lossy().as_ref()), what: OnDisk::Other });
                continue;
            };
            let path = dir.join(name);
            let what = OnDisk::at(&root.join(&path))?;
            if matches!(what, OnDisk::Dir) {
                left.push(path.clone());
            }
            found.push(Found { path, what });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
