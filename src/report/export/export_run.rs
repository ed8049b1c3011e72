use super::{ExportDraw, ExportTrial};

/// Is a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportRun {
    /// Its id.
    pub run_id: String,
    /// When it began: UTC, RFC 3339.
    pub created: String,
    /// The program that made it.
    pub tool: String,
    /// The trials.
    pub trials: Vec<ExportTrial>,
}

/// Is one file of an export: its path in the directory, and its bytes.
pub type ExportFile = (String, Vec<u8>);

impl ExportRun {
    /// Walks over the draws of all trials, each with its trial.
    pub(super) fn draws(&self) -> impl Iterator<Item = (&ExportTrial, &ExportDraw)> {
        self.trials.iter().flat_map(|trial| trial.draws.iter().map(move |draw| (trial, draw)))
    }

    /// Names the metrics that any draw has, sorted.
    pub(super) fn metrics(&self) -> Vec<&str> {
        let mut metrics: Vec<&str> =
            self.draws().flat_map(|(_, draw)| draw.scores.iter().map(|(name, _)| name.as_str())).collect();
        metrics.sort_unstable();
        metrics.dedup();
        metrics
    }
}
