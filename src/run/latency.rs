use std::collections::BTreeMap;

use serde::Serialize;

use super::RunError;
use crate::stats::{self, Differences, Zeros};

/// Is the version of the layout.
const SCHEMA_VERSION: u32 = 1;

/// Is one draw's wall time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Latency<'a> {
    pub(super) dataset: &'a str,
    pub(super) item: &'a str,
    /// `control` or `treatment`.
    pub(super) side: &'static str,
    pub(super) milliseconds: u64,
}

/// Is all of `latency.json`: how long answers took under both arms, item by item. It describes circumstances, and is no
/// part of the root.
#[derive(Debug, Serialize)]
pub(super) struct LatencyDocument {
    schema_version: u32,
    unit: &'static str,
    /// What is compared.
    of: &'static str,
    datasets: BTreeMap<String, LatencyBlock>,
}

#[derive(Debug, Serialize)]
struct LatencyBlock {
    /// By arm.
    arms: BTreeMap<&'static str, ArmLatency>,
    /// Absent where no item has a time under both arms.
    #[serde(skip_serializing_if = "Option::is_none")]
    paired: Option<PairedLatency>,
}

/// Sums up all draws of an arm.
#[derive(Debug, Serialize)]
struct ArmLatency {
    draws: usize,
    mean: Option<f64>,
    /// Quantiles of type 7.
    median: Option<f64>,
    p95: Option<f64>,
}

/// Compares the means of items, treatment less control.
#[derive(Debug, Serialize)]
struct PairedLatency {
    n_items: u64,
    control_mean: Option<f64>,
    treatment_mean: Option<f64>,
    delta_mean: Option<f64>,
    se: Option<f64>,
    se_method: &'static str,
    /// Of the mean difference, by method.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    intervals: BTreeMap<&'static str, Ends>,
    hodges_lehmann: Option<f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    hodges_lehmann_intervals: BTreeMap<&'static str, Ends>,
    /// The geometric mean of treatment over control; null where a time is 0.
    ratio: Option<f64>,
    /// Its interval: Student's, of logarithms.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    ratio_intervals: BTreeMap<&'static str, Ends>,
    /// p-values by method.
    tests: BTreeMap<String, f64>,
}

#[derive(Debug, Serialize)]
struct Ends {
    ci_95: [f64; 2],
}

impl LatencyDocument {
    /// Compares the times of draws that were answered online; none where there is none.
    pub(super) fn of<'a>(draws: impl Iterator<Item = Latency<'a>>) -> Option<Self> {
        type Item = BTreeMap<&'static str, Vec<f64>>;
        let mut of_dataset: BTreeMap<&str, BTreeMap<&str, Item>> = BTreeMap::new();
        for draw in draws {
            let items = of_dataset.entry(draw.dataset).or_default();
            items.entry(draw.item).or_default().entry(draw.side).or_default().push(draw.milliseconds as f64);
        }
        let block = |items: &BTreeMap<&str, Item>| {
            let mut arms: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
            for (side, times) in items.values().flatten() {
                arms.entry(side).or_default().extend(times);
            }
            let mean = |item: &Item, side: &str| stats::mean(item.get(side)?).mean;
            let pairs: Vec<(f64, f64)> =
                items.values().filter_map(|item| Some((mean(item, "control")?, mean(item, "treatment")?))).collect();
            LatencyBlock {
                arms: arms.into_iter().map(|(side, times)| (side, arm(times))).collect(),
                paired: paired(&pairs),
            }
        };
        let datasets: BTreeMap<String, LatencyBlock> =
            of_dataset.iter().map(|(name, items)| ((*name).to_owned(), block(items))).collect();
        (!datasets.is_empty()).then_some(Self {
            schema_version: SCHEMA_VERSION,
            unit: "milliseconds from sending to the last byte, of the attempt that was answered",
            of: "draws that were answered online, whenever that was; items, by the mean of their draws, count as independent",
            datasets,
        })
    }

    /// Writes the document.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, RunError> {
        serde_json::to_string_pretty(self)
            .map(|text| (text + "\n").into_bytes())
            .map_err(|error| RunError::Unreadable { what: "latency.json".into(), why: error.to_string() })
    }
}

fn arm(mut times: Vec<f64>) -> ArmLatency {
    times.sort_by(f64::total_cmp);
    ArmLatency {
        draws: times.len(),
        mean: stats::mean(&times).mean,
        median: stats::quantile(&times, 0.5),
        p95: stats::quantile(&times, 0.95),
    }
}

