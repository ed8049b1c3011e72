use std::collections::HashMap;

use super::build_args::{ConditionArg, SelectArgs};
use super::failure::Failure;
use super::project::Project;
use crate::config::Parts;
use crate::digest::Decimal;
use crate::plan::{SelectedTrial, Selection, Side, SourceBlob, Sources, needed_files, select};
use crate::request::Redraws;
use crate::store::Store;

/// Is all that a plan is made from: the project's config, which part of it is meant, and the content of its files.
pub struct PlanInputs<'p> {
    /// The project.
    pub project: &'p Project,
    /// Which part of it is meant.
    pub selection: Selection,
    /// The trials.
    pub trials: Vec<SelectedTrial<'p>>,
    /// The files, hashed.
    pub sources: Sources,
}

impl<'p> PlanInputs<'p> {
    /// Checks that the flags name something, before anything is opened or made.
    pub fn check(project: &Project, args: &SelectArgs) -> Result<(), Failure> {
        select(&project.config, &selection(args)?)?;
        Ok(())
    }

    /// Selects trials and hashes the files that they need.
    pub fn read(project: &'p Project, store: &Store, args: &SelectArgs) -> Result<Self, Failure> {
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
        check_redraws(project)?;
        Ok(Self { project, selection, trials, sources })
    }
}

/// Refuses a file of redraws that cannot be read, before anything is made of it.
fn check_redraws(project: &Project) -> Result<(), Failure> {
    let Some(file) = &project.config.redraws else { return Ok(()) };
    let bytes = std::fs::read(&file.path)
        .map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", file.written)))?;
    Redraws::parse(&bytes).map(drop).map_err(|error| {
        Failure::usage(format!("`{}`, {error}", file.written))
            .hint("mend the line as `exp build --redraw-status` wrote it, or take it out")
    })
}

/// Reads the flags that say which part of the experiment is meant.
fn selection(args: &SelectArgs) -> Result<Selection, Failure> {
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
