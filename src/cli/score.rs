use super::args::{BuildArgs, Global, ScoreArgs};
use super::build::{Mode, build};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::project::Project;
use crate::flow::Clock;
use crate::run::Catalog;
use crate::store::Access;

/// Scores again everything that was answered, as a new run that names its parent; nothing is asked.
pub fn score(global: &Global, args: &ScoreArgs, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    let project = Project::load(global, out)?;
    let parent = {
        let store = project.home.open_store(Access::ReadOnly, out)?;
        let catalog = Catalog::read(&store)?;
        let name = args.run.as_deref().unwrap_or("latest");
        catalog.find(name)?.record.run_id.clone()
    };
    let mode = Mode { parent: Some(parent), ask_nothing: true, budget: None };
    build(&project, &BuildArgs { offline: true, ..BuildArgs::default() }, &mode, out, clock)
}
