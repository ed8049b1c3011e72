//! Batches at a server of ours: to a report, detached, and through every way in which a part of one can fail.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exp::request::DrawAddress;
use exp::store::{Access, BatchHead, BatchState, BatchStep, Store};
use server::{BatchCall, BatchOptions, CallFault, Fate, Item, ModelServer, Options, ResultFault};
use support::heard;
use support::online::{Online, Setup};

const BATCH: &str = "mode: batch, batch: {poll: 20ms, list_delay: 60ms}";

fn server(batches: BatchOptions) -> ModelServer {
    ModelServer::start(Options { batches: Some(batches), ..Options::default() }, |_| None)
}

fn setup() -> Setup {
    Setup { items: 12, sets: 2, provider: BATCH.to_owned(), ..Setup::default() }
}

#[test]
fn a_batch_gives_the_bytes_that_asking_one_by_one_gives() {
    let server = server(BatchOptions::default());
    let batch = Online::new(&setup(), &server.origin());
    let built = batch.build(0, &[]);
    assert_eq!((built["state"].as_str(), server.sent()), (Some("complete"), 0), "nothing was asked one by one");
    assert_eq!(server.batches().created.len(), 1, "both arms of both trials in one batch");
    assert_eq!(server.batches().submitted().len(), 36);
    let alone = Online::new(&Setup { provider: String::new(), ..setup() }, &server.origin());
    let alone_built = alone.build(0, &[]);
    assert_eq!(batch.predictions_text(&built), alone.predictions_text(&alone_built));
    // The same store, one by one: everything is there.
    let sent = server.sent();
    batch.project.config(&Setup { provider: String::new(), ..setup() }.config(&server.origin()));
    batch.build(0, &[]);
    assert_eq!(server.sent(), sent);
}

/// The statuses of predictions.csv by item and condition, where they are no answer's.
fn failed(online: &Online, built: &serde_json::Value) -> Vec<String> {
    let rows = online.predictions(built);
    let failed = rows.iter().filter(|row| row["status"].starts_with("failed:"));
    failed.map(|row| format!("{} {} {}", row["item_id"], row["condition"], row["status"])).collect()
}

fn jobs(online: &Online, args: &[&str]) -> Vec<serde_json::Value> {
    let listed = online.exp(&[&["jobs", "--json"], args].concat()).expect_code(0).json();
    listed["batches"].as_array().unwrap().clone()
}

/// What becomes of a batch of which the results of item 3 of the control are faulty, once.
fn with_fault(fault: ResultFault) -> (ModelServer, Online) {
    let results = move |item: &Item| (item.tag == "i3" && item.is_control && item.batch == 0).then(|| fault.clone());
    let server = server(BatchOptions { results: Arc::new(results), ..BatchOptions::default() });
    let online = Online::new(&Setup { sets: 1, ..setup() }, &server.origin());
    (server, online)
}

fn again(server: &ModelServer) -> Vec<usize> {
    server.batches().created.iter().map(|batch| batch.lines.len()).collect()
}

#[test]
fn what_has_no_result_is_asked_again_and_nothing_else() {
    for fault in [
        ResultFault::Missing,
        ResultFault::NoJson,
        ResultFault::Unknown,
        ResultFault::Status(500),
        ResultFault::Status(429),
    ] {
        let (server, online) = with_fault(fault.clone());
        let built = online.build(0, &[]);
        assert_eq!((again(&server), failed(&online, &built)), (vec![24, 1], vec![]), "{fault:?}");
        let brought = &jobs(&online, &["--all"])[0]["brought"];
        let unknown = usize::from(matches!(fault, ResultFault::NoJson | ResultFault::Unknown));
        assert_eq!((&brought["answers"], &brought["unknown"]), (&23.into(), &unknown.into()), "{fault:?}");
    }
}

#[test]
fn a_result_that_is_there_twice_is_one_unless_the_two_differ() {
    let (server, online) = with_fault(ResultFault::Twice);
    let built = online.build(0, &[]);
    assert_eq!((again(&server), failed(&online, &built)), (vec![24], vec![]));
    let (server, online) = with_fault(ResultFault::TwiceDifferently);
    let built = online.build(1, &[]);
    assert_eq!((again(&server), failed(&online, &built)), (vec![24], vec!["i3 control failed:malformed".to_owned()]));
    // The next build asks for that one, and for nothing else.
    let built = online.build(0, &[]);
    assert_eq!((again(&server), failed(&online, &built)), (vec![24, 1], vec![]));
}

#[test]
fn what_is_rejected_is_that_items_and_is_not_asked_again() {
    for fault in [ResultFault::Status(400), ResultFault::StatusWithoutError(400), ResultFault::StatusWithoutError(422)]
    {
        let (server, online) = with_fault(fault.clone());
        let built = online.build(1, &[]);
        assert_eq!(failed(&online, &built), ["i3 control failed:rejected"], "{fault:?}");
        online.build(1, &[]);
        assert_eq!(again(&server), [24], "{fault:?}");
        online.build(0, &["--retry-rejected"]);
        assert_eq!(again(&server), [24, 1], "{fault:?}");
    }
}

/// Every request is in the error file, and there is no other; ids of files that are not there are empty texts.
#[test]
fn a_batch_may_have_one_file_or_the_other() {
    let results = |item: &Item| (item.batch == 0).then_some(ResultFault::Status(503));
    let server = server(BatchOptions { results: Arc::new(results), is_azure: true, ..BatchOptions::default() });
    let online = Online::new(&Setup { sets: 1, ..setup() }, &server.origin());
    let built = online.build(0, &[]);
    assert_eq!((again(&server), failed(&online, &built)), (vec![24, 24], vec![]));
}

