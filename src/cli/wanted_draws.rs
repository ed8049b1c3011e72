//! Which draws the actions of a plan want, and what the store has of them, as both are read.

use std::collections::HashSet;

use super::planning::Planning;
use crate::digest::BlobId;
use crate::engine::{NodeDone, Verdict, output_of};
use crate::plan::{From, InferParams, NodeIndex, StepKind};
use crate::request::{DrawAddress, Redraws};
use crate::step;
use crate::store::{ActionRow, LoggedDraw, Store, StoreError};

/// Says whether an action is to run, or may be.
pub fn is_to_run(planning: &Planning<'_>, node: NodeIndex) -> bool {
    matches!(planning.resolution.verdicts.get(node.get()), Some(Verdict::Miss(..) | Verdict::Waits))
}

/// How many answers are looked for together.
pub const GROUP: usize = 1024;

/// Tells of the draws of an `infer` action whose requests are made, with the answers that are in the store, some at a time: all
/// of them at once can be very many. Requests that cannot be read end it: whoever runs the action says so.
pub fn each_answer_of(
    planning: &Planning<'_>,
    store: &Store,
    done: &[Option<NodeDone>],
    node: NodeIndex,
    each: impl FnMut(&[step::Wanted], Vec<Option<LoggedDraw>>),
) -> Result<(), StoreError> {
    each_group(store, |take| each_request_of(planning, store, done, node, take), each).map(drop)
}

/// Walks over draws, and tells of them some at a time, with the answers that are in the store; returns what the walk does.
pub fn each_group<T>(
    store: &Store,
    walk: impl FnOnce(&mut dyn FnMut(step::Wanted)) -> T,
    mut each: impl FnMut(&[step::Wanted], Vec<Option<LoggedDraw>>),
) -> Result<T, StoreError> {
    let mut group: Vec<step::Wanted> = Vec::new();
    let mut looked = Ok(());
    let mut look = |group: &mut Vec<step::Wanted>| {
        let addresses: Vec<DrawAddress> = group.iter().map(|wanted| wanted.address).collect();
        each(group, store.draws(&addresses)?);
        group.clear();
        Ok(())
    };
    let walked = walk(&mut |wanted| {
        group.push(wanted);
        if looked.is_ok() && group.len() >= GROUP {
            looked = look(&mut group);
        }
    });
    looked?;
    look(&mut group)?;
    Ok(walked)
}

/// Counts the draws of actions that are done, as their rows have it. A verdict that several of them have counts once: arms and trials
/// share them though their actions are others.
pub fn count_distinct<'n>(
    planning: &Planning<'_>,
    store: &Store,
    done: &[Option<NodeDone>],
    actions: impl Iterator<Item = (NodeIndex, &'n ActionRow)>,
) -> u64 {
    let mut verdicts: HashSet<DrawAddress> = HashSet::new();
    let mut count = 0;
    for (node, row) in actions {
        let mut addresses = Vec::new();
        let is_judge = planning.plan.graph.node(node).step == StepKind::JudgeInfer;
        let read = is_judge
            .then(|| each_request_of(planning, store, done, node, |wanted| addresses.push(wanted.address)))
            .flatten();
        match read {
            Some(()) => count += addresses.into_iter().filter(|address| verdicts.insert(*address)).count() as u64,
            // Whoever reads them says what is wrong with them.
            None => count += row.draws,
        }
    }
    count
}

/// Tells of the draws of an `infer` action whose requests are made, one after the other.
/// `None` where they cannot be read, or not to the end.
pub fn each_request_of(
    planning: &Planning<'_>,
    store: &Store,
    done: &[Option<NodeDone>],
    node: NodeIndex,
    each: impl FnMut(step::Wanted),
) -> Option<()> {
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
    let params = node.params.read::<InferParams>().ok()?;
    let redraws = match blob("redraws") {
        Some(blob) => Some(Redraws::parse(&store.read(&blob).ok()?).ok()?),
        None => None,
    };
    step::each_wanted(store.open_blob(&blob("requests")?).ok()?, redraws.as_ref(), &params, each).ok()?;
    Some(())
}
