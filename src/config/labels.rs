use std::collections::BTreeMap;

use super::{RecordingFormat, SourceFile};
use crate::digest::Decimal;

/// Is a file of what people said of answers, as a scorer of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelsConfig {
    /// The name of its metric.
    pub name: String,
    /// The file.
    pub source: SourceFile,
    /// How it is read.
    pub reading: LabelReading,
}

/// Says how a file of verdicts is read, and what several of them come to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelReading {
    /// The layout.
    pub format: RecordingFormat,
    /// Which field of a row is what.
    pub fields: LabelFields,
    /// What each verdict is worth; empty: `true` is 1, `false` 0, and numbers from 0 to 1 are themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Decimal>,
    /// What several raters come to.
    pub rule: LabelRule,
}

/// Names the fields of a verdict's row.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelFields {
    /// The item's id.
    pub item: String,
    /// The model's name.
    pub model: String,
    /// The arm.
    pub arm: String,
    /// The draw's number.
    pub draw: String,
    /// The text that was rated.
    pub answer: String,
    /// Who says it.
    pub rater: String,
    /// What they say.
    pub verdict: String,
}

/// Says what several raters come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelRule {
    /// The most frequent value; the mean of those that are tied.
    #[default]
    Majority,
    /// The mean.
    Mean,
}
