//! Builds started together against a server that counts: each draw is sent once, whoever wants it.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use server::{ModelServer, Options};
use support::online::{Online, Setup};

fn server() -> ModelServer {
    ModelServer::start(Options { latency: Duration::from_millis(10), ..Options::default() }, |_| None)
}

fn start(online: &Online, args: &[&str]) -> Child {
    let args = [&["build", "--yes", "--json", "--max-concurrent-requests", "8"], args].concat();
    online.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for builds that go on at once; each has to end well.
#[track_caller]
fn end(builds: Vec<Child>) -> Vec<Value> {
    let ended = builds.into_iter().map(|build| {
        let output = build.wait_with_output().unwrap();
        support::heard(&output.stdout);
        support::heard(&output.stderr);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{:?}\n{}\n{said}", output.status, String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).unwrap()
    });
    ended.collect()
}

fn sent_by(builds: &[Value]) -> u64 {
    builds.iter().map(|built| built["requests"]["sent"].as_u64().unwrap()).sum()
}

#[test]
fn the_same_config_three_times() {
    let server = server();
    let setup = Setup { items: 150, ..Setup::default() };
    let online = Online::new(&setup, &server.origin());
    let builds = end((0..3).map(|_| start(&online, &[])).collect());
    let book = server.book();
    assert_eq!((book.sent(), book.sent_again()), (2 * setup.items, 0));
    assert_eq!(sent_by(&builds), 2 * setup.items as u64, "what they say they sent is what was sent");
    let roots: Vec<&Value> = builds.iter().map(|built| &built["root"]).collect();
    assert!(roots.iter().all(|root| *root == roots[0] && root.is_string()), "{roots:?}");
    // The negative control: without what they share, each build sends all.
    let alone = Online::new(&setup, &server.origin());
    end(vec![start(&alone, &[])]);
    assert_eq!(server.book().sent_again(), 2 * setup.items, "another store knows nothing of it");
}

#[test]
fn two_configs_with_one_control() {
    let server = server();
    let setup = Setup { items: 150, sets: 1, ..Setup::default() };
    let online = Online::new(&setup, &server.origin());
    let other = setup.config(&server.origin()).replace("s0: prompts/0.txt", "other: prompts/other.txt");
    assert!(other.contains("other.txt"));
    online.project.file("config/other.yaml", other).file("prompts/other.txt", "Answer slowly.");
    let builds = vec![start(&online, &[]), start(&online, &["--config", "config/other.yaml"])];
    let builds = end(builds);
    let book = server.book();
    assert_eq!((book.sent(), book.sent_again()), (3 * setup.items, 0), "one control and two treatments");
    assert_eq!(sent_by(&builds), 3 * setup.items as u64);
}

#[test]
fn six_and_twenty_four_parts() {
    let server = server();
    let setup = Setup { items: 150, sets: 2, ..Setup::default() };
    let online = Online::new(&setup, &server.origin());
    let builds = vec![start(&online, &["--parts-per-dataset", "6"]), start(&online, &["--parts-per-dataset", "24"])];
    let builds = end(builds);
    let book = server.book();
    assert_eq!((book.sent(), book.sent_again()), (3 * setup.items, 0));
    assert_eq!(sent_by(&builds), 3 * setup.items as u64);
    let texts: Vec<String> = builds.iter().map(|built| online.predictions_text(built)).collect();
    assert!(texts[0] == texts[1], "parts are in no result");
}
