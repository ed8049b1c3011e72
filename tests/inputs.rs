//! Every input counts, exactly where it is read; nothing else counts anywhere.
//!
//! A small project uses everything that the language has for embedded providers. For each input one byte or value is
//! changed and the project is built again. What has to run is worked out here and not in `exp`: by a model, written by
//! hand, of what each kind of action reads ([`World::model`]), and by a list of what each change must reach first
//! ([`Change::first`]). Scorers by people, models and processes are in `tests/scorer_inputs.rs`: there somebody has to be asked.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where what it reads is not as it should be.
#![allow(clippy::format_push_string, clippy::format_collect)] // It is not in a hurry.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use support::{Project, run};

/// The config; `<<name>>` stands for a setting.
const CONFIG: &str = r#"version: 1
providers:
  lexical: {kind: lexical, corpus: data/corpus.jsonl, threshold: <<threshold>>}
  <<replay.provider>>: {kind: replay}
models:
  - {name: <<reader.name>>, provider: lexical, model: <<reader.model>>, revision: <<reader.revision>>, price: {input: <<reader.input>>, output: <<reader.output>>, cached_input: <<reader.cached>>, cache_write: <<reader.write>>, long_prompt: {above: <<reader.above>>, input: <<reader.long_in>>, output: <<reader.long_out>>}, as_of: <<reader.as_of>>}}
  - name: <<recorded.name>>
    provider: <<replay.provider>>
    model: <<recorded.model>>
    revision: <<recorded.revision>>
    price: {input: <<recorded.input>>, output: <<recorded.output>>, batch: <<recorded.batch>>}
    recordings:
      <<open.name>>:
        control: {path: data/open_control.jsonl, join: <<join>>, fields: {key: <<key>>, text: <<text>>, input_tokens: <<in>>, output_tokens: <<out>>}}
        <<plain.name>>: {path: data/open_plain.jsonl, where: {kept: <<recorded.where>>}, join_lists: "<<join_lists>>", fields: {key: id, text: parts, input_tokens: in, output_tokens: out}}
      <<closed.name>>:
        control: {path: data/closed_control.csv, fields: {key: id, text: text}}
        treatment: {path: data/closed_plain.csv, fields: {key: id, text: text}}
datasets:
  <<open.name>>:
    path: data/open.jsonl
    book: <<open.book>>
    fields: {id: <<open.id>>, question: <<open.question>>, answers: <<open.answers>>, context: <<open.context>>, unanswerable: <<open.none>>, group: <<open.group>>}
    max_items: <<open.max_items>>
    duplicate_ids: <<open.duplicate_ids>>
    answer: {extract: '<<extract>>', pick: <<pick>>, if_absent: <<if_absent>>}
    scorers:
      - qa: {support: <<qa.support>>, threshold: <<qa.threshold>>, min_token_overlap: <<qa.overlap>>}
      - includes: {name: <<includes.name>>, ignore_case: <<includes.case>>, words: <<includes.words>>}
      - numeric: {pick: <<numeric.pick>>, tolerance: <<numeric.tolerance>>, relative_tolerance: <<numeric.relative>>}
  <<closed.name>>:
    path: data/closed.csv
    fields: {id: id, question: question, answers: answers, group: group}
    split: "<<closed.split>>"
    where: {keep: {not: "<<closed.where>>"}}
    max_output_tokens: <<closed.max>>
    scorers:
      - exact: {ignore_case: <<exact.case>>, trim: <<exact.trim>>}
      - regex: {name: word, pattern: '<<regex.pattern>>', full: <<regex.full>>}
      - squad
      - choice: {options: [<<choice.option>>, '1622'], gold: <<choice.gold>>}
      - choice: {name: picked, options: <<choice.field>>}
      - json: {compare: <<json.compare>>, paths: [<<json.paths>>], ignore_case: <<json.case>>}
task_instructions: {open_book: prompts/open.txt, closed_book: prompts/closed.txt}
control: prompts/control.txt
prompt_sets:
  <<plain.name>>: {treatment: {system: prompts/plain.txt, prefill: prompts/prefill.txt}}
  <<shots.name>>: {treatment: {system: prompts/control.txt, user: prompts/user.txt, examples: prompts/shots.jsonl}}
  <<talk.name>>: {treatment: {messages: prompts/talk.jsonl}, control: {system: prompts/other.txt, draw_salt: <<salt>>}}
decoding: {temperature: <<cold.temperature>>, max_output_tokens: <<max>>}
trials:
  - {model: <<reader.name>>, prompt_set: <<plain.name>>, decoding: {name: cold, draws: <<cold.draws>>}}
  - {model: <<reader.name>>, prompt_set: <<shots.name>>, decoding: {name: warm, temperature: <<warm.temperature>>, draws: <<warm.draws>>, seed: <<warm.seed>>}}
  - {model: <<reader.name>>, prompt_set: <<talk.name>>, decoding: {name: cold, draws: <<cold.draws>>}}
  - {model: <<recorded.name>>, prompt_set: <<plain.name>>, decoding: {name: full, temperature: <<full.temperature>>, top_p: <<full.top_p>>, top_k: <<full.top_k>>, min_p: <<full.min_p>>, max_output_tokens: {open_book: <<full.open>>, closed_book: <<full.closed>>}, frequency_penalty: <<full.frequency>>, presence_penalty: <<full.presence>>, effort: <<full.effort>>, stop: [<<full.stop>>], seed: <<full.seed>>}}
outcomes: {length: <<outcomes.length>>, refusal: <<outcomes.refusal>>, content_filter: <<outcomes.filter>>, empty: <<outcomes.empty>>, no_answer: <<outcomes.no_answer>>}
analysis:
  primary: [<<open.name>>.<<primary>>, <<closed.name>>.exact]
  alpha: <<alpha>>
  multiplicity: <<multiplicity>>
  cluster: <<cluster>>
  margins: {<<open.name>>.em: <<margin>>}
  bootstrap_samples: <<bootstrap>>
  permutation_samples: <<permutation>>
  seed: <<analysis.seed>>
  risk_thresholds: [<<risk>>, 0.5]
  wilcoxon_zeros: <<zeros>>
  subgroups: [<<subgroup>>]
  power: <<power>>
  targets: [<<target>>]
optional: {enable_unsupported_sensitivity: <<opt.support>>, enable_mixed_effects: <<opt.mixed>>, enable_power_analysis: <<opt.power>>, enable_cost_effectiveness: <<opt.cost>>}
reuse: {generation: {control: <<control.generation>>, treatment: <<treatment.generation>>}, redraws: config/redraws.jsonl}
parts_per_dataset: <<parts>>
"#;

