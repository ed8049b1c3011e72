use std::time::Duration;

use super::args::{Global, JobsAction, JobsArgs};
use super::environment::{self, Variables};
use super::failure::{Exit, Failure};
use super::finish::{duration_text, thousands};
use super::online::{Outside, batches, has_batches, key_of};
use super::output::Output;
use super::project::{Home, Project};
use super::signals::stop_flag;
use super::threads::pool;
use super::who;
use crate::ask::{AskError, Asker, Batching, Expected, Policies, Providers, Tariffs, Tending};
use crate::engine::NodeFailure;
use crate::flow::{Budget, Clock, Event};
use crate::store::{Access, BatchState, BatchStep, Store, StoredBatch};

/// Is how long before results are gone people are warned.
const SOON: Duration = Duration::from_hours(7 * 24);

/// Lists batches; watches, takes up or cancels them.
pub fn jobs(global: &Global, args: &JobsArgs, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    if let Some(JobsAction::Cancel { id }) = &args.action {
        return cancel(global, id, out, clock);
    }
    if args.watch || args.adopt {
        let exit = tend(global, Tending { adopts: args.adopt, waits: args.watch }, out, clock)?;
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    let home = Home::find(global)?;
    let store = home.open_store(Access::ReadOnly, out)?;
    list(&store, args.all, out, clock)?;
    Ok(Exit::Done)
}

fn list(store: &Store, all: bool, out: &Output, clock: &Clock) -> Result<(), Failure> {
    let batches = store.batches()?;
    // What is somebody else's is noted so that it is not looked at again, and is no batch of ours.
    let shown: Vec<&StoredBatch> = batches
        .iter()
        .filter(|batch| batch.state() != BatchState::Foreign && (all || !batch.state().is_terminal()))
        .collect();
    let now = clock.now();
    if shown.is_empty() {
        out.line(if all { "no batches" } else { "no batches under way; `exp jobs --all` lists those that are over" });
    } else {
        out.line(&format!(
            "{:<19}{:<34}{:>9}  {:<12}{:>9}  {:>11}  {}",
            "BATCH", "AT THE PROVIDER", "REQUESTS", "STATE", "AGE", "AT MOST", "UNTIL"
        ));
    }
    for batch in &shown {
        let age = span(&batch.head.created_at, &now).map_or_else(|| "–".to_owned(), duration_text);
        let price = batch.head.ceiling_usd.as_ref().map_or_else(|| "unknown".to_owned(), |usd| format!("${usd}"));
        let until = expires(batch).unwrap_or("–");
        out.line(
            format!(
                "{:<19}{:<34}{:>9}  {:<12}{age:>9}  {price:>11}  {until}",
                batch.head.name,
                batch.remote().unwrap_or("–"),
                thousands(batch.head.requests),
                batch.state().as_str(),
            )
            .trim_end(),
        );
        let note = batch.steps.last().and_then(|step| step.note.as_ref());
        if let Some(note) = note {
            out.line(&format!("    {note}"));
        }
        if let Some(warning) = warning(batch, &now) {
            out.note(&warning);
        }
    }
    out.document(&serde_json::json!({
        "batches": shown.iter().map(|batch| serde_json::json!({
            "batch": batch.head.name, "remote": batch.remote(), "provider": batch.head.provider,
            "service": batch.head.service, "models": batch.head.models, "requests": batch.head.requests,
            "state": batch.state(), "status": batch.steps.iter().rev().find_map(|step| step.status.clone()),
            "created_at": batch.head.created_at, "at_most_usd": batch.head.ceiling_usd, "expires": expires(batch),
            "brought": batch.steps.iter().rev().find_map(|step| step.brought),
            "note": batch.steps.last().and_then(|step| step.note.clone()),
        })).collect::<Vec<_>>(),
    }));
    Ok(())
}

/// Warns of results that the provider may remove before they are taken in.
fn warning(batch: &StoredBatch, now: &str) -> Option<String> {
    let until = expires(batch)?;
    let left = span(now, until);
    let what = match batch.state() {
        BatchState::Ended if left.is_none_or(|left| left < SOON) => {
            format!("the results of {} are kept until {until}", batch.head.name)
        }
        // The provider has ended it by now, whatever came of it, and keeps results for some weeks only.
        BatchState::Submitted | BatchState::Cancelling if left.is_none() => {
            format!("{} has ended by {until}, and its results are not kept for ever", batch.head.name)
        }
        _ => return None,
    };
    Some(format!("warning: {what}: `exp build` or `exp jobs --watch` takes them in"))
}

/// Returns until when the provider works on a batch or keeps its results, as it last said.
fn expires(batch: &StoredBatch) -> Option<&str> {
    batch.steps.iter().rev().find_map(|step| step.expires.as_deref())
}

/// Returns the time from one moment to a later one.
fn span(from: &str, to: &str) -> Option<Duration> {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    Duration::try_from(time(to)?.duration_since(time(from)?)).ok()
}

/// Makes who takes the batches of the config's providers: those whose key is here.
fn services(project: &Project, variables: &Variables, clock: &Clock) -> Result<(Providers, Batching), Failure> {
    let proxies = environment::proxies();
    let outside = Outside { variables, proxies: &proxies, clock };
    let (mut providers, mut batching) = (Providers::default(), Batching::default());
    for provider in project.config.providers.values().filter(|provider| has_batches(provider.kind)) {
        key_of(&project.config_label, provider, variables)?;
        if let Some(service) = batches(&project.config, provider, &outside)? {
            providers.add_batches(service);
            batching.add(who::identity(provider, None), who::batch_policy(provider));
        }
    }
    Ok((providers, batching))
}

fn tend(global: &Global, how: Tending, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    let project = Project::load(global, out)?;
    let variables = Variables::read(&project.config_path())?;
    let (providers, batching) = services(&project, &variables, clock)?;
    let store = project.home.open_store(Access::ReadWrite, out)?;
    let session = store.session()?;
    let stop = stop_flag()?;
    let pool = pool(1)?;
    let events = |event: Event| match event {
        Event::Batch { provider, text } => out.note(&format!("{provider}: {text}")),
        Event::ProviderStopped { provider, why } => out.note(&format!("nothing is asked of {provider}: {why}")),
        _ => {}
    };
    let (policies, expected, tariffs) = (Policies::default(), Expected::default(), Tariffs::default());
    let asker = Asker {
        session: &session,
        providers: &providers,
        policies: &policies,
        batching: &batching,
        expected: &expected,
        tariffs: &tariffs,
        budget: &Budget::new(None),
        pool: &pool,
        clock,
        stop: &stop,
        events: &events,
    };
    asker.tend(how).map_err(|error| match error {
        AskError::Store(error) => Failure::from(&NodeFailure::Store(error)),
        error => Failure::new(Exit::Failed, error.to_string()),
    })?;
    Ok(if stop.is_raised() { Exit::Stopped } else { Exit::Done })
}

fn cancel(global: &Global, id: &str, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    let project = Project::load(global, out)?;
    let store = project.home.open_store(Access::ReadWrite, out)?;
    let open = store.open_batches()?;
    let found = open.iter().find(|batch| batch.head.name == id || batch.remote() == Some(id));
    let Some(batch) = found else {
        return Err(Failure::usage(format!("no batch `{id}` is under way")).hint("`exp jobs` lists those that are"));
    };
    let name = &batch.head.name;
    let session = store.session()?;
    let Some(remote) = batch.remote() else {
        return Err(Failure::usage(format!(
            "batch {name} has no id at the provider yet: it is {}",
            batch.state().as_str()
        ))
        .hint("`exp build` finds out whether it is there"));
    };
    let variables = Variables::read(&project.config_path())?;
    let (providers, _) = services(&project, &variables, clock)?;
    let service = providers.batch_services().find(|service| service.identity().0 == batch.head.provider);
    let Some(service) = service else {
        return Err(Failure::usage(format!("no provider of {} is `{}`", project.config_label, batch.head.provider)));
    };
    let mut line = service.open();
    service.cancel(&mut line, remote).map_err(|trouble| {
        Failure::new(Exit::Failed, format!("batch {name} ({remote}) was not cancelled: {}", trouble.why))
    })?;
    // A build that works on it sees what became of it; nobody but that build may write its log.
    if let Some(mut held) = session.hold_batch(name)?
        && held.stored().state() == BatchState::Submitted
    {
        held.step(BatchStep::new(BatchState::Cancelling, clock.now()))?;
    }
    out.line(&format!(
        "batch {name} ({remote}) is being cancelled; `exp build` or `exp jobs --watch` takes in what it has answered"
    ));
    out.document(&serde_json::json!({"batch": name, "remote": remote, "cancelling": true}));
    Ok(Exit::Done)
}
