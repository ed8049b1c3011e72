//! `exp doctor`: what stands in the way of a build, and what is worth knowing. It writes nothing and shows no key.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where what it reads is not as it should be.

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::Value;
use server::{ModelServer, Options};
use support::canary::CANARY as KEY;
use support::{Output, Project};

fn project(providers: &str, models: &str) -> Project {
    let project = Project::in_memory();
    project.config(&format!(
        "version: 1\nproviders:\n{providers}models:\n{models}datasets:\n  mill:\n    path: data/mill.jsonl\n    \
         fields: {{id: id, question: question, answers: answers}}\ncontrol: prompts/control.txt\n\
         prompt_sets: {{plain: prompts/plain.txt}}\ndecoding: {{temperature: 0, max_output_tokens: 64}}\n"
    ));
    project.file("data/mill.jsonl", "{\"id\":\"m1\",\"question\":\"Who?\",\"answers\":[\"Ada\"]}\n");
    project.file("prompts/control.txt", "Answer.\n").file("prompts/plain.txt", "Copy.\n");
    project
}

fn doctor(project: &Project, args: &[&str], key: Option<&str>) -> Output {
    let mut command = project.command(&[&["doctor", "--json"], args].concat());
    if let Some(key) = key {
        command.env("MY_TEST_KEY", key);
    }
    support::run(&mut command)
}

/// The checks of a level, as `subject: found`.
fn found(output: &Output, level: &str) -> Vec<String> {
    let checks = output.json();
    let of_level = checks["checks"].as_array().unwrap().iter().filter(|check| check["level"] == level);
    of_level
        .map(|check| format!("{}: {}", check["subject"].as_str().unwrap(), check["found"].as_str().unwrap()))
        .collect()
}

#[track_caller]
fn has(list: &[String], words: &str) {
    assert!(list.iter().any(|line| line.contains(words)), "`{words}` is not in {list:#?}");
}

fn files(project: &Project) -> Vec<std::path::PathBuf> {
    let (mut open, mut files) = (vec![project.dir()], Vec::new());
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            files.push(path.clone());
            if path.is_dir() {
                open.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_project_that_asks_nobody_has_nothing_in_its_way() {
    let project = project("  reader: {kind: lexical}\n", "  - {name: m, provider: reader}\n");
    let before = files(&project);
    let output = doctor(&project, &[], None).expect_code(0);
    assert_eq!(output.json()["failures"], 0);
    let ok = found(&output, "ok");
    for words in [
        "config: config/eval_config.yaml: 1 providers",
        "part of this program",
        "sqlite: 3.",
        "can be written",
        "clock: 2",
    ] {
        has(&ok, words);
    }
    assert_eq!(files(&project), before, "nothing is written");
    let said = project.exp(&["doctor"]).expect_code(0).stdout;
    assert!(said.lines().last().unwrap().starts_with("nothing stands in the way of a build"), "{said}");
}

#[test]
fn a_config_that_cannot_be_used_is_one_check_among_others() {
    let project = project("  reader: {kind: lexical, speed: 3}\n", "  - {name: m, provider: reader}\n");
    let output = doctor(&project, &[], None).expect_code(2);
    has(&found(&output, "fail"), "speed");
    has(&found(&output, "ok"), "sqlite");
}

const MINE: &str = "kind: openai, api_key_env: MY_TEST_KEY, identity: here";

#[test]
fn the_key_the_server_and_its_models_are_looked_at() {
    let options = Options { key: Some(KEY.to_owned()), model: "ours".to_owned(), ..Options::default() };
    let server = ModelServer::start(options, |_| None);
    let url = server.origin();
    let provider = format!("  mine: {{{MINE}, base_url: \"{url}/v1\"}}\n");
    let models = "  - {name: good, provider: mine, model: ours, price: {input: 1, output: 2, as_of: 2026-01-01}}\n";
    let project = project(&provider, models);

    let missing = doctor(&project, &[], None).expect_code(2);
    has(&found(&missing, "fail"), "MY_TEST_KEY is not set");
    assert_eq!(server.sent(), 0, "nobody is called without a key");

    let good = doctor(&project, &[], Some(KEY)).expect_code(0);
    let ok = found(&good, "ok");
    has(&ok, "MY_TEST_KEY is set, in the environment");
    has(&ok, "answers");
    has(&ok, "model good: `ours` is served");
    has(&ok, "its context has 8,192 tokens");
    has(&found(&good, "warn"), "the config states none");
    assert!(!found(&good, "warn").iter().any(|line| line.contains("unpinned")), "an identity is stated");
    has(&found(&good, "warn"), "over 180 days ago");
    assert_eq!(server.sent(), 0, "no question was asked");

    project.file("config/.env", format!("MY_TEST_KEY={KEY}\n"));
    has(&found(&doctor(&project, &[], None).expect_code(0), "ok"), "MY_TEST_KEY is set, in `.env` beside the config");
    let offline = doctor(&project, &["--offline"], None).expect_code(0);
    has(&found(&offline, "ok"), "was not called (--offline)");
    assert!(!found(&offline, "ok").iter().any(|line| line.contains("is served")), "{offline:?}");
}

/// Refuses every call with 401.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            drop(stream.read(&mut [0; 4096]));
            // Some services repeat the key in their complaint.
            let body =
                format!("{{\"error\":{{\"message\":\"The key {KEY} is wrong.\",\"code\":\"invalid_api_key\"}}}}");
            let length = body.len();
            let head = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nconnection: close";
            drop(write!(stream, "{head}\r\ncontent-length: {length}\r\n\r\n{body}"));
        }
    });
    url
}

