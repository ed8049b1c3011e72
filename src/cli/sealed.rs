use std::collections::HashSet;

use super::planning::Planning;
use super::wanted_draws::{each_answer_of, each_request_of};
use crate::engine::NodeDone;
use crate::plan::{AnalysisPlan, NodeIndex};
use crate::run::SealEntry;
use crate::step::Wanted;
use crate::store::{LoggedDraw, Store};

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
        let count = |wanted: &[Wanted], found: Vec<Option<LoggedDraw>>| {
            for (wanted, draw) in wanted.iter().zip(found) {
                let Some(draw) = draw.filter(|_| seen.insert(wanted.address)) else { continue };
                entry.draws += 1;
                match draw.circumstances.logged_at {
                    // Both are UTC in one layout, so that the order of the texts is that of the times.
                    Some(logged_at) => entry.draws_before += u64::from(logged_at < plan.sealed_at),
                    None => entry.draws_undated += 1,
                }
            }
        };
        if each_answer_of(planning, store, done, NodeIndex(at as u32), count).is_err() {
            each_request_of(planning, store, done, NodeIndex(at as u32), |wanted| {
                let is_new = u64::from(seen.insert(wanted.address));
                entry.draws += is_new;
                entry.draws_undated += is_new;
            });
        }
    }
    Some(entry)
}