#[test]
fn an_expired_batch_is_harvested_and_the_rest_is_asked_again() {
    let fates = |ordinal| if ordinal == 0 { Fate::Expired(7) } else { Fate::Completed };
    let server = server(BatchOptions { fates: Arc::new(fates), ..BatchOptions::default() });
    let online = Online::new(&Setup { sets: 1, ..setup() }, &server.origin());
    let built = online.build(0, &[]);
    assert_eq!((again(&server), failed(&online, &built)), (vec![24, 17], vec![]));
    let jobs = jobs(&online, &["--all"]);
    assert_eq!((&jobs[0]["status"], &jobs[0]["brought"]["answers"]), (&"expired".into(), &7.into()));
}

/// A provider at which everything expires is not asked for ever.
#[test]
fn a_request_is_in_so_many_batches_of_one_build_and_no_more() {
    let server = server(BatchOptions { fates: Arc::new(|_| Fate::Expired(0)), ..BatchOptions::default() });
    let online = Online::new(&Setup { sets: 1, items: 2, ..setup() }, &server.origin());
    let built = online.build(1, &[]);
    assert_eq!(again(&server), [4, 4, 4]);
    assert!(failed(&online, &built).iter().all(|row| row.ends_with("failed:timeout")));
}

#[test]
fn a_refused_input_stops_the_provider_or_costs_the_lines_that_are_named() {
    let fates = |_| Fate::Failed("model_not_found", "The model `ours` does not exist.", None);
    let server = server(BatchOptions { fates: Arc::new(fates), ..BatchOptions::default() });
    let online = Online::new(&setup(), &server.origin());
    let said = online.exp(&["build", "--yes"]).expect_code(1);
    assert!(said.stderr.contains("model_not_found: The model `ours` does not exist."), "{}", said.stderr);
    assert_eq!(server.batches().created.len(), 1);
    let fates = |ordinal| match ordinal {
        0 => Fate::Failed("invalid_request", "Line 5 is too long.", Some(5)),
        _ => Fate::Completed,
    };
    let server = self::server(BatchOptions { fates: Arc::new(fates), ..BatchOptions::default() });
    let online = Online::new(&Setup { sets: 1, ..setup() }, &server.origin());
    let built = online.build(1, &[]);
    assert_eq!(failed(&online, &built).len(), 1);
    assert_eq!(again(&server), [0, 23]);
}

#[test]
fn where_too_much_is_waiting_less_is_sent_and_later() {
    let server = server(BatchOptions { enqueued: 8, ..BatchOptions::default() });
    let online = Online::new(&Setup { sets: 1, ..setup() }, &server.origin());
    let built = online.build(0, &[]);
    assert_eq!(failed(&online, &built), Vec::<String>::new());
    let batches = server.batches();
    assert!(batches.created.iter().all(|batch| batch.lines.len() <= 8));
    assert!(batches.submitted().values().all(|count| *count == 1), "what was refused was never taken");
    assert_eq!(batches.submitted().len(), 24);
}

#[test]
fn an_experiment_is_split_between_items_and_so_many_batches_run_at_once() {
    let server = server(BatchOptions { takes: Duration::from_millis(150), ..BatchOptions::default() });
    let provider = "mode: batch, batch: {poll: 20ms, list_delay: 60ms, max_requests: 9}".to_owned();
    let online = Online::new(&Setup { sets: 1, provider, ..setup() }, &server.origin());
    online.build(0, &["--max-concurrent-jobs", "2"]);
    let batches = server.batches();
    let sizes: Vec<usize> = batches.created.iter().map(|batch| batch.lines.len()).collect();
    assert_eq!(sizes, [8, 8, 8], "four items under both arms each");
    let started: Vec<_> = batches.created.iter().map(|batch| batch.at).collect();
    assert!(started[2].duration_since(started[0]) >= Duration::from_millis(150), "the third waits for a place");
    assert!(started[1].duration_since(started[0]) < Duration::from_millis(150));
    for batch in &batches.created {
        let mut items: Vec<String> = batch
            .lines
            .iter()
            .map(|line| {
                String::from_utf8_lossy(&line.body).split("<<").nth(1).unwrap().split(">>").next().unwrap().to_owned()
            })
            .collect();
        items.sort();
        assert!(items.chunks(2).all(|pair| pair[0] == pair[1]), "both arms of an item in one batch: {items:?}");
    }
    drop(batches);
    let server = self::server(BatchOptions { bytes: 4000, ..BatchOptions::default() });
    let provider = "mode: batch, batch: {poll: 20ms, list_delay: 60ms, max_bytes: 4000}".to_owned();
    let online = Online::new(&Setup { sets: 1, provider, ..setup() }, &server.origin());
    online.build(0, &[]);
    assert!(server.batches().created.len() > 1);
    assert!(server.batches().files.values().all(|(_, bytes)| bytes.len() <= 4000));
}

