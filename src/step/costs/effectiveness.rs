use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Rates;
use crate::plan::Effectiveness;
use crate::stats::{Ratio, ratio_of_means};
use crate::step::json_lines::write_document;
use crate::step::merge::temperature_label;
use crate::step::named_list::NamedList;
use crate::step::paired_item::{PairedArm, PairedItem};
use crate::step::significance::NO_TEMPERATURE;
use crate::step::{Outputs, StepError};

const NAME: &str = "cost_effectiveness.json";

/// Is all of `cost_effectiveness.json`.
#[derive(Serialize, Deserialize)]
pub(in crate::step) struct Document {
    schema_version: u32,
    /// `fieller`: of the ratio of two paired means.
    pub(in crate::step) interval_method: String,
    /// By temperature, dataset and metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::step) results: BTreeMap<String, NamedList<NamedList<Row>>>,
}

/// Holds the effect of treatment on one metric against what it costs, over the items that have both under both arms.
#[derive(Serialize, Deserialize)]
pub(in crate::step) struct Row {
    pub(in crate::step) n_items: u64,
    pub(in crate::step) usd_control: Option<f64>,
    pub(in crate::step) usd_treatment: Option<f64>,
    /// Per item and draw set, treatment minus control, as `delta_metric` is.
    pub(in crate::step) usd_diff: Option<f64>,
    pub(in crate::step) delta_metric: Option<f64>,
    /// What one percentage point more of the metric costs; negative where cost and metric move against each other.
    pub(in crate::step) usd_per_1pp: Option<f64>,
    /// Null where the metric's difference may be nothing: the ratio has no bounds then.
    pub(in crate::step) usd_per_1pp_ci_95: Option<[f64; 2]>,
    /// Which way both move, as in `costs-more-scores-higher`.
    pub(in crate::step) direction: Option<String>,
}

/// Writes what a percentage point of each metric costs, with its sign.
pub(super) fn write(
    wanted: &Effectiveness,
    items: &[PairedItem<'_>],
    rates: Option<Rates>,
    outputs: &mut dyn Outputs,
) -> Result<(), StepError> {
    let label = wanted.temperature.map_or_else(|| NO_TEMPERATURE.to_owned(), |t| temperature_label(Some(t)));
    let datasets = wanted.datasets.iter().map(|dataset| {
        let of_dataset: Vec<&PairedItem<'_>> =
            items.iter().filter(|item| item.dataset.as_str() == dataset.name).collect();
        let rows = dataset.metrics.iter().enumerate();
        let rows = rows.map(|(at, metric)| (metric.clone(), row(at, &of_dataset, rates, wanted.cluster)));
        (dataset.name.clone(), rows.collect::<NamedList<Row>>())
    });
    let datasets: NamedList<NamedList<Row>> = datasets.filter(|(_, rows)| !rows.is_empty()).collect();
    let document = Document {
        schema_version: 2,
        interval_method: "fieller".to_owned(),
        results: (!datasets.is_empty()).then_some((label, datasets)).into_iter().collect(),
    };
    outputs.put(NAME, write_document(NAME, &document)?)
}

fn row(metric: usize, items: &[&PairedItem<'_>], rates: Option<Rates>, cluster: bool) -> Row {
    let usd = |arm: &PairedArm| {
        let is_complete = !arm.statuses.is_empty() && !arm.statuses.iter().any(|status| status.is_failure());
        is_complete.then(|| super::item_usd(arm, rates?)).flatten()
    };
    let known = |item: &&PairedItem<'_>| {
        let (control, treatment) = (item.control.as_ref()?, item.treatment.as_ref()?);
        let delta = treatment.mean(metric)? - control.mean(metric)?;
        Some((usd(control)?, usd(treatment)?, delta))
    };
    let rows: Vec<_> = items
        .iter()
        .filter_map(|item| {
            let cluster = match (&item.group, cluster) {
                (Some(group), true) => (true, group.as_str()),
                _ => (false, item.item.as_str()),
            };
            Some((known(item)?, cluster))
        })
        .collect();
    let pairs: Vec<_> = rows
        .iter()
        .map(|((control, treatment, delta), cluster)| (treatment - control, delta * 100.0, *cluster))
        .collect();
    let mean = |of: fn(&(f64, f64, f64)) -> f64| {
        crate::stats::mean(&rows.iter().map(|(known, _)| of(known)).collect::<Vec<_>>()).mean
    };
    let found: Option<Ratio> = ratio_of_means(&pairs, 0.95);
    Row {
        n_items: rows.len() as u64,
        usd_control: mean(|known| known.0),
        usd_treatment: mean(|known| known.1),
        usd_diff: found.map(|ratio| ratio.numerator),
        delta_metric: mean(|known| known.2),
        usd_per_1pp: found.and_then(|ratio| ratio.ratio),
        usd_per_1pp_ci_95: found.and_then(|ratio| ratio.interval).map(|ends| [ends.lower, ends.upper]),
        direction: found.map(|ratio| direction(ratio.numerator, ratio.denominator)),
    }
}

fn direction(usd: f64, delta: f64) -> String {
    let word = |value: f64, more: &'static str, less: &'static str, same: &'static str| match value {
        _ if value > 0.0 => more,
        _ if value < 0.0 => less,
        _ => same,
    };
    let cost = word(usd, "costs-more", "costs-less", "costs-the-same");
    format!("{cost}-{}", word(delta, "scores-higher", "scores-lower", "scores-the-same"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_never_looks_like_a_gain() {
        let arm = |tokens: u64, right: f64| PairedArm {
            statuses: vec![serde_json::from_str("\"stop\"").unwrap()],
            scored: 1,
            sums: vec![right],
            input_tokens: vec![Some(0)],
            output_tokens: vec![Some(tokens)],
            ..PairedArm::default()
        };
        let items: Vec<PairedItem<'_>> = (0..20)
            .map(|id| PairedItem {
                dataset: "d".into(),
                label: None,
                item: id.to_string().into(),
                group: None,
                fields: BTreeMap::new(),
                control: Some(arm(1_000_000, 1.0)),
                treatment: Some(arm(3_000_000, f64::from(u8::from(id % 2 == 0)))),
            })
            .collect();
        let items: Vec<&PairedItem<'_>> = items.iter().collect();
        let rates = Some(Rates { input: 0.0, output: 1.0, is_batch: false, long_prompt: None });
        let row = row(0, &items, rates, false);
        assert_eq!((row.usd_diff, row.delta_metric, row.n_items), (Some(2.0), Some(-0.5), 20));
        assert_eq!(row.usd_per_1pp, Some(-0.04));
        assert!(row.usd_per_1pp_ci_95.unwrap()[1] < 0.0);
        assert_eq!(row.direction.as_deref(), Some("costs-more-scores-lower"));
        let unpriced = super::row(0, &items, None, false);
        assert_eq!((unpriced.n_items, unpriced.usd_per_1pp, unpriced.direction), (0, None, None));
    }
}
