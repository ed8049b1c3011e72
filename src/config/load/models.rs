//! The models, in both spellings.

use std::collections::BTreeMap;

use super::super::tree::{Kind, Node};
use super::super::{
    Diagnostic, LongPromptPrice, ModelConfig, Override, Price, PromptSet, ProviderApi, ProviderConfig, ProviderKind,
    ProviderMode, RecordingsByArm, Span,
};
use super::Loader;
use super::decoding::{Given, read_fields};
use super::providers::suggest;
use crate::request::Decoding;

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

    /// Takes the models that judge out of the listed ones, unless nobody would be left to answer.
    fn set_judges_apart(&mut self, judging: &[String]) {
        let judging: Vec<String> = judging.iter().filter_map(|text| self.find(text).map(str::to_owned)).collect();
        let (judges, answering): (Vec<_>, Vec<_>) = self.order.drain(..).partition(|name| judging.contains(name));
        self.listed = if answering.is_empty() { judges.len() } else { answering.len() };
        self.order = answering.into_iter().chain(judges).collect();
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
        models.set_judges_apart(&judging_models(root));
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
        self.check_model_applies(item, kind);
        self.check_extra_body(item);
        let (api, inherited) = match providers.get(&provider) {
            Some(provider) => (provider.api, Some(&provider.extra_body)),
            None => (ProviderApi::Chat, None),
        };
        if let Some(kind) = kind {
            self.check_response_format(item, kind, api);
        }
        let num_ctx = item.integer_at::<u32>("num_ctx");
        let extra_body = model_extra_body(item, num_ctx);
        let states_context = |fields: &BTreeMap<String, serde_json::Value>| {
            fields.get("options").and_then(|options| options.get("num_ctx")).is_some()
        };
        if kind == Some(ProviderKind::Ollama) && !states_context(&extra_body) && !inherited.is_some_and(states_context)
        {
            let message = "Ollama's context length depends on the machine's memory unless it is stated";
            self.error(name_node.span, message, "write `num_ctx: 8192` on the model, say: it is part of what is asked");
        }
        let max_context = item.integer_at::<u32>("max_context");
        if let (Some(entry), Some(num_ctx), Some(most)) = (item.entry("num_ctx"), num_ctx, max_context)
            && num_ctx > most
        {
            let message = format!("`num_ctx` is more than the model's `max_context`, {most}");
            self.error(entry.span, message, "lower it");
        }
        let sends_as = item.get("sends_as").map(Node::text_map).unwrap_or_default();
        for entry in item.get("sends_as").map(Node::entries).unwrap_or_default() {
            if !Decoding::FIELDS.contains(&&*entry.key) {
                let found = Diagnostic::error(entry.span, format!("`{}` is no decoding field", entry.key));
                self.found.push(suggest(found, &entry.key, Decoding::FIELDS).remedy("name one, or take it out"));
            }
        }
        let config = ModelConfig {
            name: name.clone(),
            extra_body,
            num_ctx,
            max_context,
            sends_as,
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

    /// Reports keys of a model that its provider's kind has no use for.
    fn check_model_applies(&mut self, item: &Node, kind: Option<ProviderKind>) {
        let Some(kind) = kind else { return };
        for key in ["num_ctx", "sends_as", "extra_body"] {
            let applies = if key == "num_ctx" { kind == ProviderKind::Ollama } else { !kind.is_embedded() };
            if let Some(entry) = item.entry(key).filter(|_| !applies) {
                let message = format!("`{key}` means nothing to a provider of the kind `{}`", kind.as_str());
                self.error(entry.span, message, "take it out");
            }
        }
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

/// Lists the models that judge answers, as the scorers of the datasets name them.
fn judging_models(root: &Node) -> Vec<String> {
    let datasets = root.get("datasets").map(Node::entries).unwrap_or_default();
    let scorers = datasets.iter().filter_map(|entry| entry.value.get("scorers")).flat_map(Node::items);
    let settings = scorers.filter_map(|scorer| scorer.get("judge").or_else(|| scorer.get("judge_pairwise")));
    settings.filter_map(|set| set.text_at("model")).collect()
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

/// Puts a model's further fields together: its own, the form of answers, and the context length that Ollama is asked for.
fn model_extra_body(item: &Node, num_ctx: Option<u32>) -> BTreeMap<String, serde_json::Value> {
    let entries = item.get("extra_body").map(Node::entries).unwrap_or_default();
    let mut fields: BTreeMap<String, serde_json::Value> =
        entries.iter().map(|entry| (entry.key.to_string(), entry.value.json())).collect();
    if let Some(format) = item.get("response_format") {
        fields.insert("response_format".to_owned(), format.json());
    }
    if let Some(num_ctx) = num_ctx {
        let options = fields.entry("options".to_owned()).or_insert_with(|| serde_json::json!({}));
        if let Some(options) = options.as_object_mut() {
            options.insert("num_ctx".to_owned(), num_ctx.into());
        }
    }
    fields
}

fn override_of(key: &str, value: &Node) -> (String, Override) {
    let set = match value.text() {
        Some("unset") => Override::Unset,
        Some(text) => Override::Set(text.to_owned()),
        None => Override::Set(value.json().to_string()),
    };
    (key.to_owned(), set)
}
