//! The models, in both spellings.

use std::collections::BTreeMap;

use super::super::tree::{Kind, Node};
use super::super::{
    Diagnostic, LongPromptPrice, ModelConfig, Override, Price, PromptSet, ProviderConfig, ProviderKind, ProviderMode,
    RecordingsByArm, Span,
};
use super::Loader;
use super::decoding::{Given, read_fields};

/// Holds the models, and what trials need to know about them.
#[derive(Default)]
pub(super) struct Models {
    pub configs: BTreeMap<String, ModelConfig>,
    /// The names in the order written, those of models that came to nothing included.
    pub order: Vec<String>,
    /// How many of these are listed; the rest are named by a legacy sweep or list of trials only.
    pub listed: usize,
    /// Other names of models: ids and aliases.
    pub aliases: BTreeMap<String, String>,
    /// Departures from the decoding of trials, by model: a value, or none where the field is not sent.
    pub overrides: BTreeMap<String, Vec<(&'static str, Option<Given>)>>,
    /// The decoding fields that a model takes, where the config says so.
    pub takes: BTreeMap<String, Vec<String>>,
}

impl Models {
    /// Returns the names of the models that are listed.
    pub fn listed(&self) -> &[String] {
        &self.order[..self.listed.min(self.order.len())]
    }

    /// Finds a model by its name, its id, or an alias.
    pub fn find(&self, text: &str) -> Option<&str> {
        let name = self.order.iter().find(|name| *name == text);
        name.or_else(|| self.aliases.get(text)).map(String::as_str)
    }
}

impl Loader<'_> {
    /// Reads `models:`, or the predecessor's ids.
    pub fn models(
        &mut self,
        root: &Node,
        providers: &mut BTreeMap<String, ProviderConfig>,
        prompt_sets: &BTreeMap<String, PromptSet>,
    ) -> Models {
        let mut models = Models::default();
        let mut places: BTreeMap<String, Span> = BTreeMap::new();
        let items = root.get("models").map(Node::items).unwrap_or_default();
        let mut ids = Vec::new();
        for item in items {
            if item.text().is_some() {
                ids.push(item);
            } else if matches!(item.kind, Kind::Mapping(_)) {
                self.model(item, root, providers, prompt_sets, &mut models, &mut places);
            }
        }
        models.listed = models.order.len();
        self.legacy_models(&ids, root, providers, &mut models);
        if models.order.is_empty() && items.is_empty() {
            let at = root.entry("models").map_or(Span::new(1, 1, 0), |entry| entry.span);
            let message = "the config names no model";
            self.error(at, message, "write `models: [{name: baseline, provider: lexical}]`, or another provider");
        }
        models
    }

    fn model(
        &mut self,
        item: &Node,
        root: &Node,
        providers: &mut BTreeMap<String, ProviderConfig>,
        prompt_sets: &BTreeMap<String, PromptSet>,
        models: &mut Models,
        places: &mut BTreeMap<String, Span>,
    ) {
        let Some(name_node) = item.get("name").or_else(|| item.get("model")) else {
            self.error(item.span, "a model has neither a `name` nor a `model`", "write `name:`");
            return;
        };
        let Some(name) = name_node.text().map(str::to_owned) else { return };
        if let Some(first) = places.get(&name) {
            let found = Diagnostic::error(name_node.span, format!("two models are called `{name}`"));
            self.found.push(found.related(*first, "the first").remedy("give one of them another `name`"));
            return;
        }
        if name.contains('|') || name.len() > 120 {
            let at = name_node.span;
            self.error(at, "this id cannot be a name (`|`, or over 120 bytes)", "give the model a `name`");
        }
        places.insert(name.clone(), name_node.span);
        models.order.push(name.clone());
        let kind = item.get("provider").and_then(|node| self.provider_for(node.text()?, node.span, providers, root));
        let overrides = item.get("decoding").map(read_fields).unwrap_or_default();
        let decoding = item.get("decoding").map(Node::entries).unwrap_or_default();
        let recordings = self.model_recordings(item, kind, root, prompt_sets);
        let price = item.get("price");
        let provider = item.text_at("provider").unwrap_or_default();
        let model = item.text_at("model").unwrap_or_else(|| name.clone());
        let mode = providers.get(&provider).map(|provider| provider.mode);
        models.aliases.entry(model.clone()).or_insert_with(|| name.clone());
        models.overrides.insert(name.clone(), overrides);
        if let Some(takes) = item.get("takes") {
            models.takes.insert(name.clone(), takes.texts());
        }
        let config = ModelConfig {
            name: name.clone(),
            provider,
            model,
            revision: item.text_at("revision"),
            price: price.and_then(read_price),
            price_as_of: price.and_then(|price| price.text_at("as_of")),
            batch_pricing: mode == Some(ProviderMode::Batch),
            decoding: decoding.iter().filter(|e| !e.value.is_null()).map(|e| override_of(&e.key, &e.value)).collect(),
            recordings,
            at: name_node.span.at,
        };
        models.configs.insert(name, config);
    }

    fn model_recordings(
        &mut self,
        item: &Node,
        kind: Option<ProviderKind>,
        root: &Node,
        prompt_sets: &BTreeMap<String, PromptSet>,
    ) -> RecordingsByArm {
        let Some(entry) = item.entry("recordings") else { return RecordingsByArm::new() };
        if let Some(kind) = kind.filter(|kind| *kind != ProviderKind::Replay) {
            let message = format!("`recordings` means nothing to a provider of the kind `{}`", kind.as_str());
            self.error(entry.span, message, "write `provider: replay`, or take the recordings out");
        }
        self.recordings(&entry.value, root, prompt_sets)
    }
}

/// Lists the names of the datasets, those that came to nothing included.
pub(super) fn dataset_names(root: &Node) -> Vec<String> {
    match root.get("datasets") {
        Some(node) => node.entries().iter().map(|entry| entry.key.to_string()).collect(),
        None => vec!["open_book".to_owned(), "closed_book".to_owned()],
    }
}

fn read_price(node: &Node) -> Option<Price> {
    let long_prompt = |node: &Node| {
        Some(LongPromptPrice {
            above: node.integer_at("above")?,
            input: node.decimal_at("input")?,
            output: node.decimal_at("output")?,
        })
    };
    Some(Price {
        input: node.decimal_at("input")?,
        output: node.decimal_at("output")?,
        cached_input: node.decimal_at("cached_input"),
        cache_write: node.decimal_at("cache_write"),
        batch: node.decimal_at("batch"),
        long_prompt: node.get("long_prompt").and_then(long_prompt),
    })
}

fn override_of(key: &str, value: &Node) -> (String, Override) {
    let set = match value.text() {
        Some("unset") => Override::Unset,
        Some(text) => Override::Set(text.to_owned()),
        None => Override::Set(value.json().to_string()),
    };
    (key.to_owned(), set)
}
