use std::sync::Arc;

use super::expansion::{Expansion, find};
use super::graph::{From, Node, NodeIndex};
use super::plan::Plan;
use super::spec::{Name, ParamsDoc};
use super::{LabelsParams, PlanError, StepKind};
use crate::config::DatasetConfig;

/// Is a scorer by people, at work on one arm of a dataset.
pub(super) struct People {
    name: String,
    params: Arc<ParamsDoc>,
    file: From,
    scope: Arc<str>,
}

impl Expansion<'_, '_> {
    /// Describes the scorers by people of a dataset under an arm.
    pub(super) fn labels(
        &mut self,
        dataset: &DatasetConfig,
        model: &str,
        arm: &str,
        scope: &str,
    ) -> Result<Vec<People>, PlanError> {
        let mut people = Vec::with_capacity(dataset.labels.len());
        for of in &dataset.labels {
            let (name, reading) = (of.name.clone(), of.reading.clone());
            let params = LabelsParams { name, reading, model: model.to_owned(), arm: arm.to_owned() };
            people.push(People {
                name: of.name.clone(),
                params: Arc::new(ParamsDoc::new(&params)?),
                file: self.plan.graph.source(find(self.sources, &of.source)?),
                scope: Arc::from(format!("{scope}/{}", of.name).as_str()),
            });
        }
        Ok(people)
    }
}

impl People {
    /// Adds the action of one part, and what `score` reads of it.
    pub(super) fn add(
        &self,
        plan: &mut Plan,
        parsed: NodeIndex,
        part: u32,
        scoring: &mut Vec<(Name, From)>,
    ) -> NodeIndex {
        let inputs =
            vec![("parsed".into(), From::Output(parsed, "parsed".into())), ("labels".into(), self.file.clone())];
        let (params, scope) = (self.params.clone(), self.scope.clone());
        let node = plan.graph.add(Node { step: StepKind::Labels, params, inputs, scope, part: Some(part) });
        scoring.push((format!("labels/{}", self.name).into(), From::Output(node, "scores".into())));
        node
    }
}
