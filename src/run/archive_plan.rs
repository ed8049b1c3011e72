use std::collections::BTreeSet;
use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::archive_withheld::withheld_blobs;
use super::audit_actions::is_done;
use super::infer_draws::wanted;
use super::named_blobs::named_blobs;
use super::on_disk::OnDisk;
use super::{Manifest, RunError, RunRecord, RunState};
use crate::digest::{ActionKey, BlobId};
use crate::plan::{ActionSpec, InferParams, path_segment, temperature_label};
use crate::request::DrawAddress;
use crate::store::Store;

/// Is the directory of archives, below `experiments/`.
pub const ARCHIVES: &str = "archives";
/// Is how the name of every archive ends.
pub const ARCHIVE_SUFFIX: &str = ".tar.zst";

/// Is one file of an archive to be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PlannedFile {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
}

/// Says how a run is archived.
#[derive(Clone, Copy, Debug, Default)]
pub struct ArchiveOptions<'a> {
    /// The archive's name; `t<temperatures>_<run id>` where there is none.
    pub name: Option<&'a str>,
    /// Leaves out every byte of an item's text: hashes stand for it.
    pub without_items: bool,
}

/// Says what an archive will hold: a value to look at before anything is written.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ArchivePlan {
    /// The archive's name.
    pub name: String,
    /// The file.
    #[serde(serialize_with = "as_text")]
    pub path: Utf8PathBuf,
    /// The run.
    pub run_id: String,
    /// How far the run is.
    pub state: RunState,
    /// Set where the run is not all of its experiment: what the archive says about that.
    pub marked: Option<String>,
    /// The blobs, records and the run's own two files; not the note, the sums and the draws.
    pub files: Vec<PlannedFile>,
    /// Their bytes, not compressed.
    pub bytes: u64,
    /// How many draws, answered or not.
    pub draws: u64,
    /// The blobs that are named and left out.
    pub withheld: Vec<PlannedFile>,
    /// What the store lacks; nothing can be written then.
    pub missing: Vec<String>,
    #[serde(skip)]
    pub(super) without_items: bool,
    #[serde(skip)]
    pub(super) manifest_text: String,
    #[serde(skip)]
    pub(super) run_text: String,
    #[serde(skip)]
    pub(super) blobs: Vec<(BlobId, u64)>,
    #[serde(skip)]
    pub(super) actions: Vec<(ActionKey, String)>,
    #[serde(skip)]
    pub(super) addresses: Vec<DrawAddress>,
}

/// Plans the archive of a run; reads, and writes nothing.
///
/// A name is made as `t0-07_r20261123`; an archive without items ends in `-without-items`.
pub fn plan_archive(
    store: &Store,
    experiments: &Utf8Path,
    record: &RunRecord,
    options: ArchiveOptions<'_>,
) -> Result<ArchivePlan, RunError> {
    // The text itself, and not what it reads as: the record names its hash.
    let what = format!("the manifest of run `{}`", record.run_id);
    let unreadable = |why: &str| RunError::Unreadable { what: what.clone(), why: why.to_owned() };
    let blob = record.manifest.ok_or_else(|| unreadable("none was written yet"))?;
    let manifest_text = String::from_utf8(store.read(&blob)?).map_err(|_| unreadable("it is not UTF-8"))?;
    let (manifest, _) = Manifest::parse(&what, &manifest_text)?;
    let name = match options.name {
        Some(name) => name.strip_suffix(ARCHIVE_SUFFIX).unwrap_or(name).to_owned(),
        None if options.without_items => format!("{}-without-items", default_name(&manifest)),
        None => default_name(&manifest),
    };
    if path_segment(&name) != name || name.len() > 100 {
        return Err(RunError::BadId { id: name });
    }
    let mut plan = ArchivePlan {
        path: experiments.join(ARCHIVES).join(format!("{name}{ARCHIVE_SUFFIX}")),
        name,
        run_id: record.run_id.clone(),
        state: manifest.state,
        marked: mark(&manifest),
        files: Vec::new(),
        bytes: 0,
        draws: 0,
        withheld: Vec::new(),
        missing: Vec::new(),
        without_items: options.without_items,
        manifest_text,
        run_text: record.to_text()?,
        blobs: Vec::new(),
        actions: Vec::new(),
        addresses: Vec::new(),
    };
    plan.add("manifest.json".to_owned(), plan.manifest_text.len() as u64);
    plan.add("run.json".to_owned(), plan.run_text.len() as u64);
    plan.add_actions(store, &manifest)?;
    let withheld = if options.without_items { withheld_blobs(&manifest) } else { BTreeSet::new() };
    for (blob, named) in named_blobs(&manifest) {
        if withheld.contains(&blob) {
            let size = named.sizes.first().copied().unwrap_or_default();
            plan.withheld.push(PlannedFile { name: blob.digest().to_hex(), size });
            continue;
        }
        if let OnDisk::File(meta) = OnDisk::at(&store.blob_path(&blob))? {
            plan.add(format!("blobs/{}", blob.digest().to_hex()), meta.len());
            plan.blobs.push((blob, meta.len()));
        } else {
            plan.missing.push(format!("blob {blob} ({})", named.words()));
        }
    }
    Ok(plan)
}

