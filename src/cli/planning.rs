use std::collections::{BTreeMap, HashMap};

use super::args::{ConditionArg, SelectArgs};
use super::failure::{Exit, Failure};
use super::project::Project;
use super::who::FACTS;
use crate::config::Parts;
use crate::digest::Decimal;
use crate::engine::{Resolution, StepLimits, Verdict, output_of, resolve};
use crate::plan::{
    NodeIndex, Plan, SelectedTrial, Selection, Side, SourceBlob, Sources, StepKind, needed_files, select,
};
use crate::store::{ActionRow, ActionTable, Store};

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
    /// Which steps may run.
    pub limits: StepLimits,
    /// Whether free steps run again although they are done.
    pub force: bool,
}

/// Reads the flags that say which part of the experiment is meant.
pub fn selection(args: &SelectArgs) -> Result<Selection, Failure> {
    let names = |list: &[String]| -> Vec<String> {
        list.iter().flat_map(|text| text.split([',', ' '])).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let temperatures = names(&args.temps)
        .iter()
        .map(|text| text.parse::<Decimal>().map_err(|error| Failure::usage(format!("--temps: {error}"))))
        .collect::<Result<Vec<_>, _>>()?;
    if args.parts_per_dataset == Some(0) || args.lines_per_part == Some(0) {
        return Err(Failure::usage("a dataset has at least one part of at least one item"));
    }
    let parts = args.lines_per_part.map(Parts::Lines).or(args.parts_per_dataset.map(Parts::Count));
    Ok(Selection {
        trials: args.trials.clone(),
        models: names(&args.models),
        prompt_sets: names(&args.prompt_sets),
        temperatures,
        side: match args.condition {
            ConditionArg::Both => None,
            ConditionArg::Control => Some(Side::Control),
            ConditionArg::Treatment => Some(Side::Treatment),
        },
        no_sweep: args.no_sweep,
        limit_items: args.limit_items,
        parts,
    })
}

impl<'p> Planning<'p> {
    /// Checks that the flags name something, before anything is opened or made.
    pub fn check(project: &Project, args: &SelectArgs) -> Result<(), Failure> {
        select(&project.config, &selection(args)?)?;
        Ok(())
    }

    /// Selects trials, hashes the inputs, plans how datasets are read, and looks up what is done of that.
    pub fn start(
        project: &'p Project,
        store: &Store,
        args: &SelectArgs,
        limits: StepLimits,
        force: bool,
    ) -> Result<Self, Failure> {
        let selection = selection(args)?;
        let trials = select(&project.config, &selection)?;
        let mut sources: Sources = HashMap::new();
        for file in needed_files(&project.config, &trials) {
            let (blob, size) = store.hash_file(&file.path, !args.no_stat_cache).map_err(|error| {
                Failure::from(error)
                    .hint(format!("{}:{}:{} names this file", project.config_label, file.at.line, file.at.column))
            })?;
            let (label, path) = (file.written.clone(), file.path.clone());
            sources.insert(file.path.clone(), SourceBlob { blob, size, label, path });
        }
        let plan = Plan::datasets(&project.config, &selection, &sources)?;
        let table = store.actions(plan.first_stage)?;
        let mut planning =
            Self { project, selection, trials, sources, plan, resolution: Resolution::default(), table, limits, force };
        planning.resolve(store, 0);
        Ok(planning)
    }

    /// Looks up the nodes from `start` on.
    pub fn resolve(&mut self, store: &Store, start: usize) {
        let (limits, force) = (&self.limits, self.force);
        let wanted = |kind: StepKind| limits.is_wanted(kind);
        let forced = |kind: StepKind| force && kind != StepKind::Infer && kind != StepKind::Fetch;
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
        Ok(())
    }

    /// Says whether there is nothing to do.
    pub fn is_done(&self) -> bool {
        self.resolution.verdicts.iter().all(|verdict| matches!(verdict, Verdict::Hit(_) | Verdict::LeftOut))
    }

    /// Says what would complete this build, where it is asked for less than the whole experiment.
    pub fn narrowed(&self) -> Option<String> {
        let narrowed = self.selection.is_narrowed() || self.limits.is_narrowed();
        narrowed.then(|| "`exp build` without the flags that narrow it builds the whole experiment".to_owned())
    }

    /// Returns the output of a node that is a hit.
    pub fn hit_output(&self, node: NodeIndex, name: &str) -> Option<(crate::digest::BlobId, u64)> {
        match self.resolution.verdicts.get(node.get())? {
            Verdict::Hit(row) => output_of(row, name),
            _ => None,
        }
    }
}
