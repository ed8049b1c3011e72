//! What `replay` answers from.

use std::collections::{BTreeMap, BTreeSet};

use super::super::tree::{Entry, Node};
use super::super::{
    DatasetConfig, Diagnostic, ModelConfig, PromptSet, ProviderConfig, ProviderKind, RecordingFormat, RecordingMapping,
    RecordingsByArm, RecordingsConfig, Span, TrialConfig,
};
use super::Loader;
use super::datasets::{conditions, extension};
use super::models::{Models, dataset_names};
use super::providers::suggest;

impl Loader<'_> {
    /// Reads `recordings:` of a model. `treatment` stands for every prompt set without an entry of its own.
    pub fn recordings(
        &mut self,
        node: &Node,
        root: &Node,
        prompt_sets: &BTreeMap<String, PromptSet>,
    ) -> RecordingsByArm {
        let mut all = RecordingsByArm::new();
        let known: Vec<String> = dataset_names(root);
        for dataset in node.entries() {
            if !known.iter().any(|name| **name == *dataset.key) {
                self.has_bad_recordings = true;
                let found = Diagnostic::error(dataset.span, format!("no dataset is called `{}`", dataset.key));
                let found = suggest(found, &dataset.key, known.iter().map(String::as_str));
                self.found.push(found.remedy(format!("known: {}", known.join(", "))));
            }
            let arms = self.recordings_of(dataset, prompt_sets);
            all.insert(dataset.key.to_string(), arms);
        }
        all
    }

    fn recordings_of(
        &mut self,
        dataset: &Entry,
        prompt_sets: &BTreeMap<String, PromptSet>,
    ) -> BTreeMap<String, RecordingsConfig> {
        let mut arms = BTreeMap::new();
        let mut treatment = None;
        for arm in dataset.value.entries() {
            let Some(recordings) = self.recording(arm) else {
                self.has_bad_recordings = true;
                continue;
            };
            if &*arm.key == "treatment" && !prompt_sets.contains_key("treatment") {
                treatment = Some(recordings);
            } else {
                if &*arm.key != "control" && !prompt_sets.contains_key(&*arm.key) {
                    self.has_bad_recordings = true;
                    let known: Vec<_> =
                        ["control", "treatment"].into_iter().chain(prompt_sets.keys().map(String::as_str)).collect();
                    let found = Diagnostic::error(arm.span, format!("no arm is called `{}`", arm.key));
                    let found = suggest(found, &arm.key, known.iter().copied());
                    self.found.push(found.remedy(format!("known: {}", known.join(", "))));
                }
                arms.insert(arm.key.to_string(), recordings);
            }
        }
        if let Some(treatment) = treatment {
            for set in prompt_sets.keys() {
                arms.entry(set.clone()).or_insert_with(|| treatment.clone());
            }
        }
        arms
    }

    fn recording(&mut self, arm: &Entry) -> Option<RecordingsConfig> {
        let node = &arm.value;
        let path = node.get("path")?;
        let source = self.data_file(path.text()?, path.span);
        let fields = node.get("fields");
        let field = |key: &str| fields.and_then(|fields| fields.text_at(key));
        let format = match node.text_at("format").as_deref() {
            Some("jsonl") => RecordingFormat::Jsonl,
            Some("csv") => RecordingFormat::Csv,
            Some("tsv") => RecordingFormat::Tsv,
            Some("json") => RecordingFormat::Json,
            Some("json_map") => RecordingFormat::JsonMap,
            Some(_) => return None,
            None => match extension(&source.written).as_deref() {
                Some("jsonl" | "ndjson") => RecordingFormat::Jsonl,
                Some("csv") => RecordingFormat::Csv,
                Some("tsv") => RecordingFormat::Tsv,
                Some("json") if field("key").is_some() => RecordingFormat::Json,
                Some("json") => RecordingFormat::JsonMap,
                _ => {
                    let message = format!("the layout of `{}` cannot be told from its name", source.written);
                    self.error(path.span, message, "write `format:` (jsonl, csv, tsv, json or json_map)");
                    return None;
                }
            },
        };
        let join = node.text_at("join").unwrap_or_else(|| "id".to_owned());
        let is_map = format == RecordingFormat::JsonMap;
        if !is_map && field("text").is_none() {
            let at = node.entry("fields").map_or(arm.span, |entry| entry.span);
            let message = "the recordings do not say which field is the answer";
            self.error(at, message, "write `fields: {key: …, text: …}`");
        }
        if is_map {
            for entry in fields.map(Node::entries).unwrap_or_default() {
                let message = "a JSON object from key to text has no fields";
                self.error(entry.span, message, "take `fields` out, or write `format: json` for an array of objects");
            }
        }
        let mapping = RecordingMapping {
            format,
            key: if is_map { None } else { Some(field("key").unwrap_or_else(|| join.clone())) },
            join,
            text: field("text"),
            join_lists: node.text_at("join_lists"),
            conditions: conditions(node.get("where")),
            input_tokens: field("input_tokens"),
            output_tokens: field("output_tokens"),
        };
        Some(RecordingsConfig { source, mapping })
    }

    /// Reports replayed trials that have no recordings at all for a dataset and arm.
    pub fn check_recordings(
        &mut self,
        models: &Models,
        providers: &BTreeMap<String, ProviderConfig>,
        datasets: &BTreeMap<String, DatasetConfig>,
        trials: &[TrialConfig],
    ) {
        let mut lacking: BTreeSet<(&str, &str, &str)> = BTreeSet::new();
        for trial in trials.iter().filter(|_| !self.has_bad_recordings) {
            let Some(model) = models.configs.get(&trial.model) else { continue };
            if !is_replay(model, providers) {
                continue;
            }
            for (dataset, config) in datasets {
                let recorded = model.recordings.get(dataset);
                for arm in ["control", trial.prompt_set.as_str()] {
                    if config.max_items != Some(0) && !recorded.is_some_and(|arms| arms.contains_key(arm)) {
                        lacking.insert((&model.name, dataset, arm));
                    }
                }
            }
        }
        for (model, dataset, arm) in lacking {
            let at = models.configs.get(model).map(|model| model.at).unwrap_or_default();
            let message = format!("the model `{model}` has no recordings for `{dataset}`, arm `{arm}`");
            let remedy = format!("write `recordings: {{{dataset}: {{{arm}: {{path: …}}}}}}` on the model");
            self.error(Span { at, length: 1 }, message, remedy);
        }
    }
}

pub(super) fn is_replay(model: &ModelConfig, providers: &BTreeMap<String, ProviderConfig>) -> bool {
    providers.get(&model.provider).is_some_and(|provider| provider.kind == ProviderKind::Replay)
}
