//! Which draws the actions of a plan want, and what the store has of them, as both are read.

use super::planning::Planning;
use crate::digest::BlobId;
use crate::engine::{NodeDone, Verdict, output_of};
use crate::plan::{From, InferParams, NodeIndex};
use crate::request::{DrawAddress, Redraws};
use crate::step;
use crate::store::{LoggedDraw, Store, StoreError};

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
    mut each: impl FnMut(&[step::Wanted], Vec<Option<LoggedDraw>>),
) -> Result<(), StoreError> {
    let mut group: Vec<step::Wanted> = Vec::new();
    let mut looked = Ok(());
    let mut look = |group: &mut Vec<step::Wanted>| {
        let addresses: Vec<DrawAddress> = group.iter().map(|wanted| wanted.address).collect();
        each(group, store.draws(&addresses)?);
        group.clear();
        Ok(())
    };
    each_request_of(planning, store, done, node, |wanted| {
        group.push(wanted);
        if looked.is_ok() && group.len() >= GROUP {
            looked = look(&mut group);
        }
    });
    looked?;
    look(&mut group)
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
