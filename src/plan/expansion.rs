use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::graph::{From, Node, NodeIndex, SourceBlob};
use super::judging::{Judge, Judged};
use super::overall::Reported;
use super::pairing::{ArmNodes, Pairs};
use super::plan::{Facts, Plan, Sources, TrialPlan, View, arm_files, is_open};
use super::selection::{SelectedTrial, Side};
use super::spec::{Name, ParamsDoc};
use super::{
    CostsParams, Effectiveness, InferParams, MergeParams, ParseParams, PlanError, PricedModel, RatedDataset,
    ReportParams, RevisedScorer, ScoreParams, StatsParams, StepKind, TrialDataset, TrialLabel,
};
use crate::config::{ArmConfig, Config, DatasetConfig, OptionalAnalyses, SourceFile};
use crate::digest::{Digest, Encoder};

pub(super) fn find<'s>(sources: &'s Sources, file: &SourceFile) -> Result<&'s SourceBlob, PlanError> {
    sources.get(&file.path).ok_or_else(|| PlanError::Unknown {
        what: "file",
        name: file.written.clone(),
        known: "it was not read".to_owned(),
    })
}

/// Writes the name of a part's input or output: the pieces joined by `/`, then the part in five digits.
///
/// There are as many of these as there are parts of all arms, so they are put together by hand.
pub(super) fn part_name(pieces: &[&str], part: u32) -> Name {
    let mut name = String::with_capacity(pieces.iter().map(|piece| piece.len() + 1).sum::<usize>() + 10);
    for piece in pieces {
        name.push_str(piece);
        name.push('/');
    }
    let mut unit = 10_000;
    while part / unit >= 10 {
        unit *= 10;
    }
    while unit > 0 {
        name.push(char::from(b'0' + (part / unit % 10) as u8));
        unit /= 10;
    }
    name.into()
}

/// Is the chain of actions of one dataset under one arm: per part, what `parse` and `score` give.
#[derive(Clone)]
struct Chain {
    infer: Vec<NodeIndex>,
    parse: Vec<NodeIndex>,
    /// By part, in the order of the dataset's scorers by people.
    labels: Vec<Vec<NodeIndex>>,
    /// By part, in the order of its scorers by models.
    judged: Vec<Vec<Judged>>,
    score: Vec<NodeIndex>,
}

/// Is the second stage of a plan at work.
pub(super) struct Expansion<'p, 'c> {
    pub(super) plan: &'p mut Plan,
    pub(super) config: &'c Config,
    pub(super) sources: &'c Sources,
    parts: &'c BTreeMap<String, Vec<u32>>,
    pub(super) facts: &'c Facts<'c>,
    chains: HashMap<Digest, Chain>,
}

impl<'p, 'c> Expansion<'p, 'c> {
    /// Starts the second stage.
    pub(super) fn new(
        plan: &'p mut Plan,
        config: &'c Config,
        sources: &'c Sources,
        parts: &'c BTreeMap<String, Vec<u32>>,
        facts: &'c Facts<'c>,
    ) -> Self {
        Self { plan, config, sources, parts, facts, chains: HashMap::new() }
    }

