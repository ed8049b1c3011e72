//! The long form of `tests/coverage.rs`: prints the table of `docs/statistics.md`, and every disagreement.
//! `cargo bench --bench coverage -- SCENARIO…` makes only some of it.
#![allow(clippy::unwrap_used)] // A bench may stop where its reference is not as it should be.

#[path = "../tests/coverage/scenarios.rs"]
mod scenarios;

use std::collections::BTreeMap;

use scenarios::{SCENARIOS, simulate};
use serde_json::Value;

fn samples(scenario: &str, n: u32) -> (u32, u32) {
    match (scenario, n) {
        ("skewed" | "clustered", 30) => (20_000, 20_000),
        ("skewed" | "clustered", 300) => (20_000, 5_000),
        ("skewed" | "clustered", _) => (4_000, 500),
        ("normal-null" | "normal-effect", 3000) => (3_000, 1_000),
        ("family-null" | "pooled-equal" | "pooled-mixed" | "ratio", 3000) => (4_000, 0),
        (_, 3000) => (20_000, 4_000),
        _ => (20_000, 20_000),
    }
}

fn main() {
    let text = include_str!("../tests/reference/coverage.json");
    let reference: Value = serde_json::from_str(text).unwrap();
    let resamples = reference["resamples"].as_u64().unwrap() as u32;
    let mut table: BTreeMap<(usize, &'static str), BTreeMap<u32, String>> = BTreeMap::new();
    let (mut compared, mut beyond) = (0, 0);
    let named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |scenario: &str| named.is_empty() || named.iter().any(|name| name == scenario);
    for (at, scenario) in SCENARIOS.into_iter().enumerate().filter(|(_, scenario)| is_wanted(scenario)) {
        for n in [30, 300, 3000] {
            let (samples, booted) = samples(scenario, n);
            for (method, share, drawn) in simulate(scenario, n, samples, booted, resamples).shares() {
                let truth = &reference["scenarios"][scenario][n.to_string()][method];
                let cell = if truth.is_null() {
                    format!("{:.1} / –", 100.0 * share)
                } else {
                    let (value, error) = (truth[0].as_f64().unwrap(), truth[1].as_f64().unwrap());
                    let sampling = (value * (1.0 - value) / f64::from(drawn)).sqrt();
                    compared += 1;
                    if (share - value).abs() > 3.0 * sampling.hypot(error) + 1e-9 {
                        beyond += 1;
                        println!("beyond three errors: {scenario} n={n} {method}: {share} of {drawn}, truth {value}");
                    }
                    format!("{:.1} / {:.1}", 100.0 * share, 100.0 * value)
                };
                table.entry((at, method)).or_default().insert(n, cell);
            }
        }
    }
    println!("| scenario | method | n = 30 | n = 300 | n = 3,000 |\n|---|---|---:|---:|---:|");
    for ((at, method), cells) in &table {
        let cell = |n: u32| cells.get(&n).map_or("–", String::as_str);
        println!("| {} | `{method}` | {} | {} | {} |", SCENARIOS[*at], cell(30), cell(300), cell(3000));
    }
    println!("{compared} compared, {beyond} beyond three standard errors");
}
