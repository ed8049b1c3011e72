use std::collections::BTreeMap;

use super::{AnswerConfig, DecodingPoint, LabelRule, SourceFile};
use crate::digest::Decimal;

/// Is a model that judges answers, as a scorer of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgeConfig {
    /// The name of its metric.
    pub name: String,
    /// The model's name.
    pub model: String,
    /// The template of what it is asked: an item's fields, `answer`, `text` and `gold`.
    pub user: SourceFile,
    /// The template of its system message; absent: none.
    pub system: Option<SourceFile>,
    /// What its sampler is told, the model's own departures applied, and how many verdicts are drawn of each answer.
    pub decoding: DecodingPoint,
    /// How its verdicts are read.
    pub reading: VerdictReading,
}

/// Says how the verdict is taken out of what a judge says, and what several come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictReading {
    /// How the verdict is taken out of the text; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extraction: Option<AnswerConfig>,
    /// What each verdict is worth; empty: `true` is 1, `false` 0, and numbers from 0 to 1 are themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Decimal>,
    /// What several verdicts come to.
    pub rule: LabelRule,
}
