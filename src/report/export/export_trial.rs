use std::collections::BTreeMap;

use super::{ExportDraw, ExportTest};

/// Is one trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportTrial {
    /// The slug.
    pub slug: String,
    /// The model's id.
    pub model: String,
    /// The prompt set.
    pub prompt_set: String,
    /// What the sampler is told.
    pub decoding: BTreeMap<String, String>,
    /// The draws, as predictions.csv has them.
    pub draws: Vec<ExportDraw>,
    /// The comparisons.
    pub tests: Vec<ExportTest>,
    /// The correction of p-values, in words.
    pub correction: String,
}

/// Is a dataset's draws under one condition of a trial, by dataset and condition in the order in which they come.
pub(super) type Group<'d> = ((String, String), Vec<&'d ExportDraw>);

impl ExportTrial {
    /// Divides the draws by dataset and condition.
    pub(super) fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: BTreeMap<(String, String), Vec<&ExportDraw>> = BTreeMap::new();
        for draw in &self.draws {
            groups.entry((draw.dataset.clone(), draw.condition.clone())).or_default().push(draw);
        }
        groups.into_iter().collect()
    }
}
