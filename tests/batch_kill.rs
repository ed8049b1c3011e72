//! `kill -9` at random moments of a build that buys in batches: no request is put into two batches, no result is lost, and the
//! end is the same bytes as without a kill; also where all that is known of batches here is deleted in between.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::process::Stdio;
use std::time::{Duration, Instant};

use server::{BatchOptions, Generator, ModelServer, Options};
use support::online::{Online, Setup};

/// How many times to kill for each way of finding a batch again: 1,000 in all with `EXP_KILLS=334`.
fn kills() -> usize {
    std::env::var("EXP_KILLS").map_or(34, |kills| kills.parse().unwrap())
}

const BUILD: [&str; 3] = ["build", "--yes", "--json"];
/// How long the list does not show a new batch, and how long it is looked for.
const LAG: Duration = Duration::from_millis(15);

fn server() -> ModelServer {
    let batches = BatchOptions { takes: Duration::from_millis(60), list_lag: LAG, ..BatchOptions::default() };
    ModelServer::start(
        Options { batches: Some(batches), latency: Duration::from_millis(1), ..Options::default() },
        |_| None,
    )
}

/// A batch carries a tag of ours, which the list shows.
#[test]
fn killed_builds_submit_nothing_twice_and_lose_nothing() {
    campaign(&Setup::default());
}

/// Nothing but its results tells whose a batch is.
#[test]
fn killed_builds_submit_no_message_batch_twice_and_lose_nothing() {
    campaign(&Setup { kind: "anthropic", path: "", ..Setup::default() });
}

/// The name of a batch is made of what it holds.
#[test]
fn killed_builds_submit_no_job_twice_and_lose_nothing() {
    campaign(&Setup { kind: "fireworks", path: "/inference/v1", ..Setup::default() });
}

fn campaign(of: &Setup) {
    let seed: u64 = std::env::var("EXP_KILL_SEED").map_or(11, |seed| seed.parse().unwrap());
    let mut random = Generator::new(seed);
    let provider = "mode: batch, batch: {poll: 10ms, list_delay: 60ms, max_requests: 30}".to_owned();
    let setup = Setup { items: 40, provider, ..of.clone() };
    let calm = server();
    let undisturbed = Online::new(&setup, &calm.origin());
    let started = Instant::now();
    let built = undisturbed.exp(&BUILD).expect_code(0).json();
    let whole = started.elapsed();
    let wanted = undisturbed.predictions_text(&built);
    assert_eq!((calm.batches().submitted().len(), wanted.lines().count()), (80, 81));

    let (mut killed, mut finished, mut deleted, mut between, mut under_way) = (0, 0, 0, 0, 0);
    let mut disturbed = Online::new(&setup, &calm.origin());
    let mut counting = server();
    let mut is_fresh = true;
    while killed < kills() {
        if is_fresh {
            counting = server();
            disturbed = Online::new(&setup, &counting.origin());
            is_fresh = false;
        }
        let before = counting.batches().created.len();
        let mut child = disturbed.command(&BUILD).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Half at any moment of a whole build; half in the moment in which a batch is created.
        if random.once_in(2) {
            std::thread::sleep(whole.mul_f64(random.below(1000) as f64 / 1000.0));
        } else {
            let until = Instant::now() + whole;
            while counting.batches().created.len() == before && Instant::now() < until {
                std::thread::sleep(Duration::from_micros(100));
            }
            std::thread::sleep(Duration::from_micros(random.below(3000) as u64));
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        counting.settle();
        let created: Vec<String> = counting.batches().created.iter().map(|batch| batch.id.clone()).collect();
        let known = logs(&disturbed);
        between += usize::from(created.iter().any(|id| !known.contains(&format!("\"{id}\""))));
        under_way += usize::from(created.len() > before);
        let submitted = counting.batches().submitted();
        assert!(submitted.values().all(|count| *count == 1), "kill {killed}: a request was put into two batches");
        if status.success() {
            finished += 1;
        } else {
            killed += 1;
        }
        if status.success() || (submitted.len() == 80 && random.once_in(3)) {
            let built = disturbed.exp(&BUILD).expect_code(0).json();
            assert!(
                disturbed.predictions_text(&built) == wanted,
                "predictions.csv differs from an undisturbed build's"
            );
            let submitted = counting.batches().submitted();
            assert!(submitted.len() == 80 && submitted.values().all(|count| *count == 1), "kill {killed}");
            disturbed.exp(&["audit", "--json"]).expect_code(0);
            is_fresh = true;
        } else if random.once_in(4) {
            let folder = disturbed.project.path("store/batches");
            if folder.exists() {
                std::fs::remove_dir_all(folder).unwrap();
                deleted += 1;
            }
        }
    }
    println!(
        "{killed} kills, {under_way} while batches were created, {between} before one was written down, {deleted} deletions of \
         all that is known, {finished} builds too fast; no request in two batches"
    );
    assert!(between >= killed / 50, "too few kills came between a creation and its record: {between} of {killed}");
    assert!(deleted >= killed / 20, "{deleted} of {killed}");
}

/// All that the store's logs of batches say.
fn logs(online: &Online) -> String {
    let Ok(entries) = std::fs::read_dir(online.project.path("store/batches")) else { return String::new() };
    entries.map(|entry| String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned()).collect()
}
