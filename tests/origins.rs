//! When, by whom and how answers were given: beside the root, and an error where the config does not put up with it.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where what it reads is not as it should be.

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::time::Duration;

use serde_json::Value;
use server::{BatchOptions, ModelServer, Options};
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

/// Everything that says of a model that it is unpinned, or not: the plan, the doctor, the trial's page and the run's.
fn told_of_the_pin(setup: &Setup, origin: &str) -> (Online, [String; 4]) {
    let online = Online::new(setup, origin);
    let plan = online.exp(&["plan"]).expect_code(0).stdout;
    let listed = online.project.json(&["plan"])["unpinned"].clone();
    let is_unpinned = plan.lines().any(|line| line.starts_with("  m is unpinned: "));
    assert_eq!(listed.as_array().unwrap().len(), usize::from(is_unpinned), "{listed}");
    let doctor = online.exp(&["doctor"]).expect_code(0).stdout;
    let built = online.build(0, &[]);
    let html = std::fs::read_to_string(support::run_dir(&built).join("report.html")).unwrap();
    let provenance = html.split("id=\"provenance\"").nth(1).unwrap().to_owned();
    let page = page(&online, &built);
    (online, [plan, doctor, page, provenance])
}

#[test]
fn where_nothing_is_stated_the_model_is_unpinned_and_told_to_be_everywhere() {
    let server = ModelServer::plain();
    let plain = Setup { identity: None, ..Setup::default() };
    let ollama = Setup {
        kind: "ollama",
        path: "",
        model: "num_ctx: 4096".to_owned(),
        decoding: "{max_output_tokens: 16}",
        ..plain.clone()
    };
    for unpinned in [&plain, &ollama] {
        let (online, told) = told_of_the_pin(unpinned, &server.origin());
        for text in &told {
            assert!(text.contains("unpinned"), "{} says nothing of it:\n{text}", unpinned.kind);
        }
        let [_, doctor, page, html] = told;
        let line = doctor.lines().find(|line| line.contains("unpinned: ")).unwrap();
        assert!(line.starts_with("warn  model m"), "{line}");
        assert!(page.contains("| control | stated in the config | `unpinned` | 4 | 100.0 % |"), "{page}");
        let stated = line.split("its revision is `").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
        assert!(stated.contains("aaaa"), "{stated}");
        let line = format!("`revision: \"{stated}\"` on the model pins");
        assert!(
            html.contains("<p class=\"warn\">`m` is unpinned") && html.contains(&line.replace('"', "&quot;")),
            "{html}"
        );
        // With the line that is shown it is pinned; so it is under an identity whose owner knows what it means.
        let pinned = Setup {
            model: format!("{}, revision: '{stated}'", unpinned.model).trim_start_matches(", ").to_owned(),
            ..unpinned.clone()
        };
        let named = Setup { identity: Some("lab"), ..unpinned.clone() };
        for (setup, words) in [(&pinned, format!("revision {stated}")), (&named, "identity lab".to_owned())] {
            let (_online, told) = told_of_the_pin(setup, &server.origin());
            for text in &told {
                assert!(!text.contains("unpinned"), "{words}: {text}");
            }
            let row = format!("| control | stated in the config | `{words}` | 4 | 100.0 % |");
            assert!(told[2].contains(&row), "{row} is not in {}", told[2]);
        }
        // The page of a run says what its own requests were asked under, whatever the config says by now.
        online.project.config(&pinned.config(&server.origin()));
        online.exp(&["report"]).expect_code(0);
        let again = std::fs::read_to_string(online.project.path("experiments/latest/report.html")).unwrap();
        assert!(again.contains("`m` is unpinned"), "{again}");
    }
}

#[test]
fn the_share_bought_in_batches_and_the_days_are_told_of_each_arm() {
    let options = Options { batches: Some(BatchOptions::default()), ..Options::default() };
    let server = ModelServer::start(options, |_| None);
    let now = || jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let setup = Setup::default();
    let online = Online::new(&setup, &server.origin());
    let times = [now(), {
        online.build(0, &["--condition", "control"]);
        now()
    }];
    std::thread::sleep(Duration::from_millis(1100));
    let later = now();
    let batched = Setup { provider: "mode: batch, batch: {poll: 20ms, list_delay: 60ms}".to_owned(), ..setup };
    online.project.config(&batched.config(&server.origin()));
    let built = online.build(0, &[]);
    let times = [times, [later, now()]];
    assert_eq!((server.sent(), server.batches().submitted().len()), (4, 4));
    let page = page(&online, &built);
    let html = std::fs::read_to_string(support::run_dir(&built).join("report.html")).unwrap();
    for ((arm, how), [since, until]) in [("control", "online"), ("treatment", "batch")].into_iter().zip(times) {
        assert!(page.contains(&format!("| {arm} | bought | `{how}` | 4 | 100.0 % |")), "{page}");
        assert!(html.contains(&format!("bought <code>{how}</code> × 4")), "{html}");
        let row = page.lines().find(|line| line.starts_with(&format!("| {arm} | 4 | `2"))).unwrap();
        for date in row.split('`').skip(1).step_by(2) {
            assert!(date[..19] >= *since && date[..19] <= *until, "{arm}: {date} is not within {since} and {until}");
            assert!(html.contains(date), "{date} is not in the page of the run");
        }
        assert_eq!(row.matches('`').count(), 4, "the first and the last: {row}");
    }
}
