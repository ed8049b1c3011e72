//! Real questions and real systems' answers, through the real binary, against what others published about them.
//!
//! Skipped where `../shared` is absent.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where the reference is not as expected.
#![allow(clippy::format_push_string, clippy::format_collect)] // It is not in a hurry.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use serde_json::Value;
use serde_json::value::RawValue;

mod support;

use support::{Project, csv_rows, run_dir, shared, slugs};

/// Writes a path as a YAML text.
fn quoted(path: &Path) -> String {
    serde_json::to_string(path.to_str().unwrap()).unwrap()
}

/// Reads JSON Lines.
fn json_lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Reads a number, which has to stand in its shortest form with a point or an exponent.
#[track_caller]
fn shortest(text: &str) -> f64 {
    let value: f64 = text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(format!("{value:?}"), text);
    value
}

/// Reads a JSON number as the double nearest to its text; the JSON reader's own way can be one unit off.
fn exactly(raw: &RawValue) -> f64 {
    raw.get().parse().unwrap()
}

#[track_caller]
fn assert_near(value: &Value, expected: f64, relative: f64) {
    let found = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!((found - expected).abs() <= relative * expected.abs(), "{found:?} is not {expected:?}");
}

/// The block of a dataset in a trial's `significance.json`, at the trial's only temperature.
#[track_caller]
fn block(project: &Project, built: &Value, slug: &str, dataset: &str) -> Value {
    let text = project.run_file(built, &format!("{slug}/results/significance.json"));
    let significance: Value = serde_json::from_str(&text).unwrap();
    let results = significance["results"].as_object().unwrap();
    assert_eq!(results.len(), 1);
    let block = results.values().next().unwrap()["datasets"][dataset].clone();
    assert!(block.is_object(), "{significance:#}");
    block
}

/// The rows of a trial's `per_item_scores.csv` under one arm, in order.
#[track_caller]
fn scores_of(project: &Project, built: &Value, slug: &str, condition: &str) -> Vec<BTreeMap<String, String>> {
    let text = project.run_file(built, &format!("{slug}/results/per_item_scores.csv"));
    csv_rows(&text).into_iter().filter(|row| row["condition"] == condition).collect()
}

/// The cells of the report's table rows about one dataset.
fn report_rows(report: &str, dataset: &str) -> Vec<Vec<String>> {
    let rows = report.lines().filter(|line| line.starts_with('|'));
    let cells = rows.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect());
    cells.filter(|cells: &Vec<String>| cells.iter().any(|cell| cell.trim_matches('`') == dataset)).collect()
}

/// Says what every report of a finished run has to have: a row for each trial with figures in it.
#[track_caller]
fn assert_report(project: &Project, built: &Value, dataset: &str) {
    let report = project.run_file(built, "aggregate_report.md");
    let rows = report_rows(&report, dataset);
    for slug in slugs(built) {
        let of_trial: Vec<_> = rows.iter().filter(|cells| cells[0].trim_matches('`') == slug).collect();
        assert!(!of_trial.is_empty(), "no row for {slug}:\n{report}");
        // A row of results has both arms, the difference and its interval; one of what can be found has less.
        let figures =
            |cells: &&Vec<String>| cells[1..].iter().filter(|cell| cell.contains(|c: char| c.is_ascii_digit())).count();
        assert!(of_trial.iter().any(|cells| figures(cells) >= 5), "{of_trial:?}");
        assert!(of_trial.iter().all(|cells| figures(cells) >= 3), "{of_trial:?}");
        let own = project.run_file(built, &format!("{slug}/reports/report.md"));
        assert!(own.contains(dataset) && own.contains(|c: char| c.is_ascii_digit()), "{own}");
    }
}

const SQUAD: &str = "data/squad_v2/dev-v2.0.part.json";
const QUESTIONS: usize = 2_828;

