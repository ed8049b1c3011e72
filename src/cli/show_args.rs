use clap::{Args, ValueEnum};

/// Says what to show.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// The run: an id, a unique beginning of one, or `latest`
    #[arg(default_value = "latest")]
    pub run: String,
    /// Show where the arms disagree
    #[arg(long, conflicts_with = "request")]
    pub items: bool,
    /// Print the exact body of a request: an item's id, and an arm (`control`, or a prompt set's name); with `ARM/SCORER` what a
    /// model that judges was asked about the answers, and what it said; with `PROMPT_SET/NAME`, NAME that of a `judge_pairwise`,
    /// what was asked of its answer beside the control's, in both orders
    #[arg(long, num_args = 2, value_names = ["ITEM", "ARM"])]
    pub request: Option<Vec<String>>,
    /// Print the body's bytes as they are sent, one body a line
    #[arg(long, requires = "request")]
    pub exact: bool,
    /// Of the items, only those that flipped so
    #[arg(long, requires = "items", value_name = "WAY")]
    pub flip: Option<FlipArg>,
    /// Of the items, only those of this dataset
    #[arg(long, requires = "items", value_name = "NAME")]
    pub dataset: Option<String>,
    /// Of the items, only those with an answer of this status (`length`, `refusal`, `failed:timeout` …)
    #[arg(long, requires = "items", value_name = "STATUS")]
    pub status: Option<String>,
    /// Of the items, only those whose row has this text in a field; dotted paths reach into objects
    #[arg(long, requires = "items", value_name = "NAME=TEXT")]
    pub field: Option<String>,
    /// Show at most so many disagreements of each trial
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: usize,
}

/// Names a way in which an item can flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FlipArg {
    /// Higher under treatment
    Up,
    /// Higher under control
    Down,
    /// Another metric, or how an answer ended
    Other,
}

impl FlipArg {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Other => "other",
        }
    }
}
