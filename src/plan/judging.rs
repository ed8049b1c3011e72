use std::collections::BTreeMap;
use std::sync::Arc;

use super::asking::keyed_extra;
use super::expansion::{Expansion, find};
use super::graph::{From, Node, NodeIndex};
use super::plan::Plan;
use super::selection::max_output_tokens;
use super::spec::{Name, ParamsDoc};
use super::{InferParams, JudgeBuildParams, JudgeParams, JudgeRates, PlanError, PricedModel, StepKind, is_open};
use crate::config::{DatasetConfig, DecodingPoint, SourceFile};

/// Is a scorer by a model, at work on one arm of a dataset.
pub(super) struct Judge {
    name: String,
    build: Arc<ParamsDoc>,
    infer: Arc<ParamsDoc>,
    read: Arc<ParamsDoc>,
    files: Vec<(Name, From)>,
    scope: Arc<str>,
}

/// Is what a judge gave one part: the actions that make its requests, that ask them, and that read the verdicts.
#[derive(Clone, Copy)]
pub(super) struct Judged {
    pub(super) built: NodeIndex,
    pub(super) asked: NodeIndex,
    pub(super) read: NodeIndex,
}

impl Expansion<'_, '_> {
    /// Lists the models that judge answers with their prices, by name; those that compare the arms', where both are asked.
    pub(super) fn judge_rates(&self, has_both: bool) -> Vec<JudgeRates> {
        let mut all: BTreeMap<&String, JudgeRates> = BTreeMap::new();
        for (name, dataset) in &self.config.datasets {
            let scorers = dataset.judges.iter().map(|judge| (false, &judge.model, &judge.name));
            let pairs = dataset.pairwise.iter().filter(|_| has_both).map(|judge| (true, &judge.model, &judge.name));
            for (is_pair, judge, setting) in scorers.chain(pairs) {
                let Some(model) = self.config.models.get(judge) else { continue };
                let rates = all.entry(judge).or_insert_with(|| JudgeRates {
                    name: judge.clone(),
                    model: PricedModel::of(model),
                    scorers: Vec::new(),
                    pairs: Vec::new(),
                });
                let places = if is_pair { &mut rates.pairs } else { &mut rates.scorers };
                places.push((name.clone(), setting.clone()));
            }
        }
        all.into_values().collect()
    }

    /// Describes the scorers by models of a dataset under an arm.
    pub(super) fn judging(&mut self, dataset: &DatasetConfig, scope: &str) -> Result<Vec<Judge>, PlanError> {
        let mut judges = Vec::with_capacity(dataset.judges.len());
        for judge in &dataset.judges {
            let files = (&judge.user, judge.system.as_ref());
            let (build, files) = self.judge_asking(dataset, &judge.model, &judge.decoding, files)?;
            judges.push(Judge {
                name: judge.name.clone(),
                build: Arc::new(ParamsDoc::new(&build)?),
                // Whoever answers, a verdict about the same answer is the same request: it is drawn once.
                infer: Arc::new(ParamsDoc::new(&InferParams { generation: 0, draws: judge.decoding.draws })?),
                read: Arc::new(ParamsDoc::new(&JudgeParams {
                    name: judge.name.clone(),
                    reading: judge.reading.clone(),
                })?),
                files,
                scope: Arc::from(format!("{scope}/{}", judge.name).as_str()),
            });
        }
        Ok(judges)
    }

    /// Says what is asked of a model that judges, and which templates every part's requests are made of: `user`, and `system`
    /// where there is one.
    pub(super) fn judge_asking(
        &mut self,
        dataset: &DatasetConfig,
        model: &str,
        point: &DecodingPoint,
        (user, system): (&SourceFile, Option<&SourceFile>),
    ) -> Result<(JudgeBuildParams, Vec<(Name, From)>), PlanError> {
        let unknown =
            |what, name: &str| PlanError::Unknown { what, name: name.to_owned(), known: "see the config".to_owned() };
        let model = self.config.models.get(model).ok_or_else(|| unknown("model", model))?;
        let provider = self.config.providers.get(&model.provider);
        let provider = provider.ok_or_else(|| unknown("provider", &model.provider))?;
        let mut decoding = point.decoding.clone();
        decoding.max_output_tokens = max_output_tokens(model, None, is_open(dataset), point, &point.decoding);
        let build = JudgeBuildParams {
            provider: (self.facts.identity)(provider, None),
            model: model.model.clone(),
            revision: model.revision.clone(),
            decoding,
            extra: keyed_extra(provider, model),
            outcomes: self.config.outcomes,
        };
        let mut files: Vec<(Name, From)> = vec![("user".into(), self.plan.graph.source(find(self.sources, user)?))];
        if let Some(system) = system {
            files.push(("system".into(), self.plan.graph.source(find(self.sources, system)?)));
        }
        Ok((build, files))
    }
}

impl Judge {
    /// Adds the actions of one part, and what `score` reads of them.
    pub(super) fn add(
        &self,
        plan: &mut Plan,
        (items, gold, parsed): (From, From, NodeIndex),
        part: u32,
        scoring: &mut Vec<(Name, From)>,
    ) -> Judged {
        let mut add = |step, params: &Arc<ParamsDoc>, inputs| {
            let (params, scope) = (params.clone(), self.scope.clone());
            plan.graph.add(Node { step, params, inputs, scope, part: Some(part) })
        };
        let parsed = From::Output(parsed, "parsed".into());
        let mut inputs = self.files.clone();
        inputs.extend([("items".into(), items), ("gold".into(), gold), ("parsed".into(), parsed.clone())]);
        let built = add(StepKind::JudgeBuild, &self.build, inputs);
        let asking = vec![("requests".into(), From::Output(built, "requests".into()))];
        let asked = add(StepKind::JudgeInfer, &self.infer, asking);
        let reading = vec![("parsed".into(), parsed), ("answers".into(), From::Output(asked, "answers".into()))];
        let read = add(StepKind::Judge, &self.read, reading);
        scoring.push((format!("labels/{}", self.name).into(), From::Output(read, "scores".into())));
        Judged { built, asked, read }
    }
}
