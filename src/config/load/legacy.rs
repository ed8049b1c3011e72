//! The predecessor's spellings: directories, prepared datasets, backends, prices, and keys that no longer do anything.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::super::tree::{Entry, Node};
use super::super::{
    DatasetConfig, DatasetFormat, Diagnostic, DuplicateIds, FieldMap, FileKind, ModelConfig, Override, Price,
    ProviderConfig, ProviderKind, ProviderMode, RecordingsByArm, Source, SourceFile, Span,
};
use super::Loader;
use super::datasets::Instructions;
use super::decoding::Given;
use super::models::Models;
use super::providers::bare;
use crate::digest::Decimal;

/// Lists keys that are read and have no effect, with the reason.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("paths.raw_dir", "datasets are read where `datasets` says"),
    ("paths.batch_inputs_dir", "requests are kept in the store"),
    ("paths.results_dir", "results stand in the directory of their run"),
    ("paths.reports_dir", "reports stand in the directory of their run"),
    ("paths.run_manifest", "the manifest stands in the directory of its run"),
    ("tokenizer", "tokens are counted by the provider"),
    ("enable_local_telemetry", "timings are always kept"),
    ("local_n_ctx", "the server decides; state it in `identity` of a provider"),
    ("local_n_gpu_layers", "the server decides; state it in `identity` of a provider"),
    ("unsupported.nli_model", "no strategy uses a model"),
    ("provider.region", "the address decides"),
    ("provider.metadata", "tags are not sent"),
    ("provider.request_metadata", "tags are not sent"),
    ("provider.batch_metadata", "batches carry their own tags"),
    ("provider.batch_params", "batches are built from the requests"),
    ("provider.client_options", "there is no client library"),
    ("provider.rate_limits", "waits follow what the provider answers"),
    ("provider.cache_control", "prompt caching does not decide an answer"),
    ("provider.batch.endpoint", "the provider's kind decides"),
    ("provider.batch.completion_window", "the provider's own window applies"),
    ("provider.batch.max_output_tokens", "it was never sent; `decoding` decides"),
    ("provider.batch.max_tokens", "it was never sent; `decoding` decides"),
    ("provider.batch.temperature", "it was never sent; `decoding` decides"),
    ("provider.batch.top_p", "it was never sent; `decoding` decides"),
];