const FILES: &[(&str, &str)] = &[
    (
        "config/redraws.jsonl",
        "{\"request\":\"blake3:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f\",\"times\":1,\"status\":[\"refusal\"]}\n",
    ),
    (
        "data/open.jsonl",
        r#"{"id":"o1","question":"Who built the mill at Varn?","answers":["Ada Pell"],"context":"The mill at Varn was built by Ada Pell in 1801. It burned in 1850.","group":"mill","none":false,"era":"old","hard":false,"note":"x1","same":"o1","twin":"o1"}
{"id":"o2","question":"When did the mill burn?","answers":["1850"],"context":"The mill at Varn was built by Ada Pell in 1801. It burned in 1850.","group":"mill","none":false,"era":"old","hard":true,"note":"x2","same":"o2","twin":"o2"}
{"id":"o3","question":"Who painted the barn?","answers":[],"context":"The barn stands by the river Oss. It holds 40 cows.","group":"barn","none":true,"era":"new","hard":true,"note":"x3","same":"o3","twin":"o3"}
{"id":"o4","question":"How many cows does the barn hold?","answers":["40"],"context":"The barn stands by the river Oss. It holds 40 cows.","group":"barn","none":false,"era":"new","hard":false,"note":"x4","same":"o4","twin":"o4"}
{"id":"o5","question":"Where does the barn stand?","answers":["by the river Oss"],"context":"The barn stands by the river Oss. It holds 40 cows.","group":"barn","none":false,"era":"new","hard":false,"note":"x5","same":"o9","twin":"o1"}
"#,
    ),
    (
        "data/closed.csv",
        "id,question,answers,group,era,keep\n\
         c1,Who founded Tarrow?,Mina Holt|Holt,t,old,yes\n\
         c2,When was Tarrow founded?,1622,t,old,yes\n\
         c3,Where is the Kessel bridge?,in Tarrow|Tarrow,k,new,yes\n\
         c4,How long is the Kessel bridge?,310 metres,k,new,no\n\
         c5,Who designed the Kessel bridge?,Jon Abel,k,new,yes\n",
    ),
    (
        "data/corpus.jsonl",
        r#"{"title":"Tarrow","text":"Tarrow was founded by Mina Holt in 1622. It has a market."}
{"title":"Kessel","text":"The Kessel bridge in Tarrow was designed by Jon Abel. It is 310 metres long."}
"#,
    ),
    (
        "data/open_control.jsonl",
        r#"{"id":"o1","alt":"o1","text":"Ada Pell","also":"Ada","in":11,"out":2}
{"id":"o2","alt":"o2","text":"In 1850.","also":"1850","in":12,"out":3}
{"id":"o3","alt":"o3","text":"unknown","also":"no","in":13,"out":1}
{"id":"o4","alt":"o4","text":"40 cows","also":"40","in":14,"out":2}
{"id":"o5","alt":"o5","text":"the river Oss","also":"Oss","in":15,"out":3}
{"id":"o9","alt":"o9","text":"by the river","also":"Oss","in":15,"out":3}
"#,
    ),
    (
        "data/open_plain.jsonl",
        r#"{"id":"o1","parts":["Ada","Pell"],"in":21,"out":2,"kept":1}
{"id":"o1","parts":["never read"],"in":21,"out":2,"kept":2}
{"id":"o2","parts":["1850"],"in":22,"out":1,"kept":1}
{"id":"o3","parts":["I do not know"],"in":23,"out":4,"kept":1}
{"id":"o4","parts":["41"],"in":24,"out":1,"kept":1}
{"id":"o5","parts":["by the","river Oss"],"in":25,"out":4,"kept":1}
{"id":"o9","parts":["of no item"],"in":25,"out":4,"kept":1}
"#,
    ),
    ("data/closed_control.csv", "id,text\nc1,Mina Holt\nc2,in 1622\nc3,Tarrow\nc4,310\nc5,Jon Abel\n"),
    ("data/closed_plain.csv", "id,text\nc1,Holt\nc2,1622\nc3,here\nc4,300\nc5,Abel\n"),
    ("prompts/open.txt", "Answer from the passage, briefly; if it is not there say: I don't know.\n"),
    ("prompts/closed.txt", "Answer briefly; if you do not know, say: I don't know.\n"),
    ("prompts/control.txt", "You answer questions.\n"),
    ("prompts/plain.txt", "You copy the exact span and nothing else.\n"),
    ("prompts/prefill.txt", "Answer:\n"),
    ("prompts/other.txt", "You are asked again.\n"),
    ("prompts/user.txt", "Era {{era}}\nQUESTION:\n{{question}}\n"),
    ("prompts/shots.jsonl", "{\"question\":\"Who sang?\",\"era\":\"old\",\"answer\":\"Lee\",\"aside\":\"a\"}\n"),
    (
        "prompts/talk.jsonl",
        "{\"role\":\"system\",\"content\":\"Reply in one word.\"}\n{\"role\":\"user\",\"content\":\"Now: {{question}}\"}\n",
    ),
];

