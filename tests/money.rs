//! What a build costs: priced before, agreed to, held to a limit, and told afterwards as the provider would bill it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::collections::BTreeSet;
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
    // This server counts words, and answers alike: what is estimated by bytes is a little off, and has no scatter.
    assert!(low * 0.97 <= bill && bill <= high * 1.03, "{low} to {high}: {bill}");
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
    let expected = "\
error: this build sends 4 requests (at most $0.0012): nobody can be asked here whether it may
  hint: price of 4 requests: at most $0.0012 (no answers of before to estimate by; `exp build --pilot 20` gets some)
  hint: `--max-cost 0.01` lets it spend no more than that, `budget: {max_usd: 0.01}` in the config every build; `--yes` \
lets it spend what it costs
  hint: nothing was sent
";
    refuses(&project, &server, &["build"], expected);
    refuses(&project, &server, &["build", "--pilot", "2"], expected);
    // Less than what the config wants to be asked for, or a limit in the config, is consent.
    let config = project.read("config/eval_config.yaml");
    project.config(&(config.clone() + "budget: {confirm_above_usd: 0.0001}\n"));
    refuses(&project, &server, &["build"], expected);
    project.config(&(config + "budget: {confirm_above_usd: 0.01}\n"));
    project.exp(&["build"]).expect_code(0);
    assert_eq!(server.sent(), 4);
    let other = self::project(&server, 3, PRICE, "budget: {max_usd: 1, confirm_above_usd: 0.0001}\n");
    other.exp(&["build"]).expect_code(0);
    assert_eq!(server.sent(), 10);
}

