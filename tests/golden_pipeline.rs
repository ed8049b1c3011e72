//! Parsing, scoring, merging and testing against what the predecessor computed for its own data.
//!
//! Skipped where `../shared` is absent.

#![allow(clippy::unwrap_used)] // A test may stop where the reference is not as expected.
#![allow(clippy::format_push_string)] // It is not in a hurry.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::Read;
use std::path::PathBuf;

use exp::digest::{BlobId, Decimal};
use exp::plan::{
    Analysis, MergeParams, Multiplicity, OptionalAnalyses, OutcomeRule, Outcomes, ParseParams, RevisedScorer,
    ScoreParams, ScorerConfig, ScorerSettings, StatsParams, Support, TrialDataset,
};
use exp::scoring::{ABSTENTION_PHRASES, Abstention, qa_normal};
use exp::step::{Input, Inputs, Outputs, ReadBlobs, StepError, merge, metric_names, parse, score, stats};
use serde_json::Value;

/// Returns the text of a reference file, or nothing where `../shared` is absent.
fn shared(path: &str) -> Option<String> {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/golden/main")).join(path);
    if !file.exists() {
        println!("skipped: ../shared is absent");
        return None;
    }
    Some(fs::read_to_string(file).unwrap())
}

#[derive(Default)]
struct Memory(BTreeMap<BlobId, Vec<u8>>);

impl ReadBlobs for Memory {
    fn open(&self, blob: &BlobId) -> Result<Box<dyn Read + '_>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Box::new(self.0[blob].as_slice()))
    }
}

fn run(
    inputs: &BTreeMap<String, String>,
    step: impl FnOnce(&Inputs<'_>, &mut dyn Outputs) -> Result<(), StepError>,
) -> BTreeMap<String, String> {
    let mut memory = Memory::default();
    let mut entries = Vec::new();
    for (name, text) in inputs {
        let blob = BlobId::of(text.as_bytes());
        memory.0.insert(blob, text.as_bytes().to_vec());
        entries.push(Input { name: name.clone(), blob, label: name.clone() });
    }
    let mut outputs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    step(&Inputs::new(entries, &memory), &mut outputs).unwrap();
    outputs.into_iter().map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap())).collect()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The scorer of the predecessor's config.
fn qa() -> ScorerSettings {
    ScorerSettings::Qa { support: Support::Overlap, threshold: decimal("0.5"), min_token_overlap: decimal("0.6") }
}

/// Is one recorded draw: condition, temperature, number and text.
struct Draw {
    condition: String,
    temp: String,
    n: u32,
    text: String,
}

