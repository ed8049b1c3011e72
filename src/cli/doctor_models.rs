use std::collections::BTreeMap;

use super::asked_part::asked_parts;
use super::doctor_check::Check;
use super::environment::Variables;
use super::failure::Failure;
use super::finish::thousands;
use super::online::{Outside, base_url, has_batches, key_of, online};
use super::output::Output;
use super::prices::old_prices;
use super::project::Project;
use super::stated::{Stated, UNPINNED};
use super::who;
use crate::config::{Config, FLOATING_AS_OF, ModelConfig, ProviderConfig, ProviderKind, ProviderMode, floating_name};
use crate::flow::Clock;
use crate::plan::{AskedModel, SelectedTrial, Selection, select};
use crate::provider::{Line, Proxies, Reached};
use crate::run::Catalog;
use crate::step::RequestsReader;
use crate::store::{Access, Store};

/// Is how many bytes of requests are read to find the longest prompt.
const READ_AT_MOST: u64 = 256 << 20;

/// Checks the providers and models of the config: key, server, names, context, prices, and what is known of retention.
pub fn checks(
    project: &Project,
    variables: &Variables,
    proxies: &Proxies,
    offline: bool,
    clock: &Clock,
    out: &Output,
) -> Vec<Check> {
    let config = &project.config;
    let mut checks = Vec::new();
    let prompts = longest_prompts(project, out).unwrap_or_default();
    for provider in config.providers.values() {
        let subject = format!("provider {}", provider.name);
        if provider.kind.is_embedded() {
            checks.push(Check::ok(subject, format!("`{}` is part of this program", provider.kind.as_str())));
            continue;
        }
        let address = base_url(provider);
        if provider.mode == ProviderMode::Batch && !has_batches(provider.kind) {
            let remedy = "write `mode: online` on the provider: its requests are sent one by one";
            let why = format!("it is to be asked in batches, which `{}` does not have here", provider.kind.as_str());
            checks.push(Check::fail(&subject, why, remedy));
        }
        if let Some(proxy) = proxies.shown(&address) {
            checks.push(Check::ok(&subject, format!("asked through the proxy {proxy}")));
        }
        let key = of_key(project, provider, variables);
        let is_ready = key.as_ref().is_none_or(|check| check.remedy.is_none());
        checks.extend(key);
        checks.extend(retention(provider).map(|words| Check::ok(&subject, words)));
        let models: Vec<&ModelConfig> = config.models.values().filter(|m| m.provider == provider.name).collect();
        let outside = Outside { variables, proxies, clock };
        let asked = if offline {
            checks.push(Check::ok(&subject, format!("{address} was not called (--offline)")));
            None
        } else if is_ready {
            Some(online(config, provider, &outside))
        } else {
            None
        };
        let mut line = Line::default();
        let mut is_told = false;
        for model in models {
            let reached = match &asked {
                None => None,
                Some(Err(failure)) => {
                    checks.push(super::doctor::of_failure(&subject, failure));
                    None
                }
                Some(Ok(online)) => match online.reach(&mut line, &model.model) {
                    Ok(reached) => {
                        if !is_told {
                            is_told = true;
                            checks.push(Check::ok(&subject, format!("{address} answers")));
                        }
                        Some(reached)
                    }
                    Err(why) => {
                        let remedy = "see that the address and the key are right, and that the server is up; `--offline` skips this";
                        checks.push(Check::fail(&subject, why, remedy));
                        None
                    }
                },
            };
            checks.extend(of_model(provider, model, reached.as_ref()));
            checks.extend(of_context(provider, model, reached.as_ref(), &prompts));
        }
    }
    checks.extend(of_prices(config, &clock.now()));
    checks
}

