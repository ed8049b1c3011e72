//! Literal keys in a config: refused, and masked wherever the config is shown.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::super::tree::Node;
use super::super::{Diagnostic, Span};

/// Matches the keys of providers by their prefixes.
static KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let prefixes = r"\b(?:sk-|fw_|xai-|gsk_|hf_|gh[pousr]_|AKIA|AIza|pplx-|r8_)[A-Za-z0-9_\-]{14,}";
    Regex::new(prefixes).ok()
});

/// Holds the literal keys of a config.
#[derive(Default)]
pub(super) struct Secrets {
    texts: BTreeSet<String>,
    spans: Vec<Span>,
}

impl Secrets {
    /// Looks for literal keys and for addresses with a password, and reports each.
    pub fn look(&mut self, root: &Node, found: &mut Vec<Diagnostic>) {
        self.look_at(root, "", "", found);
    }

    fn look_at(&mut self, node: &Node, within: &str, key: &str, found: &mut Vec<Diagnostic>) {
        for item in node.items() {
            self.look_at(item, within, key, found);
        }
        for entry in node.entries() {
            if matches(&entry.key) {
                self.refuse(&entry.key, entry.span, found);
            }
            self.look_at(&entry.value, key, &entry.key, found);
        }
        let Some(text) = node.text() else { return };
        // A header or a parameter that is called `key` is one; elsewhere it is a word like any other.
        let is_sent = matches!(within, "headers" | "query" | "extra_body");
        let is_named =
            is_key_name(key) || (is_sent && matches!(key.to_ascii_lowercase().as_str(), "key" | "auth" | "code"));
        if matches(text) || (is_named && is_key_like(text)) {
            self.refuse(text, node.span, found);
        } else if key == "api_key_env" && !super::providers::is_variable(text) {
            // What stands there instead of a name is probably the key; it is judged where it is used.
            self.texts.insert(text.to_owned());
        } else if let Some(password) = userinfo(text) {
            // The address itself is judged where it is used.
            self.texts.insert(password.to_owned());
        }
    }

    fn refuse(&mut self, text: &str, at: Span, found: &mut Vec<Diagnostic>) {
        self.texts.insert(text.to_owned());
        self.spans.push(at);
        let message = "a literal key stands in the config, and configs are kept and shared";
        let remedy =
            "put the key into an environment variable, name that with `api_key_env: NAME`, and replace the key";
        found.push(Diagnostic::error(at, message).label("not shown").remedy(remedy));
    }

    /// Takes literal keys out of what a finding says.
    pub fn redact(&self, diagnostic: &mut Diagnostic) {
        let clean = |text: &mut String| {
            for secret in &self.texts {
                if text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), "…");
                }
            }
            if let Some(key) = &*KEY
                && matches(text)
            {
                *text = key.replace_all(text, "…").into_owned();
            }
        };
        clean(&mut diagnostic.message);
        clean(&mut diagnostic.label);
        diagnostic.remedy.as_mut().map(clean);
        diagnostic.related.iter_mut().for_each(|(_, label)| clean(label));
    }

    /// Replaces literal keys in the text of the config by as many stars, comments included.
    pub fn mask(&self, source: &str) -> String {
        let mut masked = source.to_owned();
        for secret in &self.texts {
            masked = masked.replace(secret.as_str(), &"*".repeat(secret.chars().count()));
        }
        if let Some(key) = &*KEY {
            let stars = |found: &regex::Captures<'_>| {
                if has_digit(&found[0]) { "*".repeat(found[0].len()) } else { found[0].to_owned() }
            };
            masked = key.replace_all(&masked, stars).into_owned();
        }
        let mut lines: Vec<String> = masked.split('\n').map(str::to_owned).collect();
        for span in &self.spans {
            if let Some(line) = lines.get_mut(span.at.line.saturating_sub(1) as usize) {
                let first = span.at.column.saturating_sub(1) as usize;
                let covered = first..first + span.length as usize;
                let mask = |(n, c)| if covered.contains(&n) { '*' } else { c };
                *line = line.chars().enumerate().map(mask).collect();
            }
        }
        lines.join("\n")
    }
}

/// Says whether a text holds a provider's key.
fn matches(text: &str) -> bool {
    KEY.as_ref().is_some_and(|key| key.find_iter(text).any(|found| has_digit(found.as_str())))
}

/// Tells keys from words with hyphens.
fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Says whether a key's name promises a secret.
fn is_key_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    let endings = [
        "api_key",
        "apikey",
        "token",
        "secret",
        "password",
        "authorization",
        "access_key",
        "private_key",
        "subscription_key",
        "signing_key",
        "credential",
        "credentials",
        "cookie",
    ];
    endings.iter().any(|ending| key.ends_with(ending))
}

/// Says whether a text may be a secret: no name of a variable, no short word.
fn is_key_like(text: &str) -> bool {
    let text =
        ["Bearer ", "Basic ", "bearer ", "Token "].iter().find_map(|word| text.strip_prefix(word)).unwrap_or(text);
    text.len() >= 12 && !text.contains(char::is_whitespace) && !text.starts_with(['$', '<', '{'])
}

/// Returns what stands before `@` in an address.
fn userinfo(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@').map(|(userinfo, _)| userinfo).filter(|userinfo| !userinfo.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_words() {
        assert!(matches("sk-proj-abcdef0123456789"));
        assert!(matches("Bearer fw_3ZabcdefGHIJKLMN"));
        assert!(!matches("risk-assessment-of-2026-models"));
        assert!(!matches("sk-learn-like-baselines-here"));
        assert!(is_key_name("x-api-key") && is_key_name("OPENAI_API_KEY") && !is_key_name("api_key_env"));
        assert!(!is_key_name("input_tokens") && !is_key_name("max_output_tokens"));
        assert_eq!(userinfo("https://me:pw@host/v1"), Some("me:pw"));
        assert_eq!(userinfo("https://host/a@b"), None);
    }
}
