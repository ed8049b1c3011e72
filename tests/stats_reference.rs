//! Compares regressions, and what `significance.json` says of the bundled example, with values that independent programs
//! computed (`tests/reference`).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Read;

use exp::digest::BlobId;
use exp::plan::{Analysis, OptionalAnalyses, StatsParams, TrialDataset};
use exp::stats::{ArmCells, ArmModel, LengthRow, clustered_ols, length_controlled, logistic_gee, special};
use exp::step::{Input, Inputs, ReadBlobs, stats as stats_step};
use serde_json::Value;

fn cells(rows: &Value, column: usize) -> Vec<ArmCells> {
    let mut clusters: BTreeMap<u64, ArmCells> = BTreeMap::new();
    for row in rows.as_array().unwrap() {
        let arm = row[1].as_u64().unwrap() as usize;
        let y = row[column].as_f64().unwrap();
        let cells = clusters.entry(row[0].as_u64().unwrap()).or_default();
        cells.n[arm] += 1.0;
        cells.sum[arm] += y;
        cells.squares[arm] += y * y;
    }
    clusters.into_values().collect()
}

#[track_caller]
fn near(ours: [f64; 2], theirs: &Value, tolerance: f64) {
    for (ours, theirs) in ours.iter().zip(theirs.as_array().unwrap()) {
        let theirs = theirs.as_f64().unwrap();
        assert!((ours - theirs).abs() <= tolerance * theirs.abs().max(1.0), "{ours} {theirs}");
    }
}

#[test]
fn regressions_agree_with_statsmodels() {
    let text = include_str!("reference/regressions.json");
    let reference: Value = serde_json::from_str(text).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let gee: ArmModel = logistic_gee(&cells(&case["rows"], 2)).unwrap();
        near(gee.params, &case["gee"]["params"], 1e-8);
        near(gee.standard_errors, &case["gee"]["bse"], 1e-8);
        assert!((gee.correlation - case["gee"]["correlation"].as_f64().unwrap()).abs() < 1e-8);
        let ols = clustered_ols(&cells(&case["rows"], 3)).unwrap();
        near(ols.params, &case["ols"]["params"], 1e-10);
        near(ols.standard_errors, &case["ols"]["bse"], 1e-10);
    }
}

#[test]
fn win_rates_at_equal_lengths_agree_with_statsmodels() {
    let text = include_str!("reference/length_controlled.json");
    let reference: Value = serde_json::from_str(text).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let row = |row: &Value| {
            let number = |at: usize| row[at].as_f64().unwrap();
            let cluster = row[0].as_u64().unwrap();
            LengthRow { difference: number(1), score: number(2), weight: number(3), cluster }
        };
        let rows: Vec<LengthRow<u64>> = case["rows"].as_array().unwrap().iter().map(row).collect();
        let found = length_controlled(&rows).unwrap();
        near(found.params, &case["params"], 1e-9);
        near(found.standard_errors.unwrap(), &case["bse"], 1e-9);
        assert_eq!(Some(found.clusters), case["clusters"].as_u64());
    }
}

struct One(Vec<u8>);

impl ReadBlobs for One {
    fn open(&self, _: &BlobId) -> Result<Box<dyn Read + '_>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Box::new(self.0.as_slice()))
    }
}

/// Writes an arm of an item of which the means over its draws are known; several draws are each right or wrong.
fn arm(means: &Value, draws: u64) -> Value {
    let sums: Vec<f64> = means
        .as_array()
        .unwrap()
        .iter()
        .map(|mean| {
            let mean = mean.as_f64().unwrap();
            if draws == 1 { mean } else { (mean * draws as f64).round() }
        })
        .collect();
    let each = |value: Value| Value::from(vec![value; draws as usize]);
    let mut arm = serde_json::json!({
        "statuses": each("stop".into()),
        "scored": draws,
        "sums": sums,
        "input_tokens": each(Value::Null),
        "output_tokens": each(Value::Null),
    });
    if draws > 1 {
        arm["squares"] = sums.into();
    }
    arm
}

fn significance(trial: &Value) -> Value {
    let draws = trial["draws"].as_u64().unwrap();
    let metrics = trial["metrics"].as_object().unwrap();
    let mut paired = Vec::new();
    for row in trial["rows"].as_array().unwrap() {
        let line = serde_json::json!({
            "dataset": row[0],
            "item": row[1],
            "group": row[2],
            "control": arm(&row[3], draws),
            "treatment": arm(&row[4], draws),
        });
        paired.extend(format!("{line}\n").into_bytes());
    }
    let dataset = |(name, metrics): (&String, &Value)| TrialDataset {
        name: name.clone(),
        open: name == "open_book",
        metrics: metrics.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
    };
    let params = StatsParams {
        temperature: Some(trial["temperature"].as_str().unwrap().parse().unwrap()),
        datasets: metrics.iter().map(dataset).collect(),
        analysis: Analysis { bootstrap_samples: 50, cluster: true, ..Analysis::default() },
        exclusions: None,
        optional: OptionalAnalyses::default(),
    };
    let blob = BlobId::of(&paired);
    let blobs = One(paired);
    let entry = Input { name: "paired".to_owned(), blob, label: "paired".to_owned() };
    let mut made: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    stats_step::run(&params, &Inputs::new(vec![entry], &blobs), &mut made).unwrap();
    serde_json::from_slice(&made["significance.json"]).unwrap()
}

#[test]
fn the_bundled_examples_numbers_are_those_of_scipy_and_statsmodels() {
    let reference: Value = serde_json::from_str(include_str!("reference/example.json")).unwrap();
    let (mut compared, mut wrong) = (0, Vec::new());
    for trial in reference["trials"].as_array().unwrap() {
        let document = significance(trial);
        let results = &document["results"][trial["temperature"].as_str().unwrap()];
        for row in trial["expected"].as_array().unwrap() {
            let pointer = row[0].as_str().unwrap();
            let found = if pointer.starts_with('/') {
                results.pointer(pointer)
            } else {
                document.pointer(&format!("/{pointer}"))
            };
            compared += 1;
            let is_equal = match (found.and_then(Value::as_f64), row[1].as_f64()) {
                (Some(ours), Some(0.0)) => ours.abs() <= 1e-12,
                (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 1e-9 * theirs.abs(),
                (None, None) => found.is_some_and(Value::is_null),
                _ => false,
            };
            if !is_equal {
                wrong.push(format!("{} {pointer}: {found:?}, expected {}", trial["trial"], row[1]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 400, "{compared}");
}

#[test]
fn tails_keep_their_digits_down_to_1e_300() {
    let reference: Value = serde_json::from_str(include_str!("reference/tails.json")).unwrap();
    let rows = reference.as_array().unwrap();
    let mut smallest = 1.0_f64;
    for row in rows {
        let args: Vec<f64> = row[1].as_array().unwrap().iter().map(|arg| arg.as_f64().unwrap()).collect();
        let ours = match row[0].as_str().unwrap() {
            "normal_sf" => special::normal_sf(args[0]),
            "chi_squared_sf" => special::chi_squared_sf(args[0], args[1]),
            "student_sf" => special::student_sf(args[0], args[1]),
            "beta_cdf" => special::beta_cdf(args[0], args[1], args[2]),
            _ => special::f_sf(args[0], args[1], args[2]),
        };
        let theirs: f64 = row[2].as_str().unwrap().parse().unwrap();
        assert!((ours / theirs - 1.0).abs() < 1e-11, "{row}: {ours:e}");
        smallest = smallest.min(theirs);
    }
    assert!(rows.len() > 25 && smallest < 1e-299);
}
