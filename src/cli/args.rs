use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand};

use super::audit_args::{AuditArgs, SignArgs};
use super::build_args::{BuildArgs, SelectArgs, amount};
use super::export_args::{ExportArgs, ImportArgs};
use super::gc_args::{CleanArgs, ForgetArgs, GcArgs, PinArgs};
use super::show_args::ShowArgs;
use super::verify_args::VerifyArgs;
use crate::flow::Money;

/// Is what was typed.
#[derive(Debug, Parser)]
#[command(
    name = "exp",
    version,
    about = "A build system for LLM evaluation experiments on a content-addressed store",
    after_help = "Long flags may be written with `-` or `_`. Every flag NAME that takes a value has a twin EXP_NAME in the environment.",
    max_term_width = 120
)]
pub struct Cli {
    /// Holds what every command takes.
    #[command(flatten)]
    pub global: Global,
    /// Is the command.
    #[command(subcommand)]
    pub command: Command,
}

/// Holds what every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The experiment's config.
    #[arg(long, global = true, value_name = "FILE", env = "EXP_CONFIG")]
    pub config: Option<Utf8PathBuf>,
    /// Work as if started in this directory.
    #[arg(short = 'C', global = true, value_name = "DIR")]
    pub directory: Option<Utf8PathBuf>,
    /// Where runs are shown (default: `experiments` beside the config's directory).
    #[arg(long, global = true, value_name = "DIR", env = "EXP_EXPERIMENTS_DIR")]
    pub experiments_dir: Option<Utf8PathBuf>,
    /// Where everything is kept (default: `store` beside the config's directory).
    #[arg(long, global = true, value_name = "DIR", env = "EXP_STORE")]
    pub store: Option<Utf8PathBuf>,
    /// Print one JSON document on standard output, and nothing else there.
    #[arg(long, global = true)]
    pub json: bool,
    /// Say less.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Is a command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a project that builds at once, from an example or from your own data file
    Init(InitArgs),
    /// Show what would run and why, and which requests would be sent; writes nothing
    Plan(SelectArgs),
    /// Run what changed, and show the results
    Build(Box<BuildArgs>),
    /// Show what changed since the last run
    Status(SelectArgs),
    /// Say why a run, trial, step or part ran or was reused
    Why(WhyArgs),
    /// List runs and archives
    List(ListArgs),
    /// Show one run's results, its disagreements, or the exact body of a request
    Show(ShowArgs),
    /// Write a run's page (report.html) again, or print a paragraph on its methods
    Report(ReportArgs),
    /// Compare two runs, or two trials of one
    Compare(CompareArgs),
    /// Check a run (or an archive) against the store: manifest, records, bytes, links
    Audit(AuditArgs),
    /// Check the surroundings: config, keys, servers and what they serve, prices, the store's place; writes nothing
    Doctor(DoctorArgs),
    /// Ask for some answers of a run again and test old against new: has the hosted model changed?
    Drift(DriftArgs),
    /// Score again everything that was ever answered, with the config as it is now; asks nothing
    Score(ScoreArgs),
    /// Write a run as other tools read it: tables, JUnit, LaTeX, logs of Inspect, files of lm-eval, plain files
    Export(ExportArgs),
    /// Write the requests that are missing as files that any engine answers
    Requests(RequestsArgs),
    /// Take in answers that another engine, a cluster or a colleague got
    Ingest(IngestArgs),
    /// Write a run into one portable file
    Archive(ArchiveArgs),
    /// Sign a finished run's manifest with an SSH key
    Sign(SignArgs),
    /// Take in a portable file, every byte verified
    Import(ImportArgs),
    /// Remove what unfinished runs left behind
    Clean(CleanArgs),
    /// Show what no run, archive, pin, batch or session refers to; with --yes, remove it
    Gc(GcArgs),
    /// Check every byte of the store, and what is shown of it; with --repair, make again what is damaged
    Verify(VerifyArgs),
    /// Show what holds an item of a dataset: its text, requests and answers; with --yes, erase it
    Forget(ForgetArgs),
    /// Keep a run whatever `gc` and `clean` are told
    Pin(PinArgs),
    /// Take a run's pin away
    Unpin(PinArgs),
    /// Ask a run to stop between actions
    Stop(StopArgs),
    /// List batches at providers; watch, take up or cancel them
    Jobs(JobsArgs),
    /// Write down what is to be tested, before the answers are seen
    Seal(SealArgs),
    /// Print the JSON Schema of the config
    Schema,
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// Says what project to make.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Where (default: here)
    pub dir: Option<Utf8PathBuf>,
    /// Your data: JSONL, CSV or TSV; its fields are guessed and shown
    #[arg(long, value_name = "FILE")]
    pub from: Option<Utf8PathBuf>,
    /// Which field is what, where the guess is wrong: `question=prompt,answers=data.gold`
    #[arg(long, value_name = "PART=FIELD", value_delimiter = ',')]
    pub fields: Vec<String>,
    /// The provider and model to write into the config (default: lexical/lexical-baseline)
    #[arg(long, value_name = "PROVIDER/MODEL")]
    pub model: Option<String>,
}

