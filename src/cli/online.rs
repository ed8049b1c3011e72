use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::environment::Variables;
use super::failure::Failure;
use super::who;
use crate::config::{self, Config, ModelConfig, ProviderApi, ProviderConfig, ProviderKind, ProviderMode, Served};
use crate::flow::Clock;
use crate::provider::{
    ACCOUNT_VARIABLE, AnthropicBatches, BatchService, ClientSettings, FireworksBatches, ModelWire, Online,
    OnlineSettings, OpenAiBatches, PromptCaching, Protocol, Proxies, Secret, Timeouts, Trusted, WireSettings,
    unfit_for_batch,
};
use crate::request::{Decoding, Request};

/// Is the version of Anthropic's protocol that this program was written for.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Is what asking takes from outside: variables, proxies, the clock.
pub struct Outside<'a> {
    /// The variables that keys are named by.
    pub variables: &'a Variables,
    /// The proxies of the environment.
    pub proxies: &'a Proxies,
    /// The clock.
    pub clock: &'a Clock,
}

/// Returns the address that a provider's paths are added to: its own, or that of the kind.
pub fn base_url(provider: &ProviderConfig) -> String {
    let own = provider.base_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
    match provider.kind {
        ProviderKind::Anthropic => own.unwrap_or_else(|| "https://api.anthropic.com".to_owned()),
        ProviderKind::Fireworks => own.unwrap_or_else(|| "https://api.fireworks.ai/inference/v1".to_owned()),
        ProviderKind::Ollama => own.unwrap_or_else(|| "http://127.0.0.1:11434".to_owned()),
        ProviderKind::LlamaCpp => {
            let own = own.unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
            // The predecessor's address of the engine has no path.
            let has_path = own.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
            if has_path { own } else { format!("{own}/v1") }
        }
        _ => own.unwrap_or_else(|| "https://api.openai.com/v1".to_owned()),
    }
}

/// Says in one line where a provider is asked, over which proxy, and whether others can read along; `None`: nowhere.
pub fn route(provider: &ProviderConfig, proxies: &Proxies) -> Option<String> {
    if provider.kind.is_embedded() {
        return None;
    }
    let address = base_url(provider);
    let proxy = proxies.shown(&address).map(|proxy| format!(", over the proxy {proxy}")).unwrap_or_default();
    let plain = if provider.allow_http && address.starts_with("http://") { ", in plain http" } else { "" };
    Some(format!("{} is asked at {address}{proxy}{plain}", provider.name))
}

/// Says whether an address is OpenAI's own, whoever wrote it.
fn is_openai(base_url: &str) -> bool {
    base_url.to_ascii_lowercase().starts_with("https://api.openai.com/")
}

fn protocol(kind: ProviderKind, api: ProviderApi) -> Protocol {
    match kind {
        ProviderKind::Anthropic => Protocol::Messages,
        ProviderKind::Ollama => Protocol::Ollama,
        _ if api == ProviderApi::Responses => Protocol::Responses,
        _ => Protocol::Chat,
    }
}

fn names(served: &Served<'_>) -> BTreeMap<String, String> {
    Decoding::FIELDS.iter().map(|field| ((*field).to_owned(), served.wire_name(field).to_owned())).collect()
}

/// Says how the requests of a provider's models are written.
fn wire_settings<'m>(provider: &ProviderConfig, models: impl Iterator<Item = &'m ModelConfig>) -> WireSettings {
    let model = |model: &ModelConfig| {
        let served = Served {
            kind: provider.kind,
            api: provider.api,
            model: &model.model,
            own_address: provider.base_url.is_some(),
        };
        let mut names = names(&served);
        names.extend(model.sends_as.clone());
        let fields = provider.body_fields(model).into_iter();
        let extra = fields.filter(|(_, (_, is_keyed))| !is_keyed).map(|(name, (value, _))| (name, value)).collect();
        (model.model.clone(), ModelWire { names, extra, num_ctx: model.num_ctx.map(u64::from) })
    };
    WireSettings {
        protocol: protocol(provider.kind, provider.api),
        says_store: provider.kind == ProviderKind::OpenAi && is_openai(&base_url(provider)),
        prompt_caching: match provider.prompt_caching {
            config::PromptCaching::Off => PromptCaching::Off,
            config::PromptCaching::FiveMinutes => PromptCaching::FiveMinutes,
            config::PromptCaching::OneHour => PromptCaching::OneHour,
        },
        models: models.map(model).collect(),
    }
}

