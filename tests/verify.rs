//! `exp verify` as people meet it: what it finds, what it repairs, and what it does not pay for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};

use support::Project;
use support::mills::mills;
use support::slugs;

fn built() -> (Project, serde_json::Value) {
    let project = mills(Project::new(), 20, 1);
    let run = project.build();
    (project, run)
}

fn blobs(project: &Project) -> Vec<PathBuf> {
    let shards = std::fs::read_dir(project.path("store/blobs")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        shards.flat_map(|shard| std::fs::read_dir(shard).unwrap().map(|entry| entry.unwrap().path())).collect();
    found.sort();
    found
}

fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn damage_an_answer(project: &Project) {
    let segment = std::fs::read_dir(project.path("store/draws")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    let line = bytes.windows(8).position(|window| window == b"{\"draw\":").unwrap();
    bytes[line + 80] ^= 1;
    std::fs::remove_file(&segment).unwrap();
    std::fs::write(&segment, bytes).unwrap();
}

#[test]
fn every_damaged_blob_is_found_and_made_again_without_asking() {
    let (project, run) = built();
    project.exp(&["verify"]).expect_code(0);
    let shown = Path::new(run["run_dir"].as_str().unwrap()).join(&slugs(&run)[0]).join("reports/provenance.md");
    let provenance = std::fs::canonicalize(shown).unwrap();
    let mut paths = blobs(&project);
    paths.retain(|path| std::fs::canonicalize(path).unwrap() != provenance);
    for path in &paths {
        damage(path);
    }
    let found = project.exp(&["verify", "--json"]).expect_code(3).json();
    // Each has another mode as well by now, which a damaged blob is not told of.
    assert!(found["findings"].as_array().unwrap().len() >= paths.len(), "{found:#}");
    project.exp(&["verify", "--spend"]).expect_code(2);
    let repaired = project.exp(&["verify", "--repair", "--json"]).json();
    // All of them but manifests that no run names any more.
    assert_eq!(repaired["sound"], true, "{:#}", repaired["findings"]);
    assert!(repaired["repaired"]["made"].as_u64().unwrap() >= 15, "{repaired:#}");
    project.exp(&["audit"]).expect_code(0);
    let again = project.json(&["build"]);
    assert_eq!(
        (&again["up_to_date"], &again["root"], &again["requests"]["sent"]),
        (&true.into(), &run["root"], &0.into())
    );
    // What tells of circumstances no action made: an archive alone brings it back.
    damage(&provenance);
    let left = project.exp(&["verify", "--repair", "--json"]).expect_code(3).json();
    let [finding] = &left["findings"].as_array().unwrap()[..] else { panic!("{left:#}") };
    assert!(finding["remedy"].as_str().unwrap().contains("exp import"), "{finding:#}");
}

#[test]
fn views_records_and_runs_are_looked_at_too() {
    let (project, run) = built();
    let dir = Path::new(run["run_dir"].as_str().unwrap());
    std::fs::remove_file(dir.join("aggregate_report.md")).unwrap();
    std::fs::write(dir.join("aggregate_report.md"), "better numbers").unwrap();
    let found = project.exp(&["verify"]).expect_code(3);
    assert!(found.stdout.contains("aggregate_report.md"), "{}", found.stdout);
    project.exp(&["verify", "--repair"]).expect_code(0);
    assert!(std::fs::read_link(dir.join("aggregate_report.md")).is_ok());
    let manifest = dir.join("multi_trial_manifest.json");
    damage(&manifest);
    project.exp(&["verify"]).expect_code(3);
    project.exp(&["verify", "--repair"]).expect_code(0);
    // Looking writes nothing; a store that is not there is none.
    let nowhere = Project::new();
    nowhere.exp(&["verify"]).expect_code(0);
    assert!(!nowhere.path("store").exists());
}

#[test]
fn a_damaged_answer_is_restored_from_the_answers_made_of_it() {
    let (project, run) = built();
    damage_an_answer(&project);
    project.exp(&["verify"]).expect_code(3);
    let repaired = project.exp(&["verify", "--repair", "--json"]).expect_code(0).json();
    let done = &repaired["repaired"];
    assert_eq!((&done["restored"], &done["given_up"], &done["set_aside"]), (&1.into(), &0.into(), &1.into()));
    project.exp(&["audit"]).expect_code(0);
    std::fs::remove_file(project.path("store/index.sqlite")).unwrap();
    project.exp(&["audit"]).expect_code(0);
    let again = project.json(&["build", "--force"]);
    assert_eq!((&again["root"], &again["requests"]["sent"]), (&run["root"], &0.into()));
}

#[test]
fn a_damaged_answer_is_paid_for_again_only_when_that_is_asked_for() {
    let (project, run) = built();
    damage_an_answer(&project);
    let found = project.exp(&["verify"]).expect_code(3);
    assert!(found.stdout.contains("--repair --spend"), "{}", found.stdout);
    // Without what was made of it, a build cannot go on, and does not ask.
    for path in blobs(&project).iter().filter(|path| {
        std::fs::read_to_string(path)
            .is_ok_and(|text| text.starts_with("{\"item\":") && text.contains("\"answer\":{\"status\""))
    }) {
        std::fs::remove_file(path).unwrap();
    }
    let stuck = project.exp(&["build"]);
    assert_ne!(stuck.code, 0, "{}", stuck.stdout);
    let repaired = project.exp(&["verify", "--repair", "--json"]).expect_code(3).json();
    assert_eq!((&repaired["repaired"]["given_up"], &repaired["repaired"]["restored"]), (&0.into(), &0.into()));
    let spent = project.exp(&["verify", "--repair", "--spend", "--json"]).expect_code(0).json();
    assert_eq!(spent["repaired"]["given_up"], 1, "{spent:#}");
    let again = project.json(&["build"]);
    assert_eq!((&again["root"], &again["requests"]["sent"]), (&run["root"], &0.into()));
}
