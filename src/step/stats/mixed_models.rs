use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::block::main_metric;
use super::item_table::ItemTable;
use crate::plan::StatsParams;
use crate::stats::special::{normal_quantile, student_quantile};
use crate::stats::{ArmCells, ArmModel, clustered_ols, logistic_gee};
use crate::step::json_lines::write_document;
use crate::step::{Outputs, StepError};

const NAME: &str = "mixed_models.json";
/// Is the term of treatment, in the predecessor's words.
pub(in crate::step) const TREATMENT: &str = "C(condition)[T.treatment]";
const TERMS: [&str; 2] = ["Intercept", TREATMENT];

/// Is all of `mixed_models.json`. The name is the predecessor's; the models are marginal ones, and say so.
#[derive(Serialize, Deserialize)]
#[allow(clippy::struct_field_names)] // The file's own word.
pub(in crate::step) struct Models {
    schema_version: u32,
    status: String,
    n_rows: u64,
    n_items: u64,
    n_clusters: u64,
    /// `logistic_binary_correct` and `linear_f1_open`.
    pub(in crate::step) models: BTreeMap<String, Model>,
}

/// Is a model, or why there is none.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::step) enum Model {
    Fitted(Fitted),
    Unavailable { unavailable: String },
}

/// Is a model that was fitted; its maps go by term.
#[derive(Serialize, Deserialize)]
pub(in crate::step) struct Fitted {
    /// `gee-logit-exchangeable` or `ols-cluster-robust`.
    pub(in crate::step) method: String,
    pub(in crate::step) metric: String,
    pub(in crate::step) params: BTreeMap<String, f64>,
    pub(in crate::step) bse: BTreeMap<String, f64>,
    pub(in crate::step) conf_int: BTreeMap<String, [f64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::step) odds_ratio: Option<BTreeMap<String, Option<f64>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::step) or_ci: Option<BTreeMap<String, [Option<f64>; 2]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<f64>,
    pub(in crate::step) n_obs: u64,
    pub(in crate::step) n_groups: u64,
}

/// Writes the marginal models of a trial, where they are wanted: a logistic one of right and wrong over all draws, and a
/// linear one of F1 over the open-book draws.
pub(super) fn write(params: &StatsParams, table: &ItemTable, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    if !params.optional.mixed_effects {
        return Ok(());
    }
    let cluster = params.analysis.cluster;
    // The same metric over all datasets, or none.
    let shared = |name: &str| table.datasets.iter().all(|dataset| dataset.metrics.iter().any(|metric| metric == name));
    let right = table.datasets.first().and_then(|first| {
        let shared: Vec<String> = first.metrics.iter().filter(|metric| shared(metric)).cloned().collect();
        Some(shared[main_metric(&shared)?].clone())
    });
    let f1 = ["f1", "squad_f1"].into_iter().find(|name| {
        table.datasets.iter().any(|dataset| dataset.open && dataset.metrics.iter().any(|metric| metric == name))
    });
    let logistic = right.map_or_else(
        || unavailable("no metric of all datasets says right or wrong"),
        |metric| {
            let cells = cells(table, &metric, cluster, |_| true);
            let is_binary = cells.iter().all(|cell| cell.squares == cell.sum);
            let found = is_binary.then(|| logistic_gee(&cells)).flatten();
            found.map_or_else(
                || unavailable("an arm is all right or all wrong, or too small"),
                |model| Model::Fitted(fitted(&model, "gee-logit-exchangeable", metric, true)),
            )
        },
    );
    let linear = f1.map_or_else(
        || unavailable("no open-book dataset has F1"),
        |metric| {
            let cells = cells(table, metric, cluster, |dataset| table.datasets[dataset].open);
            clustered_ols(&cells).map_or_else(
                || unavailable("too few rows, or none that vary"),
                |model| Model::Fitted(fitted(&model, "ols-cluster-robust", metric.to_owned(), false)),
            )
        },
    );
    let is_any = |model: &Model| matches!(model, Model::Fitted(_));
    let rows: u64 = table.arms.iter().flat_map(|arm| &arm.scored).map(|n| u64::from(*n)).sum();
    let groups: std::collections::BTreeSet<u32> = table.cluster.iter().copied().collect();
    let document = Models {
        schema_version: 2,
        status: if is_any(&logistic) || is_any(&linear) { "ok" } else { "unavailable" }.to_owned(),
        n_rows: rows,
        n_items: table.len() as u64,
        n_clusters: if cluster { groups.len() as u64 } else { table.len() as u64 },
        models: BTreeMap::from([
            ("logistic_binary_correct".to_owned(), logistic),
            ("linear_f1_open".to_owned(), linear),
        ]),
    };
    outputs.put(NAME, write_document(NAME, &document)?)
}

fn unavailable(why: &str) -> Model {
    Model::Unavailable { unavailable: why.to_owned() }
}

/// Sums up the draws of each cluster on a metric; without clustering, of each item.
fn cells(table: &ItemTable, metric: &str, cluster: bool, is_in: impl Fn(usize) -> bool) -> Vec<ArmCells> {
    let mut cells =
        vec![ArmCells::default(); table.len().max(table.cluster.iter().max().map_or(0, |c| *c as usize + 1))];
    for item in 0..table.len() {
        let dataset = table.dataset[item] as usize;
        let place = table.datasets[dataset].metrics.iter().position(|other| other == metric);
        let Some(place) = place.filter(|_| is_in(dataset)) else { continue };
        let cell = &mut cells[if cluster { table.cluster[item] as usize } else { item }];
        for (arm, columns) in table.arms.iter().enumerate() {
            if let (Some(sum), Some(squares)) = (columns.sum(item, place), columns.squares(item, place)) {
                cell.n[arm] += f64::from(columns.count(item, place));
                cell.sum[arm] += sum;
                cell.squares[arm] += squares;
            }
        }
    }
    cells.retain(|cell| cell.rows() > 0.0);
    // The order of rows decides no bit.
    let key = |cell: &ArmCells| [cell.n[0], cell.n[1], cell.sum[0], cell.sum[1], cell.squares[0], cell.squares[1]];
    cells.sort_by(|a, b| {
        key(a)
            .iter()
            .zip(key(b))
            .map(|(a, b)| a.total_cmp(&b))
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    cells
}

fn fitted(model: &ArmModel, method: &'static str, metric: String, is_logistic: bool) -> Fitted {
    let quantile =
        if is_logistic { normal_quantile(0.975) } else { student_quantile(0.975, model.clusters as f64 - 1.0) };
    let ends = [0, 1].map(|at| {
        let half = quantile * model.standard_errors[at];
        [model.params[at] - half, model.params[at] + half]
    });
    let by_term = |values: [f64; 2]| TERMS.map(str::to_owned).into_iter().zip(values).collect();
    let of_treatment = || TREATMENT.to_owned();
    let finite = |x: f64| Some(libm::exp(x)).filter(|x| x.is_finite());
    Fitted {
        method: method.to_owned(),
        metric,
        params: by_term(model.params),
        bse: by_term(model.standard_errors),
        conf_int: TERMS.map(str::to_owned).into_iter().zip(ends).collect(),
        odds_ratio: is_logistic.then(|| BTreeMap::from([(of_treatment(), finite(model.params[1]))])),
        or_ci: is_logistic.then(|| BTreeMap::from([(of_treatment(), ends[1].map(finite))])),
        correlation: is_logistic.then_some(model.correlation),
        n_obs: model.rows,
        n_groups: model.clusters,
    }
}