/// Says how a request is written: by the provider of the config that has its identity, else as the identity alone tells.
///
/// `None`: nothing is sent for it, since who answers it is embedded here.
pub fn wire_of(config: Option<&Config>, request: &Request) -> Option<WireSettings> {
    let known = config.into_iter().flat_map(|config| {
        let providers = config.providers.values().filter(|provider| !provider.kind.is_embedded());
        providers.filter(|provider| who::identity(provider, None) == request.provider).map(move |provider| {
            let models = config.models.values().filter(|model| model.provider == provider.name);
            wire_settings(provider, models)
        })
    });
    let mut known: Vec<WireSettings> = known.collect();
    if let Some(at) = known.iter().position(|wire| wire.models.contains_key(&request.model)) {
        return Some(known.swap_remove(at));
    }
    let (kind, address) = who::kind_and_place(&request.provider)?;
    let api = if request.provider.0.ends_with(who::RESPONSES) { ProviderApi::Responses } else { ProviderApi::Chat };
    let served = Served { kind, api, model: &request.model, own_address: address.contains("://") };
    let model = ModelWire { names: names(&served), ..ModelWire::default() };
    Some(WireSettings {
        protocol: protocol(kind, api),
        says_store: kind == ProviderKind::OpenAi && (address == who::DEFAULT_ADDRESS || is_openai(address)),
        prompt_caching: PromptCaching::Off,
        models: [(request.model.clone(), model)].into(),
    })
}

/// Returns the key of a provider; `None` where it takes none.
///
/// Errors: the variable that names it is not set, or holds what can be no key. The value is never shown.
pub fn key_of(config_label: &str, provider: &ProviderConfig, variables: &Variables) -> Result<Option<Secret>, Failure> {
    let Some(name) = &provider.api_key_env else { return Ok(None) };
    let place = format!("{config_label}:{}:{}", provider.at.line, provider.at.column);
    let Some(value) = variables.get(name) else {
        let message = format!("provider `{}` needs a key, and {name} is not set", provider.name);
        let hint = format!("set {name} in the environment, or in `.env` beside the config; {place} is the provider");
        return Err(Failure::usage(message).hint(hint));
    };
    if let Some(secret) = Secret::new(&value) {
        return Ok(Some(secret));
    }
    let message = format!("{name} holds what cannot be a key: white space, or characters beyond ASCII");
    Err(Failure::usage(message).hint(format!("it is the key of provider `{}`, {place}", provider.name)))
}

/// Makes the provider that asks over a network. A key that is missing is missed when something has to be asked, not here.
pub fn online(config: &Config, provider: &ProviderConfig, outside: &Outside<'_>) -> Result<Arc<Online>, Failure> {
    asking(provider, settings(config, provider, outside)?, outside).map(Arc::new)
}

/// Is how long sending or fetching one file of a batch may take.
const FILE_TIME: Duration = Duration::from_hours(2);

/// Says whether batches of a kind can be sent; none but these has them.
pub fn has_batches(kind: ProviderKind) -> bool {
    matches!(kind, ProviderKind::OpenAi | ProviderKind::Anthropic | ProviderKind::Fireworks)
}

/// Says why a request to a provider whose requests go into batches cannot be in one; `None`: it can, or they do not.
pub fn unfit(provider: &ProviderConfig, request: &Request) -> Option<String> {
    let is_batched = provider.mode != ProviderMode::Online && has_batches(provider.kind);
    is_batched.then(|| unfit_for_batch(protocol(provider.kind, provider.api), request)).flatten()
}

