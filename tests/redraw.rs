//! New generations: all answers anew, one side's, or those of items whose answers ended badly. Nothing else is asked.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where what it reads is not as it should be.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use support::bridges::bridges;
use support::{Project, csv_rows};

const ITEMS: usize = 24;

fn config(reuse: &str) -> String {
    format!(
        "# An experiment.\n\
         version: 1\n\
         models: [{{name: m, provider: lexical}}]\n\
         datasets:\n  d:\n    path: data/d.jsonl   # the data\n    \
         fields: {{id: id, question: question, answers: answers, context: context}}\n    \
         answer: {{extract: '(Ada Pell|Jon Abel)', if_absent: missing}}\n\
         control: prompts/control.txt\n\
         prompt_sets:\n  one: prompts/one.txt\n  two: prompts/two.txt\n\
         decoding: {{temperature: 2, max_output_tokens: 30}}\n\
         analysis: {{bootstrap_samples: 50, permutation_samples: 50}}\n\
         parts_per_dataset: 3\n{reuse}"
    )
}

fn project() -> Project {
    let project = Project::in_memory();
    bridges(&project, ITEMS);
    project.file("prompts/two.txt", "Answer in at most three words.\n");
    project.config(&config(""));
    project
}

fn requests(built: &Value, what: &str) -> u64 {
    built["requests"][what].as_u64().unwrap()
}

/// The text and the status of each item under each condition of each trial.
fn texts(project: &Project, built: &Value) -> BTreeMap<(String, String, String), (String, String)> {
    let mut texts = BTreeMap::new();
    for slug in support::slugs(built) {
        for row in csv_rows(&project.run_file(built, &format!("{slug}/results/predictions.csv"))) {
            let place = (slug.clone(), row["condition"].clone(), row["item_id"].clone());
            assert!(texts.insert(place, (row["response_text"].clone(), row["status"].clone())).is_none());
        }
    }
    texts
}

/// The items of which some answer has a status.
fn items_with(texts: &BTreeMap<(String, String, String), (String, String)>, status: &str) -> BTreeSet<String> {
    texts.iter().filter(|(_, text)| text.1 == status).map(|(place, _)| place.2.clone()).collect()
}

const ALL: u64 = 3 * ITEMS as u64;

#[test]
fn fresh_asks_for_everything_anew_and_its_line_keeps_it() {
    let project = project();
    let first = project.build();
    assert_eq!(requests(&first, "sent"), ALL);

    let fresh = project.exp(&["build", "--fresh", "--json"]).expect_code(0);
    assert!(fresh.stderr.contains("\nreuse: {generation: 1}\n"), "{}", fresh.stderr);
    let fresh = fresh.json();
    assert_eq!((requests(&fresh, "sent"), requests(&fresh, "reused")), (ALL, 0));
    assert_ne!(texts(&project, &fresh), texts(&project, &first), "another generation has other answers");
    assert_ne!(fresh["root"], first["root"]);

    // Once more is no third generation: the same command goes on with what it began.
    let again = project.json(&["build", "--fresh"]);
    assert_eq!((requests(&again, "sent"), &again["root"]), (0, &fresh["root"]));
    // Without the flag the earlier answers stand, and cost nothing.
    let back = project.build();
    assert_eq!((requests(&back, "sent"), &back["root"]), (0, &first["root"]));
    // The line that was printed keeps them.
    project.config(&config("reuse: {generation: 1}\n"));
    let kept = project.build();
    assert_eq!((requests(&kept, "sent"), &kept["root"]), (0, &fresh["root"]));
}

#[test]
fn fresh_for_the_control_asks_for_the_control_alone() {
    let project = project();
    let first = project.build();
    let fresh = project.exp(&["build", "--fresh", "--condition", "control", "--json"]).expect_code(0);
    let line = "reuse: {generation: {control: 1, treatment: 0}}";
    assert!(fresh.stderr.contains(&format!("\n{line}\n")), "{}", fresh.stderr);
    let fresh = fresh.json();
    assert_eq!((&fresh["state"], requests(&fresh, "sent")), (&Value::from("partial"), ITEMS as u64));

    project.config(&config(&format!("{line}\n")));
    let kept = project.build();
    assert_eq!(requests(&kept, "sent"), 0);
    let (before, after) = (texts(&project, &first), texts(&project, &kept));
    let changed: BTreeSet<&str> =
        before.iter().filter(|(place, text)| after[*place] != **text).map(|(place, _)| place.1.as_str()).collect();
    assert_eq!(changed, BTreeSet::from(["control"]));
}

