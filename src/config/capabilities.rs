//! Which decoding fields a model takes. The table is dated; `takes:` on a model replaces it.

use super::ProviderKind;

/// Is when the table was last compared with the providers' documentation.
pub const CAPABILITIES_AS_OF: &str = "2026-11-23";

/// Is every decoding field that some provider takes.
const ALL: &[&str] = &crate::request::Decoding::FIELDS;

/// Lists the decoding fields that a model takes.
///
/// `own_address` says that the config gives an address: an OpenAI-compatible server of one's own takes whatever it takes,
/// and the table speaks of the provider's own service only.
pub fn fields_taken(kind: ProviderKind, model: &str, own_address: bool) -> &'static [&'static str] {
    match kind {
        ProviderKind::Lexical => &["temperature", "max_output_tokens", "seed"],
        ProviderKind::Replay | ProviderKind::Fireworks => ALL,
        ProviderKind::OpenAi if own_address => ALL,
        ProviderKind::OpenAi if is_openai_reasoning(model) => &["max_output_tokens", "effort", "seed"],
        ProviderKind::OpenAi => {
            &["temperature", "top_p", "max_output_tokens", "frequency_penalty", "presence_penalty", "stop", "seed"]
        }
        ProviderKind::Anthropic if is_without_sampling(model) => &["max_output_tokens", "effort", "stop"],
        ProviderKind::Anthropic => &["temperature", "top_p", "top_k", "max_output_tokens", "effort", "stop"],
        ProviderKind::Ollama | ProviderKind::LlamaCpp => &[
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

/// Says whether a request is refused without a largest number of output tokens.
pub(super) fn needs_max_output_tokens(kind: ProviderKind) -> bool {
    kind == ProviderKind::Anthropic
}

/// Names the reasoning models of OpenAI, which refuse temperature, top_p, penalties and stop texts.
fn is_openai_reasoning(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let family = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    ["o1", "o3", "o4"].into_iter().any(family) || (name.starts_with("gpt-5") && !name.contains("chat"))
}

/// Names the models of Anthropic that refuse temperature, top_p and top_k.
fn is_without_sampling(model: &str) -> bool {
    model.starts_with("claude-opus-4-7")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_apart() {
        let takes = |kind, model, field| fields_taken(kind, model, false).contains(&field);
        assert!(takes(ProviderKind::OpenAi, "gpt-4.1-mini-2025-04-14", "temperature"));
        assert!(!takes(ProviderKind::OpenAi, "gpt-4.1-mini-2025-04-14", "effort"));
        assert!(!takes(ProviderKind::OpenAi, "gpt-4.1", "top_k"));
        for model in ["o3", "o4-mini", "gpt-5", "gpt-5-mini-2025-08-07"] {
            assert!(!takes(ProviderKind::OpenAi, model, "temperature"), "{model}");
        }
        assert!(takes(ProviderKind::OpenAi, "gpt-5-chat-latest", "temperature"));
        assert!(!takes(ProviderKind::Anthropic, "claude-opus-4-7", "temperature"));
        assert!(takes(ProviderKind::Anthropic, "claude-haiku-4-5", "top_k"));
        assert!(!takes(ProviderKind::Lexical, "x", "top_p"));
        assert!(fields_taken(ProviderKind::OpenAi, "o3", true).contains(&"top_k"));
    }

    #[test]
    fn the_table_names_known_fields_only() {
        use ProviderKind::{Anthropic, Fireworks, Lexical, LlamaCpp, Ollama, OpenAi, Replay};
        for kind in [Lexical, Replay, OpenAi, Anthropic, Ollama, Fireworks, LlamaCpp] {
            for model in ["o3", "claude-opus-4-7", "x"] {
                assert!(fields_taken(kind, model, false).iter().all(|field| ALL.contains(field)));
            }
        }
    }
}