/// One change of a setting: its name, its value, another value, and the actions that have to run whatever comes of it.
type Setting = (&'static str, &'static str, &'static str, &'static [&'static str]);

const OPEN: &[&str] = &["prepare/open"];
const CLOSED: &[&str] = &["prepare/closed"];
const FULL: &[&str] = &["build/recorded/full/*/*/*", "infer/recorded/full/*/*/*", "report/recorded-*", "aggregate"];
const WARM: &[&str] = &["build/reader/warm/*/*/*", "infer/reader/warm/*/*/*", "report/reader-shots-*", "aggregate"];
const REPLAYED: &[&str] = &["build/recorded/full/open/control/*"];
const REPLAYED_PLAIN: &[&str] = &["build/recorded/full/open/plain/*"];
const PARSED: &[&str] = &["parse/*/*/open/*/*"];
const SCORED: &[&str] = &["score/*/*/open/*/*"];
const SCORED_CLOSED: &[&str] = &["score/*/*/closed/*/*"];
const SCORED_ALL: &[&str] = &["score/*/*/*/*/*"];
const TESTED: &[&str] = &["stats/*"];
const PRICED: &[&str] = &["costs/reader-*", "report/reader-*", "aggregate"];
const PRICED_RECORDED: &[&str] = &["costs/recorded-*", "report/recorded-*", "aggregate"];

#[rustfmt::skip] // A table: one input a line.
const SETTINGS: &[Setting] = &[
    ("threshold", "0.3", "0.31", &["build/reader/*/*/*/*", "infer/reader/*/*/*/*"]),
    ("replay.provider", "tape", "tapes", &["build/recorded/*/*/*/*", "infer/recorded/*/*/*/*", "costs/recorded-*"]),
    ("reader.name", "reader", "lector", &["report/lector-*", "aggregate"]),
    ("reader.model", "base", "case", &["build/reader/*/*/*/*", "infer/reader/*/*/*/*", "costs/reader-*"]),
    ("reader.revision", "r1", "r2", &["build/reader/*/*/*/*", "infer/reader/*/*/*/*"]),
    ("reader.input", "1.5", "1.6", PRICED),
    ("reader.output", "6", "7", PRICED),
    ("reader.cached", "0.5", "0.4", &["costs/reader-*"]),
    ("reader.write", "2", "1.9", &["costs/reader-*"]),
    ("reader.above", "30", "31", &["costs/reader-*"]),
    ("reader.long_in", "3", "2", &["costs/reader-*"]),
    ("reader.long_out", "12", "11", &["costs/reader-*"]),
    ("reader.as_of", "2026-11-01", "2026-11-02", PRICED),
    ("recorded.name", "recorded", "taped", &["report/taped-*", "aggregate"]),
    ("recorded.model", "m1", "m2", &["build/recorded/*/*/*/*", "infer/recorded/*/*/*/*", "costs/recorded-*"]),
    ("recorded.revision", "r1", "r2", &["build/recorded/*/*/*/*", "infer/recorded/*/*/*/*"]),
    ("recorded.input", "2", "3", PRICED_RECORDED),
    ("recorded.output", "8", "9", PRICED_RECORDED),
    ("recorded.batch", "0.5", "0.4", &["costs/recorded-*"]),
    ("join", "id", "twin", REPLAYED),
    ("key", "id", "alt", REPLAYED),
    ("text", "text", "also", REPLAYED),
    ("in", "in", "out", REPLAYED),
    ("out", "out", "in", REPLAYED),
    ("recorded.where", "1", "{not: 2}", REPLAYED_PLAIN),
    ("join_lists", " ", "-", REPLAYED_PLAIN),
    ("open.name", "open", "opus", &["build/recorded/*/opus/*/*", "infer/recorded/*/opus/*/*", "merge/*", "stats/*", "costs/*"]),
    ("open.book", "open", "closed", &["build/*/*/open/*/*", "score/*/*/open/*/*", "merge/*", "stats/*", "costs/*"]),
    ("open.id", "id", "same", OPEN),
    ("open.question", "question", "note", OPEN),
    ("open.answers", "answers", "note", OPEN),
    ("open.context", "context", "note", OPEN),
    ("open.none", "none", "hard", OPEN),
    ("open.group", "group", "era", OPEN),
    ("open.max_items", "5", "4", OPEN),
    ("open.duplicate_ids", "error", "number", OPEN),
    ("extract", r"(?i)^(.+?)\.?$", r"(?i)^(.+)\.?$", PARSED),
    ("pick", "last", "first", PARSED),
    ("if_absent", "whole", "missing", PARSED),
    ("qa.support", "overlap", "baseline", SCORED),
    ("qa.threshold", "0.5", "0.6", SCORED),
    ("qa.overlap", "0.6", "0.7", SCORED),
    ("includes.name", "within", "inside", &["score/*/*/open/*/*", "merge/*", "stats/*", "costs/*"]),
    ("includes.case", "true", "false", SCORED),
    ("includes.words", "true", "false", SCORED),
    ("numeric.pick", "last", "first", SCORED),
    ("numeric.tolerance", "0", "1", SCORED),
    ("numeric.relative", "0", "0.01", SCORED),
    ("closed.name", "closed", "shut",
        &["build/recorded/*/shut/*/*", "infer/recorded/*/shut/*/*", "merge/*", "stats/*", "costs/*"]),
    ("closed.split", "|", "/", CLOSED),
    ("closed.where", "no", "none", CLOSED),
    ("closed.max", "20", "21", &["build/*/*/closed/*/*", "infer/*/*/closed/*/*"]),
    ("exact.case", "false", "true", SCORED_CLOSED),
    ("exact.trim", "true", "false", SCORED_CLOSED),
    ("regex.pattern", "(?i){{answer}}", "{{answer}}", SCORED_CLOSED),
    ("regex.full", "false", "true", SCORED_CLOSED),
    ("choice.option", "Tarrow", "Yarrow", SCORED_CLOSED),
    ("choice.gold", "text_or_letter", "number", SCORED_CLOSED),
    ("choice.field", "[here, there]", "[there, here]", SCORED_CLOSED),
    ("json.compare", "equal", "subset", SCORED_CLOSED),
    ("json.paths", "a.b", "a.c", SCORED_CLOSED),
    ("json.case", "false", "true", SCORED_CLOSED),
    ("plain.name", "plain", "plane",
        &["build/recorded/*/*/plane/*", "infer/recorded/*/*/plane/*", "report/*-plane-*", "aggregate"]),
    ("shots.name", "shots", "shoots", &["report/*-shoots-*", "aggregate"]),
    ("talk.name", "talk", "talks", &["report/*-talks-*", "aggregate"]),
    ("salt", "a", "b", &["build/*/*/*/talk.control/*", "infer/*/*/*/talk.control/*"]),
    ("cold.temperature", "0", "0.1",
        &["build/reader/cold/*/*/*", "infer/reader/cold/*/*/*", "merge/*-cold", "stats/*-cold", "costs/*-cold", "report/*-cold", "aggregate"]),
    ("max", "40", "41", &["build/reader/*/open/*/*", "infer/reader/*/open/*/*", "report/reader-*", "aggregate"]),
    ("cold.draws", "1", "2", &["infer/reader/cold/*/*/*", "merge/*-cold", "report/*-cold", "aggregate"]),
    ("warm.temperature", "0.7", "0.71",
        &["build/reader/warm/*/*/*", "infer/reader/warm/*/*/*", "merge/*-warm", "stats/*-warm", "costs/*-warm", "report/*-warm", "aggregate"]),
    ("warm.draws", "2", "3",
        &["infer/reader/warm/*/*/*", "parse/reader/warm/*/*/*", "score/reader/warm/*/*/*", "merge/*-warm", "report/*-warm", "aggregate"]),
    ("warm.seed", "7", "per_draw", WARM),
    ("full.temperature", "0.3", "0.4",
        &["build/recorded/full/*/*/*", "infer/recorded/full/*/*/*", "merge/*-full", "stats/*-full", "costs/*-full", "report/*-full", "aggregate"]),
    ("full.top_p", "0.9", "0.8", FULL),
    ("full.top_k", "40", "41", FULL),
    ("full.min_p", "0.1", "0.2", FULL),
    ("full.open", "30", "31",
        &["build/recorded/full/open/*/*", "infer/recorded/full/open/*/*", "report/recorded-*", "aggregate"]),
    ("full.closed", "22", "23", &[]),
    ("full.frequency", "0.1", "-0.1", FULL),
    ("full.presence", "0.2", "0.3", FULL),
    ("full.effort", "low", "high", FULL),
    ("full.stop", "END", "FIN", FULL),
    ("full.seed", "per_draw", "5", FULL),
    ("outcomes.length", "wrong", "missing", SCORED_ALL),
    ("outcomes.refusal", "wrong", "as_is", SCORED_ALL),
    ("outcomes.filter", "missing", "wrong", SCORED_ALL),
    ("outcomes.empty", "wrong", "missing", SCORED_ALL),
    ("outcomes.no_answer", "missing", "wrong", SCORED_ALL),
    ("primary", "em", "f1", TESTED),
    ("alpha", "0.05", "0.1", &["stats/*", "costs/*", "report/*", "aggregate"]),
    ("multiplicity", "holm", "none", TESTED),
    ("cluster", "group", "none", &["stats/*", "costs/*", "aggregate"]),
    ("margin", "0.05", "0.06", TESTED),
    ("bootstrap", "200", "201", &["stats/*", "costs/*"]),
    ("permutation", "200", "201", &["stats/*", "aggregate"]),
    ("analysis.seed", "11", "12", &["stats/*", "costs/*", "aggregate"]),
    ("risk", "0.25", "0.3", TESTED),
    ("zeros", "wilcox", "pratt", TESTED),
    ("subgroup", "", "era", &["merge/*", "stats/*"]),
    ("power", "0.8", "0.9", TESTED),
    ("target", "0.05", "0.06", TESTED),
    ("opt.support", "true", "false", &["score/*/*/open/*/*", "stats/*"]),
    ("opt.mixed", "true", "false", TESTED),
    ("opt.power", "true", "false", TESTED),
    ("opt.cost", "true", "false", &["costs/*"]),
    ("control.generation", "0", "1", &["infer/*/*/*/control/*", "infer/*/*/*/talk.control/*"]),
    ("treatment.generation", "0", "1", &["infer/*/*/*/plain/*", "infer/*/*/*/shots/*", "infer/*/*/*/talk/*"]),
    ("parts", "2", "3", &["prepare/*"]),
];

/// What each kind of action reads of the settings. `*.x` holds for the dataset, model or decoding it is about.
mod reads {
    pub const PREPARE_OPEN: &[&str] = &[
        "open.id",
        "open.question",
        "open.answers",
        "open.context",
        "open.none",
        "open.group",
        "open.max_items",
        "open.duplicate_ids",
        "parts",
    ];
    pub const PREPARE_CLOSED: &[&str] = &["closed.split", "closed.where", "parts"];
    pub const READER: &[&str] = &["threshold", "reader.model", "reader.revision"];
    pub const RECORDED: &[&str] = &["replay.provider", "recorded.model", "recorded.revision"];
    pub const MAPPING_CONTROL: &[&str] = &["join", "key", "text", "in", "out"];
    pub const MAPPING_PLAIN: &[&str] = &["recorded.where", "join_lists"];
    pub const PARSE_OPEN: &[&str] = &["extract", "pick", "if_absent"];
    pub const SCORE_OPEN: &[&str] = &[
        "qa.support",
        "qa.threshold",
        "qa.overlap",
        "includes.name",
        "includes.case",
        "includes.words",
        "numeric.pick",
        "numeric.tolerance",
        "numeric.relative",
        "open.book",
    ];
    pub const SCORE_CLOSED: &[&str] = &[
        "exact.case",
        "exact.trim",
        "regex.pattern",
        "regex.full",
        "choice.option",
        "choice.gold",
        "choice.field",
        "json.compare",
        "json.paths",
        "json.case",
    ];
    pub const OUTCOMES: &[&str] =
        &["outcomes.length", "outcomes.refusal", "outcomes.filter", "outcomes.empty", "outcomes.no_answer"];
    pub const TABLES: &[&str] = &["open.name", "open.book", "includes.name", "closed.name"];
    pub const ANALYSIS: &[&str] = &[
        "primary",
        "alpha",
        "multiplicity",
        "cluster",
        "margin",
        "bootstrap",
        "permutation",
        "analysis.seed",
        "risk",
        "zeros",
        "subgroup",
        "power",
        "target",
        "opt.support",
        "opt.mixed",
        "opt.power",
    ];
    pub const COSTS: &[&str] = &["alpha", "bootstrap", "analysis.seed", "opt.cost"];
    pub const AGGREGATE: &[&str] = &["alpha", "permutation", "analysis.seed", "cluster"];
    pub const READER_PRICE: &[&str] = &[
        "reader.model",
        "reader.input",
        "reader.output",
        "reader.cached",
        "reader.write",
        "reader.above",
        "reader.long_in",
        "reader.long_out",
        "reader.as_of",
    ];
    pub const RECORDED_PRICE: &[&str] =
        &["replay.provider", "recorded.model", "recorded.input", "recorded.output", "recorded.batch"];

    pub fn sampling(decoding: &str) -> &'static [&'static str] {
        match decoding {
            "cold" => &["cold.temperature"],
            "warm" => &["warm.temperature", "warm.seed"],
            _ => &[
                "full.temperature",
                "full.top_p",
                "full.top_k",
                "full.min_p",
                "full.frequency",
                "full.presence",
                "full.effort",
                "full.stop",
                "full.seed",
            ],
        }
    }
}

/// Is the project as it is now.
#[derive(Clone)]
struct World {
    settings: BTreeMap<&'static str, String>,
    files: BTreeMap<&'static str, String>,
}

/// Is one action of a build: what `exp` says of it, and what the model says that it reads.
struct Node {
    label: String,
    key: String,
    verdict: String,
    /// Everything that decides its output, by the model.
    print: String,
    /// The actions whose outputs it reads.
    reads: Vec<String>,
}

/// Collects what an action reads.
struct Reading<'w> {
    world: &'w World,
    made: &'w BTreeMap<String, BTreeMap<String, String>>,
    print: Vec<String>,
    reads: Vec<String>,
}

