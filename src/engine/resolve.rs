use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use crate::digest::{ActionKey, BlobId};
use crate::plan::{ActionKeys, ActionSpec, From, Graph, NodeIndex, StepKind};
use crate::store::{ActionRow, ActionState, ActionTable, Presence, Store};

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

/// Says something of a kind of step.
pub type OfKind<'f> = dyn Fn(StepKind) -> bool + Sync + 'f;

/// How many nodes one thread looks up at a time.
const CHUNK: usize = 512;

/// Looks up the nodes in `range`, given the verdicts of all before; neither locks nor writes.
///
/// `forced` says which kinds count as misses whatever the store holds. Outputs of hits are checked for presence and
/// length, all together, at the end. A node reads only nodes of earlier kinds, so each kind is looked up at once, on all
/// cores.
pub fn resolve(
    store: &Store,
    table: &ActionTable,
    graph: &Graph,
    range: Range<usize>,
    wanted: &OfKind<'_>,
    forced: &OfKind<'_>,
    resolution: &mut Resolution,
) {
    resolution.verdicts.truncate(range.start);
    resolution.keys.truncate(range.start);
    resolution.verdicts.resize(range.end, Verdict::LeftOut);
    resolution.keys.resize(range.end, None);
    let mut by_kind: BTreeMap<StepKind, Vec<usize>> = BTreeMap::new();
    for at in range.clone() {
        by_kind.entry(graph.node(NodeIndex(at as u32)).step).or_default().push(at);
    }
    for (kind, nodes) in by_kind {
        if !wanted(kind) {
            continue;
        }
        let known = &*resolution;
        let looked: Vec<(Verdict, Option<ActionKey>)> = nodes
            .par_chunks(CHUNK)
            .flat_map_iter(|chunk| {
                let mut keys = ActionKeys::default();
                chunk.iter().map(move |at| look_up(&mut keys, table, graph, NodeIndex(*at as u32), forced(kind), known))
            })
            .collect();
        for (at, (verdict, key)) in nodes.into_iter().zip(looked) {
            resolution.verdicts[at] = verdict;
            resolution.keys[at] = key;
        }
    }
    check_presence(store, range, resolution);
}

fn look_up(
    keys: &mut ActionKeys,
    table: &ActionTable,
    graph: &Graph,
    node: NodeIndex,
    forced: bool,
    known: &Resolution,
) -> (Verdict, Option<ActionKey>) {
    let output = |node, name: &str| known.output(node, name).map(|(blob, _)| blob);
    let Some(key) = key_with(keys, graph, node, output) else { return (Verdict::Waits, None) };
    let verdict = match table.get(&key) {
        None => Verdict::Miss(MissReason::NeverBuilt, None),
        Some(row) if row.state == ActionState::Partial => Verdict::Miss(MissReason::Incomplete, Some(row)),
        Some(row) if forced => Verdict::Miss(MissReason::Forced, Some(row)),
        Some(row) => Verdict::Hit(row),
    };
    (verdict, Some(key))
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
