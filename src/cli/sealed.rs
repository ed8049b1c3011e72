use std::collections::HashSet;

use super::planning::Planning;
use super::unaskable::requests_of;
use crate::engine::NodeDone;
use crate::plan::{AnalysisPlan, NodeIndex};
use crate::request::DrawAddress;
use crate::run::SealEntry;
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
        if !node.step.asks() {
            continue;
        }
        if done.get(at).is_none_or(Option::is_none) {
            continue;
        }
        let wanted = requests_of(planning, store, done, NodeIndex(at as u32)).into_iter().map(|wanted| wanted.address);
        let addresses: Vec<_> = wanted.filter(|address| seen.insert(*address)).collect();
        for dates in logged(store, &addresses) {
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

/// Lists when each of the draws that have an answer was logged.
fn logged(store: &Store, addresses: &[DrawAddress]) -> Vec<Option<String>> {
    let draws = store.draws(addresses).unwrap_or_default();
    draws.into_iter().flatten().map(|draw| draw.circumstances.logged_at).collect()
}