#[test]
fn a_detached_build_ends_once_all_is_submitted_and_another_goes_on() {
    let server = server(BatchOptions { takes: Duration::from_mins(1), ..BatchOptions::default() });
    let online = Online::new(&setup(), &server.origin());
    let built = online.build(6, &["--detach"]);
    assert_eq!((built["state"].as_str(), server.batches().created.len()), (Some("pending"), 1));
    let listed = jobs(&online, &[]);
    let job = &listed[0];
    assert_eq!((listed.len(), &job["state"], &job["requests"]), (1, &"submitted".into(), &36.into()));
    assert_eq!((&job["remote"], job["expires"].is_string()), (&"batch_0".into(), true));
    assert!(job["at_most_usd"].as_str().unwrap().parse::<f64>().unwrap() > 0.0);
    let said = online.exp(&["jobs"]).expect_code(0);
    assert!(said.stdout.contains("batch_0") && said.stdout.contains("submitted"), "{}", said.stdout);
    assert!(built["cost_usd"]["uncertain"]["attempts"] == 36, "{built:#}");
    let plan = online.exp(&["plan", "--json"]).expect_code(0).json();
    assert_eq!(plan["requests"], serde_json::json!({"total": 36, "reused": 0, "in_batches": 36, "to_send": 0}));
    let said = online.exp(&["plan"]).expect_code(0);
    assert!(said.stdout.contains("36 requests: 0 reused, 36 in batches under way, 0 to send"), "{}", said.stdout);
    // Detached again it is looked at, and nothing is sent.
    online.build(6, &["--detach"]);
    server.batches().created[0].at = Instant::now().checked_sub(Duration::from_mins(2)).unwrap();
    let built = online.build(0, &[]);
    assert_eq!((built["state"].as_str(), server.batches().created.len()), (Some("complete"), 1));
    assert_eq!(built["cost_usd"]["uncertain"]["attempts"], 0);
    assert!(jobs(&online, &[]).is_empty());
    let done = &jobs(&online, &["--all"])[0];
    assert_eq!((&done["state"], &done["brought"]["answers"]), (&"committed".into(), &36.into()));
}

/// The results are larger than a file may be here: the store cannot keep them, and that is no trouble of the provider's.
#[test]
fn results_that_cannot_be_kept_end_the_build_and_are_fetched_by_the_next() {
    let server = server(BatchOptions { takes: Duration::from_millis(50), ..BatchOptions::default() });
    let online = Online::new(&Setup { items: 600, sets: 1, ..setup() }, &server.origin());
    online.build(6, &["--detach"]);
    std::thread::sleep(Duration::from_millis(100));
    let limited = "trap '' XFSZ; ulimit -f 700; exec \"$EXP\" build --yes";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", limited]).current_dir(online.project.dir()).env("EXP", env!("CARGO_BIN_EXE_exp"));
    command.envs(online.command(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))));
    let said = support::run(&mut command).expect_code(7);
    assert!(said.stderr.contains("cannot write `") && said.stderr.contains("File too large"), "{}", said.stderr);
    let built = online.build(0, &[]);
    assert_eq!((built["state"].as_str(), server.batches().created.len()), (Some("complete"), 1));
    assert_eq!(built["requests"]["sent"], 1200);
}

#[test]
fn a_cancelled_batch_keeps_what_it_answered() {
    let server = server(BatchOptions { takes: Duration::from_mins(1), ..BatchOptions::default() });
    let online = Online::new(&Setup { sets: 1, ..setup() }, &server.origin());
    online.build(6, &["--detach"]);
    online.exp(&["jobs", "cancel", "nothing"]).expect_code(2);
    online.exp(&["jobs", "cancel", "batch_0"]).expect_code(0);
    assert_eq!(jobs(&online, &[])[0]["state"], "cancelling");
    server.batches().created[0].cancelled = Instant::now().checked_sub(Duration::from_secs(30));
    let built = online.build(6, &["--detach"]);
    assert_eq!(again(&server), [24, 12], "half of it was answered, and the rest is asked again");
    assert_eq!(built["requests"]["sent"], 12);
}

#[test]
fn a_batch_that_is_taken_in_needs_no_build() {
    let server = server(BatchOptions { takes: Duration::from_millis(400), ..BatchOptions::default() });
    let online = Online::new(&setup(), &server.origin());
    online.build(6, &["--detach"]);
    let said = online.exp(&["jobs", "--watch"]).expect_code(0);
    assert!(said.stderr.contains("completed: 36 answers"), "{}", said.stderr);
    let calls = server.batches().calls.clone();
    let built = online.build(0, &[]);
    assert_eq!((&built["requests"]["reused"], &server.batches().calls), (&36.into(), &calls), "nobody is asked");
}

/// The connection is reset after the batch was created, and the list shows it late.
#[test]
fn a_batch_of_unknown_fate_is_found_and_not_created_twice() {
    let calls = |call: &BatchCall| (call.kind == "create" && call.nth == 0).then_some(CallFault::ServedAndReset);
    let list_lag = Duration::from_millis(150);
    let server = server(BatchOptions { calls: Arc::new(calls), list_lag, ..BatchOptions::default() });
    let provider = "mode: batch, batch: {poll: 20ms, list_delay: 600ms}".to_owned();
    let online = Online::new(&Setup { provider, ..setup() }, &server.origin());
    let said = online.exp(&["build", "--yes"]).expect_code(0);
    assert!(said.stderr.contains("found again at the provider"), "{}", said.stderr);
    assert_eq!(again(&server), [36]);
    // One that never arrived is created after all.
    let calls = |call: &BatchCall| (call.kind == "create" && call.nth == 0).then_some(CallFault::Status(502));
    let server = self::server(BatchOptions { calls: Arc::new(calls), ..BatchOptions::default() });
    let online = Online::new(&setup(), &server.origin());
    online.build(0, &[]);
    assert_eq!(again(&server), [36]);
}

#[test]
fn nothing_is_submitted_while_batches_cannot_be_listed() {
    let calls = |call: &BatchCall| (call.kind == "list").then_some(CallFault::Status(403));
    let server = server(BatchOptions { calls: Arc::new(calls), ..BatchOptions::default() });
    let online = Online::new(&setup(), &server.origin());
    let said = online.exp(&["build", "--yes"]).expect_code(1);
    assert!(said.stderr.contains("nothing is submitted while batches cannot be listed"), "{}", said.stderr);
    assert!(server.batches().created.is_empty() && server.batches().files.is_empty());
}