/// Says what to explain.
#[derive(Debug, Clone, Args)]
pub struct WhyArgs {
    /// A trial, a step (`score`), or an action's label or the beginning of it
    pub what: String,
    /// The run (default: the newest)
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Compare with this run (default: the one before)
    #[arg(long, value_name = "RUN")]
    pub against: Option<String>,
}

/// Says what to list.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {}

/// Says which page to write.
#[derive(Debug, Clone, Args)]
#[allow(clippy::struct_excessive_bools)] // Each is a flag of the command line.
pub struct ReportArgs {
    /// The run: an id, a unique beginning of one, or `latest`
    #[arg(default_value = "latest")]
    pub run: String,
    /// Open it with the desktop's browser
    #[arg(long)]
    pub open: bool,
    /// Leave out the items, and with them all questions and answers
    #[arg(long)]
    pub without_items: bool,
    /// Print a paragraph for a paper instead: models, dates, sizes, tests, corrections, missing data
    #[arg(long, conflicts_with_all = ["open", "without_items"])]
    pub methods: bool,
}

/// Says what to compare.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// RUN or RUN:TRIAL
    pub a: Option<String>,
    /// RUN or RUN:TRIAL
    pub b: Option<String>,
    /// The same as the first
    #[arg(long, value_name = "RUN", conflicts_with = "a")]
    pub run1: Option<String>,
    /// The same as the second
    #[arg(long, value_name = "RUN", conflicts_with = "b")]
    pub run2: Option<String>,
    /// A condition on what changed, as in 'treatment.f1.ci_low >= -0.01'; else exit code 100
    #[arg(long, value_name = "CONDITION", env = "EXP_GATE")]
    pub gate: Vec<String>,
    /// Write the gates as JUnit XML
    #[arg(long, value_name = "FILE", env = "EXP_JUNIT")]
    pub junit: Option<Utf8PathBuf>,
}

/// Says what to check.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Call nobody over a network
    #[arg(long)]
    pub offline: bool,
}

/// Says what to do about batches.
#[derive(Debug, Clone, Args)]
pub struct JobsArgs {
    /// What to do; without it the batches are listed
    #[command(subcommand)]
    pub action: Option<JobsAction>,
    /// List those that are over as well
    #[arg(long)]
    pub all: bool,
    /// Look at them until all have ended, and take in what they bring
    #[arg(long)]
    pub watch: bool,
    /// Look for batches at the providers that are not known here and take them up; take in what has ended
    #[arg(long)]
    pub adopt: bool,
}

