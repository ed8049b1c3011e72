use std::collections::BTreeMap;
use std::sync::Arc;

use super::expansion::{Expansion, find};
use super::graph::{From, NodeIndex};
use super::plan::View;
use super::spec::Name;
use super::{AggregateParams, PlanError, StepKind, TrialLabel};

/// Is what the run's report needs of a trial.
pub(super) struct Reported {
    /// Its words.
    pub(super) label: TrialLabel,
    /// Its `stats` action.
    pub(super) stats: NodeIndex,
    /// Its `costs` action.
    pub(super) costs: NodeIndex,
    /// Whether models judge its answers.
    pub(super) is_judged: bool,
    /// The `infer` actions of the control: trials that have the same share it.
    pub(super) control: Vec<NodeIndex>,
}

impl Expansion<'_, '_> {
    /// Adds the run's report over all trials.
    pub(super) fn aggregate(&mut self, trials: &[Reported]) -> Result<(), PlanError> {
        let mut inputs: Vec<(Name, From)> = Vec::new();
        for trial in trials {
            let slug = &trial.label.slug;
            inputs.push((format!("significance/{slug}").into(), From::Output(trial.stats, "significance.json".into())));
            inputs.push((format!("differences/{slug}").into(), From::Output(trial.stats, "differences".into())));
            inputs.push((format!("costs/{slug}").into(), From::Output(trial.costs, "costs.json".into())));
            if trial.is_judged {
                let tokens = From::Output(trial.costs, "verdict_tokens".into());
                inputs.push((format!("verdict_tokens/{slug}").into(), tokens));
            }
        }
        if let Some(lock) = &self.config.plan_lock {
            inputs.push(("plan".into(), self.plan.graph.source(find(self.sources, lock)?)));
        }
        let analysis = &self.config.analysis;
        let params = AggregateParams {
            trials: trials.iter().map(|trial| trial.label.clone()).collect(),
            alpha: analysis.alpha,
            shared_controls: shared_controls(trials),
            resamples: analysis.permutation_samples,
            random_seed: analysis.random_seed,
            cluster: analysis.cluster,
        };
        let node = self.node(StepKind::Aggregate, &params, inputs, &Arc::from(""))?;
        for name in ["aggregate_report.md", "multiplicity.json", "effects.json"] {
            self.plan.views.push(View { slug: String::new(), name, node, output: name });
        }
        Ok(())
    }
}

/// Lists the trials that share a control: those whose control is the same actions.
fn shared_controls(trials: &[Reported]) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<&[NodeIndex], Vec<String>> = BTreeMap::new();
    for trial in trials.iter().filter(|trial| !trial.control.is_empty()) {
        groups.entry(&trial.control).or_default().push(trial.label.slug.clone());
    }
    let mut groups: Vec<_> = groups.into_values().filter(|slugs| slugs.len() > 1).collect();
    for slugs in &mut groups {
        slugs.sort();
    }
    groups.sort();
    groups
}