    /// Adds a trial: the chains of its datasets under each side, and what is made of them.
    pub(super) fn trial(&mut self, trial: &SelectedTrial<'_>, sides: &[Side]) -> Result<Reported, PlanError> {
        let config = self.config;
        let mut merge_inputs: Vec<(Name, From)> = Vec::new();
        let mut redrawn: Vec<(Name, From)> = Vec::new();
        let mut datasets = Vec::new();
        let mut rated = Vec::new();
        let mut infer: BTreeMap<&'static str, Vec<NodeIndex>> = BTreeMap::new();
        let mut judged: BTreeMap<String, Vec<NodeIndex>> = BTreeMap::new();
        let mut verdicts: Vec<(Name, From)> = Vec::new();
        let mut pairs = Pairs::default();
        for (name, dataset) in &config.datasets {
            let prepare = self.plan.prepare[name];
            let open = is_open(dataset);
            merge_inputs.push((format!("order/{name}").into(), From::Output(prepare, "order".into())));
            let parts = self.parts.get(name).map_or(&[][..], Vec::as_slice);
            for part in parts {
                let gold = From::Output(prepare, part_name(&["gold"], *part));
                merge_inputs.push((part_name(&["gold", name], *part), gold));
                if !config.analysis.subgroups.is_empty() {
                    let items = From::Output(prepare, part_name(&["items"], *part));
                    merge_inputs.push((part_name(&["items", name], *part), items));
                }
            }
            let metrics = self.facts.metrics_of(dataset);
            let labels = rated_by(dataset);
            if !labels.is_empty() {
                rated.push(RatedDataset { dataset: name.clone(), labels });
            }
            datasets.push(TrialDataset { name: name.clone(), open, metrics });
            let mut chains = Vec::with_capacity(sides.len());
            for side in sides {
                let chain = self.chain(trial, *side, name, dataset)?;
                infer.entry(side.as_str()).or_default().extend(&chain.infer);
                for (at, part) in parts.iter().enumerate() {
                    let side = side.as_str();
                    if config.redraws.is_some() {
                        let from = From::Output(chain.infer[at], "redraws".into());
                        redrawn.push((part_name(&["redraws", side, name], *part), from));
                    }
                    let parsed = From::Output(chain.parse[at], "parsed".into());
                    let scores = From::Output(chain.score[at], "scores".into());
                    merge_inputs.push((part_name(&["parsed", side, name], *part), parsed));
                    merge_inputs.push((part_name(&["scores", side, name], *part), scores));
                    let people = dataset.labels.iter().map(|labels| &labels.name).zip(chain.labels[at].iter().copied());
                    let models = dataset.judges.iter().map(|judge| &judge.name);
                    let models = models.zip(chain.judged[at].iter().map(|judged| judged.read));
                    for (by, node) in people.chain(models) {
                        let verdicts = From::Output(node, "verdicts".into());
                        merge_inputs.push((part_name(&["verdicts", side, by, name], *part), verdicts));
                    }
                    for (judge, node) in dataset.judges.iter().zip(&chain.judged[at]) {
                        judged.entry(judge.model.clone()).or_default().push(node.asked);
                        let of = |what| part_name(&[what, side, &judge.name, name], *part);
                        verdicts.push((of("judge_requests"), From::Output(node.built, "requests".into())));
                        verdicts.push((of("judge_answers"), From::Output(node.asked, "answers".into())));
                    }
                }
                chains.push((*side, chain));
            }
            if let [control, treatment] = chains.as_slice() {
                let arms = [control, treatment].map(|(side, chain)| ArmNodes {
                    side: *side,
                    parse: &chain.parse,
                    labels: &chain.labels,
                });
                let scope = format!("{}/{}/{name}/{}", trial.model.name, trial.decoding_label, trial.prompt_set_name);
                self.pair(&mut pairs, (name, dataset), (parts, &arms), &scope)?;
            }
        }
        for (model, node) in std::mem::take(&mut pairs.asked) {
            judged.entry(model).or_default().push(node);
        }
        let scope: Arc<str> = Arc::from(trial.slug.as_str());
        let temperature = trial.decoding.temperature;
        let merge = self.node(
            StepKind::Merge,
            &MergeParams {
                temperature,
                draws: trial.point.draws,
                datasets: datasets.clone(),
                conditions: sides.iter().map(|side| side.as_str().to_owned()).collect(),
                subgroups: config.analysis.subgroups.clone(),
                rated: rated.clone(),
            },
            merge_inputs,
            &scope,
        )?;
        let paired = || vec![("paired".into(), From::Output(merge, "paired".into()))];
        let mut stats_inputs = paired();
        if let Some(lock) = &config.plan_lock {
            stats_inputs.push(("plan".into(), self.plan.graph.source(find(self.sources, lock)?)));
        }
        let stats_params = StatsParams {
            temperature,
            datasets: datasets.clone(),
            analysis: config.analysis.clone(),
            exclusions: config.plan_lock.as_ref().map(|_| config.exclusions()),
            // What costs make of it decides nothing here.
            optional: OptionalAnalyses { cost_effectiveness: false, ..config.optional },
        };
        let stats = self.node(StepKind::Stats, &stats_params, stats_inputs, &scope)?;
        let is_priced = config.optional.cost_effectiveness;
        let judges = self.judge_rates(sides.len() == 2);
        let is_judged = !judges.is_empty();
        let costs = self.node(
            StepKind::Costs,
            &CostsParams {
                model: PricedModel::of(trial.model),
                bootstrap_samples: config.analysis.bootstrap_samples,
                random_seed: config.analysis.random_seed,
                alpha: config.analysis.alpha,
                effectiveness: is_priced.then_some(Effectiveness {
                    temperature,
                    datasets,
                    cluster: config.analysis.cluster,
                }),
                judges,
            },
            paired().into_iter().chain(verdicts).chain(std::mem::take(&mut pairs.priced)).collect(),
            &scope,
        )?;
        let pairwise = self.pairwise(pairs, &scope)?;
        let label = self.label(trial);
        let mut report_inputs: Vec<(Name, From)> = vec![
            ("significance".into(), From::Output(stats, "significance.json".into())),
            ("costs".into(), From::Output(costs, "costs.json".into())),
        ];
        let further = [
            (config.optional.power_analysis, "power_analysis", stats),
            (config.optional.mixed_effects, "mixed_models", stats),
            (stats_params.sweeps_support(), "unsupported_sensitivity", stats),
            (is_priced, "cost_effectiveness", costs),
        ];
        let made = further.into_iter().filter(|(is_made, ..)| *is_made);
        report_inputs
            .extend(made.map(|(_, name, node)| (name.into(), From::Output(node, format!("{name}.json").into()))));
        report_inputs.extend(redrawn);
        if !rated.is_empty() {
            report_inputs.push(("agreement".into(), From::Output(merge, "agreement.json".into())));
        }
        if let Some(pairwise) = pairwise {
            report_inputs.push(("pairwise".into(), From::Output(pairwise, "pairwise.json".into())));
        }
        let mut prompts = [None, None];
        for side in sides {
            let arm = arm_of(trial, *side);
            for (kind, file) in arm_files(arm) {
                if let Some(file) = file {
                    let source = find(self.sources, file)?;
                    if kind == "system" {
                        prompts[*side as usize] = Some(source.clone());
                    }
                    let from = self.plan.graph.source(source);
                    report_inputs.push((format!("prompt/{}/{kind}", side.as_str()).into(), from));
                }
            }
        }
        let report = self.node(
            StepKind::Report,
            &ReportParams { trial: label.clone(), alpha: config.analysis.alpha },
            report_inputs,
            &scope,
        )?;
        let views = [
            ("results/predictions.csv", merge, "predictions.csv"),
            ("results/per_item_scores.csv", merge, "per_item_scores.csv"),
            ("results/significance.json", stats, "significance.json"),
            ("results/costs.json", costs, "costs.json"),
            ("reports/report.md", report, "report.md"),
        ];
        let optional = [
            (config.optional.power_analysis, "results/power_analysis.json", stats, "power_analysis.json"),
            (config.optional.mixed_effects, "results/mixed_models.json", stats, "mixed_models.json"),
            (
                stats_params.sweeps_support(),
                "results/unsupported_sensitivity.json",
                stats,
                "unsupported_sensitivity.json",
            ),
            (!rated.is_empty(), "results/agreement.json", merge, "agreement.json"),
            (is_priced, "results/cost_effectiveness.json", costs, "cost_effectiveness.json"),
        ];
        let optional = optional.into_iter().filter(|view| view.0).map(|(_, name, node, output)| (name, node, output));
        let compared = pairwise.into_iter().flat_map(|node| {
            [("results/pairwise.json", node, "pairwise.json"), ("results/pairwise.csv", node, "pairwise.csv")]
        });
        for (name, node, output) in views.into_iter().chain(optional).chain(compared) {
            self.plan.views.push(View { slug: trial.slug.clone(), name, node, output });
        }
        let control = infer.get(Side::Control.as_str()).cloned().unwrap_or_default();
        self.plan.trials.push(TrialPlan {
            label: label.clone(),
            decoding: trial.decoding.clone(),
            max_tokens: trial.max_tokens,
            model_id: trial.model.model.clone(),
            prompts,
            infer,
            judged,
        });
        Ok(Reported { label, stats, costs, is_judged, control })
    }