/// Makes who takes batches for a provider; `None` where its kind has none.
pub fn batches(
    config: &Config,
    provider: &ProviderConfig,
    outside: &Outside<'_>,
) -> Result<Option<Arc<dyn BatchService>>, Failure> {
    if !has_batches(provider.kind) {
        return Ok(None);
    }
    let mut settings = settings(config, provider, outside)?;
    let timeouts = &mut settings.client.timeouts;
    (timeouts.send, timeouts.total) = (timeouts.send.max(FILE_TIME), timeouts.total.max(FILE_TIME));
    let online = asking(provider, settings, outside)?;
    Ok(Some(match provider.kind {
        ProviderKind::Anthropic => Arc::new(AnthropicBatches::new(online)),
        ProviderKind::Fireworks => Arc::new(FireworksBatches::new(online, fireworks_account(outside)?)),
        _ => Arc::new(OpenAiBatches::new(online)),
    }))
}

/// Returns the id of the account at Fireworks that the environment names, as an id or as a resource's name.
fn fireworks_account(outside: &Outside<'_>) -> Result<Option<String>, Failure> {
    let Some(value) = outside.variables.get(ACCOUNT_VARIABLE) else { return Ok(None) };
    let id = value.trim().trim_start_matches("accounts/").split('/').next().unwrap_or_default();
    let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if id.is_empty() || !id.chars().all(is_id) {
        return Err(Failure::usage(format!("{ACCOUNT_VARIABLE} holds what is no account's id: `{value}`")));
    }
    Ok(Some(id.to_owned()))
}

fn asking(provider: &ProviderConfig, settings: OnlineSettings, outside: &Outside<'_>) -> Result<Online, Failure> {
    let online = Online::new(settings, outside.clock.clone());
    online.map_err(|why| Failure::usage(format!("provider `{}`: {why}", provider.name)))
}

fn settings(config: &Config, provider: &ProviderConfig, outside: &Outside<'_>) -> Result<OnlineSettings, Failure> {
    let kind = provider.kind;
    let trusted = match &provider.ca_file {
        None => None,
        Some(file) => {
            let refused =
                |why: String| Failure::usage(format!("provider `{}`: `{}`: {why}", provider.name, file.written));
            let pem = std::fs::read(&file.path).map_err(|error| refused(error.to_string()))?;
            Some(Trusted::read(&pem).map_err(refused)?)
        }
    };
    let defaults = Timeouts::default();
    let asking = &provider.asking;
    let timeouts = Timeouts {
        connect: asking.connect_timeout.unwrap_or(defaults.connect),
        send: defaults.send,
        read: asking.read_timeout.unwrap_or(defaults.read),
        total: asking.total_timeout.unwrap_or(defaults.total),
    };
    let unkeyed = |table: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        let is_unkeyed = |name: &str| provider.not_identity.iter().any(|known| known.eq_ignore_ascii_case(name));
        table.iter().filter(|(name, _)| is_unkeyed(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let base_url = base_url(provider);
    let is_own_server = match kind {
        ProviderKind::Ollama | ProviderKind::LlamaCpp => true,
        ProviderKind::OpenAi => !is_openai(&base_url),
        _ => false,
    };
    let models = config.models.values().filter(|model| model.provider == provider.name);
    let key = provider.api_key_env.as_ref().and_then(|name| outside.variables.get(name));
    Ok(OnlineSettings {
        identity: who::identity(provider, None),
        name: provider.name.clone(),
        wire: wire_settings(provider, models),
        base_url,
        key: key.and_then(|key| Secret::new(&key)),
        key_env: provider.api_key_env.clone(),
        headers: unkeyed(&provider.headers),
        query: unkeyed(&provider.query),
        anthropic_version: provider.anthropic_version.clone().unwrap_or_else(|| ANTHROPIC_VERSION.to_owned()),
        is_own_server,
        is_llama_cpp: kind == ProviderKind::LlamaCpp,
        client: ClientSettings {
            trusted,
            allow_http: provider.allow_http,
            timeouts,
            proxies: outside.proxies.clone(),
            ..ClientSettings::default()
        },
    })
}
