use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use crate::digest::Decimal;
use crate::request::Decoding;

use super::{
    ArmConfig, Budget, DatasetConfig, DatasetExclusions, Exclusions, Generation, ModelConfig, PromptSet,
    ProviderConfig, Reuse, SourceFile,
};

/// Is one point of the decoding axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodingPoint {
    /// A name of its own for the slug; absent: the slug is made from the fields.
    pub name: Option<String>,
    /// What the sampler is told.
    pub decoding: Decoding,
    /// The largest number of output tokens for closed-book items, where it differs from the decoding's.
    pub max_output_tokens_closed: Option<u32>,
    /// The same for open-book items.
    pub max_output_tokens_open: Option<u32>,
    /// How many draws of each request; at least 1.
    pub draws: u32,
}

/// Says what happens to a combination that a model does not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnsupported {
    /// It is an error.
    #[default]
    Error,
    /// The trial is left out.
    Skip,
    /// The field is left out, and trials that become equal are one.
    Collapse,
}

/// Is one trial that the config asks for, before labels and slugs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialConfig {
    /// The model's name.
    pub model: String,
    /// The prompt set's name.
    pub prompt_set: String,
    /// The decoding.
    pub decoding: DecodingPoint,
}

/// Says how answers that are no plain success enter the scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeRule {
    /// Scored as wrong: every quality metric is 0.
    Wrong,
    /// Left out, and counted as missing.
    Missing,
    /// Scored by what the text says.
    AsIs,
}

/// Holds the rule for each status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// An answer that was cut at the token limit.
    pub length: OutcomeRule,
    /// A refusal.
    pub refusal: OutcomeRule,
    /// An answer withheld by a filter.
    pub content_filter: OutcomeRule,
    /// A completed response with no text.
    pub empty: OutcomeRule,
    /// A text in which the extraction found no answer.
    pub no_answer: OutcomeRule,
}

impl Default for Outcomes {
    fn default() -> Self {
        Self {
            length: OutcomeRule::Wrong,
            refusal: OutcomeRule::Wrong,
            content_filter: OutcomeRule::Missing,
            empty: OutcomeRule::Wrong,
            no_answer: OutcomeRule::Missing,
        }
    }
}

/// Says how p-values of one family are corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Multiplicity {
    /// Holm's step-down: family-wise error.
    Holm,
    /// Bonferroni's single step: family-wise error.
    Bonferroni,
    /// Šidák's single step: family-wise error of tests that are independent or positively dependent.
    Sidak,
    /// Hochberg's step-up: family-wise error under positive dependence.
    Hochberg,
    /// Hommel's closure of Simes' test: family-wise error under positive dependence.
    Hommel,
    /// Benjamini-Hochberg: false discovery rate.
    BenjaminiHochberg,
    /// Benjamini-Yekutieli: false discovery rate under any dependence.
    BenjaminiYekutieli,
    /// No correction.
    None,
}

/// Says what a signed-rank test does with differences of zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroRule {
    /// They are dropped before ranking.
    #[default]
    Wilcox,
    /// They are ranked, and their ranks dropped.
    Pratt,
    /// They are ranked, and their ranks split.
    Zsplit,
}

/// Says what is tested and how.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analysis {
    /// The primary metrics as `dataset.metric`; empty: the first metric of each dataset.
    pub primary: Vec<String>,
    /// The level of tests.
    pub alpha: Decimal,
    /// The correction within a trial's family.
    pub multiplicity: Multiplicity,
    /// Resamples of a bootstrap.
    pub bootstrap_samples: u32,
    /// Sign flips of a permutation test.
    pub permutation_samples: u32,
    /// The seed of every random stream.
    pub random_seed: u64,
    /// Whether standard errors are clustered by the items' `group`.
    pub cluster: bool,
    /// Margins of equivalence by metric.
    pub margins: BTreeMap<String, Decimal>,
    /// Abstention thresholds of the risk-coverage table.
    pub risk_thresholds: Vec<Decimal>,
    /// What signed-rank tests do with zeros.
    pub wilcoxon_zeros: ZeroRule,
    /// The fields of items by whose values results are shown apart.
    pub subgroups: Vec<String>,
    /// The power of the designs that are planned for.
    pub power: Decimal,
    /// The differences that these designs are to detect.
    pub targets: Vec<Decimal>,
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            primary: Vec::new(),
            alpha: Decimal::new(5, -2),
            multiplicity: Multiplicity::Holm,
            bootstrap_samples: 5000,
            permutation_samples: 5000,
            random_seed: 1337,
            cluster: false,
            margins: BTreeMap::new(),
            risk_thresholds: [(0, 0), (25, -2), (5, -1), (75, -2), (1, 0)].map(|(d, e)| Decimal::new(d, e)).to_vec(),
            wilcoxon_zeros: ZeroRule::Wilcox,
            subgroups: Vec::new(),
            power: Decimal::new(8, -1),
            targets: [(2, -2), (5, -2), (1, -1)].map(|(d, e)| Decimal::new(d, e)).to_vec(),
        }
    }
}

