//! `exp compare`: items are matched by what they are, everything that only one side has is listed, and both say who answered and when.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::Project;

const CONFIG: &str = "version: 1\nmodels: [{name: lex, provider: lexical, model: lex}]\n\
    datasets:\n  d:\n    path: config/d.jsonl\n    fields: {id: id, question: question, answers: answers, context: context}\n    \
    scorers: [exact]\ncontrol: config/c.txt\nprompt_sets: {t: config/t.txt}\n";

fn row(id: &str, question: &str, answer: &str, extra: &str) -> String {
    format!(
        "{}\n",
        json!({"id": id, "question": question, "answers": [answer], "context": format!("{answer} built the tower."), "note": extra})
    )
}

fn project() -> Project {
    let project = Project::in_memory();
    project.file("config/c.txt", "Answer.").file("config/t.txt", "Answer in as few words as possible.");
    let rows = (1..=8).map(|n| row(&n.to_string(), &format!("Who built tower {n}?"), "Ada Stone", ""));
    project.file("config/d.jsonl", rows.collect::<String>());
    project.config(CONFIG);
    project
}

/// Replaces what differs from run to run: roots and times.
fn masked(text: &str) -> String {
    let mut out = text.to_owned();
    for (pattern, with) in [
        (r"root [0-9a-f]{12}", "root ROOT"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        (r"drawn TIME( to TIME)?", "drawn TIME"),
    ] {
        out = regex::Regex::new(pattern).unwrap().replace_all(&out, with).into_owned();
    }
    out
}

#[test]
fn items_are_matched_by_what_they_are_and_the_rest_is_listed() {
    let project = project();
    project.exp(&["build", "--run-id", "one"]).expect_code(0);
    let rows = [
        row("1", "Who built tower 1?", "Ada Stone", ""),
        row("2", "Who tore tower 2 down?", "Ada Stone", ""),
        row("3", "Who built tower 3?", "Bo Wood", ""),
        row("four", "Who built tower 4?", "Ada Stone", ""),
        row("5", "Who built tower 5?", "Ada Stone", "seen"),
        row("6", "Who built tower 6?", "Ada Stone", ""),
        row("\u{1b}[31m9\n", "Who built tower 9?", "Ada Stone", ""),
    ];
    project.file("config/d.jsonl", rows.concat());
    project.exp(&["build", "--run-id", "two"]).expect_code(0);
    let text = masked(&project.exp(&["compare", "one", "two"]).expect_code(0).stdout);
    let expected = "\
A  one  run one · complete · TIME · root ROOT
   $0.00 spent, $0.00 saved
B  two  run two · complete · TIME · root ROOT
   $0.00 spent, $0.00 saved

Configuration
  the same

lex-t
  items in both: 3; changed: 3; only in A: 2; only in B: 1
    changed, not compared: d|2 (question)
    changed, not compared: d|3 (context, gold)
    changed, not compared: d|5 (fields)
    another id, compared: d|4 (A) is d|four (B)
    only in A: d|7
    only in A: d|8
    only in B: d|\u{fffd}[31m9\u{fffd}
  answers in A, control: 8, drawn TIME, by lexical-1 (8)
  answers in A, treatment: 8, drawn TIME, by lexical-1 (8)
  answers in B, control: 7, drawn TIME, by lexical-1 (7)
  answers in B, treatment: 7, drawn TIME, by lexical-1 (7)
  condition  type  metric  n       A       B    B - A  95 % interval            p  flips
  control    open  exact   3  1.0000  1.0000  +0.0000  [+0.0000, +0.0000]  1.0000  0->1: 0, 1->0: 0
  treatment  open  exact   3  1.0000  1.0000  +0.0000  [+0.0000, +0.0000]  1.0000  0->1: 0, 1->0: 0
  effect of treatment, as each run found it
    d exact: +0.0000 (p 1.0000) -> +0.0000 (p 1.0000)
    d output_tokens: +0.0000 (p –) -> +0.0000 (p –)
    open exact: +0.0000 (p 1.0000) -> +0.0000 (p 1.0000)
    open output_tokens: +0.0000 (p –) -> +0.0000 (p –)
  completion_tokens: 32 -> 30
  prompt_tokens: 656 -> 576
";
    assert_eq!(text, expected, "{text}");

    let compared = project.json(&["compare", "one", "two"]);
    let trial = &compared["trials"][0];
    assert_eq!(
        trial["items"],
        json!({
            "matched": 3, "by_id_alone": 0,
            "renamed": [{"a": "d|4", "b": "d|four"}],
            "changed": [
                {"item": "d|2", "what": ["question"]}, {"item": "d|3", "what": ["context", "gold"]}, {"item": "d|5", "what": ["fields"]},
            ],
            "only_in_a": ["d|7", "d|8"], "only_in_b": ["d|\u{1b}[31m9\n"],
        })
    );
    let arm = &trial["drawn"]["b"][1];
    assert_eq!((&arm["condition"], &arm["draws"]), (&json!("treatment"), &json!(7)), "{compared:#}");
    assert!(trial["metrics"].as_array().unwrap().iter().all(|metric| metric["n"] == 3), "{compared:#}");

    let no_trial = project.exp(&["compare", "one", "two:nothing"]).expect_code(2).stderr;
    assert!(no_trial.starts_with("error: run `two` has no trial `nothing`; its trials are "), "{no_trial}");

    // From an archive all is told alike.
    project.exp(&["archive", "two"]).expect_code(0);
    let file = std::fs::read_dir(project.path("experiments/archives")).unwrap().next().unwrap().unwrap().file_name();
    let archived = project.json(&["compare", "one", file.to_str().unwrap().trim_end_matches(".tar.zst")]);
    assert_eq!(archived["trials"], compared["trials"]);
}

#[test]
fn a_long_list_is_cut_on_a_terminal_and_whole_in_a_document() {
    let project = project();
    project.exp(&["build", "--run-id", "one"]).expect_code(0);
    let rows = (1..=30).map(|n| row(&format!("n{n:02}"), &format!("Who built house {n}?"), "Ada Stone", ""));
    project.file("config/d.jsonl", rows.collect::<String>());
    project.exp(&["build", "--run-id", "two"]).expect_code(0);
    let args = ["compare", "one", "two"];
    let text = project.exp(&args).expect_code(0).stdout;
    assert!(text.contains("items in both: 0; changed: 0; only in A: 8; only in B: 30\n"), "{text}");
    assert!(text.contains("    only in B: d|n10\n    only in B: 20 more, which `--json` lists\n"), "{text}");
    let document = project.json(&args);
    assert_eq!(document["trials"][0]["items"]["only_in_b"].as_array().map(Vec::len), Some(30));
    assert_eq!(document["trials"][0]["metrics"], Value::Array(vec![]));
}
