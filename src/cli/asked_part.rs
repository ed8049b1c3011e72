use std::collections::HashMap;

use super::failure::Failure;
use super::records::{Recorded, Records, damaged};
use crate::digest::BlobId;
use crate::plan::{InferParams, StepKind};
use crate::request::Redraws;
use crate::run::{ActionEntry, Manifest};
use crate::store::Store;

/// Is one part under one arm of a run: what was asked, and how the answers were read and scored.
pub struct AskedPart {
    /// Model, decoding and dataset, as in labels.
    pub scope: String,
    /// The arm: `control`, a prompt set, or `<prompt set>.control`.
    pub arm: String,
    /// Which draws were wanted.
    pub infer: InferParams,
    /// The requests.
    pub requests: BlobId,
    /// Which of them had been redrawn.
    pub redraws: Redraws,
    /// How answers were read, where they were.
    pub parse: Option<Recorded>,
    /// How they were scored, where they were.
    pub score: Option<Recorded>,
}

/// Lists the parts of a run that were asked, in the order of its actions.
pub fn asked_parts(store: &Store, manifest: &Manifest) -> Result<Vec<AskedPart>, Failure> {
    let by_label: HashMap<&str, &ActionEntry> = manifest.actions.iter().map(|a| (a.label.as_str(), a)).collect();
    let arms = arms(manifest);
    let records = Records::open(store, manifest)?;
    let mut parts = Vec::new();
    for action in &manifest.actions {
        let Some(place) = action.label.strip_prefix("infer/") else { continue };
        let Some((scope, arm)) = split(place, &arms) else { continue };
        let Some(asked) = records.of(action)? else { continue };
        let Some(requests) = asked.spec.inputs.get("requests") else { continue };
        let redraws = match asked.spec.inputs.get("redraws") {
            Some(blob) => Redraws::parse(&store.read(blob)?)
                .map_err(|error| damaged(action, &format!("the file of redraws: {error}")))?,
            None => Redraws::default(),
        };
        let of_step = |step: StepKind| match by_label.get(format!("{step}/{place}").as_str()) {
            Some(action) => records.of(action),
            None => Ok(None),
        };
        parts.push(AskedPart {
            scope: scope.to_owned(),
            arm: arm.to_owned(),
            infer: asked.params.read()?,
            requests: *requests,
            redraws,
            parse: of_step(StepKind::Parse)?,
            score: of_step(StepKind::Score)?,
        });
    }
    Ok(parts)
}

/// Names the arms that a run can have, longest first.
fn arms(manifest: &Manifest) -> Vec<String> {
    let sets = manifest.trials.iter().map(|trial| &trial.trial.prompt_set);
    let mut arms: Vec<String> = sets.flat_map(|set| [set.clone(), format!("{set}.control")]).collect();
    arms.push("control".to_owned());
    arms.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    arms.dedup();
    arms
}

/// Takes `SCOPE/ARM/PART` apart; the names may hold slashes.
fn split<'l>(place: &'l str, arms: &[String]) -> Option<(&'l str, &'l str)> {
    let (place, _) = place.rsplit_once('/')?;
    arms.iter().find_map(|arm| {
        let scope = place.strip_suffix(arm.as_str())?.strip_suffix('/')?;
        Some((scope, &place[scope.len() + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_place_is_taken_apart_whatever_the_names() {
        let arms = ["a/b.control", "control", "a/b", "b"].map(str::to_owned);
        assert_eq!(split("m/t0/d/control/00000", &arms), Some(("m/t0/d", "control")));
        assert_eq!(split("m/t0/d/a/b/00000", &arms), Some(("m/t0/d", "a/b")));
        assert_eq!(split("m/t0/d/a/b.control/00013", &arms), Some(("m/t0/d", "a/b.control")));
        assert_eq!(split("m/t0/d/other/00000", &arms), None);
    }
}
