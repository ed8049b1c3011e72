//! The run's page: one HTML file with everything in it, readable without script, from values alone.
//!
//! Whatever a person, a model or a file brought passes through [`escape`]: it can make no element and no attribute, and
//! nothing of it is dropped; what a browser would not show, or would obey, is written as its code point.

mod agreement;
mod escape;
mod grid;
mod heterogeneity;
mod item_card;
mod methods;
mod numbers;
mod page_item;
mod page_trial;
mod pairwise;
mod provenance;
mod run_page;
mod sections;
mod table;
mod word_diff;

pub(super) use escape::escape;
pub use methods::Methods;
pub use page_item::{ItemList, PageAnswer, PageItem, PageVerdict};
pub use page_trial::{PageTrial, PooledEffects, RiskCurve, StudyEffect, TokenCounts};
pub use run_page::{RunPage, SourceFile};
pub(super) use table::HtmlTable;
pub use word_diff::{DiffPart, word_diff};
