//! Runs: one build's record, its directory of links, and the manifest with every hash in it.
//!
//! This is the only code that writes under `experiments/`. A run's record lives in the store from the run's start; its
//! directory is a view that can be deleted and made again.

mod catalog;
mod error;
mod manifest;
mod record;
mod root;
mod trial_manifest;
mod view;

pub use catalog::{Catalog, CatalogEntry};
pub use error::RunError;
pub use manifest::{
    ActionEntry, CostSummary, FailureEntry, Manifest, OutputEntry, PromptEntry, RequestCounts, SourceEntry, TrialEntry, TrialSettings,
    ViewEntry,
};
pub use record::{RunRecord, RunState, check_run_id, fresh_run_id};
pub use root::root_of;
pub use trial_manifest::trial_manifest;
pub use view::{LATEST, MANIFEST_NAME, STOP_NAME, ViewDir};
