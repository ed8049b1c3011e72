use std::collections::{BTreeMap, BTreeSet, HashMap};

use camino::Utf8Path;

use super::clean::{CleanRun, remove_dir};
use super::infer_draws::wanted;
use super::manifest_of::manifest_of;
use super::named_blobs::named_blobs;
use super::{ArchiveFile, Catalog, CatalogEntry, Manifest, RunError, RunRecord, RunState, list_archives};
use crate::digest::BlobId;
use crate::plan::{ActionSpec, InferParams, StepKind};
use crate::store::{Collected, Garbage, Roots, Store};

/// Says what a garbage collection may take beside what nothing refers to. Of several conditions on runs a run has to meet
/// all before it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcOptions {
    /// Finished runs go that are not among so many newest ones.
    pub keep_last: Option<u64>,
    /// Finished runs go that were last written before this time: UTC, RFC 3339.
    pub older_than: Option<String>,
    /// Finished runs go, the oldest first, until what runs name and the draw log take no more bytes than these.
    pub max_size: Option<u64>,
    /// Answers go too, segment by segment of the draw log, where no run uses one of the segment.
    pub paid: bool,
    /// How many collections what a session made or used is spared after it has ended.
    pub grace: u64,
}

impl GcOptions {
    /// Is the grace of a collection that is told nothing else.
    pub const GRACE: u64 = 2;

    fn lets_runs_go(&self) -> bool {
        self.keep_last.is_some() || self.older_than.is_some() || self.max_size.is_some()
    }
}

/// Says what a garbage collection would take: a value to look at before anything goes.
#[derive(Debug)]
pub struct GcPlan {
    /// Finished runs that are let go, oldest first.
    pub runs: Vec<CleanRun>,
    /// Runs that the conditions let go and that stay: which, and why.
    pub kept: Vec<(String, String)>,
    /// What nothing refers to, once these runs are gone.
    pub garbage: Garbage,
}

impl GcPlan {
    /// Says whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.garbage.is_empty()
    }
}

/// Plans a garbage collection; writes nothing.
///
/// What runs, archives, unfinished batches and sessions refer to stays. A run of which it cannot be told what it is made of
/// stops the plan: what it names would go.
pub fn plan_gc(store: &Store, experiments: &Utf8Path, options: &GcOptions) -> Result<GcPlan, RunError> {
    let search = store.search_garbage(options.grace)?;
    let catalog = readable(store)?;
    let mut roots = Roots::default();
    let archived = archives(experiments, &mut roots)?;
    let (leaving, kept) = leaving(store, experiments, &catalog, &archived, options)?;
    for entry in catalog.entries() {
        let record = &entry.record;
        if !leaving.contains_key(&record.run_id) {
            root_run(store, experiments, record, &mut roots)?;
            if options.paid {
                root_draws(store, experiments, record, &mut roots)?;
            }
        }
    }
    // A record that stays keeps what it made: it may be of another time than the manifest, as where a run died in between.
    let table = store.actions(roots.actions.len())?;
    for row in roots.actions.iter().filter_map(|key| table.get(key)) {
        roots.blobs.extend(row.outputs.iter().map(|output| output.blob));
    }
    // Every hash in a log of batches may be of a blob.
    roots.blobs.extend(store.named_by_batches()?.into_iter().map(BlobId::new));
    for entry in catalog.entries().iter().filter(|entry| leaving.contains_key(&entry.record.run_id)) {
        // A run that is let go may be damaged: what it names then has the grace of all others.
        let Ok(Some(manifest)) = manifest_of(store, experiments, &entry.record) else { continue };
        roots.released_actions.extend(manifest.actions.iter().filter_map(|action| action.key));
        roots.released_blobs.extend(named_blobs(&manifest).into_keys().chain(entry.record.manifest));
    }
    let garbage = search.find(&roots, options.paid)?;
    Ok(GcPlan { runs: leaving.into_values().collect(), kept, garbage })
}

