//! `exp verify` as people meet it: what it finds, what it repairs, and what it does not pay for.

mod support;

use std::path::{Path, PathBuf};

use support::Project;
use support::mills::mills;

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

#[test]
fn every_damaged_blob_is_found_and_made_again_without_asking() {
    let (project, run) = built();
    project.exp(&["verify"]).expect_code(0);
    let paths = blobs(&project);
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
fn a_damaged_answer_is_paid_for_again_only_when_that_is_asked_for() {
    let (project, run) = built();
    let segment = std::fs::read_dir(project.path("store/draws")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    let line = bytes.windows(8).position(|window| window == b"{\"draw\":").unwrap();
    bytes[line + 80] ^= 1;
    std::fs::remove_file(&segment).unwrap();
    std::fs::write(&segment, bytes).unwrap();
    let found = project.exp(&["verify"]).expect_code(3);
    assert!(found.stdout.contains("--repair --spend"), "{}", found.stdout);
    // What is made of it is there still: nothing is asked for.
    let repaired = project.exp(&["verify", "--repair", "--json"]).expect_code(3).json();
    assert_eq!(repaired["repaired"]["given_up"], 0);
    // Without what was made of it, a build cannot go on, and does not ask.
    for path in blobs(&project).iter().filter(|path| {
        std::fs::read_to_string(path)
            .is_ok_and(|text| text.starts_with("{\"item\":") && text.contains("\"answer\":{\"status\""))
    }) {
        std::fs::remove_file(path).unwrap();
    }
    let stuck = project.exp(&["build"]);
    assert_ne!(stuck.code, 0, "{}", stuck.stdout);
    let spent = project.exp(&["verify", "--repair", "--spend", "--json"]).json();
    assert_eq!(spent["repaired"]["given_up"], 1, "{spent:#}");
    let again = project.json(&["build"]);
    assert_eq!((&again["root"], &again["requests"]["sent"]), (&run["root"], &0.into()));
}