#[test]
fn a_status_is_redrawn_under_every_arm_and_stays_so() {
    let project = project();
    let first = project.build();
    let before = texts(&project, &first);
    let lost = items_with(&before, "no_answer");
    assert!(!lost.is_empty() && lost.len() < ITEMS, "{lost:?}");

    // What it would do is said, and nothing is written.
    let told = project.exp(&["build", "--redraw-status", "no_answer", "--dry-run"]).expect_code(0);
    let count = format!("{} items of run {}", lost.len(), first["run_id"].as_str().unwrap());
    assert!(told.stderr.contains(&count), "{}", told.stderr);
    assert!(!project.path("config/redraws.jsonl").exists());
    assert_eq!(project.read("config/eval_config.yaml"), config(""));

    // An end before anything was asked: the same command goes on, and does not redraw a second time.
    project.exp(&["build", "--redraw-status", "no_answer", "--to-step", "build"]).expect_code(0);
    let lines = project.read("config/redraws.jsonl");
    assert_eq!(lines.lines().count(), 3 * lost.len());
    assert_eq!(project.read("config/eval_config.yaml"), config("reuse: {redraws: config/redraws.jsonl}\n"));
    let redrawn = project.json(&["build", "--redraw-status", "no_answer"]);
    assert_eq!(project.read("config/redraws.jsonl"), lines);
    let sent = 3 * lost.len() as u64;
    assert_eq!((requests(&redrawn, "sent"), requests(&redrawn, "reused")), (sent, ALL - sent));

    // Nothing but these items changed, and they did under both arms of both trials.
    let after = texts(&project, &redrawn);
    let changed: BTreeSet<_> =
        before.iter().filter(|(place, text)| after[*place] != **text).map(|(place, _)| place).collect();
    assert!(changed.iter().all(|place| lost.contains(&place.2)), "{changed:?}");
    let arms: BTreeSet<(&str, &str)> = changed.iter().map(|place| (place.0.as_str(), place.1.as_str())).collect();
    assert_eq!(arms.len(), 4, "{arms:?}");
    for slug in support::slugs(&redrawn) {
        let report = project.run_file(&redrawn, &format!("{slug}/reports/report.md"));
        assert!(report.contains("### Redrawn answers"), "{report}");
        let row = format!("| `no_answer` | {} |", lost.len());
        assert!(report.replace("  ", " ").contains(&row), "{report}");
    }

    // The next build has nothing to do; why it is so is known; and what is there can be checked and carried away.
    let plain = project.build();
    assert_eq!((requests(&plain, "sent"), &plain["root"]), (0, &redrawn["root"]));
    assert_eq!(plain["up_to_date"], true);
    let why = project.exp(&["why", "infer", "--against", first["run_id"].as_str().unwrap()]).expect_code(0);
    assert!(why.stdout.contains("redraws"), "{}", why.stdout);
    project.exp(&["audit", "--rerun"]).expect_code(0);
    project.exp(&["archive"]).expect_code(0);
    let archives = std::fs::read_dir(project.path("experiments/archives")).unwrap();
    let archive = archives.map(|entry| entry.unwrap().path()).next().unwrap();
    project.exp(&["audit", archive.to_str().unwrap()]).expect_code(0);

    // Once more redraws what is still without an answer: a generation further on, whatever was redrawn before.
    let still = items_with(&after, "no_answer");
    assert!(!still.is_empty(), "the reader found an answer everywhere: the test needs other data");
    let third = project.json(&["build", "--redraw-status", "no_answer"]);
    assert_eq!(requests(&third, "sent"), 3 * still.len() as u64);
    let times = |n: u32| project.read("config/redraws.jsonl").matches(&format!("\"times\":{n},")).count();
    let again = still.intersection(&lost).count();
    assert_eq!((times(1), times(2)), (3 * (lost.len() + still.len() - again), 3 * again));

    // Without the file the first answers are back, at no cost.
    project.config(&config(""));
    let back = project.build();
    assert_eq!((requests(&back, "sent"), &back["root"]), (0, &first["root"]));
}

#[test]
fn fresh_leaves_redrawn_items_behind_as_well() {
    let project = project();
    project.build();
    let redrawn = project.json(&["build", "--redraw-status", "no_answer"]);
    assert!(requests(&redrawn, "sent") > 0);
    let fresh = project.json(&["build", "--fresh"]);
    assert_eq!(
        (requests(&fresh, "sent"), requests(&fresh, "reused")),
        (ALL, 0),
        "a redrawn draw is none that is fresh"
    );
}

#[test]
fn what_cannot_be_redrawn_is_refused_before_anything_is_written() {
    let project = project();
    let refused = |args: &[&str], words: &str| {
        let said = project.exp(&[&["build"], args].concat()).expect_code(2).stderr;
        assert!(said.contains(words), "{said}");
    };
    refused(&["--redraw-status", "no_answer"], "no run has ended yet");
    project.build();
    refused(&["--redraw-status", "failed:timeout"], "every build asks for it again");
    refused(&["--redraw-status", "stop"], "exp build --fresh");
    refused(&["--redraw-status", "gone"], "`gone` is none of");
    refused(&["--redraw-status", "no_answer", "--condition", "control"], "under both arms");
    refused(&["--redraw-status", "no_answer", "--fresh"], "cannot be used with");
    let odd = format!("{}...\n", config(""));
    project.config(&odd);
    refused(&["--redraw-status", "no_answer"], "write `redraws: config/redraws.jsonl` under `reuse:`");
    assert_eq!(project.read("config/eval_config.yaml"), odd);
    assert!(!project.path("config/redraws.jsonl").exists());

    // A line that cannot be read ends a build at once, and is named.
    project.config(&config("reuse: {redraws: config/redraws.jsonl}\n"));
    project.file("config/redraws.jsonl", "{\"request\":1}\n");
    refused(&[], "`config/redraws.jsonl`, line 1");
}

#[test]
fn nothing_to_redraw_is_no_error() {
    let project = project();
    let first = project.build();
    let built = project.exp(&["build", "--redraw-status", "refusal,length", "--json"]).expect_code(0);
    assert!(built.stderr.contains("nothing is redrawn"), "{}", built.stderr);
    assert_eq!((requests(&built.json(), "sent"), &built.json()["root"]), (0, &first["root"]));
    assert_eq!(project.read("config/eval_config.yaml"), config(""));
}
