use std::fmt;

/// Names a kind of step. The order is that of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Brings a pinned URL into the store.
    Fetch,
    /// Reads a dataset into parts.
    Prepare,
    /// Makes the requests of one part under one arm.
    Build,
    /// Asks them.
    Infer,
    /// Takes reasoning and answer out of each text.
    Parse,
    /// Finds what people said of each answer.
    Labels,
    /// Makes the requests of a model that judges.
    JudgeBuild,
    /// Makes the requests of a model that compares the arms' answers.
    PairwiseBuild,
    /// Asks what models that judge are asked.
    JudgeInfer,
    /// Reads its verdicts.
    Judge,
    /// Has an executable score each answer.
    External,
    /// Compares answers with gold answers.
    Score,
    /// Joins a trial's parts into its tables.
    Merge,
    /// Tests the arms against each other.
    Stats,
    /// Prices the tokens.
    Costs,
    /// Reads and counts the verdicts on the arms' answers.
    Pairwise,
    /// Writes a trial's report.
    Report,
    /// Writes the run's report over all trials.
    Aggregate,
}

impl StepKind {
    /// Lists every kind, in the order of the pipeline.
    pub const ALL: [Self; 18] = [
        Self::Fetch,
        Self::Prepare,
        Self::Build,
        Self::Infer,
        Self::Parse,
        Self::Labels,
        Self::JudgeBuild,
        Self::PairwiseBuild,
        Self::JudgeInfer,
        Self::Judge,
        Self::External,
        Self::Score,
        Self::Merge,
        Self::Stats,
        Self::Costs,
        Self::Pairwise,
        Self::Report,
        Self::Aggregate,
    ];

    /// Returns the name in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Prepare => "prepare",
            Self::Build => "build",
            Self::Infer => "infer",
            Self::Parse => "parse",
            Self::Labels => "labels",
            Self::JudgeBuild => "judge_build",
            Self::PairwiseBuild => "pairwise_build",
            Self::JudgeInfer => "judge_infer",
            Self::Judge => "judge",
            Self::External => "external",
            Self::Score => "score",
            Self::Merge => "merge",
            Self::Stats => "stats",
            Self::Costs => "costs",
            Self::Pairwise => "pairwise",
            Self::Report => "report",
            Self::Aggregate => "aggregate",
        }
    }

    /// Says whether it asks somebody: draws are its output, and money may be its price.
    pub fn asks(self) -> bool {
        matches!(self, Self::Infer | Self::JudgeInfer)
    }

    /// Says whether what is asked is its output.
    pub fn makes_requests(self) -> bool {
        matches!(self, Self::Build | Self::JudgeBuild | Self::PairwiseBuild)
    }

    /// Says whether its outputs follow from its inputs alone. An executable of somebody else's may do as it likes.
    pub fn is_hermetic(self) -> bool {
        self != Self::External
    }

    /// Finds a kind by name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Returns the revision of the step's code: raised whenever its output for the same inputs changes.
    ///
    /// `tests/revisions.rs` holds the digest of each step's output on a fixture against this number.
    pub fn revision(self) -> u32 {
        match self {
            Self::Fetch
            | Self::Prepare
            | Self::Build
            | Self::Infer
            | Self::Parse
            | Self::Labels
            | Self::JudgeBuild
            | Self::PairwiseBuild
            | Self::JudgeInfer
            | Self::Judge
            | Self::External
            | Self::Pairwise => 1,
            Self::Score | Self::Merge => 2,
            Self::Stats | Self::Costs => 3,
            Self::Report => 6,
            Self::Aggregate => 7,
        }
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