/// Reads the recorded answers by item id.
fn draws(results: &str) -> BTreeMap<String, Vec<Draw>> {
    let mut draws: BTreeMap<String, Vec<Draw>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for line in results.lines() {
        let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
        let id = record["custom_id"].as_str().unwrap();
        if !seen.insert(id.to_owned()) {
            continue;
        }
        let fields: Vec<&str> = id.split('|').collect();
        let response = &record["response"];
        let body = if response["body"].is_object() { &response["body"] } else { response };
        draws.entry(fields[1].to_owned()).or_default().push(Draw {
            condition: fields[2].to_owned(),
            temp: fields[3].to_owned(),
            n: fields[4].parse().unwrap(),
            text: body["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned(),
        });
    }
    for draws in draws.values_mut() {
        draws.sort_by_key(|draw| draw.n);
    }
    draws
}

/// Runs parse, score and merge over one temperature, with every status scored as it is, as the predecessor did.
fn tables(temp: &str, prepared: &[(bool, &str)], draws: &BTreeMap<String, Vec<Draw>>) -> BTreeMap<String, String> {
    let as_is = OutcomeRule::AsIs;
    let outcomes = Outcomes { length: as_is, refusal: as_is, content_filter: as_is, empty: as_is, no_answer: as_is };
    let mut inputs = BTreeMap::new();
    let mut datasets = Vec::new();
    for (open, items) in prepared {
        let name = if *open { "open_book" } else { "closed_book" };
        let items: Vec<Value> = items.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut order = String::new();
        let mut gold: Vec<(String, String)> = Vec::new();
        for item in &items {
            let mut line = serde_json::json!({
                "id": item["id"],
                "answers": item["answers"],
                "unanswerable": item["is_unanswerable"].as_bool().unwrap_or(false),
                "dataset": item["dataset"],
            });
            if let Some(context) = item["context"].as_str() {
                line["context"] = context.into();
            }
            order += &format!("{}\n", item["id"]);
            gold.push((item["id"].as_str().unwrap().to_owned(), format!("{line}\n")));
        }
        gold.sort();
        let gold_text: String = gold.iter().map(|(_, line)| line.as_str()).collect();
        for condition in ["control", "treatment"] {
            let mut answers = String::new();
            for draw in gold.iter().flat_map(|(id, _)| draws.get(id).into_iter().flatten().map(move |draw| (id, draw)))
            {
                let (id, draw) = draw;
                if draw.condition == condition && draw.temp == temp {
                    let answer = serde_json::json!({"status": "stop", "text": draw.text, "usage": {}});
                    answers += &format!("{}\n", serde_json::json!({"item": id, "n": draw.n, "answer": answer}));
                }
            }
            let params = ParseParams { extraction: None };
            let parsed = run(&BTreeMap::from([("answers".to_owned(), answers)]), |i, o| parse::run(&params, i, o));
            let scorer = ScorerConfig { name: "qa".to_owned(), settings: qa() };
            let params = ScoreParams {
                scorers: vec![RevisedScorer { scorer, revision: 1 }],
                outcomes,
                open: *open,
                support_shares: false,
                labels: Vec::new(),
            };
            let score_inputs = BTreeMap::from([
                ("parsed".to_owned(), parsed["parsed"].clone()),
                ("gold".to_owned(), gold_text.clone()),
            ]);
            let scores = run(&score_inputs, |i, o| score::run(&params, i, o));
            inputs.insert(format!("parsed/{condition}/{name}/00000"), parsed["parsed"].clone());
            inputs.insert(format!("scores/{condition}/{name}/00000"), scores["scores"].clone());
        }
        inputs.insert(format!("order/{name}"), order);
        inputs.insert(format!("gold/{name}/00000"), gold_text);
        datasets.push(TrialDataset { name: name.to_owned(), open: *open, metrics: metric_names(&qa(), "qa", *open) });
    }
    let params = MergeParams {
        subgroups: Vec::new(),
        temperature: Some(decimal(temp)),
        draws: if temp == "0.0" { 1 } else { 5 },
        datasets,
        conditions: vec!["control".to_owned(), "treatment".to_owned()],
        rated: Vec::new(),
    };
    run(&inputs, |i, o| merge::run(&params, i, o))
}

type Row = HashMap<String, String>;

/// Reads a CSV table by item, temperature and condition.
fn rows(csv: &str) -> BTreeMap<[String; 3], Row> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows = reader.deserialize::<Row>().map(Result::unwrap);
    rows.map(|row| (["item_key", "temp", "condition"].map(|column| row[column].clone()), row)).collect()
}

/// Says what the predecessor took for an abstention.
fn abstained_then(text: &str) -> bool {
    let normal = qa_normal(text);
    ABSTENTION_PHRASES.iter().any(|phrase| normal.contains(phrase))
}

/// Why rows of an item with such an answer differ: an abstention is a whole sentence, its phrases normalised.
const PHRASES: &str = "abstention phrases";
/// Why rows of an item with an empty answer differ: it is never right, and supports nothing.
const EMPTY: &str = "an empty answer";

