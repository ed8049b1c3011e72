use std::collections::BTreeMap;

use super::{AnswerConfig, DecodingPoint, SourceFile};

/// Is a model that is shown both arms' answers to an item and says which is better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairwiseConfig {
    /// What its results are called.
    pub name: String,
    /// The model's name.
    pub model: String,
    /// The template of what it is asked: an item's fields, `answer_a`, `answer_b`, `text_a`, `text_b` and `gold`.
    pub user: SourceFile,
    /// The template of its system message; absent: none.
    pub system: Option<SourceFile>,
    /// What its sampler is told, the model's own departures applied, and how many verdicts are drawn in each order.
    pub decoding: DecodingPoint,
    /// How its verdicts are read.
    pub reading: PairwiseReading,
}

/// Says how the verdict on two answers is taken out of what a judge says.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairwiseReading {
    /// How the verdict is taken out of the text; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extraction: Option<AnswerConfig>,
    /// What each verdict says; empty: `a`, `b` and `tie` say themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Preferred>,
}

/// Says which of two answers is better, by the place at which it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preferred {
    /// The one that was shown first.
    A,
    /// The one that was shown second.
    B,
    /// Neither.
    Tie,
}

impl Preferred {
    /// Finds one by its word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "a" => Some(Self::A),
            "b" => Some(Self::B),
            "tie" => Some(Self::Tie),
            _ => None,
        }
    }
}
