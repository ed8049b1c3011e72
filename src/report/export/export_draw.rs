use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Is one draw with what is known of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportDraw {
    /// The dataset, or the row's own label.
    pub dataset: String,
    /// The item's id.
    pub item: String,
    /// `control` or `treatment`.
    pub condition: String,
    /// The temperature as tables show it; empty where none is sent.
    pub temperature: String,
    /// The draw, from 0.
    pub draw: u64,
    /// `closed` or `open`.
    pub kind: String,
    /// The question.
    pub question: Option<String>,
    /// The passage.
    pub context: Option<Arc<str>>,
    /// The accepted answers.
    pub targets: Vec<String>,
    /// The status.
    pub status: String,
    /// The provider's word for how it ended.
    pub finish_reason: String,
    /// What was said, reasoning removed.
    pub text: String,
    /// What was taken for the answer.
    pub answer: String,
    /// Tokens read.
    pub input_tokens: Option<u64>,
    /// Tokens written.
    pub output_tokens: Option<u64>,
    /// The model that served it.
    pub served_model: String,
    /// The item's scores under this condition, by metric: means over its draws.
    pub scores: Vec<(String, f64)>,
}

/// Counts an item's scores once each, however many draws it has: by metric, the items' values.
pub(super) fn item_scores(draws: &[&ExportDraw]) -> BTreeMap<String, Vec<f64>> {
    let mut seen = BTreeSet::new();
    let mut scores: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for draw in draws.iter().filter(|draw| seen.insert(&draw.item)) {
        for (metric, value) in &draw.scores {
            scores.entry(metric.clone()).or_default().push(*value);
        }
    }
    scores
}