#[test]
fn a_key_that_the_server_refuses_would_stop_a_build() {
    let provider = format!("  mine: {{{MINE}, base_url: \"{}\"}}\n", refusing());
    let project = project(&provider, "  - {name: m, provider: mine, price: {input: 0, output: 0}}\n");
    let refused = doctor(&project, &[], Some(KEY)).expect_code(2);
    has(&found(&refused, "fail"), "MY_TEST_KEY");
    has(&found(&refused, "ok"), "MY_TEST_KEY is set, in the environment");
    assert!(!(refused.stdout + &refused.stderr).contains(KEY), "the key is shown");
}

#[test]
fn what_is_not_as_stated_is_told_with_its_remedy() {
    let server = ModelServer::start(Options { revision: "bbbb".to_owned(), ..Options::default() }, |_| None);
    let url = server.origin();
    let provider = format!("  mine: {{kind: openai, identity: here, base_url: \"{url}/v1\"}}\n");
    let project_of = |model: &str| project(&provider, &format!("  - {{name: m, provider: mine, {model}}}\n"));

    let other = doctor(&project_of("model: ours, revision: \"old\""), &[], None).expect_code(2);
    let fails = other.json();
    let check = fails["checks"].as_array().unwrap().iter().find(|check| check["level"] == "fail").unwrap().clone();
    assert!(check["found"].as_str().unwrap().contains("the config states `old`"), "{check:#}");
    assert!(check["remedy"].as_str().unwrap().contains("revision: \""), "{check:#}");

    let absent = doctor(&project_of("model: gone"), &[], None).expect_code(0);
    has(&found(&absent, "warn"), "`gone` is not among the 1 models that the server lists");
    has(&found(&absent, "warn"), "it has no price");

    drop(server);
    let down = doctor(&project_of("model: ours"), &[], None).expect_code(2);
    has(&found(&down, "fail"), "provider mine:");
}

#[test]
fn aliases_and_retention_are_told_without_a_call() {
    let providers = "  o: {kind: openai, api_key_env: MY_TEST_KEY}\n  a: {kind: anthropic, api_key_env: MY_TEST_KEY}\n  \
                     l: {kind: ollama}\n";
    let models = "  - {name: alias, provider: o, model: gpt-4o}\n  - {name: dated, provider: o, model: gpt-4.1-mini-2025-04-14}\n  \
                  - {name: claude, provider: a, model: claude-opus-4-7, decoding: {temperature: unset}}\n  \
                  - {name: tag, provider: l, model: \"llama3.1:8b\", num_ctx: 4096}\n";
    let output = doctor(&project(providers, models), &["--offline"], Some(KEY)).expect_code(0);
    let warnings = found(&output, "warn");
    has(&warnings, "model alias: unpinned: `gpt-4o` has no date in its name");
    has(&warnings, "model tag: unpinned: `llama3.1:8b` is a tag");
    assert!(
        !warnings.iter().any(|line| line.contains("model dated: `") || line.contains("model claude: `")),
        "{warnings:#?}"
    );
    let ok = found(&output, "ok");
    has(&ok, "`store: false` is sent with every request");
    has(&ok, "batches never are");
    has(&ok, "its context has 4,096 tokens");
    let _: Value = output.json();
}
