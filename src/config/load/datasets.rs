//! Where the questions come from.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::super::tree::{Entry, Kind, Node};
use super::super::{
    AnswerConfig, Condition, DatasetConfig, DatasetFormat, Diagnostic, DuplicateIds, FieldMap, IfAbsent, Source,
    SourceFile, Span,
};
use super::Loader;
use super::loader::TextFile;
use super::scorers::pick;

/// Holds the texts before the built-in frames.
#[derive(Clone, Default)]
pub(super) struct Instructions {
    pub open: Option<SourceFile>,
    pub closed: Option<SourceFile>,
}

impl Loader<'_> {
    /// Reads `datasets:`, or finds the predecessor's prepared files.
    pub fn datasets(&mut self, root: &Node) -> BTreeMap<String, DatasetConfig> {
        let instructions = self.task_instructions(root);
        let Some(node) = root.get("datasets") else { return self.prepared_datasets(root, &instructions) };
        if let Some(sizes) = root.entry("sizes") {
            let message = "`sizes` has no effect beside `datasets`; write `max_items` on each dataset";
            self.found.push(Diagnostic::warning(sizes.span, message));
        }
        if node.entries().is_empty() && node.items().is_empty() && node.text().is_none() {
            self.error(node.span, "`datasets` names no dataset", "write `name: {path: FILE, fields: {…}}`");
        }
        let mut datasets = BTreeMap::new();
        for entry in node.entries() {
            if let Some(dataset) = self.dataset(entry, root, &instructions) {
                datasets.insert(entry.key.to_string(), dataset);
            }
        }
        datasets
    }

    fn task_instructions(&mut self, root: &Node) -> Instructions {
        let written = root.get("task_instructions");
        let mut text = |key: &str| -> Option<SourceFile> {
            if let Some(node) = written.and_then(|node| node.get(key)) {
                return Some(self.text_file(node.text()?, node.span, TextFile::Plain));
            }
            let path = format!("config/task_instructions/{key}.txt");
            let at = root.entry("task_instructions").map_or(Span::new(1, 1, 0), |entry| entry.span);
            let exists = self.files.kind(&self.resolve(&path)) != super::super::FileKind::Missing;
            exists.then(|| self.text_file(&path, at, TextFile::Plain))
        };
        Instructions { open: text("open_book"), closed: text("closed_book") }
    }

    fn dataset(&mut self, entry: &Entry, root: &Node, instructions: &Instructions) -> Option<DatasetConfig> {
        let node = &entry.value;
        if !matches!(node.kind, Kind::Mapping(_)) {
            return None;
        }
        let source = self.source(node, entry.span);
        let format = self.dataset_format(node, source.as_ref());
        let fields = self.fields(entry, format);
        let own =
            node.get("instructions").and_then(|file| Some(self.text_file(file.text()?, file.span, TextFile::Plain)));
        let user = node.get("user").and_then(|file| Some(self.text_file(file.text()?, file.span, TextFile::Template)));
        let answer = node.get("answer").and_then(|node| self.answer(node));
        let scorers = self.scorers(node.get("scorers"), root);
        let labels = self.labels(node.get("scorers"), &scorers);
        let mut dataset = DatasetConfig {
            source: source?,
            format: format?,
            fields,
            conditions: conditions(node.get("where")),
            split: node.text_at("split"),
            duplicate_ids: match node.text_at("duplicate_ids").as_deref() {
                Some("number") => DuplicateIds::Number,
                _ => DuplicateIds::Error,
            },
            max_items: node.integer_at("max_items"),
            max_items_by_label: BTreeMap::new(),
            open: node.text_at("book").map(|book| book == "open"),
            user,
            instructions_open: own.clone().or_else(|| instructions.open.clone()),
            instructions_closed: own.or_else(|| instructions.closed.clone()),
            answer,
            scorers,
            labels,
            externals: Vec::new(),
            // They are read once the models are known.
            judges: Vec::new(),
            pairwise: Vec::new(),
            max_output_tokens: node.integer_at("max_output_tokens"),
            at: entry.span.at,
        };
        dataset.externals = self.externals(node.get("scorers"), &dataset);
        Some(dataset)
    }

    fn dataset_format(&mut self, node: &Node, source: Option<&Source>) -> Option<DatasetFormat> {
        if let Some(written) = node.get("format") {
            return Some(match written.text()? {
                "jsonl" => DatasetFormat::Jsonl,
                "csv" => DatasetFormat::Csv,
                "tsv" => DatasetFormat::Tsv,
                "json" => DatasetFormat::Json,
                "squad" => DatasetFormat::Squad,
                "nq_open" => DatasetFormat::NqOpen,
                "triviaqa" => DatasetFormat::Triviaqa,
                "gsm8k" => DatasetFormat::Gsm8k,
                _ => return None,
            });
        }
        let place = node.entry("path").or_else(|| node.entry("url"))?;
        let name = match source? {
            Source::File(file) => file.written.as_str(),
            Source::Url { url, .. } => url.split(['?', '#']).next().unwrap_or_default(),
        };
        let format = match extension(name).as_deref() {
            Some("jsonl" | "ndjson") => DatasetFormat::Jsonl,
            Some("csv") => DatasetFormat::Csv,
            Some("tsv") => DatasetFormat::Tsv,
            Some("json") => DatasetFormat::Json,
            _ => {
                let message = format!("the layout of `{name}` cannot be told from its name");
                let remedy = "write `format:` (jsonl, csv, tsv, json, squad, nq_open, triviaqa or gsm8k)";
                self.error(place.value.span, message, remedy);
                return None;
            }
        };
        Some(format)
    }

    fn fields(&mut self, entry: &Entry, format: Option<DatasetFormat>) -> FieldMap {
        let node = &entry.value;
        let written = node.get("fields");
        let text = |key: &str| written.and_then(|fields| fields.text_at(key));
        let mut fields = FieldMap {
            id: text("id"),
            question: text("question"),
            answers: text("answers"),
            context: text("context"),
            group: text("group"),
            unanswerable: text("unanswerable"),
            dataset: text("dataset"),
        };
        if let Some(group) = node.entry("group") {
            let same = group.value.text() == fields.group.as_deref();
            if fields.group.is_some() && !same {
                let message = "`group` and `fields.group` name two different fields";
                self.error(group.span, message, "keep one of the two");
            }
            fields.group = group.value.text().map(str::to_owned);
        }
        let Some(format) = format else { return fields };
        let has_rows =
            matches!(format, DatasetFormat::Jsonl | DatasetFormat::Csv | DatasetFormat::Tsv | DatasetFormat::Json);
        if has_rows && written.is_none() {
            let message = format!("the dataset `{}` does not say which field of a row is what", entry.key);
            let remedy = "write `fields: {id: …, question: …, answers: …}`; a SQuAD, NQ-open, TriviaQA or GSM8K file needs \
                          `format:` instead";
            self.error(entry.span, message, remedy);
        }
        if !has_rows {
            for fixed in ["question", "answers", "context", "unanswerable"] {
                if let Some(field) = written.and_then(|fields| fields.entry(fixed)) {
                    let message = format!("the format of `{}` says itself where the {fixed} is", entry.key);
                    self.error(field.span, message, "take the field out, or name another format");
                }
            }
        }
        fields
    }

    pub fn answer(&mut self, node: &Node) -> Option<AnswerConfig> {
        let extract = node.get("extract")?;
        self.check_regex(extract, extract.text()?);
        Some(AnswerConfig {
            extract: extract.text()?.to_owned(),
            pick: pick(node.get("pick")),
            if_absent: match node.text_at("if_absent").as_deref() {
                Some("missing") => IfAbsent::Missing,
                _ => IfAbsent::Whole,
            },
        })
    }
}

/// Reads `where:`.
pub(super) fn conditions(node: Option<&Node>) -> Vec<Condition> {
    let entries = node.map(Node::entries).unwrap_or_default();
    let text = |node: &Node| match &node.kind {
        Kind::Scalar { .. } if node.is_null() => Some("null".to_owned()),
        Kind::Scalar { text, .. } => Some(text.to_string()),
        _ => None,
    };
    let condition = |entry: &Entry| {
        let (value, equals) = match entry.value.entries().iter().find(|inner| &*inner.key == "not") {
            Some(not) => (text(&not.value)?, false),
            None => (text(&entry.value)?, true),
        };
        Some(Condition { field: entry.key.to_string(), value, equals })
    };
    entries.iter().filter_map(condition).collect()
}

/// Returns the extension of a name in lower case.
pub(super) fn extension(name: &str) -> Option<String> {
    Utf8Path::new(name).extension().map(str::to_ascii_lowercase)
}