/// Writes a path as text.
pub(super) fn as_text<S: serde::Serializer>(path: &Utf8Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(path.as_str())
}

fn default_name(manifest: &Manifest) -> String {
    let temperatures: BTreeSet<_> = manifest.trials.iter().flat_map(|trial| &trial.trial.temps).collect();
    let labels: Vec<String> = temperatures.into_iter().map(|temperature| temperature_label(*temperature)).collect();
    let name = format!("t{}_{}", labels.join("-"), manifest.run_id);
    if name.len() <= 100 { name } else { manifest.run_id.clone() }
}

/// Says what a run lacks of its experiment.
fn mark(manifest: &Manifest) -> Option<String> {
    if manifest.state == RunState::Complete {
        return None;
    }
    let mut text = format!("this run is {}, not complete", manifest.state);
    if let Some(narrowed) = &manifest.narrowed {
        let _ = write!(text, ": {narrowed}");
    }
    Some(text)
}

impl ArchivePlan {
    fn add(&mut self, name: String, size: u64) {
        self.bytes += size;
        self.files.push(PlannedFile { name, size });
    }

    fn add_actions(&mut self, store: &Store, manifest: &Manifest) -> Result<(), RunError> {
        let mut keys = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for action in manifest.actions.iter().filter(|action| is_done(action)) {
            let Some(key) = action.key else { continue };
            if !keys.insert(key) {
                continue;
            }
            let Some(record) = store.record(&key)? else {
                self.missing.push(format!("record of action {key} (`{}`)", action.label));
                continue;
            };
            let unreadable = |why: String| RunError::Unreadable {
                what: format!("the record of action {key} (`{}`)", action.label),
                why,
            };
            let text = String::from_utf8(record.to_bytes()?).map_err(|error| unreadable(error.to_string()))?;
            let spec: ActionSpec =
                serde_json::from_str(record.spec.get()).map_err(|error| unreadable(error.to_string()))?;
            if spec.step.asks()
                && let Some(requests) = spec.inputs.get("requests")
            {
                let params: InferParams =
                    serde_json::from_value(spec.params).map_err(|error| unreadable(error.to_string()))?;
                let redraws = spec.inputs.get("redraws").map(|blob| store.read(blob)).transpose();
                match store.read(requests).and_then(|bytes| Ok((bytes, redraws?))) {
                    Ok((bytes, redraws)) => {
                        let wanted = wanted(&bytes, redraws.as_deref(), &params).map_err(unreadable)?;
                        addresses.extend(wanted.into_iter().map(|draw| draw.address));
                    }
                    // The blob itself (or the file of redraws) is listed as missing where the manifest names it.
                    Err(_) => self.missing.push(format!("requests {requests} of `{}`", action.label)),
                }
            }
            self.actions.push((key, text));
        }
        self.actions.sort_by_key(|(key, _)| *key);
        let sizes: Vec<(String, u64)> = self
            .actions
            .iter()
            .map(|(key, text)| (format!("actions/{}", key.digest().to_hex()), text.len() as u64))
            .collect();
        for (name, size) in sizes {
            self.add(name, size);
        }
        self.draws = addresses.len() as u64;
        self.addresses = addresses.into_iter().collect();
        Ok(())
    }
}
