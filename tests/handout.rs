//! Missing requests handed out to other engines, and what of their answers becomes draws.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// It is not in a hurry.
#![allow(clippy::format_collect)]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use support::canary::CANARY;
use support::online::{Online, Setup};

/// Nobody listens there: whatever is answered was handed out.
const NOBODY: &str = "http://127.0.0.1:9";

fn plain(items: usize) -> Online {
    Online::new(&Setup { items, ..Setup::default() }, NOBODY)
}

fn lines(online: &Online, file: &str) -> Vec<Value> {
    online.project.read(file).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the names of the files of a handout, the manifest left out.
fn shards(online: &Online) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(online.project.path("h"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("shard-") && !name.contains(".out."))
        .collect();
    names.sort();
    names
}

fn answer(asked: &Value) -> Value {
    let arm = asked["body"]["messages"][0]["content"].as_str().unwrap();
    let text = if arm == "Answer." { "Aldermoor" } else { "no idea" };
    json!({
        "id": "c", "model": "ours", "usage": {"prompt_tokens": 7, "completion_tokens": 2},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
    })
}

fn row(asked: &Value, body: &Value) -> Value {
    json!({"id": "v", "custom_id": asked["custom_id"], "response": {"status_code": 200, "request_id": "r", "body": body}, "error": null})
}

fn text(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn ingest(online: &Online, code: i32, more: &[&str]) -> Value {
    online.exp(&[&["ingest", "h", "--json"], more].concat()).expect_code(code).json()
}

/// Returns those of the counts that are not 0.
fn counts(ingested: &Value) -> BTreeMap<&str, u64> {
    let counts =
        ingested.as_object().unwrap().iter().filter_map(|(name, value)| Some((name.as_str(), value.as_u64()?)));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn hand_out(online: &Online, more: &[&str]) -> Value {
    online.exp(&[&["requests", "--out", "h", "--json"], more].concat()).expect_code(0).json()
}

#[test]
fn only_what_is_missing_is_handed_out_and_no_arm_is_parted() {
    let setup = Setup { items: 9, more: "draws: 2\n".to_owned(), ..Setup::default() };
    let online = Online::new(&setup, NOBODY);
    let out = hand_out(&online, &["--shards", "3"]);
    assert_eq!((&out["requests"], &out["reused"]), (&json!(36), &json!(0)));
    assert_eq!(shards(&online), ["shard-0000.jsonl", "shard-0001.jsonl", "shard-0002.jsonl"]);
    let manifest: Value = serde_json::from_str(&online.project.read("h/manifest.json")).unwrap();
    let mut listed = manifest["draws"].as_array().unwrap().iter();
    for (at, shard) in shards(&online).iter().enumerate() {
        let bytes = std::fs::read(online.project.path(&format!("h/{shard}"))).unwrap();
        let entry = &manifest["shards"][at];
        assert_eq!(entry["blake3"], json!(format!("blake3:{}", blake3::hash(&bytes))));
        assert_eq!((&entry["bytes"], &entry["lines"]), (&json!(bytes.len()), &json!(12)));
        assert_eq!((&entry["identity"], &entry["model"]), (&json!("openai ours"), &json!("ours")));
        for four in lines(&online, &format!("h/{shard}")).chunks(4) {
            let question = |line: &Value| line["body"]["messages"][1]["content"].clone();
            assert!(four.iter().all(|line| question(line) == question(&four[0])), "an item is parted");
            for line in four {
                let named: Vec<&String> = line.as_object().unwrap().keys().collect();
                assert_eq!(named, ["body", "custom_id", "method", "url"]);
                assert_eq!((&line["method"], &line["url"]), (&json!("POST"), &json!("/v1/chat/completions")));
                let id = line["custom_id"].as_str().unwrap();
                assert!(id.len() <= 64 && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'));
                let entry = listed.next().unwrap();
                assert_eq!((&entry["custom_id"], &entry["shard"]), (&line["custom_id"], &json!(at)));
            }
        }
    }
    assert!(listed.next().is_none());
    let again = online.exp(&["requests", "--out", "h"]).expect_code(2);
    assert!(again.stderr.contains("exp ingest h"), "{}", again.stderr);
    // A half of the answers comes; the next handout asks for the other half.
    let asked = lines(&online, "h/shard-0000.jsonl");
    let rows: Vec<Value> = asked.iter().map(|asked| row(asked, &answer(asked))).collect();
    online.project.file("h/0.out.jsonl", text(&rows));
    assert_eq!(counts(&ingest(&online, 0, &[]))["taken"], 12);
    let rest = online.exp(&["requests", "--out", "rest", "--json"]).expect_code(0).json();
    assert_eq!((&rest["requests"], &rest["reused"]), (&json!(24), &json!(12)));
    let first: Vec<&Value> = asked.iter().map(|line| &line["custom_id"]).collect();
    assert!(lines(&online, "rest/shard-0000.jsonl").iter().all(|line| !first.contains(&&line["custom_id"])));
    for name in ["h/manifest.json", "h/shard-0000.jsonl", "h/shard-0001.jsonl"] {
        assert!(!online.project.read(name).contains(CANARY));
    }
}

#[test]
fn every_fault_of_a_delivery_has_its_count() {
    let online = plain(10);
    hand_out(&online, &[]);
    let asked = lines(&online, "h/shard-0000.jsonl");
    let good = |at: usize| row(&asked[at], &answer(&asked[at]));
    let said = |at: usize, text: &str| {
        let mut body = answer(&asked[at]);
        body["choices"][0]["message"]["content"] = json!(text);
        row(&asked[at], &body)
    };
    let mut rows = vec![good(0), good(0), good(1), said(2, "a"), said(2, "b"), said(2, "a")];
    rows.push(json!({"custom_id": asked[3]["custom_id"], "response": {"status_code": 400, "body": null}, "error": {"message": "too long"}}));
    rows.push(json!({"custom_id": asked[4]["custom_id"], "response": {"status_code": 500, "body": {"error": {"message": "died"}}}, "error": null}));
    rows.push(json!({"custom_id": "dunno", "response": {"body": {}}}));
    let mut back = good(5);
    back["request"] = json!({"body": {"model": "another"}});
    rows.push(back);
    let mut back = good(6);
    back["request"] = json!({"body": asked[6]["body"]});
    rows.push(back);
    let cut = good(7).to_string();
    let all = format!("\u{feff}{}not json\n\n{}", text(&rows), &cut[..cut.len() - 9]);
    online.project.file("h/deep/er.out.jsonl", all);
    let seen = ingest(&online, 1, &[]);
    let expected = [
        ("differing", 3),
        ("errors", 2),
        ("files", 1),
        ("lines", 13),
        ("malformed", 1),
        ("repeated", 1),
        ("taken", 3),
        ("truncated", 1),
        ("unknown", 1),
        ("wrong_body", 1),
    ];
    assert_eq!(counts(&seen), expected.into(), "{seen:#}");
    let text_of = |sample: &Value| format!("{}:{}", sample["line"], sample["why"].as_str().unwrap());
    let samples: Vec<String> = seen["samples"].as_array().unwrap().iter().map(text_of).collect();
    assert!(samples.contains(&"7:too long".to_owned()), "{samples:?}");
    let log = online.exp(&["ingest", "h"]).expect_code(1);
    assert!(log.stdout.contains("3 there already"), "{}", log.stdout);
    // What the store has stands against what comes later, and all else can still come.
    let later: Vec<Value> = (0..asked.len()).map(|at| if at == 0 { said(0, "other") } else { good(at) }).collect();
    std::fs::remove_dir_all(online.project.path("h/deep")).unwrap();
    online.project.file("h/x.out.jsonl", text(&later));
    let seen = ingest(&online, 1, &[]);
    assert_eq!(counts(&seen), [("already", 2), ("differing", 1), ("files", 1), ("lines", 20), ("taken", 17)].into());
    let built = online.build(0, &["--offline"]);
    assert_eq!((&built["state"], &built["requests"]["sent"]), (&json!("complete"), &json!(0)));
    assert_eq!(counts(&ingest(&online, 1, &[]))["already"], 19, "after the build as before it");
}

#[test]
fn a_shard_that_was_changed_and_an_identity_that_is_gone_are_refused() {
    let online = plain(3);
    hand_out(&online, &[]);
    let asked = lines(&online, "h/shard-0000.jsonl");
    let rows: Vec<Value> = asked.iter().map(|asked| row(asked, &answer(asked))).collect();
    online.project.file("h/a.out.jsonl", text(&rows));
    let shard = online.project.read("h/shard-0000.jsonl");
    // Written anew by another program, one line of it with another question.
    let mut changed: Vec<Value> = asked.clone();
    changed[1]["body"]["messages"][1]["content"] = json!("Who?");
    online.project.file("h/shard-0000.jsonl", text(&changed));
    assert_eq!(counts(&ingest(&online, 1, &[])), [("files", 1), ("lines", 6), ("taken", 5), ("wrong_body", 1)].into());
    online.project.file("h/shard-0000.jsonl", &shard);
    let other = online.exp(&["ingest", "h", "--identity", "openai theirs"]).expect_code(2);
    assert!(other.stderr.contains("openai theirs") && other.stderr.contains("openai ours"), "{}", other.stderr);
    let config = online.project.read("config/eval_config.yaml");
    online.project.config(&config.replace("identity: ours", "identity: theirs"));
    let seen = ingest(&online, 1, &[]);
    assert_eq!(counts(&seen), [("files", 1), ("lines", 6), ("other_identity", 6)].into());
    online.project.config(&config);
    let manifest = online.project.read("h/manifest.json");
    online.project.file("h/manifest.json", manifest.replacen("\"shard\":0", "\"shard\": 0", 1));
    let refused = online.exp(&["ingest", "h"]).expect_code(2);
    assert!(refused.stderr.contains("changed after it was written"), "{}", refused.stderr);
    online.project.file("h/manifest.json", manifest);
    assert_eq!(counts(&ingest(&online, 0, &[]))["taken"], 1);
}

#[test]
fn the_predecessors_results_are_joined_by_their_own_names() {
    let online = plain(4);
    let row = |condition: &str, at: usize| {
        let asked = json!({"body": {"messages": [{"content": if condition == "control" { "Answer." } else { "" }}]}});
        let body = answer(&asked);
        json!({"custom_id": format!("squad|i{at}|{condition}|0.0|0|closed"), "response": {"body": {"choices": body["choices"]}, "usage": body["usage"], "id": "q"}})
    };
    let mut rows: Vec<Value> = (0..4).flat_map(|at| [row("control", at), row("treatment", at)]).collect();
    rows.push(row("control", 99));
    online.project.file("h/results/part/results.jsonl", text(&rows));
    let unstated = online.exp(&["ingest", "h"]).expect_code(2);
    assert!(unstated.stderr.contains("`openai ours`"), "{}", unstated.stderr);
    let wrong = online.exp(&["ingest", "h", "--identity", "me"]).expect_code(2);
    assert!(wrong.stderr.contains("`openai ours`"), "{}", wrong.stderr);
    let who = ["--identity", "openai ours"];
    assert_eq!(counts(&ingest(&online, 1, &who)), [("files", 1), ("lines", 9), ("taken", 8), ("unknown", 1)].into());
    let built = online.build(0, &["--offline"]);
    assert_eq!(built["requests"]["sent"], 0);
    let rows = online.predictions(&built);
    assert!(rows.iter().all(|row| row["prompt_tokens"] == "7"), "usage beside the body counts");
    assert_eq!(counts(&ingest(&online, 1, &who))["already"], 8, "after the build as before it");
    // Two treatments: the name stands for two draws.
    let two = Online::new(&Setup { items: 4, sets: 2, ..Setup::default() }, NOBODY);
    std::fs::create_dir_all(two.project.path("h")).unwrap();
    two.project.file("h/r.jsonl", online.project.read("h/results/part/results.jsonl"));
    assert_eq!(counts(&ingest(&two, 1, &who))["ambiguous"], 4);
    let trial = two.exp(&["plan", "--json"]).expect_code(0).json()["trials"][0].as_str().unwrap().to_owned();
    let dir: PathBuf = two.project.path("h");
    assert!(dir.exists());
    let seen = two.exp(&["ingest", "h", &trial, "--identity", "openai ours", "--json"]).expect_code(1).json();
    assert_eq!(counts(&seen)["taken"], 4, "{seen:#}");
}
