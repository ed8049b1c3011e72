//! `exp drift`: has the hosted model changed? What is found, what would have been seen, and what builds make of it.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where what it reads is not as it should be.
#![allow(clippy::format_collect)] // It is not in a hurry.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde_json::Value;
use support::bridges::bridges;
use support::{Project, stub};

const ITEMS: usize = 30;

fn config(head: &str, temperature: &str, tail: &str) -> String {
    format!(
        "# An experiment.\nversion: 1\n{head}\
         datasets:\n  d:\n    path: data/d.jsonl\n    \
         fields: {{id: id, question: question, answers: answers, context: context}}\n\
         control: prompts/control.txt\nprompt_sets: {{one: prompts/one.txt}}\n\
         decoding: {{temperature: {temperature}, max_output_tokens: 30}}\n\
         analysis: {{bootstrap_samples: 50, permutation_samples: 50}}\n\
         parts_per_dataset: 3\n{tail}"
    )
}

const LEXICAL: &str = "models: [{name: m, provider: lexical}]\n";

fn project(temperature: &str) -> Project {
    let project = Project::in_memory();
    bridges(&project, ITEMS);
    project.config(&config(LEXICAL, temperature, ""));
    project
}

fn sent(built: &Value) -> u64 {
    built["requests"]["sent"].as_u64().unwrap()
}

#[test]
fn an_unchanged_reader_is_no_proof_and_no_build_sees_the_new_draws() {
    let project = project("0");
    let built = project.build();
    let told = project.exp(&["drift", "--n", "40"]).expect_code(0).stdout;
    for words in [
        "40 of 40 texts are the same at temperature 0",
        "no value differs; had ",
        " % or more of the values changed in one direction, it would have been seen with 80 % power",
    ] {
        assert!(told.contains(words), "{told}");
    }
    assert!(!told.contains("no drift\n") && !told.contains("has not changed"), "{told}");

    let drift = project.json(&["drift", "--n", "40", "--seed", "5"]);
    assert_eq!((&drift["drift"], &drift["requests"]["compared"]), (&Value::Bool(false), &Value::from(40)));
    assert_eq!(drift["requests"]["of_run"], 2 * ITEMS);
    assert!(drift["generation"].as_u64().unwrap() > 1_600_000_000, "{drift:#}");
    // Both arms of an item are asked again.
    let again = project.build();
    assert_eq!((sent(&again), &again["root"], &again["up_to_date"]), (0, &built["root"], &Value::Bool(true)));
    assert_eq!(project.read("config/eval_config.yaml"), config(LEXICAL, "0", ""));

    // Few pairs can show nothing, and that is said.
    let few = project.exp(&["drift", "--n", "4"]).expect_code(0).stdout;
    assert!(few.contains("too few to see any drift; ask for more"), "{few}");
    let error = project.exp(&["drift", "--n", "0"]).expect_code(2).stderr;
    assert!(error.contains("a whole number from 1 on"), "{error}");
}

#[test]
fn the_noise_of_the_sampler_is_measured_and_adopted_draws_are_used() {
    let project = project("2");
    project.build();
    // The reader's draws depend on their address alone: this generation has always the same.
    let args = ["drift", "--n", "40", "--generation", "77", "--json"];
    let noisy = project.exp(&args).expect_code(0).json();
    let tests = noisy["report"]["tests"].as_array().unwrap();
    assert!(tests.iter().any(|test| test["detectable"].as_f64().is_some_and(|d| d > 0.0)), "{noisy:#}");
    assert!(noisy["words"][0].as_str().unwrap().contains("or more would have been seen with 80 % power"), "{noisy:#}");
    let identical = &noisy["report"]["identical"][0];
    assert_eq!((&identical["greedy"], &identical["pairs"]), (&Value::Bool(false), &Value::from(40)));
    assert!(identical["identical"].as_u64().unwrap() < 40);

    // To go on with a generation asks for nothing that it has.
    let log = |project: &Project| {
        let text: String = std::fs::read_dir(project.path("store/draws"))
            .unwrap()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        text.lines().filter(|line| line.contains("\"answer\"")).count()
    };
    let before = log(&project);
    assert_eq!(before, 2 * ITEMS + 40);
    assert_eq!(project.exp(&args).expect_code(0).json()["report"], noisy["report"]);
    assert_eq!(log(&project), before);

    let adopted = project.exp(&[&args[..], &["--adopt"]].concat()).expect_code(0).json();
    assert_eq!(adopted["adopted"], true);
    assert_eq!(project.read("config/eval_config.yaml"), config(LEXICAL, "2", "reuse: {generation: 77}\n"));
    assert_eq!(sent(&project.build()), 2 * ITEMS as u64 - 40);
}