/// Says whether the key is set and where; nothing of the key itself.
fn of_key(project: &Project, provider: &ProviderConfig, variables: &Variables) -> Option<Check> {
    let name = provider.api_key_env.as_ref()?;
    let subject = format!("provider {}", provider.name);
    Some(match key_of(&project.config_label, provider, variables) {
        Ok(_) => {
            let is_own = std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
            let place = if is_own { "the environment" } else { "`.env` beside the config" };
            Check::ok(subject, format!("{name} is set, in {place}"))
        }
        Err(failure) => super::doctor::of_failure(&subject, &failure),
    })
}

/// Says what is known of what a provider keeps, as of [`FLOATING_AS_OF`]; its terms and your contract say more.
fn retention(provider: &ProviderConfig) -> Option<String> {
    let words = match provider.kind {
        ProviderKind::OpenAi if provider.base_url.is_none() => {
            "`store: false` is sent with every request; what is kept to detect abuse is for your contract to say"
        }
        ProviderKind::Anthropic if provider.base_url.is_none() => {
            "single requests can be under a contract of zero retention; batches never are"
        }
        ProviderKind::Ollama | ProviderKind::LlamaCpp => "what is asked stays with this server",
        _ => return None,
    };
    Some(format!("retention ({FLOATING_AS_OF}): {words}"))
}

fn of_model(provider: &ProviderConfig, model: &ModelConfig, reached: Option<&Reached>) -> Vec<Check> {
    let subject = format!("model {}", model.name);
    let mut checks = Vec::new();
    let id = &model.model;
    if let Some(models) = reached.and_then(|reached| reached.models.as_ref()) {
        let latest = format!("{id}:latest");
        if models.iter().any(|known| known == id || *known == latest) {
            checks.push(Check::ok(&subject, format!("`{id}` is served")));
        } else if models.is_empty() || provider.kind == ProviderKind::LlamaCpp {
            // Its server has one model and takes any name for it.
            checks.push(Check::ok(
                &subject,
                format!("the server does not list `{id}`, and may take the name all the same"),
            ));
        } else {
            let some: Vec<&str> = models.iter().take(5).map(String::as_str).collect();
            let found = format!("`{id}` is not among the {} models that the server lists", models.len());
            let remedy = format!(
                "correct `model:`; it lists `{}`{}",
                some.join("`, `"),
                if models.len() > 5 { " …" } else { "" }
            );
            checks.push(Check::warn(&subject, found, remedy));
        }
    }
    let is_unpinned = Stated::of_config(provider, model) == Some(Stated::Nothing);
    let served = reached.and_then(|reached| reached.served.as_ref());
    if let Some(revision) = served.and_then(|served| served.revision.as_ref()) {
        match &model.revision {
            Some(stated) if stated == revision => {
                checks.push(Check::ok(&subject, format!("its revision is the one that the config states: {revision}")));
            }
            Some(stated) => checks.push(Check::fail(
                &subject,
                format!("its revision is `{revision}`, and the config states `{stated}`"),
                format!("write `revision: \"{revision}\"` on the model: its answers are then kept apart from the earlier ones"),
            )),
            None => checks.push(Check::warn(
                &subject,
                format!("{}its revision is `{revision}`, and the config states none", unpinned(is_unpinned)),
                format!("write `revision: \"{revision}\"` on the model, so that another one is never taken for it"),
            )),
        }
    } else if model.revision.is_none()
        && let Some(why) = floating_name(provider.kind, id, provider.base_url.is_some())
    {
        let remedy = format!("name a dated snapshot, and look for drift with `exp drift` (rules of {FLOATING_AS_OF})");
        let remedy = if provider.kind == ProviderKind::Ollama { PIN.to_owned() } else { remedy };
        checks.push(Check::warn(&subject, format!("{}{why}", unpinned(is_unpinned)), remedy));
    } else if is_unpinned {
        let found = format!("{}neither the config nor the server states a revision of `{id}`", unpinned(true));
        checks.push(Check::warn(&subject, found, PIN));
    }
    checks
}

/// Says how to pin a model of which its server says nothing.
const PIN: &str =
    "write `revision:` on the model, or `identity:` on its provider: a name for what is served, to be changed with it";