/// The ids of the questions in their file's order, and which of them have no answer.
fn squad_ids(path: &Path) -> Vec<(String, bool)> {
    let root: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let list = |value: &Value, name: &str| value[name].as_array().unwrap().clone();
    let paragraphs = list(&root, "data").into_iter().flat_map(|article| list(&article, "paragraphs"));
    let asked = paragraphs.flat_map(|paragraph| list(&paragraph, "qas"));
    asked.map(|qa| (qa["id"].as_str().unwrap().to_owned(), qa["is_impossible"] == true)).collect()
}

#[test]
fn the_embedded_reader_answers_squad_and_a_second_build_has_nothing_to_do() {
    let Some(data) = shared(SQUAD) else { return };
    let project = Project::new();
    // The instructions of the built-in frame permit to abstain; these leave that to the arms.
    project.file("prompts/instructions.txt", "Answer with the shortest span of the passage.\n");
    project.file("prompts/plain.txt", "You answer questions.\n");
    project.file(
        "prompts/cautious.txt",
        "You answer questions. If the passage does not answer the question, say \"I don't know.\" When in doubt, say so.\n",
    );
    project.config(&format!(
        "version: 1
providers: {{reader: {{kind: lexical}}}}
models: [{{name: lexical-baseline, provider: reader, price: {{input: 0, output: 0}}}}]
datasets:
  squad: {{path: {}, format: squad, scorers: [squad, qa]}}
task_instructions: {{open_book: prompts/instructions.txt}}
control: prompts/plain.txt
prompt_sets: {{cautious: prompts/cautious.txt}}
analysis: {{bootstrap_samples: 200, permutation_samples: 200}}
",
        quoted(&data)
    ));
    let built = project.build();
    assert_eq!(built["requests"]["sent"], 2 * QUESTIONS, "{built:#}");
    assert_report(&project, &built, "squad");

    let [slug] = &slugs(&built)[..] else { panic!("{built:#}") };
    let asked = squad_ids(&data);
    let answerable: HashMap<String, bool> =
        asked.into_iter().map(|(id, is_impossible)| (format!("squad|{id}"), !is_impossible)).collect();
    assert_eq!(answerable.len(), QUESTIONS);
    // Means over the questions that have an answer, and over those that have none.
    let mean = |condition: &str, metric: &str, of_answerable: bool| {
        let rows = scores_of(&project, &built, slug, condition);
        assert_eq!(rows.len(), QUESTIONS);
        let values: Vec<f64> = rows
            .iter()
            .filter(|row| answerable[&row["item_key"]] == of_answerable)
            .map(|row| shortest(&row[metric]))
            .collect();
        100.0 * values.iter().sum::<f64>() / values.len() as f64
    };
    assert!(mean("control", "squad_em", true) >= 25.0 && mean("control", "squad_f1", true) >= 35.0);
    assert_eq!(mean("control", "abstain_rate", false), 0.0);
    assert_eq!(mean("control", "squad_em", false), 0.0);
    let [with, without] = [true, false].map(|is| mean("treatment", "abstain_rate", is));
    assert!(without > with + 5.0 && with > 0.0, "{without} {with}");
    // `squad` knows only the empty answer to such questions; `qa` knows abstention.
    assert_eq!(mean("treatment", "squad_em", false), 0.0);
    assert_eq!(mean("treatment", "em", false), without);

    let again = project.build();
    assert_eq!(again["up_to_date"], true, "{again:#}");
    assert_eq!((&again["root"], &again["run_id"]), (&built["root"], &built["run_id"]));
    assert!(built["root"].is_string());
    assert_eq!((&again["requests"]["sent"], &again["requests"]["failed"]), (&0.into(), &0.into()));
    assert_eq!(again["requests"]["reused"], 2 * QUESTIONS);
    assert_eq!((&again["actions"]["executed"], &again["actions"]["hit"]), (&0.into(), &built["actions"]["total"]));
}

/// The six published prediction sets; the first is the control of the others' trials.
const SETS: [&str; 6] = ["perfect", "empty", "noise_ascii", "random_spans", "real_bert_single", "real_nlnet_single"];