#[test]
fn recordings_are_never_asked_again() {
    let project = Project::in_memory();
    bridges(&project, ITEMS);
    let head = "models:\n  - name: r\n    provider: replay\n    recordings: {d: {control: {path: data/r.jsonl, fields: {key: id, text: text}}, treatment: {path: data/r.jsonl, fields: {key: id, text: text}}}}\n";
    project.file(
        "data/r.jsonl",
        (0..ITEMS).map(|n| format!("{{\"id\":\"i{n}\",\"text\":\"Ada Pell\"}}\n")).collect::<String>(),
    );
    project.config(&config(head, "0", ""));
    project.build();
    let said = project.exp(&["drift", "--n", "10"]).expect_code(2).stderr;
    assert!(said.contains("their answers were recorded elsewhere, and nobody gives new ones"), "{said}");
    assert!(said.contains("can be asked again"), "{said}");
}

/// Serves OpenAI's chat on loopback: `Ada Pell`, and to the first `wrong` questions of a body's number `Jon Abel`.
fn serve(wrong: Arc<AtomicU64>, version: Arc<AtomicUsize>, asked: Arc<AtomicUsize>) -> String {
    stub::serve(move |question| {
        asked.fetch_add(1, Ordering::SeqCst);
        let number = question.body.rsplit("bridge number ").next().unwrap();
        let number: u64 = number.split('?').next().unwrap().parse().unwrap();
        let text = if number < wrong.load(Ordering::SeqCst) { "Jon Abel" } else { "Ada Pell" };
        let reply = serde_json::json!({
            "id": "c", "model": format!("m-{}", version.load(Ordering::SeqCst)), "system_fingerprint": "fp",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2},
        });
        ("200 OK", reply.to_string())
    })
}

fn hosted(url: &str, price: &str) -> Project {
    let project = Project::in_memory();
    bridges(&project, ITEMS);
    let head = format!(
        "providers: {{mine: {{kind: openai, base_url: \"{url}\", identity: here}}}}\n\
         models: [{{name: m, provider: mine{price}}}]\n"
    );
    project.config(&config(&head, "0", ""));
    project
}

#[test]
fn a_changed_model_is_found_by_its_answers_and_by_its_name() {
    let (wrong, version, asked) =
        (Arc::new(AtomicU64::new(3)), Arc::new(AtomicUsize::new(1)), Arc::new(AtomicUsize::new(0)));
    let url = serve(wrong.clone(), version.clone(), asked.clone());
    let project = hosted(&url, ", price: {input: 0, output: 0}");
    project.build();
    assert_eq!(asked.swap(0, Ordering::SeqCst), 2 * ITEMS);

    let same = project.json(&["drift", "--n", "60"]);
    assert_eq!((&same["drift"], asked.swap(0, Ordering::SeqCst)), (&Value::Bool(false), 60));
    let served = same["report"]["served"].as_array().unwrap();
    assert!(served.iter().any(|change| change["what"] == "served_model" && change["now"]["m-1"] == 60), "{same:#}");

    // A third of the answers turns wrong: a paired test of 60 sees it.
    wrong.store(13, Ordering::SeqCst);
    let worse = project.exp(&["drift", "--n", "60", "--json"]).expect_code(3).json();
    assert_eq!(worse["drift"], true);
    let tests = worse["report"]["tests"].as_array().unwrap();
    let em = tests.iter().find(|test| test["metric"] == "em").unwrap();
    assert_eq!((&em["test"], &em["n"]), (&Value::from("mcnemar-exact"), &Value::from(60)));
    assert!((em["difference"].as_f64().unwrap() + 20.0 / 60.0).abs() < 1e-9, "{em:#}");
    assert_eq!(worse["report"]["identical"][0]["identical"], 40);

    // The same answers under another name: the provider says that it serves another model.
    wrong.store(3, Ordering::SeqCst);
    version.store(2, Ordering::SeqCst);
    let renamed = project.exp(&["drift", "--n", "10"]).expect_code(3).stdout;
    assert!(renamed.contains("drift: m is served by `m-2` now, and it was `m-1` then"), "{renamed}");
    assert!(project.build()["up_to_date"] == true, "whatever was found, builds keep what they have");
}

#[test]
fn nothing_is_spent_that_nobody_agreed_to() {
    let (wrong, version, asked) =
        (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(1)), Arc::new(AtomicUsize::new(0)));
    let url = serve(wrong, version, asked.clone());
    let project = hosted(&url, ", price: {input: 1, output: 1}");
    project.exp(&["build", "--yes"]).expect_code(0);
    asked.store(0, Ordering::SeqCst);
    let refused = project.exp(&["drift", "--n", "20"]).expect_code(2).stderr;
    assert!(
        refused.contains("to ask 20 requests again costs at most $") && refused.contains("--max-cost"),
        "{refused}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let ended = project.exp(&["drift", "--n", "20", "--max-cost", "0.0003"]).expect_code(5).stderr;
    let count = asked.swap(0, Ordering::SeqCst);
    assert!(count < 20, "{count}");
    // It names the command that goes on, and that asks for the rest alone.
    let line = ended.lines().find(|line| line.contains("to go on with these")).unwrap();
    let command = line.split('`').nth(1).unwrap();
    let mut args: Vec<&str> = command.split(' ').skip(1).collect();
    args.extend(["--yes", "--json"]);
    let whole = project.exp(&args).expect_code(0).json();
    assert_eq!((&whole["requests"]["compared"], asked.load(Ordering::SeqCst)), (&Value::from(20), 20 - count));
}
