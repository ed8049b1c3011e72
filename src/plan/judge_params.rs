use std::collections::BTreeMap;

use super::Outcomes;
use crate::config::VerdictReading;
use crate::request::{Decoding, ProviderIdentity};

/// Says what a model is asked about answers. Inputs `items`, `gold`, `parsed`, `user` and, where there is one, `system`; output
/// `requests`, whose items are named `DRAW/ITEM`: an answer that no rule has decided has a request.
///
/// Where it compares two arms (`pairwise_build`), inputs `control` and `treatment` stand for `parsed`, and an item is named by
/// [`PairOrder::compared_name`](super::PairOrder::compared_name); a further output is `pairs`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeBuildParams {
    /// Who answers.
    pub provider: ProviderIdentity,
    /// The model's id.
    pub model: String,
    /// Its stated revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What the sampler is told, overrides applied.
    pub decoding: Decoding,
    /// Further fields that decide the answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, serde_json::Value>,
    /// How statuses score: what is wrong or missing by its status is not judged.
    pub outcomes: Outcomes,
}

/// Names the item of a request about a draw.
pub fn judged_name(n: u32, item: &str) -> String {
    format!("{n}/{item}")
}

/// Returns the item that a request about a draw, or a pair of draws, names.
pub fn judged_item(name: &str) -> Option<&str> {
    name.split_once('/').map(|(_, item)| item)
}

/// Returns the draw and the item that a request about a draw names.
pub fn judged_draw(name: &str) -> Option<(u32, &str)> {
    let (draw, item) = name.split_once('/')?;
    Some((draw.parse().ok()?, item))
}

/// Names a draw of a judge among those who rate an answer.
pub fn judge_rater(n: u32) -> String {
    format!("draw {n}")
}

/// Says how verdicts are read. Inputs `parsed`, `answers` (of `judge_infer`); outputs `scores`, with the one metric `name`, and
/// `verdicts`: what each draw said.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeParams {
    /// The name of the metric.
    pub name: String,
    /// How what it says is read.
    pub reading: VerdictReading,
}
