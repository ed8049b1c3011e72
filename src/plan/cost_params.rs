use super::TrialDataset;
use crate::config::{ModelConfig, Price};
use crate::digest::Decimal;

/// Says what tokens cost. Inputs `paired` and, where models judge, `judge_requests/ARM/SCORER/D/NNNNN` and
/// `judge_answers/ARM/SCORER/D/NNNNN`, or where they compare, `pair_requests/NAME/D/NNNNN` and `pair_answers/NAME/D/NNNNN`; outputs
/// `costs.json`, and where models judge or compare, `verdict_tokens`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostsParams {
    /// Who answers.
    pub model: PricedModel,
    /// Resamples of the interval of the paired cost difference.
    pub bootstrap_samples: u32,
    /// The seed of its stream.
    pub random_seed: u64,
    /// The level of tests; intervals are at 1 − alpha.
    pub alpha: Decimal,
    /// What `cost_effectiveness.json` is made of; absent: it is not made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effectiveness: Option<Effectiveness>,
    /// The models that judge the trial's answers, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judges: Vec<JudgeRates>,
}

/// Is a model and its price.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricedModel {
    /// The provider's name.
    pub provider: String,
    /// The model's id.
    pub model: String,
    /// The price; absent is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// When the price was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_as_of: Option<String>,
    /// Prices at the batch rate.
    pub batch: bool,
}

impl PricedModel {
    /// Takes what the config says of a model.
    pub(super) fn of(model: &ModelConfig) -> Self {
        Self {
            provider: model.provider.clone(),
            model: model.model.clone(),
            price: model.price,
            price_as_of: model.price_as_of.clone(),
            batch: model.batch_pricing,
        }
    }
}

/// Names a model that judges, its price, and what it judges.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeRates {
    /// The model's name.
    pub name: String,
    /// Whom it is asked of.
    pub model: PricedModel,
    /// The datasets whose answers it judges, each with the name of the scorer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scorers: Vec<(String, String)>,
    /// The datasets on which it compares the arms' answers, each with the name of the setting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<(String, String)>,
}

/// Says whose effects are held against what they cost.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effectiveness {
    /// The temperature, as in [`super::MergeParams`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Decimal>,
    /// The datasets, sorted by name.
    pub datasets: Vec<TrialDataset>,
    /// Whether items of one group count as dependent.
    pub cluster: bool,
}
