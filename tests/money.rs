//! What a build costs: priced before, agreed to, held to a limit, and told afterwards as the provider would bill it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::time::{Duration, Instant};

use serde_json::Value;
use server::{Fault, Generator, ModelServer, Options};
use support::Project;

/// Dollars for a million tokens of input and of output.
const INPUT: f64 = 0.4;
const OUTPUT: f64 = 1.6;
const PRICE: &str = "price: {input: 0.4, output: 1.6}";
/// The longest answer: few enough tokens that ceilings are not far from prices.
const LIMIT: u64 = 64;

fn question(item: usize) -> String {
    format!("<<q{item:03}>> What is on page {item} of the ledger?")
}

/// A project of so many items whose model is asked at the server; `price` and `more` are lines of its config.
fn project(server: &ModelServer, items: usize, price: &str, more: &str) -> Project {
    let project = Project::in_memory();
    let comma = if price.is_empty() { "" } else { ", " };
    let config = format!(
        "version: 1\nproviders:\n  mine: {{kind: openai, base_url: \"{}/v1\", identity: here, first_wait: 1ms}}\n\
         models: [{{name: m, provider: mine{comma}{price}}}]\ndatasets:\n  mill:\n    path: data/mill.jsonl\n    \
         fields: {{id: id, question: question, answers: answers}}\ncontrol: prompts/control.txt\n\
         prompt_sets: {{plain: prompts/plain.txt}}\ndecoding: {{max_output_tokens: {LIMIT}}}\n{more}",
        server.origin()
    );
    let rows: Vec<String> = (0..items)
        .map(|item| {
            serde_json::json!({"id": format!("i{item:03}"), "question": question(item), "answers": ["x"]}).to_string()
        })
        .collect();
    project.config(&config).file("data/mill.jsonl", rows.join("\n") + "\n");
    project.file("prompts/control.txt", "Answer.\n").file("prompts/plain.txt", "Copy.\n");
    project
}

fn dollars(cost: &Value, name: &str) -> f64 {
    cost[name].as_f64().unwrap_or_else(|| panic!("no {name} in {cost:#}"))
}

#[track_caller]
fn equal(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} and {b}");
}

/// Expects that the ledger holds the true bill between its ends, and returns both ends.
#[track_caller]
fn holds_the_bill(server: &ModelServer, cost: &Value) -> (f64, f64) {
    let (spent, most) = (dollars(cost, "spent"), dollars(cost, "spent") + dollars(&cost["uncertain"], "max"));
    let bill = server.book().cost(INPUT, OUTPUT);
    assert!(spent <= bill + 1e-12 && bill <= most + 1e-12, "{spent} to {most} does not hold {bill}: {cost:#}");
    (spent, most)
}

#[test]
fn the_ledger_says_what_the_server_billed() {
    let server = ModelServer::plain();
    let project = project(&server, 5, PRICE, "");
    let first = project.json(&["build", "--yes"]);
    let bill = server.book().cost(INPUT, OUTPUT);
    equal(dollars(&first["cost_usd"], "spent"), bill);
    assert_eq!(first["cost_usd"]["saved"], 0.0);
    assert_eq!(first["cost_usd"]["uncertain"], serde_json::json!({"attempts": 0, "min": 0.0, "max": 0.0}));
    assert_eq!(project.manifest(&first)["cost_usd"], first["cost_usd"]);
    // What is there is saved, whoever says so: the run that has it, or a new one that finds it.
    let again = project.json(&["build"]);
    assert_eq!((&again["up_to_date"], dollars(&again["cost_usd"], "spent")), (&true.into(), 0.0));
    equal(dollars(&again["cost_usd"], "saved"), bill);
    let config = project.read("config/eval_config.yaml");
    project.config(
        &config
            .replace("sets: {plain: prompts/plain.txt}", "sets: {plain: prompts/plain.txt, terse: prompts/terse.txt}"),
    );
    project.file("prompts/terse.txt", "Be terse.\n");
    server.forget();
    let more = project.json(&["build", "--max-cost", "1"]);
    equal(dollars(&more["cost_usd"], "spent"), server.book().cost(INPUT, OUTPUT));
    equal(dollars(&more["cost_usd"], "saved"), bill);
    let line = project.exp(&["build"]).expect_code(0).stdout;
    assert!(line.contains(" · $0.00 spent, $0.00"), "{line}");
}

