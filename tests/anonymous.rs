//! Archives for readers who must not know whose they are: no host, user, organisation, path or id of a request is in them, an
//! audit holds all the same, and their manifest is signed for itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::format_collect)] // It is not in a hurry.

#[path = "support/archive_entries.rs"]
mod archive_entries;
#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use archive_entries::{entries, name, pack, unpacked};
use serde_json::{Value, json};
use server::{ModelServer, Options};
use support::{KEY_ENV, Output, Project, run};

/// Says who asks and where: a word for each place in which it can stand.
const USER: &str = "zqusera";
const HEADER: &str = "zqorgb";
const OWNER: &str = "zqownerc";
const BODY: &str = "zqbodyd";
const MODEL_FILE: &str = "/home/zqhomee/models/m.gguf";
const LIMIT: &str = "zqidf";

/// A project whose every corner says who it belongs to; `dataset` is the dataset's name.
fn project(server: &ModelServer, dataset: &str) -> Project {
    let project = Project::in_memory();
    let items: String = (0..6)
        .map(|n| json!({"id": format!("i{n}"), "question": format!("Who built mill {n}?"), "answers": ["Aldermoor"]}))
        .map(|item| item.to_string() + "\n")
        .collect();
    project.file("data/d.jsonl", items).file("prompts/control.txt", "Answer.").file("prompts/a.txt", "Answer briefly.");
    // One arm whose prompt names who wrote it.
    project.file("prompts/b.txt", format!("Answer. Written by {HEADER}."));
    let (origin, data) = (server.origin(), project.path("data/d.jsonl"));
    project.config(&format!(
        "version: 1
# {BODY}
providers:
  ours: {{kind: openai, base_url: '{origin}/v1', api_key_env: {KEY_ENV}, headers: {{OpenAI-Organization: {HEADER}}}, max_attempts: 2}}
models:
  - {{name: m, provider: ours, model: 'ft:base:{OWNER}::1', price: {{input: 1, output: 2}}, extra_body: {{user: {BODY}}}}}
  - {{name: reader, provider: lexical}}
decoding: {{temperature: 0, max_output_tokens: 16}}
datasets:
  {dataset}: {{path: {}, fields: {{id: id, question: question, answers: answers}}}}
control: prompts/control.txt
prompt_sets: {{a: prompts/a.txt, b: prompts/b.txt}}
analysis: {{bootstrap_samples: 100, permutation_samples: 100}}
",
        data.display()
    ));
    project
}

fn server() -> ModelServer {
    let options = Options {
        served: Some(MODEL_FILE.to_owned()),
        headers: vec![("x-served-by".to_owned(), LIMIT.to_owned())],
        ..Options::default()
    };
    ModelServer::start(options, |_| None)
}