impl Reading<'_> {
    fn say(&mut self, name: &str, value: impl AsRef<str>) {
        self.print.push(format!("{name}={}", value.as_ref()));
    }

    fn settings(&mut self, names: &[&str]) {
        for name in names {
            self.say(name, self.world.of(name));
        }
    }

    fn file(&mut self, name: &str, path: &str) {
        let digest = blake3::hash(self.world.files[path].as_bytes()).to_hex();
        self.say(name, format!("blake3:{digest}"));
    }

    #[track_caller]
    fn output(&mut self, name: &str, label: &str, output: &str) {
        let made = &self.made.get(label).unwrap_or_else(|| panic!("no action {label}"))[output];
        self.say(name, made);
        self.reads.push(label.to_owned());
    }
}

impl World {
    fn new() -> Self {
        let settings = SETTINGS.iter().map(|(name, value, ..)| (*name, (*value).to_owned())).collect();
        let files = FILES.iter().map(|(path, text)| (*path, (*text).to_owned())).collect();
        Self { settings, files }
    }

    fn of(&self, name: &str) -> &str {
        let value = &self.settings[name];
        // Quotes are spelling.
        value.trim_matches('"')
    }

    fn config(&self) -> String {
        let mut text = CONFIG.to_owned();
        for (name, value) in &self.settings {
            assert!(text.contains(&format!("<<{name}>>")), "{name} stands nowhere");
            text = text.replace(&format!("<<{name}>>"), value);
        }
        assert!(!text.contains("<<"), "{text}");
        text
    }

    fn write(&self, project: &Project) {
        project.config(&self.config());
        for (path, text) in &self.files {
            let unchanged = std::fs::read(project.path(path)).is_ok_and(|old| old == text.as_bytes());
            if !unchanged {
                project.file(path, text);
            }
        }
    }

    /// Says of a dataset, by its name in the config, which one it is.
    fn dataset(&self, name: &str) -> &'static str {
        if name == self.of("open.name") { "open" } else { "closed" }
    }

    fn is_open_book(&self, dataset: &str) -> bool {
        dataset == "open" && self.of("open.book") == "open"
    }

    /// The files of an arm, by what they are; and the arm's salt.
    fn arm(&self, arm: &str) -> (&'static [(&'static str, &'static str)], Option<&str>) {
        let control = format!("{}.control", self.of("talk.name"));
        match arm {
            "control" => (&[("system", "prompts/control.txt")], None),
            _ if arm == self.of("plain.name") => {
                (&[("system", "prompts/plain.txt"), ("prefill", "prompts/prefill.txt")], None)
            }
            _ if arm == self.of("shots.name") => (
                &[("system", "prompts/control.txt"), ("user", "prompts/user.txt"), ("examples", "prompts/shots.jsonl")],
                None,
            ),
            _ if arm == self.of("talk.name") => (&[("messages", "prompts/talk.jsonl")], None),
            _ if arm == control => (&[("system", "prompts/other.txt")], Some(self.of("salt"))),
            _ => panic!("no arm {arm}"),
        }
    }

    /// Works out what every action of a build reads, given what the actions before it made.
    fn model(&self, manifest: &Value) -> Vec<Node> {
        let actions = manifest["actions"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut made: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for action in actions {
            let outputs = action["outputs"].as_array().unwrap();
            let outputs = outputs.iter().map(|output| (text(&output["name"]), text(&output["blob"]))).collect();
            assert!(made.insert(text(&action["label"]), outputs).is_none(), "two actions are called {action}");
        }
        let trials: BTreeMap<String, (String, String)> = manifest["trials"]
            .as_array()
            .unwrap()
            .iter()
            .map(|trial| (text(&trial["slug"]), (text(&trial["trial"]["model"]), text(&trial["trial"]["prompt_set"]))))
            .collect();
        let nodes = actions.iter().map(|action| {
            let label = text(&action["label"]);
            let mut reading = Reading { world: self, made: &made, print: Vec::new(), reads: Vec::new() };
            let parts: Vec<&str> = label.split('/').collect();
            reading.say("step", parts[0]);
            match parts.as_slice() {
                ["prepare", dataset] => reading.prepare(dataset),
                [step, model, decoding, dataset, arm, part] => {
                    let scope = [*model, decoding, dataset, arm, part];
                    match *step {
                        "build" => reading.build(&scope),
                        "infer" => reading.infer(&scope),
                        "parse" => reading.parse(&scope),
                        "score" => reading.score(&scope),
                        _ => panic!("{label}"),
                    }
                }
                [step @ ("merge" | "stats" | "costs" | "report"), slug] => reading.trial(step, slug, &trials[*slug]),
                ["aggregate"] => {
                    for (slug, trial) in &trials {
                        reading.label(slug, trial);
                        reading.output(slug, &format!("stats/{slug}"), "significance.json");
                        reading.output(slug, &format!("stats/{slug}"), "differences");
                        reading.output(slug, &format!("costs/{slug}"), "costs.json");
                    }
                    reading.settings(reads::AGGREGATE);
                }
                _ => panic!("{label}"),
            }
            let Reading { print, reads, .. } = reading;
            let (key, verdict) = (text(&action["key"]), text(&action["verdict"]));
            Node { label, key, verdict, print: print.join("\n"), reads }
        });
        nodes.collect()
    }

    /// The decoding and the draws of a trial.
    fn decoding(&self, (model, set): &(String, String)) -> (&'static str, &str) {
        if *model == self.of("recorded.name") {
            ("full", "1")
        } else if *set == self.of("shots.name") {
            ("warm", self.of("warm.draws"))
        } else {
            ("cold", self.of("cold.draws"))
        }
    }
}

