//! Who answers.

use std::collections::BTreeMap;

use super::super::language::PROVIDER_KINDS;
use super::super::tree::{Entry, Node};
use super::super::{
    AskingLimits, BatchLimits, Diagnostic, PromptCaching, ProviderApi, ProviderConfig, ProviderKind, ProviderMode,
    Source, Span,
};
use super::Loader;

/// Finds a kind by its name in the config.
pub(super) fn kind(name: &str) -> Option<ProviderKind> {
    use ProviderKind::{Anthropic, Fireworks, Lexical, LlamaCpp, Ollama, OpenAi, Replay};
    [Lexical, Replay, OpenAi, Anthropic, Ollama, Fireworks, LlamaCpp].into_iter().find(|kind| kind.as_str() == name)
}

/// Makes a provider of which only the kind is known.
pub(super) fn bare(name: &str, kind: ProviderKind, at: Span) -> ProviderConfig {
    let key = match kind {
        ProviderKind::OpenAi => Some("OPENAI_API_KEY"),
        ProviderKind::Anthropic => Some("ANTHROPIC_API_KEY"),
        ProviderKind::Fireworks => Some("FIREWORKS_API_KEY"),
        _ => None,
    };
    ProviderConfig {
        name: name.to_owned(),
        kind,
        base_url: None,
        identity: None,
        api_key_env: key.map(str::to_owned),
        api: ProviderApi::Chat,
        anthropic_version: None,
        prompt_caching: PromptCaching::Off,
        asking: AskingLimits::default(),
        extra_body: BTreeMap::new(),
        headers: BTreeMap::new(),
        query: BTreeMap::new(),
        not_identity: Vec::new(),
        corpus: None,
        threshold: None,
        allow_http: false,
        ca_file: None,
        mode: ProviderMode::Online,
        batches: BatchLimits::default(),
        account: None,
        at: at.at,
    }
}

