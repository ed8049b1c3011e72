//! Every setting of the scorers by people, models and processes counts where it is read, and nowhere else: what `tests/inputs.rs`
//! shows of everything that is answered by providers that are embedded. A run is built once; of each change the plan says which keys
//! are new.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where what it reads is not as it should be.

#[path = "support/server/mod.rs"]
mod server;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use server::{ModelServer, Options};
use support::Project;

/// The config; `<<name>>` stands for a setting.
const CONFIG: &str = r#"version: 1
providers:
  replay: {kind: replay}
  mine: {kind: openai, base_url: "<<url>>/v1", identity: here}
models:
  - name: recorded
    provider: replay
    recordings:
      d:
        control: {path: data/control.jsonl, fields: {key: id, text: text}}
        brief: {path: data/brief.jsonl, fields: {key: id, text: text}}
  - {name: ours, provider: mine, model: m-1, revision: <<revision>>, price: {input: <<price>>, output: 10}}
  - {name: theirs, provider: mine, model: m-2, revision: r, price: {input: 1, output: 10}}
datasets:
  d:
    path: data/d.jsonl
    fields: {id: id, question: question, answers: answers}
    scorers:
      - exact
      - labels:
          name: <<labels.name>>
          path: <<labels.path>>
          format: <<labels.format>>
          fields: {item: <<labels.fields.item>>, model: <<labels.fields.model>>, arm: <<labels.fields.arm>>, draw: <<labels.fields.draw>>, answer: <<labels.fields.answer>>, rater: <<labels.fields.rater>>, verdict: <<labels.fields.verdict>>}
          values: {good: <<labels.values>>, bad: 0}
          rule: <<labels.rule>>
      - judge:
          name: <<judge.name>>
          model: <<judge.model>>
          user: <<judge.user>>
          system: <<judge.system>>
          decoding: {temperature: <<judge.decoding>>, max_output_tokens: 60}
          draws: <<judge.draws>>
          verdict: {extract: '<<judge.verdict.extract>>', pick: <<judge.verdict.pick>>, if_absent: <<judge.verdict.if_absent>>}
          values: {correct: <<judge.values>>, incorrect: 0}
          rule: <<judge.rule>>
      - external:
          name: <<external.name>>
          command: [<<external.command>>, <<external.command.argument>>]
          inputs: [<<external.inputs>>]
          version: <<external.version>>
          environment: {MISS: '<<external.environment>>'}
          time_limit: <<external.time_limit>>
      - judge_pairwise:
          name: <<judge_pairwise.name>>
          model: <<judge_pairwise.model>>
          user: <<judge_pairwise.user>>
          system: <<judge_pairwise.system>>
          decoding: {temperature: <<judge_pairwise.decoding>>, max_output_tokens: 60}
          draws: <<judge_pairwise.draws>>
          verdict: {extract: '<<judge_pairwise.verdict.extract>>', pick: <<judge_pairwise.verdict.pick>>, if_absent: <<judge_pairwise.verdict.if_absent>>}
          values: {first: a, second: <<judge_pairwise.values>>, neither: tie}
sweep: {models: [recorded]}
control: null
prompt_sets: {brief: prompts/brief.txt}
decoding: {temperature: 0}
analysis: {bootstrap_samples: 50, permutation_samples: 50}
"#;

