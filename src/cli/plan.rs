use std::collections::{BTreeMap, BTreeSet};

use super::args::Global;
use super::build_args::{BuildArgs, SelectArgs};
use super::environment;
use super::failure::{Exit, Failure};
use super::finish::thousands;
use super::heartbeat::with_heartbeat;
use super::limits::step_limits;
use super::online::route;
use super::output::Output;
use super::plan_inputs::PlanInputs;
use super::planning::Planning;
use super::preview::{Fate, Preview, preview};
use super::prices;
use super::project::Project;
use super::stated::{Stated, UNPINNED};
use crate::engine::StepLimits;
use crate::flow::Clock;
use crate::plan::{NodeIndex, StepKind};
use crate::store::Access;

/// Shows what would run and why, and which requests would be sent; writes nothing.
pub fn plan(global: &Global, args: &SelectArgs, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    let project = Project::load(global, out)?;
    with_heartbeat(out, || show(&project, args, StepLimits::default(), false, out, clock))
}

/// Shows what a build with these flags would do; writes nothing.
pub fn plan_build(project: &Project, args: &BuildArgs, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    let limits = step_limits(args)?;
    with_heartbeat(out, || show(project, &args.select, limits, args.force, out, clock))
}

fn show(
    project: &Project,
    args: &SelectArgs,
    limits: StepLimits,
    force: bool,
    out: &Output,
    clock: &Clock,
) -> Result<Exit, Failure> {
    out.doing("reading the inputs");
    let store = project.home.open_store(Access::ReadOnly, out)?;
    let mut planning = Planning::start(PlanInputs::read(project, &store, args)?, &store, limits, force)?;
    out.doing("working out what would be done");
    let seen = preview(&mut planning, &store)?;
    out.doing("");
    if seen.estimate.draws > 0 {
        for warning in prices::old_prices(&planning.asked(), &clock.now()) {
            out.note(&warning);
        }
    }
    print(&planning, &seen, out);
    Ok(Exit::Done)
}

/// Says where each provider of the plan is asked.
fn routes(planning: &Planning<'_>) -> Vec<String> {
    let proxies = environment::proxies();
    let routes: BTreeSet<String> =
        planning.asked().iter().filter_map(|asked| route(asked.provider, &proxies)).collect();
    routes.into_iter().collect()
}

/// Lists the models of which nothing states a revision.
fn unpinned(planning: &Planning<'_>) -> Vec<String> {
    let trials = planning.trials.iter();
    let names = trials.filter(|trial| Stated::of_config(trial.provider, trial.model) == Some(Stated::Nothing));
    names.map(|trial| trial.model.name.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

#[derive(Default, Clone, Copy)]
struct Tally {
    hit: usize,
    run: usize,
    waits: usize,
}

fn print(planning: &Planning<'_>, seen: &Preview, out: &Output) {
    let mut steps: BTreeMap<StepKind, Tally> = BTreeMap::new();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, fate) in seen.fates.iter().enumerate() {
        let tally = steps.entry(planning.plan.graph.node(NodeIndex(at as u32)).step).or_default();
        match fate {
            Fate::Hit => tally.hit += 1,
            Fate::Run(reason) => {
                tally.run += 1;
                *reasons.entry(reason.as_str()).or_default() += 1;
            }
            Fate::Waits => tally.waits += 1,
            Fate::LeftOut => {}
        }
    }
    let sum = steps.values().fold(Tally::default(), |sum, tally| Tally {
        hit: sum.hit + tally.hit,
        run: sum.run + tally.run,
        waits: sum.waits + tally.waits,
    });
    out.line(&format!("{:<11}{:>9}{:>9}{:>9}", "step", "reused", "to run", "waits"));
    for (step, tally) in &steps {
        out.line(&format!("{:<11}{:>9}{:>9}{:>9}", step.as_str(), tally.hit, tally.run, tally.waits));
    }
    for (reason, count) in &reasons {
        out.line(&format!("{count} to run: {reason}"));
    }
    if sum.waits > 0 {
        out.line(&format!("{} wait for what runs before them", sum.waits));
    }
    if !seen.complete {
        out.line("a dataset is not fetched yet: the rest of the plan is known after that");
    }
    for (name, count) in seen.sends.iter().filter(|(_, count)| **count > 0) {
        out.line(&format!("  {name}: {} requests to send", thousands(*count)));
    }
    for (why, count) in &seen.unfit {
        out.line(&format!(
            "  {} requests cannot be sent in batches, {why}: `exp build` refuses them",
            thousands(*count)
        ));
    }
    let routes = routes(planning);
    for route in &routes {
        out.line(&format!("  {route}"));
    }
    let offline = planning.asked().iter().all(|asked| asked.provider.kind.is_embedded());
    let price = if offline { "$0.00: nothing here is asked over a network".to_owned() } else { seen.estimate.words() };
    let unpinned = unpinned(planning);
    for model in &unpinned {
        out.line(&format!(
            "  {model} is {UNPINNED}: the config states no `revision` of it and no `identity` of its provider, so that another one \
             served under its name would be taken for it"
        ));
    }
    for line in seen.estimate.lines() {
        out.line(&line);
    }
    let reused = seen.wanted - seen.to_send - seen.in_batches;
    let in_batches = match seen.in_batches {
        0 => String::new(),
        count => format!("{} in batches under way, ", thousands(count)),
    };
    out.line(&format!(
        "{} of {} actions reused · {} requests: {} reused, {in_batches}{} to send · {price}",
        sum.hit,
        sum.hit + sum.run + sum.waits,
        thousands(seen.wanted),
        thousands(reused),
        thousands(seen.to_send),
    ));
    let actions: Vec<serde_json::Value> = seen
        .fates
        .iter()
        .enumerate()
        .filter(|(_, fate)| !matches!(fate, Fate::LeftOut))
        .map(|(at, fate)| {
            let (verdict, reason) = match fate {
                Fate::Run(reason) => ("run", Some(reason.as_str())),
                Fate::Waits => ("waits", None),
                Fate::Hit | Fate::LeftOut => ("hit", None),
            };
            let label = planning.plan.graph.node(NodeIndex(at as u32)).label();
            serde_json::json!({"label": label, "verdict": verdict, "reason": reason, "key": seen.keys[at]})
        })
        .collect();
    out.document(&serde_json::json!({
        "trials": planning.trials.iter().map(|trial| &trial.slug).collect::<Vec<_>>(),
        "complete": seen.complete,
        "actions": {"total": sum.hit + sum.run + sum.waits, "hit": sum.hit, "run": sum.run, "waits": sum.waits},
        "requests": {"total": seen.wanted, "reused": reused, "in_batches": seen.in_batches, "to_send": seen.to_send},
        "sends": seen.sends,
        "unfit_for_batches": seen.unfit,
        "price": seen.estimate.document(),
        "routes": routes,
        "unpinned": unpinned,
        "nodes": actions,
    }));
}
