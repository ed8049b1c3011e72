use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::on_disk::{self, failed};
use super::predecessor_tree::PredecessorTree;
use super::{
    ActionEntry, CostSummary, ImportTrust, Manifest, OutputEntry, RequestCounts, RunError, RunRecord, RunState,
    SourceEntry, ViewDir, ViewEntry, check_run_id, root_of,
};
use crate::digest::{BlobId, Encoder, PlanId};
use crate::store::{Commit, Session};

/// Is how many files are made durable together.
const GROUP: usize = 64;

/// Is what came of taking in a run of the predecessor's.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ImportedTree {
    /// The run's id here.
    pub run_id: String,
    /// How far it is.
    pub state: RunState,
    /// Whether it was there already.
    pub already: bool,
    /// How many trials it shows.
    pub trials: usize,
    /// How many files were read.
    pub files: usize,
    /// Links, pipes and the like, which were left where they are.
    pub left_out: Vec<String>,
    /// What is missing of it.
    pub missing: Vec<String>,
}

/// Takes a run of the predecessor's into a store: every regular file of its directory becomes a blob, and a manifest says
/// which they are. Nothing is changed in the directory.
///
/// It is never trusted: there are no records and no draws, so that nothing of it can serve a build. `now` stands for the time
/// of a run that does not say when it began: UTC, RFC 3339.
pub fn import_predecessor(
    session: &Session,
    experiments: &Utf8Path,
    dir: &Utf8Path,
    tool: &str,
    now: &str,
) -> Result<ImportedTree, RunError> {
    let tree = PredecessorTree::read(dir)?;
    let blobs = take_in(session, dir, &tree)?;
    let mut manifest = manifest_of_tree(&tree, &blobs, tool, now);
    let run_id = free_id(session, experiments, &tree, &manifest)?;
    manifest.run_id.clone_from(&run_id);
    let known = |id: &str| -> Result<Option<RunRecord>, RunError> {
        session.store().run(id)?.map(|run| RunRecord::parse(&run.id, &run.text)).transpose()
    };
    let there = known(&run_id)?;
    if there.is_none() {
        let text = manifest.to_text()?;
        let staged = session.stage(text.as_bytes())?;
        let blob = staged.blob().id;
        session.commit(vec![Commit { record: None, blobs: vec![staged] }])?;
        let record = RunRecord {
            run_id: run_id.clone(),
            imported: Some(ImportTrust::Unverified),
            ..RunRecord::of(&manifest, blob, session.id())
        };
        session.write_run(&run_id, &record.to_text()?)?;
    }
    Ok(ImportedTree {
        run_id,
        state: manifest.state,
        already: there.is_some(),
        trials: tree.trials.len(),
        files: tree.files.len(),
        left_out: tree.left_out.iter().map(ToString::to_string).collect(),
        missing: tree.failures.iter().map(|failure| format!("{}: {}", failure.label, failure.why)).collect(),
    })
}

/// Finds the id under which the run stands here: its own, or one with `-imported` behind it where its own directory is at the
/// very place where it would be shown.
fn free_id(
    session: &Session,
    experiments: &Utf8Path,
    tree: &PredecessorTree,
    manifest: &Manifest,
) -> Result<String, RunError> {
    let suffixed = format!("{}-imported", tree.run_id);
    for id in [&tree.run_id, &suffixed] {
        check_run_id(id)?;
        match session.store().run(id)? {
            Some(run) if RunRecord::parse(&run.id, &run.text)?.plan == manifest.plan => return Ok(id.clone()),
            Some(_) => {}
            None if ViewDir::new(experiments, id).path().symlink_metadata().is_ok() => {}
            None => return Ok(id.clone()),
        }
    }
    Err(RunError::Taken { id: tree.run_id.clone() })
}

/// Copies every file into the store; returns blob and size of each.
fn take_in(
    session: &Session,
    dir: &Utf8Path,
    tree: &PredecessorTree,
) -> Result<BTreeMap<Utf8PathBuf, (BlobId, u64)>, RunError> {
    let mut blobs = BTreeMap::new();
    for files in tree.files.chunks(GROUP) {
        let mut group = Commit::default();
        for file in files {
            let path = dir.join(file);
            let mut source = on_disk::open(&path)?;
            let mut writer = session.stage_writer()?;
            std::io::copy(&mut source, &mut writer).map_err(failed("copy", &path))?;
            let staged = writer.finish()?;
            let blob = staged.blob();
            blobs.insert(file.clone(), (blob.id, blob.size));
            group.blobs.push(staged);
        }
        session.commit(vec![group])?;
    }
    Ok(blobs)
}

fn manifest_of_tree(
    tree: &PredecessorTree,
    blobs: &BTreeMap<Utf8PathBuf, (BlobId, u64)>,
    tool: &str,
    now: &str,
) -> Manifest {
    let source = |path: &Utf8PathBuf| {
        blobs.get(path).map(|(blob, size)| SourceEntry { path: path.to_string(), blob: *blob, size: *size })
    };
    let mut views: Vec<ViewEntry> = tree
        .views
        .iter()
        .filter_map(|(slug, name, path)| {
            let (blob, size) = blobs.get(path)?;
            Some(ViewEntry { slug: slug.clone(), name: name.clone(), blob: *blob, size: *size })
        })
        .collect();
    views.sort_by(|a, b| (&a.slug, &a.name).cmp(&(&b.slug, &b.name)));
    let outputs = views.iter().map(|view| OutputEntry { name: view.path(), blob: view.blob, size: view.size });
    let none = SourceEntry { path: tree.config.to_string(), blob: BlobId::of(b""), size: 0 };
    let created = tree.created.clone().unwrap_or_else(|| now.to_owned());
    let is_complete = tree.failures.is_empty();
    Manifest {
        schema_version: Manifest::SCHEMA_VERSION,
        run_id: tree.run_id.clone(),
        state: if is_complete { RunState::Complete } else { RunState::Partial },
        updated_utc: created.clone(),
        created_utc: created,
        tool: format!("{tool}, {}", Manifest::OF_PREDECESSOR),
        parent: None,
        narrowed: None,
        plan: plan_of(blobs),
        root: is_complete.then(|| root_of(&views)),
        config: source(&tree.config).unwrap_or(none),
        num_trials: tree.trials.len(),
        requests: RequestCounts::default(),
        cost_usd: CostSummary::default(),
        order_seed: 0,
        anonymous_of: None,
        served: Vec::new(),
        sealed: None,
        trials: tree.trials.clone(),
        failures: tree.failures.clone(),
        sources: tree.files.iter().filter_map(source).collect(),
        actions: vec![ActionEntry {
            label: "imported".to_owned(),
            key: None,
            verdict: "imported".to_owned(),
            reason: None,
            draws: 0,
            failures: 0,
            outputs: outputs.collect(),
        }],
        views,
        circumstances: Vec::new(),
    }
}

/// Names what stands in for the plan: the files and their content.
fn plan_of(blobs: &BTreeMap<Utf8PathBuf, (BlobId, u64)>) -> PlanId {
    let mut encoder = Encoder::new("exp 2026-11 imported tree");
    encoder.list(blobs.len() * 2);
    for (path, (blob, _)) in blobs {
        encoder.text(path.as_str());
        encoder.digest(blob.digest());
    }
    PlanId::new(encoder.finish())
}