/// A setting: its name, its value, another value, and the actions whose keys have to be others; without any, no key is another.
type Setting = (&'static str, &'static str, &'static str, &'static [&'static str]);

const LABELS: &[&str] = &["labels/*/*/*/*/people/*"];
const ASKED: &[&str] = &["judge_build/*/*/*/*/judge/*"];
const DRAWN: &[&str] = &["judge_infer/*/*/*/*/judge/*"];
const READ: &[&str] = &["judge/*/*/*/*/judge/*"];
const RUN: &[&str] = &["external/*/*/*/*/word/*"];
/// Of what is done about pairs, everything has another key; where the words are read, what is made of them alone.
const COMPARED: &[&str] = &["pairwise_build/*/*/*/*/pair/*", "judge_infer/*/*/*/*/pair/*", "pairwise/*", "costs/*"];
const COMPARED_AGAIN: &[&str] = &["judge_infer/*/*/*/*/pair/*", "pairwise/*", "costs/*"];
const COUNTED: &[&str] = &["pairwise/*"];
/// What may have other keys then, since it reads results.
const REPORTED: &[&str] = &["report/*", "aggregate"];

#[rustfmt::skip] // A table: one input a line.
const SETTINGS: &[Setting] = &[
    ("labels.name", "people", "folk", &["labels/*/*/*/*/folk/*"]),
    // The content is what counts; its layout goes by the name.
    ("labels.path", "data/people.csv", "data/copy.csv", &[]),
    ("labels.path", "data/people.csv", "data/people.tsv", LABELS),
    ("labels.format", "null", "csv", &[]),
    ("labels.fields.item", "item", "item2", LABELS),
    ("labels.fields.model", "model", "model2", LABELS),
    ("labels.fields.arm", "arm", "arm2", LABELS),
    ("labels.fields.draw", "draw", "draw2", LABELS),
    ("labels.fields.answer", "answer", "answer2", LABELS),
    ("labels.fields.rater", "rater", "rater2", LABELS),
    ("labels.fields.verdict", "verdict", "verdict2", LABELS),
    ("labels.values", "1", "0.75", LABELS),
    ("labels.rule", "majority", "mean", LABELS),
    ("judge.name", "judge", "jury", &["judge/*/*/*/*/jury/*"]),
    ("judge.model", "ours", "theirs", ASKED),
    ("judge.user", "prompts/rubric.txt", "prompts/copy.txt", &[]),
    ("judge.user", "prompts/rubric.txt", "prompts/strict.txt", ASKED),
    ("judge.system", "prompts/judge.txt", "null", ASKED),
    ("judge.decoding", "0", "0.1", ASKED),
    ("judge.draws", "1", "2", DRAWN),
    ("judge.verdict.extract", "(?m)^Verdict: (.+)$", "(?m)^Verdict: *(.+)$", READ),
    ("judge.verdict.pick", "last", "first", READ),
    ("judge.verdict.if_absent", "missing", "whole", READ),
    ("judge.values", "1", "0.9", READ),
    ("judge.rule", "majority", "mean", READ),
    ("external.name", "word", "term", &["external/*/*/*/*/term/*"]),
    ("external.command", "scorers/word.sh", "scorers/other.sh", RUN),
    ("external.command.argument", "--strict", "--lax", RUN),
    ("external.inputs", "data/word.txt", "data/words.txt", RUN),
    ("external.version", "'1'", "'2'", RUN),
    ("external.environment", "0", "0.5", RUN),
    ("external.time_limit", "20s", "30s", &[]),
    ("revision", "r", "s", ASKED),
    ("price", "1", "2", &["costs/*"]),
];

/// An edited file: its path, what stands in it, what then stands there, and the actions whose keys have to be others.
#[rustfmt::skip]
const EDITS: &[Setting] = &[
    ("data/people.csv", "good,good\n", "bad,bad\n", LABELS),
    ("prompts/rubric.txt", "Correct or", "Right or", ASKED),
    ("prompts/judge.txt", "judge", "assess", ASKED),
    ("scorers/word.sh", "#!/bin/sh\n", "#!/bin/sh\n\n", RUN),
    ("data/word.txt", "Rome", "Oslo", RUN),
];

/// The settings of who compares pairs, as [`SETTINGS`]: but for the reports nothing else has another key, or waits.
#[rustfmt::skip]
const PAIR_SETTINGS: &[Setting] = &[
    // What its requests are is not told by its name.
    ("judge_pairwise.name", "pair", "duel", &["pairwise/*", "costs/*"]),
    ("judge_pairwise.model", "theirs", "ours", COMPARED),
    ("judge_pairwise.user", "prompts/pair.txt", "prompts/pair_copy.txt", &[]),
    ("judge_pairwise.user", "prompts/pair.txt", "prompts/strict_pair.txt", COMPARED),
    ("judge_pairwise.system", "prompts/referee.txt", "null", COMPARED),
    ("judge_pairwise.decoding", "0", "0.1", COMPARED),
    ("judge_pairwise.draws", "1", "2", COMPARED_AGAIN),
    ("judge_pairwise.verdict.extract", "(?m)^Better: (.+)$", "(?m)^Better: *(.+)$", COUNTED),
    ("judge_pairwise.verdict.pick", "last", "first", COUNTED),
    ("judge_pairwise.verdict.if_absent", "missing", "whole", COUNTED),
    ("judge_pairwise.values", "b", "tie", COUNTED),
];

/// As [`EDITS`], of what pairs are compared by.
const PAIR_EDITS: &[Setting] =
    &[("prompts/pair.txt", "Which", "Say which", COMPARED), ("prompts/referee.txt", "compare", "judge", COMPARED)];

/// The kinds of step, in their order: what follows a change may have other keys, what is before it has none.
const ORDER: [&[&str]; 7] = [
    &["prepare", "build", "infer", "parse"],
    &["judge_build", "pairwise_build"],
    &["judge_infer"],
    &["judge", "labels", "external"],
    &["score", "pairwise"],
    &["merge", "stats", "costs"],
    &["report", "aggregate"],
];

fn config(url: &str, changed: Option<(&str, &str)>) -> String {
    let mut text = CONFIG.replace("<<url>>", url);
    for (name, value, ..) in SETTINGS.iter().chain(PAIR_SETTINGS) {
        let value = changed.filter(|(other, _)| other == name).map_or(*value, |(_, value)| value);
        text = text.replace(&format!("<<{name}>>"), value);
    }
    assert!(!text.contains("<<"), "{text}");
    text
}

/// Lists the keys of a plan by label; none where it waits for what is before it.
fn keys(project: &Project) -> BTreeMap<String, Option<String>> {
    let plan = project.json(&["plan"]);
    let nodes = plan["nodes"].as_array().unwrap().iter();
    nodes.map(|node| (node["label"].as_str().unwrap().to_owned(), node["key"].as_str().map(str::to_owned))).collect()
}

/// Matches a label: `*` stands for one segment.
fn matches(pattern: &str, label: &str) -> bool {
    let (pattern, label): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), label.split('/').collect());
    pattern.len() == label.len() && pattern.iter().zip(label).all(|(one, other)| *one == "*" || *one == other)
}

