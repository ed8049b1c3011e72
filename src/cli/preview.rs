use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use super::estimate::Estimate;
use super::estimator::Estimator;
use super::failure::Failure;
use super::online::unfit;
use super::planning::Planning;
use super::reasons::Reasons;
use super::wanted_draws::GROUP;
use super::{history, prices, who};
use crate::digest::{ActionKey, BlobId};
use crate::engine::{MissReason, key_of, output_of, spec_of};
use crate::plan::{From, InferParams, Node, NodeIndex, StepKind};
use crate::request::DrawAddress;
use crate::run::Catalog;
use crate::step::{self, Input, Inputs, Outputs, ReadBlobs, StepError, Wanted};
use crate::store::{ActionRow, ActionState, LoggedDraw, NamedBlob, Store};

/// Says what a build would do about one node.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It is done.
    Hit,
    /// It would run, for this reason.
    Run(String),
    /// It depends on answers that are not there yet.
    Waits,
    /// The build does not include it.
    LeftOut,
}

/// Is what a build would do, worked out in memory: pure steps are computed, nothing is written or sent.
pub struct Preview {
    /// By node.
    pub fates: Vec<Fate>,
    /// By node, where it is known.
    pub keys: Vec<Option<ActionKey>>,
    /// Draws that the plan wants, equal ones once.
    pub wanted: u64,
    /// Of these, how many would be sent.
    pub to_send: u64,
    /// Of these, how many are in batches that are under way: they are neither there nor sent again.
    pub in_batches: u64,
    /// Whether the plan is known to its end (a file that is not fetched yet hides the rest).
    pub complete: bool,
    /// By trial slug and side: how many draws would be sent that no trial before it sends.
    pub sends: BTreeMap<String, u64>,
    /// What that would cost.
    pub estimate: Estimate,
    /// By what is wrong, in words: how many draws would go into batches and cannot.
    pub unfit: BTreeMap<String, u64>,
}

/// Is one draw that a plan wants.
pub struct WantedHere {
    /// What it is for, for people: model, decoding, dataset, arm.
    pub scope: Arc<str>,
    /// The draw.
    pub wanted: Wanted,
    /// Whether the store has its answer.
    pub is_there: bool,
}

struct Memory<'s> {
    store: &'s Store,
    made: HashMap<BlobId, Arc<Vec<u8>>>,
    files: HashMap<BlobId, camino::Utf8PathBuf>,
}

impl ReadBlobs for Memory<'_> {
    fn open(&self, blob: &BlobId) -> Result<Box<dyn Read + '_>, Box<dyn std::error::Error + Send + Sync>> {
        if let Some(bytes) = self.made.get(blob) {
            return Ok(Box::new(bytes.as_slice()));
        }
        if let Some(path) = self.files.get(blob) {
            return Ok(Box::new(std::io::BufReader::new(std::fs::File::open(path)?)));
        }
        Ok(Box::new(self.store.open_blob(blob)?))
    }
}

/// Works out what a build would do.
pub fn preview(planning: &mut Planning<'_>, store: &Store) -> Result<Preview, Failure> {
    look(planning, store, None).map(|(preview, _)| preview)
}

/// Lists every draw that a plan wants, whether it is there or not, in memory: nothing is written or sent.
///
/// Errors: a dataset is not fetched yet, so that the plan is not known to its end.
pub fn wanted_draws(planning: &mut Planning<'_>, store: &Store) -> Result<Vec<WantedHere>, Failure> {
    let (preview, wanted) = look(planning, store, Some(Vec::new()))?;
    if !preview.complete {
        return Err(Failure::usage("a dataset is not fetched yet, so that nobody knows what is to be asked of it")
            .hint("`exp build --to-step prepare` fetches it, and asks nothing"));
    }
    Ok(wanted.unwrap_or_default())
}

