use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::crew::Crew;
use super::engine::{Demands, RangeResult};
use super::external::score_by_process;
use super::resolve::{key_of, output_of, spec_of};
use super::staging::Staging;
use super::window::Windows;
use super::{Engine, MissReason, NodeDone, NodeFailure, Ran, Resolution, StoreBlobs, Verdict};
use crate::ask::{AskError, Settlement, Ticket, Tickets, WantedDraw};
use crate::digest::{ActionKey, BlobId};
use crate::flow::Event;
use crate::plan::{From, Graph, InferParams, NodeIndex, StepKind};
use crate::step::{self, Awaited, Demand, Input, Inputs, StepError, Wanted};
use crate::store::{ActionRecord, ActionRow, ActionState, Commit, NamedBlob, Session, StagedBlob, StoreError};

/// How long it waits at most before it looks whether another part may be begun.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Is what a step gave, staged and not yet durable.
pub(super) struct Made {
    outputs: Vec<(String, StagedBlob)>,
    draws: u64,
    failures: u64,
}

/// Tells the main loop that something ended.
pub(super) enum Message {
    /// A step ran.
    Ran { node: u32, key: ActionKey, made: Result<Made, NodeFailure>, took: Duration },
    /// An `infer` knows which draws it wants.
    Demanded { node: u32, key: ActionKey, wanted: Result<Asking, NodeFailure>, took: Duration },
    /// A ticket was settled.
    Settled(Settlement),
    /// A group of actions is durable, or is not.
    Committed { nodes: Vec<u32>, result: Result<(), Arc<StoreError>> },
}

/// Is what an `infer` wants: its draws, and which of them the provider has rejected before.
pub(super) struct Asking {
    demand: Demand,
    rejected: HashSet<(String, u32)>,
}

/// Is the state of a build while it runs; one thread owns it.
pub(super) struct Running<'c, 's> {
    engine: &'s Engine<'s>,
    crew: Crew<'c, 's>,
    graph: &'c Graph,
    range: Range<usize>,
    resolution: &'c Resolution,
    done: &'c mut Vec<Option<NodeDone>>,
    /// How many inputs of each node of the range are not done.
    missing: Vec<u32>,
    /// Who reads each node of the range.
    readers: Vec<Vec<u32>>,
    /// Actions under way, and the other nodes that turned out to be the same action.
    under_way: HashMap<ActionKey, Vec<u32>>,
    /// `infer` nodes that are ready, waiting until every request is known or for a free place.
    held: Windows,
    /// Nodes up to `build` that are not done.
    unbuilt: usize,
    asking: usize,
    demands: Demands,
    /// Records that are on their way to be durable.
    recording: HashMap<u32, (Arc<ActionRow>, Ran, bool)>,
    active: usize,
    failures: Vec<(NodeIndex, NodeFailure)>,
    parked: BTreeMap<String, u64>,
    pending: BTreeMap<String, BTreeSet<String>>,
    /// How many `infer` actions are about to say which draws they want.
    demanding: usize,
    over_budget: bool,
    tickets: Tickets,
    commits: Sender<(u32, Commit)>,
}

impl<'c, 's> Running<'c, 's> {
    pub(super) fn new(
        engine: &'s Engine<'s>,
        crew: Crew<'c, 's>,
        (graph, range, resolution): (&'c Graph, Range<usize>, &'c Resolution),
        done: &'c mut Vec<Option<NodeDone>>,
        tickets: Tickets,
        commits: Sender<(u32, Commit)>,
    ) -> Self {
        let len = range.len();
        Self {
            engine,
            crew,
            graph,
            range,
            resolution,
            done,
            missing: vec![0; len],
            readers: vec![Vec::new(); len],
            under_way: HashMap::new(),
            held: Windows::default(),
            unbuilt: 0,
            asking: 0,
            demands: HashMap::new(),
            recording: HashMap::new(),
            active: 0,
            failures: Vec::new(),
            parked: BTreeMap::new(),
            pending: BTreeMap::new(),
            demanding: 0,
            over_budget: false,
            tickets,
            commits,
        }
    }