#[test]
fn troubles_that_pass_do() {
    let calls = |call: &BatchCall| (call.nth < 2).then_some(CallFault::Status(503));
    let server = server(BatchOptions { calls: Arc::new(calls), ..BatchOptions::default() });
    let online = Online::new(&setup(), &server.origin());
    online.build(0, &[]);
    assert_eq!(again(&server), [36]);
}

#[test]
fn with_all_that_is_known_here_gone_a_batch_is_found_by_what_it_carries() {
    let list_lag = Duration::from_millis(100);
    let server = server(BatchOptions { takes: Duration::from_millis(1500), list_lag, ..BatchOptions::default() });
    let provider = "mode: batch, batch: {poll: 20ms, list_delay: 400ms}".to_owned();
    let online = Online::new(&Setup { provider: provider.clone(), ..setup() }, &server.origin());
    online.build(6, &["--detach"]);
    std::fs::remove_dir_all(online.project.path("store/batches")).unwrap();
    // More is wanted now than was then: the batch that would be packed has another key.
    let more = Setup { sets: 3, provider, ..setup() };
    online.project.file("prompts/2.txt", "Answer in at most 3 words.");
    online.project.config(&more.config(&server.origin()));
    let built = online.build(0, &[]);
    assert_eq!((built["state"].as_str(), again(&server)), (Some("complete"), vec![36, 12]));
}

#[test]
fn under_another_key_a_batch_is_waited_for_and_never_sent_again() {
    let server = server(BatchOptions { takes: Duration::from_millis(100), ..BatchOptions::default() });
    let online = Online::new(&setup(), &server.origin());
    online.build(6, &["--detach"]);
    server.batches().created[0].key = "Bearer another".to_owned();
    let said = online.exp(&["build", "--yes"]).expect_code(6);
    assert!(said.stderr.contains("cannot be seen here"), "{}", said.stderr);
    assert_eq!(again(&server), [36]);
    let name = jobs(&online, &[])[0]["batch"].as_str().unwrap().to_owned();
    assert!(said.stderr.contains(&format!("--ignore-batch {name}")), "{}", said.stderr);
    online.build(0, &["--ignore-batch", &name]);
    assert_eq!(again(&server), [36, 36]);
}

/// What is in a batch was agreed to when it was submitted; what is bought again in its place was not.
#[test]
fn consent_is_asked_for_what_is_sent_and_for_nothing_else() {
    let server = server(BatchOptions { takes: Duration::from_mins(1), ..BatchOptions::default() });
    let setup = Setup { more: "budget: {confirm_above_usd: 0.0000001}\n".to_owned(), ..setup() };
    let online = Online::new(&setup, &server.origin());
    online.exp(&["build", "--detach"]).expect_code(2);
    online.build(6, &["--detach"]);
    let ignoring = online.exp(&["build", "--ignore-batch", "batch_0"]).expect_code(2);
    assert!(ignoring.stderr.contains("--yes"), "{}", ignoring.stderr);
    assert_eq!(again(&server), [36], "and nothing was sent");
    server.batches().created[0].at = Instant::now().checked_sub(Duration::from_mins(2)).unwrap();
    online.exp(&["build"]).expect_code(0);
    assert_eq!(again(&server), [36]);
}

#[test]
fn results_that_are_gone_are_told_of_and_not_bought_again() {
    let server = server(BatchOptions { takes: Duration::from_millis(100), ..BatchOptions::default() });
    let online = Online::new(&setup(), &server.origin());
    online.build(6, &["--detach"]);
    server.batches().created[0].is_gone = true;
    std::thread::sleep(Duration::from_millis(120));
    let said = online.exp(&["build", "--yes"]).expect_code(6);
    assert!(said.stderr.contains("cannot be seen here"), "{}", said.stderr);
    assert_eq!(again(&server), [36]);
    online.build(0, &["--ignore-batch", "batch_0"]);
    assert_eq!(again(&server), [36, 36]);
}

