//! Compares regressions with values that an independent program computed (`tests/reference`).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use exp::stats::{ArmCells, ArmModel, clustered_ols, logistic_gee};
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
