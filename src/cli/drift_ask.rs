use std::collections::{BTreeSet, HashMap};
use std::io::IsTerminal as _;
use std::sync::Arc;

use super::args::DriftArgs;
use super::build_args::BuildArgs;
use super::consent::is_yes;
use super::drift_sample::{Sample, identity_of};
use super::environment::{self, Variables};
use super::failure::{Exit, Failure};
use super::online::{Outside, key_of};
use super::output::Output;
use super::plan_inputs::PlanInputs;
use super::signals::stop_flag;
use super::threads::{cores, pool};
use super::{prices, who};
use crate::ask::{AskError, Asker, Batching, Ceiling, Expected, Settlement, Tariffs, Ticket, Tickets, WantedDraw};
use crate::config::{Config, ProviderMode, Reaction};
use crate::digest::{Digest, RequestKey};
use crate::engine::NodeFailure;
use crate::flow::{Budget, Clock, Event, Money};
use crate::plan::AskedModel;
use crate::request::{DrawAddress, ProviderIdentity, Redraws};
use crate::store::{LoggedDraw, Store};

/// Is what asking again brought.
pub struct Redrawn {
    /// The new draws, by request.
    pub draws: HashMap<RequestKey, LoggedDraw>,
    /// How many requests failed.
    pub failed: usize,
    /// Why not all were asked, if so.
    pub end: Option<EarlyEnd>,
    /// What it cost, in US dollars, as far as prices are known.
    pub spent: f64,
}

/// Is why the asking ended before all was asked.
pub struct EarlyEnd(AskError);

impl EarlyEnd {
    /// Makes the failure of it, with its exit code.
    pub fn failure(&self) -> Failure {
        match &self.0 {
            AskError::Stopped => Failure::new(Exit::Stopped, "stopped on request: nothing is compared yet"),
            AskError::OverBudget => Failure::new(Exit::Budget, "the budget is reached: nothing is compared yet")
                .hint("a larger `--max-cost`, and the same command with `--generation` goes on"),
            error @ AskError::Parked { .. } => Failure::new(Exit::Pending, error.to_string()),
            error => Failure::from(&NodeFailure::Ask(error.clone())),
        }
    }
}

/// Asks for one new draw of each request of the sample, in the given generation, as a build would.
pub fn ask_again(
    inputs: &PlanInputs<'_>,
    store: &Store,
    sample: &Sample,
    (generation, redraws): (u32, &Redraws),
    args: &DriftArgs,
    out: &Output,
    clock: &Clock,
) -> Result<Redrawn, Failure> {
    let project = inputs.project;
    let config = &project.config;
    let variables = Variables::read(&project.config_path())?;
    check_providers(inputs, sample, &variables)?;
    let asked = AskedModel::of_trials(&inputs.trials);
    let tariffs = prices::tariffs(&asked, &inputs.sources);
    let limit = args.max_cost.or_else(|| Money::usd(config.max_usd?));
    agree(sample, &tariffs, config, limit, args)?;
    let proxies = environment::proxies();
    let outside = Outside { variables: &variables, proxies: &proxies, clock };
    let reader = store.clone();
    let read: who::ReadBlob = Arc::new(move |blob| reader.read(blob).map_err(|error| error.to_string()));
    let providers = who::providers(config, &asked, &inputs.sources, &read, Some(&outside))?;
    let policies = who::policies(config, &asked, &BuildArgs::default());
    let budget = Budget::new(limit);
    let stop = stop_flag()?;
    let pool = pool(cores())?;
    let events = |event: Event| match event {
        Event::Waiting { draws, session } => {
            out.note(&format!("waiting for {draws} answers that another build (session {session}) is asking for"));
        }
        Event::Looked { provider, model, revision: Some(revision), .. } => {
            out.note(&format!("{provider} serves `{model}` as revision {revision}"));
        }
        Event::ProviderStopped { provider, why } => {
            out.note(&format!("nothing more is sent to {provider}: {why}"));
        }
        _ => {}
    };
    out.doing("asking again");
    let session = store.session()?;
    // What is served now is what is to be found out: no revision is expected.
    let expected = Expected::default();
    let asker = Asker {
        session: &session,
        providers: &providers,
        policies: &policies,
        batching: &Batching::default(),
        expected: &expected,
        tariffs: &tariffs,
        budget: &budget,
        pool: &pool,
        clock,
        stop: &stop,
        events: &events,
    };
    let address = |key: RequestKey| redraws.address(key, generation, 0);
    let wanted: Vec<WantedDraw> = sample
        .chosen
        .iter()
        .map(|chosen| WantedDraw {
            request: chosen.request.clone(),
            address: address(chosen.key),
            turn: turn(&chosen.item),
            is_rejected: false,
        })
        .collect();
    let addresses: Vec<DrawAddress> = wanted.iter().map(|wanted| wanted.address).collect();
    let (tickets, inbox) = Tickets::open();
    tickets.send(Ticket::new(0, wanted, Arc::default()));
    drop(tickets);
    let mut settled: Option<Settlement> = None;
    asker.serve(inbox, &mut |settlement| settled = Some(settlement));
    let end = match settled.map(|settlement| settlement.draws) {
        Some(Err(error)) => Some(EarlyEnd(error)),
        Some(Ok(_)) => None,
        None => Some(EarlyEnd(AskError::Stopped)),
    };
    let found = store.draws(&addresses)?;
    let failed = found.iter().filter(|draw| draw.is_none()).count();
    let draws = sample.chosen.iter().zip(found).filter_map(|(chosen, draw)| Some((chosen.key, draw?))).collect();
    Ok(Redrawn { draws, failed, end, spent: budget.spending().spent.to_f64() })
}

