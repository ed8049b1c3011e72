//! Names of models that their provider can point at another model.

use super::ProviderKind;

/// Is when the rules were last compared with the providers' documentation.
pub const FLOATING_AS_OF: &str = "2026-11-23";

/// Says why a model's name can stand for another model tomorrow; `None` where it names one for good, or nobody can tell.
///
/// `own_address`: the server is somebody's own, so that the provider's rules do not hold.
pub fn floating_name(kind: ProviderKind, model: &str, own_address: bool) -> Option<String> {
    let lower = model.to_ascii_lowercase();
    if lower.ends_with("latest") {
        return Some(format!("`{model}` says by its name that it is whatever is newest"));
    }
    match kind {
        ProviderKind::OpenAi if !own_address && !has_date(&lower) => {
            Some(format!("`{model}` has no date in its name: it is an alias of the newest snapshot"))
        }
        ProviderKind::Anthropic if !own_address && !has_date(&lower) && !is_minor_version(&lower) => {
            Some(format!("`{model}` has neither a date nor a minor version in its name: it is an alias"))
        }
        ProviderKind::Ollama => {
            Some(format!("`{model}` is a tag, and a tag can be pulled anew: `revision:` can hold its digest"))
        }
        _ => None,
    }
}

/// Says whether a name ends in a date: `-2025-04-14`, `-20250514`, or the older `-0613`; a word may follow (`-preview`).
fn has_date(name: &str) -> bool {
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let pieces: Vec<&str> = name.split(['-', '@', ':', '/']).collect();
    let whole = pieces.iter().any(|piece| digits(piece, 8) || digits(piece, 4));
    whole && !pieces.is_empty()
}

/// Says whether a name has a major and a minor version, as `claude-opus-4-7` has.
fn is_minor_version(name: &str) -> bool {
    let pieces: Vec<&str> = name.split('-').collect();
    pieces
        .windows(2)
        .any(|two| two.iter().all(|piece| (1..=2).contains(&piece.len()) && piece.bytes().all(|b| b.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::{ProviderKind, floating_name};

    #[test]
    fn a_name_with_its_date_is_pinned() {
        use ProviderKind::{Anthropic, Fireworks, LlamaCpp, Ollama, OpenAi};
        let floats = |kind, model| floating_name(kind, model, false).is_some();
        for (kind, model) in [
            (OpenAi, "gpt-4.1-mini-2025-04-14"),
            (OpenAi, "gpt-4-0613"),
            (OpenAi, "gpt-4-0125-preview"),
            (Anthropic, "claude-sonnet-4-20250514"),
            (Anthropic, "claude-opus-4-7"),
            (Fireworks, "accounts/fireworks/models/llama-v3p1-8b-instruct"),
            (LlamaCpp, "model.gguf"),
        ] {
            assert!(!floats(kind, model), "{model}");
        }
        for (kind, model) in [
            (OpenAi, "gpt-4o"),
            (OpenAi, "chatgpt-4o-latest"),
            (Anthropic, "claude-3-5-sonnet-latest"),
            (Anthropic, "claude-sonnet"),
            (Ollama, "llama3.1:8b"),
            (Fireworks, "x-latest"),
        ] {
            assert!(floats(kind, model), "{model}");
        }
        assert!(floating_name(OpenAi, "served-here", true).is_none(), "one's own server has its own names");
    }
}
