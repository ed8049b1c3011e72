//! `kill -9` at random moments of a build that asks a server which counts: no logged answer is asked again, what is sent again is
//! no more than was in flight, and the end is the same bytes as without a kill.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use server::{Generator, ModelServer, Options};
use support::online::{Online, Setup};

/// How many requests are in flight at once, at most.
const IN_FLIGHT: usize = 8;

/// How many times to kill: 1,000 with `EXP_KILLS=1000`.
fn kills() -> usize {
    std::env::var("EXP_KILLS").map_or(100, |kills| kills.parse().unwrap())
}

fn server() -> ModelServer {
    ModelServer::start(Options { latency: Duration::from_millis(4), ..Options::default() }, |_| None)
}

const BUILD: [&str; 6] = ["build", "--yes", "--json", "--max-concurrent-requests", "8", "--parts-per-dataset=3"];

/// The ids of the responses in whole lines of the draw log that say that they are answers.
fn logged(project: &Path) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let Ok(entries) = std::fs::read_dir(project.join("store/draws")) else { return ids };
    for entry in entries {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            let text = String::from_utf8_lossy(line);
            let Some((sum, json)) = text.trim_end().split_once(' ') else { continue };
            if !json.starts_with("{\"draw\":") || blake3::hash(json.as_bytes()).to_hex()[..16] != *sum {
                continue;
            }
            let id = json.split_once("chatcmpl-").unwrap().1;
            ids.insert(id.split_once('-').unwrap().0.to_owned());
        }
    }
    ids
}

#[test]
fn killed_builds_lose_no_answer_and_end_alike() {
    let seed: u64 = std::env::var("EXP_KILL_SEED").map_or(7, |seed| seed.parse().unwrap());
    let mut random = Generator::new(seed);
    let setup = Setup { items: 120, identity: Some("ours"), ..Setup::default() };
    // An undisturbed build, against a server of its own.
    let calm = server();
    let undisturbed = Online::new(&setup, &calm.origin());
    let started = Instant::now();
    let built = undisturbed.exp(&BUILD).expect_code(0).json();
    let whole = started.elapsed();
    let times: Vec<Duration> = calm.book().calls().map(|asked| asked.at).collect();
    let asking = times.iter().max().unwrap().saturating_sub(*times.iter().min().unwrap());
    let wanted = undisturbed.predictions_text(&built);
    let requests = 2 * setup.items;
    assert_eq!((calm.sent(), wanted.lines().count()), (requests, requests + 1));

    let (mut killed, mut finished, mut while_asking, mut most_lost) = (0, 0, 0, 0);
    let mut disturbed = Online::new(&setup, &calm.origin());
    let mut counting = server();
    let mut is_fresh = true;
    let mut lost_before = 0;
    while killed < kills() {
        if is_fresh {
            counting = server();
            disturbed = Online::new(&setup, &counting.origin());
            lost_before = 0;
            is_fresh = false;
        }
        let before = counting.book().by_body;
        let answered = logged(&disturbed.project.dir());
        let mut child = disturbed.command(&BUILD).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // One in four at any moment of a whole build; the others while it asks, where there is money to lose.
        if random.once_in(4) {
            std::thread::sleep(whole.mul_f64(random.below(1000) as f64 / 1000.0));
        } else {
            let until = Instant::now() + whole;
            let sent = before.values().sum::<usize>();
            while counting.sent() == sent && Instant::now() < until {
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(asking.mul_f64(random.below(1000) as f64 / 2000.0));
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        counting.settle();
        let after = counting.book().by_body;
        let asked: BTreeMap<&String, usize> =
            after.iter().map(|(body, count)| (body, count - before.get(body).copied().unwrap_or(0))).collect();
        for (body, count) in &asked {
            assert!(*count == 0 || !answered.contains(*body), "kill {killed}: {body} was logged, and asked again");
            assert!(*count <= 1, "kill {killed}: {body} was asked {count} times in one build");
        }
        // What this kill costs: what was sent and is not in the log will have to be sent again.
        let answered = logged(&disturbed.project.dir());
        let lost = asked.iter().filter(|(body, count)| **count > 0 && !answered.contains(**body)).count();
        assert!(lost <= IN_FLIGHT, "kill {killed}: {lost} answers lost, with {IN_FLIGHT} in flight");
        most_lost = most_lost.max(lost);
        lost_before += lost;
        assert!(counting.book().sent_again() <= lost_before, "kill {killed}: more was sent again than was lost");
        if status.success() {
            finished += 1;
        } else {
            killed += 1;
            while_asking += usize::from(asked.values().any(|count| *count > 0) && after.len() < requests);
        }
        // Half of those that were not killed too late go on; each project ends at last, and with the same bytes.
        if status.success() || (after.len() == requests && random.once_in(2)) {
            finish(&disturbed, &counting, &wanted, lost_before, random.once_in(3));
            is_fresh = true;
        }
    }
    println!(
        "{killed} kills, {while_asking} while asking, {finished} builds too fast; {most_lost} lost by one kill at most"
    );
    assert!(while_asking * 2 >= killed, "too few kills came while something was asked: {while_asking} of {killed}");
    if !is_fresh {
        finish(&disturbed, &counting, &wanted, lost_before, true);
    }
}

/// Ends a project that was killed; then again with the index and the views gone.
fn finish(online: &Online, server: &ModelServer, wanted: &str, lost: usize, without_index: bool) {
    let answered = logged(&online.project.dir());
    let before = server.book();
    if without_index {
        remove_index(online);
    }
    let built = online.exp(&BUILD).expect_code(0).json();
    let after = server.book();
    for body in &answered {
        assert_eq!(after.by_body[body], before.by_body[body], "{body} was logged, and asked again");
    }
    assert!(after.sent_again() <= lost, "{} sent again, {lost} lost", after.sent_again());
    assert!(online.predictions_text(&built) == wanted, "predictions.csv differs from an undisturbed build's");
    assert_eq!(logged(&online.project.dir()).len(), after.by_body.len());
    let sent = server.sent();
    remove_index(online);
    std::fs::remove_dir_all(online.project.path("experiments")).unwrap();
    let again = online.exp(&BUILD).expect_code(0).json();
    assert_eq!(server.sent(), sent, "without its index the store knows all answers");
    assert_eq!(again["root"], built["root"]);
    assert!(online.predictions_text(&again) == wanted);
    online.exp(&["audit", "--json"]).expect_code(0);
}

fn remove_index(online: &Online) {
    for entry in std::fs::read_dir(online.project.path("store")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("index.sqlite") {
            std::fs::remove_file(path).unwrap();
        }
    }
}