#[test]
fn item_scores_are_the_predecessors_but_for_what_was_corrected() {
    let Some(results) = shared("results_combined.jsonl") else { return };
    let (closed, open) = (shared("prepared/closed_book.jsonl").unwrap(), shared("prepared/open_book.jsonl").unwrap());
    let expected = rows(&shared("out/per_item_scores.csv").unwrap());
    let draws = draws(&results);
    let mut ours = BTreeMap::new();
    for temp in ["0.0", "0.7"] {
        ours.extend(rows(&tables(temp, &[(false, &closed), (true, &open)], &draws)["per_item_scores.csv"]));
    }
    let columns = ["em", "f1", "abstain_rate", "false_answer_rate", "unsupported_rate"];
    let columns: Vec<_> = columns.iter().flat_map(|c| [(*c).to_owned(), format!("{c}_std")]).collect();
    let (mut equal, mut corrected, mut wrong) = (0, BTreeMap::<&str, u32>::new(), Vec::new());
    let mut list = "item_key\ttemp\tcondition\twhy\n".to_owned();
    for (key, theirs) in &expected {
        let our = &ours[key];
        // What it did not score for closed-book items, we do.
        let differs: Vec<_> =
            columns.iter().filter(|column| !theirs[*column].is_empty() && theirs[*column] != our[*column]).collect();
        if differs.is_empty() {
            equal += 1;
            continue;
        }
        let id = key[0].split_once('|').unwrap().1;
        let draws = draws[id].iter().filter(|draw| draw.temp == key[1] && draw.condition == key[2]);
        let texts: Vec<&str> = draws.map(|draw| draw.text.as_str()).collect();
        let now = Abstention::default();
        let reason = if texts.iter().any(|text| now.detect(text) != abstained_then(text)) {
            PHRASES
        } else if texts.iter().any(|text| text.trim().is_empty()) {
            EMPTY
        } else {
            wrong.push(format!("{key:?} {differs:?} {texts:?}\n  theirs {theirs:?}\n  ours {our:?}"));
            continue;
        };
        *corrected.entry(reason).or_default() += 1;
        list += &format!("{}\t{reason}\n", key.join("\t"));
    }
    assert!(
        wrong.is_empty(),
        "{} rows differ without a reason:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(8)].join("\n")
    );
    assert_eq!((equal, corrected[PHRASES], corrected[EMPTY]), (3729, 799, 98));
    // Which rows, and why, stands in a file, so that a change of a rule shows row by row.
    let committed = include_str!("reference/corrected_rows.tsv");
    let found = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("corrected_rows.tsv");
    fs::write(&found, &list).unwrap();
    let at = list.lines().zip(committed.lines()).position(|(ours, theirs)| ours != theirs);
    assert!(list == committed, "corrected_rows.tsv differs at line {at:?}; {} has what is so now", found.display());
    // Items that were never answered have a row that says so, where it had none.
    for (key, row) in ours.iter().filter(|(key, _)| !expected.contains_key(*key)) {
        assert_eq!((row["n_draws"].as_str(), row["em"].as_str()), ("0", ""), "{key:?}");
    }
}

