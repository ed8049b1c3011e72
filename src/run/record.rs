use std::fmt;

use super::{CostSummary, Manifest, RunError, ServedModel};
use crate::digest::{BlobId, PlanId, RootId};
use crate::plan::path_segment;

/// Says how far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// A build is at work, or died at it.
    Running,
    /// It waits for batches at a provider.
    Pending,
    /// It was stopped on request.
    Stopped,
    /// A step failed, or too many draws did.
    Failed,
    /// It ended as asked, but was asked for less than the whole experiment.
    Partial,
    /// All of it is done.
    Complete,
}

impl RunState {
    /// Returns the name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Pending => "pending",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Partial => "partial",
            Self::Complete => "complete",
        }
    }

    /// Says whether a build of the same plan goes on with this run.
    pub fn is_unfinished(self) -> bool {
        matches!(self, Self::Running | Self::Pending | Self::Stopped | Self::Failed)
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Is a run as the store knows it, from its start to its end.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// The version of this format.
    pub schema_version: u32,
    /// The run's id.
    pub run_id: String,
    /// How far it is.
    pub state: RunState,
    /// The session that works on it, or did last.
    pub session: String,
    /// Every session that worked on it, in order: what it bought stands in their parts of the draw log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<String>,
    /// What it builds.
    pub plan: PlanId,
    /// When it began: UTC, RFC 3339.
    pub created_at: String,
    /// When it was last written.
    pub updated_at: String,
    /// The config's text.
    pub config: BlobId,
    /// The run that this one re-scores, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The views' identity, once they are all there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<RootId>,
    /// The manifest as last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<BlobId>,
    /// What it cost, as its manifest has it; absent where nothing has a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<CostSummary>,
    /// What servers said that they serve, when they were last looked at for this run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub served: Vec<ServedModel>,
    /// Set where the run came out of an archive: how far it is believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<ImportTrust>,
    /// The records of its actions, where it came out of an archive and is not trusted: read to show it, and never served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<BlobId>,
    /// Signatures over the manifest's digest, armoured, in the order they were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<String>,
}

/// Says how far an imported run is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportTrust {
    /// It is listed, shown, compared and audited; its actions and draws were not taken in and never serve.
    Unverified,
    /// Its actions and draws serve like those made here.
    Trusted,
}

impl RunRecord {
    /// Is the version that this program writes.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Is the record of a run as its manifest has it, which stands in a blob; the session is the one that writes it down.
    pub(super) fn of(manifest: &Manifest, blob: BlobId, session: &str) -> Self {
        Self {
            schema_version: Self::SCHEMA_VERSION,
            run_id: manifest.run_id.clone(),
            state: manifest.state,
            session: session.to_owned(),
            sessions: Vec::new(),
            plan: manifest.plan,
            created_at: manifest.created_utc.clone(),
            updated_at: manifest.updated_utc.clone(),
            config: manifest.config.blob,
            parent: None,
            root: manifest.root,
            manifest: Some(blob),
            cost_usd: None,
            served: Vec::new(),
            imported: None,
            records: None,
            signatures: Vec::new(),
        }
    }

    /// Names the blobs that the record itself names, but for the config.
    pub fn blobs(&self) -> impl Iterator<Item = BlobId> {
        self.manifest.into_iter().chain(self.records)
    }

    /// Reads a record's text.
    pub fn parse(id: &str, text: &str) -> Result<Self, RunError> {
        serde_json::from_str(text)
            .map_err(|error| RunError::Unreadable { what: format!("the record of run `{id}`"), why: error.to_string() })
    }

    /// Writes the record's text.
    pub fn to_text(&self) -> Result<String, RunError> {
        serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|error| RunError::Unreadable {
            what: format!("the record of run `{}`", self.run_id),
            why: error.to_string(),
        })
    }
}

/// Checks that a text can be a run id, and so the name of a directory.
pub fn check_run_id(id: &str) -> Result<(), RunError> {
    if path_segment(id) == id && id.len() <= 100 { Ok(()) } else { Err(RunError::BadId { id: id.to_owned() }) }
}

/// Makes a run id from the time (UTC, RFC 3339): `r` and its fourteen digits, with `-2` and so on while it is taken.
pub fn fresh_run_id(now: &str, taken: impl Fn(&str) -> bool) -> String {
    let digits: String = now.chars().filter(char::is_ascii_digit).take(14).collect();
    let base = format!("r{digits}");
    if !taken(&base) {
        return base;
    }
    let mut number = 2u64;
    loop {
        let id = format!("{base}-{number}");
        if !taken(&id) {
            return id;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_from_the_time_and_never_twice() {
        let now = "2026-11-23T17:46:57Z";
        assert_eq!(fresh_run_id(now, |_| false), "r20261123174657");
        assert_eq!(fresh_run_id(now, |id| !id.ends_with("-3")), "r20261123174657-3");
    }

    #[test]
    fn an_id_cannot_leave_its_directory() {
        for id in ["", "..", "a/b", "-x", "a\nb", &"x".repeat(101)] {
            assert!(check_run_id(id).is_err(), "{id}");
        }
        assert!(check_run_id("my_custom_run").is_ok());
    }
}
