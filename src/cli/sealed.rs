use std::collections::HashSet;

use super::planning::Planning;
use crate::digest::BlobId;
use crate::engine::{NodeDone, output_of};
use crate::plan::{AnalysisPlan, From, InferParams, NodeIndex, StepKind};
use crate::run::SealEntry;
use crate::step::demand;
use crate::store::Store;

/// Says under which sealed plan a finished build was analysed, and how many of its answers were logged before the seal.
///
/// None without a sealed plan. What cannot be read here was read by the steps a moment ago; it counts as undated.
pub fn entry(planning: &Planning<'_>, store: &Store, done: &[Option<NodeDone>]) -> Option<SealEntry> {
    let lock = planning.project.config.plan_lock.as_ref()?;
    let source = planning.sources.get(&lock.path)?;
    let plan: AnalysisPlan = serde_json::from_slice(&store.read(&source.blob).ok()?).ok()?;
    let mut entry = SealEntry {
        path: source.label.clone(),
        blob: source.blob,
        sealed_at: plan.sealed_at.clone(),
        draws: 0,
        draws_before: 0,
        draws_undated: 0,
    };
    let mut seen = HashSet::new();
    for (at, node) in planning.plan.graph.nodes().iter().enumerate() {
        if node.step != StepKind::Infer {
            continue;
        }
        let requests = node.inputs.iter().find_map(|(_, from)| match from {
            From::Output(build, name) => output_of(&done.get(build.get())?.as_ref()?.row, name).map(|(blob, _)| blob),
            From::Source(_) => None,
        });
        let Some(requests) = requests.filter(|_| done.get(at).is_some_and(Option::is_some)) else { continue };
        for dates in logged(store, &requests, planning, NodeIndex(at as u32), &mut seen) {
            entry.draws += 1;
            match dates {
                // Both are UTC in one layout, so that the order of the texts is that of the times.
                Some(logged_at) => entry.draws_before += u64::from(logged_at < plan.sealed_at),
                None => entry.draws_undated += 1,
            }
        }
    }
    Some(entry)
}

/// Lists when each answered draw of an `infer` action was logged; those that were listed before are passed over.
fn logged(
    store: &Store,
    requests: &BlobId,
    planning: &Planning<'_>,
    node: NodeIndex,
    seen: &mut HashSet<crate::request::DrawAddress>,
) -> Vec<Option<String>> {
    let params = planning.plan.graph.node(node).params.read::<InferParams>();
    let (Ok(params), Ok(reader)) = (params, store.open_blob(requests)) else { return Vec::new() };
    let Ok(wanted) = demand(reader, &params) else { return Vec::new() };
    let addresses: Vec<_> =
        wanted.into_iter().map(|wanted| wanted.address).filter(|address| seen.insert(*address)).collect();
    let draws = store.draws(&addresses).unwrap_or_default();
    draws.into_iter().flatten().map(|draw| draw.circumstances.logged_at).collect()
}
