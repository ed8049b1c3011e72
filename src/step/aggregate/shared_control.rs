use serde::Serialize;

use super::trial::{Trial, side_by_side};
use crate::plan::AggregateParams;
use crate::stats::{Stream, max_t};

/// Compares several treatments with the control that they share.
#[derive(Serialize)]
pub(super) struct SharedControl {
    /// `max-t-sign-flip`: the law of the largest |t|, Dunnett's comparison without his normal law, studentised and with the null imposed.
    pub(super) method: &'static str,
    /// The dataset.
    pub(super) dataset: String,
    /// The metric.
    pub(super) metric: String,
    /// `item` or `group`: what carries a random sign.
    pub(super) unit: &'static str,
    /// How many random signs each carries.
    pub(super) resamples: u32,
    /// The treatments.
    pub(super) comparisons: Vec<Comparison>,
}

/// Is one treatment against the shared control.
#[derive(Serialize)]
pub(super) struct Comparison {
    /// The trial's slug.
    pub(super) trial: String,
    /// How many units.
    pub(super) n: u64,
    /// The mean over its standard error.
    pub(super) t: Option<f64>,
    /// The family-wise p-value of the single-step procedure.
    pub(super) p_single_step: Option<f64>,
    /// The same of the step-down procedure.
    pub(super) p_step_down: Option<f64>,
}

/// Makes the comparisons of every group of trials with one control, on each metric that all of them test.
pub(super) fn shared_controls(
    params: &AggregateParams,
    trials: &[Trial<'_>],
    is_confirmatory: impl Fn(&Trial<'_>) -> bool,
) -> Vec<SharedControl> {
    let mut all = Vec::new();
    if params.resamples == 0 {
        return all;
    }
    for slugs in &params.shared_controls {
        // A trial that came later is compared by itself, so that it moves none of the others.
        let group: Vec<&Trial<'_>> =
            trials.iter().filter(|trial| slugs.contains(&trial.label.slug) && is_confirmatory(trial)).collect();
        let Some(first) = group.first().filter(|_| group.len() > 1) else { continue };
        for test in &first.significance.family.tests {
            if !group.iter().all(|trial| trial.differences(&test.dataset, &test.metric).is_some()) {
                continue;
            }
            let rows = side_by_side(&group, &test.dataset, &test.metric, params.cluster);
            let single = side_by_side(&group, &test.dataset, &test.metric, false).len();
            let label = format!("max-t|{}|{}|{}", first.label.slug, test.dataset, test.metric);
            let mut stream = Stream::derive(params.random_seed, &label);
            let found = max_t(&rows, params.resamples, &mut stream);
            let comparisons = group.iter().zip(found).map(|(trial, found)| Comparison {
                trial: trial.label.slug.clone(),
                n: found.n,
                t: found.t,
                p_single_step: found.p_single_step,
                p_step_down: found.p_step_down,
            });
            all.push(SharedControl {
                method: "max-t-sign-flip",
                dataset: test.dataset.clone(),
                metric: test.metric.clone(),
                unit: if rows.len() < single { "group" } else { "item" },
                resamples: params.resamples,
                comparisons: comparisons.collect(),
            });
        }
    }
    all
}
