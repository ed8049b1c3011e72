use camino::Utf8Path;

use super::audit_actions::{ActionChecks, check_actions};
use super::audit_blobs::check_blobs;
use super::audit_signatures::check_signatures;
use super::audit_views::check_views;
use super::on_disk::{self, OnDisk};
use super::{
    AuditReport, Catalog, ImportTrust, MANIFEST_NAME, Manifest, PublicKey, RunError, RunRecord, RunState, ViewDir,
    root_of,
};
use crate::digest::BlobId;
use crate::store::Store;

/// Says what an audit leaves out, and what it asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditOptions<'a> {
    /// Leaves out the comparison of the answers with the draw log.
    pub without_draws: bool,
    /// Asks for a signature by one of these keys.
    pub signed_by: Option<&'a [PublicKey]>,
}

/// Checks a run: its manifest against the store, and the store against the directory.
///
/// Every blob that the manifest names is hashed in full, each once; every view has to be a link to the right blob (or a
/// copy of it); every action's record has to hold, to have the key of its specification and the outputs of the manifest,
/// and to read nothing but sources and outputs of the run; every answer has to be that of the draw log. Nothing is
/// written, moved or asked for.
pub fn audit(
    store: &Store,
    experiments: &Utf8Path,
    record: &RunRecord,
    options: AuditOptions<'_>,
) -> Result<AuditReport, RunError> {
    let mut report = AuditReport::new(&record.run_id);
    let dir = ViewDir::new(experiments, &record.run_id);
    let Some(manifest) = manifest(store, &dir, record, &mut report)? else { return Ok(report) };
    check_record(record, &manifest, &mut report);
    check_root(&manifest, &mut report);
    if let Some(digest) = report.manifest_digest {
        check_signatures(record, &digest, options.signed_by, &mut report);
    }
    check_views(store, &dir, record, &manifest, &mut report)?;
    check_blobs(store, &manifest, &mut report);
    if report.forgotten.blobs > 0 {
        report.notes.push(format!(
            "forgotten: {} blobs that held an item were erased on purpose, {} of them views; their hashes stand in the manifest",
            report.forgotten.blobs, report.forgotten.views
        ));
    }
    match record.imported {
        Some(ImportTrust::Unverified) if manifest.is_predecessors() => report.notes.push(
            "imported, unverified: a run of the predecessor's; its files are those that were taken in, and nothing shows how they \
             were made"
                .to_owned(),
        ),
        Some(ImportTrust::Unverified) => report.notes.push(
            "imported, unverified: its action records and draws are in the archive only; audit that file to check them"
                .to_owned(),
        ),
        Some(ImportTrust::Trusted) | None => {
            let records = |key: &_| Ok(store.record(key)?);
            let read = |blob: &BlobId| on_disk::read(&store.blob_path(blob)).ok().filter(|b| BlobId::of(b) == *blob);
            let draws = |addresses: &[_]| Ok(store.draws(addresses)?);
            let checks = ActionChecks {
                record: &records,
                read: &read,
                withheld: &|_| false,
                draws: if options.without_draws { None } else { Some(&draws) },
            };
            check_actions(&manifest, &checks, &mut report)?;
        }
    }
    Ok(report)
}

/// Finds the manifest that can be believed, reporting what is wrong with the store's and with the directory's.
fn manifest(
    store: &Store,
    dir: &ViewDir,
    record: &RunRecord,
    report: &mut AuditReport,
) -> Result<Option<Manifest>, RunError> {
    let Some(id) = record.manifest else {
        let state = format!("none; the run is {}", record.state);
        report.find(
            format!("manifest of run `{}`", record.run_id),
            "a manifest",
            state,
            "`exp build` goes on with the run",
        );
        return Ok(None);
    };
    let what = format!("blob {id} (the manifest of run `{}`)", record.run_id);
    let path = store.blob_path(&id);
    let stored = match OnDisk::at(&path)? {
        OnDisk::File(_) => {
            let bytes = on_disk::read(&path)?;
            let actual = BlobId::of(&bytes);
            if actual == id {
                Some(bytes)
            } else {
                report.find(&what, id.to_string(), format!("{actual}: damaged"), MANIFEST_REMEDY);
                None
            }
        }
        other => {
            report.find(&what, id.to_string(), other.words(), MANIFEST_REMEDY);
            None
        }
    };
    let shown = shown_manifest(dir, &id, report)?;
    let Some(bytes) = stored.or(shown) else { return Ok(None) };
    let parsed = String::from_utf8(bytes)
        .map_err(|_| "it is not UTF-8".to_owned())
        .and_then(|text| Manifest::parse(&what, &text).map_err(|error| error.to_string()));
    match parsed {
        Ok((manifest, digest)) => {
            report.manifest_digest = Some(digest);
            Ok(Some(manifest))
        }
        Err(why) => {
            report.find(&what, "a manifest whose digest holds", why, MANIFEST_REMEDY);
            Ok(None)
        }
    }
}

