//! Runs: one build's record, its directory of links, and the manifest with every hash in it.
//!
//! This is the only code that writes under `experiments/`. A run's record lives in the store from the run's start; its
//! directory is a view that can be deleted and made again.

mod anonymity;
mod archive_anonymous;
mod archive_file;
mod archive_list;
mod archive_plan;
mod archive_scan;
mod archive_signatures;
#[cfg(test)]
mod archive_tests;
mod archive_walk;
mod archive_withheld;
mod archive_write;
mod archived_draw;
mod audit;
mod audit_actions;
mod audit_blobs;
mod audit_report;
mod audit_signatures;
#[cfg(test)]
mod audit_tests;
mod audit_views;
mod catalog;
mod clean;
#[cfg(test)]
mod clean_tests;
mod compare;
mod compare_items;
#[cfg(test)]
mod compare_tests;
mod drawn;
mod drift_report;
mod error;
mod eval_file;
mod explain;
mod explain_diff;
#[cfg(test)]
mod explain_tests;
mod finding;
mod foreign_log;
mod forget;
mod gate;
mod gc;
#[cfg(test)]
mod gc_tests;
mod import;
mod imported_records;
mod infer_draws;
mod item_contents;
mod item_table;
mod latency;
mod loose_json;
mod made_files;
mod manifest;
mod manifest_of;
mod matched_items;
mod named_blobs;
mod on_disk;
mod predecessor_import;
mod predecessor_tree;
mod preference_pair;
mod preference_scores;
mod provenance;
mod public_key;
mod record;
mod root;
mod run_blobs;
#[cfg(test)]
mod sample_run;
mod served_model;
mod signature;
mod ssh_wire;
mod statement;
mod stratified;
mod trial_manifest;
mod verify;
mod view;

pub use anonymity::Anonymity;
pub use archive_file::{ArchiveFile, ArchiveHead, audit_archive};
pub use archive_list::{ArchiveEntry, ArchivedRun, find_archive, list_archives};
pub use archive_plan::{ARCHIVE_SUFFIX, ARCHIVES, ArchiveOptions, ArchivePlan, Names, PlannedFile, plan_archive};
pub use archive_signatures::sign_archive;
pub use archive_write::{WrittenArchive, write_archive};
pub use audit::{AuditOptions, Drift, audit, drift};
pub use audit_report::{AuditCounts, AuditReport, ForgottenCounts, WithheldCounts};
pub use audit_signatures::signed_by;
pub use catalog::{Catalog, CatalogEntry};
pub use clean::{CleanOptions, CleanPlan, CleanRun, Cleaned, LeftOver, apply_clean, plan_clean};
pub use compare::{
    ComparedSide, Comparison, ConfigLine, Difference, Effect, EffectPair, NumberPair, RunSide, TrialComparison, compare,
};
pub use compare_items::{Flips, MetricComparison, PairedChange};
pub use drawn::{Drawn, DrawnArm};
pub use drift_report::{DriftDraw, DriftPair, DriftReport, DriftRule, DriftTest, IdenticalTexts, ServedChange};
pub use error::RunError;
pub use explain::{Cause, Change, Explanation, explain};
pub use finding::Finding;
pub use foreign_log::{ForeignAnswer, ForeignLog, read_foreign};
pub use forget::{ForgetPlan, forget, plan_forget};
pub use gate::{Gate, GateError, GateResult};
pub use gc::{GcOptions, GcPlan, apply_gc, plan_gc};
pub use import::{Imported, import};
pub use imported_records::imported_records;
pub use loose_json::loose_json;
pub use made_files::{MadeFile, made_files};
pub use manifest::{
    ActionEntry, CostRange, CostSummary, FailureEntry, Manifest, OutputEntry, PromptEntry, RequestCounts, SealEntry,
    SourceEntry, TrialEntry, TrialSettings, ViewEntry,
};
pub use matched_items::{ChangedItem, MatchedItems, RenamedItem};
pub use predecessor_import::{ImportedTree, import_predecessor};
pub use predecessor_tree::predecessor_trees;
pub use preference_pair::{Preference, PreferenceChange, PreferencePair};
pub use provenance::{ArmProvenance, Gap, Provenance};
pub use public_key::PublicKey;
pub use record::{ImportTrust, RunRecord, RunState, check_run_id, fresh_run_id};
pub use root::root_of;
pub use run_blobs::RunBlobs;
pub use served_model::ServedModel;
pub use signature::ManifestSignature;
pub use statement::{STATEMENT_NAME, statement};
pub use stratified::stratified;
pub use verify::{VerifyReport, sources, verify};
pub use view::{LATEST, MANIFEST_NAME, PAGE_NAME, STOP_NAME, ViewDir};
