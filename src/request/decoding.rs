use std::collections::BTreeMap;

use crate::digest::{Decimal, Value};

/// Says which seed, if any, is sent with each draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeedPolicy {
    /// Sends a seed derived from the draw's address, so that each draw has its own.
    PerDraw,
    /// Sends this seed with every draw.
    Fixed(i64),
}

/// Is what the sampler is told: only the fields that are present are sent, and only they are in the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decoding {
    /// Is the sampling temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Decimal>,
    /// Is the nucleus mass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<Decimal>,
    /// Is the number of candidates kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Is the floor on a candidate's probability relative to the best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<Decimal>,
    /// Is the longest answer, in tokens of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// Penalises tokens by how often they occurred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<Decimal>,
    /// Penalises tokens that occurred at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<Decimal>,
    /// Is the reasoning effort, in the provider's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// Are the texts at which the answer ends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Is the seed policy; absent sends none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<SeedPolicy>,
}

impl Decoding {
    /// Names every field, in the order of the struct.
    pub const FIELDS: [&'static str; 10] = [
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "max_output_tokens",
        "frequency_penalty",
        "presence_penalty",
        "effort",
        "stop",
        "seed",
    ];

    /// Returns the fields that are present, by name, as the values that enter a request key.
    pub fn fields(&self) -> BTreeMap<String, Value> {
        let decimal = |d: &Option<Decimal>| d.map(Value::Decimal);
        let int = |i: &Option<u32>| i.map(|i| Value::Int(i64::from(i)));
        let stop = || Value::List(self.stop.iter().map(Value::text).collect());
        let seed = |s: SeedPolicy| match s {
            SeedPolicy::PerDraw => Value::text("per_draw"),
            SeedPolicy::Fixed(n) => Value::Int(n),
        };
        let values = [
            decimal(&self.temperature),
            decimal(&self.top_p),
            int(&self.top_k),
            decimal(&self.min_p),
            int(&self.max_output_tokens),
            decimal(&self.frequency_penalty),
            decimal(&self.presence_penalty),
            self.effort.as_deref().map(Value::text),
            (!self.stop.is_empty()).then(stop),
            self.seed.map(seed),
        ];
        Self::FIELDS.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?))).collect()
    }
}