fn unpinned(is_unpinned: bool) -> String {
    if is_unpinned { format!("{UNPINNED}: ") } else { String::new() }
}

/// Is the longest prompt asked of a model, in bytes, by provider identity and model id.
type Prompts = BTreeMap<(String, String), u64>;

/// Compares the longest prompt of the newest run with the longest context, where both are known.
fn of_context(
    provider: &ProviderConfig,
    model: &ModelConfig,
    reached: Option<&Reached>,
    prompts: &Prompts,
) -> Option<Check> {
    let served = reached.and_then(|reached| reached.served.as_ref()?.context_length);
    let known = [model.num_ctx.map(u64::from), model.max_context.map(u64::from), served];
    let context = known.into_iter().flatten().min()?;
    let subject = format!("model {}", model.name);
    let Some(bytes) = prompts.get(&(who::identity(provider, None).0, model.model.clone())) else {
        return Some(Check::ok(subject, format!("its context has {} tokens", thousands(context))));
    };
    // Four bytes a token is usual for English; other languages and code have more tokens.
    let tokens = bytes.div_ceil(4);
    let found = format!(
        "its context has {} tokens, and the longest prompt of the newest run about {}",
        thousands(context),
        thousands(tokens)
    );
    Some(if tokens > context {
        Check::fail(subject, found, "shorten the prompt, or give the model a longer context (`num_ctx` for Ollama)")
    } else if tokens.saturating_mul(2) > context {
        Check::warn(subject, found, "the estimate may be too low by half: see that no answer is cut (`length`)")
    } else {
        Check::ok(subject, found)
    })
}

fn longest_prompts(project: &Project, out: &Output) -> Result<Prompts, Failure> {
    let store: Store = project.home.open_store(Access::ReadOnly, out)?;
    let catalog = Catalog::read(&store)?;
    let mut longest = Prompts::new();
    let Some(entry) = catalog.made_here().rev().find(|entry| entry.record.manifest.is_some()) else {
        return Ok(longest);
    };
    let manifest = Catalog::manifest(&store, &entry.record)?;
    let mut left = READ_AT_MOST;
    for part in asked_parts(&store, &manifest)? {
        for line in RequestsReader::new(store.open_blob(&part.requests)?)? {
            let request = line?.request;
            let bytes: u64 = request.messages.iter().map(|message| message.content.len() as u64).sum();
            let known = longest.entry((request.provider.0, request.model)).or_default();
            *known = bytes.max(*known);
            left = left.saturating_sub(bytes);
        }
        if left == 0 {
            break;
        }
    }
    Ok(longest)
}

fn of_prices(config: &Config, now: &str) -> Vec<Check> {
    let trials: Vec<SelectedTrial<'_>> = select(config, &Selection::default()).unwrap_or_default();
    let mut checks = Vec::new();
    for model in config.models.values() {
        let kind = config.providers.get(&model.provider).map(|provider| provider.kind);
        let is_billed = kind
            .is_some_and(|kind| !kind.is_embedded() && !matches!(kind, ProviderKind::Ollama | ProviderKind::LlamaCpp));
        if !is_billed {
            continue;
        }
        let subject = format!("model {}", model.name);
        match (&model.price, &model.price_as_of) {
            (None, _) => checks.push(Check::warn(
                subject,
                "it has no price: what a build costs is not known, and `--yes` or `budget.unknown_price` has to allow it",
                "write `price: {input: …, output: …, as_of: …}`, in US dollars for a million tokens",
            )),
            (Some(_), None) => {
                checks.push(Check::warn(subject, "its price has no date", "write `as_of:` beside it"));
            }
            (Some(_), Some(as_of)) => checks.push(Check::ok(subject, format!("its price is of {as_of}"))),
        }
    }
    for told in old_prices(&AskedModel::all(config, &trials), now) {
        let found = told.strip_prefix("warning: ").unwrap_or(&told);
        checks.push(Check::warn("prices", found, "look it up, and write its new date"));
    }
    checks
}
