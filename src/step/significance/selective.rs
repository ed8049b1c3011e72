use serde::{Deserialize, Serialize};

use super::Arms;

/// Is risk against coverage, both arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectiveRisk {
    /// The metric that says right or wrong.
    pub metric: String,
    /// The thresholds: an item is kept while its share of abstentions does not exceed them.
    pub thresholds: Vec<f64>,
    /// The points of each arm, in the order of the thresholds.
    pub points: Arms<Vec<RiskPoint>>,
    /// The mean risk over the coverage of each arm; null where it never answers.
    pub aurc: Arms<Option<f64>>,
    /// The coverage that both arms reach.
    pub common_coverage: Option<f64>,
    /// The mean risk of each arm up to that coverage: the two that may be compared.
    #[serde(default, skip_serializing_if = "Arms::is_empty")]
    pub aurc_at_common_coverage: Arms<Option<f64>>,
}

/// Is one point of a risk-coverage curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskPoint {
    /// The threshold.
    pub threshold: f64,
    /// Answered draws of the kept items over all draws of all items.
    pub coverage: Option<f64>,
    /// The share of these answers that is right.
    pub selective_accuracy: Option<f64>,
    /// The rest to 1.
    pub risk: Option<f64>,
}
