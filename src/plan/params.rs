use std::collections::BTreeMap;

use crate::config::{
    Analysis, AnswerConfig, Condition, DatasetFormat, DuplicateIds, Exclusions, FieldMap, LabelReading,
    OptionalAnalyses, Outcomes, Parts, RecordingMapping, ScorerConfig,
};
use crate::digest::Decimal;
use crate::request::{Decoding, ProviderIdentity};

/// Says how a dataset is read. Input `source`; outputs `order`, and per non-empty part `items/NNNNN` and `gold/NNNNN`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareParams {
    /// The layout of the file.
    pub format: DatasetFormat,
    /// Which field is what.
    pub fields: FieldMap,
    /// Which rows are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Splits one text of answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// What repeated ids mean.
    pub duplicate_ids: DuplicateIds,
    /// The first so many items; `None` is all, 0 is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u64>,
    /// The first so many items of each row label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub max_items_by_label: BTreeMap<String, u64>,
    /// How many parts.
    pub parts: Parts,
}

/// Says what stands around a question when the arm and the dataset bring no template of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// Instructions, `CONTEXT:` and the passage, `QUESTION:` and the question.
    OpenBook,
    /// Instructions, `QUESTION:` and the question.
    ClosedBook,
}

/// Names what a replayed request belongs to, and how its recordings are read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayParams {
    /// The dataset's name.
    pub dataset: String,
    /// The arm: `control`, or the prompt set's name.
    pub arm: String,
    /// How the recordings are read.
    pub mapping: RecordingMapping,
}

/// Says what is asked of whom. Inputs `items`, and where the arm has them `system`, `user`, `instructions`, `examples`,
/// `messages`, `prefill`, `recordings`; output `requests`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildParams {
    /// Who answers.
    pub provider: ProviderIdentity,
    /// The model's id.
    pub model: String,
    /// Its stated revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What the sampler is told, overrides applied.
    pub decoding: Decoding,
    /// Further fields that decide the answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, serde_json::Value>,
    /// The built-in frame, used where no user template is an input.
    pub frame: Frame,
    /// Set for `replay` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayParams>,
    /// Asks for draws of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw_salt: Option<String>,
}

/// Says which draws of each request are wanted. Inputs `requests`, and `redraws` where the config names such a file; outputs
/// `answers`, and with that file `redraws`: which items of the part it concerns.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InferParams {
    /// Which asking.
    pub generation: u32,
    /// How many draws.
    pub draws: u32,
}

/// Says how the answer is taken out of the text. Input `answers`; output `parsed`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParseParams {
    /// The extraction; absent: the whole text is the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extraction: Option<AnswerConfig>,
}

/// Says how verdicts of people are found. Inputs `parsed`, `labels` (their file); outputs `scores`, with the one metric
/// `name`, and `verdicts`: what each rater said.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelsParams {
    /// The name of the metric.
    pub name: String,
    /// How the file is read.
    pub reading: LabelReading,
    /// The name of the model whose answers they are.
    pub model: String,
    /// The arm: `control`, or the prompt set's name.
    pub arm: String,
}

/// Is a scorer and the revision of its code.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevisedScorer {
    /// The scorer and its settings.
    pub scorer: ScorerConfig,
    /// The revision of its code.
    pub revision: u32,
}

/// Says how answers are scored. Inputs `parsed`, `gold`, and `items` where a
/// scorer reads a field of theirs; output `scores`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreParams {
    /// The scorers, in order.
    pub scorers: Vec<RevisedScorer>,
    /// How statuses enter the scores.
    pub outcomes: Outcomes,
    /// Whether the dataset is open-book.
    pub open: bool,
    /// Writes which share of an answer's words its passage holds, for the sweep of the support threshold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub support_shares: bool,
    /// The scorers by people: each gives the metric of its name, in the input `labels/NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// Names one dataset of a trial.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialDataset {
    /// The dataset's name.
    pub name: String,
    /// Whether it is open-book.
    pub open: bool,
    /// The metrics, in the order of columns, as the scorers name them.
    pub metrics: Vec<String>,
}

impl TrialDataset {
    /// Says whether its answers are judged by whether their passage bears them out.
    pub fn judges_support(&self) -> bool {
        self.open && self.metrics.iter().any(|metric| metric.ends_with("unsupported_rate"))
    }
}

