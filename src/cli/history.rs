use std::collections::HashSet;

use super::estimate::Estimate;
use super::estimator::Estimator;
use super::failure::Failure;
use super::planning::Planning;
use super::wanted_draws::{each_answer_of, each_group, each_request_of, is_to_run};
use crate::ask::{Tariff, Tariffs};
use crate::digest::ActionKey;
use crate::engine::{NodeDone, Verdict};
use crate::plan::{ActionSpec, From, InferParams, JudgeBuildParams, NodeIndex, StepKind};
use crate::request::Redraws;
use crate::run::Catalog;
use crate::step::{self, RequestsReader};
use crate::store::Store;

/// How many runs are looked at, the newest first.
const RUNS: usize = 20;

/// Estimates what a build would cost whose requests are made, and that ignores these batches.
pub fn estimate_build(
    planning: &Planning<'_>,
    store: &Store,
    done: &[Option<NodeDone>],
    tariffs: &Tariffs,
    ignored: &[String],
) -> Result<Estimate, Failure> {
    let mut estimator = Estimator::new(tariffs, store.draws_in_batches(ignored)?);
    let mut seen = HashSet::new();
    let mut hits: Vec<Answered<'_>> = Vec::new();
    for trial in &planning.plan.trials {
        let asking = trial.infer.values().chain(trial.judged.values()).flatten();
        for node in asking.filter(|node| seen.insert(**node)) {
            if let Some(Verdict::Hit(row)) = planning.resolution.verdicts.get(node.get()) {
                hits.push((&planning.plan.graph.node(*node).scope, row.key));
                continue;
            }
            if is_to_run(planning, *node) {
                let scope = &planning.plan.graph.node(*node).scope;
                each_answer_of(planning, store, done, *node, |wanted, found| estimator.take(scope, wanted, &found))?;
            }
        }
    }
    if estimator.wants_any() {
        observe(store, &mut estimator, &hits)?;
    }
    let mut estimate = estimator.finish();
    for (at, node) in planning.plan.graph.nodes().iter().enumerate() {
        if node.step == StepKind::JudgeInfer {
            later(planning, store, done, NodeIndex(at as u32), tariffs, &mut estimate)?;
        }
    }
    Ok(estimate)
}

/// Adds the verdicts that a `judge_infer` will want whose requests are not known before the answers are.
fn later(
    planning: &Planning<'_>,
    store: &Store,
    done: &[Option<NodeDone>],
    node: NodeIndex,
    tariffs: &Tariffs,
    estimate: &mut Estimate,
) -> Result<(), Failure> {
    let graph = &planning.plan.graph;
    let maker = |node: NodeIndex, input: &str| {
        graph.node(node).inputs.iter().find_map(|(name, from)| match from {
            From::Output(maker, _) if name == input => Some(*maker),
            _ => None,
        })
    };
    let is_known = |node: NodeIndex| {
        matches!(planning.resolution.verdicts.get(node.get()), Some(Verdict::Hit(_) | Verdict::LeftOut))
            || done.get(node.get()).is_some_and(Option::is_some)
    };
    let Some(build) = maker(node, "requests").filter(|build| !is_known(node) && !is_known(*build)) else {
        return Ok(());
    };
    let wanted = |parsed: &str| {
        let mut count = 0_u64;
        if let Some(infer) = maker(build, parsed).and_then(|parse| maker(parse, "answers")) {
            each_request_of(planning, store, done, infer, |_| count += 1);
        }
        count
    };
    let count = match graph.node(build).step {
        // Each pair is asked about in both orders.
        StepKind::PairwiseBuild => 2 * wanted("control").min(wanted("treatment")),
        _ => wanted("parsed"),
    };
    let params: JudgeBuildParams = graph.node(build).params.read()?;
    let count = count * u64::from(graph.node(node).params.read::<InferParams>()?.draws);
    match tariffs.of(&params.provider, &params.model) {
        Tariff::Free => {}
        Tariff::Unbilled => estimate.unbilled += count,
        Tariff::Unknown => *estimate.unpriced.entry(params.model).or_default() += count,
        Tariff::Rated(rates) if rates.is_nothing() => {}
        Tariff::Rated(_) => {
            estimate.is_later_endless |= params.decoding.max_output_tokens.is_none();
            *estimate.later.entry(params.model).or_default() += count;
        }
    }
    Ok(())
}

/// Is the scope of an `infer` action that is done, and its key.
pub type Answered<'p> = (&'p str, ActionKey);

/// Shows an estimator the answers that parts of the plan have, then those of earlier runs, to the models that it wants to know
/// of, as far as it wants more.
///
/// What cannot be read is passed over: an estimate goes by what there is.
pub fn observe(store: &Store, estimator: &mut Estimator<'_>, hits: &[Answered<'_>]) -> Result<(), Failure> {
    let mut looked_at: HashSet<ActionKey> = HashSet::new();
    for (scope, key) in hits {
        if estimator.wants(scope) && looked_at.insert(*key) {
            observe_action(store, scope, key, estimator);
        }
    }
    let catalog = Catalog::read(store)?;
    for entry in catalog.made_here().rev().filter(|entry| entry.record.manifest.is_some()).take(RUNS) {
        let Ok(manifest) = Catalog::manifest(store, &entry.record) else { continue };
        for action in &manifest.actions {
            let Some((scope, key)) = asked(&action.label).zip(action.key) else { continue };
            if action.draws > action.failures && estimator.wants(scope) && looked_at.insert(key) {
                observe_action(store, scope, &key, estimator);
            }
        }
    }
    Ok(())
}

/// Returns the scope in the label of an action that asks, its part left out.
fn asked(label: &str) -> Option<&str> {
    let (step, rest) = label.split_once('/')?;
    StepKind::parse(step).filter(|step| step.asks())?;
    Some(rest.rsplit_once('/')?.0)
}

fn observe_action(store: &Store, scope: &str, key: &ActionKey, estimator: &mut Estimator<'_>) -> Option<()> {
    let record = store.record(key).ok()??;
    let spec: ActionSpec = serde_json::from_str(record.spec.get()).ok()?;
    let requests = spec.inputs.get("requests")?;
    // The head of the blob says whom it asks: another model's requests are not read.
    let reader = RequestsReader::new(store.open_blob(requests).ok()?).ok()?;
    if !estimator.wants_model(&reader.shared().provider, &reader.shared().model) {
        return None;
    }
    let params: InferParams = serde_json::from_value(spec.params).ok()?;
    let redraws = spec.inputs.get("redraws").and_then(|blob| Redraws::parse(&store.read(blob).ok()?).ok());
    let requests = store.open_blob(requests).ok()?;
    let walk = |take: &mut dyn FnMut(step::Wanted)| step::each_wanted(requests, redraws.as_ref(), &params, take);
    let walked = each_group(store, walk, |wanted, found| {
        for (wanted, draw) in wanted.iter().zip(found) {
            if let Some(draw) = draw {
                estimator.observe(scope, wanted, &draw);
            }
        }
    });
    walked.ok()?.ok()?;
    Some(())
}