impl Reading<'_> {
    fn prepare(&mut self, dataset: &str) {
        if self.world.dataset(dataset) == "open" {
            self.settings(reads::PREPARE_OPEN);
            self.file("source", "data/open.jsonl");
        } else {
            self.settings(reads::PREPARE_CLOSED);
            self.file("source", "data/closed.csv");
        }
    }

    fn build(&mut self, [model, decoding, name, arm, part]: &[&str; 5]) {
        let dataset = self.world.dataset(name);
        let open = self.world.is_open_book(dataset);
        self.output("items", &format!("prepare/{name}"), &format!("items/{part}"));
        let (files, salt) = self.world.arm(arm);
        for (what, path) in files {
            self.file(what, path);
        }
        if !files.iter().any(|(what, _)| matches!(*what, "user" | "messages")) {
            self.file("instructions", if open { "prompts/open.txt" } else { "prompts/closed.txt" });
        }
        self.say("frame", if open { "open" } else { "closed" });
        self.say("salt", salt.unwrap_or("none"));
        self.settings(reads::sampling(decoding));
        let by_book = if open { "full.open" } else { "full.closed" };
        let limit = match (dataset, *decoding) {
            ("closed", _) => "closed.max",
            (_, "full") => by_book,
            _ => "max",
        };
        self.say("limit", self.world.of(limit));
        if *model == self.world.of("reader.name") {
            self.settings(reads::READER);
            self.file("corpus", "data/corpus.jsonl");
            return;
        }
        self.settings(reads::RECORDED);
        self.say("dataset", name);
        self.say("arm", arm);
        let (path, mapping): (_, &[&str]) = match (dataset, *arm == "control") {
            ("open", true) => ("data/open_control.jsonl", reads::MAPPING_CONTROL),
            ("open", false) => ("data/open_plain.jsonl", reads::MAPPING_PLAIN),
            (_, true) => ("data/closed_control.csv", &[]),
            (_, false) => ("data/closed_plain.csv", &[]),
        };
        self.settings(mapping);
        self.file("recordings", path);
    }

    fn infer(&mut self, scope: &[&str; 5]) {
        self.output("requests", &format!("build/{}", scope.join("/")), "requests");
        let draws = match scope[1] {
            "cold" => self.world.of("cold.draws"),
            "warm" => self.world.of("warm.draws"),
            _ => "1",
        };
        self.say("draws", draws);
        let is_control = scope[3] == "control" || scope[3].ends_with(".control");
        self.settings(&[if is_control { "control.generation" } else { "treatment.generation" }]);
        self.file("redraws", "config/redraws.jsonl");
    }

    fn parse(&mut self, scope: &[&str; 5]) {
        self.output("answers", &format!("infer/{}", scope.join("/")), "answers");
        if self.world.dataset(scope[2]) == "open" {
            self.settings(reads::PARSE_OPEN);
        }
    }

    fn score(&mut self, scope: &[&str; 5]) {
        self.output("parsed", &format!("parse/{}", scope.join("/")), "parsed");
        self.output("gold", &format!("prepare/{}", scope[2]), &format!("gold/{}", scope[4]));
        let open = self.world.dataset(scope[2]) == "open";
        self.settings(if open { reads::SCORE_OPEN } else { reads::SCORE_CLOSED });
        if self.world.is_open_book(self.world.dataset(scope[2])) {
            self.settings(&["opt.support"]);
        }
        self.settings(reads::OUTCOMES);
    }

    fn label(&mut self, slug: &str, trial: &(String, String)) {
        let (decoding, draws) = self.world.decoding(trial);
        self.say("trial", format!("{slug} {} {} {draws}", trial.0, trial.1));
        self.settings(reads::sampling(decoding));
        if decoding != "full" {
            self.settings(&["max"]);
        }
    }

    fn trial(&mut self, step: &str, slug: &str, trial: &(String, String)) {
        let (decoding, draws) = self.world.decoding(trial);
        let temperature = format!("{decoding}.temperature");
        let recorded = decoding == "full";
        match step {
            "merge" => {
                self.say("temperature", self.world.of(&temperature));
                self.say("draws", draws);
                self.settings(reads::TABLES);
                self.settings(&["subgroup"]);
                self.tables(decoding, trial);
            }
            "stats" => {
                self.say("temperature", self.world.of(&temperature));
                self.settings(reads::TABLES);
                self.settings(reads::ANALYSIS);
                self.output("paired", &format!("merge/{slug}"), "paired");
            }
            "costs" => {
                self.settings(reads::COSTS);
                if self.world.of("opt.cost") == "true" {
                    self.say("temperature", self.world.of(&temperature));
                    self.settings(reads::TABLES);
                    self.settings(&["cluster"]);
                }
                self.settings(if recorded { reads::RECORDED_PRICE } else { reads::READER_PRICE });
                self.output("paired", &format!("merge/{slug}"), "paired");
            }
            _ => {
                self.label(slug, trial);
                self.settings(&["alpha"]);
                self.output("significance", &format!("stats/{slug}"), "significance.json");
                self.output("costs", &format!("costs/{slug}"), "costs.json");
                let is_judged = self.world.is_open_book("open") && self.world.of("opt.support") == "true";
                for (is_made, step, name) in [
                    (self.world.of("opt.power") == "true", "stats", "power_analysis"),
                    (self.world.of("opt.mixed") == "true", "stats", "mixed_models"),
                    (is_judged, "stats", "unsupported_sensitivity"),
                    (self.world.of("opt.cost") == "true", "costs", "cost_effectiveness"),
                ] {
                    if is_made {
                        self.output(name, &format!("{step}/{slug}"), &format!("{name}.json"));
                    }
                }
                for (side, arm) in self.sides(&trial.1) {
                    for (what, path) in self.world.arm(&arm).0 {
                        self.file(&format!("{side}/{what}"), path);
                    }
                    for name in ["open.name", "closed.name"].map(|name| self.world.of(name).to_owned()) {
                        let outputs: Vec<String> = self.made[&format!("prepare/{name}")].keys().cloned().collect();
                        for part in outputs.iter().filter_map(|output| output.strip_prefix("gold/")) {
                            let infer = format!("infer/{}/{decoding}/{name}/{arm}/{part}", trial.0);
                            self.output(&format!("redraws/{side}/{name}/{part}"), &infer, "redraws");
                        }
                    }
                }
            }
        }
    }

    fn sides(&self, set: &str) -> [(&'static str, String); 2] {
        let control = if set == self.world.of("talk.name") { format!("{set}.control") } else { "control".to_owned() };
        [("control", control), ("treatment", set.to_owned())]
    }

    fn tables(&mut self, decoding: &str, trial: &(String, String)) {
        for name in ["open.name", "closed.name"].map(|name| self.world.of(name).to_owned()) {
            let prepare = format!("prepare/{name}");
            let outputs: Vec<String> = self.made[&prepare].keys().cloned().collect();
            self.output("order", &prepare, "order");
            for part in outputs.iter().filter_map(|output| output.strip_prefix("gold/")) {
                self.output("gold", &prepare, &format!("gold/{part}"));
                if !self.world.of("subgroup").is_empty() {
                    self.output("items", &prepare, &format!("items/{part}"));
                }
                for (side, arm) in self.sides(&trial.1) {
                    let scope = format!("{}/{decoding}/{name}/{arm}/{part}", trial.0);
                    self.output(&format!("parsed/{side}/{name}/{part}"), &format!("parse/{scope}"), "parsed");
                    self.output(&format!("scores/{side}/{name}/{part}"), &format!("score/{scope}"), "scores");
                }
            }
        }
    }
}

/// Is one changed input: what is changed, and which actions have to run whatever comes of it.
struct Change {
    name: String,
    first: Vec<String>,
    apply: Box<dyn Fn(&mut World)>,
}

impl Change {
    fn setting(&(name, _, other, first): &Setting) -> Self {
        let apply = move |world: &mut World| drop(world.settings.insert(name, other.to_owned()));
        Self { name: format!("{name}: {other}"), first: strings(first), apply: Box::new(apply) }
    }

    fn edit(path: &'static str, from: &'static str, to: &'static str, first: &[&str]) -> Self {
        let apply = move |world: &mut World| {
            let text = world.files.get_mut(path).unwrap();
            assert!(text.contains(from), "{path} does not hold {from:?}");
            *text = text.replacen(from, to, 1);
        };
        Self { name: format!("{path}: {from:?} -> {to:?}"), first: strings(first), apply: Box::new(apply) }
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Matches a label: `*` stands for any run of characters but `/`.
fn matches(pattern: &str, label: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == label,
        Some((head, tail)) => label.strip_prefix(head).is_some_and(|rest| {
            let end = rest.find('/').unwrap_or(rest.len());
            (0..=end).filter(|at| rest.is_char_boundary(*at)).any(|at| matches(tail, &rest[at..]))
        }),
    }
}

/// Is a project that is built again and again, and all that was seen of it.
struct Lab {
    project: Project,
    builds: usize,
    key_of: BTreeMap<String, String>,
    print_of: BTreeMap<String, String>,
    root_of: BTreeMap<String, String>,
    base: Vec<Node>,
    base_root: String,
}

impl Lab {
    fn new() -> Self {
        let mut lab = Self {
            project: Project::in_memory(),
            builds: 0,
            key_of: BTreeMap::new(),
            print_of: BTreeMap::new(),
            root_of: BTreeMap::new(),
            base: Vec::new(),
            base_root: String::new(),
        };
        let (nodes, ran, root) = lab.build(&World::new(), "the project as it is");
        assert_eq!(ran.len(), nodes.len());
        assert_eq!(nodes.len(), 147);
        lab.base = nodes;
        lab.base_root = root;
        lab
    }

    /// Builds, compares verdicts with the model, and returns the actions, the labels of those that ran, and the root.
    fn build(&mut self, world: &World, what: &str) -> (Vec<Node>, BTreeSet<String>, String) {
        world.write(&self.project);
        self.builds += 1;
        let built = self.project.json(&["build", "--run-id", &format!("b{}", self.builds)]);
        assert_eq!(built["state"], "complete", "{what}: {built:#}");
        let manifest = self.project.manifest(&built);
        let nodes = world.model(&manifest);
        let is_new: BTreeSet<String> =
            nodes.iter().filter(|node| !self.print_of.contains_key(&node.key)).map(|node| node.key.clone()).collect();
        let mut ran: BTreeMap<&str, usize> = BTreeMap::new();
        for node in &nodes {
            // The key is new where the model says so, and only there.
            let expected = !self.key_of.contains_key(&node.print);
            let verdict = is_new.contains(&node.key);
            assert_eq!(verdict, expected, "{what}: is {} new? The model says {expected}:\n{}", node.label, node.print);
            // What runs is what is new: once, under one of the names that it has in this build.
            assert!(node.verdict == "hit" || node.verdict == "ran", "{what}: {} {}", node.label, node.verdict);
            *ran.entry(&node.key).or_default() += usize::from(node.verdict == "ran");
        }
        for (key, count) in ran {
            assert_eq!(count, usize::from(is_new.contains(key)), "{what}: {key}");
        }
        for node in &nodes {
            let key = self.key_of.entry(node.print.clone()).or_insert_with(|| node.key.clone());
            assert_eq!(*key, node.key, "{what}: one reading, two keys: {}", node.label);
            let print = self.print_of.entry(node.key.clone()).or_insert_with(|| node.print.clone());
            assert_eq!(*print, node.print, "{what}: one key, two readings: {}", node.label);
        }
        let root = manifest["root"].as_str().unwrap().to_owned();
        let shown = serde_json::to_string(&manifest["views"]).unwrap();
        assert_eq!(*self.root_of.entry(shown).or_insert_with(|| root.clone()), root, "{what}");
        assert_eq!(self.root_of.values().filter(|other| **other == root).count(), 1, "{what}: one root, two results");
        let labels = nodes.iter().filter(|node| is_new.contains(&node.key)).map(|node| node.label.clone()).collect();
        assert_eq!(built["actions"]["executed"].as_u64().unwrap() as usize, is_new.len(), "{what}");
        (nodes, labels, root)
    }

