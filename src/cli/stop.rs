use super::args::{Global, StopArgs};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::project::Home;
use crate::run::{Catalog, RunState, STOP_NAME, ViewDir};
use crate::store::Access;

/// Asks a run to stop: a file in its directory, which the build honours between actions.
pub fn stop(global: &Global, args: &StopArgs, out: &Output) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    let store = home.open_store(Access::ReadOnly, out)?;
    let catalog = Catalog::read(&store)?;
    let entry =
        match &args.run {
            Some(name) => catalog.find(name)?,
            None => catalog.entries().iter().rev().find(|entry| entry.alive).ok_or_else(|| {
                Failure::usage("no run is at work").hint("`exp list` shows the runs and their states")
            })?,
        };
    let id = &entry.record.run_id;
    if entry.record.state != RunState::Running || !entry.alive {
        return Err(Failure::usage(format!("run `{id}` is not at work: it is {}", entry.state_words())));
    }
    ViewDir::new(&home.experiments, id).write(STOP_NAME, "exp stop\n")?;
    out.line(&format!("run {id} will stop between actions; `exp build` goes on with it"));
    out.document(&serde_json::json!({"run_id": id, "stop_requested": true}));
    Ok(Exit::Done)
}
