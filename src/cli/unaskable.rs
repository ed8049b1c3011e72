use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::environment::Variables;
use super::failure::Failure;
use super::online::{has_batches, key_of};
use super::planning::Planning;
use super::wanted_draws::{GROUP, each_request_of, is_to_run};
use super::who;
use crate::config::{ProviderConfig, ProviderMode};
use crate::engine::{NodeDone, NodeFailure, Verdict};
use crate::plan::{AskedModel, NodeIndex, StepKind};
use crate::request::DrawAddress;
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
    let label = &planning.project.config_label;
    // Whoever can be asked need not have answered already: what is missing of theirs is not looked for.
    let can_be_asked = |provider: &ProviderConfig| {
        // What is sent in batches is looked at: a batch may not take it.
        let is_sent_alone = provider.mode == ProviderMode::Online;
        silence.is_none() && is_sent_alone && key_of(label, provider, variables).is_ok()
    };
    let askable: BTreeMap<&str, bool> =
        planning.trials.iter().map(|trial| (trial.provider.name.as_str(), can_be_asked(trial.provider))).collect();
    for trial in &planning.plan.trials {
        let provider = providers.get(trial.label.slug.as_str());
        let is_embedded = provider.is_some_and(|provider| provider.kind.is_embedded());
        let is_askable = provider.is_some_and(|provider| askable.get(provider.name.as_str()) == Some(&true));
        if !is_askable && (!is_embedded || silence == Some(Silence::Score)) {
            nodes.extend(trial.infer.values().flatten());
        }
        nodes.extend(trial.judged.values().flatten());
        let is_hit = |node: &NodeIndex| matches!(planning.resolution.verdicts.get(node.get()), Some(Verdict::Hit(_)));
        judging.extend(trial.judged.iter().filter(|(_, nodes)| !nodes.iter().all(is_hit)).map(|(model, _)| model));
    }
    let asked = planning.asked();
    for node in nodes {
        if !is_to_run(planning, node) {
            continue;
        }
        each_request_of(planning, store, done, node, |wanted| {
            let identity = wanted.request.provider.0.clone();
            if silence.is_none() {
                let is_it = |asked: &&AskedModel<'_>| who::identity(asked.provider, None).0 == identity;
                let why =
                    asked.iter().find(is_it).and_then(|asked| super::online::unfit(asked.provider, &wanted.request));
                unfit.extend(why.map(|why| (identity.clone(), why)));
            }
            missing.entry(identity).or_default().insert(wanted.address);
        });
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
        let mut missing = 0;
        for group in addresses.chunks(GROUP) {
            let found = store.draws(group).map_err(|error| Failure::from(&NodeFailure::Store(error.into())))?;
            missing += found.iter().filter(|draw| draw.is_none()).count();
        }
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
