use std::collections::{BTreeMap, HashSet};

use super::planning::Planning;
use crate::ask::AskError;
use crate::digest::BlobId;
use crate::engine::{NodeDone, NodeFailure, Verdict, output_of};
use crate::plan::{From, InferParams, NodeIndex};
use crate::request::{DrawAddress, Redraws};
use crate::step;
use crate::store::Store;

/// Says whose answers a build would need and cannot get: they are not in the store, and nobody here can be asked for them.
///
/// `nobody` means that nobody is to be asked at all. What cannot be read is passed over: whoever runs the action says so.
pub fn unaskable(
    planning: &Planning<'_>,
    store: &Store,
    done: &[Option<NodeDone>],
    nobody: bool,
) -> Result<(), NodeFailure> {
    let embedded = planning.trials.iter().filter(|trial| trial.provider.kind.is_embedded());
    let can_be_asked: HashSet<&str> = embedded.map(|trial| trial.slug.as_str()).collect();
    let mut missing: BTreeMap<String, HashSet<DrawAddress>> = BTreeMap::new();
    for trial in &planning.plan.trials {
        if !nobody && can_be_asked.contains(trial.label.slug.as_str()) {
            continue;
        }
        for node in trial.infer.values().flatten() {
            for wanted in wanted(planning, store, done, *node) {
                missing.entry(wanted.request.provider.0.clone()).or_default().insert(wanted.address);
            }
        }
    }
    for (identity, addresses) in missing {
        let addresses: Vec<DrawAddress> = addresses.into_iter().collect();
        let found = store.draws(&addresses).map_err(|error| NodeFailure::Store(error.into()))?;
        let missing = found.iter().filter(|draw| draw.is_none()).count();
        if missing > 0 {
            return Err(AskError::NoProvider { identity, missing }.into());
        }
    }
    Ok(())
}

/// Lists the draws of an `infer` action that is to run and whose requests are made.
fn wanted(planning: &Planning<'_>, store: &Store, done: &[Option<NodeDone>], node: NodeIndex) -> Vec<step::Wanted> {
    if !matches!(planning.resolution.verdicts.get(node.get()), Some(Verdict::Miss(..) | Verdict::Waits)) {
        return Vec::new();
    }
    let node = planning.plan.graph.node(node);
    let blob = |wanted: &str| {
        node.inputs.iter().find_map(|(name, from)| -> Option<BlobId> {
            if name != wanted {
                return None;
            }
            let (maker, output) = match from {
                From::Source(at) => return Some(planning.plan.graph.sources().get(*at as usize)?.blob),
                From::Output(maker, output) => (maker, output),
            };
            let made = done.get(maker.get()).and_then(Option::as_ref).map(|made| made.row.clone());
            let row = made.or_else(|| match planning.resolution.verdicts.get(maker.get())? {
                Verdict::Hit(row) => Some(row.clone()),
                _ => None,
            })?;
            Some(output_of(&row, output)?.0)
        })
    };
    let read = || {
        let params = node.params.read::<InferParams>().ok()?;
        let redraws = blob("redraws").and_then(|blob| Redraws::parse(&store.read(&blob).ok()?).ok());
        Some(step::demand(store.open_blob(&blob("requests")?).ok()?, redraws.as_ref(), &params).ok()?.wanted)
    };
    read().unwrap_or_default()
}
