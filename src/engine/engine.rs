use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc;

use super::crew::Crew;
use super::running::{Message, Running};
use super::{EngineError, NodeFailure, Resolution, StepLimits};
use crate::ask::{Asker, Counts, Tickets};
use crate::digest::ActionKey;
use crate::plan::{Graph, NodeIndex};
use crate::store::{ActionRow, ActionTable, Commit};

use super::MissReason;

/// Says how an action came to be done.
#[derive(Clone, Debug)]
pub struct NodeDone {
    /// Its key.
    pub key: ActionKey,
    /// What it made.
    pub row: Arc<ActionRow>,
    /// Set where it ran in this build.
    pub ran: Option<Ran>,
}

/// Says why an action ran, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Why.
    pub reason: MissReason,
    /// For how long, in milliseconds.
    pub duration_ms: u64,
}

/// Writes the bytes of a `fetch` action as they come: the address comes from the config, not from the specification.
pub type Fetch<'a> = dyn Fn(NodeIndex, &mut dyn Write) -> Result<(), NodeFailure> + Sync + 'a;

/// Runs the executable of an `external` action: it is told lines, and says lines.
pub type External<'a> = dyn Fn(NodeIndex, Vec<u8>) -> Result<Vec<u8>, NodeFailure> + Sync + 'a;

/// Runs what a resolution says is missing.
pub struct Engine<'a> {
    /// Settles draws; its session is where results are recorded, and its clock, wish to stop and events are the engine's.
    pub asker: &'a Asker<'a>,
    /// Runs steps.
    pub pool: &'a rayon::ThreadPool,
    /// The actions that were recorded when the build began.
    pub table: &'a ActionTable,
    /// Decides the order in which items are asked.
    pub order_seed: u64,
    /// Brings pinned files.
    pub fetch: &'a Fetch<'a>,
    /// Runs executables that score.
    pub external: &'a External<'a>,
    /// The program and version, for records.
    pub tool: &'a str,
    /// Which steps may run.
    pub limits: &'a StepLimits,
    /// Runs free steps whether or not they are done.
    pub force: bool,
    /// Goes on with what does not depend on an action that failed.
    pub keep_going: bool,
    /// Asks again for draws that the provider rejected as they stand.
    pub retry_rejected: bool,
    /// How many parts may be asked at once.
    pub parts_in_flight: usize,
    /// How many draws of one model may be open before no further part of it is begun: what is open is held in memory.
    pub most_open: usize,
}

/// Is what became of a range of nodes.
#[derive(Debug, Default)]
pub struct RangeResult {
    /// Actions that failed, in the order of the graph.
    pub failures: Vec<(NodeIndex, NodeFailure)>,
    /// What became of the draws.
    pub counts: Counts,
    /// Whether it ended because of a wish to stop.
    pub stopped: bool,
    /// Providers that want to be left alone for longer than a build waits, and for how many seconds.
    pub parked: BTreeMap<String, u64>,
    /// What is waited for at providers that have draws in batches.
    pub pending: BTreeMap<String, BTreeSet<String>>,
    /// Whether draws were left out because the budget was reached.
    pub over_budget: bool,
}

/// How many finished actions share one commit.
const GROUP: usize = 64;

impl Engine<'_> {
    /// Runs the nodes of `range` that are not done. `done` holds all nodes before it, and gets those of the range.
    ///
    /// Each action is durable before anything that reads it starts. Failures of single actions are in the result.
    pub fn run(
        &self,
        graph: &Graph,
        range: Range<usize>,
        resolution: &Resolution,
        done: &mut Vec<Option<NodeDone>>,
    ) -> Result<RangeResult, EngineError> {
        let forbidden: Vec<String> = range
            .clone()
            .filter(|at| matches!(resolution.verdicts[*at], super::Verdict::Miss(..)))
            .map(|at| graph.node(NodeIndex(at as u32)))
            .filter(|node| !self.limits.may_run(node.step))
            .map(crate::plan::Node::label)
            .collect();
        if !forbidden.is_empty() {
            return Err(EngineError::NotDone(forbidden));
        }
        let (messages, inbox) = mpsc::channel::<Message>();
        let (tickets, ticket_inbox) = Tickets::open();
        let (commits, commit_inbox) = mpsc::channel::<(u32, Commit)>();
        std::thread::scope(|threads| {
            let settled = messages.clone();
            let counting = threads.spawn(move || {
                let mut forward = |settlement| drop(settled.send(Message::Settled(settlement)));
                self.asker.serve(ticket_inbox, &mut forward)
            });
            let committed = messages.clone();
            threads.spawn(move || self.commit_groups(&commit_inbox, &committed));

            let mut result = self.pool.in_place_scope(|scope| {
                let crew = Crew { scope, clock: self.asker.clock, outbox: &messages };
                let of = (graph, range, resolution);
                Running::new(self, crew, of, done, tickets, commits).drive(&inbox)
            });
            result.counts = counting.join().unwrap_or_default();
            result.stopped = self.asker.stop.is_raised();
            Ok(result)
        })
    }

    /// Makes finished actions durable in groups: what has gathered while the last group was written is the next.
    fn commit_groups(&self, inbox: &mpsc::Receiver<(u32, Commit)>, outbox: &mpsc::Sender<Message>) {
        while let Ok(first) = inbox.recv() {
            let mut nodes = vec![first.0];
            let mut group = vec![first.1];
            while group.len() < GROUP
                && let Ok((node, commit)) = inbox.try_recv()
            {
                nodes.push(node);
                group.push(commit);
            }
            let result = self.asker.session.commit(group).map_err(Arc::new);
            if outbox.send(Message::Committed { nodes, result }).is_err() {
                return;
            }
        }
    }
}

/// Holds what the collection of an `infer` needs until its draws are settled.
pub(super) type Demands = HashMap<u32, (ActionKey, Arc<crate::step::Awaited>, std::time::Duration)>;
