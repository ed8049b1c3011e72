use super::args::Global;
use super::failure::{Exit, Failure};
use super::gc_args::PinArgs;
use super::output::Output;
use super::project::Home;
use crate::run::Catalog;
use crate::store::Access;

/// Pins a run, so that neither `gc` nor `clean` lets it go; or takes its pin away.
pub fn pin(global: &Global, args: &PinArgs, pinned: bool, out: &Output) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    let store = home.open_store(Access::ReadOnly, out)?;
    let catalog = Catalog::read(&store)?;
    let id = catalog.find(&args.run)?.record.run_id.clone();
    drop(store);
    let store = home.open_store(Access::ReadWrite, out)?;
    let changed = if pinned { store.pin_run(&id)? } else { store.unpin_run(&id)? };
    let words = match (pinned, changed) {
        (true, true) => "pinned",
        (true, false) => "is pinned already",
        (false, true) => "unpinned",
        (false, false) => "is not pinned",
    };
    out.line(&format!("run {id} {words}"));
    out.document(&serde_json::json!({"run_id": id, "pinned": pinned, "changed": changed}));
    Ok(Exit::Done)
}
