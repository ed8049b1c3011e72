use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::environment::Variables;
use super::failure::Failure;
use super::online::{has_batches, key_of};
use super::planning::Planning;
use super::who;
use crate::config::{ProviderConfig, ProviderMode};
use crate::digest::BlobId;
use crate::engine::{NodeDone, NodeFailure, Verdict, output_of};
use crate::plan::{AskedModel, From, InferParams, NodeIndex, StepKind};
use crate::request::{DrawAddress, Redraws};
use crate::step;
use crate::store::Store;

/// Says why nobody is to be asked at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// `exp score` asks nothing.
    Score,
    /// `--offline`: whoever is embedded here may be asked.
    Offline,
}

/// Refuses a build that needs answers and cannot get them: they are not in the store, and nobody may be asked for them, or
/// the key to ask with is missing. Nothing was sent.
///
/// What cannot be read is passed over: whoever runs the action says so.
pub fn unaskable(
    planning: &Planning<'_>,
    store: &Store,
    done: &[Option<NodeDone>],
    silence: Option<Silence>,
    variables: &Variables,
) -> Result<(), Failure> {
    let mut missing: BTreeMap<String, HashSet<DrawAddress>> = BTreeMap::new();
    let mut unfit: BTreeMap<String, String> = BTreeMap::new();
    let providers: BTreeMap<&str, &ProviderConfig> =
        planning.trials.iter().map(|trial| (trial.slug.as_str(), trial.provider)).collect();
    let mut nodes: BTreeSet<NodeIndex> = BTreeSet::new();
    let mut judging: BTreeSet<&String> = BTreeSet::new();
    for trial in &planning.plan.trials {
        let is_embedded = providers.get(trial.label.slug.as_str()).is_some_and(|provider| provider.kind.is_embedded());
        if !is_embedded || silence == Some(Silence::Score) {
            nodes.extend(trial.infer.values().flatten());
        }
        nodes.extend(trial.judged.values().flatten());
        let is_hit = |node: &NodeIndex| matches!(planning.resolution.verdicts.get(node.get()), Some(Verdict::Hit(_)));
        judging.extend(trial.judged.iter().filter(|(_, nodes)| !nodes.iter().all(is_hit)).map(|(model, _)| model));
    }
    let asked = planning.asked();
    for node in nodes {
        for wanted in wanted(planning, store, done, node) {
            let identity = wanted.request.provider.0.clone();
            if silence.is_none() {
                let is_it = |asked: &&AskedModel<'_>| who::identity(asked.provider, None).0 == identity;
                let why =
                    asked.iter().find(is_it).and_then(|asked| super::online::unfit(asked.provider, &wanted.request));
                unfit.extend(why.map(|why| (identity.clone(), why)));
            }
            missing.entry(identity).or_default().insert(wanted.address);
        }
    }
    let config = &planning.project.config;
    let mut unfit = unfit.into_iter();
    if let Some((identity, why)) = unfit.next() {
        return Err(Failure::usage(format!("requests to `{identity}` cannot be sent in batches: {why}"))
            .hint("take the field out, or write `mode: online` on the provider")
            .hint("nothing was sent"));
    }
    // Whoever is to judge has to have a key before anybody is paid for the answers.
    if silence.is_none() && planning.limits.may_run(StepKind::JudgeInfer) {
        let providers = judging.iter().filter_map(|name| config.providers.get(&config.models.get(*name)?.provider));
        for provider in providers {
            key_of(&planning.project.config_label, provider, variables)
                .map_err(|failure| failure.hint("nothing was sent"))?;
        }
    }
    for (identity, addresses) in missing {
        let addresses: Vec<DrawAddress> = addresses.into_iter().collect();
        let found = store.draws(&addresses).map_err(|error| Failure::from(&NodeFailure::Store(error.into())))?;
        let missing = found.iter().filter(|draw| draw.is_none()).count();
        if missing == 0 {
            continue;
        }
        let refused = |why: &str| {
            let plural = if missing == 1 { "answer" } else { "answers" };
            Failure::usage(format!("{missing} {plural} of `{identity}` are not in the store, and {why}"))
        };
        match silence {
            Some(Silence::Score) => {
                return Err(refused("`exp score` asks nobody")
                    .hint("`exp build` asks for them")
                    .hint("nothing was sent"));
            }
            Some(Silence::Offline) => {
                return Err(refused("--offline forbids asking for them").hint("nothing was sent"));
            }
            None => {}
        }
        let provider = config.providers.values().find(|provider| who::identity(provider, None).0 == identity);
        let Some(provider) = provider else { continue };
        if provider.mode == ProviderMode::Batch && !has_batches(provider.kind) {
            let kind = provider.kind.as_str();
            let why = format!("`{}` is asked in batches, which `{kind}` does not have here", provider.name);
            let hint = "write `mode: online` on the provider: its requests are sent one by one";
            return Err(refused(&why).hint(hint).hint("nothing was sent"));
        }
        key_of(&planning.project.config_label, provider, variables)
            .map_err(|failure| failure.hint("nothing was sent"))?;
    }
    Ok(())
}

/// Lists the draws of an `infer` action that is to run and whose requests are made.
pub fn wanted(planning: &Planning<'_>, store: &Store, done: &[Option<NodeDone>], node: NodeIndex) -> Vec<step::Wanted> {
    if !matches!(planning.resolution.verdicts.get(node.get()), Some(Verdict::Miss(..) | Verdict::Waits)) {
        return Vec::new();
    }
    requests_of(planning, store, done, node)
}

/// Lists the draws of an `infer` action whose requests are made; none where they cannot be read.
pub fn requests_of(
    planning: &Planning<'_>,
    store: &Store,
    done: &[Option<NodeDone>],
    node: NodeIndex,
) -> Vec<step::Wanted> {
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
    let read = || {
        let params = node.params.read::<InferParams>().ok()?;
        let redraws = match blob("redraws") {
            Some(blob) => Some(Redraws::parse(&store.read(&blob).ok()?).ok()?),
            None => None,
        };
        Some(step::demand(store.open_blob(&blob("requests")?).ok()?, redraws.as_ref(), &params).ok()?.wanted)
    };
    read().unwrap_or_default()
}
