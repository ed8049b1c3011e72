use super::Finding;
use crate::digest::{Digest, RootId};

/// Counts what an audit looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct AuditCounts {
    /// Views compared with their blobs.
    pub views: u64,
    /// Blobs hashed in full.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Action records checked.
    pub actions: u64,
    /// Draws compared with the answers made of them.
    pub draws: u64,
}

/// Counts what an archive names and leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct WithheldCounts {
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records of actions.
    pub records: u64,
    /// Answers.
    pub answers: u64,
}

/// Counts what a run names and was erased by `exp forget`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ForgottenCounts {
    /// Blobs.
    pub blobs: u64,
    /// Views of them, which are shown no more.
    pub views: u64,
}

/// Is what an audit found: nothing in `findings` means that all is as it should be.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AuditReport {
    /// The run.
    pub run_id: String,
    /// The archive that was audited, by file name; absent for a run of the store.
    pub archive: Option<String>,
    /// The digest that the manifest carries; absent where no manifest could be read.
    pub manifest_digest: Option<Digest>,
    /// The digest of the original manifest, where this one is anonymous.
    pub anonymous_of: Option<Digest>,
    /// The root, recomputed from the listed views.
    pub root: Option<RootId>,
    /// How much was looked at.
    pub checked: AuditCounts,
    /// What the archive names and leaves out; nothing, for a run of the store.
    pub withheld: WithheldCounts,
    /// What is damaged, swapped, edited, missing or extra.
    pub findings: Vec<Finding>,
    /// What was erased on purpose, and is no damage.
    pub forgotten: ForgottenCounts,
    /// The fingerprints of the keys whose signatures hold.
    pub signers: Vec<String>,
    /// What is no damage and still worth knowing.
    pub notes: Vec<String>,
}

impl AuditReport {
    /// Starts a report.
    pub(super) fn new(run_id: &str) -> Self {
        Self {
            run_id: run_id.to_owned(),
            archive: None,
            manifest_digest: None,
            anonymous_of: None,
            root: None,
            checked: AuditCounts::default(),
            withheld: WithheldCounts::default(),
            findings: Vec::new(),
            forgotten: ForgottenCounts::default(),
            signers: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Says whether nothing was found.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    pub(super) fn find(
        &mut self,
        subject: impl Into<String>,
        expected: impl Into<String>,
        actual: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.findings.push(Finding::new(subject, expected, actual, remedy));
    }
}
