use std::collections::BTreeSet;

use super::Manifest;
use crate::digest::BlobId;

/// Are the outputs that hold no text of an item: ids, numbers and labels only. By the step of an action's label and the
/// beginning of the output's name; an empty beginning is all of them.
const WITHOUT_TEXT: [(&str, &str); 12] = [
    ("prepare", "order"),
    ("infer", "redraws"),
    ("score", "scores"),
    ("merge", "paired"),
    ("merge", "per_item_scores.csv"),
    ("stats", ""),
    ("costs", ""),
    ("report", ""),
    ("aggregate", ""),
    ("judge", "redraws"),
    ("pairwise_build", "pairs"),
    ("pairwise", ""),
];

/// Lists the blobs of a run that may hold the text of an item: questions, passages, gold answers, requests, answers.
///
/// What is known to hold none is kept, and nothing else: the config, the prompts of its arms, and the outputs above. A blob
/// that is both is withheld.
pub(super) fn withheld_blobs(manifest: &Manifest) -> BTreeSet<BlobId> {
    let mut kept: BTreeSet<BlobId> = BTreeSet::from([manifest.config.blob]);
    kept.extend(manifest.trials.iter().flat_map(|trial| trial.prompts.values()).map(|prompt| prompt.blob));
    let mut withheld: BTreeSet<BlobId> =
        manifest.sources.iter().map(|source| source.blob).filter(|blob| !kept.contains(blob)).collect();
    for action in &manifest.actions {
        let step = action.label.split('/').next().unwrap_or_default();
        withheld
            .extend(action.outputs.iter().filter(|output| holds_text(step, &output.name)).map(|output| output.blob));
    }
    withheld
}

/// Tells whether a step's output may hold the text of an item.
pub(super) fn holds_text(step: &str, output: &str) -> bool {
    !WITHOUT_TEXT.iter().any(|(known, name)| *known == step && output.starts_with(name))
}
