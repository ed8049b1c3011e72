use std::collections::BTreeMap;

use super::failure::{Exit, Failure};
use super::plan_inputs::PlanInputs;
use super::project::Project;
use super::who::FACTS;
use crate::engine::{Resolution, StepLimits, Verdict, output_of, resolve};
use crate::plan::{AskedModel, NodeIndex, Plan, SelectedTrial, Selection, Sources, StepKind};
use crate::store::{ActionRow, ActionTable, Generation, Store};

/// Is a build's plan, as far as it is known: the selected trials, the inputs' hashes, the graph, and what is done of it.
pub struct Planning<'p> {
    /// The project.
    pub project: &'p Project,
    /// Which part of it is meant.
    pub selection: Selection,
    /// The trials.
    pub trials: Vec<SelectedTrial<'p>>,
    /// The inputs, hashed.
    pub sources: Sources,
    /// The plan: its first stage, until [`Planning::expand`].
    pub plan: Plan,
    /// What is done of it.
    pub resolution: Resolution,
    /// The actions that were recorded when it was made.
    pub table: ActionTable,
    /// What the index was when all was looked up there and nowhere else; `None` where a record had to be asked, or where it
    /// changed meanwhile.
    pub basis: Option<Generation>,
    /// Which steps may run.
    pub limits: StepLimits,
    /// Whether free steps run again although they are done.
    pub force: bool,
}

impl<'p> Planning<'p> {
    /// Plans how datasets are read, and looks up what is done of that.
    pub fn start(inputs: PlanInputs<'p>, store: &Store, limits: StepLimits, force: bool) -> Result<Self, Failure> {
        let PlanInputs { project, selection, trials, sources } = inputs;
        let plan = Plan::datasets(&project.config, &selection, &sources)?;
        let table = store.actions(plan.first_stage)?;
        let resolution = Resolution::default();
        let mut planning =
            Self { project, selection, trials, sources, plan, resolution, table, basis: None, limits, force };
        planning.resolve(store, 0);
        planning.basis = planning.table.basis().cloned();
        Ok(planning)
    }

    /// Lists the models that may be asked: those of its trials, and those that judge.
    pub fn asked(&self) -> Vec<AskedModel<'p>> {
        AskedModel::all(&self.project.config, &self.trials)
    }

    /// Looks up the nodes from `start` on.
    pub fn resolve(&mut self, store: &Store, start: usize) {
        let (limits, force) = (&self.limits, self.force);
        let wanted = |kind: StepKind| limits.is_wanted(kind);
        let forced = |kind: StepKind| force && !kind.asks() && kind != StepKind::Fetch;
        let end = self.plan.graph.nodes().len();
        let resolution = &mut self.resolution;
        resolve(store, &self.table, &self.plan.graph, start..end, &wanted, &forced, resolution);
    }

    /// Says whether every dataset is prepared, so that the plan can grow.
    pub fn is_prepared(&self) -> bool {
        // Once it has grown, what is not done of the rest must not make it grow again.
        self.resolution.verdicts.iter().take(self.plan.first_stage).all(|verdict| matches!(verdict, Verdict::Hit(_)))
    }

    /// Grows the plan, given what the `prepare` actions made.
    pub fn expand(&mut self, prepared: &dyn Fn(NodeIndex) -> Option<std::sync::Arc<ActionRow>>) -> Result<(), Failure> {
        let mut parts: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (name, node) in &self.plan.prepare {
            let row = prepared(*node)
                .ok_or_else(|| Failure::new(Exit::Failed, format!("dataset `{name}` was not prepared")))?;
            let numbers = row
                .outputs
                .iter()
                .filter_map(|output| output.name.strip_prefix("items/"))
                .filter_map(|number| number.parse().ok())
                .collect();
            parts.insert(name.clone(), numbers);
        }
        self.plan.expand(&self.project.config, &self.selection, &self.trials, &self.sources, &parts, &FACTS)?;
        Ok(())
    }

    /// Grows the plan from hits alone and looks up the rest.
    pub fn expand_from_hits(&mut self, store: &Store) -> Result<(), Failure> {
        let rows: Vec<Option<std::sync::Arc<ActionRow>>> = self
            .resolution
            .verdicts
            .iter()
            .map(|verdict| match verdict {
                Verdict::Hit(row) => Some(row.clone()),
                _ => None,
            })
            .collect();
        // The store chooses between one scan of its index and single look-ups by the size of the graph, which can be told
        // before the graph has grown; so both go on at once.
        let parts: usize = rows.iter().flatten().map(|row| row.outputs.len() / 2).sum();
        let expected = self.trials.len() * (8 * parts + 8);
        let (expanded, table) = std::thread::scope(|scope| {
            let reading = scope.spawn(|| store.actions(expected));
            let expanded = self.expand(&|node| rows.get(node.get()).cloned().flatten());
            (expanded, reading.join())
        });
        expanded?;
        self.table = table.map_err(|_| Failure::new(Exit::Environment, "reading the store's index failed"))??;
        let start = self.plan.first_stage;
        self.resolve(store, start);
        self.basis = self.basis.take().filter(|basis| self.table.basis() == Some(basis));
        Ok(())
    }

    /// Says whether there is nothing to do.
    pub fn is_done(&self) -> bool {
        self.resolution.verdicts.iter().all(|verdict| matches!(verdict, Verdict::Hit(_) | Verdict::LeftOut))
    }

    /// Says what would complete this build, where it is asked for less than the whole experiment.
    pub fn narrowed(&self) -> Option<String> {
        narrowed(&self.selection, &self.limits)
    }

    /// Returns the output of a node that is a hit.
    pub fn hit_output(&self, node: NodeIndex, name: &str) -> Option<(crate::digest::BlobId, u64)> {
        match self.resolution.verdicts.get(node.get())? {
            Verdict::Hit(row) => output_of(row, name),
            _ => None,
        }
    }
}

/// Says what would complete a build of this, where it is less than the whole experiment.
pub fn narrowed(selection: &Selection, limits: &StepLimits) -> Option<String> {
    let narrowed = selection.is_narrowed() || limits.is_narrowed();
    narrowed.then(|| "`exp build` without the flags that narrow it builds the whole experiment".to_owned())
}