/// Holds departures from the decoding of trials: a value, or none where the field is not sent.
type Overrides = Vec<(&'static str, Option<Given>)>;

/// Lists the predecessor's backends.
const BACKENDS: [&str; 3] = ["fireworks", "local", "alt"];

impl Loader<'_> {
    /// Returns the directories of runs and of the store, and notes what `paths:` says in vain.
    pub fn directories(&mut self, root: &Node) -> (Utf8PathBuf, Utf8PathBuf) {
        for (path, why) in WITHOUT_EFFECT {
            let mut node = Some(root);
            let mut entry: Option<&Entry> = None;
            for key in path.split('.') {
                entry = node.and_then(|node| node.entry(key));
                node = entry.map(|entry| &entry.value);
            }
            if let Some(entry) = entry {
                self.note(entry.span, format!("`{path}` has no effect: {why}"));
            }
        }
        for trial in root.get("trials").map(Node::items).unwrap_or_default() {
            if let Some(id) = trial.entry("id") {
                self.note(id.span, "`id` of a trial has no effect: trials are named by what they are");
            }
        }
        let old = root.get("paths").and_then(|paths| paths.entry("experiments_dir"));
        if let (Some(old), Some(new)) = (old, root.entry("experiments_dir")) {
            let message = "`paths.experiments_dir` and `experiments_dir` say the same thing";
            let found = Diagnostic::error(old.span.max(new.span), message);
            self.found.push(found.related(old.span.min(new.span), "the other").remedy("keep one of the two"));
        }
        let experiments = match (root.text_at("experiments_dir"), old) {
            (Some(new), _) => new,
            (None, Some(old)) => self.expanded(&old.value).unwrap_or_default(),
            (None, None) => "experiments".to_owned(),
        };
        let store = root.text_at("store").unwrap_or_else(|| "store".to_owned());
        (self.resolve(&experiments), self.resolve(&store))
    }

    /// Expands `$VAR`, `${VAR}` and a leading `~` in a path.
    fn expanded(&mut self, node: &Node) -> Option<String> {
        let written = node.text().unwrap_or_default();
        let mut text = String::new();
        let mut rest = written;
        if rest == "~" || rest.starts_with("~/") {
            text.push_str(&self.variable("HOME", node.span)?);
            rest = &rest[1..];
        }
        while let Some(at) = rest.find('$') {
            text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, after) = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                Some((name, after)) => (name, after),
                None => rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len())),
            };
            if name.is_empty() {
                text.push('$');
            } else {
                text.push_str(&self.variable(name, node.span)?);
            }
            rest = after;
        }
        Some(text + rest)
    }

    fn variable(&mut self, name: &str, at: Span) -> Option<String> {
        let value = (self.env)(name);
        if value.is_none() {
            let message = format!("the environment variable `{name}` is not set");
            self.error(at, message, "set it, or write the path out");
        }
        value
    }

    /// Finds the predecessor's prepared files, those that exist.
    pub fn prepared_datasets(&mut self, root: &Node, instructions: &Instructions) -> BTreeMap<String, DatasetConfig> {
        let written = root.get("paths").and_then(|paths| paths.get("prepared_dir"));
        let Some(at) = written.map(|node| node.span).or(self.legacy) else {
            let message = "the config has no `datasets`: nothing is asked";
            let remedy = "write `datasets: {name: {path: FILE, fields: {id: …, question: …, answers: …}}}`";
            self.error(Span::new(1, 1, 0), message, remedy);
            return BTreeMap::new();
        };
        let mut datasets = BTreeMap::new();
        let Some(directory) = written.map_or_else(|| Some("data/prepared".to_owned()), |node| self.expanded(node))
        else {
            return datasets;
        };
        for (name, open) in [("open_book", true), ("closed_book", false)] {
            let file = format!("{}/{name}.jsonl", directory.trim_end_matches('/'));
            let kind = self.files.kind(&self.resolve(&file));
            if kind == FileKind::Missing {
                continue;
            }
            let source = self.data_file(&file, at);
            datasets.insert(name.to_owned(), self.prepared(root, instructions, source, open));
        }
        if datasets.is_empty() {
            let message = format!("neither `open_book.jsonl` nor `closed_book.jsonl` is in `{directory}`");
            self.error(at, message, "write `datasets:`, or put the predecessor's prepared files there");
        }
        datasets
    }

    fn prepared(&mut self, root: &Node, instructions: &Instructions, source: SourceFile, open: bool) -> DatasetConfig {
        let sizes = root.get("sizes");
        let size = |key: &str| sizes.and_then(|node| node.integer_at::<u64>(&format!("{key}_max_items")));
        let labels = ["triviaqa", "nq_open", "squad_v2"];
        let by_label = labels.iter().filter_map(|label| Some(((*label).to_owned(), size(label)?)));
        let field = |name: &str| Some(name.to_owned());
        let at = source.at;
        DatasetConfig {
            source: Source::File(source),
            format: DatasetFormat::Jsonl,
            fields: FieldMap {
                id: field("id"),
                question: field("question"),
                answers: field("answers"),
                context: if open { field("context") } else { None },
                group: None,
                unanswerable: if open { field("is_unanswerable") } else { None },
                dataset: field("dataset"),
            },
            conditions: Vec::new(),
            split: None,
            duplicate_ids: DuplicateIds::Error,
            max_items: size(if open { "open_book" } else { "closed_book" }),
            max_items_by_label: by_label.collect(),
            open: Some(open),
            user: None,
            instructions_open: instructions.open.clone(),
            instructions_closed: instructions.closed.clone(),
            answer: None,
            scorers: self.scorers(None, root),
            labels: Vec::new(),
            externals: Vec::new(),
            judges: Vec::new(),
            pairwise: Vec::new(),
            max_output_tokens: None,
            at,
        }
    }

    /// Adds the models that are named by their ids alone, under the predecessor's `backend`.
    pub fn legacy_models(
        &mut self,
        ids: &[&Node],
        root: &Node,
        providers: &mut BTreeMap<String, ProviderConfig>,
        models: &mut Models,
    ) {
        let base = root.get("model_id");
        let mut wanted: Vec<&Node> = ids.to_vec();
        if ids.is_empty() && models.order.is_empty() {
            wanted.extend(base);
        }
        if let Some(backend) = root.entry("backend") {
            let text = backend.value.text().unwrap_or_default().to_ascii_lowercase();
            if !BACKENDS.contains(&text.as_str()) {
                self.unknown(&backend.value, "backend", &BACKENDS);
            } else if wanted.is_empty() {
                self.note(backend.span, "`backend` has no effect: every model names its provider");
            }
        }
        if wanted.is_empty() {
            return;
        }
        if self.legacy.is_none() && root.get("backend").is_none() {
            for id in wanted {
                let message = "a model needs a provider";
                self.error(id.span, message, "write `{name: …, provider: …, model: …}`");
            }
            return;
        }
        // The predecessor took any id in a sweep or a list of trials.
        let listed = wanted.len();
        let swept = root.get("sweep").and_then(|sweep| sweep.get("models")).map(Node::items).unwrap_or_default();
        wanted.extend(swept);
        let trials = root.get("trials").map(Node::items).unwrap_or_default();
        wanted.extend(trials.iter().filter_map(|trial| trial.get("model_id").or_else(|| trial.get("model"))));
        let Some(provider) = self.legacy_provider(root, providers) else { return };
        let aliases = root.get("model_aliases").map(Node::entries).unwrap_or_default();
        let mut places: BTreeMap<String, (String, Span)> = BTreeMap::new();
        for (position, node) in wanted.into_iter().enumerate() {
            let Some(text) = node.text() else { continue };
            let alias = aliases.iter().find(|entry| *entry.key == *text).and_then(|entry| entry.value.text());
            let id = alias.unwrap_or(text);
            if models.find(text).is_some() || models.find(id).is_some() {
                continue;
            }
            let named = aliases.iter().find(|entry| entry.value.text() == Some(id)).map(|entry| entry.key.to_string());
            let name = named.unwrap_or_else(|| short_name(id));
            if let Some((other, first)) = places.get(&name) {
                let message = format!("`{id}` and `{other}` have the same short name `{name}`");
                let found = Diagnostic::error(node.span, message).related(*first, "the first");
                self.found.push(found.remedy("tell them apart under `model_aliases: {short: id}`"));
                continue;
            }
            places.insert(name.clone(), (id.to_owned(), node.span));
            let is_base = base.is_none_or(|base| base.text() == Some(text) || base.text() == Some(id));
            let (model, overrides) = legacy_model(root, &provider, &name, id, is_base, node.span);
            models.overrides.insert(name.clone(), overrides);
            models.order.push(name.clone());
            models.aliases.insert(id.to_owned(), name.clone());
            for alias in aliases.iter().filter(|entry| entry.value.text() == Some(id)) {
                models.aliases.insert(alias.key.to_string(), name.clone());
            }
            models.configs.insert(name, model);
            if position < listed {
                models.listed = models.order.len();
            }
        }
    }

    /// Makes the provider that `backend` and its settings describe, unless one of that name is written.
    fn legacy_provider(
        &mut self,
        root: &Node,
        providers: &mut BTreeMap<String, ProviderConfig>,
    ) -> Option<ProviderConfig> {
        let node = root.get("backend");
        let backend = node.and_then(Node::text).unwrap_or("fireworks").to_ascii_lowercase();
        let at = node.map(|node| node.span).or(self.legacy).unwrap_or_default();
        let block = root.get("provider");
        let kind = match backend.as_str() {
            "fireworks" => ProviderKind::Fireworks,
            "local" => match root.text_at("local_engine").as_deref() {
                Some("ollama") => ProviderKind::Ollama,
                Some("llama_cpp") => ProviderKind::LlamaCpp,
                Some(_) => return None,
                None => {
                    self.error(
                        at,
                        "`backend: local` needs `local_engine`",
                        "write `local_engine: ollama` (or `llama_cpp`)",
                    );
                    return None;
                }
            },
            "alt" => {
                let name = block.and_then(|node| node.get("name"));
                match name.and_then(Node::text).map(str::to_ascii_lowercase).as_deref() {
                    None | Some("openai") => ProviderKind::OpenAi,
                    Some("anthropic") => ProviderKind::Anthropic,
                    Some(_) => {
                        self.unknown(name?, "provider of `backend: alt`", &["openai", "anthropic"]);
                        return None;
                    }
                }
            }
            _ => return None,
        };
        let name = kind.as_str();
        if let Some(written) = providers.get(name) {
            return Some(written.clone());
        }
        let mut provider = bare(name, kind, at);
        if backend != "local" {
            provider.mode = ProviderMode::Batch;
        }
        if let Some(endpoint) = root.get("local_endpoint").filter(|_| backend == "local") {
            // The predecessor asked no leave for http.
            provider.allow_http = true;
            provider.base_url = self.base_url(endpoint, true);
        }
        if let Some(block) = block {
            provider.account = block.text_at("account_id").filter(|_| kind == ProviderKind::Fireworks);
            self.overrides_of(block, kind, &mut provider);
        }
        providers.insert(name.to_owned(), provider.clone());
        Some(provider)
    }

    fn overrides_of(&mut self, block: &Node, kind: ProviderKind, provider: &mut ProviderConfig) {
        self.check_extra_body_of(block, "request_overrides");
        for entry in block.get("request_overrides").map(Node::entries).unwrap_or_default() {
            if &*entry.key != "cache_control" {
                provider.extra_body.insert(entry.key.to_string(), entry.value.json());
                continue;
            }
            let words = ["system", "enabled", "on", "true", "none", "disabled", "off", "false"];
            let is_known = entry.value.text().is_none_or(|text| words.contains(&text.to_ascii_lowercase().as_str()));
            if is_known && entry.value.items().is_empty() {
                self.note(entry.span, "`cache_control` has no effect: prompt caching does not decide an answer");
            } else {
                let message = "`cache_control` takes a mapping, or one of the words for on and off";
                self.error(entry.value.span, message, format!("known: {}", words.join(", ")));
            }
        }
        for key in ["batch", "batch_params"] {
            let window = block.get(key).and_then(|node| node.entry("completion_window"));
            if let Some(window) = window.filter(|_| kind == ProviderKind::Anthropic) {
                self.error(window.span, "Anthropic's batches have no `completion_window`", "take it out");
            }
        }
    }
}

