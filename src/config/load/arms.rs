//! The control and the prompt sets.

use std::collections::BTreeMap;

use super::super::tree::{Entry, Node};
use super::super::{ArmConfig, DatasetConfig, DatasetFormat, Diagnostic, FieldMap, PromptSet, SourceFile, Span};
use super::Loader;
use super::loader::TextFile;

impl Loader<'_> {
    /// Reads a recipe: null, a system prompt's path, or a mapping.
    pub fn arm(&mut self, node: &Node) -> ArmConfig {
        if let Some(path) = node.text() {
            return ArmConfig {
                system: Some(self.text_file(path, node.span, TextFile::Plain)),
                ..ArmConfig::default()
            };
        }
        let mut file = |key: &str, what: TextFile| -> Option<SourceFile> {
            let value = node.get(key)?;
            Some(self.text_file(value.text()?, value.span, what))
        };
        let arm = ArmConfig {
            system: file("system", TextFile::Plain),
            user: file("user", TextFile::Template),
            examples: file("examples", TextFile::Plain),
            messages: file("messages", TextFile::Plain),
            prefill: file("prefill", TextFile::Plain),
            draw_salt: node.text_at("draw_salt"),
        };
        if let Some(messages) = node.entry("messages") {
            for key in ["system", "user", "examples"] {
                if let Some(other) = node.entry(key) {
                    let message = format!("`messages` is the whole conversation, and `{key}` stands beside it");
                    let found = Diagnostic::error(other.span, message).related(messages.span, "the conversation");
                    self.found.push(found.remedy("keep one of the two"));
                }
            }
        }
        arm
    }

    /// Reads the prompt sets, each with the control it is compared against.
    pub fn prompt_sets(&mut self, root: &Node, control: Option<&ArmConfig>) -> BTreeMap<String, PromptSet> {
        let mut sets = BTreeMap::new();
        if let Some(written) = root.get("prompt_sets") {
            if written.entries().is_empty() && written.text().is_none() && written.items().is_empty() {
                self.error(written.span, "`prompt_sets` names no prompt set", "write `name: path/to/system.txt`");
            }
            for entry in written.entries() {
                sets.insert(entry.key.to_string(), self.prompt_set(entry, control));
            }
            return sets;
        }
        if let Some(at) = self.legacy {
            let message = "without `prompt_sets`, the predecessor's pair applies: `config/prompts/control_system.txt` and \
                           `config/prompts/treatment_system.txt`";
            self.note(at, message);
            let mut arm = |path| {
                let system = Some(self.text_file(path, at, TextFile::Plain));
                ArmConfig { system, ..ArmConfig::default() }
            };
            let treatment = arm("config/prompts/treatment_system.txt");
            let control = control.cloned().unwrap_or_else(|| arm("config/prompts/control_system.txt"));
            sets.insert("default".to_owned(), PromptSet { control, treatment });
        } else {
            let message = "the config has no `prompt_sets`: nothing is tried";
            self.error(Span::new(1, 1, 0), message, "write `prompt_sets: {name: path/to/system.txt}`");
        }
        sets
    }

    fn prompt_set(&mut self, entry: &Entry, control: Option<&ArmConfig>) -> PromptSet {
        if &*entry.key == "control" {
            let message = "a prompt set cannot be called `control`, which is the name of the other arm";
            self.error(entry.span, message, "choose another name");
        }
        let node = &entry.value;
        if node.text().is_some() {
            let treatment = self.arm(node);
            return PromptSet { control: self.shared_control(entry, control), treatment };
        }
        let treatment = node.get("treatment").map(|node| self.arm(node)).unwrap_or_default();
        let own = node.entries().iter().find(|inner| &*inner.key == "control");
        let control = match own {
            Some(own) => self.arm(&own.value),
            None => self.shared_control(entry, control),
        };
        PromptSet { control, treatment }
    }

    fn shared_control(&mut self, entry: &Entry, control: Option<&ArmConfig>) -> ArmConfig {
        if control.is_none() {
            let message = format!("the prompt set `{}` has nothing to be compared against", entry.key);
            let remedy =
                "write `control: path/to/system.txt` at the top level, or `control: null` for no system message";
            self.error(entry.span, message, remedy);
        }
        control.cloned().unwrap_or_default()
    }

    /// Reports datasets whose built-in frame has no question to ask.
    pub fn check_questions(
        &mut self,
        datasets: &BTreeMap<String, DatasetConfig>,
        prompt_sets: &BTreeMap<String, PromptSet>,
    ) {
        let frames = |arm: &ArmConfig| arm.user.is_none() && arm.messages.is_none();
        let needs_question = prompt_sets.values().any(|set| frames(&set.control) || frames(&set.treatment));
        for (name, dataset) in datasets {
            let rows = matches!(
                dataset.format,
                DatasetFormat::Jsonl | DatasetFormat::Csv | DatasetFormat::Tsv | DatasetFormat::Json
            );
            let is_mapped = dataset.fields != FieldMap::default();
            if rows && is_mapped && needs_question && dataset.user.is_none() && dataset.fields.question.is_none() {
                let at = Span { at: dataset.at, length: name.chars().count() as u32 };
                let message = format!("the dataset `{name}` names neither a question nor a `user` template");
                self.error(at, message, "write `fields: {question: FIELD}`, or `user: path/to/template.txt`");
            }
        }
    }
}
