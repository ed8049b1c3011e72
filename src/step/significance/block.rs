use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Estimate, MetaBlock, MetricBlock, SelectiveRisk};
use crate::step::named_list::NamedList;

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
    #[serde(default, skip_serializing_if = "NamedList::is_empty")]
    pub metrics: NamedList<MetricBlock>,
    /// Risk against coverage; null where the items have no abstentions.
    pub selective_risk: Option<SelectiveRisk>,
    /// The effects of the row labels pooled, by metric; absent where there are fewer than two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<NamedList<MetaBlock>>,
    /// Each arm's own means, over all its items that have scores.
    #[serde(default, skip_serializing_if = "Arms::is_empty")]
    pub arms: Arms<NamedList<Estimate>>,
    /// How many draws ended how.
    #[serde(default, skip_serializing_if = "Arms::is_empty")]
    pub statuses: Arms<BTreeMap<String, u64>>,
    /// What has no score.
    #[serde(default, skip_serializing_if = "Arms::is_empty")]
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

impl<T> Default for Arms<T> {
    fn default() -> Self {
        Self { control: None, treatment: None }
    }
}

impl<T> Arms<T> {
    /// Says whether neither arm was built.
    pub fn is_empty(&self) -> bool {
        self.control.is_none() && self.treatment.is_none()
    }

    /// Makes one from control and treatment, in this order.
    pub fn new([control, treatment]: [Option<T>; 2]) -> Self {
        Self { control, treatment }
    }

    /// Returns control and treatment, in this order.
    pub fn both(&self) -> [Option<&T>; 2] {
        [self.control.as_ref(), self.treatment.as_ref()]
    }
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
    #[serde(default, skip_serializing_if = "NamedList::is_empty")]
    pub dataset: NamedList<Block>,
    /// By the values of a field, each field apart; items without the field are in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<NamedList<NamedList<Block>>>,
}