fn named(interval: Option<stats::Interval>) -> BTreeMap<&'static str, Ends> {
    interval.map(|found| (found.method.name(), Ends { ci_95: [found.lower, found.upper] })).into_iter().collect()
}

fn paired(pairs: &[(f64, f64)]) -> Option<PairedLatency> {
    if pairs.is_empty() {
        return None;
    }
    let differences = Differences::omitting(pairs.iter().copied());
    let summary = stats::paired(&differences);
    let wilcoxon = stats::wilcoxon(&differences, Zeros::Wilcox);
    let mut tests: BTreeMap<String, f64> = BTreeMap::new();
    tests.extend(summary.t_test().map(|test| ("paired-t".to_owned(), test.p)));
    tests.insert(format!("wilcoxon-{}-{}", wilcoxon.zero_method.name(), wilcoxon.form.name()), wilcoxon.p);
    let is_positive = pairs.iter().all(|&(control, treatment)| control > 0.0 && treatment > 0.0);
    let ratios = is_positive.then(|| {
        let logarithms = pairs.iter().map(|&(control, treatment)| libm::log(treatment) - libm::log(control));
        stats::paired(&Differences::from_deltas(logarithms))
    });
    let of_ratio = |end: f64| libm::exp(end);
    let ratio_ends = ratios.as_ref().and_then(|ratios| ratios.interval(0.95));
    let mean = |side: fn(&(f64, f64)) -> f64| stats::mean(&pairs.iter().map(side).collect::<Vec<_>>()).mean;
    Some(PairedLatency {
        n_items: summary.n,
        control_mean: mean(|pair| pair.0),
        treatment_mean: mean(|pair| pair.1),
        delta_mean: summary.mean,
        se: summary.standard_error,
        se_method: "independent-items",
        intervals: named(summary.interval(0.95)),
        hodges_lehmann: stats::hodges_lehmann(&differences),
        hodges_lehmann_intervals: named(stats::hodges_lehmann_interval(&differences, 0.95)),
        ratio: ratios.and_then(|ratios| ratios.mean).map(of_ratio),
        ratio_intervals: ratio_ends
            .map(|ends| ("t-of-logarithms", Ends { ci_95: [of_ratio(ends.lower), of_ratio(ends.upper)] }))
            .into_iter()
            .collect(),
        tests,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn document(draws: &[(&'static str, &'static str, u64)]) -> Option<Value> {
        let draws = draws.iter();
        let found = draws.map(|&(item, side, milliseconds)| Latency { dataset: "d", item, side, milliseconds });
        LatencyDocument::of(found).map(|found| serde_json::from_slice(&found.to_json().unwrap()).unwrap())
    }

    #[test]
    fn items_are_compared_by_the_means_of_their_draws() {
        let json = document(&[
            ("a", "control", 100),
            ("a", "control", 300),
            ("a", "treatment", 400),
            ("b", "control", 100),
            ("b", "treatment", 200),
            ("c", "treatment", 9_000),
        ])
        .unwrap();
        let block = &json["datasets"]["d"];
        assert_eq!(
            (block["arms"]["treatment"]["draws"].as_u64(), block["paired"]["n_items"].as_u64()),
            (Some(3), Some(2))
        );
        // 400 − 200 and 200 − 100: mean 150, each twice as long.
        assert_eq!(block["paired"]["delta_mean"].as_f64(), Some(150.0));
        assert!((block["paired"]["ratio"].as_f64().unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(block["arms"]["control"]["median"].as_f64(), Some(100.0));
        // t(1) at 97.5 % is 12.7062…, the standard error 50.
        let upper = block["paired"]["intervals"]["t"]["ci_95"][1].as_f64().unwrap();
        assert!((upper - (150.0 + 50.0 * 12.706_204_736_174_7)).abs() < 1e-9, "{upper}");
        assert_eq!(block["paired"]["tests"]["wilcoxon-wilcox-exact"].as_f64(), Some(0.5));
    }

    #[test]
    fn nothing_is_made_up() {
        assert_eq!(document(&[]), None);
        let one_sided = document(&[("a", "control", 5)]).unwrap();
        assert!(one_sided["datasets"]["d"].get("paired").is_none());
        let one = document(&[("a", "control", 0), ("a", "treatment", 0)]).unwrap();
        let paired = &one["datasets"]["d"]["paired"];
        assert_eq!((paired["ratio"].is_null(), paired["se"].is_null()), (true, true));
        assert!(paired.get("intervals").is_none());
    }
}
