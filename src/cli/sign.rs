use std::io::Write as _;
use std::process::{Command, Stdio};

use camino::Utf8Path;

use super::args::Global;
use super::audit_args::SignArgs;
use super::failure::{Exit, Failure};
use super::finish;
use super::output::Output;
use super::project::Home;
use crate::digest::Digest;
use crate::run::{
    ARCHIVE_SUFFIX, AuditOptions, Catalog, Manifest, ManifestSignature, RunState, ViewDir, audit_archive, find_archive,
    sign_archive,
};
use crate::store::Access;

/// Signs a finished run's manifest, and keeps the signature with the run.
pub fn sign(global: &Global, args: &SignArgs, out: &Output) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    if args.run.ends_with(ARCHIVE_SUFFIX)
        && let Some(path) = find_archive(&home.experiments, &args.run)?
    {
        return sign_file(&home, &path, args, out);
    }
    let store = home.open_store(Access::ReadWrite, out)?;
    let run_id = {
        let catalog = Catalog::read(&store)?;
        let found = catalog.find(&args.run);
        if found.is_err()
            && let Some(path) = find_archive(&home.experiments, &args.run)?
        {
            return sign_file(&home, &path, args, out);
        }
        let record = &found?.record;
        if !matches!(record.state, RunState::Complete | RunState::Partial) {
            return Err(Failure::usage(format!(
                "run `{}` is {}: only a run that has ended is signed",
                record.run_id, record.state
            ))
            .hint("`exp build` goes on with it"));
        }
        record.run_id.clone()
    };
    let session = store.session()?;
    let digest = {
        let record = Catalog::read(&store)?.find(&run_id)?.record.clone();
        let blob = record.manifest.ok_or_else(|| Failure::usage(format!("run `{run_id}` has no manifest")))?;
        let text = String::from_utf8_lossy(&store.read(&blob)?).into_owned();
        Manifest::parse(&format!("the manifest of run `{run_id}`"), &text)?.1
    };
    // The key may want a passphrase or a touch: nothing is locked meanwhile.
    let (signature, text) = signature(&args.key, &digest)?;
    let (mut record, already) = {
        let _held = store.hold_runs()?;
        let mut record = Catalog::read(&store)?.find(&run_id)?.record.clone();
        let already = record.signatures.contains(&text);
        if !already {
            // A key's earlier signature is over the same digest and says no more.
            record
                .signatures
                .retain(|known| ManifestSignature::parse(known).map_or(true, |known| known.key() != signature.key()));
            record.signatures.push(text);
            session.write_run(&run_id, &record.to_text()?)?;
        }
        (record, already)
    };
    record.run_id.clone_from(&run_id);
    let dir = ViewDir::new(&home.experiments, &run_id);
    finish::show(&dir, &store, &record)?;
    let key = signature.key();
    let verb = if already { "was signed already" } else { "signed" };
    out.line(&format!("run {run_id} {verb} by {}", key.fingerprint()));
    out.line(&format!("  {digest}"));
    out.line(&format!("check it: exp audit {run_id} --require-signature '{key}'"));
    out.document(&serde_json::json!({
        "run_id": run_id, "manifest_digest": digest, "key": key.to_string(), "fingerprint": key.fingerprint(),
        "signatures": record.signatures.len(),
    }));
    Ok(Exit::Done)
}

/// Signs the manifest that a sound archive holds; the signature stands beside the file.
fn sign_file(home: &Home, path: &Utf8Path, args: &SignArgs, out: &Output) -> Result<Exit, Failure> {
    let report = audit_archive(path, AuditOptions::default())?;
    let shown = home.shown(path);
    let Some(digest) = report.manifest_digest.filter(|_| report.is_sound()) else {
        return Err(Failure::new(Exit::Damage, format!("`{shown}` is not signed: it is not sound"))
            .hint(format!("`exp audit {shown}` says what is wrong with it")));
    };
    let (signature, text) = signature(&args.key, &digest)?;
    let beside = sign_archive(path, &signature, &text)?;
    let key = signature.key();
    out.line(&format!("{shown} signed by {}: {}", key.fingerprint(), home.shown(&beside)));
    out.line(&format!("  {digest}"));
    out.line(&format!("check it: exp audit {shown} --require-signature '{key}'"));
    out.document(&serde_json::json!({
        "run_id": report.run_id, "archive": path.as_str(), "signature": beside.as_str(), "manifest_digest": digest,
        "key": key.to_string(), "fingerprint": key.fingerprint(),
    }));
    Ok(Exit::Done)
}

/// Has a digest signed, and checks what comes of it.
fn signature(key: &Utf8Path, digest: &Digest) -> Result<(ManifestSignature, String), Failure> {
    let text = ssh_keygen(key, digest)?;
    let refused = |why: &str| Failure::usage(format!("`{key}` cannot sign this: {why}"));
    let signature =
        ManifestSignature::parse(&text).map_err(|why| refused(&why).hint("make one with `ssh-keygen -t ed25519`"))?;
    if signature.signs(digest) {
        Ok((signature, text))
    } else {
        Err(refused("what `ssh-keygen` made of it does not hold"))
    }
}

/// Has the digest signed by OpenSSH, which knows agents, passphrases and hardware keys.
fn ssh_keygen(key: &Utf8Path, digest: &Digest) -> Result<String, Failure> {
    let unfit =
        |why: String| Failure::new(Exit::Environment, why).hint("signing needs OpenSSH's `ssh-keygen`, 8.1 or newer");
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", ManifestSignature::NAMESPACE, "-f", key.as_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| unfit(format!("`ssh-keygen` cannot be run: {error}")))?;
    if let Some(mut stdin) = child.stdin.take()
        && let Err(error) = stdin.write_all(ManifestSignature::message(digest).as_bytes())
        // It may have ended already, for want of a key: what it said then tells more.
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        return Err(unfit(format!("`ssh-keygen` does not take the digest: {error}")));
    }
    let output =
        child.wait_with_output().map_err(|error| unfit(format!("`ssh-keygen` cannot be waited for: {error}")))?;
    if output.status.success() {
        return String::from_utf8(output.stdout).map_err(|_| unfit("`ssh-keygen` wrote no text".to_owned()));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::usage(format!("`ssh-keygen` cannot sign with `{key}`: {}", said.trim())))
}