/// Returns the place of an item in the order of asking: the same for all arms.
fn turn(item: &str) -> u64 {
    let digest = Digest::of(item.as_bytes());
    u64::from_le_bytes(std::array::from_fn(|at| digest.as_bytes()[at]))
}

/// Refuses what cannot be asked here: a key that is missing, a provider that is asked in batches.
fn check_providers(inputs: &PlanInputs<'_>, sample: &Sample, variables: &Variables) -> Result<(), Failure> {
    let asked: BTreeSet<&ProviderIdentity> = sample.chosen.iter().map(|chosen| &chosen.request.provider).collect();
    for trial in inputs.trials.iter().filter(|trial| !trial.provider.kind.is_embedded()) {
        if !asked.contains(&identity_of(trial.provider, inputs)) {
            continue;
        }
        if trial.provider.mode == ProviderMode::Batch {
            let name = &trial.provider.name;
            return Err(Failure::usage(format!(
                "`{name}` is asked in batches, and `exp drift` asks one request after the other"
            ))
            .hint("write `mode: online` on the provider, at the price of single requests, or `mode: auto`"));
        }
        key_of(&inputs.project.config_label, trial.provider, variables).map_err(|why| why.hint("nothing was sent"))?;
    }
    Ok(())
}

/// Refuses to spend what nobody agreed to; at a terminal it asks, as a build does.
fn agree(
    sample: &Sample,
    tariffs: &Tariffs,
    config: &Config,
    limit: Option<Money>,
    args: &DriftArgs,
) -> Result<(), Failure> {
    let mut most = Some(Money::ZERO);
    for chosen in &sample.chosen {
        most = match (most, tariffs.ceiling(&chosen.request)) {
            (Some(sum), Ceiling::Known(ceiling)) => Some(sum.plus(ceiling)),
            _ => None,
        };
    }
    let price = match most {
        Some(most) => format!("at most ${:.2}", most.to_f64()),
        None => "an amount that is not known: a price is missing, or nothing limits the length of answers".to_owned(),
    };
    let what = format!("to ask {} requests again costs {price}", sample.chosen.len());
    if limit.is_some() && most.is_none() {
        return Err(Failure::usage(format!("{what}: the limit could not be kept"))
            .hint("give each model a `price:` and `max_output_tokens`, or take the limit away and agree with `--yes`")
            .hint("nothing was sent"));
    }
    let threshold = config.budget.confirm_above_usd.and_then(Money::usd).unwrap_or(Money::ZERO);
    let is_little = match most {
        Some(most) => most <= threshold,
        None => config.budget.unknown_price != Reaction::Refuse,
    };
    if is_little || args.yes || limit.is_some() {
        return Ok(());
    }
    let can_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if can_ask && is_yes(&format!("{what}: go on? [y/N]")) {
        return Ok(());
    }
    Err(Failure::usage(what).hint("`--max-cost USD` limits it, `--yes` agrees to it; nothing was sent"))
}
