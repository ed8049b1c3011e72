//! The experiment as people write it: a YAML file, read into a tree with spans, checked whole, and turned into [`Config`].
//!
//! [`load`] is the way in. Every error of a file is found in one pass and is a [`Diagnostic`] with file, line, column,
//! source line and remedy. Legacy spellings are resolved here and nowhere else: beyond this module there is one language.
//!
//! text → `tree` (spans; what YAML allows and a config should not) → `language` (unknown keys, types, ranges; also the
//! JSON Schema) → `load` (meaning: references, files, trials, legacy spellings) → [`Config`].

mod analysis_plan;
mod arm;
mod asking;
mod capabilities;
mod dataset;
mod diagnose;
mod diagnostic;
mod edit;
mod experiment;
mod external;
mod files;
mod floating;
mod identifying;
mod judge;
mod labels;
mod language;
mod load;
mod model;
mod pairwise;
mod reuse;
mod scorer;
mod source;
mod span;
mod tree;
mod yaml_string;

pub use analysis_plan::{AnalysisPlan, DatasetExclusions, Exclusions};
pub use arm::{ArmConfig, PromptSet};
pub use asking::{AskingLimits, BatchLimits};
pub use capabilities::{CAPABILITIES_AS_OF, Served};
pub use dataset::{
    AnswerConfig, Condition, DatasetConfig, DatasetFormat, DuplicateIds, FieldMap, IfAbsent, Pick, RecordingFormat,
    RecordingMapping, RecordingsByArm, RecordingsConfig,
};
pub use diagnose::render;
pub use diagnostic::{Diagnostic, Severity};
pub use edit::with_reuse;
pub use experiment::{
    Analysis, Config, DecodingPoint, Multiplicity, OptionalAnalyses, OutcomeRule, Outcomes, Parts, TrialConfig, Views,
    WhenUnsupported, ZeroRule,
};
pub use external::ExternalConfig;
pub use files::{Disk, FileKind, Files, lies_in_the_machine};
pub use floating::{FLOATING_AS_OF, floating_name};
pub use identifying::{identifying, in_text};
pub use judge::{JudgeConfig, VerdictReading};
pub use labels::{LabelFields, LabelReading, LabelRule, LabelsConfig};
pub use language::json_schema;
pub use load::{ConfigFile, Loaded, load, project_root};
pub use model::{
    LongPromptPrice, ModelConfig, Override, Price, PromptCaching, ProviderApi, ProviderConfig, ProviderKind,
    ProviderMode,
};
pub use pairwise::{PairwiseConfig, PairwiseReading, Preferred};
pub use reuse::{Budget, Generation, MaxGap, Reaction, Reuse};
pub use scorer::{GoldOption, JsonMatch, Options, ScorerConfig, ScorerSettings, Support};
pub use source::{Location, Source, SourceFile};
pub use span::Span;
pub use yaml_string::write_yaml_string;
