use std::sync::Arc;

use super::expansion::{Expansion, part_name};
use super::graph::{From, Node, NodeIndex};
use super::pairwise_params::{ComparedBy, ComparedDataset};
use super::plan::Plan;
use super::selection::Side;
use super::spec::{Name, ParamsDoc};
use super::{InferParams, PairwiseParams, PlanError, StepKind};
use crate::config::{DatasetConfig, PairwiseConfig};

/// Is a model that compares the arms' answers to one dataset, at work on one trial.
struct Pairing<'c> {
    judge: &'c PairwiseConfig,
    build: Arc<ParamsDoc>,
    infer: Arc<ParamsDoc>,
    files: Vec<(Name, From)>,
    scope: Arc<str>,
}

/// Is what two arms made of the parts of a dataset: per part, the actions that parsed and that read people's verdicts.
pub(super) struct ArmNodes<'n> {
    pub(super) side: Side,
    pub(super) parse: &'n [NodeIndex],
    pub(super) labels: &'n [Vec<NodeIndex>],
}

/// Collects what the models that compare a trial's answers are asked, and what is made of what they say.
#[derive(Default)]
pub(super) struct Pairs {
    datasets: Vec<ComparedDataset>,
    inputs: Vec<(Name, From)>,
    /// What is asked and answered, for the costs.
    pub(super) priced: Vec<(Name, From)>,
    /// The actions that ask, with the name of the model that judges.
    pub(super) asked: Vec<(String, NodeIndex)>,
}

impl Expansion<'_, '_> {
    /// Adds the actions that ask about a dataset's pairs, where a model compares them; `scope` names trial and dataset.
    pub(super) fn pair(
        &mut self,
        pairs: &mut Pairs,
        (name, dataset): (&str, &DatasetConfig),
        (parts, arms): (&[u32], &[ArmNodes<'_>; 2]),
        scope: &str,
    ) -> Result<(), PlanError> {
        if dataset.pairwise.is_empty() {
            return Ok(());
        }
        let prepare = self.plan.prepare[name];
        let mut pairings = Vec::with_capacity(dataset.pairwise.len());
        for judge in &dataset.pairwise {
            let files = (&judge.user, judge.system.as_ref());
            let (build, files) = self.judge_asking(dataset, &judge.model, &judge.decoding, files)?;
            pairings.push(Pairing {
                judge,
                build: Arc::new(ParamsDoc::new(&build)?),
                // As of any judge: a verdict about the same two answers is the same request.
                infer: Arc::new(ParamsDoc::new(&InferParams { generation: 0, draws: judge.decoding.draws })?),
                files,
                scope: Arc::from(format!("{scope}/{}", judge.name).as_str()),
            });
        }
        for (at, part) in parts.iter().enumerate() {
            let items = From::Output(prepare, part_name(&["items"], *part));
            let gold = From::Output(prepare, part_name(&["gold"], *part));
            pairs.inputs.push((part_name(&["gold", name], *part), gold.clone()));
            for arm in arms {
                for (labels, node) in dataset.labels.iter().zip(&arm.labels[at]) {
                    let input = part_name(&["labels", arm.side.as_str(), &labels.name, name], *part);
                    pairs.inputs.push((input, From::Output(*node, "scores".into())));
                }
            }
            for pairing in &pairings {
                let parsed = arms.each_ref().map(|arm| arm.parse[at]);
                let (built, asked) = pairing.add(self.plan, (&items, &gold, parsed), *part);
                let by = pairing.judge.name.as_str();
                let of = |kind, node, output: &'static str| {
                    (part_name(&[kind, by, name], *part), From::Output(node, output.into()))
                };
                pairs.inputs.extend([of("pairs", built, "pairs"), of("answers", asked, "answers")]);
                pairs.priced.extend([of("pair_requests", built, "requests"), of("pair_answers", asked, "answers")]);
                pairs.asked.push((pairing.judge.model.clone(), asked));
            }
        }
        let by = |judge: &PairwiseConfig| ComparedBy {
            name: judge.name.clone(),
            model: judge.model.clone(),
            reading: judge.reading.clone(),
        };
        pairs.datasets.push(ComparedDataset {
            name: name.to_owned(),
            judges: dataset.pairwise.iter().map(by).collect(),
            labels: dataset.labels.iter().map(|labels| labels.name.clone()).collect(),
        });
        Ok(())
    }

    /// Adds the action that makes of all verdicts what they come to; none where no model compares answers.
    pub(super) fn pairwise(&mut self, pairs: Pairs, scope: &Arc<str>) -> Result<Option<NodeIndex>, PlanError> {
        if pairs.datasets.is_empty() {
            return Ok(None);
        }
        let analysis = &self.config.analysis;
        let params = PairwiseParams { datasets: pairs.datasets, alpha: analysis.alpha, cluster: analysis.cluster };
        Ok(Some(self.node(StepKind::Pairwise, &params, pairs.inputs, scope)?))
    }
}

impl Pairing<'_> {
    /// Adds the actions of one part: the one that makes the requests, and the one that asks.
    fn add(
        &self,
        plan: &mut Plan,
        (items, gold, [control, treatment]): (&From, &From, [NodeIndex; 2]),
        part: u32,
    ) -> (NodeIndex, NodeIndex) {
        let mut add = |step, params: &Arc<ParamsDoc>, inputs| {
            let (params, scope) = (params.clone(), self.scope.clone());
            plan.graph.add(Node { step, params, inputs, scope, part: Some(part) })
        };
        let parsed = |node| From::Output(node, "parsed".into());
        let mut inputs = self.files.clone();
        inputs.extend([("items".into(), items.clone()), ("gold".into(), gold.clone())]);
        inputs.extend([("control".into(), parsed(control)), ("treatment".into(), parsed(treatment))]);
        let built = add(StepKind::PairwiseBuild, &self.build, inputs);
        let asking = vec![("requests".into(), From::Output(built, "requests".into()))];
        (built, add(StepKind::JudgeInfer, &self.infer, asking))
    }
}