/// Makes the table that statistics start from, out of the predecessor's own item scores.
fn paired(scores: &str, temp: &str) -> String {
    let mut items: BTreeMap<(String, String), [String; 2]> = BTreeMap::new();
    for ([key, _, condition], row) in rows(scores).into_iter().filter(|([_, at, _], _)| at == temp) {
        let arm = usize::from(condition == "treatment");
        let names: &[&str] = match row["type"].as_str() {
            "open" => &["em", "f1", "abstain_rate", "false_answer_rate", "unsupported_rate"],
            _ => &["em", "abstain_rate"],
        };
        let sums: Vec<&str> = names.iter().map(|name| row[*name].as_str()).collect();
        let draws = r#""input_tokens":[null],"output_tokens":[null]"#;
        items.entry((row["type"].clone(), key)).or_default()[arm] =
            format!(r#"{{"statuses":["stop"],"scored":1,"sums":[{}],{draws}}}"#, sums.join(","));
    }
    let mut text = String::new();
    for ((kind, key), arms) in &items {
        let (label, item) = key.split_once('|').unwrap();
        text += &format!(r#"{{"dataset":"{kind}","label":"{label}","item":"{item}""#);
        for (name, arm) in ["control", "treatment"].iter().zip(arms).filter(|(_, arm)| !arm.is_empty()) {
            text += &format!(",\"{name}\":{arm}");
        }
        text += "}\n";
    }
    text
}

fn near(actual: &Value, expected: &Value, tolerance: f64) -> bool {
    match (actual.as_f64(), expected.as_f64()) {
        (Some(a), Some(e)) => (a - e).abs() <= tolerance * e.abs().max(1.0),
        _ => actual.is_null() && expected.is_null(),
    }
}

#[test]
fn blocks_are_the_predecessors_where_it_was_right() {
    let Some(scores) = shared("out/per_item_scores.csv") else { return };
    // Python writes infinity as a bare word; ours is null.
    let reference = shared("out/significance.json").unwrap().replace("Infinity", "null");
    let reference: Value = serde_json::from_str(&reference).unwrap();
    let careful: Value = serde_json::from_str(&shared("careful.json").unwrap()).unwrap();
    let dataset = |name: &str, open| {
        let all = ["em", "f1", "abstain_rate", "false_answer_rate", "unsupported_rate"];
        let metrics = if open { all.to_vec() } else { vec!["em", "abstain_rate"] };
        TrialDataset { name: name.to_owned(), open, metrics: metrics.into_iter().map(str::to_owned).collect() }
    };
    let mut compared = 0;
    for temp in ["0.0", "0.7"] {
        let params = StatsParams {
            temperature: Some(decimal(temp)),
            datasets: vec![dataset("closed", false), dataset("open", true)],
            exclusions: None,
            optional: OptionalAnalyses::default(),
            analysis: Analysis {
                primary: Vec::new(),
                alpha: decimal("0.05"),
                multiplicity: Multiplicity::BenjaminiHochberg,
                bootstrap_samples: 5000,
                permutation_samples: 5000,
                random_seed: 1337,
                cluster: true,
                margins: BTreeMap::new(),
                ..Analysis::default()
            },
        };
        let inputs = BTreeMap::from([("paired".to_owned(), paired(&scores, temp))]);
        let out = run(&inputs, |i, o| stats::run(&params, i, o));
        let ours: Value = serde_json::from_str(&out["significance.json"]).unwrap();
        for kind in ["closed", "open"] {
            let (our, their) = (&ours["results"][temp][kind], &reference["results"][temp][kind]);
            let mut blocks = vec![("overall".to_owned(), our, their)];
            for (label, block) in their["subgroups"]["dataset"].as_object().unwrap() {
                blocks.push((label.clone(), &our["subgroups"]["dataset"][label], block));
            }
            for (label, our, their) in blocks {
                let at = format!("{temp} {kind} {label}");
                let at_key = format!("{temp}|{kind}|{label}");
                assert_eq!(our["n_items"], their["n_items"], "{at}");
                // At 0.7 some items have an even number of draws of which half are right: that is not right any more.
                if temp == "0.0" {
                    for key in ["b", "c"] {
                        assert_eq!(our["mcnemar"][key], their["mcnemar"][key], "{at} {key}");
                    }
                    assert!(near(&our["mcnemar"]["p_exact"], &their["mcnemar"]["p_exact"], 1e-12), "{at}");
                    let mid = &careful[format!("{temp}|{kind}|{label}")]["mcnemar"]["p_mid"];
                    assert!(near(&our["mcnemar"]["p_mid"], mid, 1e-12), "{at}: {mid}");
                    for end in [0, 1] {
                        let (our, their) = (&our["mcnemar"]["or_ci_95"][end], &their["mcnemar"]["or_ci_95"][end]);
                        assert!(near(our, their, 1e-9), "{at}: {our} {their}");
                    }
                }
                for (metric, their) in their["metrics"].as_object().unwrap() {
                    let our = &our["metrics"][metric];
                    assert!(near(&our["delta_mean"], &their["delta_mean"], 1e-12), "{at} {metric}");
                    assert!(near(&our["cohens_dz"], &their["cohens_d"], 1e-9), "{at} {metric}");
                    let careful = &careful[&at_key][metric];
                    assert!(near(&our["hodges_lehmann"], &careful["hl"], 1e-9), "{at} {metric}");
                    if our["wilcoxon"]["form"] == "normal-tie-corrected" {
                        assert!(
                            near(&our["wilcoxon"]["p_value"], &careful["wilcoxon_rounded"]["p"], 1e-9),
                            "{at} {metric}"
                        );
                    }
                    let (p, drawn) = (our["perm_p_value"].as_f64().unwrap(), careful["perm_p_plus1"].as_f64().unwrap());
                    // Theirs is drawn; where ours is exact the noise is theirs alone.
                    let noise = 4.0 * (2.0 * p.max(1e-4) * (1.0 - p.min(0.9999)) / 5000.0).sqrt() + 2.0 / 5001.0;
                    assert!((p - drawn).abs() <= noise, "{at} {metric}: {p} {drawn}");
                    for end in [0, 1] {
                        // Two bootstraps of 5000 resamples differ by their own noise.
                        assert!(near(&our["ci_95"][end], &their["ci_95"][end], 0.008), "{at} {metric} {end}");
                    }
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 42);
}
