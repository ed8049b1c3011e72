use serde::{Deserialize, Serialize};

/// Pools the effects of several sets of items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetaBlock {
    /// What is pooled.
    pub studies: Vec<String>,
    /// One common effect (inverse variance).
    pub fixed: PooledEffect,
    /// Random effects, DerSimonian and Laird.
    pub random: PooledEffect,
    /// Random effects, Paule and Mandel.
    pub paule_mandel: PooledEffect,
    /// How much the effects differ.
    pub heterogeneity: Heterogeneity,
}

/// Is a pooled effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PooledEffect {
    /// The pooled mean difference.
    pub delta_mean: f64,
    /// Its standard error.
    pub se: f64,
    /// Its interval, by the normal law.
    pub ci_95: [f64; 2],
    /// Its interval by Hartung and Knapp; null where the effects do not differ at all.
    pub hartung_knapp_ci_95: Option<[f64; 2]>,
    /// The variance between studies; null for one common effect.
    pub tau2: Option<f64>,
}

/// Says how much effects differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heterogeneity {
    /// Cochran's Q.
    #[serde(rename = "Q")]
    pub q: f64,
    /// Its degrees of freedom.
    pub df: u64,
    /// Its p-value, by the chi-squared law.
    pub p_value: f64,
    /// The share of variation that is not sampling.
    #[serde(rename = "I2")]
    pub i2: f64,
}