/// Is what can be done to a batch.
#[derive(Debug, Clone, Subcommand)]
pub enum JobsAction {
    /// Ask the provider to cancel a batch; what it has answered by then is kept
    Cancel {
        /// Its name here, or its id at the provider
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Says which answers to ask for again.
#[derive(Debug, Clone, Args)]
pub struct DriftArgs {
    /// The run
    #[arg(default_value = "latest")]
    pub run: String,
    /// How many requests to ask again, over all models, decodings, datasets and arms in proportion
    #[arg(long, value_name = "N", env = "EXP_N", value_parser = positive)]
    pub n: usize,
    /// Spend no more than this, in US dollars
    #[arg(long, value_name = "USD", env = "EXP_MAX_COST", value_parser = amount)]
    pub max_cost: Option<Money>,
    /// Spend what it costs, without being asked
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Let builds use the new answers: write their generation into the config
    #[arg(long)]
    pub adopt: bool,
    /// Chooses other requests (default: the seed of the config's analysis)
    #[arg(long, value_name = "SEED", env = "EXP_SEED")]
    pub seed: Option<u64>,
    /// Go on with a drift that was stopped, by the generation that it named
    #[arg(long, value_name = "N", env = "EXP_GENERATION")]
    pub generation: Option<u32>,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1 on".to_owned()),
        Ok(n) => Ok(n),
    }
}

/// Says what to score again.
#[derive(Debug, Clone, Args)]
pub struct ScoreArgs {
    /// The runs to score again, each as a new one that names it as its parent (default: the newest complete one)
    #[arg(value_name = "RUN", conflicts_with = "all")]
    pub runs: Vec<String>,
    /// Score all runs again; of those that have the same trials, the newest
    #[arg(long)]
    pub all: bool,
}

/// Says which requests to hand out.
#[derive(Debug, Clone, Args)]
pub struct RequestsArgs {
    /// Says which part of the experiment is meant.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Where: a directory that is empty or not there
    #[arg(long, value_name = "DIR", env = "EXP_OUT")]
    pub out: Utf8PathBuf,
    /// Over about how many files; each holds one model, and all of an item's arms
    #[arg(long, value_name = "N", default_value = "1", env = "EXP_SHARDS", value_parser = positive)]
    pub shards: usize,
}

/// Says which answers to take in.
#[derive(Debug, Clone, Args)]
pub struct IngestArgs {
    /// A directory of output files (`*.jsonl`, at any depth), with the manifest of `exp requests` where there is one
    pub dir: Utf8PathBuf,
    /// Says which part of the experiment is meant.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Who answered, as a provider of the config is known: needed where no manifest says it
    #[arg(long, value_name = "TEXT", env = "EXP_IDENTITY")]
    pub identity: Option<String>,
}

/// Says what to archive.
#[derive(Debug, Clone, Args)]
pub struct ArchiveArgs {
    /// The run
    #[arg(default_value = "latest")]
    pub run: String,
    /// The archive's name (default: `t<temps>_<RUN_ID>`)
    #[arg(long, value_name = "NAME")]
    pub experiment_name: Option<String>,
    /// Leave out every byte of an item's text: hashes stand for questions, passages, gold answers, requests and answers
    #[arg(long, env = "EXP_WITHOUT_ITEMS")]
    pub without_items: bool,
    /// Leave out who ran it, and where: hosts, users, organisations, paths, ids of requests; for double-blind review
    #[arg(long, env = "EXP_ANONYMOUS")]
    pub anonymous: bool,
    /// Show what would be archived
    #[arg(long)]
    pub dry_run: bool,
}

/// Says what to stop.
#[derive(Debug, Clone, Args)]
pub struct StopArgs {
    /// The run (default: the newest that is running)
    pub run: Option<String>,
}

/// Says how the plan is sealed.
#[derive(Debug, Clone, Args)]
pub struct SealArgs {
    /// Show what would be sealed, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Seal anew over a plan that is there
    #[arg(long)]
    pub replace: bool,
}

/// Says which shell.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Writes long flags in one spelling: `--max_concurrent_jobs` is `--max-concurrent-jobs`.
pub fn one_spelling(args: impl Iterator<Item = String>) -> Vec<String> {
    let mut rest_is_values = false;
    args.map(|arg| {
        if arg == "--" {
            rest_is_values = true;
        }
        if rest_is_values || !arg.starts_with("--") {
            return arg;
        }
        match arg.split_once('=') {
            Some((flag, value)) => format!("{}={value}", flag.replace('_', "-")),
            None => arg.replace('_', "-"),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one() {
        let args = ["exp", "--run_id=a_b", "--parts_per_dataset", "x_y", "--", "--a_b"];
        let spelt = one_spelling(args.into_iter().map(str::to_owned));
        assert_eq!(spelt, ["exp", "--run-id=a_b", "--parts-per-dataset", "x_y", "--", "--a_b"]);
    }

    #[test]
    fn the_definitions_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