/// Reads the records of all runs; one that cannot be read is an error.
fn readable(store: &Store) -> Result<Catalog, RunError> {
    let catalog = Catalog::read(store)?;
    let read: BTreeSet<&str> = catalog.entries().iter().map(|entry| entry.record.run_id.as_str()).collect();
    let names = store.run_names()?;
    match names.iter().find(|name| !read.contains(name.as_str())) {
        // It may have begun this very moment; then its session holds what it is made of.
        Some(name) if store.run(name).is_err() => Err(RunError::Unreadable {
            what: format!("the record of run `{name}`"),
            why: "it is damaged, so that nobody knows what the run is made of: nothing was collected".to_owned(),
        }),
        _ => Ok(catalog),
    }
}

/// Roots what archives hold; returns the runs that have one.
fn archives(experiments: &Utf8Path, roots: &mut Roots) -> Result<BTreeSet<String>, RunError> {
    let mut archived = BTreeSet::new();
    for archive in list_archives(experiments)? {
        let head = ArchiveFile::head(&archive.path)?;
        root_manifest(&head.manifest, roots);
        roots.blobs.extend(head.record.manifest);
        archived.insert(head.record.run_id);
    }
    Ok(archived)
}

fn root_manifest(manifest: &Manifest, roots: &mut Roots) {
    roots.blobs.extend(named_blobs(manifest).into_keys());
    roots.actions.extend(manifest.actions.iter().filter_map(|action| action.key));
}

fn root_run(store: &Store, experiments: &Utf8Path, record: &RunRecord, roots: &mut Roots) -> Result<(), RunError> {
    roots.blobs.insert(record.config);
    roots.blobs.extend(record.manifest);
    roots.sessions.extend(record.sessions.iter().cloned());
    roots.sessions.insert(record.session.clone());
    if let Some(manifest) = manifest_of(store, experiments, record)? {
        root_manifest(&manifest, roots);
    }
    Ok(())
}

/// Roots the draws that a run's answers are.
fn root_draws(store: &Store, experiments: &Utf8Path, record: &RunRecord, roots: &mut Roots) -> Result<(), RunError> {
    let Some(manifest) = manifest_of(store, experiments, record)? else { return Ok(()) };
    let asks = |label: &str| label.split('/').next().and_then(StepKind::parse).is_some_and(StepKind::asks);
    for action in manifest.actions.iter().filter(|action| asks(&action.label)) {
        let Some(found) = action.key.map(|key| store.record(&key)).transpose()?.flatten() else { continue };
        let unreadable = |why: String| RunError::Unreadable { what: format!("the record of `{}`", action.label), why };
        let spec: ActionSpec = serde_json::from_str(found.spec.get()).map_err(|e| unreadable(e.to_string()))?;
        if !spec.step.asks() {
            continue;
        }
        let Some(requests) = spec.inputs.get("requests") else { continue };
        let params: InferParams = serde_json::from_value(spec.params).map_err(|e| unreadable(e.to_string()))?;
        let redraws = spec.inputs.get("redraws").map(|blob| store.read(blob)).transpose()?;
        let wanted = wanted(&store.read(requests)?, redraws.as_deref(), &params).map_err(unreadable)?;
        roots.draws.extend(wanted.into_iter().map(|draw| draw.address));
    }
    Ok(())
}

/// Is the runs that are let go, oldest first by id, and those that stay against the conditions.
type Leaving = (BTreeMap<String, CleanRun>, Vec<(String, String)>);