    /// Builds with one change; returns the labels of what ran, and whether the root changed.
    fn try_change(&mut self, change: &Change) -> (BTreeSet<String>, bool) {
        let mut world = World::new();
        // What an earlier build concluded of the project as it is must not answer for the change.
        world.write(&self.project);
        assert_eq!(self.project.json(&["build"])["up_to_date"], true);
        assert!(self.project.conclusions() > 0, "{}", change.name);
        (change.apply)(&mut world);
        let (nodes, ran, root) = self.build(&world, &change.name);
        let must: Vec<String> = change.first.iter().map(|pattern| self.with_parts(pattern)).collect();
        for pattern in &must {
            let reached: Vec<&Node> = nodes.iter().filter(|node| matches(pattern, &node.label)).collect();
            assert!(!reached.is_empty(), "{}: nothing is called {pattern}", change.name);
            for node in reached {
                assert!(ran.contains(&node.label), "{}: {} did not run", change.name, node.label);
            }
        }
        // What else ran read something that is not as it was: nothing runs out of the blue.
        let before: BTreeSet<&str> = self.base.iter().map(|node| node.key.as_str()).collect();
        let other = |node: &&Node| !before.contains(node.key.as_str());
        let differs: BTreeSet<&str> = nodes.iter().filter(other).map(|node| node.label.as_str()).collect();
        for node in nodes.iter().filter(|node| ran.contains(&node.label)) {
            let is_first = must.iter().any(|pattern| matches(pattern, &node.label));
            let follows = node.reads.iter().any(|label| differs.contains(label.as_str()));
            assert!(is_first || follows, "{}: why did {} run?", change.name, node.label);
        }
        assert_eq!(ran.is_empty(), change.first.is_empty(), "{}: {ran:?}", change.name);
        (ran, root != self.base_root)
    }

