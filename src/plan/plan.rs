use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::expansion::{Expansion, find, metrics_by_hand};
use super::graph::{From, Graph, Node, NodeIndex, SourceBlob};
use super::selection::{SelectedTrial, Selection, Side};
use super::spec::ParamsDoc;
use super::{FetchParams, PlanError, PrepareParams, StepKind, TrialLabel};
use crate::config::{ArmConfig, Config, DatasetConfig, ProviderConfig, ScorerConfig, Source, SourceFile};
use crate::digest::BlobId;
use crate::request::{Decoding, ProviderIdentity};

/// Answers what the plan has to know of layers that it may not see.
pub struct Facts<'a> {
    /// Names who answers, given the provider and its corpus.
    pub identity: &'a dyn Fn(&ProviderConfig, Option<&BlobId>) -> ProviderIdentity,
    /// Says what a reader has to know of a provider (a baseline, a recording).
    pub note: &'a dyn Fn(&ProviderConfig) -> Option<String>,
    /// Names a scorer's metrics on an open-book or closed-book dataset.
    pub metrics: &'a dyn Fn(&ScorerConfig, bool) -> Vec<String>,
    /// Returns the revision of a scorer's code.
    pub scorer_revision: &'a dyn Fn(&ScorerConfig) -> u32,
}

impl Facts<'_> {
    /// Lists the metrics of a dataset, in the order of columns: those of its scorers by rule, then those of people, then those
    /// of models and of processes.
    pub fn metrics_of(&self, dataset: &DatasetConfig) -> Vec<String> {
        let open = is_open(dataset);
        let by_rule = dataset.scorers.iter().flat_map(|scorer| (self.metrics)(scorer, open));
        by_rule.chain(metrics_by_hand(dataset)).collect()
    }
}

/// Is one file that the run shows: where, and which output of which action it is.
#[derive(Clone, Debug)]
pub struct View {
    /// The trial's slug; empty for a view of the whole run.
    pub slug: String,
    /// The path below the trial's (or the run's) directory.
    pub name: &'static str,
    /// The action.
    pub node: NodeIndex,
    /// Its output.
    pub output: &'static str,
}

/// Is one trial of the plan.
#[derive(Clone, Debug)]
pub struct TrialPlan {
    /// The words that describe it.
    pub label: TrialLabel,
    /// The decoding, overrides applied.
    pub decoding: Decoding,
    /// The largest number of output tokens, closed-book and open-book.
    pub max_tokens: (Option<u32>, Option<u32>),
    /// The model's id.
    pub model_id: String,
    /// The system prompt files: control, treatment.
    pub prompts: [Option<SourceBlob>; 2],
    /// The `infer` actions of each side.
    pub infer: BTreeMap<&'static str, Vec<NodeIndex>>,
    /// The `judge_infer` actions about its answers, by the name of the model that judges.
    pub judged: BTreeMap<String, Vec<NodeIndex>>,
}

/// Is what a build would do.
///
/// It grows in two stages: [`Plan::datasets`] knows how datasets are read; [`Plan::expand`], once it is known which
/// parts they have, all the rest. It holds parts, never requests.
#[derive(Debug, Default)]
pub struct Plan {
    /// The actions.
    pub graph: Graph,
    /// The trials, sorted by slug; filled by the second stage.
    pub trials: Vec<TrialPlan>,
    /// What the run shows; filled by the second stage.
    pub views: Vec<View>,
    /// The `prepare` action of each dataset.
    pub prepare: BTreeMap<String, NodeIndex>,
    /// How many nodes belong to the first stage.
    pub first_stage: usize,
}

/// Holds the files that a plan reads, by path.
pub type Sources = HashMap<camino::Utf8PathBuf, SourceBlob>;

