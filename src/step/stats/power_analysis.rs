use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plan::StatsParams;
use crate::step::json_lines::write_document;
use crate::step::named_list::NamedList;
use crate::step::significance::{MetricBlock, TemperatureResults};
use crate::step::{Outputs, StepError};

const NAME: &str = "power_analysis.json";

/// Is all of `power_analysis.json`: the predecessor's keys, for every metric of every dataset.
#[derive(Serialize, Deserialize)]
pub(in crate::step) struct PowerAnalysis {
    schema_version: u32,
    pub(in crate::step) method: String,
    pub(in crate::step) alpha: f64,
    pub(in crate::step) power: f64,
    pub(in crate::step) targets: Vec<f64>,
    /// By temperature, dataset and metric; absent where nothing is compared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::step) results: BTreeMap<String, NamedList<NamedList<Design>>>,
}

/// Is what one comparison could have shown.
#[derive(Serialize, Deserialize)]
pub(in crate::step) struct Design {
    pub(in crate::step) n_items: u64,
    mean_delta: Option<f64>,
    /// The standard error times √n: what clusters and draws add is in it.
    pub(in crate::step) sd_delta: Option<f64>,
    pub(in crate::step) mde: Option<f64>,
    /// By target, as [`target_key`] writes it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::step) required_n_for_target: BTreeMap<String, Option<u64>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::step) required_draws_for_target: BTreeMap<String, Option<u64>>,
}

/// Writes what each comparison could have shown, and what other differences ask for, where it is wanted.
pub(super) fn write(
    params: &StatsParams,
    label: &str,
    results: &TemperatureResults,
    outputs: &mut dyn Outputs,
) -> Result<(), StepError> {
    if !params.optional.power_analysis {
        return Ok(());
    }
    let of_dataset = |(name, block): (&str, &crate::step::significance::Block)| {
        let designs = block.metrics.iter().map(|(metric, block)| (metric.to_owned(), design(block))).collect();
        (name.to_owned(), designs)
    };
    let results = results.datasets.iter().filter(|(_, block)| !block.metrics.is_empty());
    let results: NamedList<NamedList<Design>> = results.map(of_dataset).collect();
    let document = PowerAnalysis {
        schema_version: 2,
        method: "normal".to_owned(),
        alpha: params.analysis.alpha.to_f64(),
        power: params.analysis.power.to_f64(),
        targets: params.analysis.targets.iter().map(crate::digest::Decimal::to_f64).collect(),
        results: (!results.is_empty()).then_some((label.to_owned(), results)).into_iter().collect(),
    };
    outputs.put(NAME, write_document(NAME, &document)?)
}

/// Writes a target as a key.
pub(in crate::step) fn target_key(target: f64) -> String {
    format!("{target:.3}")
}

fn design(metric: &MetricBlock) -> Design {
    let targets = || metric.power.iter().flat_map(|power| &power.targets);
    Design {
        n_items: metric.n_items,
        mean_delta: metric.delta_mean,
        sd_delta: metric.se.map(|se| se * (metric.n_items as f64).sqrt()),
        mde: metric.power.as_ref().and_then(|power| power.smallest_detectable),
        required_n_for_target: targets().map(|target| (target_key(target.target), target.items)).collect(),
        required_draws_for_target: targets().map(|target| (target_key(target.target), target.draws)).collect(),
    }
}