/// The set that loses predictions.
const CUT: &str = "real_bert_single";

/// A project that replays the six sets; that of [`CUT`] is a file of the project's own.
fn squad_sets() -> Option<Project> {
    let (data, golden) = (shared(SQUAD)?, shared("golden/squad")?);
    let project = Project::new();
    let predictions = |set: &str| golden.join(format!("{set}.pred.json"));
    project.file("recorded.json", fs::read(predictions(CUT)).unwrap());
    let mut sets = String::new();
    let mut recordings = String::new();
    for set in SETS {
        let arm = if set == SETS[0] { "control" } else { set };
        let path = if set == CUT { "recorded.json".to_owned() } else { quoted(&predictions(set)) };
        recordings.push_str(&format!("        {arm}: {{path: {path}, format: json_map, join: id}}\n"));
        if set != SETS[0] {
            sets.push_str(&format!("  {set}: {{treatment: {{system: null}}}}\n"));
        }
    }
    // An empty answer is how these systems say that there is none, and the evaluator takes it as that.
    project.config(&format!(
        "version: 1
providers: {{recorded: {{kind: replay}}}}
models:
  - name: systems
    provider: recorded
    price: {{input: 0, output: 0}}
    recordings:
      squad:
{recordings}datasets:
  squad: {{path: {}, format: squad, scorers: [squad]}}
control: null
prompt_sets:
{sets}outcomes: {{empty: as_is}}
max_failed: 10
analysis: {{bootstrap_samples: 200, permutation_samples: 200}}
",
        quoted(&data)
    ));
    Some(project)
}

/// A system's official score, question by question.
#[derive(serde::Deserialize)]
struct Official<'a> {
    id: String,
    #[serde(borrow)]
    exact: &'a RawValue,
    #[serde(borrow)]
    f1: &'a RawValue,
}

#[test]
fn published_squad_predictions_score_as_the_official_evaluator_scored_them() {
    let Some(project) = squad_sets() else { return };
    let golden = shared("golden/squad").unwrap();
    let order = squad_ids(&shared(SQUAD).unwrap());
    let built = project.build();
    assert_eq!(built["requests"]["sent"], SETS.len() * QUESTIONS, "{built:#}");
    assert_eq!(built["requests"]["failed"], 0);
    assert_report(&project, &built, "squad");

    let totals = fs::read_to_string(golden.join("aggregates.json")).unwrap();
    let totals: HashMap<String, HashMap<String, &RawValue>> = serde_json::from_str(&totals).unwrap();
    assert_eq!(totals.len(), SETS.len());
    for set in SETS {
        let official = fs::read_to_string(golden.join(format!("{set}.scores.jsonl"))).unwrap();
        let official: Vec<Official<'_>> = official.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(official.len(), QUESTIONS);
        // The control stands in each trial; any will do.
        let (slug, condition) = if set == SETS[0] {
            (format!("systems-{}", SETS[1]), "control")
        } else {
            (format!("systems-{set}"), "treatment")
        };
        let rows = scores_of(&project, &built, &slug, condition);
        assert_eq!(rows.len(), QUESTIONS);
        let (mut em_sum, mut f1_sum) = (0.0, 0.0);
        for ((row, official), (id, _)) in rows.iter().zip(&official).zip(&order) {
            assert_eq!((&row["item_key"], &official.id), (&format!("squad|{id}"), id), "{set}");
            let (em, f1) = (shortest(&row["squad_em"]), shortest(&row["squad_f1"]));
            assert_eq!(em.to_bits(), exactly(official.exact).to_bits(), "{set} {id}");
            assert_eq!(f1.to_bits(), exactly(official.f1).to_bits(), "{set} {id}");
            em_sum += em;
            f1_sum += f1;
        }
        let n = QUESTIONS as f64;
        assert_eq!(100.0 * em_sum / n, exactly(totals[set]["exact"]), "{set}");
        assert_eq!(100.0 * f1_sum / n, exactly(totals[set]["f1"]), "{set}");
        assert_eq!(totals[set]["n"].get(), QUESTIONS.to_string());
        let arm = &block(&project, &built, &slug, "squad")["arms"][condition];
        assert_near(&arm["squad_em"]["mean"], exactly(totals[set]["exact"]) / 100.0, 1e-14);
        assert_near(&arm["squad_f1"]["mean"], exactly(totals[set]["f1"]) / 100.0, 1e-14);
    }
}