const MANIFEST_REMEDY: &str = "`exp build` writes it again; an archive of the run holds it too";

/// Checks the manifest in the directory; returns its bytes where they are those that the store should hold.
fn shown_manifest(dir: &ViewDir, id: &BlobId, report: &mut AuditReport) -> Result<Option<Vec<u8>>, RunError> {
    if !matches!(OnDisk::at(dir.path())?, OnDisk::Dir) {
        return Ok(None);
    }
    let path = dir.path().join(MANIFEST_NAME);
    let name = format!("{}/{MANIFEST_NAME}", dir.path().file_name().unwrap_or_default());
    let remedy = "`exp build` shows it again";
    match OnDisk::at(&path)? {
        OnDisk::File(_) => {
            let bytes = on_disk::read(&path)?;
            let actual = BlobId::of(&bytes);
            if actual == *id {
                return Ok(Some(bytes));
            }
            let text = String::from_utf8_lossy(&bytes);
            let why = match Manifest::parse(&name, &text) {
                Ok(_) => format!("{actual}: its own digest holds, so it is another manifest"),
                Err(RunError::Unreadable { why, .. }) => format!("{actual}: {why}"),
                Err(error) => format!("{actual}: {error}"),
            };
            report.find(name, id.to_string(), why, remedy);
        }
        other => report.find(name, format!("a file with the bytes of {id}"), other.words(), remedy),
    }
    Ok(None)
}

/// Compares a run's record with its manifest.
pub(super) fn check_record(record: &RunRecord, manifest: &Manifest, report: &mut AuditReport) {
    let words = |root: Option<crate::digest::RootId>| root.map_or("none".to_owned(), |root| root.to_string());
    let pairs = [
        ("run id", manifest.run_id.clone(), record.run_id.clone()),
        ("plan", manifest.plan.to_string(), record.plan.to_string()),
        ("config", manifest.config.blob.to_string(), record.config.to_string()),
        ("root", words(manifest.root), words(record.root)),
    ];
    for (what, expected, actual) in pairs {
        if expected != actual {
            let subject = format!("{what} in the record of run `{}`", record.run_id);
            report.find(
                subject,
                expected,
                actual,
                "the record and the manifest are not of one run: restore an archive",
            );
        }
    }
}

/// Recomputes the root.
pub(super) fn check_root(manifest: &Manifest, report: &mut AuditReport) {
    let actual = root_of(&manifest.views);
    report.root = Some(actual);
    let subject = format!("root of run `{}`", manifest.run_id);
    let remedy = "the manifest lists other views than those the root was made of: it is not to be believed";
    match manifest.root {
        Some(expected) if expected != actual => report.find(subject, expected.to_string(), actual.to_string(), remedy),
        None if manifest.state == RunState::Complete => report.find(subject, "a root", "none", remedy),
        _ => {}
    }
}

/// Says how a file that a run read has changed since.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Drift {
    /// The path as written in the config.
    pub path: String,
    /// What the run read.
    pub recorded: BlobId,
    /// What is there now; absent where it cannot be read.
    pub now: Option<BlobId>,
}

/// Lists the files that a run read, its config among them, that are no longer what they were.
///
/// `hash_now` hashes the file at a path as the manifest writes it; `None` where it cannot be read.
pub fn drift(
    store: &Store,
    record: &RunRecord,
    hash_now: &dyn Fn(&str) -> Option<BlobId>,
) -> Result<Vec<Drift>, RunError> {
    let manifest = Catalog::manifest(store, record)?;
    let mut drifts: Vec<Drift> = Vec::new();
    for source in std::iter::once(&manifest.config).chain(&manifest.sources) {
        let now = hash_now(&source.path);
        let drift = Drift { path: source.path.clone(), recorded: source.blob, now };
        if now != Some(source.blob) && !drifts.contains(&drift) {
            drifts.push(drift);
        }
    }
    Ok(drifts)
}