fn look(
    planning: &mut Planning<'_>,
    store: &Store,
    gathered: Option<Vec<WantedHere>>,
) -> Result<(Preview, Option<Vec<WantedHere>>), Failure> {
    let mut reasons = Reasons::new(store, &Catalog::read(store)?, None)?;
    let files = planning.sources.values().map(|source| (source.blob, source.path.clone())).collect();
    let mut memory = Memory { store, made: HashMap::new(), files };
    let mut rows: Vec<Option<Arc<ActionRow>>> = Vec::new();
    let tariffs = prices::tariffs(&planning.asked(), &planning.sources);
    let under_way = store.draws_in_batches(&[])?;
    let mut state = State {
        fates: Vec::new(),
        keys: Vec::new(),
        asked: 0,
        missing: HashMap::new(),
        estimator: Estimator::new(&tariffs, under_way.clone()),
        under_way,
        in_batches: 0,
        counted: HashSet::new(),
        unfit: BTreeMap::new(),
        gathered,
    };
    walk(planning, 0, &mut memory, &mut rows, &mut state, &mut reasons)?;
    let complete = planning.plan.prepare.values().all(|node| rows[node.get()].is_some());
    if complete {
        let prepared = rows.clone();
        planning.expand(&|node| prepared.get(node.get()).cloned().flatten())?;
        walk(planning, prepared.len(), &mut memory, &mut rows, &mut state, &mut reasons)?;
    }
    let State { fates, keys, asked, missing, in_batches, mut estimator, unfit, gathered, .. } = state;
    if estimator.wants_any() {
        let nodes = planning.plan.trials.iter().flat_map(|trial| trial.infer.values().flatten());
        let hits = nodes.filter(|node| matches!(fates[node.get()], Fate::Hit)).filter_map(|node| {
            let scope: &str = &planning.plan.graph.node(*node).scope;
            Some((scope, keys[node.get()]?))
        });
        history::observe(store, &mut estimator, &hits.collect::<Vec<_>>())?;
    }
    let mut sends = BTreeMap::new();
    let mut counted: HashSet<ActionKey> = HashSet::new();
    for trial in &planning.plan.trials {
        for (side, nodes) in &trial.infer {
            let fresh = nodes.iter().filter_map(|node| keys[node.get()]).filter(|key| counted.insert(*key));
            let count: u64 = fresh.filter_map(|key| missing.get(&key)).sum();
            sends.insert(format!("{}/{side}", trial.label.slug), count);
        }
        for (model, nodes) in &trial.judged {
            let fresh = nodes.iter().filter_map(|node| keys[node.get()]).filter(|key| counted.insert(*key));
            let count: u64 = fresh.filter_map(|key| missing.get(&key)).sum();
            sends.insert(format!("{}/judged by {model}", trial.label.slug), count);
        }
    }
    let preview = Preview {
        fates,
        keys,
        wanted: asked,
        to_send: missing.values().sum(),
        in_batches,
        complete,
        sends,
        estimate: estimator.finish(),
        unfit,
    };
    Ok((preview, gathered))
}

struct State<'t> {
    fates: Vec<Fate>,
    keys: Vec<Option<ActionKey>>,
    asked: u64,
    missing: HashMap<ActionKey, u64>,
    /// The draws that were counted, but for those of answers to items that are done.
    counted: HashSet<DrawAddress>,
    /// The draws of batches that are not over.
    under_way: HashSet<DrawAddress>,
    in_batches: u64,
    estimator: Estimator<'t>,
    unfit: BTreeMap<String, u64>,
    /// Every draw that is wanted, where they are to be listed.
    gathered: Option<Vec<WantedHere>>,
}