    pub(super) fn node<T: serde::Serialize>(
        &mut self,
        step: StepKind,
        params: &T,
        inputs: Vec<(Name, From)>,
        scope: &Arc<str>,
    ) -> Result<NodeIndex, PlanError> {
        let params = Arc::new(ParamsDoc::new(params)?);
        Ok(self.plan.graph.add(Node { step, params, inputs, scope: scope.clone(), part: None }))
    }

    fn label(&self, trial: &SelectedTrial<'_>) -> TrialLabel {
        let decoding = trial.decoding.fields().into_iter().map(|(name, value)| (name, words(&value))).collect();
        TrialLabel {
            slug: trial.slug.clone(),
            model: trial.model.name.clone(),
            provider: trial.provider.kind.as_str().to_owned(),
            prompt_set: trial.prompt_set_name.to_owned(),
            point: trial.decoding_label.clone(),
            decoding,
            draws: trial.point.draws,
            note: (self.facts.note)(trial.provider),
        }
    }

    /// Returns the chain of a dataset under an arm, adding it unless another trial has it already: that is how the
    /// control of many prompt sets is asked once.
    fn chain(
        &mut self,
        trial: &SelectedTrial<'_>,
        side: Side,
        name: &str,
        dataset: &DatasetConfig,
    ) -> Result<Chain, PlanError> {
        let arm = arm_of(trial, side);
        let open = is_open(dataset);
        let (build, shared) = self.build_params(trial, side, name, dataset)?;
        let build = Arc::new(ParamsDoc::new(&build)?);
        let both = self.config.generation;
        let generation = if side == Side::Control { both.control } else { both.treatment };
        let infer = InferParams { generation, draws: trial.point.draws };
        let infer = Arc::new(ParamsDoc::new(&infer)?);

        let arm_label = match side {
            Side::Treatment => trial.prompt_set_name.to_owned(),
            Side::Control if *arm == self.config.control => "control".to_owned(),
            Side::Control => format!("{}.control", trial.prompt_set_name),
        };
        let mut encoder = Encoder::new("exp 2026-11 chain");
        encoder.text(name);
        encoder.digest(build.digest());
        encoder.digest(infer.digest());
        for (input, from) in &shared {
            encoder.text(input);
            if let From::Source(at) = from {
                encoder.int(i64::from(*at));
            }
        }
        if !dataset.labels.is_empty() {
            // Who rated answers may have named their model and arm.
            encoder.text(&trial.model.name);
            encoder.text(&arm_label);
        }
        let identity = encoder.finish();
        if let Some(chain) = self.chains.get(&identity) {
            return Ok(chain.clone());
        }

        let parse = Arc::new(ParamsDoc::new(&ParseParams { extraction: dataset.answer.clone() })?);
        let scorers = dataset
            .scorers
            .iter()
            .map(|scorer| RevisedScorer { scorer: scorer.clone(), revision: (self.facts.scorer_revision)(scorer) })
            .collect();
        let support_shares = open && self.config.optional.unsupported_sensitivity;
        let labels = metrics_by_hand(dataset);
        let score = ScoreParams { scorers, outcomes: self.config.outcomes, open, support_shares, labels };
        let score = Arc::new(ParamsDoc::new(&score)?);
        let scope: Arc<str> =
            Arc::from(format!("{}/{}/{name}/{arm_label}", trial.model.name, trial.decoding_label).as_str());
        let labels = self.labels(dataset, &trial.model.name, &arm_label, &scope)?;
        let judges = self.judging(dataset, &scope)?;
        let externals = self.externals(dataset, &scope)?;
        let prepare = self.plan.prepare[name];
        let redraws = self.redraws()?;
        let mut chain =
            Chain { infer: Vec::new(), parse: Vec::new(), labels: Vec::new(), judged: Vec::new(), score: Vec::new() };
        for part in self.parts.get(name).map_or(&[][..], Vec::as_slice) {
            let mut inputs = Vec::with_capacity(shared.len() + 1);
            inputs.extend(shared.iter().cloned());
            inputs.push(("items".into(), From::Output(prepare, part_name(&["items"], *part))));
            let mut add = |step, params: &Arc<ParamsDoc>, inputs| {
                let (params, scope) = (params.clone(), scope.clone());
                self.plan.graph.add(Node { step, params, inputs, scope, part: Some(*part) })
            };
            let built = add(StepKind::Build, &build, inputs);
            let mut asking: Vec<(Name, From)> = vec![("requests".into(), From::Output(built, "requests".into()))];
            asking.extend(redraws.iter().map(|file| ("redraws".into(), file.clone())));
            let asked = add(StepKind::Infer, &infer, asking);
            let parsed = add(StepKind::Parse, &parse, vec![("answers".into(), From::Output(asked, "answers".into()))]);
            let gold = From::Output(prepare, part_name(&["gold"], *part));
            let mut scoring: Vec<(Name, From)> =
                vec![("parsed".into(), From::Output(parsed, "parsed".into())), ("gold".into(), gold.clone())];
            if dataset.scorers.iter().any(|scorer| scorer.settings.item_field().is_some()) {
                scoring.push(("items".into(), From::Output(prepare, part_name(&["items"], *part))));
            }
            let people: Vec<NodeIndex> =
                labels.iter().map(|labels| labels.add(self.plan, parsed, *part, &mut scoring)).collect();
            let items = From::Output(prepare, part_name(&["items"], *part));
            let about =
                |judge: &Judge| judge.add(self.plan, (items.clone(), gold.clone(), parsed), *part, &mut scoring);
            let judged: Vec<Judged> = judges.iter().map(about).collect();
            for external in &externals {
                external.add(self.plan, (items.clone(), gold.clone(), parsed), *part, &mut scoring);
            }
            let (step, params, scope, part) = (StepKind::Score, score.clone(), scope.clone(), Some(*part));
            let scored = self.plan.graph.add(Node { step, params, inputs: scoring, scope, part });
            chain.labels.push(people);
            chain.judged.push(judged);
            chain.infer.push(asked);
            chain.parse.push(parsed);
            chain.score.push(scored);
        }
        self.chains.insert(identity, chain.clone());
        Ok(chain)
    }

