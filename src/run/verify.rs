use camino::Utf8Path;

use super::audit::{check_record, check_root};
use super::audit_views::check_views;
use super::manifest_of::manifest_of;
use super::named_blobs::named_blobs;
use super::on_disk::OnDisk;
use super::{AuditReport, Catalog, Finding, ImportTrust, RunError, RunRecord, RunState, ViewDir};
use crate::digest::BlobId;
use crate::store::{FlawPart, Presence, Store, Verified};

/// Is what a look at a whole store and at what is shown of it came to.
#[derive(Debug)]
pub struct VerifyReport {
    /// What the store found of itself.
    pub store: Verified,
    /// All that is damaged, missing or out of place: of the store first, then of each run.
    pub findings: Vec<Finding>,
    /// Runs whose directories do not show what they should.
    pub unshown: Vec<String>,
    /// Blobs that runs name and that are not there.
    pub missing: Vec<BlobId>,
    /// Views compared with their blobs.
    pub views: u64,
}

impl VerifyReport {
    /// Says whether nothing was found.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// Lists the blobs that have to be made again, and can be set aside: damaged or missing.
    pub fn lost_blobs(&self) -> Vec<BlobId> {
        let of_store = self.store.flaws.iter().filter_map(|flaw| match &flaw.part {
            FlawPart::Blob(id) if !flaw.is_of_mode() => Some(*id),
            FlawPart::MissingBlob(id) => Some(*id),
            _ => None,
        });
        let mut lost: Vec<BlobId> = of_store.chain(self.missing.iter().copied()).collect();
        lost.sort_unstable();
        lost.dedup();
        lost
    }
}

/// Checks the whole store, and each of its runs: record, manifest, root, the blobs it names, and its directory where it has one
/// here. Nothing is written.
pub fn verify(store: &Store, experiments: &Utf8Path) -> Result<VerifyReport, RunError> {
    let checked = store.verify()?;
    let findings = checked
        .flaws
        .iter()
        .map(|flaw| Finding::new(&flaw.subject, &flaw.expected, &flaw.actual, &flaw.remedy))
        .collect();
    let mut report = VerifyReport { store: checked, findings, unshown: Vec::new(), missing: Vec::new(), views: 0 };
    for stored in store.runs()? {
        match RunRecord::parse(&stored.id, &stored.text) {
            Ok(record) => verify_run(store, experiments, &record, &mut report)?,
            Err(error) => report.findings.push(Finding::new(
                format!("runs/{}", stored.id),
                "a run's record",
                error.to_string(),
                "an archive of the run brings it back",
            )),
        }
    }
    Ok(report)
}

fn verify_run(
    store: &Store,
    experiments: &Utf8Path,
    record: &RunRecord,
    report: &mut VerifyReport,
) -> Result<(), RunError> {
    let subject = format!("run {}", record.run_id);
    let manifest = match manifest_of(store, experiments, record) {
        Ok(Some(manifest)) => manifest,
        Ok(None) => return Ok(()),
        Err(error) => {
            let remedy = "`exp build` writes it again; an archive of the run holds it too";
            report.findings.push(Finding::new(subject, "a manifest", error.to_string(), remedy));
            report.missing.extend(record.manifest);
            return Ok(());
        }
    };
    let mut audited = AuditReport::new(&record.run_id);
    // The directory's copy may be all that there is; a damaged one in the store has its own finding.
    if let Some(id) = record.manifest
        && matches!(OnDisk::at(&store.blob_path(&id))?, OnDisk::Absent)
    {
        let remedy = "`exp verify --repair` takes it from the run's directory; an archive of the run holds it too";
        audited.find(format!("{subject}: its manifest"), id.to_string(), "missing", remedy);
        report.missing.push(id);
    }
    check_record(record, &manifest, &mut audited);
    check_root(&manifest, &mut audited);
    let named: Vec<_> = named_blobs(&manifest).into_iter().collect();
    let sizes: Vec<(BlobId, u64)> =
        named.iter().map(|(blob, named)| (*blob, named.sizes.first().copied().unwrap_or_default())).collect();
    for ((blob, named), presence) in named.iter().zip(store.present(&sizes)) {
        // What has another length has its own finding: its hash cannot hold.
        if presence == Presence::Missing && !store.is_forgotten(blob)? {
            audited.find(format!("{subject}: {}", named.words()), blob.to_string(), "missing", named.remedy());
            report.missing.push(*blob);
        }
    }
    if record.imported != Some(ImportTrust::Unverified) {
        for action in manifest.actions.iter().filter(|action| super::audit_actions::is_done(action)) {
            let Some(key) = action.key else { continue };
            if store.record(&key)?.is_none() {
                let remedy = "`exp build` makes it again";
                audited.find(
                    format!("{subject}: record of `{}`", action.label),
                    key.to_string(),
                    "missing or damaged",
                    remedy,
                );
            }
        }
    }
    let dir = ViewDir::new(experiments, &record.run_id);
    // A run that is shown nowhere here may be another project's, and one that is not finished is shown when it is; views are derived.
    let is_at_work = matches!(record.state, RunState::Running | RunState::Pending);
    if !is_at_work && !matches!(OnDisk::at(dir.path())?, OnDisk::Absent) {
        let before = audited.findings.len();
        check_views(store, &dir, record, &manifest, &mut audited)?;
        let shown = dir.path().join(super::MANIFEST_NAME);
        if !matches!(OnDisk::at(&shown)?, OnDisk::File(_)) || Some(super::on_disk::hash(&shown)?) != record.manifest {
            let remedy = "`exp verify --repair`, or `exp build`, shows it again";
            audited.find(
                format!("run_{}/{}", record.run_id, super::MANIFEST_NAME),
                "the run's manifest",
                "another file, or none",
                remedy,
            );
        }
        if audited.findings.len() > before {
            report.unshown.push(record.run_id.clone());
        }
        report.views += audited.checked.views;
    }
    report.findings.extend(audited.findings);
    Ok(())
}

/// Lists the sources of all runs, each with its path as a config has it: where a lost one may still be.
pub fn sources(store: &Store, experiments: &Utf8Path) -> Result<Vec<(BlobId, String)>, RunError> {
    let mut sources = Vec::new();
    for entry in Catalog::read(store)?.entries() {
        let Ok(Some(manifest)) = manifest_of(store, experiments, &entry.record) else { continue };
        let files = std::iter::once(&manifest.config).chain(&manifest.sources);
        sources.extend(files.map(|source| (source.blob, source.path.clone())));
    }
    Ok(sources)
}
