//! Simulated coverage and size of each method against their true values.
//!
//! The truth is in `tests/reference/coverage.json`, enumerated or simulated by an independent program. This is the short
//! form; `cargo bench --bench coverage` makes the long one, and the table of `docs/statistics.md`.
#![allow(clippy::unwrap_used)]

#[path = "coverage/scenarios.rs"]
mod scenarios;

use scenarios::{SCENARIOS, simulate};
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("reference/coverage.json")).unwrap()
}

/// How many samples of a size are drawn, and how many of them are bootstrapped: a few seconds in all.
fn samples(scenario: &str, n: u32) -> (u32, u32) {
    match (scenario, n) {
        ("skewed" | "clustered", 30) => (1500, 400),
        ("skewed" | "clustered", 300) => (400, 60),
        ("skewed" | "clustered" | "normal-null" | "normal-effect", 3000) => (60, 0),
        ("normal-null", 300) => (600, 30),
        ("family-null" | "pooled-equal" | "pooled-mixed", 3000) => (40, 0),
        ("family-null" | "pooled-equal" | "pooled-mixed", 300) => (400, 0),
        (_, 30) => (2000, 300),
        (_, 300) => (1000, 150),
        _ => (300, 60),
    }
}

#[test]
fn simulation_agrees_with_the_truth() {
    let reference = reference();
    let resamples = reference["resamples"].as_u64().unwrap() as u32;
    let mut compared = 0;
    for scenario in SCENARIOS {
        for n in [30, 300, 3000] {
            let (samples, booted) = samples(scenario, n);
            for (method, share, drawn) in simulate(scenario, n, samples, booted, resamples).shares() {
                let truth = &reference["scenarios"][scenario][n.to_string()][method];
                if truth.is_null() {
                    // A law without a reference at this size and scenario.
                    continue;
                }
                let (value, error) = (truth[0].as_f64().unwrap(), truth[1].as_f64().unwrap());
                let sampling = (value * (1.0 - value) / f64::from(drawn)).sqrt();
                // Where no error is possible by chance, none is allowed.
                let allowed = 3.0 * sampling.hypot(error) + 1e-9;
                assert!(
                    (share - value).abs() <= allowed,
                    "{scenario} n={n} {method}: {share} of {drawn}, truth {value}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 220, "{compared}");
}

#[test]
fn exact_methods_never_exceed_their_level() {
    let reference = reference();
    for scenario in SCENARIOS {
        for n in ["30", "300", "3000"] {
            let of = |method: &str| reference["scenarios"][scenario][n][method][0].as_f64();
            for interval in ["clopper-pearson", "conditional-exact"] {
                assert!(of(interval).is_none_or(|share| share >= 0.95), "{scenario} {n} {interval}");
            }
            if scenario.ends_with("-null") {
                for test in ["mcnemar-exact", "permutation-exact", "wilcoxon-exact", "wilcoxon-exact-one-sided"] {
                    assert!(of(test).is_none_or(|share| share <= 0.05), "{scenario} {n} {test}");
                }
            }
            if n != "3000" {
                assert!(of("hodges-lehmann-exact").is_none_or(|share| share >= 0.95), "{scenario} {n}");
            }
        }
    }
}