impl State<'_> {
    /// Counts draws that an action wants, and returns how many of them would be sent. What several actions want (a verdict on an
    /// answer that both arms gave, or on a pair that two trials have) counts once.
    fn take(&mut self, planning: &Planning<'_>, scope: &str, wanted: &[Wanted], found: &[Option<LoggedDraw>]) -> u64 {
        // All of an action are asked of one provider.
        let identity = wanted.first().map(|wanted| &wanted.request.provider);
        let mut trials = planning.trials.iter();
        let trial = trials.find(|trial| Some(&who::identity(trial.provider, None)) == identity);
        let mut to_send = 0;
        for (wanted, found) in wanted.iter().zip(found) {
            let is_new = self.counted.insert(wanted.address);
            self.asked += u64::from(is_new);
            if !is_new || found.is_some() {
                continue;
            }
            if self.under_way.contains(&wanted.address) {
                self.in_batches += 1;
                continue;
            }
            to_send += 1;
            if let Some(why) = trial.and_then(|trial| unfit(trial.provider, &wanted.request)) {
                *self.unfit.entry(format!("to `{}`: {why}", wanted.request.provider.0)).or_default() += 1;
            }
        }
        self.estimator.take(scope, wanted, found);
        to_send
    }

    /// Counts the draws of an action that is done. Its record knows how many; which they are is looked up of verdicts alone, since
    /// arms and trials share them though their actions are others.
    fn count_done(
        &mut self,
        node: &Node,
        row: &ActionRow,
        memory: &Memory<'_>,
        output: &dyn Fn(NodeIndex, &str) -> Option<BlobId>,
    ) {
        let requests = node.inputs.iter().find_map(|(name, from)| match from {
            From::Output(from, made) if name == "requests" => output(*from, made),
            _ => None,
        });
        let mut addresses = Vec::new();
        let read = requests.filter(|_| node.step == StepKind::JudgeInfer).and_then(|requests| {
            let params: InferParams = node.params.read().ok()?;
            step::each_wanted(memory.open(&requests).ok()?, None, &params, |wanted| addresses.push(wanted.address)).ok()
        });
        match read {
            Some(_) => {
                self.asked += addresses.into_iter().filter(|address| self.counted.insert(*address)).count() as u64;
            }
            // Whoever reads them says what is wrong with them.
            None => self.asked += row.draws,
        }
    }
}

fn walk(
    planning: &Planning<'_>,
    start: usize,
    memory: &mut Memory<'_>,
    rows: &mut Vec<Option<Arc<ActionRow>>>,
    state: &mut State<'_>,
    reasons: &mut Reasons<'_>,
) -> Result<(), Failure> {
    let graph = &planning.plan.graph;
    for at in start..graph.nodes().len() {
        let index = NodeIndex(at as u32);
        let node = graph.node(index);
        let (mut row, mut key) = (None, None);
        let fate = if planning.limits.is_wanted(node.step) {
            let output =
                |from: NodeIndex, name: &str| output_of(rows.get(from.get())?.as_ref()?, name).map(|(blob, _)| blob);
            key = key_of(graph, index, output);
            match key {
                None => Fate::Waits,
                Some(key) => {
                    let reason = look_up(planning, memory.store, &key, node.step, &mut row);
                    // What a done action wanted is not in its record: where draws are to be listed, it is worked out again.
                    let is_listed = node.step.asks() && state.gathered.is_some();
                    match reason {
                        None if is_listed => {
                            row = compute(planning, index, key, memory, rows, state)?;
                            Fate::Hit
                        }
                        None => {
                            if let Some(row) = row.as_ref().filter(|_| node.step.asks())
                                && state.missing.insert(key, 0).is_none()
                            {
                                state.count_done(node, row, memory, &output);
                            }
                            Fate::Hit
                        }
                        Some(reason) => {
                            row = compute(planning, index, key, memory, rows, state)?;
                            let spec = || spec_of(graph, index, output);
                            Fate::Run(reasons.words(reason, &node.label(), spec))
                        }
                    }
                }
            }
        } else {
            Fate::LeftOut
        };
        rows.push(row);
        state.fates.push(fate);
        state.keys.push(key);
    }
    Ok(())
}