/// Says which of the optional analyses are made.
#[allow(clippy::struct_excessive_bools)] // One switch an analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionalAnalyses {
    /// How the unsupported rate depends on its threshold.
    pub unsupported_sensitivity: bool,
    /// The marginal models of correctness over conditions and temperatures.
    pub mixed_effects: bool,
    /// What effect the sample could have shown.
    pub power_analysis: bool,
    /// What a point of quality costs.
    pub cost_effectiveness: bool,
}

impl Default for OptionalAnalyses {
    fn default() -> Self {
        Self { unsupported_sensitivity: true, mixed_effects: true, power_analysis: true, cost_effectiveness: true }
    }
}

/// Says what the files of a run are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Views {
    /// Relative links into the store.
    #[default]
    Links,
    /// Copies, where links cannot be made.
    Copy,
}

/// Says how a dataset is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parts {
    /// Into this many, by hash of the item's id.
    Count(u32),
    /// Into the smallest power of two with at most this many items a part on average.
    Lines(u32),
}

/// Is an experiment: all that a config says, checked, with every legacy spelling resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The directory that relative paths start from.
    pub root: Utf8PathBuf,
    /// Where runs are shown.
    pub experiments_dir: Utf8PathBuf,
    /// Where everything is kept.
    pub store_dir: Utf8PathBuf,
    /// Whether a store that is made is for the group of its directory, and not for its owner alone.
    pub is_store_shared: bool,
    /// What the files of a run are.
    pub views: Views,
    /// Whose signature makes an imported run's answers serve: public keys, or files of them.
    pub trusted_keys: Vec<String>,
    /// Who answers, by name.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// The models, by name.
    pub models: BTreeMap<String, ModelConfig>,
    /// The datasets, by name.
    pub datasets: BTreeMap<String, DatasetConfig>,
    /// The control where a prompt set names none of its own.
    pub control: ArmConfig,
    /// The prompt sets, by name.
    pub prompt_sets: BTreeMap<String, PromptSet>,
    /// The trials, in the order of the sweep (models, prompt sets, decoding).
    pub trials: Vec<TrialConfig>,
    /// What the trials would be without `sweep:` (`--no-sweep`).
    pub trials_without_sweep: Vec<TrialConfig>,
    /// What happens to combinations that a model does not take.
    pub when_unsupported: WhenUnsupported,
    /// How statuses enter the scores.
    pub outcomes: Outcomes,
    /// What is tested.
    pub analysis: Analysis,
    /// Which optional analyses are made.
    pub optional: OptionalAnalyses,
    /// The plan that was sealed beforehand, where `analysis_plan.lock` stands in the project's root.
    pub plan_lock: Option<SourceFile>,
    /// How datasets are divided.
    pub parts: Parts,
    /// Which asking of the requests is used.
    pub generation: Generation,
    /// The file that says which requests have been redrawn.
    pub redraws: Option<SourceFile>,
    /// Which recorded answers are good enough.
    pub reuse: Reuse,
    /// How many failed draws a complete run may have.
    pub max_failed: u64,
    /// The most that one build may spend, in US dollars.
    pub max_usd: Option<Decimal>,
    /// What else limits spending.
    pub budget: Budget,
    /// Part jobs at once.
    pub max_concurrent_jobs: Option<u32>,
    /// Requests in flight at once.
    pub max_concurrent_requests: Option<u32>,
}

impl Config {
    /// Says which answers and items the analysis leaves out.
    pub fn exclusions(&self) -> Exclusions {
        let of_dataset = |dataset: &DatasetConfig| DatasetExclusions {
            max_items: dataset.max_items,
            max_items_by_label: dataset.max_items_by_label.clone(),
            conditions: dataset.conditions.clone(),
        };
        let datasets = self.datasets.iter().map(|(name, dataset)| (name.clone(), of_dataset(dataset))).collect();
        Exclusions { outcomes: self.outcomes, datasets }
    }
}
