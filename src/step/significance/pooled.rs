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
    /// The sets' two-sided p-values combined, whatever the direction of their effects; absent where a set has no test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combined: Option<CombinedTests>,
}

/// Combines the p-values of several sets of items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CombinedTests {
    /// By Fisher's method.
    pub fisher: Option<CombinedTest>,
    /// By Stouffer's method; null where a p-value is 1.
    pub stouffer: Option<CombinedTest>,
}

/// Is a combined p-value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CombinedTest {
    /// −2 Σ ln p, or Σ z/√k.
    pub statistic: f64,
    /// Its upper tail.
    pub p_value: f64,
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