#[test]
fn what_has_no_price_is_not_sent_unless_that_is_said() {
    let server = ModelServer::plain();
    let unpriced = project(&server, 2, "", "");
    let expected = "\
error: this build sends 4 requests (price unknown): nobody can be asked here whether it may
  hint: price of 4 requests to `m`: unknown; write `price: {input: …, output: …, as_of: …}` for the model
  hint: `--yes` lets it spend what it costs; a limit needs a `price:` for each model and `max_output_tokens`
  hint: nothing was sent
";
    refuses(&unpriced, &server, &["build"], expected);
    let expected = "\
error: this build sends 4 requests (price unknown), and the limit of $5.00 could not be kept: a model that would be asked \
has no price
  hint: give each model a `price:` and `max_output_tokens`, or take the limit away and agree with `--yes`
  hint: nothing was sent
";
    refuses(&unpriced, &server, &["build", "--max-cost", "5"], expected);
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

#[test]
fn an_old_price_is_told() {
    let server = ModelServer::plain();
    let of = |as_of: &str| format!("price: {{input: 0.4, output: 1.6, as_of: {as_of}}}");
    let old = "warning: the price of `m` is of 2020-01-31, over 180 days ago: look it up, and write its new date\n";
    let none = "warning: the price of `m` is `as_of: spring`, which is no date like 2026-11-23\n";
    for (as_of, warning) in [("2020-01-31", old), ("spring", none), ("2999-01-01", "")] {
        let project = project(&server, 1, &of(as_of), "");
        assert_eq!(project.exp(&["plan"]).expect_code(0).stderr, warning);
        let said = project.exp(&["build", "--yes"]).expect_code(0).stderr;
        assert!(said.contains(warning), "{said}");
        assert_eq!(said.contains("warning:"), !warning.is_empty(), "{said}");
        // Once nothing is to be bought, there is nothing to warn of.
        assert!(!project.exp(&["plan"]).expect_code(0).stderr.contains("warning"));
    }
}

/// Sequences of faults, some of them charged and lost on the way: the limit holds whatever the provider bills, the bill is
/// within the ledger's range, and a larger limit goes on where the first one stopped.
#[test]
fn a_limit_holds_whatever_fails() {
    let mut reached = 0;
    for seed in 0..6 {
        let mut generator = Generator::new(seed);
        let sequences: Vec<Vec<Option<Fault>>> = (0..48).map(|_| generator.sequence(3)).collect();
        let server = ModelServer::scripted(move |asked| {
            let at = u64::from_str_radix(&asked.body, 16).unwrap() as usize % sequences.len();
            sequences[at].get(asked.nth).cloned().flatten()
        });
        let project = project(&server, 24, PRICE, "max_failed: 48\n");
        let limit = 0.004;
        let output = project.exp(&["build", "--max-cost", "0.004", "--keep-going", "--json"]);
        let built = output.json();
        assert!([0, 1, 5].contains(&output.code), "{seed}: {}\n{}", output.code, output.stderr);
        server.settle();
        let (_, most) = holds_the_bill(&server, &built["cost_usd"]);
        assert!(most <= limit, "{seed}: {most} of {limit}");
        assert!(server.sent() > 4, "{seed}: the limit leaves room for some");
        if output.code != 5 {
            continue;
        }
        reached += 1;
        assert_eq!(built["state"], "stopped", "{seed}");
        let done = answered(&server);
        let output = project.exp(&["build", "--max-cost", "1", "--keep-going", "--json"]);
        let built = output.json();
        assert!([0, 1].contains(&output.code), "{seed}: {}\n{}", output.code, output.stderr);
        server.settle();
        holds_the_bill(&server, &built["cost_usd"]);
        let book = server.book();
        for body in done {
            let ends = book.calls().filter(|asked| asked.body == body && is_answer(asked)).count();
            assert_eq!(ends, 1, "{seed}: {body} was answered and asked again");
        }
    }
    assert!(reached >= 3, "the limit was reached {reached} times of 6");
}

fn is_answer(asked: &server::Asked) -> bool {
    asked.fault.as_ref().is_none_or(|fault| fault.kind() == server::Kind::Answer)
}

fn answered(server: &ModelServer) -> BTreeSet<String> {
    server.book().calls().filter(|asked| is_answer(asked)).map(|asked| asked.body.clone()).collect()
}

/// Killed with requests in flight: what nobody wrote down is uncertain, and the bill is within the range.
#[test]
fn what_was_in_flight_when_the_program_died_is_uncertain() {
    let options = Options { latency: Duration::from_millis(60), ..Options::default() };
    let server = ModelServer::start(options, |_| None);
    let project = project(&server, 40, PRICE, "max_concurrent_requests: 4\n");
    let mut building = project.command(&["build", "--yes"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while server.sent() < 12 || server.in_flight() == 0 {
        assert!(began.elapsed() < Duration::from_mins(1), "nothing is sent");
        std::thread::sleep(Duration::from_millis(1));
    }
    building.kill().unwrap();
    building.wait().unwrap();
    server.settle();
    let built = project.json(&["build", "--yes"]);
    server.settle();
    let cost = &built["cost_usd"];
    let (spent, most) = holds_the_bill(&server, cost);
    let attempts = cost["uncertain"]["attempts"].as_u64().unwrap();
    // Those on the wire, and at most as many whose answers had come and were not durable yet.
    assert!((1..=8).contains(&attempts) && most > spent, "{cost:#}");
    assert!(server.book().sent_again() as u64 <= attempts, "{cost:#}");
}

#[test]
fn a_pilot_prices_the_rest_and_goes_on_where_that_is_agreed_to() {
    let server = ModelServer::plain();
    let project = project(&server, 30, PRICE, "");
    // Enough for the pilot and not for the rest.
    let output = project.exp(&["build", "--pilot", "4", "--max-cost", "0.0008", "--json"]).expect_code(0);
    let stopped = output.json();
    assert_eq!((&stopped["state"], &stopped["went_on"]), (&"pilot".into(), &false.into()));
    assert_eq!((server.sent(), &stopped["price"]["requests"]), (8, &52.into()));
    assert_eq!(stopped["price"]["without_history"], 0);
    equal(stopped["spent"].as_f64().unwrap(), server.book().cost(INPUT, OUTPUT));
    let said = "pilot of 4 items a dataset done; the rest:\nprice of 52 requests: $0.";
    assert!(output.stderr.contains(said), "{}", output.stderr);
    let line = project.exp(&["build", "--pilot", "4", "--max-cost", "0.0001"]).expect_code(0).stdout;
    assert!(line.starts_with("pilot: $0."), "{line}");
    assert!(line.ends_with("are left: `exp build` with a larger `--max-cost` goes on\n"), "{line}");
    assert_eq!(server.sent(), 8);
    // Enough for all of it: every request once, the pilot's answers among them.
    let whole = project.json(&["build", "--pilot", "6", "--max-cost", "1"]);
    assert_eq!((&whole["state"], server.sent(), server.book().sent_again()), (&"complete".into(), 60, 0));
    let cost = &whole["cost_usd"];
    equal(dollars(cost, "spent") + dollars(cost, "saved"), server.book().cost(INPUT, OUTPUT));
}

/// What some parts of a plan have is known of the others, also where no run tells of it: a build that was cut short wrote no
/// manifest, and what it finished stands in records of actions.
#[test]
fn finished_parts_price_the_others_of_a_build_that_was_cut_short() {
    let server = ModelServer::plain();
    let project = project(&server, 40, PRICE, "parts_per_dataset: 4\n");
    project.exp(&["build", "--yes"]).expect_code(0);
    for run in std::fs::read_dir(project.path("store/runs")).unwrap() {
        std::fs::remove_file(run.unwrap().path()).unwrap();
    }
    let data = project.read("data/mill.jsonl");
    project.file("data/mill.jsonl", data.replace("page 7 of", "page 777 of"));
    let plan = project.json(&["plan"]);
    assert!(plan["actions"]["hit"].as_u64().unwrap() >= 3 * 2, "{plan:#}");
    let price = &plan["price"];
    assert_eq!(
        (&price["requests"], &price["without_history"], &price["learnt_from"]),
        (&2.into(), &0.into(), &78.into())
    );
    let refused = project.exp(&["build"]).expect_code(2).stderr;
    assert!(refused.contains("output by 78 requests answered before"), "{refused}");
    assert_eq!(server.sent(), 80);
}