impl Loader<'_> {
    /// Reads `providers:`.
    pub fn providers(&mut self, root: &Node) -> BTreeMap<String, ProviderConfig> {
        let entries = root.get("providers").map(Node::entries).unwrap_or_default();
        entries.iter().filter_map(|entry| Some((entry.key.to_string(), self.provider(entry)?))).collect()
    }

    fn provider(&mut self, entry: &Entry) -> Option<ProviderConfig> {
        let node = &entry.value;
        let kind = kind(node.get("kind")?.text()?)?;
        self.check_applies(node, kind);
        self.check_extra_body(node);
        // A key for another address is sent there only when it is named.
        let default = bare(&entry.key, kind, entry.span);
        let base_url =
            node.get("base_url").and_then(|url| self.base_url(url, node.boolean_at("allow_http") == Some(true)));
        let api_key_env = match node.get("api_key_env") {
            Some(name) => self.variable_name(name),
            None if base_url.is_some() => None,
            None => default.api_key_env.clone(),
        };
        let api = if node.text_at("api").as_deref() == Some("responses") {
            ProviderApi::Responses
        } else {
            ProviderApi::Chat
        };
        self.check_response_format(node, kind, api);
        let json = |key: &str| -> BTreeMap<String, serde_json::Value> {
            let entries = node.get(key).map(Node::entries).unwrap_or_default();
            entries.iter().map(|entry| (entry.key.to_string(), entry.value.json())).collect()
        };
        let mut extra_body = json("extra_body");
        if let Some(format) = node.get("response_format") {
            extra_body.insert("response_format".to_owned(), format.json());
        }
        let provider = ProviderConfig {
            api,
            anthropic_version: node.text_at("anthropic_version"),
            prompt_caching: match node.text_at("prompt_caching").as_deref() {
                Some("5m") => PromptCaching::FiveMinutes,
                Some("1h") => PromptCaching::OneHour,
                _ => PromptCaching::Off,
            },
            asking: self.asking(node),
            base_url,
            identity: node.text_at("identity"),
            api_key_env,
            extra_body,
            headers: node.get("headers").map(Node::text_map).unwrap_or_default(),
            query: node.get("query").map(Node::text_map).unwrap_or_default(),
            not_identity: node.get("not_identity").map(Node::texts).unwrap_or_default(),
            corpus: node.get("corpus").and_then(|corpus| self.source(corpus, entry.span)),
            threshold: node.decimal_at("threshold"),
            allow_http: node.boolean_at("allow_http").unwrap_or(false),
            ca_file: node.get("ca_file").and_then(|file| Some(self.data_file(file.text()?, file.span))),
            mode: match node.text_at("mode").as_deref() {
                Some("batch") => ProviderMode::Batch,
                Some("auto") => ProviderMode::Auto,
                _ => ProviderMode::Online,
            },
            batches: self.batch_limits(node),
            account: node.text_at("account"),
            ..default
        };
        for name in node.get("not_identity").map(Node::items).unwrap_or_default() {
            let Some(text) = name.text() else { continue };
            let is_header = provider.headers.keys().any(|header| header.eq_ignore_ascii_case(text));
            if !is_header && !provider.extra_body.contains_key(text) {
                let message =
                    format!("`not_identity` names `{text}`, which is neither in `extra_body` nor in `headers`");
                self.error(name.span, message, "correct the name, or take it out");
            }
        }
        Some(provider)
    }

    /// Reports keys that a kind has no use for.
    fn check_applies(&mut self, node: &Node, kind: ProviderKind) {
        for entry in node.entries() {
            let applies = match &*entry.key {
                "kind" | "identity" => true,
                "corpus" | "threshold" => kind == ProviderKind::Lexical,
                "account" => kind == ProviderKind::Fireworks,
                "api" => kind == ProviderKind::OpenAi,
                "anthropic_version" | "prompt_caching" => kind == ProviderKind::Anthropic,
                _ => !kind.is_embedded(),
            };
            if !applies && !entry.value.is_null() {
                let message = format!("`{}` means nothing to a provider of the kind `{}`", entry.key, kind.as_str());
                self.error(entry.span, message, "take it out");
            }
        }
    }

    /// Reports further fields that would replace what a request is made of.
    pub fn check_extra_body(&mut self, node: &Node) {
        self.check_extra_body_of(node, "extra_body");
    }

    /// The same, under another name.
    pub fn check_extra_body_of(&mut self, node: &Node, key: &str) {
        for entry in node.get(key).map(Node::entries).unwrap_or_default() {
            let name = &*entry.key;
            let remedy = match name {
                "model" => "write `model:` on the model",
                "messages" | "input" | "prompt" | "system" | "instructions" => "say it in the arms' recipes",
                "n" => "write `draws:`: each draw is a request of its own",
                "stream" | "background" => "take it out: responses are read whole",
                "headers" | "query" => "write it on the provider itself",
                _ => continue,
            };
            self.error(entry.span, format!("`{name}` in `{key}` would replace what this program says"), remedy);
        }
    }

    /// Reports a form of answers where the protocol has another word for it.
    pub fn check_response_format(&mut self, node: &Node, kind: ProviderKind, api: ProviderApi) {
        let Some(entry) = node.entry("response_format") else { return };
        let remedy = match kind {
            ProviderKind::Lexical | ProviderKind::Replay => "take it out",
            ProviderKind::Anthropic => "write `extra_body: {output_config: {format: …}}`",
            ProviderKind::Ollama => "write `extra_body: {format: …}`",
            _ if api == ProviderApi::Responses => "write `extra_body: {text: {format: …}}`",
            _ => return,
        };
        self.error(
            entry.span,
            format!("`response_format` means nothing to `{}` as it is spoken here", kind.as_str()),
            remedy,
        );
    }

    /// Reads the name of an environment variable; anything else may be a key, and is not shown.
    fn variable_name(&mut self, node: &Node) -> Option<String> {
        let text = node.text()?;
        if !is_variable(text) {
            let message = "`api_key_env` takes the name of an environment variable: letters, digits and `_`";
            self.error(node.span, message, "write `api_key_env: OPENAI_API_KEY`, and set that variable to the key");
        }
        Some(text.to_owned())
    }

    /// Reads an address: http or https, a host, no user, no query.
    pub fn base_url(&mut self, node: &Node, allow_http: bool) -> Option<String> {
        let text = node.text()?;
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") || authority.is_empty() || text.contains(char::is_whitespace) {
            let message = "an address begins with `https://` (or `http://`) and a host";
            self.error(node.span, message, "write it like `https://api.example.org/v1`");
            return None;
        }
        if authority.contains('@') {
            let message = "an address holds a user or a password, and configs are kept and shared";
            self.error(node.span, message, "name the key with `api_key_env`, and take it out of the address");
            return None;
        }
        if rest.contains(['?', '#']) {
            let message = "an address has a query, which would be lost when the path of a call is added";
            self.error(node.span, message, "write it under `query: {name: value}`");
            return None;
        }
        if scheme == "http" && !allow_http && !is_loopback(authority) {
            let message = "plain http to another machine shows prompts and key to everyone on the way";
            self.error(node.span, message, "use https, or write `allow_http: true` on the provider");
        }
        Some(text.trim_end_matches('/').to_owned())
    }

    /// Reads a file's path, or `{path}`, or `{url, sha256}`.
    pub fn source(&mut self, node: &Node, owner: Span) -> Option<Source> {
        if let Some(path) = node.text() {
            return Some(Source::File(self.data_file(path, node.span)));
        }
        if let (Some(path), Some(url)) = (node.entry("path"), node.entry("url")) {
            let found = Diagnostic::error(url.span, "`path` and `url` both say where the data is");
            self.found.push(found.related(path.span, "the other").remedy("keep one of the two"));
            return None;
        }
        if let Some(path) = node.get("path") {
            if let Some(sum) = node.entry("sha256") {
                let message = "`sha256` pins what an address gives; a file is known by its content as it is";
                self.error(sum.span, message, "take it out");
            }
            return Some(Source::File(self.data_file(path.text()?, path.span)));
        }
        let Some(url) = node.entry("url") else {
            self.error(owner, "nothing says where the data is", "write `path: FILE`, or `url:` with `sha256:`");
            return None;
        };
        let text = url.value.text()?;
        if !text.starts_with("https://") && !text.starts_with("http://") {
            self.error(url.value.span, "an address begins with `https://`", "a file is named with `path:`");
        }
        let Some(sum) = node.get("sha256") else {
            let message = "an address without `sha256` may give something else tomorrow";
            self.error(url.span, message, "write `sha256:` with the 64 hexadecimal digits of `sha256sum FILE`");
            return None;
        };
        let digits = sum.text()?.to_ascii_lowercase();
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let message = "`sha256` takes 64 hexadecimal digits";
            self.error(sum.span, message, "`sha256sum FILE` prints them");
            return None;
        }
        Some(Source::Url { url: text.to_owned(), sha256: digits, at: url.value.span.at })
    }

    /// Finds the provider that a model names: one of `providers:`, or a kind.
    pub fn provider_for(
        &mut self,
        name: &str,
        at: Span,
        providers: &mut BTreeMap<String, ProviderConfig>,
        root: &Node,
    ) -> Option<ProviderKind> {
        if let Some(known) = providers.get(name) {
            return Some(known.kind);
        }
        if let Some(kind) = kind(name) {
            providers.insert(name.to_owned(), bare(name, kind, at));
            return Some(kind);
        }
        let written = root.get("providers").map(Node::entries).unwrap_or_default();
        if written.iter().any(|entry| *entry.key == *name) {
            // It is there and wrong, which has been reported.
            return None;
        }
        let names = written.iter().map(|entry| &*entry.key).chain(PROVIDER_KINDS.iter().copied());
        let found = Diagnostic::error(at, format!("no provider is called `{name}`"));
        let known: Vec<_> = names.clone().collect();
        self.found.push(suggest(found, name, names).remedy(format!("known: {}", known.join(", "))));
        None
    }
}

/// Says whether a text can be the name of an environment variable.
pub(super) fn is_variable(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Adds the known word that was probably meant.
pub(super) fn suggest<'a>(found: Diagnostic, word: &str, known: impl IntoIterator<Item = &'a str>) -> Diagnostic {
    match super::super::language::nearest(word, known) {
        Some(meant) => found.label(format!("did you mean `{meant}`?")),
        None => found,
    }
}

/// Says whether an address is this machine.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
