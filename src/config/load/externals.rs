//! Executables that score.

use std::time::Duration;

use super::super::tree::Node;
use super::super::{DatasetConfig, ExternalConfig, SourceFile};
use super::Loader;

/// Is how long an executable may take for one part, where the config does not say.
const TIME_LIMIT: Duration = Duration::from_mins(10);

impl Loader<'_> {
    /// Reads the scorers by process among those of a dataset; `dataset` has all others but judges.
    pub fn externals(&mut self, node: Option<&Node>, dataset: &DatasetConfig) -> Vec<ExternalConfig> {
        let mut externals: Vec<ExternalConfig> = Vec::new();
        for item in node.map(Node::items).unwrap_or_default() {
            let [entry] = item.entries() else { continue };
            if &*entry.key != "external" {
                continue;
            }
            let Some(read) = self.external(&entry.value) else { continue };
            let mut names = dataset.scorers.iter().map(|other| &other.name);
            let mut people = dataset.labels.iter().map(|other| &other.name);
            if names.any(|name| *name == read.name)
                || people.any(|name| *name == read.name)
                || externals.iter().any(|other| other.name == read.name)
            {
                let message = format!("two scorers are called `{}`, and their metrics would be too", read.name);
                self.error(item.span, message, "name one: `external: {name: …}`");
            }
            externals.push(read);
        }
        externals
    }

    fn external(&mut self, set: &Node) -> Option<ExternalConfig> {
        let name = self.scorer_name(set, "external");
        let command = set.get("command")?;
        let Some((program, arguments)) = command.items().split_first() else {
            self.error(command.span, "`command` names no executable", "write `command: [scorers/mine.py]`");
            return None;
        };
        let program = self.data_file(program.text()?, program.span);
        let inputs = set.get("inputs").map(Node::items).unwrap_or_default();
        let mut files: Vec<SourceFile> = Vec::with_capacity(inputs.len());
        for node in inputs {
            let Some(text) = node.text() else { continue };
            let file = self.data_file(text, node.span);
            let place = ExternalConfig::place(&file);
            if std::iter::once(&program).chain(&files).any(|other| ExternalConfig::place(other) == place) {
                let message = format!("the executable would find two of its files as `{place}`");
                self.error(node.span, message, "give it the file under another path below the project");
            }
            files.push(file);
        }
        Some(ExternalConfig {
            name,
            program,
            arguments: arguments.iter().filter_map(|text| text.text().map(str::to_owned)).collect(),
            inputs: files,
            version: set.text_at("version"),
            environment: set.get("environment").map(Node::text_map).unwrap_or_default(),
            time_limit: self.span_of_time("time_limit", Some(set)).unwrap_or(TIME_LIMIT),
        })
    }
}