impl StatsParams {
    /// Says whether `unsupported_sensitivity.json` is made: it is wanted, and there is something to sweep.
    pub fn sweeps_support(&self) -> bool {
        self.optional.unsupported_sensitivity && self.datasets.iter().any(TrialDataset::judges_support)
    }
}

/// Says how a trial's tables are labelled. Inputs per dataset `D` (its name), part `NNNNN`, arm `control|treatment`:
/// `order/D`, `gold/D/NNNNN`, `parsed/ARM/D/NNNNN`, `scores/ARM/D/NNNNN`; outputs `predictions.csv`,
/// `per_item_scores.csv`, `paired`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeParams {
    /// The temperature as it is written in the tables; absent where none is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Decimal>,
    /// How many draws each request has.
    pub draws: u32,
    /// The datasets, sorted by name.
    pub datasets: Vec<TrialDataset>,
    /// The conditions that were built: `control`, `treatment` or both.
    pub conditions: Vec<String>,
    /// The fields of items that make subgroups; where there are any, `items/D/NNNNN` are inputs too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subgroups: Vec<String>,
    /// The datasets that people rated; where there are any, `verdicts/ARM/NAME/D/NNNNN` are inputs too, and `agreement.json`
    /// is an output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rated: Vec<RatedDataset>,
}

/// Names a dataset that people rated.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatedDataset {
    /// The dataset's name.
    pub dataset: String,
    /// The metrics that raters come to: the names of its scorers by people.
    pub labels: Vec<String>,
}

/// Says what is tested. Inputs `paired` and, where one is sealed, `plan`; outputs `significance.json`, `differences`, and
/// those of the optional analyses.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatsParams {
    /// The temperature, as in [`MergeParams`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Decimal>,
    /// The datasets, sorted by name.
    pub datasets: Vec<TrialDataset>,
    /// What is tested and how.
    pub analysis: Analysis,
    /// What is left out of the analysis; given where a plan is sealed, which is then the input `plan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusions: Option<Exclusions>,
    /// Which optional analyses are made of it: `power_analysis.json`, `mixed_models.json`,
    /// `unsupported_sensitivity.json`.
    pub optional: OptionalAnalyses,
}

/// Describes a trial in words, for reports.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialLabel {
    /// The trial's slug.
    pub slug: String,
    /// The model's name.
    pub model: String,
    /// The provider's kind.
    pub provider: String,
    /// The prompt set's name.
    pub prompt_set: String,
    /// The name of the point on the decoding axis.
    pub point: String,
    /// The decoding fields, in words, in a fixed order.
    pub decoding: Vec<(String, String)>,
    /// How many draws.
    pub draws: u32,
    /// Set where the provider is a baseline or a recording: what the reader has to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Says what a trial's report is about. Inputs `significance`, `costs`, the prompt files as
/// `prompt/ARM/{system,user,examples,messages,prefill}`, and where the config names a file of redraws
/// `redraws/ARM/D/NNNNN`, `agreement` where people rated answers, and the optional analyses that are made (`power_analysis`,
/// `mixed_models`, `unsupported_sensitivity`, `cost_effectiveness`); output `report.md`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportParams {
    /// The trial.
    pub trial: TrialLabel,
    /// The level of tests.
    pub alpha: Decimal,
}

/// Says what the run's report is about. Inputs `significance/SLUG`, `differences/SLUG` and `costs/SLUG`,
/// `verdict_tokens/SLUG` where models judge, and `plan` where one is sealed; outputs `aggregate_report.md`, `multiplicity.json`, `effects.json`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateParams {
    /// The trials, sorted by slug.
    pub trials: Vec<TrialLabel>,
    /// The level of tests.
    pub alpha: Decimal,
    /// The trials that share a control, as slugs: each list has two or more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_controls: Vec<Vec<String>>,
    /// Sign changes of the test with a shared control; 0 is none.
    pub resamples: u32,
    /// The seed of its stream.
    pub random_seed: u64,
    /// Whether items of one group count as dependent.
    pub cluster: bool,
}

/// Names what is fetched. Output `source`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchParams {
    /// The SHA-256 that the content must have; the address is no part of it.
    pub sha256: String,
}