/// The records of a CSV text as they stand, by their first column; the header under its own name.
fn raw_records(text: &str) -> BTreeMap<String, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let mut starts = Vec::new();
    for record in reader.records() {
        let record = record.unwrap();
        starts.push((record[0].to_owned(), record.position().unwrap().byte() as usize));
    }
    let ends = starts.iter().skip(1).map(|(_, at)| *at).chain([text.len()]);
    let records: BTreeMap<_, _> =
        starts.iter().zip(ends).map(|((key, start), end)| (key.clone(), text[*start..end].to_owned())).collect();
    assert_eq!(records.len(), starts.len(), "the first column does not tell rows apart");
    records
}

/// The lines of `per_item_scores.csv` by condition and item.
fn score_lines(text: &str) -> BTreeMap<(String, String), String> {
    let rows = csv_rows(text);
    // None of its cells has a line break in it.
    assert_eq!(text.lines().count(), rows.len() + 1);
    let key = |row: &BTreeMap<String, String>| (row["condition"].clone(), row["item_key"].clone());
    rows.iter().map(key).zip(text.lines().skip(1).map(str::to_owned)).collect()
}

#[test]
fn ten_predictions_fewer_are_ten_missing_and_nothing_else() {
    let Some(project) = squad_sets() else { return };
    let full = project.build();
    let slug = format!("systems-{CUT}");
    let file = |built: &Value, name: &str| project.run_file(built, &format!("{slug}/results/{name}"));
    let before = ["predictions.csv", "per_item_scores.csv"].map(|name| file(&full, name));
    let others: Vec<String> = slugs(&full).into_iter().filter(|other| *other != slug).collect();
    assert_eq!(others.len(), 4);
    let shown = |built: &Value| -> Vec<(String, String)> {
        let views = project.manifest(built)["views"].as_array().unwrap().clone();
        let views = views.iter().map(|view| (view["slug"].as_str().unwrap(), view["name"].as_str().unwrap()));
        let of_others = views.filter(|(slug, _)| others.iter().any(|other| other == slug));
        of_others
            .map(|(slug, name)| (format!("{slug}/{name}"), project.run_file(built, &format!("{slug}/{name}"))))
            .collect()
    };
    let others_before = shown(&full);
    assert!(others_before.len() >= 4 * others.len());

    // Every 283rd line of the file: all over the dataset, with and without answers.
    let mut recorded: serde_json::Map<String, Value> = serde_json::from_str(&project.read("recorded.json")).unwrap();
    let order = squad_ids(&shared(SQUAD).unwrap());
    let gone: Vec<&String> = order.iter().step_by(283).map(|(id, _)| id).collect();
    assert_eq!(gone.len(), 10);
    assert!(gone.iter().all(|id| recorded.remove(*id).is_some()));
    project.file("recorded.json", serde_json::to_string_pretty(&recorded).unwrap());

    let cut = project.build();
    assert_ne!((&cut["root"], &cut["run_id"]), (&full["root"], &full["run_id"]));
    assert_eq!(cut["actions"]["total"], full["actions"]["total"]);
    let manifest = project.manifest(&cut);
    assert_eq!((&manifest["state"], &manifest["requests"]), (&"complete".into(), &cut["requests"]));
    let counts = serde_json::json!({
        "total": 6 * QUESTIONS, "reused": 6 * QUESTIONS - 10, "sent": 0, "failed": 10
    });
    assert_eq!(manifest["requests"], counts);

    let after = ["predictions.csv", "per_item_scores.csv"].map(|name| file(&cut, name));
    let is_gone = |key: &str| gone.iter().any(|id| key.split('|').nth(1) == Some(id.as_str()));
    // Each draw has its row, in the same place.
    let [old, new] = [&before[0], &after[0]].map(|text| raw_records(text));
    assert_eq!(old.len(), 2 * QUESTIONS + 1);
    assert!(old.keys().eq(new.keys()));
    let changed: Vec<&String> = old.keys().filter(|key| old[*key] != new[*key]).collect();
    assert_eq!(changed.len(), 10);
    assert!(changed.iter().all(|key| is_gone(key) && key.contains("|treatment|")), "{changed:?}");
    let ids = |text: &str| csv_rows(text).iter().map(|row| row["custom_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&before[0]), ids(&after[0]));
    let failed: Vec<_> = csv_rows(&after[0]).into_iter().filter(|row| row["status"] == "failed:no_recording").collect();
    assert_eq!(failed.len(), 10);
    assert!(failed.iter().all(|row| changed.contains(&&row["custom_id"]) && row["response_text"].is_empty()));

    let [old, new] = [&before[1], &after[1]].map(|text| score_lines(text));
    assert!(old.keys().eq(new.keys()));
    let changed: Vec<_> = old.keys().filter(|key| old[*key] != new[*key]).collect();
    assert_eq!(changed.len(), 10);
    assert!(changed.iter().all(|(condition, item)| condition == "treatment" && is_gone(item)));
    for row in scores_of(&project, &cut, &slug, "treatment") {
        let missing = if is_gone(&row["item_key"]) { "1" } else { "0" };
        assert_eq!((&*row["n_draws"], &*row["n_missing"]), ("1", missing));
        assert_eq!(row["squad_em"].is_empty() && row["squad_f1"].is_empty(), missing == "1");
    }

    let squad = block(&project, &cut, &slug, "squad");
    assert_eq!((&squad["n_items"], &squad["n_missing"]), (&(QUESTIONS - 10).into(), &10.into()));
    assert_eq!(squad["missing"]["treatment"], serde_json::json!({"items": 10, "draws": 10}));
    assert_eq!(squad["missing"]["control"], serde_json::json!({"items": 0, "draws": 0}));
    assert_eq!(squad["statuses"]["treatment"]["failed:no_recording"], 10);
    assert_eq!(squad["arms"]["treatment"]["squad_em"]["n"], QUESTIONS - 10);
    let own = project.run_file(&cut, &format!("{slug}/reports/report.md"));
    assert!(own.contains("no_recording"), "{own}");

    // Nobody else's files know of it.
    let others_after = shown(&cut);
    assert_eq!(others_after.len(), others_before.len());
    for (after, before) in others_after.iter().zip(&others_before) {
        assert!(after == before, "{} became another:\n{}", before.0, after.1);
    }

    // Who starts from nothing comes to the same.
    let fresh = squad_sets().unwrap();
    fresh.file("recorded.json", project.read("recorded.json"));
    let built = fresh.build();
    assert_eq!((&built["root"], &built["actions"]["total"]), (&cut["root"], &cut["actions"]["total"]));
    let counts = serde_json::json!({"total": 6 * QUESTIONS, "reused": 0, "sent": 6 * QUESTIONS - 10, "failed": 10});
    assert_eq!(built["requests"], counts);

    // The same failures are too many where none is allowed; what there is is shown all the same.
    let config = project.read("config/eval_config.yaml").replace("max_failed: 10", "max_failed: 0");
    project.config(&config);
    let output = project.exp(&["build", "--json"]).expect_code(1);
    let failed = output.json();
    assert_eq!((&failed["state"], &failed["requests"]["failed"]), (&"failed".into(), &10.into()));
    assert_eq!(failed["requests"]["sent"], 0);
    assert_eq!(project.manifest(&failed)["state"], "failed");
    assert_eq!(["predictions.csv", "per_item_scores.csv"].map(|name| file(&failed, name)), after);
    assert!(output.stderr.contains("10 requests failed, and `max_failed` allows 0"), "{}", output.stderr);
    let latest = project.path("experiments/latest").canonicalize().unwrap();
    assert_eq!(latest, run_dir(&cut).canonicalize().unwrap());

    // With the predictions back, the first build's results are back, and nobody is asked.
    let golden = shared("golden/squad").unwrap().join(format!("{CUT}.pred.json"));
    project.file("recorded.json", fs::read(golden).unwrap());
    let back = project.build();
    assert_eq!((&back["root"], &back["requests"]["sent"]), (&full["root"], &0.into()));
    assert_eq!(back["run_id"], full["run_id"]);
}

const MATHS: usize = 1_319;

/// The published systems with how many questions each got right.
const SOLVERS: [(&str, u64); 4] =
    [("6b_finetuning", 286), ("6b_verification", 515), ("175b_finetuning", 458), ("175b_verification", 742)];

#[test]
fn published_maths_solutions_are_right_where_they_were_said_to_be() {
    let (Some(data), Some(golden)) = (shared("data/gsm8k"), shared("golden")) else { return };
    let project = Project::new();
    let recording = |system: &str| {
        let path = quoted(&data.join("example_model_solutions.jsonl"));
        format!("{{path: {path}, fields: {{key: question, text: {system}.solution}}, join: question}}")
    };
    // Each system is the control of a trial of its own; the treatment is always the same system.
    let models: String = SOLVERS
        .iter()
        .map(|(system, _)| {
            format!(
                "  - name: {system}\n    provider: recorded\n    price: {{input: 0, output: 0}}\n    recordings:\n      \
                 gsm8k: {{control: {}, treatment: {}}}\n",
                recording(system),
                recording("175b_finetuning")
            )
        })
        .collect();
    // Eleven solutions end without an answer: that is a wrong answer here.
    project.config(&format!(
        "version: 1
providers: {{recorded: {{kind: replay}}}}
models:
{models}datasets:
  gsm8k:
    path: {}
    format: gsm8k
    answer: {{extract: 'A: (.*)', pick: last, if_absent: missing}}
    scorers: [numeric]
control: null
prompt_sets: {{other: {{treatment: {{system: null}}}}}}
outcomes: {{no_answer: wrong}}
analysis: {{bootstrap_samples: 200, permutation_samples: 200}}
",
        quoted(&data.join("test.jsonl"))
    ));
    let built = project.build();
    assert_eq!(built["requests"]["sent"], 8 * MATHS, "{built:#}");
    assert_report(&project, &built, "gsm8k");

    let flags: HashMap<String, String> =
        serde_json::from_str(&fs::read_to_string(golden.join("gsm8k_flags.json")).unwrap()).unwrap();
    let flags_of = |slug: &str, condition: &str| -> String {
        let rows = scores_of(&project, &built, slug, condition);
        let flag = |row: &BTreeMap<String, String>| match shortest(&row["numeric"]) {
            1.0 => '1',
            0.0 => '0',
            other => panic!("{other}"),
        };
        rows.iter().map(flag).collect()
    };
    // The reference has bare NaNs elsewhere, which are no JSON.
    let published = fs::read_to_string(golden.join("stats_gsm8k.json")).unwrap().replace("NaN", "null");
    let published: Value = serde_json::from_str(&published).unwrap();
    let solutions = json_lines(&data.join("example_model_solutions.jsonl"));
    for (system, correct) in SOLVERS {
        let slug = format!("{system}-other");
        let found = flags_of(&slug, "control");
        assert_eq!(found, flags[system], "{system}");
        assert_eq!(found.matches('1').count() as u64, correct);
        assert_eq!(flags_of(&slug, "treatment"), flags["175b_finetuning"]);

        let maths = block(&project, &built, &slug, "gsm8k");
        assert_eq!((&maths["n_items"], &maths["n_missing"]), (&MATHS.into(), &0.into()));
        let without =
            solutions.iter().filter(|line| !line[system]["solution"].as_str().unwrap().contains("A: ")).count();
        assert!(without > 0);
        assert_eq!(maths["statuses"]["control"]["no_answer"], without, "{system}");
        assert_eq!(maths["statuses"]["control"]["stop"], MATHS - without, "{system}");
        assert_near(&maths["arms"]["control"]["numeric"]["mean"], correct as f64 / MATHS as f64, 1e-15);

        // b counts the items that only the treatment has right.
        let only = |right: &str, wrong: &str| {
            let pairs = flags[right].chars().zip(flags[wrong].chars());
            pairs.filter(|pair| *pair == ('1', '0')).count()
        };
        let mcnemar = &maths["mcnemar"];
        assert_eq!(mcnemar["b"], only("175b_finetuning", system), "{system}");
        assert_eq!(mcnemar["c"], only(system, "175b_finetuning"), "{system}");
        let is_pair = |pair: &&Value| {
            [&pair["A"], &pair["B"]].iter().all(|name| [system, "175b_finetuning"].contains(&name.as_str().unwrap()))
        };
        match published["pairs"].as_array().unwrap().iter().find(is_pair) {
            Some(pair) => {
                assert_near(&mcnemar["p_exact"], pair["mcnemar"]["exact_p"].as_f64().unwrap(), 1e-12);
                assert_near(&mcnemar["p_mid"], pair["mcnemar"]["midp"].as_f64().unwrap(), 1e-12);
            }
            None => assert_eq!((system, &mcnemar["p_exact"]), ("175b_finetuning", &1.0.into())),
        }
    }
    let asked = &block(&project, &built, "6b_verification-other", "gsm8k");
    assert_near(&asked["mcnemar"]["p_exact"], 0.0031506568803606, 1e-12);
    assert_eq!(asked["metrics"]["numeric"]["test"]["name"], "mcnemar-exact");
    assert_near(&asked["metrics"]["numeric"]["test"]["p_value"], 0.0031506568803606, 1e-12);
}

/// Lower case, no ASCII punctuation, no articles: the words that count.
fn words(text: &str) -> Vec<String> {
    let kept: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    kept.split_whitespace().filter(|word| !["a", "an", "the"].contains(word)).map(str::to_owned).collect()
}

/// The shared words' harmonic mean of precision and recall.
fn f1(answer: &[String], gold: &[String]) -> f64 {
    let mut left = gold.to_vec();
    let mut shared = 0.0;
    for word in answer {
        if let Some(at) = left.iter().position(|other| other == word) {
            left.swap_remove(at);
            shared += 1.0;
        }
    }
    if shared == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (shared / answer.len() as f64, shared / gold.len() as f64);
    2.0 * precision * recall / (precision + recall)
}

/// The metrics of one published prediction: exact match, F1, and whether an accepted answer stands in it.
fn judged(line: &Value) -> [f64; 3] {
    let text = match &line["prediction"] {
        Value::Array(parts) => parts.iter().map(|part| part.as_str().unwrap()).collect::<Vec<_>>().join("; "),
        text => text.as_str().unwrap().to_owned(),
    };
    let answer = words(&text);
    let golds: Vec<_> = line["answer"].as_array().unwrap().iter().map(|gold| words(gold.as_str().unwrap())).collect();
    // The simple rules here have nothing to say about such.
    assert!(!answer.is_empty() && golds.iter().all(|gold| !gold.is_empty()), "{line}");
    let any = |is: &dyn Fn(&Vec<String>) -> bool| f64::from(u8::from(golds.iter().any(is)));
    [
        any(&|gold| *gold == answer),
        golds.iter().map(|gold| f1(&answer, gold)).fold(0.0, f64::max),
        any(&|gold| answer.windows(gold.len()).any(|window| window == &gold[..])),
    ]
}

#[test]
fn two_prompts_of_one_model_on_natural_questions_are_one_trial() {
    let Some(data) = shared("data/openqa_eval") else { return };
    let file = |prompt: &str| data.join(format!("NQ301_text-davinci-003_{prompt}.jsonl"));
    let arms = [("control", file("zeroshot")), ("treatment", file("fewshot-n64"))];
    let recording = |at: usize| {
        let path = quoted(&arms[at].1);
        format!("{{path: {path}, fields: {{key: question, text: prediction}}, join: question, join_lists: '; '}}")
    };
    let project = Project::new();
    project.config(&format!(
        "version: 1
providers: {{recorded: {{kind: replay}}}}
models:
  - name: text-davinci-003
    provider: recorded
    recordings:
      nq: {{control: {}, fewshot: {}}}
datasets:
  nq: {{path: {}, fields: {{question: question, answers: answer}}, scorers: [qa, includes]}}
control: null
prompt_sets: {{fewshot: {{treatment: {{system: null}}}}}}
analysis: {{primary: [nq.em, nq.f1, nq.includes]}}
",
        recording(0),
        recording(1),
        quoted(&arms[0].1)
    ));
    let built = project.build();
    assert_eq!(slugs(&built), ["text-davinci-003-fewshot"]);
    let slug = "text-davinci-003-fewshot";
    assert_eq!(built["requests"]["sent"], 602, "{built:#}");
    assert_report(&project, &built, "nq");
    let nq = block(&project, &built, slug, "nq");
    assert_eq!((&nq["type"], &nq["n_items"], &nq["n_missing"]), (&"closed".into(), &301.into(), &0.into()));

    let expected = arms.each_ref().map(|(_, path)| json_lines(path).iter().map(judged).collect::<Vec<_>>());
    let lists = json_lines(&arms[1].1).iter().filter(|line| line["prediction"].is_array()).count();
    assert!(lists >= 10, "{lists}");
    for (metric, name) in ["em", "f1", "includes"].into_iter().enumerate() {
        let mut means = [0.0; 2];
        for (at, (condition, _)) in arms.iter().enumerate() {
            let rows = scores_of(&project, &built, slug, condition);
            assert_eq!((rows.len(), expected[at].len()), (301, 301));
            for (row, expected) in rows.iter().zip(&expected[at]) {
                assert!((shortest(&row[name]) - expected[metric]).abs() < 1e-15, "{name} {row:?} {expected:?}");
            }
            means[at] = expected[at].iter().map(|scores| scores[metric]).sum::<f64>() / 301.0;
            assert_near(&nq["arms"][condition][name]["mean"], means[at], 1e-13);
        }
        println!("{name}: {means:?} {}", nq["metrics"][name]["test"]);
        let compared = &nq["metrics"][name];
        assert_near(&compared["control_mean"], means[0], 1e-13);
        assert_near(&compared["treatment_mean"], means[1], 1e-13);
        assert_near(&compared["delta_mean"], means[1] - means[0], 1e-12);
        let test = &compared["test"];
        let kind = if name == "f1" { "paired-t" } else { "mcnemar-exact" };
        assert_eq!(test["name"], kind, "{name}");
        let [p, q] = ["p_value", "q_value"].map(|value| test[value].as_f64().unwrap());
        assert!(0.0 < p && p <= q && q <= 1.0, "{name}: {test}");
        let pairs = expected[0].iter().zip(&expected[1]);
        let higher = pairs.filter(|(control, treatment)| treatment[metric] > control[metric] + 1e-12).count();
        assert_eq!(compared["treatment_higher"], higher, "{name}");
    }
    // Worked examples taught the model to answer in few words: more exact matches, no more right answers.
    assert!(nq["metrics"]["em"]["delta_mean"].as_f64() > Some(0.1), "{}", nq["metrics"]["em"]);
    let report = project.run_file(&built, &format!("{slug}/reports/report.md"));
    assert!(["EM", "F1", "`includes`"].iter().all(|name| report.contains(name)), "{report}");
}