fn look_up(
    planning: &Planning<'_>,
    store: &Store,
    key: &ActionKey,
    step: StepKind,
    found: &mut Option<Arc<ActionRow>>,
) -> Option<MissReason> {
    let Some(row) = planning.table.get(key) else { return Some(MissReason::NeverBuilt) };
    if row.state == ActionState::Partial {
        return Some(MissReason::Incomplete);
    }
    if planning.force && !step.asks() {
        return Some(MissReason::Forced);
    }
    let outputs: Vec<(BlobId, u64)> = row.outputs.iter().map(|output| (output.blob, output.size)).collect();
    if store.present(&outputs).iter().any(|presence| *presence != crate::store::Presence::Present) {
        return Some(MissReason::OutputMissing);
    }
    *found = Some(row);
    None
}

/// Computes a step in memory; an `infer` only where every draw is there already.
fn compute(
    planning: &Planning<'_>,
    index: NodeIndex,
    key: ActionKey,
    memory: &mut Memory<'_>,
    rows: &[Option<Arc<ActionRow>>],
    state: &mut State<'_>,
) -> Result<Option<Arc<ActionRow>>, Failure> {
    let graph = &planning.plan.graph;
    let node = graph.node(index);
    if node.step == StepKind::Fetch || !node.step.is_hermetic() {
        return Ok(None);
    }
    let named = node.inputs.iter().filter_map(|(name, from)| {
        let (blob, label) = match from {
            From::Source(at) => {
                let source = &graph.sources()[*at as usize];
                (source.blob, source.label.clone())
            }
            From::Output(from, output) => (output_of(rows[from.get()].as_ref()?, output)?.0, graph.node(*from).label()),
        };
        Some(Input { name: name.clone().into_owned(), blob, label })
    });
    let mut made: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut draws = 0;
    {
        let inputs = Inputs::new(named.collect(), &*memory);
        if node.step.asks() {
            let params: InferParams = node.params.read()?;
            let redraws = step::redraws(&inputs)?;
            let demand = step::demand(inputs.open("requests")?, redraws.as_ref(), &params)?;
            let is_first = !state.missing.contains_key(&key);
            draws = demand.wanted.len() as u64;
            let mut to_send = 0;
            let mut answers = Some(HashMap::new());
            for wanted in demand.wanted.chunks(GROUP) {
                let addresses: Vec<DrawAddress> = wanted.iter().map(|wanted| wanted.address).collect();
                let found = memory.store.draws(&addresses)?;
                if is_first {
                    to_send += state.take(planning, &node.scope, wanted, &found);
                }
                if let Some(gathered) = &mut state.gathered {
                    gathered.extend(wanted.iter().zip(&found).map(|(wanted, found)| WantedHere {
                        scope: node.scope.clone(),
                        wanted: wanted.clone(),
                        is_there: found.is_some(),
                    }));
                }
                if found.iter().any(Option::is_none) {
                    answers = None;
                }
                if let Some(answers) = &mut answers {
                    let there = addresses.into_iter().zip(found);
                    answers.extend(there.filter_map(|(address, draw)| Some((address, draw?.answer))));
                }
            }
            if is_first {
                state.missing.insert(key, to_send);
            }
            let Some(answers) = answers else { return Ok(None) };
            demand.collect(|address| answers.get(address).cloned().map(Ok), &mut made)?;
        } else {
            step::run(node.step, &node.params, &inputs, &mut made as &mut dyn Outputs)
                .map_err(|error: StepError| error)?;
        }
    }
    let mut outputs = Vec::with_capacity(made.len());
    for (name, bytes) in made {
        let blob = BlobId::of(&bytes);
        outputs.push(NamedBlob { name, blob, size: bytes.len() as u64 });
        memory.made.insert(blob, Arc::new(bytes));
    }
    outputs.sort();
    Ok(Some(Arc::new(ActionRow { key, outputs, state: ActionState::Complete, draws, failures: 0 })))
}
