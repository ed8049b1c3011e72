use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Read};
use std::ops::ControlFlow;

use camino::{Utf8Path, Utf8PathBuf};

use super::archive_scan::{Scan, scan};
use super::archive_walk::{EntryName, walk_archive};
use super::archived_draw::ArchivedDraw;
use super::{AuditOptions, AuditReport, Manifest, RunError, RunRecord};
use crate::digest::{ActionKey, BlobId, Digest};
use crate::store::{ActionRecord, LoggedDraw};

/// Is how many bytes of blobs are kept in memory: 256 MiB. A blob of a larger archive is read from the file again.
pub(super) const KEPT: u64 = 256 << 20;

/// Is an archive that was read once, from the first byte to the last, and found sound.
#[derive(Debug)]
pub struct ArchiveFile {
    path: Utf8PathBuf,
    record: RunRecord,
    manifest: Manifest,
    manifest_text: String,
    manifest_digest: Digest,
    actions: BTreeMap<ActionKey, ActionRecord>,
    /// The blobs' sizes.
    blobs: BTreeMap<BlobId, u64>,
    /// Their bytes, unless there are too many of them.
    kept: Option<HashMap<BlobId, Vec<u8>>>,
    draws: u64,
}

/// Is the beginning of an archive: what it is, without what is in it.
#[derive(Clone, Debug)]
pub struct ArchiveHead {
    /// The run's record.
    pub record: RunRecord,
    /// Its manifest, whose own digest holds.
    pub manifest: Manifest,
}