    /// Replaces `@o1` with the part that holds the item `o1`.
    fn with_parts(&self, pattern: &str) -> String {
        let Some((head, item)) = pattern.split_once('@') else { return pattern.to_owned() };
        let (item, rest) = item.split_at(2);
        let prepare = if item.starts_with('o') { "prepare/open" } else { "prepare/closed" };
        let manifest: Value =
            serde_json::from_str(&self.project.read("experiments/run_b1/multi_trial_manifest.json")).unwrap();
        let actions = manifest["actions"].as_array().unwrap();
        let action = actions.iter().find(|action| action["label"] == prepare).unwrap();
        let part = action["outputs"].as_array().unwrap().iter().find_map(|output| {
            let part = output["name"].as_str().unwrap().strip_prefix("items/")?;
            let blob = output["blob"].as_str().unwrap().strip_prefix("blake3:").unwrap();
            let text = self.project.read(&format!("store/blobs/{}/{}", &blob[..2], &blob[2..]));
            text.contains(&format!("{{\"id\":\"{item}\"")).then(|| part.to_owned())
        });
        format!("{head}{}{rest}", part.unwrap())
    }
}

/// Tries every `count`-th setting, from the `nth` on: the tests share the work.
fn try_settings(nth: usize, count: usize) {
    let mut lab = Lab::new();
    for setting in SETTINGS.iter().skip(nth).step_by(count) {
        lab.try_change(&Change::setting(setting));
    }
}

#[test]
fn every_setting_counts_where_it_is_read_first_half() {
    try_settings(0, 2);
}

#[test]
fn every_setting_counts_where_it_is_read_second_half() {
    try_settings(1, 2);
}

#[test]
fn every_prompt_and_recording_counts_where_it_is_read() {
    let mut lab = Lab::new();
    let e = Change::edit;
    let by_system = |arm: &str, trials: &[&str]| -> Vec<String> {
        let mut first = vec![format!("build/*/*/*/{arm}/*"), format!("infer/*/*/*/{arm}/*")];
        first.extend(trials.iter().map(|trial| format!("report/*-{trial}-*")));
        first
    };
    let first = |texts: &[String]| -> Vec<String> { texts.to_vec() };
    let prompts = [
        ("prompts/plain.txt", "exact", "exalt", by_system("plain", &["plain"])),
        ("prompts/plain.txt", "else.\n", "else.", {
            // The last newline is no part of the prompt, but of the file that the report describes.
            vec!["build/*/*/*/plain/*".to_owned(), "report/*-plain-*".to_owned()]
        }),
        ("prompts/prefill.txt", "Answer", "Answar", by_system("plain", &["plain"])),
        ("prompts/user.txt", "Era", "Ere", by_system("shots", &["shots"])),
        ("prompts/shots.jsonl", "Who sang?", "Who sank?", by_system("shots", &["shots"])),
        ("prompts/shots.jsonl", "old", "odd", by_system("shots", &["shots"])),
        ("prompts/shots.jsonl", "Lee", "Lea", by_system("shots", &["shots"])),
        ("prompts/shots.jsonl", "\"a\"", "\"b\"", {
            // A field of an example that nothing shows: the file is another, the requests are not.
            vec!["build/*/*/*/shots/*".to_owned(), "report/*-shots-*".to_owned()]
        }),
        ("prompts/talk.jsonl", "one word", "one ward", by_system("talk", &["talk"])),
        ("prompts/talk.jsonl", "Now", "How", by_system("talk", &["talk"])),
        ("prompts/talk.jsonl", "\"user\"", "\"assistant\"", by_system("talk", &["talk"])),
        ("prompts/other.txt", "again", "agaim", by_system("talk.control", &["talk"])),
        (
            "prompts/control.txt",
            "questions",
            "questionz",
            [by_system("control", &["plain", "shots"]), by_system("shots", &[])].concat(),
        ),
    ];
    for (path, from, to, expected) in prompts {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let (ran, changed) = lab.try_change(&e(path, from, to, &expected));
        assert!(changed, "{path}: the report describes the prompt");
        let is_quiet = expected.iter().all(|pattern| !pattern.starts_with("infer"));
        assert_eq!(is_quiet, !ran.iter().any(|label| label.starts_with("infer/")), "{path}: {ran:?}");
        assert!(!ran.iter().any(|label| label.starts_with("prepare/")), "{path}: {ran:?}");
    }
    // Instructions: all arms but those with a user turn of their own, in the datasets of that kind.
    for (path, dataset) in [("prompts/open.txt", "open"), ("prompts/closed.txt", "closed")] {
        let expected: Vec<String> = ["control", "plain", "talk.control"]
            .iter()
            .flat_map(|arm| ["build", "infer"].map(|step| format!("{step}/*/*/{dataset}/{arm}/*")))
            .collect();
        let expected = first(&expected);
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        lab.try_change(&e(path, "Answer", "Answar", &expected));
    }
    // A corpus is part of its reader's identity, whether or not a passage comes with the question.
    lab.try_change(&e("data/corpus.jsonl", "1622", "1623", &["build/reader/*/*/*/*", "infer/reader/*/*/*/*"]));
    // One edited recording misses one request: the part that holds it asks again, the other part's requests are the same.
    let recorded = [
        ("data/open_control.jsonl", "40 cows", "41 cows", "open/control", "o4"),
        ("data/open_control.jsonl", "\"in\":14", "\"in\":15", "open/control", "o4"),
        ("data/open_plain.jsonl", "\"Pell\"", "\"Bell\"", "open/plain", "o1"),
        ("data/open_plain.jsonl", "\"out\":2,\"kept\":1", "\"out\":3,\"kept\":1", "open/plain", "o1"),
        ("data/closed_control.csv", "in 1622", "in 1623", "closed/control", "c2"),
        ("data/closed_plain.csv", "c5,Abel", "c5,Abal", "closed/plain", "c5"),
    ];
    for (path, from, to, scope, item) in recorded {
        let build = format!("build/recorded/full/{scope}/*");
        let infer = format!("infer/recorded/full/{scope}/@{item}");
        let parse = format!("parse/recorded/full/{scope}/@{item}");
        let (ran, _) = lab.try_change(&e(path, from, to, &[&build, &infer, &parse]));
        assert_eq!(ran.iter().filter(|label| label.starts_with("infer/")).count(), 1, "{path}: {ran:?}");
    }
    // A line about a request that nobody asks: every `infer` reads the file, and none comes to anything else.
    let redraws = e("config/redraws.jsonl", "\"times\":1", "\"times\":2", &["infer/*/*/*/*/*"]);
    let (ran, changed) = lab.try_change(&redraws);
    assert!(ran.iter().all(|label| label.starts_with("infer/")) && !changed, "{ran:?}");
    // What no item is joined to, or no field names, is read and comes to nothing.
    for (path, from, to, scope) in [
        ("data/open_plain.jsonl", "of no item", "of my item", "open/plain"),
        ("data/open_plain.jsonl", "never read", "never bead", "open/plain"),
        ("data/open_control.jsonl", "\"Oss\"", "\"Ossa\"", "open/control"),
        ("data/closed_plain.csv", "c4,300", "c4,301", "closed/plain"),
    ] {
        let build = format!("build/recorded/full/{scope}/*");
        let (ran, changed) = lab.try_change(&e(path, from, to, &[&build]));
        assert!(ran.iter().all(|label| label.starts_with("build/")) && !changed, "{path}: {ran:?}");
    }
}

#[test]
fn every_field_of_an_item_counts_where_it_is_read() {
    let mut lab = Lab::new();
    let e = Change::edit;
    let path = "data/open.jsonl";
    let o1_asks: &[&str] = &["prepare/open", "build/*/*/open/*/@o1", "infer/*/*/open/*/@o1"];

    lab.try_change(&e(path, "Who built the mill", "Who built the hill", o1_asks));

    // The passage is read by the framed arms and by the scorers; `shots` and `talk` do not show it.
    let context =
        ["prepare/open", "build/*/*/open/*/@o1", "score/*/*/open/*/@o1", "merge/*", "infer/*/*/open/control/@o1"];
    let (ran, _) = lab.try_change(&e(path, "in 1801", "in 1802", &context));
    assert!(!ran.iter().any(|label| matches("infer/*/*/open/shots/*", label)), "{ran:?}");
    assert!(!ran.iter().any(|label| matches("infer/*/*/open/talk/*", label)), "{ran:?}");

    // A field that one template names.
    let era = ["prepare/open", "build/*/*/open/*/@o1", "infer/*/*/open/shots/@o1"];
    let (ran, _) = lab.try_change(&e(path, "\"old\"", "\"odd\"", &era));
    assert!(ran.iter().filter(|label| label.starts_with("infer/")).all(|label| label.contains("/shots/")), "{ran:?}");

    // A field that nothing names: its part is prepared and its requests are made again, and they are the same.
    let (ran, changed) = lab.try_change(&e(path, "x1", "y1", &["prepare/open", "build/*/*/open/*/@o1"]));
    assert!(ran.iter().all(|label| label.starts_with("prepare/") || label.starts_with("build/")), "{ran:?}");
    assert!(!changed);

    // Gold: nobody is asked again. Templates may name the group, so it is in the items too.
    for (from, to) in [("Ada Pell\"]", "Ada Bell\"]"), ("\"mill\"", "\"bill\""), ("\"none\":false", "\"none\":true")] {
        let is_group = from.contains("mill");
        let mut first = vec!["prepare/open", "score/*/*/open/*/@o1", "merge/*"];
        if is_group {
            first.push("build/*/*/open/*/@o1");
        }
        let (ran, _) = lab.try_change(&e(path, from, to, &first));
        assert!(!ran.iter().any(|label| label.starts_with("infer/") || label.starts_with("parse/")), "{ran:?}");
        assert_eq!(ran.iter().any(|label| label.starts_with("build/")), is_group, "{ran:?}");
    }

    let (ran, _) = lab.try_change(&e(path, "\"id\":\"o5\"", "\"id\":\"o9\"", &["prepare/open", "merge/*"]));
    assert!(ran.iter().any(|label| label.starts_with("infer/")), "{ran:?}");

    // White space between fields, and a blank line: the items are the same.
    for (from, to) in [("\"id\":\"o1\",", "\"id\": \"o1\", "), ("{\"id\":\"o2\"", "\n{\"id\":\"o2\"")] {
        let (ran, changed) = lab.try_change(&e(path, from, to, &["prepare/open"]));
        assert!(ran.len() == 1 && !changed, "{ran:?}");
    }

    // The order of rows is in the tables, and in nothing else.
    let swap = Change {
        name: "rows in another order".to_owned(),
        first: strings(&["prepare/open", "merge/*"]),
        apply: Box::new(|world| {
            let text = world.files.get_mut("data/open.jsonl").unwrap();
            let mut rows: Vec<&str> = text.lines().collect();
            rows.swap(0, 4);
            *text = rows.join("\n") + "\n";
        }),
    };
    let (ran, changed) = lab.try_change(&swap);
    assert!(!ran.iter().any(|label| label.matches('/').count() > 1), "{ran:?}");
    assert!(changed);

    let path = "data/closed.csv";
    let asks: &[&str] = &["prepare/closed", "build/*/*/closed/*/@c1", "infer/*/*/closed/*/@c1"];
    lab.try_change(&e(path, "founded Tarrow?", "found Tarrow?", asks));
    let gold: &[&str] = &["prepare/closed", "score/*/*/closed/*/@c1", "merge/*"];
    lab.try_change(&e(path, "Mina Holt|", "Mina Halt|", gold));
    lab.try_change(&e(path, "|Holt,t", "|Holt,u", gold));
    // A row that the condition leaves out, edited: the dataset is read again, and is the same.
    let (ran, _) = lab.try_change(&e(path, "310 metres", "311 metres", &["prepare/closed"]));
    assert_eq!(ran.len(), 1, "{ran:?}");
    // The same row, kept: one more item for every arm.
    let row: &[&str] = &["prepare/closed", "merge/*", "stats/*", "costs/*"];
    lab.try_change(&e(path, "k,new,no", "k,new,na", row));
}

#[test]
fn a_price_reaches_costs_and_reports_only_and_changes_the_root() {
    let mut lab = Lab::new();
    for name in ["reader.input", "reader.output", "reader.long_in", "recorded.output"] {
        let setting = SETTINGS.iter().find(|setting| setting.0 == name).unwrap();
        let (ran, changed) = lab.try_change(&Change::setting(setting));
        assert!(changed);
        let allowed = ["costs/", "report/", "aggregate"];
        assert!(ran.iter().all(|label| allowed.iter().any(|start| label.starts_with(start))), "{ran:?}");
    }
}

/// Builds and expects that nothing ran, nothing was sent, and the finished run was named.
#[track_caller]
fn expect_up_to_date(what: &str, output: &support::Output, root: &Value, run_id: &Value) {
    assert_eq!(output.code, 0, "{what}: {}", output.stderr);
    let built = output.json();
    assert_eq!(built["actions"]["executed"], 0, "{what}: {built:#}");
    assert_eq!(built["requests"]["sent"], 0, "{what}");
    assert_eq!(built["root"], *root, "{what}");
    assert_eq!(built["run_id"], *run_id, "{what}");
    assert_eq!(built["up_to_date"], true, "{what}");
}

#[test]
fn what_is_no_input_runs_nothing_and_keeps_the_root() {
    let project = Project::in_memory();
    let world = World::new();
    world.write(&project);
    let built = project.build();
    let (root, run_id) = (&built["root"], &built["run_id"]);
    let args = ["build", "--json"];
    let same = |what: &str| expect_up_to_date(what, &project.exp(&args), root, run_id);
    same("nothing");

    // The config: spelling, order, and what decides nothing.
    let config = world.config();
    let edit = |from: &str, to: &str| {
        assert!(config.contains(from), "{from}");
        config.replacen(from, to, 1)
    };
    let spellings = [
        ("a comment", format!("# about this experiment\n{config}# the end\n")),
        ("a comment within", edit("models:\n", "models:   # two of them\n\n")),
        ("quotes", edit("control: prompts/control.txt", "control: \"prompts/control.txt\"")),
        ("0.30 for 0.3", edit("threshold: 0.3", "threshold: 0.30")),
        ("an exponent", edit("top_p: 0.9", "top_p: 9e-1")),
        ("1.50 for 1.5", edit("input: 1.5", "input: 1.50")),
        (
            "order in a mapping",
            edit("{kind: lexical, corpus: data/corpus.jsonl, ", "{corpus: data/corpus.jsonl, kind: lexical, "),
        ),
        ("a sequence in block style", edit("stop: [END]", "stop: END")),
        ("a default said aloud", edit("max_items: 5\n", "max_items: 5\n    format: jsonl\n")),
        ("a field that is null", edit("max_items: 5\n", "max_items: 5\n    split: null\n")),
        ("Windows line ends", config.replace('\n', "\r\n")),
        ("a BOM", format!("\u{feff}{config}")),
        ("max_concurrent_jobs", format!("{config}max_concurrent_jobs: 1\n")),
        ("trusted_keys", format!("{config}trusted_keys: [config/absent.pub]\n")),
        ("the owner's alone", format!("{config}shared: owner\n")),
        ("max_concurrent_requests", format!("{config}max_concurrent_requests: 3\n")),
        ("max_failed", format!("{config}max_failed: 7\n")),
        ("budget", format!("{config}budget: {{max_usd: 5, confirm_above_usd: 1}}\n")),
        ("same_served_model", edit("redraws: ", "same_served_model: refuse, redraws: ")),
        ("a gap", edit("redraws: ", "max_gap_between_arms: {limit: 7d, then: warn}, redraws: ")),
        ("a model that no trial names", edit("models:\n", "models:\n  - {name: idle, provider: lexical}\n")),
        ("a prompt set that no trial names", edit("prompt_sets:\n", "prompt_sets:\n  idle: prompts/plain.txt\n")),
        (
            "a provider that no model names",
            edit("providers:\n", "providers:\n  idle: {kind: openai, base_url: 'http://127.0.0.1:1/v1'}\n"),
        ),
        ("the order of trials", {
            let (head, rest) = config.split_once("trials:\n").unwrap();
            let (trials, tail) = rest.split_once("outcomes:").unwrap();
            let reversed: Vec<&str> = trials.lines().rev().collect();
            format!("{head}trials:\n{}\noutcomes:{tail}", reversed.join("\n"))
        }),
        ("the order of keys", {
            let (head, tail) = config.split_once("models:\n").unwrap();
            let (version, providers) = head.split_once("providers:\n").unwrap();
            format!("{version}models:\n{tail}providers:\n{providers}")
        }),
        ("the order of datasets", {
            let (head, rest) = config.split_once("  open:\n    path").unwrap();
            let (open, rest) = rest.split_once("  closed:\n    path").unwrap();
            let (closed, tail) = rest.split_once("task_instructions").unwrap();
            format!("{head}  closed:\n    path{closed}  open:\n    path{open}task_instructions{tail}")
        }),
    ];
    for (what, text) in &spellings {
        assert_ne!(*text, config, "{what}");
        project.config(text);
        same(what);
    }
    // Files under other names: the content is what counts.
    std::fs::copy(project.path("prompts/plain.txt"), project.path("prompts/renamed.md")).unwrap();
    std::fs::copy(project.path("data/open.jsonl"), project.path("data/renamed.jsonl")).unwrap();
    project.config(&edit("prompts/plain.txt", "prompts/renamed.md").replace("data/open.jsonl", "./data/renamed.jsonl"));
    same("files under other names");
    world.write(&project);

    // Times of files.
    for (path, _) in FILES.iter().chain([&("config/eval_config.yaml", "")]) {
        let file = std::fs::File::options().append(true).open(project.path(path)).unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        file.set_modified(time).unwrap();
    }
    same("touched files");
    for (path, text) in FILES {
        project.file(path, text);
    }
    same("rewritten files");
    expect_up_to_date("every input hashed again", &project.exp(&["build", "--json", "--no-stat-cache"]), root, run_id);

    // The environment, and how the command is given.
    for (name, value) in [
        ("TZ", "Asia/Kathmandu"),
        ("LANG", "tr_TR.UTF-8"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("RAYON_NUM_THREADS", "1"),
        ("EXP_MAX_CONCURRENT_JOBS", "2"),
        ("NO_COLOR", "1"),
        ("COLUMNS", "20"),
        ("USER", "somebody"),
    ] {
        expect_up_to_date(name, &run(project.command(&args).env(name, value)), root, run_id);
    }
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(format!("umask 077; exec '{}' build --json", env!("CARGO_BIN_EXE_exp")));
    expect_up_to_date("umask", &run(shell.current_dir(project.dir())), root, run_id);
    for flags in
        [&["--max-concurrent-jobs", "1"][..], &["--max_concurrent_requests", "9"], &["--resume"], &["--offline"]]
    {
        expect_up_to_date(flags[0], &project.exp(&[&args, flags].concat()), root, run_id);
    }
    let directory = project.dir();
    let away = ["-C", directory.to_str().unwrap(), "build", "--json"];
    expect_up_to_date("-C", &run(project.command(&away).current_dir("/")), root, run_id);

    // A run of its own name shows the same.
    let named = project.json(&["build", "--run-id", "mine"]);
    assert_eq!(
        (&named["run_id"], &named["actions"]["executed"], &named["root"]),
        (&Value::from("mine"), &0.into(), root)
    );
    let manifest = project.manifest(&named);
    assert!(manifest["actions"].as_array().unwrap().iter().all(|action| action["verdict"] == "hit"));

    // Another directory.
    let moved = directory.with_file_name("a directory moved");
    std::fs::rename(&directory, &moved).unwrap();
    let output = run(project.command(&args).current_dir(&moved));
    let newest = output.json()["run_id"].clone();
    assert!(newest == "mine" || newest == *run_id, "{newest}");
    expect_up_to_date("a moved project", &output, root, &newest);
    std::fs::rename(&moved, &directory).unwrap();
}

const NETWORK: &str = r"version: 1
providers:
  server: {kind: openai, base_url: '<<url>>', identity: <<identity>>, api_key_env: <<key>>, mode: <<mode>>, batch: {poll: <<poll>>}, extra_body: {top: <<top>>, user: <<user>>}, headers: {X-Version: '<<version>>', X-Trace: '<<trace>>'}, not_identity: [user, X-Trace]}
models:
  - {name: m, provider: server, model: <<model>>, revision: <<revision>>, price: {input: 1, output: 1}}
datasets:
  d: {path: data/d.jsonl, book: closed, fields: {id: id, question: question, answers: answers}, scorers: [exact]}
control: prompts/a.txt
prompt_sets: {b: prompts/b.txt}
decoding: {temperature: 0, max_output_tokens: 9}
";

#[test]
fn an_address_under_a_stated_identity_is_no_input() {
    let project = Project::in_memory();
    project.file("data/d.jsonl", "{\"id\":\"1\",\"question\":\"Q?\",\"answers\":[\"A\"]}\n");
    project.file("prompts/a.txt", "A\n").file("prompts/b.txt", "B\n");
    let base = [
        ("url", "http://127.0.0.1:8000/v1"),
        ("identity", "mine-q4"),
        ("key", "SOME_KEY"),
        ("mode", "online"),
        ("poll", "30s"),
        ("top", "1"),
        ("user", "me"),
        ("version", "1"),
        ("trace", "t"),
        ("model", "m-1"),
        ("revision", "r"),
    ];
    let keys = |changes: &[(&str, &str)]| -> BTreeMap<String, Value> {
        let text = base.iter().fold(NETWORK.to_owned(), |text, (name, value)| {
            let value = changes.iter().find(|(changed, _)| changed == name).map_or(*value, |(_, value)| *value);
            text.replace(&format!("<<{name}>>"), value)
        });
        project.config(&text);
        let plan = project.json(&["plan"]);
        let nodes = plan["nodes"].as_array().unwrap();
        nodes.iter().map(|node| (node["label"].as_str().unwrap().to_owned(), node["key"].clone())).collect()
    };
    let before = keys(&[]);
    assert!(before.keys().any(|label| label.starts_with("infer/")));
    assert!(before.iter().filter(|(label, _)| label.starts_with("infer/")).all(|(_, key)| key.is_string()));
    for same in [
        ("url", "http://127.0.0.1:9999/v1"),
        ("url", "https://gpu.example.org/other/v2"),
        ("key", "OTHER_KEY"),
        ("mode", "batch"),
        ("mode", "auto"),
        ("poll", "1s"),
        ("user", "you"),
        ("trace", "u"),
    ] {
        assert_eq!(keys(&[same]), before, "{same:?}");
    }
    for other in [("identity", "mine-q8"), ("top", "2"), ("version", "2"), ("model", "m-2"), ("revision", "s")] {
        let after = keys(&[other]);
        let differs =
            |step: &str| before.iter().filter(|(label, _)| label.starts_with(step)).all(|(l, k)| after[l] != *k);
        assert!(differs("build/") && differs("infer/"), "{other:?}");
        assert_eq!(after["prepare/d"], before["prepare/d"], "{other:?}");
    }
    // Without a stated identity the address is one, however it is spelt.
    let plain = keys(&[("identity", "null")]);
    assert_ne!(plain["infer/m/t0/d/control/00000"], before["infer/m/t0/d/control/00000"]);
    let other = keys(&[("identity", "null"), ("url", "http://127.0.0.1:8001/v1")]);
    assert_ne!(plain["infer/m/t0/d/control/00000"], other["infer/m/t0/d/control/00000"]);
    for spelling in ["http://127.0.0.1:8000/v1/", "HTTP://127.0.0.1:8000/v1"] {
        assert_eq!(keys(&[("identity", "null"), ("url", spelling)]), plain, "{spelling}");
    }
    assert!(!project.path("store").exists() && !project.path("experiments").exists());
}
