use super::{AuditReport, ManifestSignature, PublicKey, RunRecord};
use crate::digest::Digest;

/// Checks every signature of a run over its manifest's digest, and that one is by a key of `required` where any is named.
///
/// A signature that holds says that somebody with its key had this manifest; whether to believe them is the reader's.
pub(super) fn check_signatures(
    record: &RunRecord,
    digest: &Digest,
    required: Option<&[PublicKey]>,
    report: &mut AuditReport,
) {
    let mut signers = Vec::new();
    for text in &record.signatures {
        let subject = format!("signature of run `{}`", record.run_id);
        let remedy = "do not believe it: `exp sign` signs the manifest as it is";
        match ManifestSignature::parse(text) {
            Err(why) => report.find(subject, "a signature over the manifest's digest", why, remedy),
            Ok(signature) if signature.signs(digest) => signers.push(*signature.key()),
            Ok(signature) => {
                let key = signature.key().fingerprint();
                report.find(
                    subject,
                    format!("a signature over {digest}"),
                    format!("{key} signed something else"),
                    remedy,
                );
            }
        }
    }
    if let Some(required) = required
        && !signers.iter().any(|signer| required.contains(signer))
    {
        let expected: Vec<String> = required.iter().map(PublicKey::fingerprint).collect();
        let actual = match signers.as_slice() {
            [] => "none that holds".to_owned(),
            signers => signers.iter().map(PublicKey::fingerprint).collect::<Vec<_>>().join(", "),
        };
        let subject = format!("signature of run `{}`", record.run_id);
        report.find(
            subject,
            format!("one by {}", expected.join(" or ")),
            actual,
            "ask whoever made the run to sign it",
        );
    }
    report.signers = signers.iter().map(PublicKey::fingerprint).collect();
    for signer in &report.signers {
        report.notes.push(format!("signed by {signer}"));
    }
}

/// Says whether one of these keys signed the manifest.
pub fn signed_by(record: &RunRecord, digest: &Digest, keys: &[PublicKey]) -> bool {
    let signatures = record.signatures.iter().filter_map(|text| ManifestSignature::parse(text).ok());
    signatures.into_iter().any(|signature| keys.contains(signature.key()) && signature.signs(digest))
}
