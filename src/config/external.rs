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

impl ExternalConfig {
    /// Returns the path under which the executable finds a file: as it is written, where that stays below its directory, else
    /// the file's name.
    pub fn place(file: &SourceFile) -> String {
        let written = file.written.strip_prefix("./").unwrap_or(&file.written);
        let stays = !written.starts_with('/') && written.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let name = || file.path.file_name().unwrap_or("file").to_owned();
        if stays { written.to_owned() } else { name() }
    }
}
