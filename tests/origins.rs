//! When, by whom and how answers were given: beside the root, and an error where the config does not put up with it.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where what it reads is not as it should be.

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::time::Duration;

use serde_json::Value;
use server::{ModelServer, Options};
use support::online::{Online, Setup};
use support::{csv_rows, slugs};

fn serving(served: &str) -> ModelServer {
    ModelServer::start(Options { served: Some(served.to_owned()), ..Options::default() }, |_| None)
}

/// Builds the control against one server, and the rest against another one.
fn in_two_goes(more: &str, served: [&str; 2], pause: Duration, code: i32) -> (Online, Value, String) {
    let servers = served.map(serving);
    let setup = Setup { more: more.to_owned(), ..Setup::default() };
    let online = Online::new(&setup, &servers[0].origin());
    online.build(0, &["--condition", "control"]);
    std::thread::sleep(pause);
    online.project.config(&setup.config(&servers[1].origin()));
    let output = online.exp(&["build", "--yes", "--json"]).expect_code(code);
    let built = output.json();
    (online, built, output.stderr)
}

fn page(online: &Online, built: &Value) -> String {
    online.project.run_file(built, &format!("{}/reports/provenance.md", slugs(built)[0]))
}

#[test]
fn one_model_in_one_go_is_no_matter() {
    let server = serving("ours-2026-11-01");
    let online = Online::new(&Setup::default(), &server.origin());
    let built = online.build(0, &[]);
    let page = page(&online, &built);
    assert!(page.contains("| control | served model | `ours-2026-11-01` | 4 | 100.0 % |"), "{page}");
    assert!(page.contains("| treatment | bought | `online` | 4 | 100.0 % |"), "{page}");
    assert!(page.contains("`fp_ours`") && !page.contains("several models"), "{page}");
    let timings = csv_rows(&online.project.run_file(&built, &format!("{}/results/timings.csv", slugs(&built)[0])));
    assert_eq!(timings.len(), 8);
    assert!(timings.iter().all(|row| row["http_status"] == "200" && !row["logged_at"].is_empty()));
    let latency = online.project.run_file(&built, &format!("{}/results/latency.json", slugs(&built)[0]));
    let latency: Value = serde_json::from_str(&latency).unwrap();
    let found = &latency["datasets"]["d"];
    assert_eq!((found["paired"]["n_items"].as_u64(), found["arms"]["control"]["draws"].as_u64()), (Some(4), Some(4)));
    let manifest = online.project.manifest(&built);
    assert_eq!(manifest["circumstances"].as_array().unwrap().len(), 3);
    // How long anything took is no part of what the root stands for.
    assert!(!manifest["views"].to_string().contains("latency.json"));
    assert_eq!(manifest["order_seed"], 1337);
    assert_eq!(manifest["served"][0]["model"], "ours");
    // They are checked like every other file, and come back like every other file.
    online.exp(&["audit"]).expect_code(0);
    let path = support::run_dir(&built).join(&slugs(&built)[0]).join("reports/provenance.md");
    std::fs::remove_file(&path).unwrap();
    online.exp(&["audit"]).expect_code(3);
}

#[test]
fn several_served_models_are_told_with_the_line_that_redraws() {
    let (online, built, said) = in_two_goes("", ["ours-a", "ours-b"], Duration::ZERO, 0);
    assert_eq!(built["state"], "complete");
    assert!(said.contains("served by several models (`ours-a` 4 times, `ours-b` 4 times)"), "{said}");
    assert!(said.contains("--fresh --condition control"), "{said}");
    assert!(page(&online, &built).contains("several models"));
}

#[test]
fn several_served_models_are_an_error_where_the_config_says_so() {
    let (_online, built, _) =
        in_two_goes("reuse: {same_served_model: refuse}\n", ["ours-a", "ours-b"], Duration::ZERO, 1);
    assert_eq!(built["state"], "failed");
}

#[test]
fn arms_far_apart_are_told_or_an_error() {
    let pause = Duration::from_millis(2500);
    let gap = |then: &str| format!("reuse: {{max_gap_between_arms: {{limit: 1s, then: {then}}}}}\n");
    let (_online, built, said) = in_two_goes(&gap("warn"), ["ours", "ours"], pause, 0);
    assert_eq!(built["state"], "complete");
    assert!(said.contains("and `max_gap_between_arms` allows 1.00s"), "{said}");
    let (_online, built, _) = in_two_goes(&gap("refuse"), ["ours", "ours"], pause, 1);
    assert_eq!(built["state"], "failed");
    let (_online, _, said) = in_two_goes(&gap("refuse").replace("1s", "1h"), ["ours", "ours"], pause, 0);
    assert!(!said.contains("max_gap_between_arms"), "{said}");
}