/// Makes the model of an id, with what the provider's block says about it.
fn legacy_model(
    root: &Node,
    provider: &ProviderConfig,
    name: &str,
    id: &str,
    is_base: bool,
    at: Span,
) -> (ModelConfig, Overrides) {
    let block = root.get("provider");
    let local = root.text_at("backend").is_some_and(|backend| backend.eq_ignore_ascii_case("local"));
    let own = if local { root.text_at("local_model") } else { block.and_then(|node| node.text_at("model")) };
    let model = own.filter(|_| is_base).unwrap_or_else(|| id.to_owned());
    let mut decoding = BTreeMap::new();
    let mut overrides = Vec::new();
    for (key, field) in [("allow_temperature", "temperature"), ("allow_top_p", "top_p")] {
        let says_no = |node: Option<&Node>| node.and_then(|node| node.boolean_at(key)) == Some(false);
        if says_no(block) || says_no(block.and_then(|node| node.get("batch"))) {
            decoding.insert(field.to_owned(), Override::Unset);
            overrides.push((field, None));
        }
    }
    let batch_pricing = root.boolean_at("use_batch_api").unwrap_or(true);
    let table = block.and_then(|node| node.text_at("name")).unwrap_or_else(|| provider.name.clone());
    let key = block.and_then(|node| node.text_at("pricing_key")).filter(|_| is_base).unwrap_or_else(|| model.clone());
    let model = ModelConfig {
        name: name.to_owned(),
        provider: provider.name.clone(),
        price: price(root, &table, &key, batch_pricing),
        model,
        revision: None,
        price_as_of: None,
        batch_pricing,
        extra_body: BTreeMap::new(),
        num_ctx: None,
        max_context: None,
        sends_as: BTreeMap::new(),
        decoding,
        recordings: RecordingsByArm::new(),
        at: at.at,
    };
    (model, overrides)
}

