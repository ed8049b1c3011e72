use std::collections::BTreeMap;

use super::{ExternalConfig, JudgeConfig, LabelsConfig, Location, PairwiseConfig, ScorerConfig, Source, SourceFile};

/// Says how a dataset's file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatasetFormat {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header line.
    Csv,
    /// Tab-separated values with a header line.
    Tsv,
    /// A JSON array of objects.
    Json,
    /// The official SQuAD 1.1 or 2.0 JSON.
    Squad,
    /// NQ-open JSONL: `question`, `answer`.
    NqOpen,
    /// The official TriviaQA JSON (`Data[].Question`, `Answer.Aliases`).
    Triviaqa,
    /// GSM8K JSONL: `question`, `answer` ending in `#### 42`.
    Gsm8k,
}

/// Maps the fields of a row to the parts of an item. Each is a dotted path; a path that is absent is not looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldMap {
    /// The item's id; absent: the digest of the question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The accepted answers: a text or a list of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
    /// The passage; an item that has one is open-book.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The cluster for standard errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// A truth value: the question has no answer in the passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswerable: Option<String>,
    /// A label of the row's own, shown as its dataset (a file that mixes datasets).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
}

/// Keeps the rows whose field equals, or differs from, a text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// A dotted path.
    pub field: String,
    /// The text to compare with; numbers and truth values are compared by their JSON text.
    pub value: String,
    /// `true` keeps the rows that are equal, `false` those that differ (an absent field differs from everything).
    pub equals: bool,
}

/// Says what is done with two rows that have one id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateIds {
    /// It is an error that names both lines.
    #[default]
    Error,
    /// The second becomes `<id>-2`, the third `<id>-3`.
    Number,
}

/// Says which match of an extraction counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The first.
    First,
    /// The last.
    #[default]
    Last,
}

/// Says what the answer is when an extraction finds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfAbsent {
    /// The whole text.
    #[default]
    Whole,
    /// Nothing: the answer has the status `no_answer`.
    Missing,
}

/// Takes the answer out of the text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerConfig {
    /// A regular expression: the group `answer`, else the first group, else the whole match.
    pub extract: String,
    /// Which match.
    #[serde(default)]
    pub pick: Pick,
    /// What if there is none.
    #[serde(default)]
    pub if_absent: IfAbsent,
}

/// Is one dataset as the config describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetConfig {
    /// Where the bytes are.
    pub source: Source,
    /// How they are laid out.
    pub format: DatasetFormat,
    /// Which field is what.
    pub fields: FieldMap,
    /// Which rows are kept: all conditions hold.
    pub conditions: Vec<Condition>,
    /// Splits a single text of answers at this text.
    pub split: Option<String>,
    /// What is done with repeated ids.
    pub duplicate_ids: DuplicateIds,
    /// How many items at most, in the order of the file; `None` is all, 0 is none.
    pub max_items: Option<u64>,
    /// How many items at most carry a label (`fields.dataset`), in the order of the file; a label that is absent has no limit.
    pub max_items_by_label: BTreeMap<String, u64>,
    /// Whether the items are open-book; `None`: those that have a passage are.
    pub open: Option<bool>,
    /// The user template; absent: the built-in open-book or closed-book frame.
    pub user: Option<SourceFile>,
    /// The text that stands before the built-in open-book frame.
    pub instructions_open: Option<SourceFile>,
    /// The text that stands before the built-in closed-book frame.
    pub instructions_closed: Option<SourceFile>,
    /// How the answer is taken out of the text; absent: all of it.
    pub answer: Option<AnswerConfig>,
    /// The scorers by rule, in the order written; with `labels`, `externals` and `judges`, never empty.
    pub scorers: Vec<ScorerConfig>,
    /// The scorers by people, in the order written.
    pub labels: Vec<LabelsConfig>,
    /// The scorers by process, in the order written.
    pub externals: Vec<ExternalConfig>,
    /// The scorers by models, in the order written.
    pub judges: Vec<JudgeConfig>,
    /// The models that compare the arms' answers, in the order written.
    pub pairwise: Vec<PairwiseConfig>,
    /// Replaces the decoding's largest number of output tokens.
    pub max_output_tokens: Option<u32>,
    /// Where the config describes it.
    pub at: Location,
}

impl DatasetConfig {
    /// Lists the names of all that scores its answers: no two may be the same.
    pub fn scorer_names(&self) -> impl Iterator<Item = &String> {
        let metrics = self.scorers.iter().map(|scorer| &scorer.name);
        let metrics = metrics.chain(self.labels.iter().map(|labels| &labels.name));
        let metrics = metrics.chain(self.externals.iter().map(|external| &external.name));
        let metrics = metrics.chain(self.judges.iter().map(|judge| &judge.name));
        metrics.chain(self.pairwise.iter().map(|judge| &judge.name))
    }
}

/// Is a file of recorded answers, and how to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingsConfig {
    /// The file.
    pub source: SourceFile,
    /// How to read it.
    pub mapping: RecordingMapping,
}

/// Says how a file of recorded answers is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingFormat {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header line.
    Csv,
    /// Tab-separated values with a header line.
    Tsv,
    /// A JSON array of objects.
    Json,
    /// One JSON object: key → text, or key → list of texts (one a draw).
    JsonMap,
}

/// Maps the fields of a recording; it is part of the identity of what is replayed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingMapping {
    /// The layout.
    pub format: RecordingFormat,
    /// The recording's field (dotted path) that names its item; for `json_map` the key does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The item's field that the key is equal to: `id`, `question`, or any field of the row.
    pub join: String,
    /// The recording's field (dotted path) that holds the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Joins a list of texts with this; absent: a list where a text is expected is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_lists: Option<String>,
    /// Keeps the rows that meet every condition (a file that mixes systems).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The field with the number of input tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<String>,
    /// The field with the number of output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<String>,
}

/// Holds recordings by dataset and arm.
pub type RecordingsByArm = BTreeMap<String, BTreeMap<String, RecordingsConfig>>;
