use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::trial::{Trial, side_by_side};
use crate::plan::AggregateParams;
use crate::stats::interaction;
use crate::step::pooled_effect::{Study, pool};
use crate::step::significance::MetaBlock;

/// Is all of `effects.json`: the effects of a run as a grid, and what they have in common.
#[derive(Serialize)]
pub(super) struct Effects {
    schema_version: u32,
    /// model × prompt set × decoding × dataset and metric.
    grid: Vec<Cell>,
    /// Whether the effect of a prompt set differs between models that were asked the same items.
    pub(super) interactions: Vec<ModelInteraction>,
    /// The effects of each trial pooled over its datasets, by metric.
    pub(super) meta: Vec<TrialMeta>,
}

#[derive(Serialize)]
struct Cell {
    model: String,
    prompt_set: String,
    point: String,
    trial: String,
    dataset: String,
    metric: String,
    n_items: u64,
    delta_mean: Option<f64>,
    se: Option<f64>,
    ci_95: Option<[f64; 2]>,
    method: Option<String>,
    p_value: Option<f64>,
    conclusion: String,
}

/// Tests that a treatment has one effect under every model.
#[derive(Serialize)]
pub(super) struct ModelInteraction {
    pub(super) prompt_set: String,
    pub(super) point: String,
    pub(super) dataset: String,
    pub(super) metric: String,
    pub(super) models: Vec<String>,
    /// `hotelling`; for two models it is the paired t test of the differences' difference.
    method: &'static str,
    /// `item` or `group`.
    unit: &'static str,
    /// How many units have a difference under every model.
    pub(super) n_items: u64,
    #[serde(rename = "F")]
    f: Option<f64>,
    df1: Option<u64>,
    df2: Option<u64>,
    pub(super) p_value: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct TrialMeta {
    pub(super) trial: String,
    pub(super) metric: String,
    pub(super) pooled: MetaBlock,
}

impl Effects {
    /// Collects the effects of all trials.
    pub(super) fn of(params: &AggregateParams, trials: &[Trial<'_>]) -> Self {
        Self {
            schema_version: 2,
            grid: trials.iter().flat_map(cells).collect(),
            interactions: interactions(params, trials),
            meta: trials.iter().flat_map(meta).collect(),
        }
    }
}

fn cells(trial: &Trial<'_>) -> Vec<Cell> {
    let Some(results) = trial.results() else { return Vec::new() };
    let blocks = results.datasets.iter();
    let all = blocks.flat_map(|(dataset, block)| block.metrics.iter().map(move |(metric, m)| (dataset, metric, m)));
    all.map(|(dataset, metric, block)| Cell {
        model: trial.label.model.clone(),
        prompt_set: trial.label.prompt_set.clone(),
        point: trial.label.point.clone(),
        trial: trial.label.slug.clone(),
        dataset: dataset.to_owned(),
        metric: metric.to_owned(),
        n_items: block.n_items,
        delta_mean: block.delta_mean,
        se: block.se,
        ci_95: block.ci_95,
        method: block.method.clone(),
        p_value: block.test.as_ref().map(|test| test.p_value),
        conclusion: block.verdict.conclusion.clone(),
    })
    .collect()
}

fn interactions(params: &AggregateParams, trials: &[Trial<'_>]) -> Vec<ModelInteraction> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Trial<'_>>> = BTreeMap::new();
    for trial in trials {
        groups.entry((&trial.label.prompt_set, &trial.label.point)).or_default().push(trial);
    }
    let mut all = Vec::new();
    for ((prompt_set, point), group) in groups {
        let models: BTreeSet<&str> = group.iter().map(|trial| trial.label.model.as_str()).collect();
        if group.len() < 2 || models.len() < group.len() {
            continue;
        }
        for test in &group[0].significance.family.tests {
            let (dataset, metric) = (test.dataset.as_str(), test.metric.as_str());
            if !group.iter().all(|trial| trial.differences(dataset, metric).is_some()) {
                continue;
            }
            let mut rows = side_by_side(&group, dataset, metric, false);
            // Only items that every model answered are compared, also where they are summed up by group.
            rows.retain(|row| row.iter().all(|cell| cell.is_finite()));
            let n_items = rows.len();
            let grouped = if params.cluster { complete_groups(&group, dataset, metric) } else { Vec::new() };
            let is_grouped = !grouped.is_empty() && grouped.len() < n_items;
            let found = interaction(if is_grouped { &grouped } else { &rows });
            all.push(ModelInteraction {
                prompt_set: prompt_set.to_owned(),
                point: point.to_owned(),
                dataset: dataset.to_owned(),
                metric: metric.to_owned(),
                models: group.iter().map(|trial| trial.label.model.clone()).collect(),
                method: "hotelling",
                unit: if is_grouped { "group" } else { "item" },
                n_items: if is_grouped { grouped.len() } else { n_items } as u64,
                f: found.map(|found| found.f),
                df1: found.map(|found| found.df1),
                df2: found.map(|found| found.df2),
                p_value: found.map(|found| found.p),
            });
        }
    }
    all
}

/// Sums up, by group, the items that every trial has.
fn complete_groups(trials: &[&Trial<'_>], dataset: &str, metric: &str) -> Vec<Vec<f64>> {
    let columns: Vec<_> = trials.iter().filter_map(|trial| trial.differences(dataset, metric)).collect();
    let Some(first) = columns.first() else { return Vec::new() };
    let mut sums: BTreeMap<(bool, &str), Vec<f64>> = BTreeMap::new();
    let ordered: BTreeMap<_, _> = first.iter().collect();
    for (item, found) in ordered {
        let cells: Option<Vec<f64>> = columns.iter().map(|column| Some(column.get(item)?.delta)).collect();
        let Some(cells) = cells else { continue };
        let key = found.group.as_deref().map_or((false, item.as_str()), |group| (true, group));
        let sum = sums.entry(key).or_insert_with(|| vec![0.0; cells.len()]);
        sum.iter_mut().zip(cells).for_each(|(sum, cell)| *sum += cell);
    }
    sums.into_values().collect()
}

fn meta(trial: &Trial<'_>) -> Vec<TrialMeta> {
    let Some(results) = trial.results() else { return Vec::new() };
    let mut metrics: Vec<&str> = Vec::new();
    for (name, _) in results.datasets.iter().flat_map(|(_, block)| block.metrics.iter()) {
        if !metrics.contains(&name) {
            metrics.push(name);
        }
    }
    let pooled = |metric: &str| {
        let studies: Vec<_> = results
            .datasets
            .iter()
            .filter_map(|(name, block)| {
                let metric = block.metrics.get(metric)?;
                Some(Study::of(name, metric))
            })
            .collect();
        Some(TrialMeta { trial: trial.label.slug.clone(), metric: metric.to_owned(), pooled: pool(&studies)? })
    };
    metrics.into_iter().filter_map(pooled).collect()
}
