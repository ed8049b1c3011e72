//! Builds that ask a server on this machine: keys, silence, and what a server's refusal comes to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::{Arc, Mutex};

use support::canary::CANARY as KEY;
use support::{Project, stub};

/// Answers every question with this status and body, and keeps what it was sent.
fn serve(status: &'static str, body: &str) -> (String, Arc<Mutex<Vec<String>>>) {
    let received = Arc::new(Mutex::new(Vec::new()));
    let (kept, body) = (received.clone(), body.to_owned());
    let url = stub::serve(move |asked| {
        kept.lock().unwrap().push(asked.head.clone() + &asked.body);
        (status, body.clone())
    });
    (url, received)
}

fn project(url: &str) -> Project {
    let project = Project::in_memory();
    let config = format!(
        "version: 1\nproviders:\n  mine: {{kind: openai, base_url: \"{url}\", api_key_env: MY_TEST_KEY, identity: here}}\n\
         models: [{{name: m, provider: mine, price: {{input: 0, output: 0}}}}]\ndatasets:\n  mill:\n    path: data/mill.jsonl\n    \
         fields: {{id: id, question: question, answers: answers}}\ncontrol: prompts/control.txt\n\
         prompt_sets: {{plain: prompts/plain.txt}}\ndecoding: {{temperature: 0, max_output_tokens: 64}}\n"
    );
    project.config(&config).file("data/mill.jsonl", "{\"id\":\"m1\",\"question\":\"Who?\",\"answers\":[\"Ada\"]}\n");
    project.file("prompts/control.txt", "Answer.\n").file("prompts/plain.txt", "Copy.\n");
    project
}

const ANSWER: &str = r#"{"id":"c1","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"Ada"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;

#[test]
fn a_key_of_dotenv_is_used_and_kept_nowhere() {
    let (url, received) = serve("200 OK", ANSWER);
    let project = project(&url);
    project.file("config/.env", format!("# mine\nexport MY_TEST_KEY=\"{KEY}\"\n"));
    let built = project.build();
    assert_eq!(built["requests"]["sent"], 2, "{built:#}");
    let sent = received.lock().unwrap().clone();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|sent| sent.contains(&format!("authorization: Bearer {KEY}\r\n"))), "{sent:?}");
    assert!(sent[0].starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{sent:?}");
    // What was answered needs neither the server nor the key again.
    std::fs::remove_file(project.path("config/.env")).unwrap();
    assert_eq!(project.build()["up_to_date"], true);
    // Elsewhere, under the identity that the config states, it is the same.
    let moved = project.read("config/eval_config.yaml").replace(&url, "http://127.0.0.1:9/v1");
    project.config(&moved);
    assert_eq!(project.build()["requests"]["sent"], 0);
    assert_eq!(received.lock().unwrap().len(), 2);
}

#[test]
fn offline_asks_nobody() {
    let (url, received) = serve("200 OK", ANSWER);
    let project = project(&url);
    project.file("config/.env", format!("MY_TEST_KEY={KEY}\n"));
    let refused = project.exp(&["build", "--offline"]).expect_code(2).stderr;
    let words = "error: 2 answers of `openai here` are not in the store, and --offline forbids asking for them\n  hint: nothing was sent\n";
    assert_eq!(refused, words);
    assert!(received.lock().unwrap().is_empty());
    let plan = project.json(&["plan"]);
    assert_eq!(plan["routes"][0], format!("mine is asked at {url}"));
}

#[test]
fn a_refused_key_is_told_and_not_shown() {
    let message = format!("Incorrect API key provided: {KEY}");
    let echo = serde_json::json!({"error": {"message": message, "code": "invalid_api_key"}}).to_string();
    let (url, received) = serve("401 Unauthorized", &echo);
    let project = project(&url);
    project.file("config/.env", format!("MY_TEST_KEY={KEY}\n"));
    let output = project.exp(&["build"]);
    assert_ne!(output.code, 0);
    let said = output.stdout + &output.stderr;
    assert!(said.contains("MY_TEST_KEY") && !said.contains("canary+7f3a"), "{said}");
    assert!(!received.lock().unwrap().is_empty());
}

#[test]
fn a_line_of_dotenv_that_is_none_is_not_shown() {
    let project = project("http://127.0.0.1:9/v1");
    project.file("config/.env", format!("A=1\n{KEY}\n"));
    let refused = project.exp(&["build"]).expect_code(2).stderr;
    assert!(refused.contains(".env:2: this is no `NAME=VALUE`") && !refused.contains("canary"), "{refused}");
}

