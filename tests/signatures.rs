//! Signed manifests: made with OpenSSH's keys, checked without it, and by it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::mills::{config, mills};
use support::{Output, Project, run_dir};

fn project() -> Project {
    mills(Project::new(), 6, 1)
}

/// Makes a key pair; none where there is no OpenSSH.
fn key(project: &Project, name: &str, kind: &str) -> Option<PathBuf> {
    let path = project.path(name);
    let made = Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", "", "-C", name, "-f"]).arg(&path).status();
    match made {
        Ok(status) => {
            assert!(status.success());
            Some(path)
        }
        Err(error) => {
            println!("skipped: ssh-keygen: {error}");
            None
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn public(key: &Path) -> String {
    std::fs::read_to_string(key.with_extension("pub")).unwrap()
}

fn audit(project: &Project, run: &str, key: &str) -> Output {
    project.exp(&["audit", run, "--require-signature", key])
}

#[test]
fn a_signature_is_made_checked_carried_and_trusted() {
    let here = project();
    let Some(ours) = key(&here, "ours", "ed25519") else { return };
    let other = key(&here, "other", "ed25519").unwrap();
    let built = here.build();
    let run = built["run_id"].as_str().unwrap();

    let unsigned = audit(&here, run, &public(&ours)).expect_code(3).stdout;
    assert!(unsigned.contains("actual:   none that holds"), "{unsigned}");

    let signed = here.json(&["sign", run, "--key", text(&ours)]);
    assert_eq!(signed["key"].as_str().unwrap().split(' ').nth(1), public(&ours).split(' ').nth(1));
    // The key as a line, as a file, and from the file that `ssh-keygen -Y verify` takes.
    here.file("allowed", format!("# who may\nme@example.org {}", public(&ours)));
    for required in [public(&ours).as_str(), "ours.pub", "allowed"] {
        let said = audit(&here, run, required).expect_code(0).stdout;
        assert!(said.contains(&format!("note: signed by {}\n", signed["fingerprint"].as_str().unwrap())), "{said}");
    }
    let refused = audit(&here, run, "other.pub").expect_code(3).stdout;
    assert!(refused.contains(&format!("actual:   {}", signed["fingerprint"].as_str().unwrap())), "{refused}");
    // Once more adds nothing; a second signer does.
    assert_eq!(here.json(&["sign", run, "--key", text(&ours)])["signatures"], 1);
    assert_eq!(here.json(&["sign", run, "--key", text(&other)])["signatures"], 2);
    audit(&here, run, "other.pub").expect_code(0);

    // OpenSSH agrees, from the run's directory alone.
    let dir = run_dir(&built);
    let manifest = here.manifest(&built);
    let digest = manifest["manifest_digest"].as_str().unwrap();
    assert_eq!(digest, signed["manifest_digest"]);
    let signatures: Vec<PathBuf> =
        std::fs::read_dir(dir.join("signatures")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(signatures.len(), 2);
    let verified = signatures.iter().filter(|signature| {
        let mut verify = Command::new("ssh-keygen")
            .args(["-Y", "verify", "-n", "exp-manifest", "-I", "me@example.org", "-f"])
            .arg(here.path("allowed"))
            .arg("-s")
            .arg(signature)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        writeln!(verify.stdin.take().unwrap(), "{digest}").unwrap();
        verify.wait().unwrap().success()
    });
    assert_eq!(verified.count(), 1);

    let statement: Value = serde_json::from_str(&here.run_file(&built, "multi_trial_manifest.intoto.json")).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://in-toto.io/attestation/test-result/v0.1");
    assert_eq!(statement["predicate"]["result"], "PASSED");
    let sum = Command::new("sha256sum").arg(dir.join("multi_trial_manifest.json")).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    assert_eq!(statement["subject"][0]["digest"]["sha256"].as_str(), sum.split(' ').next());

    // A build finds everything done, and leaves the signatures.
    assert_eq!(here.build()["up_to_date"], true);
    audit(&here, run, "ours.pub").expect_code(0);

    // What is shown is checked like every other file.
    std::fs::write(&signatures[0], "nothing\n").unwrap();
    let said = here.exp(&["audit", run]).expect_code(3).stdout;
    assert!(said.contains("expected: a signature of the run's record"), "{said}");

    // An archive carries them, and a project that trusts the key takes its answers in.
    here.exp(&["archive", run, "--experiment-name", "signed"]).expect_code(0);
    let file = here.path("experiments/archives/signed.tar.zst");
    audit(&here, text(&file), "ours.pub").expect_code(0);
    let there = project();
    std::fs::copy(here.path("other.pub"), there.path("config/theirs.pub")).unwrap();
    let plain = config(1);
    let trusting = format!("{plain}trusted_keys: [\"{}\"]\n", public(&ours).trim());
    for (config, trusted) in
        [(plain.clone(), false), (format!("{plain}trusted_keys: [config/theirs.pub]\n"), true), (trusting, true)]
    {
        std::fs::remove_dir_all(there.path("store")).ok();
        std::fs::remove_dir_all(there.path("experiments")).ok();
        there.config(&config);
        let imported = there.json(&["import", text(&file)]);
        assert_eq!((&imported["trusted"], &imported["signed"]), (&trusted.into(), &trusted.into()), "{config}");
        assert_eq!(there.build()["requests"]["sent"] == 0, trusted, "{config}");
    }
}

#[test]
fn a_signature_over_something_else_is_found_and_never_trusted() {
    let here = project();
    let Some(ours) = key(&here, "ours", "ed25519") else { return };
    let built = here.build();
    let run = built["run_id"].as_str().unwrap().to_owned();
    here.json(&["sign", &run, "--key", text(&ours)]);
    // Another run, with the first one's signature.
    here.file("prompts/brief.txt", "Answer in one word.\n");
    let later = here.build();
    let later = later["run_id"].as_str().unwrap();
    let record = |id: &str| here.path(&format!("store/runs/{id}"));
    let read = |id: &str| {
        let text = std::fs::read_to_string(record(id)).unwrap();
        let (body, _) = text.trim_end().rsplit_once('\n').unwrap();
        serde_json::from_str::<Value>(body).unwrap()
    };
    let mut forged = read(later);
    forged["signatures"] = read(&run)["signatures"].clone();
    let body = serde_json::to_string_pretty(&forged).unwrap() + "\n";
    let sealed = format!("{body}blake3:{}\n", exp::digest::Digest::of(body.as_bytes()).to_hex());
    std::fs::remove_file(record(later)).unwrap();
    std::fs::write(record(later), sealed).unwrap();
    let said = audit(&here, later, "ours.pub").expect_code(3).stdout;
    // A signed run that is let go leaves nothing behind.
    assert!(run_dir(&built).exists());
    here.exp(&["gc", "--keep-last", "1", "--yes"]).expect_code(0);
    assert!(!run_dir(&built).exists());
    assert!(said.contains(" signed something else\n") && said.contains("actual:   none that holds\n"), "{said}");
}

#[test]
fn what_cannot_sign_says_so() {
    let here = project();
    let Some(_) = key(&here, "ours", "ed25519") else { return };
    key(&here, "rsa", "rsa").unwrap();
    let built = here.build();
    let run = built["run_id"].as_str().unwrap();
    let said = here.exp(&["sign", run, "--key", "rsa"]).expect_code(2).stderr;
    assert!(said.contains("its key is not of the kind `ssh-ed25519`"), "{said}");
    let said = here.exp(&["sign", run, "--key", "absent"]).expect_code(2).stderr;
    assert!(said.contains("`ssh-keygen` cannot sign with `absent`: "), "{said}");
    let said = audit(&here, run, "prompts/control.txt").expect_code(2).stderr;
    assert!(said.contains("prompts/control.txt:1: this is no Ed25519 public key"), "{said}");
    let mut alone = here.command(&["sign", run, "--key", "ours"]);
    let said = support::run(alone.env("PATH", here.path("nothing"))).expect_code(7).stderr;
    assert!(said.contains("`ssh-keygen` cannot be run"), "{said}");
    here.json(&["build", "--condition", "treatment"]);
    let narrowed = here.exp(&["list", "--json"]).json();
    let narrowed = narrowed["runs"].as_array().unwrap().iter().find(|run| run["state"] == "partial").unwrap().clone();
    here.exp(&["sign", narrowed["run_id"].as_str().unwrap(), "--key", "ours"]).expect_code(0);
}