impl ArchiveFile {
    /// Reads an archive and checks all of it; any finding is an error. [`audit_archive`] lists them instead.
    pub fn open(path: &Utf8Path) -> Result<Self, RunError> {
        let (scan, report) = scan(path, AuditOptions::default())?;
        let bad = |why: String| RunError::BadArchive { path: path.to_owned(), why };
        if let Some(finding) = report.findings.first() {
            let more = match report.findings.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more; `exp audit` lists them)"),
            };
            return Err(bad(format!(
                "{}: expected {}, found {}{more}",
                finding.subject, finding.expected, finding.actual
            )));
        }
        let Scan {
            record: Some(record),
            manifest: Some((manifest, manifest_text)),
            actions,
            blobs,
            kept,
            draws,
            withheld,
            ..
        } = scan
        else {
            return Err(bad("it has no manifest".to_owned()));
        };
        if withheld.is_some() {
            let what = match manifest.anonymous_of {
                Some(_) => "it is anonymous, and what says who ran it is withheld",
                None => "the text of its items is withheld",
            };
            return Err(bad(format!("{what}: it can be audited, and nothing can be made of it")));
        }
        let manifest_digest = report.manifest_digest.ok_or_else(|| bad("its manifest has no digest".to_owned()))?;
        Ok(Self {
            path: path.to_owned(),
            record,
            manifest,
            manifest_text,
            manifest_digest,
            actions,
            blobs,
            kept,
            draws,
        })
    }

    /// Reads only what an archive begins with.
    pub fn head(path: &Utf8Path) -> Result<ArchiveHead, RunError> {
        let (mut manifest, mut record) = (None, None);
        walk_archive(path, &mut |name, _, reader| {
            let mut text = String::new();
            let read = || match reader.read_to_string(&mut text) {
                Ok(_) => Ok(text),
                Err(error) => Err(RunError::BadArchive { path: path.to_owned(), why: error.to_string() }),
            };
            match name {
                EntryName::Manifest => manifest = Some(Manifest::parse("the archive's manifest", &read()?)?.0),
                EntryName::Run => record = Some(RunRecord::parse("the archive's run", &read()?)?),
                EntryName::Readme => {}
                _ => return Ok(ControlFlow::Break(())),
            }
            Ok(if manifest.is_some() && record.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        match (record, manifest) {
            (Some(record), Some(manifest)) => Ok(ArchiveHead { record, manifest }),
            _ => Err(RunError::BadArchive {
                path: path.to_owned(),
                why: "it does not begin with a manifest and a run".into(),
            }),
        }
    }

    /// Returns where the file is.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Returns the run's record as it was when the run was archived.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Returns the run's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the digest that the manifest carries, which is what gets signed.
    pub fn manifest_digest(&self) -> &Digest {
        &self.manifest_digest
    }

    /// Returns the manifest's text; its hash is the blob that the run's record names.
    pub fn manifest_text(&self) -> &str {
        &self.manifest_text
    }

    /// Lists the records of the run's actions.
    pub fn actions(&self) -> impl Iterator<Item = &ActionRecord> {
        self.actions.values()
    }

    /// Lists the blobs with their sizes.
    pub fn blobs(&self) -> impl Iterator<Item = (&BlobId, u64)> {
        self.blobs.iter().map(|(blob, size)| (blob, *size))
    }

    /// Returns how many draws there are.
    pub fn draw_count(&self) -> u64 {
        self.draws
    }

    /// Reads a blob, hashed again where it comes from the file.
    pub fn read_blob(&self, blob: &BlobId) -> Result<Vec<u8>, RunError> {
        if let Some(bytes) = self.kept.as_ref().and_then(|kept| kept.get(blob)) {
            return Ok(bytes.clone());
        }
        let mut found = None;
        if self.blobs.contains_key(blob) {
            walk_archive(&self.path, &mut |name, _, reader| {
                if name != EntryName::Blob(*blob) {
                    return Ok(ControlFlow::Continue(()));
                }
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes).map_err(|error| self.bad(&error.to_string()))?;
                found = Some(bytes);
                Ok(ControlFlow::Break(()))
            })?;
        }
        match found {
            Some(bytes) if BlobId::of(&bytes) == *blob => Ok(bytes),
            Some(_) => Err(self.bad(&format!("blob {blob} changed while the archive was read"))),
            None => Err(self.bad(&format!("blob {blob} is not in it"))),
        }
    }

    /// Passes on every blob, from the file; whoever keeps the bytes hashes them.
    pub(super) fn each_blob(
        &self,
        mut visit: impl FnMut(&BlobId, u64, &mut dyn Read) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        walk_archive(&self.path, &mut |name, size, reader| {
            if let EntryName::Blob(blob) = name {
                visit(&blob, size, reader)?;
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Passes on every draw, from the file.
    pub fn each_draw(&self, visit: impl FnMut(LoggedDraw) -> Result<(), RunError>) -> Result<(), RunError> {
        let visit = RefCell::new(visit);
        walk_archive(&self.path, &mut |name, _, reader| {
            if name == EntryName::Draws {
                for line in BufReader::new(reader).lines() {
                    let line = line.map_err(|error| self.bad(&error.to_string()))?;
                    let draw = serde_json::from_str::<ArchivedDraw>(&line).ok().and_then(ArchivedDraw::into_logged);
                    let draw = draw.ok_or_else(|| self.bad("a draw of it does not read"))?;
                    (visit.borrow_mut())(draw)?;
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn bad(&self, why: &str) -> RunError {
        RunError::BadArchive { path: self.path.clone(), why: why.to_owned() }
    }
}

/// Checks an archive as [`audit`](super::audit) checks a run, from the file alone: nothing is unpacked anywhere.
///
/// A file that cannot be read as an archive at all is a finding too.
pub fn audit_archive(path: &Utf8Path, options: AuditOptions<'_>) -> Result<AuditReport, RunError> {
    let name = path.file_name().unwrap_or(path.as_str()).to_owned();
    let mut report = match scan(path, options) {
        Ok((_, report)) => report,
        Err(RunError::BadArchive { why, .. }) => {
            let mut report = AuditReport::new("");
            report.find(format!("archive `{name}`"), "a sound archive of a run", why, "take another copy of the file");
            report
        }
        Err(error) => return Err(error),
    };
    report.archive = Some(name);
    Ok(report)
}
