//! What a model takes: which decoding fields, under which names, in which ranges, and which not together. The table is dated;
//! `takes:` on a model replaces all of it but the names, and `sends_as:` replaces those.

use super::{ProviderApi, ProviderKind};

/// Is when the table was last compared with the providers' documentation.
pub const CAPABILITIES_AS_OF: &str = "2026-11-23";

/// Is every decoding field that some provider takes.
const ALL: &[&str] = &crate::request::Decoding::FIELDS;

/// Names a model as the table sees it.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// The provider's kind.
    pub kind: ProviderKind,
    /// Which of OpenAI's protocols is spoken.
    pub api: ProviderApi,
    /// The model's id.
    pub model: &'a str,
    /// Whether the config gives an address: an OpenAI-compatible server of one's own takes whatever it takes, and the table
    /// speaks of the provider's own service only.
    pub own_address: bool,
}

impl Served<'_> {
    /// Lists the decoding fields that the model takes.
    pub fn fields(&self) -> &'static [&'static str] {
        use ProviderKind::{Anthropic, Fireworks, Lexical, LlamaCpp, Ollama, OpenAi, Replay};
        match self.kind {
            Lexical => &["temperature", "max_output_tokens", "seed"],
            Replay | Fireworks => ALL,
            OpenAi if self.api == ProviderApi::Responses => match self.reasoning() {
                Reasoning::Never => &["temperature", "top_p", "max_output_tokens"],
                Reasoning::Always => &["max_output_tokens", "effort"],
                Reasoning::OnRequest => &["temperature", "top_p", "max_output_tokens", "effort"],
            },
            OpenAi if self.own_address => ALL,
            OpenAi => match self.reasoning() {
                Reasoning::Never => &[
                    "temperature",
                    "top_p",
                    "max_output_tokens",
                    "frequency_penalty",
                    "presence_penalty",
                    "stop",
                    "seed",
                ],
                Reasoning::Always => &["max_output_tokens", "effort", "seed"],
                Reasoning::OnRequest => &["temperature", "top_p", "max_output_tokens", "effort", "seed"],
            },
            Anthropic if self.is_without_sampling() => &["max_output_tokens", "effort", "stop"],
            Anthropic => &["temperature", "top_p", "top_k", "max_output_tokens", "effort", "stop"],
            Ollama | LlamaCpp => &[
                "temperature",
                "top_p",
                "top_k",
                "min_p",
                "max_output_tokens",
                "frequency_penalty",
                "presence_penalty",
                "stop",
                "seed",
            ],
        }
    }

    /// Returns the path in a request's body under which a decoding field is sent; dots part the names of objects.
    pub fn wire_name(&self, field: &'static str) -> &'static str {
        use ProviderKind::{Anthropic, Ollama};
        match (self.kind, field) {
            (Ollama, "max_output_tokens") => "options.num_predict",
            (Ollama, "temperature") => "options.temperature",
            (Ollama, "top_p") => "options.top_p",
            (Ollama, "top_k") => "options.top_k",
            (Ollama, "min_p") => "options.min_p",
            (Ollama, "frequency_penalty") => "options.frequency_penalty",
            (Ollama, "presence_penalty") => "options.presence_penalty",
            (Ollama, "stop") => "options.stop",
            (Ollama, "seed") => "options.seed",
            (Ollama, "effort") => "think",
            (Anthropic, "stop") => "stop_sequences",
            (Anthropic, "max_output_tokens") => "max_tokens",
            (Anthropic, "effort") => "output_config.effort",
            (_, "effort") if self.api == ProviderApi::Responses => "reasoning.effort",
            (_, "effort") => "reasoning_effort",
            (_, "max_output_tokens") if self.api == ProviderApi::Responses => "max_output_tokens",
            (ProviderKind::OpenAi, "max_output_tokens") if self.reasoning() != Reasoning::Never => {
                "max_completion_tokens"
            }
            (_, "max_output_tokens") => "max_tokens",
            (_, field) => field,
        }
    }

    /// Returns the largest value that a decoding field may have, where that is less than the language allows.
    pub fn most(&self, field: &str) -> Option<u32> {
        match (self.kind, field) {
            (ProviderKind::OpenAi, "temperature") if !self.own_address => Some(2),
            (ProviderKind::Fireworks, "temperature") => Some(2),
            (ProviderKind::Anthropic, "temperature") => Some(1),
            _ => None,
        }
    }

    /// Returns how many stop texts are taken, where there is a bound.
    pub fn most_stops(&self) -> Option<usize> {
        match self.kind {
            ProviderKind::OpenAi if !self.own_address => Some(4),
            ProviderKind::Fireworks => Some(4),
            _ => None,
        }
    }

    /// Lists the words that `effort` takes, where the table knows them.
    pub fn efforts(&self) -> Option<&'static [&'static str]> {
        match self.kind {
            ProviderKind::OpenAi if self.own_address => None,
            ProviderKind::OpenAi if self.is_o_series() => Some(&["low", "medium", "high"]),
            ProviderKind::OpenAi => Some(&["none", "minimal", "low", "medium", "high", "xhigh"]),
            ProviderKind::Anthropic => Some(&["low", "medium", "high", "xhigh", "max"]),
            _ => None,
        }
    }

    /// Returns the field that may not stand beside another, given the effort: newer models of Anthropic take one of
    /// temperature and top_p, those of OpenAI that can reason take neither while they do.
    pub fn is_excluded(&self, field: &str, beside: &[&str], effort: Option<&str>) -> Option<&'static str> {
        let stands = |other: &str| beside.contains(&other);
        match self.kind {
            ProviderKind::Anthropic if self.takes_one_of_two() && field == "top_p" && stands("temperature") => {
                Some("temperature")
            }
            ProviderKind::OpenAi
                if !self.own_address
                    && self.reasoning() == Reasoning::OnRequest
                    && matches!(field, "temperature" | "top_p")
                    && effort.is_some_and(|effort| effort != "none") =>
            {
                Some("effort")
            }
            _ => None,
        }
    }

    /// Says whether a request is refused without a largest number of output tokens.
    pub fn needs_max_output_tokens(&self) -> bool {
        self.kind == ProviderKind::Anthropic
    }

    /// Says when a model of OpenAI reasons.
    fn reasoning(&self) -> Reasoning {
        let name = self.short_name();
        let newer = ["gpt-5.1", "gpt-5.2", "gpt-5.3", "gpt-5.4", "gpt-5.5"];
        if name.contains("chat") {
            return Reasoning::Never;
        }
        if newer.iter().any(|prefix| name.starts_with(prefix)) && !name.contains("pro") && !name.contains("codex") {
            return Reasoning::OnRequest;
        }
        if self.is_o_series() || name.starts_with("gpt-5") { Reasoning::Always } else { Reasoning::Never }
    }

    fn is_o_series(&self) -> bool {
        let name = self.short_name();
        let family =
            |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        ["o1", "o3", "o4"].into_iter().any(family)
    }

    fn short_name(&self) -> &str {
        self.model.rsplit('/').next().unwrap_or(self.model)
    }

    /// Names the models of Anthropic that refuse temperature, top_p and top_k.
    fn is_without_sampling(&self) -> bool {
        ["claude-opus-4-7", "claude-opus-4-8", "claude-opus-5"].iter().any(|prefix| self.model.starts_with(prefix))
    }

    /// Names the models of Anthropic that take temperature or top_p, not both.
    fn takes_one_of_two(&self) -> bool {
        let name = self.model;
        name.starts_with("claude-opus-4-1") || ["-4-5", "-4-6"].iter().any(|version| name.contains(version))
    }
}