fn place(label: &str) -> usize {
    let step = label.split('/').next().unwrap();
    ORDER.iter().position(|steps| steps.contains(&step)).unwrap_or_else(|| panic!("no place of {label}"))
}

/// Holds the keys after a change against those before it.
fn expect(
    what: &str,
    before: &BTreeMap<String, Option<String>>,
    after: &BTreeMap<String, Option<String>>,
    first: &[&str],
) {
    let known: BTreeSet<&String> = before.values().flatten().collect();
    let is_new = |key: &Option<String>| key.as_ref().is_none_or(|key| !known.contains(key));
    for pattern in first {
        let reached: Vec<_> = after.iter().filter(|(label, _)| matches(pattern, label)).collect();
        assert!(!reached.is_empty(), "{what}: nothing is called {pattern}");
        for (label, key) in reached {
            assert!(key.is_some() && is_new(key), "{what}: the key of {label} is as it was, or not known: {key:?}");
        }
    }
    for (label, _) in after.iter().filter(|(_, key)| is_new(key)) {
        let is_first = first.iter().any(|pattern| matches(pattern, label));
        let follows = first.iter().any(|pattern| place(pattern) < place(label));
        // Prices are read beside the tests, and reach reports.
        assert!(is_first || follows, "{what}: why is the key of {label} another?");
    }
}

/// Holds the keys after a change of who compares pairs against those before it: the ones that have to be others are, and but for the
/// reports no other is.
fn expect_pairs(
    what: &str,
    before: &BTreeMap<String, Option<String>>,
    after: &BTreeMap<String, Option<String>>,
    first: &[&str],
) {
    let known: BTreeSet<&String> = before.values().flatten().collect();
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    for (label, key) in after {
        let is_new = key.as_ref().is_none_or(|key| !known.contains(key));
        let pattern = first.iter().find(|pattern| matches(pattern, label));
        reached.extend(pattern);
        let may_be = !first.is_empty() && REPORTED.iter().any(|pattern| matches(pattern, label));
        assert!(may_be || is_new == pattern.is_some(), "{what}: {label} has another key, or waits: {is_new}");
    }
    assert_eq!(reached.len(), first.len(), "{what}: {first:?} are not all there: {reached:?}");
}

