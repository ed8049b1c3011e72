use std::collections::BTreeSet;
use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::anonymity::Anonymity;
use super::archive_anonymous::{anonymous_manifest, anonymous_record};
use super::archive_withheld::withheld_blobs;
use super::audit_actions::is_done;
use super::infer_draws::wanted;
use super::named_blobs::named_blobs;
use super::on_disk::{OnDisk, failed};
use super::{Manifest, RunError, RunRecord, RunState};
use crate::digest::{ActionKey, BlobId, Digest};
use crate::plan::{ActionSpec, InferParams, path_segment, temperature_label};
use crate::request::DrawAddress;
use crate::store::Store;

/// Is the directory of archives, below `experiments/`.
pub const ARCHIVES: &str = "archives";
/// Is how the name of every archive ends.
pub const ARCHIVE_SUFFIX: &str = ".tar.zst";

/// Is how many draws are read from the log at once.
pub(super) const DRAWS_AT_ONCE: usize = 1024;

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
    /// Leaves out who ran it, and where.
    pub anonymous: Option<Names<'a>>,
}

/// Says which names an anonymous archive may not show.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Those of the run's config, and of who archives it.
    pub known: &'a BTreeSet<String>,
    /// Finds those in what a server said of itself.
    pub of_text: fn(&str) -> BTreeSet<String>,
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
    /// The blobs, and the records as `actions/…`, that are named and left out.
    pub withheld: Vec<PlannedFile>,
    /// What the store lacks; nothing can be written then.
    pub missing: Vec<String>,
    #[serde(skip)]
    pub(super) without_items: bool,
    #[serde(skip)]
    pub(super) names: Option<Anonymity>,
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
/// A name is made as `t0-07_r20261123`; an anonymous archive ends in `-anonymous`, one without items in `-without-items`.
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
    let (manifest, digest) = Manifest::parse(&what, &manifest_text)?;
    let anonymous = if options.anonymous.is_some() { "-anonymous" } else { "" };
    let without_items = if options.without_items { "-without-items" } else { "" };
    let name = options.name.map_or_else(
        || format!("{}{anonymous}{without_items}", default_name(&manifest)),
        |name| name.strip_suffix(ARCHIVE_SUFFIX).unwrap_or(name).to_owned(),
    );
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
        names: None,
        manifest_text,
        run_text: record.to_text()?,
        blobs: Vec::new(),
        actions: Vec::new(),
        addresses: Vec::new(),
    };
    plan.add_actions(store, &manifest)?;
    if let Some(names) = options.anonymous {
        plan.make_anonymous(store, record, (&manifest, &digest), names)?;
    }
    plan.add("manifest.json".to_owned(), plan.manifest_text.len() as u64);
    plan.add("run.json".to_owned(), plan.run_text.len() as u64);
    let actions: Vec<(ActionKey, u64)> = plan.actions.iter().map(|(key, text)| (*key, text.len() as u64)).collect();
    for (key, size) in actions {
        plan.add(format!("actions/{}", key.digest().to_hex()), size);
    }
    let mut withheld = if options.without_items { withheld_blobs(&manifest) } else { BTreeSet::new() };
    if plan.names.is_some() {
        // A config names servers, files and keys in words that nobody can foresee; these tell of servers and requests.
        withheld.insert(manifest.config.blob);
        withheld.extend(manifest.circumstances.iter().map(|view| view.blob));
    }
    for (blob, named) in named_blobs(&manifest) {
        if withheld.contains(&blob) || plan.is_named_in(store, &blob)? {
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
        self.draws = addresses.len() as u64;
        self.addresses = addresses.into_iter().collect();
        Ok(())
    }

    /// Replaces manifest and record by anonymous ones, and withholds the records in which a name stands.
    fn make_anonymous(
        &mut self,
        store: &Store,
        record: &RunRecord,
        (manifest, digest): (&Manifest, &Digest),
        names: Names<'_>,
    ) -> Result<(), RunError> {
        if manifest.is_predecessors() {
            // Its files hold ids of requests wherever it put them, and nobody here knows them.
            let why = "its files are the predecessor's, and what they show of requests is not known".to_owned();
            return Err(RunError::Incomplete { id: self.run_id.clone(), why });
        }
        let mut known = names.known.clone();
        let mut said: BTreeSet<String> = manifest.sources.iter().map(|source| source.path.clone()).collect();
        for served in &manifest.served {
            said.extend([&served.provider, &served.model].map(Clone::clone));
            said.extend(served.revision.iter().chain(&served.note).cloned());
        }
        for addresses in self.addresses.chunks(DRAWS_AT_ONCE) {
            let served = store.draws(addresses)?.into_iter().flatten().filter_map(|draw| draw.answer.served_model);
            said.extend(served);
        }
        known.extend(said.iter().flat_map(|text| (names.of_text)(text)));
        let names = Anonymity::new(known.iter().map(String::as_str)).map_err(|error| RunError::Incomplete {
            id: self.run_id.clone(),
            why: format!("its names cannot be looked for: {error}"),
        })?;
        self.manifest_text = anonymous_manifest(manifest, digest, &names)?.1;
        self.run_text = anonymous_record(record, &self.manifest_text).to_text()?;
        self.marked = self.marked.as_deref().map(|text| names.without_names(text));
        for text in [&self.run_text, &self.name] {
            if let Some(found) = names.found(text.as_bytes()) {
                let why =
                    format!("`{}` says who ran it, or where, and stands in its name", String::from_utf8_lossy(found));
                return Err(RunError::Incomplete { id: self.run_id.clone(), why });
            }
        }
        for (key, text) in std::mem::take(&mut self.actions) {
            if names.found(text.as_bytes()).is_some() {
                let name = format!("actions/{}", key.digest().to_hex());
                self.withheld.push(PlannedFile { name, size: text.len() as u64 });
            } else {
                self.actions.push((key, text));
            }
        }
        self.names = Some(names);
        Ok(())
    }

    /// Says whether a blob shows a name that is withheld; one that is gone shows nothing, and is listed as missing.
    fn is_named_in(&self, store: &Store, blob: &BlobId) -> Result<bool, RunError> {
        let Some(names) = &self.names else { return Ok(false) };
        let path = store.blob_path(blob);
        match OnDisk::at(&path)? {
            OnDisk::File(_) => names.is_in(store.open_blob(blob)?).map_err(failed("read", &path)),
            _ => Ok(false),
        }
    }
}