/// A project whose provider and model have these further keys.
fn priced(url: &str, provider: &str, price: &str) -> Project {
    let project = project(url);
    let config = project.read("config/eval_config.yaml");
    project.file("config/.env", format!("MY_TEST_KEY={KEY}\n"));
    project.config(&config.replace("kind: openai", provider).replace("price: {input: 0, output: 0}", price));
    project
}

const READ: &str = r#"{"id":"c1","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"Ada"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":10,"prompt_tokens_details":{"cached_tokens":600}}}"#;
const WRITTEN: &str = r#"{"id":"c1","type":"message","role":"assistant","model":"m-1","content":[{"type":"text","text":"Ada"}],"stop_reason":"end_turn","usage":{"input_tokens":100,"cache_read_input_tokens":600,"cache_creation_input_tokens":300,"output_tokens":10}}"#;

#[test]
fn a_prompt_cache_is_asked_for_and_priced() {
    let cases = [
        // 400 at 1, 600 at 0.1 and 10 at 4, for a million; twice.
        ("kind: openai", READ, "price: {input: 1, cached_input: 0.1, output: 4}", 0.001, ""),
        ("kind: openai", READ, "price: {input: 1, output: 4}", 0.00208, ""),
        // 100 at 1, 600 at 0.1, 300 at 1.25 and 10 at 5.
        (
            "kind: anthropic, prompt_caching: 5m",
            WRITTEN,
            "price: {input: 1, cached_input: 0.1, cache_write: 1.25, output: 5}",
            0.00117,
            "300",
        ),
    ];
    for (provider, body, price, cost, written) in cases {
        let (url, received) = serve("200 OK", body);
        let project = priced(&url, provider, price);
        let built = project.json(&["build", "--yes"]);
        let spent = built["cost_usd"]["spent"].as_f64().unwrap();
        assert!((spent - cost).abs() < 1e-12, "{provider}, {price}: {spent} and not {cost}");
        let asks = received.lock().unwrap().iter().all(|sent| sent.contains(r#""cache_control":{"type":"ephemeral"}"#));
        assert_eq!(asks, provider.contains("prompt_caching"), "{provider}");
        let timings = project.run_file(&built, &format!("{}/results/timings.csv", support::slugs(&built)[0]));
        for row in support::csv_rows(&timings) {
            assert_eq!((&*row["cached_tokens"], &*row["cache_write_tokens"]), ("600", written), "{provider}");
        }
        // Whether something was cached is a circumstance: under another setting it is the same answer.
        let config = project.read("config/eval_config.yaml");
        project.config(&config.replace("prompt_caching: 5m", "prompt_caching: 1h"));
        project.json(&["build"]);
        assert_eq!(received.lock().unwrap().len(), 2, "{provider}");
    }
}

#[test]
fn the_way_to_a_provider_is_shown_and_is_no_part_of_what_is_asked() {
    let plan = |url: &str, provider: &str, variables: &[(&str, &str)]| {
        let project = priced(url, provider, "price: {input: 0, output: 0}");
        let mut command = project.command(&["plan", "--json"]);
        let output = support::run(command.envs(variables.iter().copied())).expect_code(0);
        assert!(!(output.stdout.clone() + &output.stderr).contains("pass-4711"), "the password of the proxy is shown");
        let plan = output.json();
        let keys: Vec<serde_json::Value> =
            plan["nodes"].as_array().unwrap().iter().map(|node| node["key"].clone()).collect();
        (plan["routes"][0].as_str().unwrap().to_owned(), keys)
    };
    let (https, proxy) = ("https://api.example.org/v1", ("HTTPS_PROXY", "http://me:pass-4711@127.0.0.1:9"));
    let (direct, keys) = plan(https, "kind: openai", &[]);
    assert_eq!(direct, "mine is asked at https://api.example.org/v1");
    let (proxied, same) = plan(https, "kind: openai", &[proxy]);
    assert_eq!(proxied, "mine is asked at https://api.example.org/v1, over the proxy http://127.0.0.1:9");
    assert_eq!(same, keys);
    let (without, same) = plan(https, "kind: openai", &[proxy, ("NO_PROXY", "example.org")]);
    assert_eq!((without, same), (direct, keys));
    let (plain, _) = plan("http://models.example.org/v1", "kind: openai, allow_http: true", &[]);
    assert_eq!(plain, "mine is asked at http://models.example.org/v1, in plain http");
}
