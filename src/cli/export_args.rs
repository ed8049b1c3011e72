use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

/// Names a format of exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A row for each draw
    Csv,
    /// The same as JSON, an object a line
    Jsonl,
    /// The same as a table of typed columns
    Parquet,
    /// A case for each draw
    Junit,
    /// A table of the comparisons, for booktabs
    Latex,
    /// lm-evaluation-harness: results and samples
    LmEval,
    /// Logs of Inspect (`.eval`)
    Inspect,
    /// Sheets for raters, a file for each dataset: the scorer `labels` reads them when they are filled in
    Labels,
    /// Every file of the run, no links
    Dir,
    /// The same in one file
    Zip,
}

/// Says what to export.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The run
    #[arg(default_value = "latest")]
    pub run: String,
    /// The format
    #[arg(long, value_enum, value_name = "FORMAT", env = "EXP_FORMAT")]
    pub format: ExportFormat,
    /// Where (default: the run's id and what the format is called; `-` is standard output)
    #[arg(long, value_name = "PATH", env = "EXP_OUT")]
    pub out: Option<Utf8PathBuf>,
    /// CSV: an apostrophe before cells that a spreadsheet would take for formulas
    #[arg(long)]
    pub spreadsheet_safe: bool,
    /// Sheets: the answers to so many items of each dataset
    #[arg(long, value_name = "N", env = "EXP_SAMPLE", value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: Option<u64>,
    /// Sheets: do not say which trial and condition gave an answer
    #[arg(long)]
    pub blind: bool,
}

/// Says what to import.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// An archive of a run; a directory of the predecessor's (a run, an archive, or what holds them); or a log of Inspect (JSON) or
    /// lm-eval (`samples_*.jsonl`), for `replay`
    pub file: Utf8PathBuf,
    /// Let its answers and results serve as hits (a signature by one of the config's `trusted_keys` does, too)
    #[arg(long)]
    pub trust: bool,
    /// Of another tool's log: where its answers go as recordings (default: `recordings/NAME.jsonl`)
    #[arg(long, value_name = "FILE", env = "EXP_OUT")]
    pub out: Option<Utf8PathBuf>,
    /// Of another tool's log: the dataset that it is of, for the line that goes into the config
    #[arg(long, value_name = "NAME", env = "EXP_DATASET")]
    pub dataset: Option<String>,
    /// Of another tool's log: the arm (`control`, or a prompt set's name), likewise
    #[arg(long, value_name = "NAME", env = "EXP_ARM")]
    pub arm: Option<String>,
}
