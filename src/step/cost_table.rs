//! The layout of `costs.json`. What is unknown is null, never 0.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::significance::Arms;

/// Is all of `costs.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostTable {
    /// Tokens read, over the draws that state them; null if none does.
    pub prompt_tokens: Option<u64>,
    /// Tokens written, likewise.
    pub completion_tokens: Option<u64>,
    /// Both together.
    pub total_tokens: Option<u64>,
    /// US dollars; null where the price or any count is unknown.
    pub usd: Option<f64>,
    /// Whether the rates are those of batches.
    pub batch_discount_applied: bool,
    /// How many draws state both counts.
    pub usage_records: u64,
    /// How many completed draws do not.
    pub unknown_usage: u64,
    /// Where the counts come from.
    pub usage_source: UsageSource,
    /// The rates.
    pub pricing: Pricing,
    /// Each arm by itself.
    pub arms: Arms<ArmCosts>,
    /// What an item costs more under treatment; null where that is unknown.
    pub paired_difference: Option<PairedCost>,
    /// What the models that judge its answers used, by name; their verdicts are in none of the numbers above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub judges: BTreeMap<String, JudgeCosts>,
}

/// Is what a model that judges used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeCosts {
    /// Its rates.
    pub pricing: Pricing,
    /// All its verdicts on the trial; one on an answer that both arms gave is bought once, and counts once.
    pub all: ArmCosts,
    /// Its verdicts on each arm's answers; one on an answer of both stands in both.
    pub arms: Arms<ArmCosts>,
    /// Its verdicts on pairs of the arms' answers, in both orders, each once; absent where it compares none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<ArmCosts>,
}

/// Says where counts come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageSource {
    /// `draws`: from the recorded draws themselves.
    #[serde(rename = "type")]
    pub kind: String,
}

/// States the rates, in US dollars for a million tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pricing {
    /// The provider's name.
    pub provider: String,
    /// The model's id.
    pub model_key: String,
    /// For tokens read; null where unknown.
    pub input_rate_per_mtok: Option<f64>,
    /// For tokens written; null where unknown.
    pub output_rate_per_mtok: Option<f64>,
    /// The rates of requests with a long input; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_prompt: Option<LongPromptRates>,
    /// `standard`, `batch_discount` or `unknown`.
    pub rate_type: String,
    /// Whether there is a price at all.
    pub table_found: bool,
    /// Whether batch rates were asked for.
    pub use_batch_api: bool,
    /// When the price was read.
    pub as_of: Option<String>,
}

/// States the rates of requests with a long input, in US dollars for a million tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPromptRates {
    /// Input tokens beyond which they hold, for all tokens of the request.
    pub above_tokens: u64,
    /// For tokens read.
    pub input_rate_per_mtok: f64,
    /// For tokens written.
    pub output_rate_per_mtok: f64,
}

/// Is what one arm used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmCosts {
    /// Tokens read, over the draws that state them; null if none does.
    pub prompt_tokens: Option<u64>,
    /// Tokens written, likewise.
    pub completion_tokens: Option<u64>,
    /// Both together.
    pub total_tokens: Option<u64>,
    /// US dollars; null where the price or any count is unknown.
    pub usd: Option<f64>,
    /// How many draws were completed.
    pub completed: u64,
    /// How many were not: they are not priced.
    pub failed: u64,
    /// How many completed draws state both counts.
    pub usage_records: u64,
    /// How many do not.
    pub unknown_usage: u64,
}

/// Compares what an item costs under the two arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairedCost {
    /// The mean difference for an item, over all its draws: treatment minus control.
    pub mean_usd_per_item: Option<f64>,
    /// Its 95 % interval.
    pub ci_95: Option<[f64; 2]>,
    /// Its interval at the confidence level, where that is not 95 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
    /// The method of the interval.
    pub method: Option<String>,
    /// How many items: those whose draws were all completed, under both arms.
    pub n_items: u64,
}
