//! The layout of `significance.json`. What is undefined is null; no number is ever NaN or infinite.

mod block;
mod methods;
mod metric_block;
mod plan_block;
mod pooled;
mod selective;

pub use block::{Arms, Block, McNemarBlock, Missing, Subgroups};
pub use methods::methods;
pub use metric_block::{
    ArmDraws, AtK, DrawsBlock, Ends, Estimate, MetricBlock, MissingBlock, PowerBlock, TargetDesign, TestBlock,
    TostBlock, VerdictBlock, WilcoxonBlock,
};
pub use plan_block::{Deviation, PlanBlock};
pub use pooled::{CombinedTest, CombinedTests, Heterogeneity, MetaBlock, PooledEffect};
pub use selective::{RiskPoint, SelectiveRisk};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::named_list::NamedList;
use crate::plan::{Multiplicity, ZeroRule};

/// Is the version of the layout.
pub const SCHEMA_VERSION: u32 = 5;

/// Is the key of a trial that sends no temperature, in the place of `0.7` and the like.
pub const NO_TEMPERATURE: &str = "default";

/// Is all of `significance.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Significance {
    /// The version of the layout.
    pub schema_version: u32,
    /// By which method each number is made, by its field's name: a section of `docs/statistics.md`, and what it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub methods: BTreeMap<String, String>,
    /// The trial's temperature, as a list for those who read several; empty where none is sent.
    pub temps: Vec<f64>,
    /// What was asked for.
    pub stats_config: StatsConfig,
    /// What the sealed plan says otherwise; absent where no plan is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanBlock>,
    /// The confirmatory tests, corrected together.
    pub family: Family,
    /// All other tests of a dataset's metrics: exploratory, and corrected apart.
    pub exploratory: Family,
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
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub margins: BTreeMap<String, f64>,
    /// Abstention thresholds of the risk-coverage table.
    pub risk_thresholds: Vec<f64>,
    /// What signed-rank tests do with zeros.
    pub wilcoxon_zeros: ZeroRule,
    /// The fields by whose values results are shown apart.
    pub subgroups: Vec<String>,
    /// The power that designs are planned for.
    pub power: f64,
    /// The differences that designs are to detect.
    pub targets: Vec<f64>,
}

/// Lists the tests that are corrected together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// What the family spans: `trial`.
    pub scope: String,
    /// `confirmatory`, a list stated beforehand, or `exploratory`, all the rest.
    pub kind: String,
    /// The correction.
    pub correction: Multiplicity,
    /// The tests.
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
    #[serde(default, skip_serializing_if = "NamedList::is_empty")]
    pub datasets: NamedList<Block>,
}
