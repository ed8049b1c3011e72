use std::collections::BTreeMap;

use crate::digest::Decimal;

use super::{AskingLimits, BatchLimits, Location, RecordingsByArm, Source, SourceFile};

/// Says which protocol a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProviderKind {
    /// The embedded extractive reader: a baseline, not a language model.
    Lexical,
    /// Answers recorded elsewhere.
    Replay,
    /// OpenAI and everything compatible.
    OpenAi,
    /// Anthropic Messages.
    Anthropic,
    /// Ollama's own protocol.
    Ollama,
    /// Fireworks.
    Fireworks,
    /// llama.cpp's server.
    LlamaCpp,
}

impl ProviderKind {
    /// Returns the name in the config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lexical => "lexical",
            Self::Replay => "replay",
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Ollama => "ollama",
            Self::Fireworks => "fireworks",
            Self::LlamaCpp => "llama_cpp",
        }
    }

    /// Says whether asking needs no network.
    pub fn is_embedded(self) -> bool {
        matches!(self, Self::Lexical | Self::Replay)
    }
}

/// Says how requests are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderMode {
    /// One by one.
    #[default]
    Online,
    /// In batches.
    Batch,
    /// In batches where many are missing, one by one where few are.
    Auto,
}

/// Says which of OpenAI's protocols is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderApi {
    /// Chat completions.
    #[default]
    Chat,
    /// Responses.
    Responses,
}

/// Says how long Anthropic is asked to keep the system prompt for the next request.
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

/// Is who answers, as the config describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    /// The name in the config.
    pub name: String,
    /// The protocol.
    pub kind: ProviderKind,
    /// The address; absent: the kind's own.
    pub base_url: Option<String>,
    /// A stated identity, in place of kind and address.
    pub identity: Option<String>,
    /// The environment variable that holds the key; never the key.
    pub api_key_env: Option<String>,
    /// Which of OpenAI's protocols is spoken.
    pub api: ProviderApi,
    /// The version of the protocol that Anthropic is told; absent: the one this program was written for.
    pub anthropic_version: Option<String>,
    /// Whether the system prompt is kept at the provider. It does not decide an answer.
    pub prompt_caching: PromptCaching,
    /// How it may be asked.
    pub asking: AskingLimits,
    /// Further fields of the body.
    pub extra_body: BTreeMap<String, serde_json::Value>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// Further parameters of the address.
    pub query: BTreeMap<String, String>,
    /// Fields of `extra_body` and headers that do not decide the answer.
    pub not_identity: Vec<String>,
    /// `lexical`: the passages it retrieves from when a question brings none (JSONL with `text`, or plain text by paragraph).
    pub corpus: Option<Source>,
    /// `lexical`: the score below which it abstains when told that it may.
    pub threshold: Option<Decimal>,
    /// Allows http to a host that is not this machine.
    pub allow_http: bool,
    /// A file of certificates to trust.
    pub ca_file: Option<SourceFile>,
    /// How requests are sent.
    pub mode: ProviderMode,
    /// How batches are gone about.
    pub batches: BatchLimits,
    /// The account's name, where the provider's addresses hold one.
    pub account: Option<String>,
    /// Where the config describes it.
    pub at: Location,
}

/// Is what tokens cost: US dollars for a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input.
    pub input: Decimal,
    /// Output.
    pub output: Decimal,
    /// Input read from the provider's prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Decimal>,
    /// Input written to the provider's prompt cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Decimal>,
    /// The factor for batches (0.5 is half price).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Decimal>,
    /// What the tokens of a request with a long input cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_prompt: Option<LongPromptPrice>,
}

/// Is what tokens cost of a request whose input is long: US dollars for a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPromptPrice {
    /// Input tokens beyond which these prices hold, for all tokens of the request.
    pub above: u64,
    /// Input.
    pub input: Decimal,
    /// Output.
    pub output: Decimal,
}

/// Says how a model departs from the trial's decoding: a field is replaced, or not sent at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Override {
    /// The field has this value for this model: the text as written, or the JSON of a list or mapping.
    Set(String),
    /// The field is not sent to this model.
    Unset,
}

/// Is one model of the experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelConfig {
    /// The name in slugs and on the command line.
    pub name: String,
    /// The provider's name.
    pub provider: String,
    /// The id that the provider takes; for the embedded providers a label.
    pub model: String,
    /// A stated revision.
    pub revision: Option<String>,
    /// What it costs; absent is unknown, not free.
    pub price: Option<Price>,
    /// When the price was read, as written.
    pub price_as_of: Option<String>,
    /// How batches are priced: costs use the batch rate when set.
    pub batch_pricing: bool,
    /// Further fields of the body of its requests, over the provider's: `response_format` and, of Ollama, the context length
    /// among them.
    pub extra_body: BTreeMap<String, serde_json::Value>,
    /// The context length that is asked of Ollama, in tokens. It is in `extra_body` as well.
    pub num_ctx: Option<u32>,
    /// The longest context that the model takes, in tokens.
    pub max_context: Option<u32>,
    /// The path in the body of a decoding field, where the table's is not the right one.
    pub sends_as: BTreeMap<String, String>,
    /// Departures from the trial's decoding, by field name. They are already in [`TrialConfig::decoding`](super::TrialConfig).
    pub decoding: BTreeMap<String, Override>,
    /// `replay`: what it answers from, by dataset, then by arm: `control` or a prompt set's name (`treatment` is spelt out).
    pub recordings: RecordingsByArm,
    /// Where the config describes it.
    pub at: Location,
}

impl ProviderConfig {
    /// Returns the further fields of the bodies of a model's requests, and whether each is in their identity.
    ///
    /// The model's stand over the provider's; what both give as mappings is joined.
    pub fn body_fields(&self, model: &ModelConfig) -> BTreeMap<String, (serde_json::Value, bool)> {
        let mut fields = self.extra_body.clone();
        for (name, value) in &model.extra_body {
            match (fields.get_mut(name), value) {
                (Some(serde_json::Value::Object(known)), serde_json::Value::Object(more)) => {
                    known.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
                }
                _ => drop(fields.insert(name.clone(), value.clone())),
            }
        }
        let keyed = |name: &String| !self.not_identity.contains(name);
        fields.into_iter().map(|(name, value)| (name.clone(), (value, keyed(&name)))).collect()
    }
}
