use super::args::Global;
use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::gc_args::ForgetArgs;
use super::output::Output;
use super::project::Home;
use crate::run::{ForgetPlan, forget as erase, plan_forget};
use crate::store::Access;

/// Shows what holds an item, or erases it.
pub fn forget(global: &Global, args: &ForgetArgs, out: &Output) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    let looking = home.open_store(Access::ReadOnly, out)?;
    let plan = plan_forget(&looking, &home.experiments, &args.dataset, &args.item)?;
    show(&plan, out);
    let forgotten = if args.yes && !plan.is_empty() {
        drop(looking);
        let store = home.open_store(Access::ReadWrite, out)?;
        Some(erase(&store, &home.experiments, &plan)?)
    } else {
        None
    };
    match &forgotten {
        Some(done) => out.line(&format!(
            "erased: {} blobs, {} answers and attempts, {} bytes",
            thousands(done.blobs),
            thousands(done.draws),
            thousands(done.bytes)
        )),
        None if plan.is_empty() => {
            out.line(&format!("nothing of item `{}` of dataset `{}` is in the store", plan.item, plan.dataset));
        }
        None => out.line("nothing was changed; `--yes` erases it, for good"),
    }
    out.document(&serde_json::json!({"plan": plan, "forgotten": forgotten}));
    Ok(Exit::Done)
}

fn show(plan: &ForgetPlan, out: &Output) {
    if !plan.is_empty() {
        out.line(&format!(
            "item `{}` of dataset `{}`: {} requests, {} answers and attempts, {} blobs that hold its text or that of its part ({} bytes)",
            plan.item,
            plan.dataset,
            thousands(plan.requests),
            thousands(plan.draws),
            thousands(plan.blobs),
            thousands(plan.bytes)
        ));
        out.line("what these blobs hold of other items is made again by a build, without asking");
    }
    if !plan.runs.is_empty() {
        out.line(&format!("runs that lose views or what they were made of: {}", plan.runs.join(", ")));
    }
    for archive in &plan.archives {
        out.line(&format!("not touched: archive {archive}"));
    }
    for source in &plan.sources {
        out.line(&format!(
            "not touched: {source}, from which it was read: a build asks about it again while it is there"
        ));
    }
    if plan.unnamed > 0 {
        out.line(&format!(
            "{} results that no run names hold an item of this id: `exp gc --unreferenced --grace 0 --paid --yes` removes them, and answers that no run uses",
            thousands(plan.unnamed)
        ));
    }
}