/// Lists the files that the selected trials read.
pub fn needed_files<'a>(config: &'a Config, trials: &[SelectedTrial<'a>]) -> Vec<&'a SourceFile> {
    let mut files: Vec<&SourceFile> = Vec::new();
    for dataset in config.datasets.values() {
        if let Source::File(file) = &dataset.source {
            files.push(file);
        }
        files.extend(dataset.user.iter());
        files.extend(dataset.labels.iter().map(|labels| &labels.source));
        files.extend(
            dataset.externals.iter().flat_map(|external| std::iter::once(&external.program).chain(&external.inputs)),
        );
        files.extend(dataset.judges.iter().flat_map(|judge| [Some(&judge.user), judge.system.as_ref()]).flatten());
        files.extend(dataset.pairwise.iter().flat_map(|judge| [Some(&judge.user), judge.system.as_ref()]).flatten());
        files.extend(instructions(dataset));
    }
    files.extend(config.plan_lock.iter());
    for trial in trials {
        if let Some(Source::File(file)) = &trial.provider.corpus {
            files.push(file);
        }
        for arm in [&trial.prompt_set.control, &trial.prompt_set.treatment] {
            files.extend(arm_files(arm).into_iter().filter_map(|(_, file)| file.as_ref()));
        }
        for recordings in trial.model.recordings.values().flat_map(BTreeMap::values) {
            files.push(&recordings.source);
        }
    }
    files.extend(&config.redraws);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    files
}

pub(super) fn arm_files(arm: &ArmConfig) -> [(&'static str, &Option<SourceFile>); 5] {
    [
        ("system", &arm.system),
        ("user", &arm.user),
        ("examples", &arm.examples),
        ("messages", &arm.messages),
        ("prefill", &arm.prefill),
    ]
}

pub(super) fn instructions(dataset: &DatasetConfig) -> Option<&SourceFile> {
    if is_open(dataset) { dataset.instructions_open.as_ref() } else { dataset.instructions_closed.as_ref() }
}

/// Says whether a dataset is open-book: as the config says, else whether its items bring a passage.
pub fn is_open(dataset: &DatasetConfig) -> bool {
    dataset
        .open
        .unwrap_or_else(|| dataset.format == crate::config::DatasetFormat::Squad || dataset.fields.context.is_some())
}

impl Plan {
    /// Plans how the datasets are read.
    pub fn datasets(config: &Config, selection: &Selection, sources: &Sources) -> Result<Self, PlanError> {
        let mut plan = Self::default();
        for (name, dataset) in &config.datasets {
            let from = match &dataset.source {
                Source::File(file) => plan.graph.source(find(sources, file)?),
                Source::Url { sha256, .. } => {
                    let node = Node {
                        step: StepKind::Fetch,
                        params: Arc::new(ParamsDoc::new(&FetchParams { sha256: sha256.clone() })?),
                        inputs: Vec::new(),
                        scope: Arc::from(name.as_str()),
                        part: None,
                    };
                    From::Output(plan.graph.add(node), "source".into())
                }
            };
            let max_items = match (dataset.max_items, selection.limit_items) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            let params = PrepareParams {
                format: dataset.format,
                fields: dataset.fields.clone(),
                conditions: dataset.conditions.clone(),
                split: dataset.split.clone(),
                duplicate_ids: dataset.duplicate_ids,
                max_items,
                max_items_by_label: dataset.max_items_by_label.clone(),
                parts: selection.parts.unwrap_or(config.parts),
            };
            let node = Node {
                step: StepKind::Prepare,
                params: Arc::new(ParamsDoc::new(&params)?),
                inputs: vec![("source".into(), from)],
                scope: Arc::from(name.as_str()),
                part: None,
            };
            let index = plan.graph.add(node);
            plan.prepare.insert(name.clone(), index);
        }
        plan.first_stage = plan.graph.nodes().len();
        Ok(plan)
    }

    /// Plans all the rest. `parts` lists each dataset's non-empty parts, in ascending order.
    pub fn expand(
        &mut self,
        config: &Config,
        selection: &Selection,
        trials: &[SelectedTrial<'_>],
        sources: &Sources,
        parts: &BTreeMap<String, Vec<u32>>,
        facts: &Facts<'_>,
    ) -> Result<(), PlanError> {
        let mut expansion = Expansion::new(self, config, sources, parts, facts);
        let sides: &[Side] = match selection.side {
            None => &[Side::Control, Side::Treatment],
            Some(Side::Control) => &[Side::Control],
            Some(Side::Treatment) => &[Side::Treatment],
        };
        let mut reported = Vec::new();
        for trial in trials {
            reported.push(expansion.trial(trial, sides)?);
        }
        expansion.aggregate(&reported)
    }
}
