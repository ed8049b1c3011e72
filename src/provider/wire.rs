use std::collections::BTreeMap;

use serde_json::Value;

use super::body::Body;
use super::{anthropic, ollama, openai, responses};
use crate::request::{Decoding, DrawAddress, Request, SeedPolicy};

/// Says which protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OpenAI's chat completions, which most servers speak.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Ollama's own chat.
    Ollama,
}

impl Protocol {
    /// Returns the path of the call, as lines of a batch name it.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
            Self::Ollama => "/api/chat",
        }
    }
}

/// Says how long a provider is asked to keep the system prompt for the next request (Anthropic). It does not decide an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptCaching {
    /// It is not asked.
    #[default]
    Off,
    /// For five minutes.
    FiveMinutes,
    /// For an hour.
    OneHour,
}

/// Says how the requests of one model are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelWire {
    /// The path in the body of each decoding field (`options.num_predict`); without one, a field has its own name.
    pub names: BTreeMap<String, String>,
    /// Further fields of the body that are not in the identity of requests.
    pub extra: BTreeMap<String, Value>,
    /// The context length that requests state (Ollama).
    pub num_ctx: Option<u64>,
}

/// Says how requests are written: all that decides the bytes of a body beside the request itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireSettings {
    /// The protocol.
    pub protocol: Protocol,
    /// Whether the provider is told to keep no answers (`store: false`), as OpenAI itself is.
    pub says_store: bool,
    /// Whether the system prompt is to be kept.
    pub prompt_caching: PromptCaching,
    /// What is the models' own, by id.
    pub models: BTreeMap<String, ModelWire>,
}

/// Names the parts of [`Request::extra`] that are no fields of the body.
const NOT_IN_BODY: [&str; 2] = ["headers", "query"];

/// Writes the body of a request: the exact bytes that are sent.
///
/// The order is: model, messages, decoding in the order of [`Decoding::FIELDS`], what the protocol adds, further fields by
/// name. Numbers of the decoding are the config's digits.
pub fn wire_body(settings: &WireSettings, request: &Request, draw: &DrawAddress) -> String {
    let mut body = Body::default();
    body.set_text("model", &request.model);
    match settings.protocol {
        Protocol::Chat => openai::messages(&mut body, request),
        Protocol::Responses => responses::messages(&mut body, request),
        Protocol::Messages => anthropic::messages(&mut body, request, settings.prompt_caching),
        Protocol::Ollama => ollama::messages(&mut body, request),
    }
    let model = settings.models.get(&request.model);
    for (field, json) in decoding(&request.decoding, draw) {
        let path = model.and_then(|model| model.names.get(field)).map_or(field, String::as_str);
        body.set(path, json);
    }
    if settings.says_store {
        body.set("store", "false");
    }
    let unkeyed = model.map(|model| &model.extra).into_iter().flatten();
    for (name, value) in request.extra.iter().filter(|(name, _)| !NOT_IN_BODY.contains(&name.as_str())).chain(unkeyed) {
        body.join(name, value);
    }
    body.text()
}

/// Returns a part of [`Request::extra`] that is a table of texts: `headers` or `query`.
pub(super) fn texts_of(request: &Request, part: &str) -> BTreeMap<String, String> {
    let table = request.extra.get(part).and_then(Value::as_object).into_iter().flatten();
    table.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// Returns the seed of a draw: the first 31 bits of the digest of its address, so that every API's integers hold it.
pub fn seed_of(draw: &DrawAddress) -> u32 {
    let id = draw.id();
    let [a, b, c, d, ..] = *id.digest().as_bytes();
    u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff
}

/// Writes the decoding fields that are present, as JSON, in the order of the struct.
fn decoding(decoding: &Decoding, draw: &DrawAddress) -> Vec<(&'static str, String)> {
    let Decoding { temperature, top_p, top_k, min_p, max_output_tokens, .. } = decoding;
    let Decoding { frequency_penalty, presence_penalty, effort, stop, seed, .. } = decoding;
    let values = [
        temperature.map(|d| d.to_string()),
        top_p.map(|d| d.to_string()),
        top_k.map(|n| n.to_string()),
        min_p.map(|d| d.to_string()),
        max_output_tokens.map(|n| n.to_string()),
        frequency_penalty.map(|d| d.to_string()),
        presence_penalty.map(|d| d.to_string()),
        effort.as_deref().map(super::body::quoted),
        (!stop.is_empty()).then(|| Value::from(stop.clone()).to_string()),
        seed.map(|policy| match policy {
            SeedPolicy::PerDraw => seed_of(draw).to_string(),
            SeedPolicy::Fixed(seed) => seed.to_string(),
        }),
    ];
    Decoding::FIELDS.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?))).collect()
}
