use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use crate::digest::Decimal;
use crate::flow::Money;

/// Says which part of the experiment is meant.
#[derive(Debug, Clone, Default, Args)]
pub struct SelectArgs {
    /// Trials, by slug or a unique beginning of it (default: all)
    #[arg(value_name = "TRIAL")]
    pub trials: Vec<String>,
    /// One side only
    #[arg(long, value_enum, default_value = "both", env = "EXP_CONDITION")]
    pub condition: ConditionArg,
    /// These models only
    #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "NAME", env = "EXP_MODELS")]
    pub models: Vec<String>,
    /// These prompt sets only
    #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "NAME", env = "EXP_PROMPT_SETS")]
    pub prompt_sets: Vec<String>,
    /// These temperatures only
    #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "T", env = "EXP_TEMPS")]
    pub temps: Vec<String>,
    /// Divide each dataset into N parts
    #[arg(long, value_name = "N", env = "EXP_PARTS_PER_DATASET")]
    pub parts_per_dataset: Option<u32>,
    /// Divide each dataset into parts of at most L items on average (a power of two of them)
    #[arg(long, value_name = "L", env = "EXP_LINES_PER_PART")]
    pub lines_per_part: Option<u32>,
    /// Only the first N items of each dataset; 0 is none
    #[arg(long, value_name = "N", env = "EXP_LIMIT_ITEMS")]
    pub limit_items: Option<u64>,
    /// Ignore the config's `sweep:`
    #[arg(long)]
    pub no_sweep: bool,
    /// Hash every input again, whatever its time and size say
    #[arg(long)]
    pub no_stat_cache: bool,
}

/// Names one side, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ConditionArg {
    /// What is compared against
    Control,
    /// What is tried
    Treatment,
    /// Both
    #[default]
    Both,
}

/// Says what to do after an attempt that may have been paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum UncertainArg {
    /// Ask again
    #[default]
    Retry,
    /// Do not ask again in this build
    Stop,
}

/// Says what to build, and how.
#[derive(Debug, Clone, Default, Args)]
#[allow(clippy::struct_excessive_bools)] // Each is a flag of the command line.
pub struct BuildArgs {
    /// Says which part of the experiment is meant.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Name the run (default: `r` and the UTC time)
    #[arg(long, value_name = "ID", env = "EXP_RUN_ID")]
    pub run_id: Option<String>,
    /// How many parts are asked at once, and how many batches are under way at once
    #[arg(long, value_name = "N", env = "EXP_MAX_CONCURRENT_JOBS")]
    pub max_concurrent_jobs: Option<usize>,
    /// How many requests are in flight at once
    #[arg(long, value_name = "N", env = "EXP_MAX_CONCURRENT_REQUESTS")]
    pub max_concurrent_requests: Option<usize>,
    /// Datasets must be prepared already
    #[arg(long)]
    pub skip_prepare: bool,
    /// Requests must be built already
    #[arg(long)]
    pub skip_build: bool,
    /// Run this step only; those before it must be done
    #[arg(long, value_name = "STEP", conflicts_with_all = ["from_step", "to_step"])]
    pub only_step: Option<String>,
    /// Run no step before this one; those must be done
    #[arg(long, value_name = "STEP")]
    pub from_step: Option<String>,
    /// Run no step after this one
    #[arg(long, value_name = "STEP")]
    pub to_step: Option<String>,
    /// Go on with an unfinished run of the same plan; this is what a build does anyway
    #[arg(long)]
    pub resume: bool,
    /// Write the finished run into one portable file under `experiments/archives/`
    #[arg(long)]
    pub archive: bool,
    /// Go on with what does not depend on an action that failed
    #[arg(long)]
    pub keep_going: bool,
    /// Run free steps again whether or not they are done; asks nothing
    #[arg(long)]
    pub force: bool,
    /// Spend no more than this, in US dollars: the most that each request can cost is set aside before it is sent
    #[arg(long, value_name = "USD", env = "EXP_MAX_COST", value_parser = amount)]
    pub max_cost: Option<Money>,
    /// Build the first N items of each dataset, price the rest by their answers, and go on where that is agreed to
    #[arg(long, value_name = "N", env = "EXP_PILOT", value_parser = clap::value_parser!(u64).range(1..))]
    pub pilot: Option<u64>,
    /// Spend what it costs, without being asked
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Ask for every answer anew, in the next generation; with --condition, for that side's. Prints the line that keeps them
    #[arg(long, conflicts_with = "redraw_status")]
    pub fresh: bool,
    /// Ask again, under both arms, for the items whose answers in the last run have one of these statuses
    #[arg(long, value_name = "STATUS", value_delimiter = ',', env = "EXP_REDRAW_STATUS")]
    pub redraw_status: Vec<String>,
    /// Ask nobody over a network
    #[arg(long)]
    pub offline: bool,
    /// Ask again for what a provider rejected as it stands (400, 413, 422); else only when the request has changed
    #[arg(long)]
    pub retry_rejected: bool,
    /// Do not wait for batches: end, with exit code 6, once all is submitted; a later build goes on
    #[arg(long)]
    pub detach: bool,
    /// Give up a batch, by its name here or its id at the provider: its requests are asked again, though they may be paid for
    #[arg(long, value_name = "ID", value_delimiter = ',', env = "EXP_IGNORE_BATCH")]
    pub ignore_batch: Vec<String>,
    /// What to do after an attempt that may have been paid for: ask again, or leave the item for another build
    #[arg(long, value_enum, default_value = "retry", value_name = "WHAT", env = "EXP_ON_UNCERTAIN")]
    pub on_uncertain: UncertainArg,
    /// Show what would run; write nothing
    #[arg(long, alias = "plan-only")]
    pub dry_run: bool,
    /// A condition that the finished run has to meet in every trial, as in 'squad.f1.ci_low >= -0.01'; else exit code 100
    #[arg(long, value_name = "CONDITION", env = "EXP_GATE")]
    pub gate: Vec<String>,
    /// Write the gates as JUnit XML
    #[arg(long, value_name = "FILE", env = "EXP_JUNIT")]
    pub junit: Option<Utf8PathBuf>,
    /// Do not honour a STOP file
    #[arg(long)]
    pub ignore_stop: bool,
}

/// Reads an amount of US dollars.
pub(super) fn amount(text: &str) -> Result<Money, String> {
    let amount: Decimal = text.trim_start_matches('$').parse().map_err(|error| format!("{error}"))?;
    Money::usd(amount).ok_or_else(|| "an amount is at least 0".to_owned())
}
