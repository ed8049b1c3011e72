//! The layout of `significance.json`. What is undefined is null; no number is ever NaN or infinite.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::named_list::NamedList;
use crate::plan::Multiplicity;

/// Is the version of the layout.
pub const SCHEMA_VERSION: u32 = 3;

/// Is the key of a trial that sends no temperature, in the place of `0.7` and the like.
pub const NO_TEMPERATURE: &str = "default";

/// Is all of `significance.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Significance {
    /// The version of the layout.
    pub schema_version: u32,
    /// The trial's temperature, as a list for those who read several; empty where none is sent.
    pub temps: Vec<f64>,
    /// What was asked for.
    pub stats_config: StatsConfig,
    /// Which tests are corrected together.
    pub family: Family,
    /// The results by temperature.
    pub results: NamedList<TemperatureResults>,
}

/// Says what was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatsConfig {
    /// Resamples of each bootstrap.
    pub bootstrap_samples: u32,
    /// Sign flips of a permutation test.
    pub permutation_samples: u32,
    /// The seed of every random stream.
    pub random_seed: u64,
    /// The level of tests.
    pub alpha: f64,
    /// The level of `ci`, which is written beside `ci_95` where it is another.
    pub confidence_level: f64,
    /// The correction within the family.
    pub multiplicity: Multiplicity,
    /// Whether items of one group count as dependent.
    pub cluster: bool,
    /// The primary metrics as `dataset.metric`; empty: the first of each dataset.
    pub primary: Vec<String>,
    /// Margins of equivalence by metric.
    pub margins: BTreeMap<String, f64>,
    /// Abstention thresholds of the risk-coverage table.
    pub risk_thresholds: Vec<f64>,
}

/// Lists the tests that are corrected together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// What the family spans: `trial`.
    pub scope: String,
    /// The correction.
    pub correction: Multiplicity,
    /// The tests: one for each primary metric.
    pub tests: Vec<FamilyTest>,
}

/// Is one test of a family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamilyTest {
    /// The dataset's name.
    pub dataset: String,
    /// The metric.
    pub metric: String,
    /// The test; null where none could be made.
    pub test: Option<String>,
    /// Its p-value.
    pub p_value: Option<f64>,
    /// The corrected p-value; null without a correction.
    pub q_value: Option<f64>,
}

/// Holds the results at one temperature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemperatureResults {
    /// All closed-book items, on the metrics that their datasets share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Block>,
    /// All open-book items, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Block>,
    /// Each dataset, on all its metrics.
    pub datasets: NamedList<Block>,
}

/// Compares the arms on one set of items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// `open` or `closed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How many items have scores under both arms: those that are compared.
    pub n_items: u64,
    /// How many items lack a score under an arm.
    pub n_missing: u64,
    /// How many clusters the items make; null where items count as independent.
    pub n_clusters: Option<u64>,
    /// The test of the main right-or-wrong metric; null where there is no such metric or no pair.
    pub mcnemar: Option<McNemarBlock>,
    /// The differences, treatment minus control, by metric.
    pub metrics: NamedList<MetricBlock>,
    /// Each arm's own means, over all its items that have scores.
    pub arms: Arms<NamedList<Estimate>>,
    /// How many draws ended how.
    pub statuses: Arms<BTreeMap<String, u64>>,
    /// What has no score.
    pub missing: Arms<Missing>,
    /// The parts of a set of several row labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subgroups: Option<Subgroups>,
}

/// Holds one value for each arm that was built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arms<T> {
    /// The control.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub control: Option<T>,
    /// The treatment.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub treatment: Option<T>,
}

impl<T> Arms<T> {
    /// Makes one from control and treatment, in this order.
    pub fn new([control, treatment]: [Option<T>; 2]) -> Self {
        Self { control, treatment }
    }

    /// Returns control and treatment, in this order.
    pub fn both(&self) -> [Option<&T>; 2] {
        [self.control.as_ref(), self.treatment.as_ref()]
    }
}

/// Is a mean with its interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The mean over items.
    pub mean: Option<f64>,
    /// The 95 % interval.
    pub ci_95: Option<[f64; 2]>,
    /// The interval at the confidence level, where that is not 95 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
    /// The method of the interval.
    pub method: Option<String>,
    /// How many items.
    pub n: u64,
}

/// Compares the arms on one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricBlock {
    /// How many items have the metric under both arms.
    pub n_items: u64,
    /// The control's mean over these items.
    pub control_mean: Option<f64>,
    /// The treatment's mean over these items.
    pub treatment_mean: Option<f64>,
    /// The mean difference.
    pub delta_mean: Option<f64>,
    /// Its 95 % interval.
    pub ci_95: Option<[f64; 2]>,
    /// Its interval at the confidence level, where that is not 95 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
    /// The method of the interval.
    pub method: Option<String>,
    /// The standard error of the mean difference, cluster-robust where items are clustered.
    pub se: Option<f64>,
    /// The mean difference over the standard deviation of the differences.
    pub cohens_dz: Option<f64>,
    /// How many items are higher under treatment.
    pub treatment_higher: u64,
    /// How many are equal.
    pub equal: u64,
    /// How many are higher under control.
    pub control_higher: u64,
    /// The test of no difference; null where none can be made.
    pub test: Option<TestBlock>,
}

/// Is a test of no difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestBlock {
    /// Which test: `mcnemar-exact`, `paired-t` or `cluster-robust-t`.
    pub name: String,
    /// The two-sided p-value.
    pub p_value: f64,
    /// Corrected over the trial's family; null for what is not in it.
    pub q_value: Option<f64>,
}

/// Is McNemar's test of a right-or-wrong metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McNemarBlock {
    /// The metric.
    pub metric: String,
    /// How an item with several draws was made right or wrong; null where each has one.
    pub binarised: Option<String>,
    /// How many items are wrong under control and right under treatment.
    pub b: u64,
    /// How many are right under control and wrong under treatment.
    pub c: u64,
    /// The exact two-sided p-value.
    pub p_exact: f64,
    /// The mid-p value.
    pub p_mid: f64,
    /// The conditional odds ratio b/c; null where it is infinite or undefined.
    pub odds_ratio: Option<f64>,
    /// Its 95 % interval; an end is null where it is infinite or undefined.
    pub or_ci_95: [Option<f64>; 2],
    /// The method of that interval.
    pub method: String,
    /// The exact p-value corrected over the trial's family; null where it is not the test that stands in it.
    pub q_value: Option<f64>,
}

/// Counts what has no score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// Items without a scored draw.
    pub items: u64,
    /// Draws without scores.
    pub draws: u64,
}

/// Holds the parts of a set of items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subgroups {
    /// By the rows' label.
    pub dataset: NamedList<Block>,
}
