use crate::digest::Decimal;

use super::Pick;

/// Is one scorer of a dataset, with its settings.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScorerConfig {
    /// The name its metrics carry; the kind's own unless the config says otherwise.
    pub name: String,
    /// What it does.
    pub settings: ScorerSettings,
}

/// Lists the scorers and what can be set about each.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ScorerSettings {
    /// The official SQuAD evaluator, nothing else.
    Squad {},
    /// The predecessor's scoring, corrected: em, f1, abstention, false answers, support.
    Qa {
        /// How support in the passage is judged.
        support: Support,
        /// An item whose abstention rate reaches this is not counted as unsupported.
        threshold: Decimal,
        /// The share of an answer's tokens that must be in the passage (`overlap`).
        min_token_overlap: Decimal,
    },
    /// An accepted answer occurs in the answer.
    Includes {
        /// Compares without case.
        ignore_case: bool,
        /// Matches whole tokens of the normal form only.
        words: bool,
    },
    /// The answer is an accepted answer.
    Exact {
        /// Compares without case.
        ignore_case: bool,
        /// Takes white space off both ends first.
        trim: bool,
    },
    /// The number in the answer is the accepted one.
    Numeric {
        /// Which number of the answer counts.
        pick: Pick,
        /// The largest difference that still counts as equal.
        tolerance: Decimal,
        /// The same, as a share of the accepted number.
        relative_tolerance: Decimal,
    },
    /// The answer matches a pattern.
    Regex {
        /// A regular expression; `{{answer}}` stands for each accepted answer.
        pattern: String,
        /// The whole answer has to match.
        full: bool,
    },
    /// The answer chooses the right option.
    Choice {
        /// What there is to choose from.
        options: Options,
        /// How an accepted answer names its option.
        gold: GoldOption,
    },
    /// The answer holds the right JSON.
    Json {
        /// What makes it right.
        compare: JsonMatch,
        /// The dotted paths that are compared; empty: everything.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        paths: Vec<String>,
        /// Compares texts without case.
        ignore_case: bool,
    },
}

impl ScorerSettings {
    /// Returns the field of items that the scorer has to read, beside what is gold.
    pub fn item_field(&self) -> Option<&str> {
        match self {
            Self::Choice { options: Options::Field(field), .. } => Some(field),
            _ => None,
        }
    }
}

/// Says where the options of a multiple-choice question are.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Options {
    /// The same for all items.
    Fixed(Vec<String>),
    /// In a field of each item.
    Field(String),
}

/// Says how an accepted answer names an option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoldOption {
    /// By its text, else by its letter.
    #[default]
    TextOrLetter,
    /// By its place, from 0.
    Index,
    /// By its place, from 1.
    Number,
}

/// Says what makes JSON right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JsonMatch {
    /// The values are equal.
    #[default]
    Equal,
    /// An object of the answer may have more members.
    Subset,
}

/// Says how an answer's support in the passage is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// The answer occurs in the passage, token by token.
    #[default]
    Baseline,
    /// Enough of its tokens occur in the passage.
    Overlap,
}
