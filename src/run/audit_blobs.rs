use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::named_blobs::{NamedBlob, named_blobs};
use super::on_disk::{self, OnDisk};
use super::{AuditReport, Finding, Manifest, RunError};
use crate::digest::BlobId;
use crate::store::Store;

/// Is the mode that every blob has.
const SEALED: u32 = 0o444;

/// Is what looking at one blob gave.
#[derive(Default)]
struct Looked {
    bytes: u64,
    hashed: bool,
    findings: Vec<Finding>,
    note: Option<String>,
    forgotten: bool,
}

/// Hashes every blob that the manifest names, each once, on all threads; damage is left where it is.
pub(super) fn check_blobs(store: &Store, manifest: &Manifest, report: &mut AuditReport) {
    let blobs: Vec<(BlobId, NamedBlob)> = named_blobs(manifest).into_iter().collect();
    let looked: Vec<Looked> = blobs.into_par_iter().map(|(id, named)| look(store, &id, &named)).collect();
    for one in looked {
        report.checked.blobs += u64::from(one.hashed);
        report.checked.bytes += one.bytes;
        report.findings.extend(one.findings);
        report.notes.extend(one.note);
        report.forgotten.blobs += u64::from(one.forgotten);
    }
}

fn look(store: &Store, id: &BlobId, named: &NamedBlob) -> Looked {
    let subject = format!("blob {id} ({})", named.words());
    let path = store.blob_path(id);
    let mut looked = Looked::default();
    let whole = || format!("{} bytes with this hash", named.sizes.first().copied().unwrap_or_default());
    let meta = match OnDisk::at(&path) {
        Ok(OnDisk::File(meta)) => meta,
        Ok(OnDisk::Absent) if store.is_forgotten(id).unwrap_or(false) => {
            looked.forgotten = true;
            return looked;
        }
        Ok(other) => {
            looked.findings.push(Finding::new(subject, whole(), other.words(), named.remedy()));
            return looked;
        }
        Err(error) => {
            looked.findings.push(unread(&subject, &error));
            return looked;
        }
    };
    match on_disk::hash(&path) {
        Ok(actual) => {
            (looked.hashed, looked.bytes) = (true, meta.len());
            if actual != *id {
                let actual = format!("{} bytes with the hash {actual}", meta.len());
                looked.findings.push(Finding::new(&subject, whole(), actual, named.remedy()));
            } else if named.sizes.iter().any(|size| *size != meta.len()) {
                let sizes: Vec<String> = named.sizes.iter().map(u64::to_string).collect();
                let expected = format!("{} bytes, as the manifest says", sizes.join(" and "));
                let remedy = "the manifest contradicts the store: it is not to be believed";
                looked.findings.push(Finding::new(&subject, expected, format!("{} bytes", meta.len()), remedy));
            }
        }
        Err(error) => looked.findings.push(unread(&subject, &error)),
    }
    let mode = meta.permissions().mode() & 0o7777;
    if mode != SEALED {
        let remedy = format!("chmod 0444 {path}");
        looked.findings.push(Finding::new(&subject, "mode 0444", format!("mode {mode:04o}"), remedy));
    }
    if meta.nlink() > 1 {
        looked.note =
            Some(format!("{subject} has {} names on the disk: whoever holds another can change it", meta.nlink()));
    }
    looked
}

fn unread(subject: &str, error: &RunError) -> Finding {
    let why = std::error::Error::source(error).map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    Finding::new(subject, "to be readable", why, "see to the disk and its permissions, then audit again")
}