fn project(url: &str) -> Project {
    let project = Project::in_memory();
    let items = [("a", "Ann"), ("b", "Rome")];
    let row =
        |(id, gold): (&str, &str)| format!("{{\"id\":\"{id}\",\"question\":\"Q{id}?\",\"answers\":[\"{gold}\"]}}\n");
    project.file("data/d.jsonl", items.map(row).concat());
    project.file("data/control.jsonl", "{\"id\":\"a\",\"text\":\"Ann\"}\n{\"id\":\"b\",\"text\":\"Paris\"}\n");
    project.file("data/brief.jsonl", "{\"id\":\"a\",\"text\":\"Anna\"}\n{\"id\":\"b\",\"text\":\"Rome\"}\n");
    let people = "item,item2,model,model2,arm,arm2,draw,draw2,answer,answer2,rater,rater2,verdict,verdict2\n\
                  a,a,,,,,,,Ann,Ann,ann,ann,good,good\nb,b,,,,,,,,,bob,bob,bad,bad\n";
    project.file("data/people.csv", people).file("data/copy.csv", people);
    project.file("data/people.tsv", people.replace(',', "\t"));
    let rubric = "Question: {{question}}\n{{gold}}\n{{answer}}\nCorrect or incorrect?\n";
    project.file("prompts/rubric.txt", rubric).file("prompts/copy.txt", rubric);
    project.file("prompts/strict.txt", format!("Strictly.\n{rubric}")).file("prompts/judge.txt", "You judge.\n");
    let script =
        "#!/bin/sh\nsed -E 's/^\\{\"item\":(\"[^\"]*\"),\"n\":([0-9]+),.*/{\"item\":\\1,\"n\":\\2,\"score\":1}/'\n";
    project.file("scorers/word.sh", script).file("scorers/other.sh", script);
    let pair = "{{question}}\n{{answer_a}}\n{{answer_b}}\nWhich is better?\n";
    project.file("prompts/pair.txt", pair).file("prompts/pair_copy.txt", pair);
    project.file("prompts/referee.txt", "You compare.\n").file("prompts/strict_pair.txt", format!("Strictly.\n{pair}"));
    project.file("data/word.txt", "Rome").file("data/words.txt", "Rome").file("prompts/brief.txt", "Be brief.\n");
    project.config(&config(url, None));
    project
}

#[test]
fn every_setting_of_people_judges_and_processes_counts_where_it_is_read() {
    let says = |_: &[String]| "Verdict: Correct\nBetter: first\nBetter: second".to_owned();
    let server = ModelServer::start(Options { says: Some(Arc::new(says)), ..Options::default() }, |_| None);
    let project = project(&server.origin());
    let built = project.json(&["build", "--yes"]);
    assert_eq!(built["state"], "complete", "{built:#}");
    let before = keys(&project);
    assert!(before.values().all(Option::is_some), "{before:#?}");
    let sent = server.sent();
    for (name, _, other, first) in SETTINGS {
        project.config(&config(&server.origin(), Some((*name, *other))));
        expect(&format!("{name}: {other}"), &before, &keys(&project), first);
    }
    project.config(&config(&server.origin(), None));
    for (path, from, to, first) in EDITS {
        let text = project.read(path);
        assert!(text.contains(from), "{path} does not hold {from:?}");
        project.file(path, text.replacen(from, to, 1));
        expect(&format!("{path}: {to:?}"), &before, &keys(&project), first);
        project.file(path, text);
    }
    for (name, _, other, first) in PAIR_SETTINGS {
        project.config(&config(&server.origin(), Some((*name, *other))));
        expect_pairs(&format!("{name}: {other}"), &before, &keys(&project), first);
    }
    project.config(&config(&server.origin(), None));
    for (path, from, to, first) in PAIR_EDITS {
        let text = project.read(path);
        assert!(text.contains(from), "{path} does not hold {from:?}");
        project.file(path, text.replacen(from, to, 1));
        expect_pairs(&format!("{path}: {to:?}"), &before, &keys(&project), first);
        project.file(path, text);
    }
    assert_eq!((keys(&project), server.sent()), (before, sent), "a plan asks nobody");
}

/// A key that is added to the language has a place in the table.
#[test]
fn no_setting_is_left_out() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let scorers =
        "/properties/datasets/anyOf/0/additionalProperties/properties/scorers/anyOf/0/items/anyOf/1/properties";
    let scorers = schema.pointer(scorers).unwrap();
    let of = |table: &Value| table["anyOf"][0]["properties"].as_object().unwrap().clone();
    for kind in ["labels", "judge", "judge_pairwise", "external"] {
        let mut names: Vec<String> = of(&scorers[kind]).keys().cloned().collect();
        if kind == "labels" {
            names.retain(|name| name != "fields");
            names.extend(of(&of(&scorers[kind])["fields"]).keys().map(|name| format!("fields.{name}")));
        }
        assert!(names.len() > 5, "{names:?}");
        for name in names {
            let name = format!("{kind}.{name}");
            let is_it = |known: &str| known == name || known.starts_with(&format!("{name}."));
            assert!(SETTINGS.iter().chain(PAIR_SETTINGS).any(|(known, ..)| is_it(known)), "`{name}` stands nowhere");
        }
    }
}
