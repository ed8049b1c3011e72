//! What a build would do: trials, slugs, the graph of actions, and the specification that decides each action's output.

mod asked_model;
mod asking;
mod cost_params;
mod error;
mod expansion;
mod external;
mod graph;
mod judge_params;
mod judging;
mod overall;
mod pairing;
mod pairwise_params;
mod params;
mod people;
#[allow(clippy::module_inception)] // The module is named for its principal type.
mod plan;
mod selection;
mod slug;
mod spec;
mod step_kind;

pub use asked_model::AskedModel;
pub use cost_params::{CostsParams, Effectiveness, JudgeRates, PricedModel};
pub use error::PlanError;
pub use external::ExternalParams;
pub use graph::{From, Graph, Node, NodeIndex, SourceBlob};
pub use judge_params::{JudgeBuildParams, JudgeParams, judge_rater, judged_draw, judged_item, judged_name};
pub use pairwise_params::{ComparedBy, ComparedDataset, PairOrder, PairwiseParams, compared_pair};
pub use params::{
    AggregateParams, BuildParams, FetchParams, Frame, InferParams, LabelsParams, MergeParams, ParseParams,
    PrepareParams, RatedDataset, ReplayParams, ReportParams, RevisedScorer, ScoreParams, StatsParams, TrialDataset,
    TrialLabel,
};
pub use plan::{Facts, Plan, Sources, TrialPlan, View, is_open, needed_files};
pub use selection::{SelectedTrial, Selection, Side, select};
pub use slug::{path_segment, temperature_label};
pub use spec::{ActionKeys, ActionSpec, Name, ParamsDoc, action_key};
pub use step_kind::StepKind;

// Steps see the config's vocabulary through the plan, and only what is part of a parameter.
pub use crate::config::{
    Analysis, AnalysisPlan, AnswerConfig, Condition, DatasetFormat, DuplicateIds, Exclusions, FieldMap, GoldOption,
    IfAbsent, JsonMatch, LabelFields, LabelReading, LabelRule, LongPromptPrice, Multiplicity, OptionalAnalyses,
    Options, OutcomeRule, Outcomes, PairwiseReading, Parts, Pick, Preferred, Price, RecordingFormat, RecordingMapping,
    ScorerConfig, ScorerSettings, Support, VerdictReading, ZeroRule,
};
