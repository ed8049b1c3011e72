//! A run as other tools read it: tables, JUnit, LaTeX, Inspect's logs, lm-eval's files. Pure functions of [`ExportRun`].

mod export_draw;
mod export_error;
mod export_run;
mod export_test;
mod export_trial;
mod inspect;
mod junit_suites;
mod label_sheet;
mod latex;
mod lm_eval;
mod parquet;
mod parquet_meta;
mod table;
#[cfg(test)]
mod tests;
mod zip_file;

pub use export_draw::ExportDraw;
pub use export_error::ExportError;
pub use export_run::{ExportFile, ExportRun};
pub use export_test::ExportTest;
pub use export_trial::ExportTrial;
pub use inspect::inspect_logs;
pub use junit_suites::junit_suites;
pub use label_sheet::{SheetOptions, label_sheets};
pub use latex::latex_table;
pub use lm_eval::lm_eval_files;
pub use table::{csv_table, json_lines, parquet_table};
pub use zip_file::zip_file;
