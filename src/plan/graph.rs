use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::StepKind;
use super::spec::{Name, ParamsDoc};
use crate::digest::{BlobId, Digest, Encoder, PlanId};

/// Names a node by its place in the graph; nodes come after all that they read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub u32);

impl NodeIndex {
    /// Returns the place as an index.
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// Is a file of the project that the plan reads, by content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceBlob {
    /// The content.
    pub blob: BlobId,
    /// Its length in bytes.
    pub size: u64,
    /// The path as written in the config.
    pub label: String,
    /// Where it is now.
    pub path: camino::Utf8PathBuf,
}

/// Says where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum From {
    /// A file of the project: an index into [`Graph::sources`].
    Source(u32),
    /// An output of an earlier node.
    Output(NodeIndex, Name),
}

/// Is one action whose inputs are still symbolic.
#[derive(Clone, Debug)]
pub struct Node {
    /// The kind of step.
    pub step: StepKind,
    /// The parameters, shared among the parts that have them.
    pub params: Arc<ParamsDoc>,
    /// The inputs, sorted by name.
    pub inputs: Vec<(Name, From)>,
    /// What it is about, for people: `lexical/t0/open_book/control`.
    pub scope: Arc<str>,
    /// The part, for steps that have one action a part.
    pub part: Option<u32>,
}

impl Node {
    /// Writes the node's label: `infer/lexical/t0/open_book/control/00003`.
    pub fn label(&self) -> String {
        let mut label = self.step.as_str().to_owned();
        if !self.scope.is_empty() {
            label.push('/');
            label.push_str(&self.scope);
        }
        if let Some(part) = self.part {
            let _ = write!(label, "/{part:05}");
        }
        label
    }
}

/// Is the graph of actions; equal actions are one node.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    sources: Vec<SourceBlob>,
    source_by_path: HashMap<camino::Utf8PathBuf, u32>,
}

impl Graph {
    /// Lists the nodes, each after all that it reads.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Lists the project's files.
    pub fn sources(&self) -> &[SourceBlob] {
        &self.sources
    }

    /// Returns one node.
    pub fn node(&self, index: NodeIndex) -> &Node {
        &self.nodes[index.get()]
    }

    /// Adds a file; the same path is added once.
    pub(super) fn source(&mut self, source: &SourceBlob) -> From {
        if let Some(at) = self.source_by_path.get(&source.path) {
            return From::Source(*at);
        }
        let at = self.sources.len() as u32;
        self.sources.push(source.clone());
        self.source_by_path.insert(source.path.clone(), at);
        From::Source(at)
    }

    /// Adds a node; its inputs are sorted here.
    pub(super) fn add(&mut self, mut node: Node) -> NodeIndex {
        node.inputs.sort_by(|a, b| a.0.cmp(&b.0));
        self.nodes.push(node);
        NodeIndex((self.nodes.len() - 1) as u32)
    }

    /// Names the plan: every action, its parameters and the files it reads. Two builds of one plan are one run.
    pub fn id(&self, narrowed: bool) -> PlanId {
        let mut encoder = Encoder::new("exp 2026-11 plan");
        encoder.int(i64::from(narrowed));
        encoder.list(self.nodes.len());
        for node in &self.nodes {
            encoder.text(node.step.as_str());
            encoder.int(i64::from(node.step.revision()));
            encoder.digest(node.params.digest());
            encoder.list(node.inputs.len());
            for (name, from) in &node.inputs {
                encoder.text(name);
                match from {
                    From::Source(at) => encoder.digest(self.sources[*at as usize].blob.digest()),
                    From::Output(node, output) => {
                        encoder.int(i64::from(node.0));
                        encoder.text(output);
                    }
                }
            }
        }
        let digest: Digest = encoder.finish();
        PlanId::new(digest)
    }
}
