//! Which bytes hold an item, and how they are erased.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;

use camino::Utf8Path;

use super::archive_withheld::holds_text;
use super::named_blobs::named_blobs;
use super::on_disk::{self, OnDisk, failed};
use super::{ArchiveFile, Catalog, Manifest, PAGE_NAME, RunError, ViewDir, list_archives};
use crate::digest::{ActionKey, BlobId, RequestKey};
use crate::plan::{ActionSpec, StepKind, judged_item};
use crate::store::{ActionRecord, Forgotten, Store};

/// Says what would be erased of an item: a value to look at before anything is.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ForgetPlan {
    /// The dataset.
    pub dataset: String,
    /// The item.
    pub item: String,
    /// How many requests ask about it, of however many arms and models.
    pub requests: u64,
    /// Answers to them, and attempts, in the draw log.
    pub draws: u64,
    /// Blobs that hold its text, alone or among others, and are there.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Runs that lose views with it, or what they were made of.
    pub runs: Vec<String>,
    /// Archives that hold it; they are not touched.
    pub archives: Vec<String>,
    /// The dataset's files that it was read from; they are not touched.
    pub sources: Vec<String>,
    /// Results that no run names and that hold an item of this id, of whatever dataset.
    pub unnamed: u64,
    #[serde(skip)]
    erased: BTreeSet<BlobId>,
    #[serde(skip)]
    keys: HashSet<RequestKey>,
}

impl ForgetPlan {
    /// Says whether nothing of the item is there.
    pub fn is_empty(&self) -> bool {
        self.blobs == 0 && self.draws == 0
    }
}

/// Is what is known of one action, for following what it made.
struct Known {
    record: ActionRecord,
    spec: ActionSpec,
}

/// Finds all that holds an item's text: the parts of its dataset, the requests and answers of these parts, and whatever was made of
/// them that may hold text; the sources that it was read from, and its recorded answers.
///
/// `dataset` is the name by which runs know it. An item that two datasets hold is in both.
pub fn plan_forget(store: &Store, experiments: &Utf8Path, dataset: &str, item: &str) -> Result<ForgetPlan, RunError> {
    let mut plan = ForgetPlan { dataset: dataset.to_owned(), item: item.to_owned(), ..ForgetPlan::default() };
    let mut manifests: Vec<Manifest> = Vec::new();
    for entry in Catalog::read(store)?.entries().iter().filter(|entry| entry.record.manifest.is_some()) {
        manifests.push(Catalog::manifest(store, &entry.record)?);
    }
    let label = format!("prepare/{dataset}");
    let prepared: BTreeSet<ActionKey> = manifests
        .iter()
        .flat_map(|manifest| &manifest.actions)
        .filter(|action| action.label == label)
        .filter_map(|action| action.key)
        .collect();
    let (known, readers) = read_actions(store)?;
    let mut left: Vec<BlobId> = Vec::new();
    for (key, action) in known.iter().filter(|(_, action)| action.record.step == "prepare") {
        let holding: Vec<BlobId> = action
            .record
            .outputs
            .iter()
            .filter(|output| output.name != "order")
            .filter(|output| is_gone(store, &output.blob) || has_line(store, &output.blob, item))
            .map(|output| output.blob)
            .collect();
        if holding.is_empty() {
            continue;
        }
        if !prepared.contains(key) {
            let is_named = manifests.iter().flat_map(|manifest| &manifest.actions).any(|a| a.key == Some(*key));
            plan.unnamed += u64::from(!is_named);
            continue;
        }
        plan.erased.extend(action.spec.inputs.values());
        left.extend(holding);
    }
    while let Some(blob) = left.pop() {
        if !plan.erased.insert(blob) {
            continue;
        }
        for key in readers.get(&blob).into_iter().flatten() {
            let Some(Known { record, spec }) = known.get(key) else { continue };
            // The answers that were recorded elsewhere are a source.
            plan.erased.extend(spec.inputs.get("recordings"));
            let made = record.outputs.iter().filter(|output| holds_text(&record.step, &output.name));
            left.extend(made.map(|output| output.blob).filter(|blob| !plan.erased.contains(blob)));
            for output in record.outputs.iter().filter(|output| output.name == "requests") {
                plan.keys.extend(keys_of(store, &record.step, &output.blob, item));
            }
        }
    }
    for batch in store.batches()? {
        if !batch.draws.iter().any(|draw| plan.keys.contains(&draw.request)) {
            continue;
        }
        if !batch.state().is_terminal() {
            let why = format!("batch {} asks about it, and is not over: `exp jobs` shows it", batch.head.name);
            return Err(RunError::NotYet { why });
        }
        plan.erased.extend(batch.head.input.map(|blob| blob.id));
        plan.erased.extend(batch.steps.iter().filter_map(|step| Some(step.results.as_ref()?.id)));
    }
    plan.requests = plan.keys.len() as u64;
    plan.draws = store.logged_of(&plan.keys)?;
    for blob in &plan.erased {
        if let OnDisk::File(meta) = OnDisk::at(&store.blob_path(blob))? {
            plan.blobs += 1;
            plan.bytes += meta.len();
        }
    }
    name_those_concerned(experiments, &manifests, &mut plan)?;
    Ok(plan)
}

