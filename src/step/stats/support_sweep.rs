use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::item_table::ItemTable;
use crate::plan::StatsParams;
use crate::stats::{self, Differences, Stream};
use crate::step::json_lines::write_document;
use crate::step::{Outputs, StepError};

const NAME: &str = "unsupported_sensitivity.json";

/// Is all of `unsupported_sensitivity.json`.
#[derive(Serialize, Deserialize)]
pub(in crate::step) struct Sweep {
    schema_version: u32,
    /// `overlap`: an answer is unsupported where the share of its words in the passage is below the threshold.
    pub(in crate::step) strategy: String,
    pub(in crate::step) thresholds: Vec<f64>,
    /// By temperature and threshold.
    pub(in crate::step) results: BTreeMap<String, BTreeMap<String, Point>>,
}

/// Is the comparison of the rates at one threshold.
#[derive(Serialize, Deserialize)]
pub(in crate::step) struct Point {
    pub(in crate::step) control_mean: Option<f64>,
    pub(in crate::step) treatment_mean: Option<f64>,
    pub(in crate::step) delta_mean: Option<f64>,
    pub(in crate::step) ci_95: Option<[f64; 2]>,
    pub(in crate::step) method: Option<String>,
    pub(in crate::step) n_items: u64,
}

/// Writes how the unsupported rate depends on the share of words that counts as support, where that is wanted.
///
/// Abstentions and blank answers are supported at every threshold, as they are in `unsupported_rate`.
pub(super) fn write(
    params: &StatsParams,
    label: &str,
    table: &ItemTable,
    outputs: &mut dyn Outputs,
) -> Result<(), StepError> {
    if !params.sweeps_support() {
        return Ok(());
    }
    let thresholds: Vec<f64> = (0..=10).map(|tenth| f64::from(tenth) / 10.0).collect();
    let is_in: Vec<bool> = table.datasets.iter().map(crate::plan::TrialDataset::judges_support).collect();
    let items: Vec<usize> = (0..table.len())
        .filter(|&item| is_in[table.dataset[item] as usize] && table.arms.iter().all(|arm| arm.scored[item] > 0))
        .collect();
    let clusters: Vec<u32> = items.iter().map(|&item| table.cluster[item]).collect();
    let mut distinct = clusters.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let is_clustered = params.analysis.cluster && distinct.len() < items.len();
    let mut points = BTreeMap::new();
    for &threshold in &thresholds {
        let rate = |arm: usize, item: usize| {
            let columns = &table.arms[arm];
            let below = columns.support(item).iter().filter(|share| **share < threshold as f32).count();
            below as f64 / f64::from(columns.scored[item])
        };
        let pairs: Vec<(f64, f64)> = items.iter().map(|&item| (rate(0, item), rate(1, item))).collect();
        let differences = Differences::omitting(pairs.iter().copied());
        let key = format!("{threshold:.2}");
        let mut stream = Stream::derive(params.analysis.random_seed, &format!("support-sweep|{key}"));
        let bootstrap = if is_clustered {
            let rows =
                pairs.iter().zip(&clusters).map(|((control, treatment), cluster)| (treatment - control, *cluster));
            stats::cluster_bootstrap(rows, params.analysis.bootstrap_samples, &mut stream)
        } else {
            stats::bootstrap(&differences, params.analysis.bootstrap_samples, &mut stream)
        };
        let interval = bootstrap.and_then(|bootstrap| bootstrap.percentile(0.95));
        let mean = |side: fn(&(f64, f64)) -> f64| stats::mean(&pairs.iter().map(side).collect::<Vec<_>>()).mean;
        points.insert(
            key,
            Point {
                control_mean: mean(|pair| pair.0),
                treatment_mean: mean(|pair| pair.1),
                delta_mean: differences.mean(),
                ci_95: interval.map(|interval| [interval.lower, interval.upper]),
                method: interval.map(|interval| interval.method.name().to_owned()),
                n_items: differences.n(),
            },
        );
    }
    let results = BTreeMap::from([(label.to_owned(), points)]);
    let document = Sweep { schema_version: 2, strategy: "overlap".to_owned(), thresholds, results };
    outputs.put(NAME, write_document(NAME, &document)?)
}