#[test]
fn two_builds_at_once_put_each_request_into_one_batch() {
    let server = server(BatchOptions { takes: Duration::from_millis(400), ..BatchOptions::default() });
    let online = Online::new(&setup(), &server.origin());
    let mut builds: Vec<_> = (0..3)
        .map(|n| {
            let id = format!("run{n}");
            let args = ["build", "--yes", "--run-id", &id];
            online.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for build in &mut builds {
        assert_eq!(build.wait().unwrap().code(), Some(0));
    }
    assert!(server.batches().submitted().values().all(|count| *count == 1), "{:?}", again(&server));
    assert_eq!(server.batches().submitted().len(), 36);
}

#[test]
fn a_batch_that_does_not_begin_is_cancelled_in_the_end() {
    let server = server(BatchOptions { fates: Arc::new(|_| Fate::NeverBegins), ..BatchOptions::default() });
    let provider = "mode: batch, batch: {poll: 20ms, list_delay: 60ms, start_deadline: 300ms}".to_owned();
    let online = Online::new(&Setup { sets: 1, items: 3, provider, ..setup() }, &server.origin());
    let built = online.build(1, &[]);
    assert!(failed(&online, &built).iter().all(|row| row.ends_with("failed:timeout")));
    assert_eq!(again(&server), [6]);
    assert!(server.batches().created[0].cancelled.is_some());
}

#[test]
fn few_requests_are_sent_alone_where_that_is_left_to_the_build() {
    let server = server(BatchOptions::default());
    let provider = "mode: auto, batch: {poll: 20ms, list_delay: 60ms, from: 30}".to_owned();
    let online = Online::new(&Setup { sets: 1, provider: provider.clone(), ..setup() }, &server.origin());
    online.build(0, &[]);
    assert_eq!((server.sent(), again(&server).len()), (24, 0));
    let online = Online::new(&Setup { provider, ..setup() }, &server.origin());
    online.build(0, &[]);
    assert_eq!((server.sent(), again(&server)), (24, vec![36]));
}

#[test]
fn a_batch_is_paid_for_at_its_price_and_never_beyond_the_budget() {
    let server = server(BatchOptions::default());
    let online = Online::new(&setup(), &server.origin());
    let config = setup().config(&server.origin()).replace("as_of:", "batch: 0.5, as_of:");
    online.project.config(&config);
    let stopped = online.build(5, &["--max-cost", "0.004"]);
    let sent: usize = again(&server).iter().sum();
    assert!(sent > 0 && sent < 36, "{sent}");
    assert_eq!(stopped["requests"]["sent"], sent);
    let built = online.build(0, &[]);
    assert_eq!(again(&server).iter().sum::<usize>(), 36);
    let rows = online.predictions(&built);
    assert_eq!(rows.len(), 24);
    let tokens = |column: &str| -> f64 { rows.iter().map(|row| row[column].parse::<f64>().unwrap()).sum() };
    let costs: serde_json::Value = serde_json::from_str(
        &std::fs::read_to_string(
            support::run_dir(&built).join(support::slugs(&built)[0].as_str()).join("results/costs.json"),
        )
        .unwrap(),
    )
    .unwrap();
    let expected = (tokens("prompt_tokens") * 0.5 + tokens("completion_tokens") * 2.0) / 1e6 / 2.0;
    assert!((costs["usd"].as_f64().unwrap() - expected).abs() < 1e-9, "{costs:#}");
    assert_eq!(costs["batch_discount_applied"], true);
    let spent = built["cost_usd"]["spent"].as_f64().unwrap();
    assert!(spent > 0.0 && built["cost_usd"]["uncertain"]["attempts"] == 0, "{built:#}");
}

#[test]
fn a_kind_without_batches_is_refused_in_words() {
    let server = server(BatchOptions::default());
    let online = Online::new(&Setup { kind: "llama_cpp", ..setup() }, &server.origin());
    let said = online.exp(&["build", "--yes"]).expect_code(2);
    assert!(said.stderr.contains("which `llama_cpp` does not have here"), "{}", said.stderr);
}

#[test]
fn an_interrupted_build_leaves_its_batch_running() {
    let server = server(BatchOptions { takes: Duration::from_millis(800), ..BatchOptions::default() });
    let online = Online::new(&setup(), &server.origin());
    let child = online.command(&["build", "--yes"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while server.batches().created.is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    heard(&output.stderr);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("left running: batch b") && said.contains("(batch_0)"), "{said}");
    online.build(0, &[]);
    assert_eq!(again(&server), [36]);
}

/// The kinds of providers that take batches.
const KINDS: [&str; 3] = ["openai", "anthropic", "fireworks"];

fn setup_of(kind: &'static str) -> Setup {
    let path = match kind {
        "anthropic" => "",
        "fireworks" => "/inference/v1",
        _ => "/v1",
    };
    Setup { kind, path, ..setup() }
}

fn of_kind(kind: &'static str, origin: &str, more: &str) -> Online {
    let provider = format!("mode: batch, batch: {{poll: 20ms, list_delay: 60ms{more}}}");
    Online::new(&Setup { sets: 1, provider, ..setup_of(kind) }, origin)
}

fn anthropic(origin: &str, more: &str) -> Online {
    of_kind("anthropic", origin, more)
}

#[test]
fn batches_of_every_kind_give_the_bytes_that_asking_one_by_one_gives() {
    for kind in KINDS {
        let list_lag = Duration::from_millis(30);
        // Where a provider says that results are elsewhere, nothing goes there.
        let server = server(BatchOptions { list_lag, results_are_elsewhere: true, ..BatchOptions::default() });
        let batch = of_kind(kind, &server.origin(), "");
        let built = batch.build(0, &[]);
        assert_eq!((again(&server), server.sent()), (vec![24], 0), "{kind}");
        let alone = Online::new(&Setup { sets: 1, provider: String::new(), ..setup_of(kind) }, &server.origin());
        let alone_built = alone.build(0, &[]);
        assert_eq!(server.sent(), 24, "{kind}");
        assert_eq!(batch.predictions_text(&built), alone.predictions_text(&alone_built), "{kind}");
        assert!(support::run_dir(&built).join("aggregate_report.md").exists());
    }
}

#[test]
fn each_result_of_a_batch_of_another_kind_has_its_rule() {
    for (fault, code, batches, row) in [
        (ResultFault::Missing, 0, vec![24, 1], ""),
        (ResultFault::NoJson, 0, vec![24, 1], ""),
        (ResultFault::Unknown, 0, vec![24, 1], ""),
        (ResultFault::Status(500), 0, vec![24, 1], ""),
        (ResultFault::Expired, 0, vec![24, 1], ""),
        (ResultFault::Twice, 0, vec![24], ""),
        (ResultFault::TwiceDifferently, 1, vec![24], "i3 control failed:malformed"),
        (ResultFault::Status(400), 1, vec![24], "i3 control failed:rejected"),
    ] {
        for kind in ["anthropic", "fireworks"] {
            let results = {
                let fault = fault.clone();
                move |item: &Item| (item.tag == "i3" && item.is_control && item.batch == 0).then(|| fault.clone())
            };
            let server = server(BatchOptions { results: Arc::new(results), ..BatchOptions::default() });
            let online = of_kind(kind, &server.origin(), "");
            let built = online.build(code, &[]);
            let got = (again(&server), failed(&online, &built).join(""));
            assert_eq!(got, (batches.clone(), row.to_owned()), "{kind}: {fault:?}");
        }
    }
    let fates = |ordinal| if ordinal == 0 { Fate::Expired(5) } else { Fate::Completed };
    let server = server(BatchOptions { fates: Arc::new(fates), ..BatchOptions::default() });
    let online = anthropic(&server.origin(), "");
    online.build(0, &[]);
    assert_eq!(again(&server), [24, 19]);
}

fn fireworks(origin: &str, more: &str) -> Online {
    of_kind("fireworks", origin, more)
}

/// What an expired job left is a job that goes on with it, and no dataset is sent for it.
#[test]
fn an_expired_job_is_gone_on_with() {
    let fates = |ordinal| if ordinal == 0 { Fate::Expired(7) } else { Fate::Completed };
    let server = server(BatchOptions { fates: Arc::new(fates), ..BatchOptions::default() });
    let online = fireworks(&server.origin(), "");
    let built = online.build(0, &[]);
    assert_eq!((again(&server), failed(&online, &built)), (vec![24, 17], vec![]));
    let batches = server.batches();
    let first = format!("accounts/ours/batchInferenceJobs/{}", batches.created[0].id);
    assert_eq!(batches.created[1].metadata["job"]["continuedFromJobName"], first.as_str());
    assert_eq!((batches.files.len(), batches.calls["upload"]), (1, 1));
    drop(batches);
    let jobs = jobs(&online, &["--all"]);
    assert_eq!((&jobs[0]["status"], &jobs[0]["brought"]["answers"]), (&"expired".into(), &7.into()));
    assert_eq!((&jobs[1]["status"], &jobs[1]["brought"]["answers"]), (&"completed".into(), &17.into()));
}

/// The name of a job is made of what it holds: found again by it, and never there twice.
#[test]
fn a_job_is_found_again_by_its_name() {
    let calls = |call: &BatchCall| (call.kind == "create" && call.nth == 0).then_some(CallFault::ServedAndReset);
    let server = server(BatchOptions { calls: Arc::new(calls), ..BatchOptions::default() });
    let online = fireworks(&server.origin(), "");
    online.build(0, &[]);
    assert_eq!(again(&server), [24]);
    // Everything known of it is gone, and no list ever shows it: the provider has the name.
    let (takes, list_lag) = (Duration::from_millis(600), Duration::from_mins(1));
    let server = self::server(BatchOptions { takes, list_lag, ..BatchOptions::default() });
    let online = fireworks(&server.origin(), "");
    online.build(6, &["--detach"]);
    std::fs::remove_dir_all(online.project.path("store/batches")).unwrap();
    let built = online.build(0, &[]);
    assert_eq!((again(&server), failed(&online, &built)), (vec![24], vec![]));
}

#[test]
fn a_job_that_is_deleted_keeps_what_it_answered() {
    let server = server(BatchOptions { takes: Duration::from_mins(1), ..BatchOptions::default() });
    let online = fireworks(&server.origin(), "");
    online.build(6, &["--detach"]);
    let id = server.batches().created[0].id.clone();
    online.exp(&["jobs", "cancel", &id]).expect_code(0);
    server.batches().created[0].cancelled = Instant::now().checked_sub(Duration::from_secs(30));
    let built = online.build(6, &["--detach"]);
    assert_eq!(again(&server), [24, 12], "half of it was answered, and the rest is asked again");
    assert_eq!(built["requests"]["sent"], 12);
    // One that never begins is deleted in the end.
    let server = self::server(BatchOptions {
        fates: Arc::new(|_| Fate::NeverBegins),
        takes: Duration::from_millis(200),
        ..BatchOptions::default()
    });
    let online = fireworks(&server.origin(), ", start_deadline: 300ms");
    let said = online.exp(&["build", "--yes"]).expect_code(1);
    assert!(said.stderr.contains("has not begun in time, and is cancelled"), "{}", said.stderr);
    assert!(server.batches().created[0].cancelled.is_some());
}

#[test]
fn a_refused_dataset_costs_the_line_that_is_named() {
    let fates = |ordinal| match ordinal {
        0 => Fate::Failed("", "invalid role bananas in message 1", Some(5)),
        _ => Fate::Completed,
    };
    let server = server(BatchOptions { fates: Arc::new(fates), ..BatchOptions::default() });
    let online = fireworks(&server.origin(), "");
    let built = online.build(1, &[]);
    assert_eq!(failed(&online, &built).len(), 1);
    assert_eq!(again(&server), [0, 23]);
}

#[test]
fn the_account_is_the_one_that_is_named() {
    let server = server(BatchOptions::default());
    let online = fireworks(&server.origin(), "");
    let run = |account: &str| {
        let mut command = online.command(&["build", "--yes"]);
        let output = command.env("FIREWORKS_ACCOUNT_ID", account).output().unwrap();
        heard(&output.stderr);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run("a b");
    assert!(code == Some(2) && said.contains("FIREWORKS_ACCOUNT_ID holds what is no account's id: `a b`"), "{said}");
    let (code, said) = run("accounts/theirs");
    assert!(code == Some(1) && said.contains("/v1/accounts/theirs/batchInferenceJobs"), "{said}");
    assert_eq!(run("accounts/ours/users/us").0, Some(0));
    assert_eq!(again(&server), [24]);
}

/// The call that created it has an unknown end: what could be it is waited for, and its results say that it is.
#[test]
fn a_message_batch_of_unknown_fate_is_told_by_its_results() {
    let calls = |call: &BatchCall| (call.kind == "create" && call.nth == 0).then_some(CallFault::ServedAndReset);
    let takes = Duration::from_millis(1500);
    let server = server(BatchOptions { calls: Arc::new(calls), takes, ..BatchOptions::default() });
    let online = anthropic(&server.origin(), "");
    let said = online.exp(&["build", "--yes", "--detach"]).expect_code(6);
    assert!(said.stderr.contains("may be msgbatch_0 at the provider"), "{}", said.stderr);
    assert_eq!(jobs(&online, &[])[0]["state"], "adopting");
    let said = online.exp(&["build", "--yes"]).expect_code(0);
    assert!(said.stderr.contains("found again at the provider"), "{}", said.stderr);
    assert_eq!(again(&server), [24]);
    // One that never arrived, beside somebody else's of as many requests.
    let calls = |call: &BatchCall| (call.kind == "create" && call.nth == 0).then_some(CallFault::Status(502));
    let server = self::server(BatchOptions { calls: Arc::new(calls), ..BatchOptions::default() });
    let online = anthropic(&server.origin(), "");
    online.build(0, &[]);
    assert_eq!(again(&server), [24]);
}

#[test]
fn with_all_that_is_known_gone_nothing_is_sent_beside_message_batches_that_run() {
    let server = server(BatchOptions { takes: Duration::from_millis(2500), ..BatchOptions::default() });
    let online = anthropic(&server.origin(), "");
    online.build(6, &["--detach"]);
    std::fs::remove_dir_all(online.project.path("store/batches")).unwrap();
    let said = online.exp(&["build", "--yes", "--detach"]).expect_code(6);
    assert!(said.stderr.contains("msgbatch_0 is under way at the provider and could hold these"), "{}", said.stderr);
    assert_eq!(again(&server), [24]);
    online.build(0, &[]);
    assert_eq!(again(&server), [24], "it was read when it had ended");
    // A person may know better.
    let server = self::server(BatchOptions { takes: Duration::from_millis(900), ..BatchOptions::default() });
    let online = anthropic(&server.origin(), "");
    online.build(6, &["--detach"]);
    std::fs::remove_dir_all(online.project.path("store/batches")).unwrap();
    online.build(0, &["--ignore-batch", "msgbatch_0"]);
    assert_eq!(again(&server), [24, 24]);
}

/// A crash while batches were being taken up left the log of one that says nothing of the provider's id.
#[test]
fn a_batch_that_was_being_taken_up_in_a_crash_is_not_bought_again() {
    for kind in KINDS {
        let server = server(BatchOptions { takes: Duration::from_millis(200), ..BatchOptions::default() });
        let online = of_kind(kind, &server.origin(), ", max_requests: 12");
        online.build(6, &["--detach"]);
        assert_eq!(again(&server), [12, 12], "{kind}");
        let provider = jobs(&online, &[])[0]["provider"].as_str().unwrap().to_owned();
        std::fs::remove_dir_all(online.project.path("store/batches")).unwrap();
        let lines = server.batches().created[0].lines.clone();
        let draws = lines.iter().map(|line| DrawAddress::from_custom_id(&line.custom_id).unwrap()).collect();
        let at = "2026-11-25T12:00:00Z".to_owned();
        {
            let path = camino::Utf8PathBuf::try_from(online.project.path("store")).unwrap();
            let session = Store::open(&path, Access::ReadWrite).unwrap().session().unwrap();
            let head = BatchHead { provider, ..BatchHead::default() };
            session.begin_batch(head, draws, |_| String::new(), BatchStep::new(BatchState::Prepared, at)).unwrap();
        }
        std::thread::sleep(Duration::from_millis(250));
        online.build(0, &[]);
        assert_eq!(again(&server), [12, 12], "{kind}");
    }
}

/// What a narrower build does not want is not forgotten: it was paid for.
#[test]
fn a_batch_that_nobody_waited_for_is_taken_up_once_it_is_wanted() {
    for kind in KINDS {
        let server = server(BatchOptions { takes: Duration::from_millis(200), ..BatchOptions::default() });
        let provider = BATCH.to_owned();
        let online = Online::new(&Setup { sets: 2, provider, ..setup_of(kind) }, &server.origin());
        online.build(6, &["--detach", "--prompt-sets", "s0"]);
        online.build(6, &["--detach", "--prompt-sets", "s1"]);
        assert_eq!(again(&server), [24, 12], "{kind}");
        std::fs::remove_dir_all(online.project.path("store/batches")).unwrap();
        online.build(0, &["--prompt-sets", "s0"]);
        let built = online.build(0, &[]);
        assert_eq!((again(&server), failed(&online, &built)), (vec![24, 12], vec![]), "{kind}");
        // `exp jobs --adopt` takes up whatever is not in the store.
        let server = self::server(BatchOptions { takes: Duration::from_millis(200), ..BatchOptions::default() });
        online
            .project
            .config(&Setup { sets: 2, provider: BATCH.to_owned(), ..setup_of(kind) }.config(&server.origin()));
        std::fs::remove_dir_all(online.project.path("store")).unwrap();
        online.build(6, &["--detach", "--prompt-sets", "s0"]);
        online.build(6, &["--detach", "--prompt-sets", "s1"]);
        std::fs::remove_dir_all(online.project.path("store/batches")).unwrap();
        online.build(0, &["--prompt-sets", "s0"]);
        let said = online.exp(&["jobs", "--adopt", "--watch"]).expect_code(0);
        assert!(said.stderr.contains("12 answers"), "{kind}: {}", said.stderr);
        let built = online.build(0, &[]);
        assert_eq!((again(&server), &built["requests"]["sent"]), (vec![24, 12], &0.into()), "{kind}");
    }
}

#[test]
fn what_no_batch_takes_is_refused_before_anything_is_sent() {
    let server = server(BatchOptions::default());
    let provider = "mode: batch, extra_body: {speed: fast}".to_owned();
    let online = Online::new(&Setup { kind: "anthropic", path: "", provider, ..setup() }, &server.origin());
    let said = online.exp(&["build", "--yes"]).expect_code(2);
    assert!(said.stderr.contains("batches take no `speed`"), "{}", said.stderr);
    let said = online.exp(&["plan"]).expect_code(0);
    let why =
        "36 requests cannot be sent in batches, to `anthropic ours`: batches take no `speed`: `exp build` refuses them";
    assert!(said.stdout.contains(why), "{}", said.stdout);
    let planned = online.exp(&["plan", "--json"]).expect_code(0).json();
    assert_eq!(planned["unfit_for_batches"]["to `anthropic ours`: batches take no `speed`"], 36);
    assert!(again(&server).is_empty());
}

/// Whoever wants answers without a build: batches that are not known here are taken up, waited for, and taken in.
#[test]
fn batches_of_ours_are_taken_up_by_hand() {
    for kind in KINDS {
        let server = server(BatchOptions { takes: Duration::from_millis(300), ..BatchOptions::default() });
        let online = of_kind(kind, &server.origin(), "");
        online.build(6, &["--detach"]);
        std::fs::remove_dir_all(online.project.path("store/batches")).unwrap();
        let said = online.exp(&["jobs"]).expect_code(0);
        assert!(said.stdout.contains("no batches under way"), "{}", said.stdout);
        let said = online.exp(&["jobs", "--adopt", "--watch"]).expect_code(0);
        assert!(said.stderr.contains("24 answers"), "{kind}: {}", said.stderr);
        let built = online.build(0, &[]);
        assert_eq!((&built["requests"]["sent"], again(&server)), (&0.into(), vec![24]), "{kind}");
    }
}

#[test]
fn files_at_the_provider_are_removed_where_that_is_wanted() {
    for (kind, files) in [("openai", 2), ("anthropic", 1), ("fireworks", 2)] {
        let server = server(BatchOptions::default());
        let online = of_kind(kind, &server.origin(), "");
        online.build(0, &[]);
        assert!(server.batches().removed.is_empty(), "{kind}: by default they stay");
        let server = self::server(BatchOptions::default());
        let online = of_kind(kind, &server.origin(), ", remove_files: true");
        online.build(0, &[]);
        let removed = server.batches().removed.clone();
        let id = server.batches().created[0].id.clone();
        assert_eq!(removed.len(), files, "{kind}: {removed:?}");
        assert!(kind == "openai" || removed.contains(&id), "{kind}: {removed:?}");
    }
}

#[test]
fn an_id_that_another_batch_has_is_told_of_and_nothing_more_is_done() {
    let server = server(BatchOptions { repeats_ids: true, ..BatchOptions::default() });
    let online = of_kind("openai", &server.origin(), ", max_requests: 12");
    for _ in 0..2 {
        let said = online.exp(&["build", "--yes"]).expect_code(6);
        let why = "the id batch_0, which batch b";
        assert!(said.stderr.contains(why) && said.stderr.contains("nothing more is done with it"), "{}", said.stderr);
        assert_eq!(again(&server), [12, 12]);
    }
}

#[test]
fn results_that_will_not_be_kept_are_warned_of() {
    let server = server(BatchOptions { takes: Duration::from_mins(1), ..BatchOptions::default() });
    let online = of_kind("openai", &server.origin(), "");
    let path = camino::Utf8PathBuf::try_from(online.project.path("store")).unwrap();
    let begin = |states: &[(BatchState, i64)]| {
        let session = Store::open(&path, Access::ReadWrite).unwrap().session().unwrap();
        let steps = states.iter().map(|(state, hours)| {
            let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(*hours);
            let remote = vec![format!("batch_{hours}")];
            BatchStep { expires: Some(expires.to_string()), remote, ..BatchStep::new(*state, expires.to_string()) }
        });
        let mut steps = steps.collect::<Vec<_>>().into_iter();
        let first = steps.next().unwrap();
        let mut held = session.begin_batch(BatchHead::default(), Vec::new(), |_| String::new(), first).unwrap();
        steps.for_each(|step| held.step(step).unwrap());
        held.name().to_owned()
    };
    let over = begin(&[(BatchState::Submitted, -2)]);
    let running = begin(&[(BatchState::Submitted, 20)]);
    let soon = begin(&[(BatchState::Submitted, -1), (BatchState::Ended, 48)]);
    let late = begin(&[(BatchState::Submitted, -1), (BatchState::Ended, 600)]);
    let said = online.exp(&["jobs"]).expect_code(0);
    let warned = |name: &str, what: &str| {
        said.stderr.lines().any(|line| line.contains("warning:") && line.contains(name) && line.contains(what))
    };
    assert!(warned(&over, "has ended by") && warned(&soon, "are kept until"), "{}", said.stderr);
    assert!(!warned(&running, "") && !warned(&late, ""), "{}", said.stderr);
}

/// What a batch is asked for is not handed to others as well.
#[test]
fn requests_that_are_in_batches_are_not_handed_out() {
    let server = server(BatchOptions { takes: Duration::from_millis(600), ..BatchOptions::default() });
    let online = Online::new(&setup(), &server.origin());
    online.build(6, &["--detach", "--prompt-sets", "s0"]);
    let said = online.exp(&["requests", "--out", "handout", "--json"]).expect_code(0);
    let written = said.json();
    assert_eq!((&written["requests"], &written["in_batches"]), (&12.into(), &24.into()), "{written:#}");
    assert!(said.stderr.contains("24 requests are left out: they are in batches under way"), "{}", said.stderr);
    let none = online.exp(&["requests", "--out", "nothing", "--prompt-sets", "s0", "--json"]).expect_code(0).json();
    assert_eq!((&none["requests"], &none["in_batches"]), (&0.into(), &24.into()));
    online.exp(&["jobs", "--watch"]).expect_code(0);
    let done = online.exp(&["requests", "--out", "after", "--json"]).expect_code(0).json();
    assert_eq!((&done["requests"], &done["in_batches"], &done["reused"]), (&12.into(), &0.into(), &24.into()));
}
