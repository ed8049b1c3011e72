use crate::config::PairwiseReading;
use crate::digest::Decimal;

/// Says what is made of verdicts on pairs of answers. Inputs `gold/D/NNNNN`, `pairs/NAME/D/NNNNN` and `answers/NAME/D/NNNNN` for
/// each model that compares, and `labels/ARM/LABELS/D/NNNNN` where people rated answers; outputs `pairwise.json`, `pairwise.csv`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairwiseParams {
    /// The datasets on which answers are compared, sorted by name.
    pub datasets: Vec<ComparedDataset>,
    /// The level of tests; intervals are at 1 − alpha.
    pub alpha: Decimal,
    /// Whether items of one group count as dependent.
    pub cluster: bool,
}

/// Is a dataset on which models compare answers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparedDataset {
    /// Its name.
    pub name: String,
    /// Who compares, in the order written.
    pub judges: Vec<ComparedBy>,
    /// The metrics of its scorers by people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// Is a model that compares answers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparedBy {
    /// What its results are called.
    pub name: String,
    /// The model's name.
    pub model: String,
    /// How its verdicts are read.
    pub reading: PairwiseReading,
}

/// Says which arm's answer is shown first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairOrder {
    /// A is the control's, B the treatment's.
    ControlFirst,
    /// A is the treatment's, B the control's.
    TreatmentFirst,
}

impl PairOrder {
    /// Lists both.
    pub const BOTH: [Self; 2] = [Self::ControlFirst, Self::TreatmentFirst];

    /// Names the item of a request about a pair of draws in this order. Nothing of the name is sent.
    pub fn compared_name(self, n: u32, item: &str) -> String {
        let order = match self {
            Self::ControlFirst => "control_first",
            Self::TreatmentFirst => "treatment_first",
        };
        format!("{n}.{order}/{item}")
    }
}
