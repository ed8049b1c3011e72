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
        format!("{n}.{}/{item}", self.as_str())
    }

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ControlFirst => "control_first",
            Self::TreatmentFirst => "treatment_first",
        }
    }
}

/// Returns the draws' number, the order and the item that a request about a pair of draws names.
pub fn compared_pair(name: &str) -> Option<(u32, PairOrder, &str)> {
    let (place, item) = name.split_once('/')?;
    let (n, order) = place.split_once('.')?;
    let order = PairOrder::BOTH.into_iter().find(|known| known.as_str() == order)?;
    Some((n.parse().ok()?, order, item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_read_back() {
        for order in PairOrder::BOTH {
            let name = order.compared_name(7, "a.b/c/");
            assert_eq!(compared_pair(&name), Some((7, order, "a.b/c/")));
        }
        assert_eq!(compared_pair("7/a"), None);
        assert_eq!(compared_pair("7.first/a"), None);
    }
}