/// Says when a model of OpenAI reasons, and so refuses temperature, top_p, penalties and stop texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reasoning {
    Never,
    /// Unless the effort is `none`, which it is where nothing is said.
    OnRequest,
    Always,
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProviderKind::{Anthropic, Fireworks, Lexical, LlamaCpp, Ollama, OpenAi, Replay};

    fn served(kind: ProviderKind, model: &str) -> Served<'_> {
        Served { kind, api: ProviderApi::Chat, model, own_address: false }
    }

    #[test]
    fn families_are_told_apart() {
        let takes = |kind, model, field| served(kind, model).fields().contains(&field);
        assert!(takes(OpenAi, "gpt-4.1-mini-2025-04-14", "temperature"));
        assert!(!takes(OpenAi, "gpt-4.1-mini-2025-04-14", "effort"));
        assert!(!takes(OpenAi, "gpt-4.1", "top_k"));
        for model in ["o3", "o4-mini", "gpt-5", "gpt-5-mini-2025-08-07", "gpt-5.2-pro"] {
            assert!(!takes(OpenAi, model, "temperature"), "{model}");
        }
        assert!(takes(OpenAi, "gpt-5.1", "temperature") && takes(OpenAi, "gpt-5.1", "effort"));
        assert!(takes(OpenAi, "gpt-5-chat-latest", "temperature"));
        assert!(!takes(Anthropic, "claude-opus-4-7", "temperature"));
        assert!(takes(Anthropic, "claude-haiku-4-5", "top_k"));
        assert!(!takes(Lexical, "x", "top_p"));
        assert!(Served { own_address: true, ..served(OpenAi, "o3") }.fields().contains(&"top_k"));
        let responses = Served { api: ProviderApi::Responses, ..served(OpenAi, "gpt-4.1") };
        assert!(!responses.fields().contains(&"stop") && !responses.fields().contains(&"seed"));
    }

    #[test]
    fn each_protocol_has_its_names() {
        let name = |kind, model, field| served(kind, model).wire_name(field);
        assert_eq!(name(OpenAi, "gpt-4.1", "max_output_tokens"), "max_tokens");
        assert_eq!(name(OpenAi, "gpt-5", "max_output_tokens"), "max_completion_tokens");
        assert_eq!(name(OpenAi, "o3", "effort"), "reasoning_effort");
        assert_eq!(name(Anthropic, "claude-opus-4-7", "effort"), "output_config.effort");
        assert_eq!(name(Anthropic, "x", "stop"), "stop_sequences");
        assert_eq!(name(Ollama, "x", "max_output_tokens"), "options.num_predict");
        assert_eq!(name(Fireworks, "x", "top_k"), "top_k");
        let responses = Served { api: ProviderApi::Responses, ..served(OpenAi, "gpt-5") };
        assert_eq!(responses.wire_name("max_output_tokens"), "max_output_tokens");
        assert_eq!(responses.wire_name("effort"), "reasoning.effort");
    }

    #[test]
    fn some_fields_exclude_others() {
        let both = ["temperature", "top_p"];
        let excluded = |kind, model, effort| served(kind, model).is_excluded("top_p", &both, effort);
        assert_eq!(excluded(Anthropic, "claude-haiku-4-5-20251001", None), Some("temperature"));
        assert_eq!(excluded(Anthropic, "claude-3-haiku-20240307", None), None);
        assert_eq!(excluded(OpenAi, "gpt-5.1", Some("low")), Some("effort"));
        assert_eq!(excluded(OpenAi, "gpt-5.1", Some("none")), None);
        assert_eq!(excluded(OpenAi, "gpt-4.1", None), None);
    }

    #[test]
    fn the_table_names_known_fields_only() {
        for kind in [Lexical, Replay, OpenAi, Anthropic, Ollama, Fireworks, LlamaCpp] {
            for model in ["o3", "gpt-5.1", "claude-opus-4-7", "x"] {
                for api in [ProviderApi::Chat, ProviderApi::Responses] {
                    let served = Served { api, ..served(kind, model) };
                    assert!(served.fields().iter().all(|field| ALL.contains(field)));
                }
            }
        }
    }
}
