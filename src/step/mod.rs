//! The steps: one file per kind, each a pure function from named blobs to named blobs.
//!
//! A step sees its parameters and its [`Inputs`] and gives its [`Outputs`]; no path, clock, run id or thread count reaches
//! it. `infer` is two such functions, *demand* and *collect*, with the asking between them left to the engine.

pub mod aggregate;
mod agreement;
mod answers;
mod awaited;
pub mod build;
mod cost_table;
pub mod costs;
mod dataset;
mod difference_line;
mod dispatch;
mod draw_status;
mod error;
pub mod external;
mod gold_line;
pub mod infer;
mod input;
mod intervals;
mod json_lines;
mod judge;
mod judge_build;
mod judged_items;
mod labels;
#[cfg(test)]
mod memory;
pub mod merge;
mod metric_values;
mod named_list;
mod outcome;
mod output;
mod paired_item;
mod pairwise;
mod pairwise_build;
mod pairwise_results;
pub mod parse;
mod parsed_draw;
mod parts;
mod pooled_effect;
pub mod prepare;
mod recipe;
mod recordings;
pub mod report;
mod requests;
pub mod score;
mod scored_draw;
mod scorers;
mod sealed_plan;
mod significance;
pub mod stats;
mod template;
mod text;
mod text_input;
mod verdicts;

pub use answers::{AnswerLine, AnswersReader};
pub use awaited::Awaited;
pub use cost_table::CostTable;
pub use dataset::{part_count, part_hash, part_name};
pub use dispatch::run;
pub use draw_status::DrawStatus;
pub use error::{InputProblem, StepError};
pub use gold_line::GoldLine;
pub use infer::{Demand, RedrawnItem, Wanted, collect, demand, each_wanted, redraws, rejected};
pub use input::{Input, Inputs, ReadBlobs};
pub use output::Outputs;
pub use paired_item::{PairedArm, PairedItem};
pub use pairwise::PreferenceReader;
pub use pairwise_results::{PairwiseBlock, PairwiseResults};
pub use parsed_draw::ParsedDraw;
pub use requests::{ItemRequest, REQUESTS_FORMAT, RequestsReader, RequestsWriter};
pub use scored_draw::ScoredDraw;
pub use scorers::{metric_names, scorer_revision};
pub use significance::{PooledEffect, Significance};
pub use stats::OUTPUT_TOKENS;
pub use verdicts::VerdictsLine;
