use super::trial_manifest::trial_manifest;
use super::{Manifest, ManifestSignature, RunError, RunRecord, STATEMENT_NAME, statement};

/// Is the directory of a run's signatures, below its own.
pub(super) const SIGNATURES: &str = "signatures";

/// Is a file of a run's directory that is no link: made from manifest and record, and the same each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeFile {
    /// The path below the run's directory.
    pub path: String,
    /// Its text.
    pub text: String,
    /// What it says, in words.
    pub what: &'static str,
}

/// Lists the files that a run's directory holds beside the manifest and the links: each trial's manifest, and where the
/// run is signed its signatures and the statement.
pub fn made_files(record: &RunRecord, manifest: &Manifest) -> Result<Vec<MadeFile>, RunError> {
    let mut files = Vec::new();
    for trial in &manifest.trials {
        files.push(MadeFile {
            path: format!("{}/trial_manifest.json", trial.results_dir),
            text: trial_manifest(manifest, trial)?,
            what: "what the run's manifest says of the trial",
        });
    }
    for text in &record.signatures {
        // One that does not read has no key to be named for; an audit reports it.
        let Ok(signature) = ManifestSignature::parse(text) else { continue };
        files.push(MadeFile {
            path: format!("{SIGNATURES}/{}.sig", signature.key().short_hex()),
            text: text.clone(),
            what: "a signature of the run's record",
        });
    }
    if !record.signatures.is_empty() {
        files.push(MadeFile {
            path: STATEMENT_NAME.to_owned(),
            text: statement(manifest)?,
            what: "the statement about the manifest",
        });
    }
    Ok(files)
}