/// Reads every action's record, and which blobs each reads.
#[allow(clippy::type_complexity)] // Two maps, used in one place.
fn read_actions(store: &Store) -> Result<(BTreeMap<ActionKey, Known>, HashMap<BlobId, Vec<ActionKey>>), RunError> {
    let mut known = BTreeMap::new();
    let mut readers: HashMap<BlobId, Vec<ActionKey>> = HashMap::new();
    for key in store.action_keys()? {
        let Some(record) = store.record(&key)? else { continue };
        let spec: ActionSpec = serde_json::from_str(record.spec.get()).map_err(|error| RunError::Unreadable {
            what: format!("the record of action {key}"),
            why: error.to_string(),
        })?;
        for blob in spec.inputs.values() {
            readers.entry(*blob).or_default().push(key);
        }
        known.insert(key, Known { record, spec });
    }
    Ok((known, readers))
}

/// Lists the runs and archives that name something of it, and the files it was read from.
fn name_those_concerned(experiments: &Utf8Path, manifests: &[Manifest], plan: &mut ForgetPlan) -> Result<(), RunError> {
    let concerns = |manifest: &Manifest| named_blobs(manifest).keys().any(|blob| plan.erased.contains(blob));
    plan.runs = manifests.iter().filter(|manifest| concerns(manifest)).map(|m| m.run_id.clone()).collect();
    for entry in list_archives(experiments)? {
        // One that cannot be read may hold anything.
        let is_concerned = ArchiveFile::head(&entry.path).map_or(true, |head| concerns(&head.manifest));
        if is_concerned {
            plan.archives.push(entry.path.to_string());
        }
    }
    let sources: BTreeSet<String> = manifests
        .iter()
        .flat_map(|manifest| &manifest.sources)
        .filter(|source| plan.erased.contains(&source.blob))
        .map(|source| source.path.clone())
        .collect();
    plan.sources = sources.into_iter().collect();
    Ok(())
}

/// Tells whether a blob was forgotten: for this item, if a call was cut short, or for another one; nobody knows.
fn is_gone(store: &Store, blob: &BlobId) -> bool {
    matches!(OnDisk::at(&store.blob_path(blob)), Ok(OnDisk::Absent)) && store.is_forgotten(blob).unwrap_or(false)
}

/// Tells whether a line of a blob is about the item.
fn has_line(store: &Store, blob: &BlobId, item: &str) -> bool {
    lines(store, blob).iter().any(|line| line["id"] == item)
}

/// Returns the keys of the requests about the item.
fn keys_of(store: &Store, step: &str, blob: &BlobId, item: &str) -> Vec<RequestKey> {
    let is_about = |line: &serde_json::Value| match line["item"].as_str() {
        Some(name) if [StepKind::JudgeBuild, StepKind::PairwiseBuild].iter().any(|kind| kind.as_str() == step) => {
            judged_item(name) == Some(item)
        }
        name => name == Some(item),
    };
    let lines = lines(store, blob).into_iter().filter(is_about);
    lines.filter_map(|mut line| serde_json::from_value(line["key"].take()).ok()).collect()
}

/// Reads a blob of lines; one that is gone, or that no longer reads, has none.
fn lines(store: &Store, blob: &BlobId) -> Vec<serde_json::Value> {
    let Ok(bytes) = on_disk::read(&store.blob_path(blob)) else { return Vec::new() };
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Erases what a plan lists: in the store, and where it is shown here.
pub fn forget(store: &Store, experiments: &Utf8Path, plan: &ForgetPlan) -> Result<Forgotten, RunError> {
    let sized = |blob: &BlobId| {
        Ok(match OnDisk::at(&store.blob_path(blob))? {
            OnDisk::File(meta) => (*blob, meta.len()),
            _ => (*blob, 0),
        })
    };
    let blobs: Vec<(BlobId, u64)> = plan.erased.iter().map(sized).collect::<Result<_, RunError>>()?;
    let catalog = Catalog::read(store)?;
    let _shown = store.hold_runs()?;
    for entry in catalog.entries().iter().filter(|entry| plan.runs.contains(&entry.record.run_id)) {
        let manifest = Catalog::manifest(store, &entry.record)?;
        let dir = ViewDir::new(experiments, &entry.record.run_id);
        if !matches!(OnDisk::at(dir.path())?, OnDisk::Dir) {
            continue;
        }
        let views = manifest.shown().filter(|view| plan.erased.contains(&view.blob)).map(super::ViewEntry::path);
        for path in views.chain([PAGE_NAME.to_owned()]) {
            remove(&dir.path().join(path))?;
        }
    }
    Ok(store.forget(&blobs, &plan.keys)?)
}

/// Removes a link or a file of a run's directory.
fn remove(path: &Utf8Path) -> Result<(), RunError> {
    match OnDisk::at(path)? {
        OnDisk::File(_) | OnDisk::Link(_) => fs::remove_file(path).map_err(failed("remove", path)),
        _ => Ok(()),
    }
}