fn leaving(
    store: &Store,
    experiments: &Utf8Path,
    catalog: &Catalog,
    archived: &BTreeSet<String>,
    options: &GcOptions,
) -> Result<Leaving, RunError> {
    let (mut leaving, mut kept) = (BTreeMap::new(), Vec::new());
    if !options.lets_runs_go() {
        return Ok((leaving, kept));
    }
    let pinned: BTreeSet<String> = store.pinned_runs()?.into_iter().collect();
    let latest = catalog.latest().map(|entry| entry.record.run_id.clone());
    let finished: Vec<&CatalogEntry> = catalog
        .entries()
        .iter()
        .filter(|entry| matches!(entry.record.state, RunState::Complete | RunState::Partial))
        // One that has just been finished is still to be shown by whoever finished it.
        .filter(|entry| !store.session_alive(&entry.record.session))
        .collect();
    let beyond = options.keep_last.map_or(finished.len(), |n| finished.len().saturating_sub(n as usize));
    let mut sizes = match options.max_size {
        Some(_) => Some(Sizes::of(store, experiments, catalog)?),
        None => None,
    };
    for entry in &finished[..beyond] {
        let record = &entry.record;
        if options.older_than.as_ref().is_some_and(|time| record.updated_at >= *time) {
            continue;
        }
        if let (Some(sizes), Some(max)) = (&sizes, options.max_size)
            && sizes.total <= max
        {
            break;
        }
        let mut stay = |why: &str| kept.push((record.run_id.clone(), why.to_owned()));
        if latest.as_ref() == Some(&record.run_id) {
            stay("it is the latest complete run");
            continue;
        }
        if pinned.contains(&record.run_id) {
            stay("it is pinned");
            continue;
        }
        if archived.contains(&record.run_id) {
            stay("an archive holds it");
            continue;
        }
        let run = CleanRun::of(store, experiments, entry)?;
        match (&run.dir, &run.left_alone) {
            (Some(_), _) => {}
            (None, Some(why)) => {
                stay(why);
                continue;
            }
            (None, None) => {
                stay("it is shown nowhere here: it may be another project's");
                continue;
            }
        }
        if let Some(sizes) = &mut sizes {
            sizes.leave(store, experiments, record);
        }
        leaving.insert(record.run_id.clone(), run);
    }
    Ok((leaving, kept))
}

/// Knows how many bytes the runs of a store take, each blob counted once.
struct Sizes {
    uses: HashMap<BlobId, (u64, u64)>,
    total: u64,
}

impl Sizes {
    fn of(store: &Store, experiments: &Utf8Path, catalog: &Catalog) -> Result<Self, RunError> {
        let mut sizes = Self { uses: HashMap::new(), total: store.draw_bytes()? };
        for entry in catalog.entries() {
            let Some(manifest) = manifest_of(store, experiments, &entry.record)? else { continue };
            for (blob, named) in named_blobs(&manifest) {
                let size = named.sizes.iter().copied().max().unwrap_or_default();
                let uses = sizes.uses.entry(blob).or_insert((0, size));
                uses.0 += 1;
                if uses.0 == 1 {
                    sizes.total += size;
                }
            }
        }
        Ok(sizes)
    }

    fn leave(&mut self, store: &Store, experiments: &Utf8Path, record: &RunRecord) {
        let Ok(Some(manifest)) = manifest_of(store, experiments, record) else { return };
        for blob in named_blobs(&manifest).into_keys() {
            if let Some((uses, size)) = self.uses.get_mut(&blob) {
                *uses = uses.saturating_sub(1);
                if *uses == 0 {
                    self.total = self.total.saturating_sub(*size);
                }
            }
        }
    }
}

/// Collects what a plan lists: the runs that are let go first, each directory before its record, then the garbage.
///
/// A run whose record has changed since the plan was made stops the collection before anything of it is gone.
pub fn apply_gc(store: &Store, experiments: &Utf8Path, plan: GcPlan) -> Result<Collected, RunError> {
    let held = if plan.runs.is_empty() { None } else { Some(store.hold_runs()?) };
    for run in &plan.runs {
        if store.run(&run.run_id)?.is_none_or(|now| now.text != run.text) {
            return Err(RunError::Changed { id: run.run_id.clone() });
        }
        if let Some(dir) = &run.dir {
            let files: BTreeSet<&str> = run.files.iter().map(String::as_str).collect();
            remove_dir(experiments, dir, &files)?;
        }
        store.remove_run(&run.run_id)?;
    }
    drop(held);
    Ok(store.collect(plan.garbage)?)
}