/// Shortens a model's id: its last segment, with runs of other characters as one `-`.
fn short_name(id: &str) -> String {
    let last = id.trim_end_matches('/').rsplit('/').next().unwrap_or(id);
    let mut name = String::new();
    for c in last.chars() {
        let kept = if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
        if kept == c || !name.ends_with('-') {
            name.push(kept);
        }
    }
    name
}

/// Finds the price of a model: the provider's table, else the general rates if any are written.
fn price(root: &Node, provider: &str, key: &str, batch: bool) -> Option<Price> {
    let pricing = root.get("pricing")?;
    let find = |node: &'_ Node, key: &str| -> Option<usize> {
        let entries = node.entries();
        let exact = entries.iter().position(|entry| *entry.key == *key);
        exact.or_else(|| entries.iter().position(|entry| entry.key.eq_ignore_ascii_case(key)))
    };
    let general = Price {
        input: pricing.decimal_at("input_per_million").unwrap_or(Decimal::new(15, -2)),
        output: pricing.decimal_at("output_per_million").unwrap_or(Decimal::new(6, -1)),
        cached_input: None,
        cache_write: None,
        long_prompt: None,
        batch: Some(pricing.decimal_at("batch_discount").unwrap_or(Decimal::new(5, -1))),
    };
    let tables = pricing.get("providers").into_iter().chain([pricing]);
    let row = tables.into_iter().find_map(|tables| {
        let table = &tables.entries()[find(tables, provider)?].value;
        Some(&table.entries()[find(table, key)?].value)
    });
    let rates = |suffix: &str| {
        let rate = |side: &str| row.and_then(|row| row.decimal_at(&format!("{side}_per_mtok{suffix}")));
        Some((rate("input")?, rate("output")?))
    };
    if batch && let Some((input, output)) = rates("_batch") {
        // The rates of batches as they are: no factor on top.
        return Some(Price { input, output, batch: Some(Decimal::ONE), ..general });
    }
    if let Some((input, output)) = rates("") {
        let own = row.and_then(|row| row.decimal_at("batch_discount"));
        return Some(Price { input, output, batch: own.or(general.batch), ..general });
    }
    let is_general =
        ["input_per_million", "output_per_million", "batch_discount"].iter().any(|key| pricing.get(key).is_some());
    is_general.then_some(general)
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn names_are_short() {
        assert_eq!(short_name("accounts/fireworks/models/gpt-oss-120b"), "gpt-oss-120b");
        assert_eq!(short_name("a/b: c.d"), "b-c-d");
        assert_eq!(short_name("demo-20b"), "demo-20b");
    }
}
