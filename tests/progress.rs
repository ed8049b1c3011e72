//! What a build says while it is at work: for each trial what was reused, sent and failed, tokens in a second, what it has cost and
//! how long it will take; and never two silent seconds.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use server::{Fault, ModelServer, Options};
use support::online::{Online, Setup};

/// Two seconds, and what a busy machine may take to show a line.
const SILENCE: Duration = Duration::from_millis(2600);

/// Runs a command to its end, and returns its exit code and each line of standard error with the time before it.
fn watched(online: &Online, args: &[&str]) -> (i32, Vec<(Duration, String)>) {
    let mut child =
        online.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
    let (mut lines, mut last) = (Vec::new(), Instant::now());
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        lines.push((last.elapsed(), line.unwrap()));
        last = Instant::now();
    }
    let code = child.wait().unwrap().code().unwrap();
    lines.push((last.elapsed(), String::new()));
    (code, lines)
}

#[track_caller]
fn is_never_silent(lines: &[(Duration, String)]) {
    let (longest, line) = lines.iter().max().unwrap();
    assert!(*longest < SILENCE, "{longest:?} passed before `{line}` in {lines:#?}");
}

fn dollars(text: &str) -> f64 {
    text.trim_start_matches('$').parse().unwrap_or_else(|_| panic!("`{text}` is no amount"))
}

#[test]
fn each_trial_says_how_far_it_is_and_what_it_has_cost() {
    let options = Options { latency: Duration::from_millis(250), ..Options::default() };
    let server = ModelServer::start(options, |asked| {
        (asked.tag == "i3" && asked.text.windows(7).any(|some| some == b"at most")).then_some(Fault::Rejected(400))
    });
    let setup = Setup { items: 30, ..Setup::default() };
    let online = Online::new(&setup, &server.origin());
    online.build(0, &["--condition", "control", "--limit-items", "10"]);
    let (code, lines) = watched(&online, &["build", "--yes", "--max-concurrent-requests", "2"]);
    assert_eq!(code, 1, "one request is rejected: {lines:#?}");
    is_never_silent(&lines);
    let of_trial: Vec<Vec<&str>> = lines
        .iter()
        .filter_map(|(_, line)| Some(line.trim().strip_prefix("m-")?.split_once(": ")?.1.split(" · ").collect()))
        .collect();
    assert!(of_trial.len() >= 2, "{lines:#?}");
    let [counts, speed, cost, left] = of_trial.last().unwrap()[..] else { panic!("{of_trial:?}") };
    let words: Vec<&str> = counts.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    assert_eq!(words[..2], ["10", "reused"], "{counts}");
    assert!(words.ends_with(&["of", "60"]) && words.contains(&"sent"), "{counts}");
    assert!(of_trial.iter().any(|trial| trial[0].contains("1 failed")), "{of_trial:?}");
    assert!(speed.ends_with(" tokens/s") && left.ends_with(" left"), "{of_trial:?}");
    let costs: Vec<f64> =
        of_trial.iter().map(|trial| dollars(trial.iter().find(|word| word.starts_with('$')).unwrap())).collect();
    assert!(costs.is_sorted() && costs[0] > 0.0, "{costs:?}");
    // What it says is what the server billed, as far as it had come: all that was sent cost alike.
    let sent: f64 = words[2].parse().unwrap();
    let each = (server.book().cost(support::online::INPUT, support::online::OUTPUT)) / (server.sent() - 1) as f64;
    assert!((dollars(cost) / (sent * each) - 1.0).abs() < 0.1, "{cost} for {sent} requests of {each} each");
    assert!(!lines.is_empty());
}

#[test]
fn a_server_that_takes_long_is_waited_for_aloud() {
    let options = Options { latency: Duration::from_secs(5), ..Options::default() };
    let server = ModelServer::start(options, |_| None);
    let online = Online::new(&Setup { items: 1, ..Setup::default() }, &server.origin());
    let (code, lines) = watched(&online, &["build", "--yes"]);
    assert_eq!((code, server.sent()), (0, 2), "{lines:#?}");
    is_never_silent(&lines);
    assert!(lines.iter().filter(|(_, line)| line.contains("0 reused, 0 sent of 2")).count() >= 2, "{lines:#?}");
}
