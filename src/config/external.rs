use std::collections::BTreeMap;
use std::time::Duration;

use super::SourceFile;

/// Is an executable that scores answers, as a scorer of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalConfig {
    /// The name of its metric.
    pub name: String,
    /// The executable.
    pub program: SourceFile,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The files that it reads.
    pub inputs: Vec<SourceFile>,
    /// What it calls itself; another version scores anew.
    pub version: Option<String>,
    /// The variables that it sees, besides `PATH`.
    pub environment: BTreeMap<String, String>,
    /// How long it may take for one part; it decides no score.
    pub time_limit: Duration,
}
