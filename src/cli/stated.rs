use std::collections::BTreeMap;

use super::who;
use crate::config::{ModelConfig, ProviderConfig, ProviderKind, floating_name};
use crate::request::ProviderIdentity;

/// Says what the config states by which the revision that answers can be told from another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stated {
    /// The model's `revision`.
    Revision(String),
    /// The provider's `identity`, whose owner knows what it stands for.
    Identity(String),
    /// The model's name: at the provider's own service it names one revision for good.
    Name(String),
    /// Nothing: whatever is served under the model's name is taken for the same model.
    Nothing,
}

/// Is what an unpinned model is called, wherever it is told.
pub const UNPINNED: &str = "unpinned";

impl Stated {
    /// Reads what a config states of a model; `None` where it is embedded here.
    pub fn of_config(provider: &ProviderConfig, model: &ModelConfig) -> Option<Self> {
        if provider.kind.is_embedded() {
            return None;
        }
        Self::of(&who::identity(provider, None), &model.model, model.revision.as_deref())
    }

    /// Reads what was stated when a request was made; `None` where who answers is embedded here.
    pub fn of(provider: &ProviderIdentity, model: &str, revision: Option<&str>) -> Option<Self> {
        let (kind, place) = who::kind_and_place(provider)?;
        if let Some(revision) = revision {
            return Some(Self::Revision(revision.to_owned()));
        }
        let is_address = place == who::DEFAULT_ADDRESS || place.contains("://");
        if !is_address {
            return Some(Self::Identity(place.to_owned()));
        }
        let is_service = is_service(kind, place) && floating_name(kind, model, false).is_none();
        Some(if is_service { Self::Name(model.to_owned()) } else { Self::Nothing })
    }

    /// Writes it in a few words, `unpinned` where it is nothing.
    pub fn words(&self) -> String {
        match self {
            Self::Revision(revision) => format!("revision {revision}"),
            Self::Identity(identity) => format!("identity {identity}"),
            Self::Name(model) => format!("model {model}"),
            Self::Nothing => UNPINNED.to_owned(),
        }
    }

    /// Says that a model is unpinned and what to write; `None` where something is stated. `told`: the revisions that its
    /// server stated, where it did.
    pub fn warning(&self, model: &str, told: &BTreeMap<String, u64>) -> Option<String> {
        if *self != Self::Nothing {
            return None;
        }
        let remedy = match told.keys().collect::<Vec<_>>().as_slice() {
            [revision] => format!("`revision: \"{revision}\"` on the model pins what its server said that it serves"),
            _ => {
                "`revision:` on the model, or `identity:` on its provider, says which one is meant (`exp doctor` shows what its \
                 server says)"
                    .to_owned()
            }
        };
        Some(format!(
            "`{model}` is {UNPINNED}: the config states no revision of it, so that another one under its name would be taken for \
             it; {remedy}"
        ))
    }
}

/// Says whether an address is the service of the provider itself, where its own rules of naming hold.
fn is_service(kind: ProviderKind, place: &str) -> bool {
    let own = match kind {
        ProviderKind::OpenAi => "https://api.openai.com/",
        ProviderKind::Anthropic => "https://api.anthropic.com",
        ProviderKind::Fireworks => "https://api.fireworks.ai/",
        _ => return false,
    };
    place == who::DEFAULT_ADDRESS || place.starts_with(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stated_pins_and_a_name_only_at_the_service_itself() {
        let of = |provider: &str, model: &str, revision: Option<&str>| {
            Stated::of(&ProviderIdentity(provider.to_owned()), model, revision).map(|stated| stated.words())
        };
        let cases = [
            ("ollama default address", "llama3.2:3b", None, "unpinned"),
            ("ollama http://127.0.0.1:11434", "llama3.2:3b", None, "unpinned"),
            ("ollama http://127.0.0.1:11434", "llama3.2:3b", Some("sha256:a"), "revision sha256:a"),
            ("ollama lab box 3", "llama3.2:3b", None, "identity lab box 3"),
            ("llama_cpp default address", "m", None, "unpinned"),
            ("openai default address", "gpt-4.1-mini-2025-04-14", None, "model gpt-4.1-mini-2025-04-14"),
            ("openai default address responses", "gpt-4.1-mini-2025-04-14", None, "model gpt-4.1-mini-2025-04-14"),
            ("openai https://api.openai.com/v1", "gpt-4.1-mini-2025-04-14", None, "model gpt-4.1-mini-2025-04-14"),
            ("openai default address", "gpt-4.1-mini", None, "unpinned"),
            ("openai http://127.0.0.1:8000/v1", "gpt-4.1-mini-2025-04-14", None, "unpinned"),
            ("openai http://127.0.0.1:8000/v1 responses", "m", None, "unpinned"),
            ("openai ours responses", "m", None, "identity ours"),
            ("anthropic default address", "claude-opus-4-7", None, "model claude-opus-4-7"),
            ("anthropic http://127.0.0.1:4000", "claude-opus-4-7", None, "unpinned"),
        ];
        for (provider, model, revision, expected) in cases {
            assert_eq!(of(provider, model, revision).as_deref(), Some(expected), "{provider} {model}");
        }
        assert_eq!([of("lexical 3 0.5", "m", None), of("replay old", "m", None)], [None, None]);
    }

    #[test]
    fn only_what_is_unpinned_is_warned_of() {
        let told = |revisions: &[&str]| revisions.iter().map(|name| ((*name).to_owned(), 1)).collect();
        let words = Stated::Nothing.warning("m", &told(&["sha256:a"])).unwrap();
        assert!(words.starts_with("`m` is unpinned: ") && words.contains("`revision: \"sha256:a\"`"), "{words}");
        for revisions in [told(&[]), told(&["a", "b"])] {
            let words = Stated::Nothing.warning("m", &revisions).unwrap();
            assert!(words.contains("`identity:` on its provider") && !words.contains("\"a\""), "{words}");
        }
        assert_eq!(Stated::Identity("ours".into()).warning("m", &told(&["a"])), None);
    }
}