    /// Returns the file of redraws, which every `infer` reads.
    fn redraws(&mut self) -> Result<Option<From>, PlanError> {
        let Some(file) = &self.config.redraws else { return Ok(None) };
        Ok(Some(self.plan.graph.source(find(self.sources, file)?)))
    }
}

/// Lists the metrics of a dataset that are no rule's: those of people, then those of models, then those of processes.
pub(super) fn metrics_by_hand(dataset: &DatasetConfig) -> Vec<String> {
    let externals = dataset.externals.iter().map(|external| external.name.clone());
    rated_by(dataset).into_iter().chain(externals).collect()
}

/// Lists the metrics of a dataset that several may have a say in: people, and draws of models.
fn rated_by(dataset: &DatasetConfig) -> Vec<String> {
    let people = dataset.labels.iter().map(|labels| labels.name.clone());
    people.chain(dataset.judges.iter().map(|judge| judge.name.clone())).collect()
}

pub(super) fn arm_of<'t>(trial: &SelectedTrial<'t>, side: Side) -> &'t ArmConfig {
    match side {
        Side::Control => &trial.prompt_set.control,
        Side::Treatment => &trial.prompt_set.treatment,
    }
}

fn words(value: &crate::digest::Value) -> String {
    use crate::digest::Value;
    match value {
        Value::Decimal(d) => d.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Text(t) => t.clone(),
        Value::List(items) => items.iter().map(words).collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::part_name;

    #[test]
    fn parts_are_named_as_the_steps_name_them() {
        for part in [0, 7, 42, 99_999, 100_000, 1_234_567] {
            assert_eq!(part_name(&["parsed", "control", "d"], part), format!("parsed/control/d/{part:05}"));
        }
    }
}
