use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::digest::{ActionKey, BlobId};
use crate::plan::{ActionKeys, ActionSpec, From, Graph, NodeIndex, StepKind};
use crate::store::{ActionRow, ActionState, ActionTable, Presence, Store, StoreError};

/// Says why an action has to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissReason {
    /// No action with this specification was ever finished here; `exp why` says what differs from the last one.
    NeverBuilt,
    /// It was asked for (`--force`).
    Forced,
    /// The record is there; an output is not, or has another length.
    OutputMissing,
    /// Some of its draws had failed.
    Incomplete,
}

impl MissReason {
    /// Returns the reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeverBuilt => "never built",
            Self::Forced => "forced",
            Self::OutputMissing => "output missing",
            Self::Incomplete => "incomplete",
        }
    }
}

/// Says what is to be done about one node.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is done.
    Hit(Arc<ActionRow>),
    /// It has to run; where it was recorded before, what that gave.
    Miss(MissReason, Option<Arc<ActionRow>>),
    /// Its specification is not known before something it reads has run.
    Waits,
    /// The build does not include it.
    LeftOut,
}

/// Holds a verdict for each node of a graph.
#[derive(Debug, Default)]
pub struct Resolution {
    /// By node.
    pub verdicts: Vec<Verdict>,
    /// By node, where it is known.
    pub keys: Vec<Option<ActionKey>>,
}

impl Resolution {
    /// Counts the hits.
    pub fn hits(&self) -> usize {
        self.verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Hit(_))).count()
    }

    /// Counts the nodes that the build includes.
    pub fn total(&self) -> usize {
        self.verdicts.iter().filter(|verdict| !matches!(verdict, Verdict::LeftOut)).count()
    }

    /// Returns an output of a node that is a hit.
    pub fn output(&self, node: NodeIndex, name: &str) -> Option<(BlobId, u64)> {
        match self.verdicts.get(node.get())? {
            Verdict::Hit(row) => output_of(row, name),
            _ => None,
        }
    }
}

/// Finds an output of an action by name; records keep their outputs sorted.
pub fn output_of(row: &ActionRow, name: &str) -> Option<(BlobId, u64)> {
    let at = row.outputs.binary_search_by(|output| output.name.as_str().cmp(name)).ok()?;
    Some((row.outputs[at].blob, row.outputs[at].size))
}

/// Computes a node's key from outputs that are known; `None` while one is not.
pub fn key_of(graph: &Graph, node: NodeIndex, output: impl Fn(NodeIndex, &str) -> Option<BlobId>) -> Option<ActionKey> {
    key_with(&mut ActionKeys::default(), graph, node, output)
}

/// Writes down a node's specification from outputs that are known; `None` while one is not.
pub fn spec_of(
    graph: &Graph,
    node: NodeIndex,
    output: impl Fn(NodeIndex, &str) -> Option<BlobId>,
) -> Option<ActionSpec> {
    let node = graph.node(node);
    let mut inputs = BTreeMap::new();
    for (name, from) in &node.inputs {
        let blob = match from {
            From::Source(at) => graph.sources()[*at as usize].blob,
            From::Output(from, output_name) => output(*from, output_name)?,
        };
        inputs.insert(name.clone().into_owned(), blob);
    }
    let params = serde_json::from_str(node.params.json()).ok()?;
    Some(ActionSpec { step: node.step, revision: node.step.revision(), params, inputs })
}

fn key_with(
    keys: &mut ActionKeys,
    graph: &Graph,
    node: NodeIndex,
    output: impl Fn(NodeIndex, &str) -> Option<BlobId>,
) -> Option<ActionKey> {
    let node = graph.node(node);
    let mut inputs: Vec<(&str, BlobId)> = Vec::with_capacity(node.inputs.len());
    for (name, from) in &node.inputs {
        let blob = match from {
            From::Source(at) => graph.sources()[*at as usize].blob,
            From::Output(from, output_name) => output(*from, output_name)?,
        };
        inputs.push((name, blob));
    }
    let inputs = inputs.iter().map(|(name, blob)| (*name, blob));
    Some(keys.key(node.step, node.step.revision(), node.params.digest(), inputs))
}

/// Looks up the nodes in `range`, given the verdicts of all before; neither locks nor writes.
///
/// `forced` says which kinds count as misses whatever the store holds. Outputs of hits are checked for presence and
/// length, all together, at the end.
pub fn resolve(
    store: &Store,
    table: &ActionTable,
    graph: &Graph,
    range: Range<usize>,
    wanted: &dyn Fn(StepKind) -> bool,
    forced: &dyn Fn(StepKind) -> bool,
    resolution: &mut Resolution,
) -> Result<(), StoreError> {
    resolution.verdicts.truncate(range.start);
    resolution.keys.truncate(range.start);
    let mut keys = ActionKeys::default();
    for at in range.clone() {
        let index = NodeIndex(at as u32);
        let step = graph.node(index).step;
        if !wanted(step) {
            resolution.verdicts.push(Verdict::LeftOut);
            resolution.keys.push(None);
            continue;
        }
        let key = key_with(&mut keys, graph, index, |node, name| resolution.output(node, name).map(|(blob, _)| blob));
        let verdict = match key {
            None => Verdict::Waits,
            Some(key) => match table.get(&key) {
                None => Verdict::Miss(MissReason::NeverBuilt, None),
                Some(row) if row.state == ActionState::Partial => Verdict::Miss(MissReason::Incomplete, Some(row)),
                Some(row) if forced(step) => Verdict::Miss(MissReason::Forced, Some(row)),
                Some(row) => Verdict::Hit(row),
            },
        };
        resolution.verdicts.push(verdict);
        resolution.keys.push(key);
    }
    check_presence(store, range, resolution);
    Ok(())
}

/// Turns hits whose outputs are gone into misses. What reads them keeps its verdict: the content is still known by name,
/// and whoever has to run takes its inputs from actions that ran.
fn check_presence(store: &Store, range: Range<usize>, resolution: &mut Resolution) {
    let mut outputs: Vec<(BlobId, u64)> = Vec::with_capacity(range.len() * 2);
    let mut ends: Vec<(usize, usize)> = Vec::with_capacity(range.len());
    for at in range {
        if let Verdict::Hit(row) = &resolution.verdicts[at] {
            outputs.extend(row.outputs.iter().map(|output| (output.blob, output.size)));
            ends.push((at, outputs.len()));
        }
    }
    let present = store.present(&outputs);
    let mut start = 0;
    for (at, end) in ends {
        if present[start..end].iter().any(|presence| *presence != Presence::Present)
            && let Verdict::Hit(row) = &resolution.verdicts[at]
        {
            resolution.verdicts[at] = Verdict::Miss(MissReason::OutputMissing, Some(row.clone()));
        }
        start = end;
    }
}