#[test]
fn a_plan_prices_what_would_be_sent() {
    let server = ModelServer::plain();
    let project = project(&server, 20, PRICE, "");
    let bytes: usize = ["Answer.", "Copy."].iter().map(|system| system.len()).sum::<usize>() * 20;
    let shown = project.exp(&["plan"]).expect_code(0).stdout;
    let lines: Vec<&str> = shown.lines().rev().take(2).collect();
    // The text is asked in a frame of its own, so the ceiling is computed from the requests as they are sent.
    let plan = project.json(&["plan"]);
    let price = &plan["price"];
    assert_eq!((&price["requests"], &price["without_history"]), (&40.into(), &40.into()));
    let ceiling = price["ceiling"].as_f64().unwrap();
    let least = (40 * (256 + 2 * 32) + bytes as u64) as f64 * INPUT / 1e6 + 40.0 * LIMIT as f64 * OUTPUT / 1e6;
    assert!(ceiling > least && ceiling < 2.0 * least, "{ceiling} {least}");
    assert_eq!(price["interval"]["high"].as_f64(), Some((ceiling * 1e6).round() / 1e6));
    let most = lines[0].rsplit(" · ").next().unwrap();
    assert!(most.starts_with("at most $0.0"), "{most}");
    let why = "(no answers of before to estimate by; `exp build --pilot 20` gets some)";
    assert_eq!(lines[1], format!("price of 40 requests: {most} {why}"));
    // By the answers of a part, the rest is known within an interval that is nearer.
    project.exp(&["build", "--yes", "--limit-items", "12"]).expect_code(0);
    let price = project.json(&["plan"])["price"].clone();
    assert_eq!((&price["requests"], &price["without_history"]), (&16.into(), &0.into()));
    assert_eq!(price["learnt_from"], 24);
    let (low, high) = (price["interval"]["low"].as_f64().unwrap(), price["interval"]["high"].as_f64().unwrap());
    server.forget();
    project.exp(&["build", "--yes"]).expect_code(0);
    let bill = server.book().cost(INPUT, OUTPUT);
    assert!(low <= bill && bill <= high, "{low} to {high}: {bill}");
    assert_eq!(
        project.exp(&["plan"]).expect_code(0).stdout.lines().last().unwrap().rsplit(" · ").next(),
        Some("$0.00")
    );
}

/// Expects a refusal in these words, before anything is sent or shown.
#[track_caller]
fn refuses(project: &Project, server: &ModelServer, args: &[&str], expected: &str) {
    let output = project.exp(args).expect_code(2);
    assert_eq!(output.stderr, expected, "\n{}", output.stderr);
    assert_eq!((output.stdout.as_str(), server.sent()), ("", 0));
    assert!(!project.path("experiments").exists(), "a run is shown");
}

#[test]
fn nothing_is_spent_without_consent() {
    let server = ModelServer::plain();
    let project = project(&server, 2, PRICE, "");
    refuses(&project, &server, &["build"], "");
}

#[test]
fn what_has_no_price_is_not_sent_unless_that_is_said() {
    let server = ModelServer::plain();
    let unpriced = project(&server, 2, "", "");
    refuses(&unpriced, &server, &["build"], "");
    refuses(&unpriced, &server, &["build", "--max-cost", "5"], "");
    let built = unpriced.json(&["build", "--yes"]);
    assert_eq!((&built["cost_usd"]["unknown"], &built["cost_usd"]["spent"]), (&4.into(), &0.0.into()));
    for (rule, said) in [("allow", false), ("warn", true)] {
        let server = ModelServer::plain();
        let project = project(&server, 2, "", &format!("budget: {{unknown_price: {rule}}}\n"));
        let stderr = project.exp(&["build"]).expect_code(0).stderr;
        let warning = "warning: what has no price is sent without knowing what it costs\n";
        assert_eq!((stderr.contains(warning), server.sent()), (said, 4), "{stderr}");
    }
}
