use std::collections::BTreeMap;
use std::sync::Arc;

use super::expansion::{Expansion, find};
use super::graph::{From, Node, NodeIndex};
use super::plan::Plan;
use super::spec::{Name, ParamsDoc};
use super::{Outcomes, PlanError, StepKind};
use crate::config::{DatasetConfig, ExternalConfig};

/// Says how an executable scores. Inputs `items`, `gold`, `parsed`, `program/PATH` (the executable) and `file/PATH` for each file that
/// it reads, by the path under which it finds it; output `scores`, with the one metric `name`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalParams {
    /// The name of the metric.
    pub name: String,
    /// The arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// What the executable calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The variables that it sees.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// How statuses score: what is wrong or missing by its status is not shown to it.
    pub outcomes: Outcomes,
}

/// Is a scorer by process, at work on one arm of a dataset.
pub(super) struct External {
    name: String,
    params: Arc<ParamsDoc>,
    files: Vec<(Name, From)>,
    scope: Arc<str>,
}

impl Expansion<'_, '_> {
    /// Describes the scorers by process of a dataset under an arm.
    pub(super) fn externals(&mut self, dataset: &DatasetConfig, scope: &str) -> Result<Vec<External>, PlanError> {
        let mut externals = Vec::with_capacity(dataset.externals.len());
        for of in &dataset.externals {
            let params = ExternalParams {
                name: of.name.clone(),
                arguments: of.arguments.clone(),
                version: of.version.clone(),
                environment: of.environment.clone(),
                outcomes: self.config.outcomes,
            };
            let mut files: Vec<(Name, From)> = Vec::with_capacity(of.inputs.len() + 1);
            let all = std::iter::once(("program", &of.program)).chain(of.inputs.iter().map(|file| ("file", file)));
            for (kind, file) in all {
                let from = self.plan.graph.source(find(self.sources, file)?);
                files.push((format!("{kind}/{}", ExternalConfig::place(file)).into(), from));
            }
            externals.push(External {
                name: of.name.clone(),
                params: Arc::new(ParamsDoc::new(&params)?),
                files,
                scope: Arc::from(format!("{scope}/{}", of.name).as_str()),
            });
        }
        Ok(externals)
    }
}

impl External {
    /// Adds the action of one part, and what `score` reads of it.
    pub(super) fn add(
        &self,
        plan: &mut Plan,
        (items, gold, parsed): (From, From, NodeIndex),
        part: u32,
        scoring: &mut Vec<(Name, From)>,
    ) {
        let mut inputs = self.files.clone();
        let parsed = From::Output(parsed, "parsed".into());
        inputs.extend([("items".into(), items), ("gold".into(), gold), ("parsed".into(), parsed)]);
        let (params, scope) = (self.params.clone(), self.scope.clone());
        let node = plan.graph.add(Node { step: StepKind::External, params, inputs, scope, part: Some(part) });
        scoring.push((format!("labels/{}", self.name).into(), From::Output(node, "scores".into())));
    }
}