/// Runs the binary as somebody with a name.
fn exp(project: &Project, args: &[&str]) -> Output {
    run(project.command(args).env("USER", USER).env("HOSTNAME", format!("{USER}-host")))
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

/// The words that say who and where, and the ids that the provider gave.
fn canaries(project: &Project, server: &ModelServer, built: &Value) -> Vec<String> {
    let mut words: Vec<String> = [HEADER, OWNER, BODY, MODEL_FILE].map(str::to_owned).into();
    words.push(server.origin().trim_start_matches("http://").to_owned());
    words.push(project.dir().to_str().unwrap().to_owned());
    let slug = built["trials"].as_array().unwrap().iter().map(|trial| trial["slug"].as_str().unwrap());
    let of_server = slug.filter(|slug| !slug.starts_with("reader")).map(|slug| {
        let timings = project.run_file(built, &format!("{slug}/results/timings.csv"));
        support::csv_rows(&timings).into_iter().map(|row| row["request_id"].clone()).collect::<Vec<_>>()
    });
    let ids = of_server.flatten().collect::<Vec<_>>();
    assert!(ids.len() >= 12 && ids.iter().all(|id| id.len() > 6), "{ids:?}");
    words.extend(ids);
    words
}

#[test]
fn nothing_in_it_says_whose_it_is_and_it_can_be_audited() {
    let server = server();
    let project = project(&server, "mills");
    let built = exp(&project, &["build", "--yes", "--json"]).expect_code(0).json();
    let words = canaries(&project, &server, &built);

    // The control: the plain archive shows each of them, so the search finds what is there.
    exp(&project, &["archive", "--experiment-name", "plain"]).expect_code(0);
    let plain = project.path("experiments/archives/plain.tar.zst");
    let bytes = unpacked(&plain);
    for word in &words {
        assert!(holds(&bytes, word), "{word}");
    }
    let planned = exp(&project, &["archive", "--anonymous", "--dry-run", "-v"]).expect_code(0).stdout;
    assert!(planned.contains("\nwithheld: ") && planned.contains(" (withheld)\n"), "{planned}");
    let written = exp(&project, &["archive", "--anonymous", "--json"]).expect_code(0).json();
    let path = Path::new(written["path"].as_str().unwrap());
    assert!(path.to_str().unwrap().ends_with("-anonymous.tar.zst"), "{written:#}");
    let bytes = unpacked(path);
    for word in words.iter().map(String::as_str).chain([USER, LIMIT, "prompts/control.txt", "zqhomee"]) {
        assert!(!holds(&bytes, word), "{word}");
    }
    // What says nothing of it is there: what was asked, what the other model said, what came of it.
    let kept: BTreeMap<String, Vec<u8>> =
        entries(path).into_iter().map(|(header, bytes)| (name(&header), bytes)).collect();
    assert!(holds(&bytes, "Who built mill 3?") && holds(&bytes, "Answer briefly."));
    assert!(String::from_utf8_lossy(&kept["draws.jsonl"]).contains("\"answer\":{"), "the answers of the other model");
    assert!(String::from_utf8_lossy(&kept["WITHHELD"]).contains("actions/"));
    let reports = built["trials"].as_array().unwrap().iter().filter(|trial| {
        let shown = format!("{}/reports/report.md", trial["slug"].as_str().unwrap());
        let report = project.run_file(&built, &shown);
        kept.values().any(|bytes| bytes == report.as_bytes())
    });
    assert!(reports.count() >= 1, "no report is left");

    let file = path.to_str().unwrap();
    let report = project.json(&["audit", file]);
    assert_eq!((&report["sound"], &report["report"]["root"]), (&true.into(), &built["root"]));
    let original = project.manifest(&built)["manifest_digest"].clone();
    let report = &report["report"];
    assert_eq!(report["anonymous_of"], original);
    assert_ne!(report["manifest_digest"], original);
    for what in ["blobs", "bytes", "records", "answers"] {
        assert!(report["withheld"][what].as_u64().unwrap() > 0, "{what}: {report:#}");
    }
    assert!(report["checked"]["draws"].as_u64().unwrap() > 0, "{report:#}");
    let said = project.exp(&["audit", file]).expect_code(0).stdout;
    assert!(said.contains("note: withheld: ") && said.contains("note: anonymous: "), "{said}");
    let said = project.exp(&["import", file]).expect_code(2).stderr;
    assert!(said.contains("it is anonymous"), "{said}");

    // The same run and the same names: the same bytes.
    let again = exp(&project, &["archive", "--anonymous", "--json"]).expect_code(0).json();
    assert_eq!(again["already"], true);
    // Both at once.
    let both = exp(&project, &["archive", "--anonymous", "--without-items", "--json"]).expect_code(0).json();
    let both = Path::new(both["path"].as_str().unwrap());
    assert!(both.to_str().unwrap().ends_with("-anonymous-without-items.tar.zst"));
    let bytes = unpacked(both);
    assert!(words.iter().map(String::as_str).chain(["Who built mill", "Aldermoor"]).all(|word| !holds(&bytes, word)));
    project.exp(&["audit", both.to_str().unwrap()]).expect_code(0);
}

#[test]
fn what_is_withheld_is_listed_and_nothing_else_may_be_missing() {
    let server = server();
    let project = project(&server, "mills");
    exp(&project, &["build", "--yes"]).expect_code(0);
    let written = exp(&project, &["archive", "--anonymous", "--json"]).expect_code(0).json();
    let entries = entries(Path::new(written["path"].as_str().unwrap()));
    let bad = project.path("bad.tar.zst");
    let audited = |entries: &[(tar::Header, Vec<u8>)]| {
        pack(&bad, entries);
        project.exp(&["audit", bad.to_str().unwrap()])
    };
    audited(&entries).expect_code(0);
    let at = entries.iter().position(|(header, _)| name(header) == "WITHHELD").unwrap();
    // Without the lines of the records, they are missing.
    let mut fewer = entries.clone();
    let text = String::from_utf8(fewer[at].1.clone()).unwrap();
    fewer[at].1 = text
        .lines()
        .filter(|line| !line.starts_with("actions/"))
        .map(|line| format!("{line}\n"))
        .collect::<String>()
        .into();
    let said = audited(&fewer).expect_code(3).stdout;
    assert!(said.contains("expected: a record whose hash holds\n  actual:   missing or damaged\n"), "{said}");
    // A record that is there all the same, and one that nobody names.
    let record = entries.iter().find(|(header, _)| name(header).starts_with("actions/")).unwrap();
    for (line, expected) in [
        (format!("{}  1\n", name(&record.0)), "expected: to be withheld\n  actual:   in the archive\n"),
        (format!("actions/{}  1\n", "ab".repeat(32)), "expected: actions that the manifest names\n"),
    ] {
        let mut more = entries.clone();
        more[at].1.extend(line.bytes());
        let said = audited(&more).expect_code(3).stdout;
        assert!(said.contains(expected), "{said}");
    }
    // Another root, another original: the manifest's own digest does not hold.
    let at = entries.iter().position(|(header, _)| name(header) == "manifest.json").unwrap();
    let mut other = entries.clone();
    let text = String::from_utf8(other[at].1.clone()).unwrap();
    let (before, after) = text.split_once("\"anonymous_of\": \"blake3:").unwrap();
    other[at].1 = format!("{before}\"anonymous_of\": \"blake3:{}{}", "00", &after[2..]).into();
    audited(&other).expect_code(3);
}

#[test]
fn a_name_that_hashes_are_made_of_cannot_be_taken_out_and_nothing_is_written() {
    let server = server();
    let project = project(&server, HEADER);
    exp(&project, &["build", "--yes"]).expect_code(0);
    let said = exp(&project, &["archive", "--anonymous"]).expect_code(2).stderr;
    assert!(said.contains(&format!("`{HEADER}` says who ran it, or where")), "{said}");
    assert!(!project.path("experiments/archives").exists());
}

#[test]
fn its_signatures_are_its_own() {
    let server = server();
    let project = project(&server, "mills");
    let key = project.path("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "c", "-f"]).arg(&key).status();
    if made.is_err() {
        println!("skipped: ssh-keygen is not here");
        return;
    }
    exp(&project, &["build", "--yes"]).expect_code(0);
    let key = key.to_str().unwrap();
    project.exp(&["sign", "latest", "--key", key]).expect_code(0);
    let written = exp(&project, &["archive", "--anonymous", "--json"]).expect_code(0).json();
    let file = written["path"].as_str().unwrap();
    // The run's signature is over the run's manifest, and is not in it.
    let required = ["audit", file, "--require-signature", "key.pub"];
    let said = project.exp(&required).expect_code(3).stdout;
    assert!(said.contains("actual:   none that holds"), "{said}");
    let signed = project.json(&["sign", file, "--key", key]);
    assert_eq!(signed["manifest_digest"], project.json(&["audit", file])["report"]["manifest_digest"]);
    let said = project.exp(&required).expect_code(0).stdout;
    assert!(said.contains("note: signed by SHA256:"), "{said}");
    // Once more replaces it; the archive's name will do.
    let name = Path::new(file).file_name().unwrap().to_str().unwrap().strip_suffix(".tar.zst").unwrap();
    project.exp(&["sign", name, "--key", key]).expect_code(0);
    let beside = signed["signature"].as_str().unwrap();
    let signatures = std::fs::read_dir(project.path("experiments/archives")).unwrap();
    let signatures = signatures.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "sig"));
    assert_eq!(signatures.count(), 1);
    // A signature of something else beside it is a finding.
    project.exp(&["archive", "--experiment-name", "plain"]).expect_code(0);
    let plain = project.path("experiments/archives/plain.tar.zst");
    let moved = beside.replace(Path::new(file).to_str().unwrap(), plain.to_str().unwrap());
    std::fs::copy(beside, &moved).unwrap();
    let said = project.exp(&["audit", plain.to_str().unwrap()]).expect_code(3).stdout;
    assert!(said.contains("signed something else"), "{said}");
    // What is not sound is not signed.
    let bad = project.path("bad.tar.zst");
    let mut entries = entries(Path::new(file));
    entries.retain(|(header, _)| self::name(header) != "B3SUMS");
    pack(&bad, &entries);
    project.exp(&["sign", bad.to_str().unwrap(), "--key", key]).expect_code(3);
}