    /// Returns an output of a node that is done.
    fn output(&self, node: NodeIndex, name: &str) -> Option<BlobId> {
        output_of(&self.done.get(node.get())?.as_ref()?.row, name).map(|(blob, _)| blob)
    }

    fn at(&self, node: u32) -> usize {
        node as usize - self.range.start
    }

    /// Runs until nothing is under way and nothing more can start.
    pub(super) fn drive(mut self, inbox: &Receiver<Message>) -> RangeResult {
        let range = self.range.clone();
        let mut ready = Vec::new();
        self.done.resize(range.end, None);
        for at in range {
            let node = self.graph.node(NodeIndex(at as u32));
            if matches!(self.resolution.verdicts[at], Verdict::LeftOut) || self.done[at].is_some() {
                continue;
            }
            if node.step <= StepKind::Build {
                self.unbuilt += 1;
            }
            let mut missing = 0;
            for (_, from) in &node.inputs {
                if let From::Output(from, _) = from
                    && self.done[from.get()].is_none()
                {
                    missing += 1;
                    let from = self.at(from.0);
                    self.readers[from].push(at as u32);
                }
            }
            let slot = self.at(at as u32);
            self.missing[slot] = missing;
            if missing == 0 {
                ready.push(at as u32);
            }
        }
        for node in ready {
            self.advance(node);
        }
        self.start_held();
        while self.active > 0 {
            // Nobody says when enough of the open draws have been settled for the next part.
            let wait = if self.held.len() == 0 { Duration::MAX } else { LOOK_AGAIN };
            match inbox.recv_timeout(wait) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.start_held();
        }
        self.failures.sort_by_key(|(node, _)| *node);
        let (failures, parked, pending, over_budget) = (self.failures, self.parked, self.pending, self.over_budget);
        RangeResult { failures, parked, pending, over_budget, ..RangeResult::default() }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Ran { node, key, made, took } => match made {
                Ok(made) => self.record(node, key, made, took),
                Err(failure) => self.fail(node, &key, failure),
            },
            Message::Demanded { node, key, wanted, took } => {
                self.demanding -= 1;
                self.demanded(node, key, wanted, took);
            }
            Message::Settled(settlement) => {
                self.asking -= 1;
                let node = settlement.owner;
                let Some((key, awaited, took)) = self.demands.remove(&node) else { return };
                match settlement.draws {
                    Ok(draws) => {
                        let session = self.engine.asker.session;
                        self.crew.hand(
                            move || collect(session, &awaited, &draws),
                            move |made, more| Message::Ran { node, key, made, took: took + more },
                        );
                    }
                    Err(error) => self.fail(node, &key, error.into()),
                }
            }
            Message::Committed { nodes, result } => {
                for node in nodes {
                    let Some((row, ran, partial)) = self.recording.remove(&node) else { continue };
                    let key = row.key;
                    match &result {
                        Ok(()) => {
                            let label = self.graph.node(NodeIndex(node)).label();
                            (self.engine.asker.events)(Event::Finished { label, partial });
                            let twins = self.under_way.remove(&key).unwrap_or_default();
                            self.active -= 1;
                            self.complete(node, NodeDone { key, row: row.clone(), ran: Some(ran) });
                            for twin in twins {
                                self.complete(twin, NodeDone { key, row: row.clone(), ran: None });
                            }
                        }
                        Err(error) => self.fail(node, &key, NodeFailure::Store(error.clone())),
                    }
                }
            }
        }
    }

    /// Asks for the draws of an `infer`.
    fn demanded(&mut self, node: u32, key: ActionKey, wanted: Result<Asking, NodeFailure>, took: Duration) {
        match wanted {
            Ok(Asking { demand, rejected }) => {
                let seed = self.engine.order_seed;
                let draw = |w: &Wanted| WantedDraw {
                    request: w.request.clone(),
                    address: w.address,
                    turn: WantedDraw::turn_of(seed, &w.item),
                    is_rejected: !rejected.is_empty() && rejected.contains(&(w.item.clone(), w.address.number)),
                };
                let draws: Vec<WantedDraw> = demand.wanted.iter().map(draw).collect();
                self.demands.insert(node, (key, Arc::new(demand.into()), took));
                let window = self.held.of(&self.graph.node(NodeIndex(node)).scope);
                window.demanded(draws.len());
                let open = window.open.clone();
                self.tickets.send(Ticket::new(node, draws, open));
            }
            Err(failure) => {
                self.held.of(&self.graph.node(NodeIndex(node)).scope).demanded(0);
                self.asking -= 1;
                self.fail(node, &key, failure);
            }
        }
        let is_full = self.asking >= self.engine.parts_in_flight;
        if self.demanding == 0
            && (is_full || !self.held.nodes().any(|node| is_due(self.graph, self.engine.most_open, node, false)))
        {
            self.tickets.gathered();
        }
    }

    /// Looks at a node whose inputs are all done: it is a hit, the same as one under way, or has to run.
    fn advance(&mut self, node: u32) {
        let index = NodeIndex(node);
        let Some(key) = key_of(self.graph, index, |from, name| self.output(from, name)) else { return };
        let step = self.graph.node(index).step;
        let reason = match (&self.resolution.verdicts[index.get()], self.resolution.keys[index.get()]) {
            (Verdict::Hit(row), Some(known)) if known == key => {
                let row = row.clone();
                return self.complete(node, NodeDone { key, row, ran: None });
            }
            (Verdict::Miss(reason, _), Some(known)) if known == key => *reason,
            _ => match self.look_up(&key, step) {
                Ok(row) => return self.complete(node, NodeDone { key, row, ran: None }),
                Err(reason) => reason,
            },
        };
        if let Some(twins) = self.under_way.get_mut(&key) {
            twins.push(node);
            return;
        }
        if self.engine.asker.stop.is_raised() || (!self.failures.is_empty() && !self.engine.keep_going) {
            return;
        }
        if !self.engine.limits.may_run(step) {
            let label = self.graph.node(index).label();
            let why = format!("{label} is not done, and `{step}` may not run in this build");
            self.failures.push((index, StepError::Unexpected { blob: label, why }.into()));
            return;
        }
        self.under_way.insert(key, Vec::new());
        self.recording.insert(node, (empty_row(key), Ran { reason, duration_ms: 0 }, false));
        self.active += 1;
        if step.asks() {
            let plan_node = self.graph.node(index);
            self.held.hold(node, plan_node.part, &plan_node.scope);
        } else {
            self.start(node, key);
        }
    }

    /// Looks up an action whose key was not known when the plan was resolved.
    fn look_up(&self, key: &ActionKey, step: StepKind) -> Result<Arc<ActionRow>, MissReason> {
        let row = self.engine.table.get(key).ok_or(MissReason::NeverBuilt)?;
        if row.state == ActionState::Partial {
            return Err(MissReason::Incomplete);
        }
        if self.engine.force && !step.asks() {
            return Err(MissReason::Forced);
        }
        // What cannot be held is made again; if it cannot be written either, that says why.
        if self.engine.asker.session.hold_actions(&[&row]).is_ok_and(|held| held == [true]) {
            Ok(row)
        } else {
            Err(MissReason::OutputMissing)
        }
    }

    fn complete(&mut self, node: u32, done: NodeDone) {
        self.done[node as usize] = Some(done);
        if self.graph.node(NodeIndex(node)).step <= StepKind::Build {
            self.unbuilt -= 1;
        }
        let slot = self.at(node);
        for reader in std::mem::take(&mut self.readers[slot]) {
            let slot = self.at(reader);
            self.missing[slot] -= 1;
            if self.missing[slot] == 0 {
                self.advance(reader);
            }
        }
    }

    /// Starts `infer` actions: none before every request of the plan is known, and no more than have a place.
    fn start_held(&mut self) {
        let halted = self.engine.asker.stop.is_raised() || (!self.failures.is_empty() && !self.engine.keep_going);
        if halted || (self.unbuilt > 0 && self.active == self.held.len()) {
            // Nothing will become of what is held: what it would have waited for has failed or was stopped.
            for node in self.held.nodes() {
                self.recording.remove(&node);
                self.active -= 1;
            }
            self.held.clear();
            return;
        }
        if self.unbuilt > 0 {
            return;
        }
        let is_quiet = self.active == self.held.len();
        let (graph, most_open) = (self.graph, self.engine.most_open);
        while self.asking < self.engine.parts_in_flight
            && let Some(node) = self.held.begin(most_open, |node| is_due(graph, most_open, node, is_quiet))
        {
            self.asking += 1;
            let key = key_of(self.graph, NodeIndex(node), |from, name| self.output(from, name));
            let Some(key) = key else { continue };
            self.demanding += 1;
            let inputs = self.inputs(node);
            let params = self.graph.node(NodeIndex(node)).params.clone();
            let before = self.answers_before(node, &key);
            let store = self.engine.asker.session.store();
            let demand = move || {
                let blobs = StoreBlobs(store);
                let inputs = Inputs::new(inputs, &blobs);
                let params = params.read::<InferParams>()?;
                let redraws = step::redraws(&inputs)?;
                let demand = step::demand(inputs.open("requests")?, redraws.as_ref(), &params)?;
                // Where the answers of last time are gone, what was rejected is asked once more: it costs nothing.
                let before = before.and_then(|blob| store.open_blob(&blob).ok());
                let rejected = before.map_or_else(|| Ok(HashSet::new()), step::rejected)?;
                Ok(Asking { demand, rejected })
            };
            self.crew.hand(demand, move |wanted, took| Message::Demanded { node, key, wanted, took });
        }
    }

    /// Finds the answers that an `infer` came to before, where some of its draws had failed.
    fn answers_before(&self, node: u32, key: &ActionKey) -> Option<BlobId> {
        let is_incomplete = self.recording.get(&node)?.1.reason == MissReason::Incomplete;
        if !is_incomplete || self.engine.retry_rejected {
            return None;
        }
        let row = self.engine.table.get(key)?;
        output_of(&row, "answers").map(|(blob, _)| blob)
    }

    fn start(&mut self, node: u32, key: ActionKey) {
        let inputs = self.inputs(node);
        let (step, params) = {
            let node = self.graph.node(NodeIndex(node));
            (node.step, node.params.clone())
        };
        let engine = self.engine;
        let run = move || {
            let mut outputs = Staging { session: engine.asker.session, outputs: Vec::new() };
            let blobs = StoreBlobs(engine.asker.session.store());
            let inputs = Inputs::new(inputs, &blobs);
            match step {
                StepKind::Fetch => outputs.put_from("source", |into| (engine.fetch)(NodeIndex(node), into)),
                StepKind::External => score_by_process(engine, NodeIndex(node), (&params, &inputs), &mut outputs),
                _ => step::run(step, &params, &inputs, &mut outputs).map_err(NodeFailure::from),
            }?;
            Ok(Made { outputs: outputs.outputs, draws: 0, failures: 0 })
        };
        self.crew.hand(run, move |made, took| Message::Ran { node, key, made, took });
    }

    fn inputs(&self, node: u32) -> Vec<Input> {
        let node = self.graph.node(NodeIndex(node));
        let named = node.inputs.iter().filter_map(|(name, from)| {
            let (blob, label) = match from {
                From::Source(at) => {
                    let source = &self.graph.sources()[*at as usize];
                    (source.blob, source.label.clone())
                }
                From::Output(from, output) => (self.output(*from, output)?, self.graph.node(*from).label()),
            };
            Some(Input { name: name.clone().into_owned(), blob, label })
        });
        named.collect()
    }

    fn record(&mut self, node: u32, key: ActionKey, made: Made, took: Duration) {
        let plan_node = self.graph.node(NodeIndex(node));
        let mut outputs: Vec<NamedBlob> = Vec::with_capacity(made.outputs.len());
        let mut blobs = Vec::with_capacity(made.outputs.len());
        for (name, staged) in made.outputs {
            let blob = staged.blob();
            outputs.push(NamedBlob { name, blob: blob.id, size: blob.size });
            blobs.push(staged);
        }
        outputs.sort();
        let spec = spec_of(self.graph, NodeIndex(node), |from, name| self.output(from, name));
        let Some(spec) = spec.and_then(|spec| serde_json::value::to_raw_value(&spec).ok()) else {
            let why = "its specification cannot be written down".to_owned();
            return self.fail(node, &key, StepError::Unexpected { blob: plan_node.label(), why }.into());
        };
        let partial = made.failures > 0;
        let record = ActionRecord {
            key,
            step: plan_node.step.as_str().to_owned(),
            spec,
            outputs,
            state: if partial { ActionState::Partial } else { ActionState::Complete },
            draws: made.draws,
            failures: made.failures,
            tool: self.engine.tool.to_owned(),
            recorded_at: self.engine.asker.clock.now(),
            duration_ms: took.as_millis() as u64,
        };
        let row = Arc::new(ActionRow::from(&record));
        if let Some(slot) = self.recording.get_mut(&node) {
            slot.0 = row;
            slot.1.duration_ms = took.as_millis() as u64;
            slot.2 = partial;
        }
        // Nobody takes it only where the thread that commits is gone, and then the build ends with what it panicked of.
        drop(self.commits.send((node, Commit { record: Some(record), blobs })));
    }

    fn fail(&mut self, node: u32, key: &ActionKey, failure: NodeFailure) {
        self.active -= 1;
        self.recording.remove(&node);
        self.under_way.remove(key);
        match failure {
            NodeFailure::Ask(AskError::Stopped) => return,
            NodeFailure::Ask(AskError::OverBudget) => {
                self.over_budget = true;
                return;
            }
            NodeFailure::Ask(AskError::Pending { identity, why }) => {
                self.pending.entry(identity).or_default().insert(why);
                return;
            }
            NodeFailure::Ask(AskError::Parked { identity, seconds }) => {
                let longest = self.parked.entry(identity).or_default();
                *longest = seconds.max(*longest);
                return;
            }
            _ => {}
        }
        let label = self.graph.node(NodeIndex(node)).label();
        (self.engine.asker.events)(Event::Failed { label, why: failure.in_a_line() });
        self.failures.push((NodeIndex(node), failure));
    }
}

/// Says whether an action that asks may start: where draws are bought in batches, verdicts are asked for once all else
/// `is_quiet`, so that they go into few batches.
fn is_due(graph: &Graph, most_open: usize, node: u32, is_quiet: bool) -> bool {
    is_quiet || most_open < usize::MAX || graph.node(NodeIndex(node)).step != StepKind::JudgeInfer
}

fn empty_row(key: ActionKey) -> Arc<ActionRow> {
    Arc::new(ActionRow { key, outputs: Vec::new(), state: ActionState::Complete, draws: 0, failures: 0 })
}

fn collect(
    session: &Session,
    demand: &Awaited,
    draws: &BTreeMap<crate::digest::DrawId, crate::ask::Settled>,
) -> Result<Made, NodeFailure> {
    let mut outputs = Staging { session, outputs: Vec::new() };
    let failures = demand.collect(|address| draws.get(&address.id()).cloned(), &mut outputs)?;
    Ok(Made { outputs: outputs.outputs, draws: demand.count(), failures })
}
