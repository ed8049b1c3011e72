use super::anonymity::{Anonymity, WITHHELD_NAME};
use super::{Manifest, RunError, RunRecord};
use crate::digest::{BlobId, Digest};
use crate::request::Circumstances;

/// Writes a manifest without hosts, users, organisations and paths. It has a digest of its own, and states the original's.
///
/// What the root and the records are made of stays as it is: hashes, slugs, names of views, labels. A name that stands there
/// cannot be taken out, and is an error.
pub(super) fn anonymous_manifest(
    original: &Manifest,
    digest: &Digest,
    names: &Anonymity,
) -> Result<(Manifest, String), RunError> {
    let mut manifest = original.clone();
    manifest.anonymous_of = Some(*digest);
    "config".clone_into(&mut manifest.config.path);
    for (at, source) in manifest.sources.iter_mut().enumerate() {
        source.path = format!("source {}", at + 1);
    }
    for trial in &mut manifest.trials {
        for (side, prompt) in &mut trial.prompts {
            prompt.path = format!("prompt of {side}");
        }
        let settings = &mut trial.trial;
        for text in [&mut settings.model_id, &mut settings.model].into_iter().chain(trial.decoding.values_mut()) {
            *text = names.without_names(text);
        }
    }
    if let Some(sealed) = &mut manifest.sealed {
        "analysis plan".clone_into(&mut sealed.path);
    }
    manifest.narrowed = manifest.narrowed.as_deref().map(|text| names.without_names(text));
    manifest.served.clear();
    for failure in &mut manifest.failures {
        WITHHELD_NAME.clone_into(&mut failure.why);
    }
    for action in &mut manifest.actions {
        action.reason = None;
    }
    let text = manifest.to_text()?;
    if let Some(found) = names.found(text.as_bytes()) {
        let name = String::from_utf8_lossy(found);
        return Err(RunError::Incomplete {
            id: original.run_id.clone(),
            why: format!(
                "`{name}` says who ran it, or where, and stands in its id, or in a slug, label or name that hashes are made of"
            ),
        });
    }
    Ok((manifest, text))
}

/// Writes a run's record for an anonymous archive: no session, no server, no signature; the manifest is the anonymous one.
pub(super) fn anonymous_record(original: &RunRecord, manifest_text: &str) -> RunRecord {
    RunRecord {
        session: String::new(),
        sessions: Vec::new(),
        served: Vec::new(),
        signatures: Vec::new(),
        records: None,
        imported: None,
        manifest: Some(BlobId::of(manifest_text.as_bytes())),
        ..original.clone()
    }
}

/// Keeps of a draw's circumstances what says nothing about whose it was: times, counts, how it was bought.
pub(super) fn anonymous_circumstances(circumstances: Circumstances) -> Circumstances {
    Circumstances {
        request_id: None,
        fingerprint: None,
        server_revision: None,
        upstream: None,
        note: None,
        service_tier: None,
        ..circumstances
    }
}
