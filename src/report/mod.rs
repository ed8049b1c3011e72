//! Reports, rendered from plain values.
//!
//! Nothing here reads a file or computes a statistic. Names that people, models or files bring are shown as code, so that
//! no link, image or HTML can come of them. A report holds no run id, path or time: equal results give equal
//! bytes. The page on provenance and the run's page hold them all, and are no part of a run's root.

mod aggregate_report;
mod chart;
mod cost_effectiveness;
mod cost_summary;
mod detail;
pub mod export;
mod further;
mod inline;
mod junit;
mod marginal_models;
mod markdown;
mod metric_row;
mod number;
mod page;
mod pairwise;
mod panel;
mod pooled_metric;
mod power_analysis;
mod prompt_file;
mod provenance_page;
mod rater_agreement;
mod section;
mod support_sweep;
mod trial_report;
mod verdict;

pub use aggregate_report::{AggregateReport, AggregateRow, AggregateTrial, DetectableDifference, InteractionRow};
pub use cost_effectiveness::{CostEffectiveness, EffectivenessRow};
pub use cost_summary::{ArmCost, CostSummary, JudgeCost, PairedCostDifference};
pub use detail::{Detail, DrawsRow, EquivalenceRow, MissingRow};
pub use further::FurtherAnalyses;
pub use junit::{Case, End, Suite, junit_xml};
pub use marginal_models::{FittedModel, MarginalModels};
pub use metric_row::{Delta, Estimate, MetricRow, Unit};
pub use page::{
    DiffPart, ItemList, Methods, PageAnswer, PageItem, PageTrial, PageVerdict, PooledEffects, RiskCurve, RunPage,
    SourceFile, StudyEffect, TokenCounts, word_diff,
};
pub use pairwise::{LabelsRow, LengthControl, PairwiseSection, Position, Rate};
pub use pooled_metric::{PooledMetric, PooledRow};
pub use power_analysis::{PowerAnalysis, PowerRow, PowerTarget};
pub use prompt_file::PromptFile;
pub use provenance_page::{ArmOrigin, ProvenancePage};
pub use rater_agreement::{RaterAgreement, RaterAgreementRow};
pub use section::{ArmCounts, McNemarRow, Section, SectionKind};
pub use support_sweep::{SupportRow, SupportSweep};
pub use trial_report::{FamilyNote, TrialReport};
pub use verdict::{Direction, Verdict};
