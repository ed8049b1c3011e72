use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{MANIFEST_NAME, Manifest, RunError, RunState};
use crate::digest::{BlobId, Digest, hex};

/// Is the name of the statement in a run's directory.
pub const STATEMENT_NAME: &str = "multi_trial_manifest.intoto.json";

/// Writes an in-toto statement about a manifest, with the predicate `test-result`: which file, under which hashes, came of
/// which config and files, and whether all of it was done.
///
/// `PASSED` is a complete run, `WARNED` one that lacks answers or was narrowed, `FAILED` any other. Made of the manifest
/// alone, so that it is the same wherever it is made. Sources: in-toto Statement v1; test-result v0.1.
pub fn statement(manifest: &Manifest) -> Result<String, RunError> {
    let text = manifest.to_text()?;
    let sha256 = hex(&Sha256::digest(text.as_bytes()));
    let blake3 = |blob: &BlobId| json!({"blake3": blob.digest().to_hex()});
    let result = match manifest.state {
        RunState::Complete if manifest.failures.is_empty() && manifest.requests.failed == 0 => "PASSED",
        RunState::Complete | RunState::Partial => "WARNED",
        RunState::Running | RunState::Pending | RunState::Stopped | RunState::Failed => "FAILED",
    };
    let done = matches!(manifest.state, RunState::Complete | RunState::Partial);
    let trials: Vec<&str> = manifest.trials.iter().map(|trial| trial.slug.as_str()).filter(|_| done).collect();
    let failures: Vec<&str> = manifest.failures.iter().map(|failure| failure.label.as_str()).collect();
    let configuration: Vec<Value> = std::iter::once(&manifest.config)
        .chain(&manifest.sources)
        .map(|source| json!({"name": source.path, "digest": blake3(&source.blob)}))
        .collect();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{
            "name": MANIFEST_NAME,
            "digest": {"sha256": sha256, "blake3": Digest::of(text.as_bytes()).to_hex()},
        }],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": result,
            "configuration": configuration,
            "passedTests": trials,
            "failedTests": failures,
        },
    });
    serde_json::to_string_pretty(&statement).map(|text| text + "\n").map_err(|error| RunError::Unreadable {
        what: format!("the statement about run `{}`", manifest.run_id),
        why: error.to_string(),
    })
}
