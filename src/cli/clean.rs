use std::io::{BufRead as _, IsTerminal as _};

use super::args::Global;
use super::failure::{Exit, Failure};
use super::gc_args::CleanArgs;
use super::output::Output;
use super::project::Home;
use crate::run::{CleanOptions, apply_clean, plan_clean};
use crate::store::Access;

/// Removes what unfinished runs left behind; finished runs, archives and answers stay.
pub fn clean(global: &Global, args: &CleanArgs, out: &Output) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    let store = home.open_store(Access::ReadOnly, out)?;
    let plan = plan_clean(&store, &home.experiments, CleanOptions { prepared: args.clean_prepared })?;
    let verb = if args.dry_run { "would remove" } else { "removes" };
    for run in &plan.runs {
        let dir = run.dir.as_deref().unwrap_or("no directory");
        out.line(&format!("{verb} run {} ({}): {dir}, {} files", run.run_id, run.state, run.files.len()));
    }
    for leftover in &plan.leftovers {
        out.line(&format!("{verb} {}", home.shown(&leftover.path)));
    }
    if !plan.prepared.is_empty() {
        out.line(&format!("{verb} the records of {} prepare and build actions", plan.prepared.len()));
    }
    for (path, why) in &plan.left_alone {
        out.line(&format!("left alone: {path}: {why}"));
    }
    if plan.is_empty() {
        out.line("nothing to clean: finished runs, archives and answers are kept");
    }
    let document = |cleaned: bool| {
        out.document(&serde_json::json!({"plan": serde_json::to_value(&plan).unwrap_or_default(), "cleaned": cleaned}));
    };
    if args.dry_run || plan.is_empty() {
        document(false);
        return Ok(Exit::Done);
    }
    if !args.yes && std::io::stdin().is_terminal() {
        out.note("remove these? [y/N]");
        let mut answer = String::new();
        drop(std::io::stdin().lock().read_line(&mut answer));
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            out.line("nothing was removed");
            document(false);
            return Ok(Exit::Done);
        }
    }
    drop(store);
    let store = home.open_store(Access::ReadWrite, out)?;
    let session = store.session()?;
    let cleaned = apply_clean(&session, &home.experiments, &plan)?;
    out.line(&format!("removed {} runs and {} files", cleaned.runs, cleaned.files));
    if cleaned.skipped > 0 {
        out.line(&format!("{} changed meanwhile and were left alone", cleaned.skipped));
    }
    document(true);
    Ok(Exit::Done)
}
