use std::io::IsTerminal as _;

use super::build::{Mode, build};
use super::build_args::BuildArgs;
use super::consent::{Consent, consent, is_yes};
use super::estimate::Estimate;
use super::failure::{Exit, Failure};
use super::output::Output;
use super::plan_inputs::PlanInputs;
use super::planning::Planning;
use super::preview::preview;
use super::project::Project;
use crate::engine::StepLimits;
use crate::flow::{Budget, Clock, Money};
use crate::store::Access;

/// Builds the first items of each dataset, prices the rest by their answers, and goes on where that is agreed to. The
/// answers count: the whole build asks the same requests, and finds them.
pub fn pilot(
    project: &Project,
    args: &BuildArgs,
    items: u64,
    budget: &Budget,
    out: &Output,
    clock: &Clock,
) -> Result<Exit, Failure> {
    let mut first = args.clone();
    first.select.limit_items = Some(args.select.limit_items.map_or(items, |limit| limit.min(items)));
    first.run_id = None;
    first.archive = false;
    (first.gate, first.junit) = (Vec::new(), None);
    let mode = Mode { budget: Some(budget.clone()), ..Mode::default() };
    let exit = build(project, &first, &mode, &out.aside(), clock)?;
    if exit != Exit::Done {
        return Ok(exit);
    }
    let estimate = price(project, args, out)?;
    out.note(&format!("pilot of {items} items a dataset done; the rest:"));
    for line in estimate.lines() {
        out.note(&line);
    }
    if let Err(why) = agreed(&estimate, project, args, budget) {
        out.line(&format!("pilot: {} more · {} spent so far · {why}", estimate.words(), budget.spending().spent));
        out.document(&serde_json::json!({
            "state": "pilot", "items": items, "went_on": false, "price": estimate.document(),
            "spent": budget.spending().spent.to_f64(),
        }));
        return Ok(Exit::Done);
    }
    let whole = BuildArgs { yes: true, ..args.clone() };
    build(project, &whole, &mode, out, clock)
}

/// Prices what a build would send.
fn price(project: &Project, args: &BuildArgs, out: &Output) -> Result<Estimate, Failure> {
    let store = project.home.open_store(Access::ReadOnly, out)?;
    let mut planning =
        Planning::start(PlanInputs::read(project, &store, &args.select)?, &store, StepLimits::default(), args.force)?;
    Ok(preview(&mut planning, &store)?.estimate)
}

/// Says whether the rest may be bought; `Err` says why not, in words.
fn agreed(estimate: &Estimate, project: &Project, args: &BuildArgs, budget: &Budget) -> Result<(), String> {
    if estimate.draws == 0 && !estimate.has_unpriced() {
        return Ok(());
    }
    let can_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let left = budget.limit().map(|limit| limit.minus(budget.spending().at_most()));
    let fits = left.is_none_or(|left| estimate.upper().is_some_and(|upper| upper <= left));
    match consent(estimate, &project.config, args, can_ask) {
        Consent::Given if fits => Ok(()),
        Consent::Given => Err(format!(
            "more than the {} that are left: `exp build` with a larger `--max-cost` goes on",
            left.unwrap_or(Money::ZERO)
        )),
        Consent::Ask if is_yes(&format!("go on ({})? [y/N]", estimate.words())) => Ok(()),
        Consent::Ask => Err("not agreed to: `exp build` goes on".to_owned()),
        Consent::Missing => Err("`exp build --max-cost` or `--yes` goes on".to_owned()),
        Consent::Unbounded(why) => Err(format!("{why}, so that the limit could not be kept")),
    }
}
