//! Scorers and their settings.

use super::super::tree::Node;
use super::super::{
    Diagnostic, GoldOption, JsonMatch, LabelFields, LabelReading, LabelRule, LabelsConfig, Options, Pick,
    RecordingFormat, ScorerConfig, ScorerSettings, Support,
};
use super::Loader;
use super::datasets::extension;
use super::providers::suggest;
use crate::digest::Decimal;

/// Lists the scorers of a kind that have settings, of all datasets: the dataset's name, the scorer as it stands in the list, and
/// its settings.
pub(super) fn of_kind<'n>(root: &'n Node, kind: &str) -> impl Iterator<Item = (&'n str, &'n Node, &'n Node)> {
    let datasets = root.get("datasets").map(Node::entries).unwrap_or_default();
    datasets.iter().flat_map(move |dataset| {
        let items = dataset.value.get("scorers").map(Node::items).unwrap_or_default();
        items.iter().filter_map(move |item| match item.entries() {
            [scorer] if &*scorer.key == kind => Some((&*dataset.key, item, &scorer.value)),
            _ => None,
        })
    })
}

impl Loader<'_> {
    /// Reads the scorers of a dataset; absent, it is `qa`.
    pub fn scorers(&mut self, node: Option<&Node>, root: &Node) -> Vec<ScorerConfig> {
        let Some(node) = node else { return vec![Self::default_scorer(root)] };
        if matches!(&node.kind, super::super::tree::Kind::Sequence(items) if items.is_empty()) {
            self.error(node.span, "`scorers` is empty", "take it out for the default, `[qa]`");
        }
        let mut scorers: Vec<ScorerConfig> = Vec::new();
        let mut places = Vec::new();
        for item in node.items() {
            let Some(scorer) = self.scorer(item, root) else { continue };
            if let Some(first) = scorers.iter().position(|other| other.name == scorer.name) {
                let message = format!("two scorers are called `{}`, and their metrics would be too", scorer.name);
                let found = Diagnostic::error(item.span, message).related(places[first], "the first");
                let kind = kind_of(&scorer.settings);
                self.found.push(found.remedy(format!("name one: `{kind}: {{name: …}}`")));
            }
            scorers.push(scorer);
            places.push(item.span);
        }
        scorers
    }

    /// Reads the scorers by people among those of a dataset; `others` are the rest.
    pub fn labels(&mut self, node: Option<&Node>, others: &[ScorerConfig]) -> Vec<LabelsConfig> {
        let mut labels: Vec<LabelsConfig> = Vec::new();
        for item in node.map(Node::items).unwrap_or_default() {
            let [entry] = item.entries() else { continue };
            if &*entry.key != "labels" {
                continue;
            }
            let Some(read) = self.labels_of(&entry.value) else { continue };
            if others.iter().any(|other| other.name == read.name) || labels.iter().any(|other| other.name == read.name)
            {
                let message = format!("two scorers are called `{}`, and their metrics would be too", read.name);
                self.error(item.span, message, "name one: `labels: {name: …}`");
            }
            labels.push(read);
        }
        labels
    }

    fn labels_of(&mut self, set: &Node) -> Option<LabelsConfig> {
        let path = set.get("path")?;
        let source = self.data_file(path.text()?, path.span);
        let format = match set.text_at("format").or_else(|| extension(&source.written)).as_deref() {
            Some("jsonl" | "ndjson") => RecordingFormat::Jsonl,
            Some("csv") => RecordingFormat::Csv,
            Some("tsv") => RecordingFormat::Tsv,
            Some("json") => RecordingFormat::Json,
            _ => {
                let message = format!("the layout of `{}` cannot be told from its name", source.written);
                self.error(path.span, message, "write `format:` (jsonl, csv, tsv or json)");
                return None;
            }
        };
        let fields = set.get("fields");
        let field = |key: &str| fields.and_then(|fields| fields.text_at(key)).unwrap_or_else(|| key.to_owned());
        let fields = LabelFields {
            item: field("item"),
            model: field("model"),
            arm: field("arm"),
            draw: field("draw"),
            answer: field("answer"),
            rater: field("rater"),
            verdict: field("verdict"),
        };
        let values = set.get("values").map(Node::entries).unwrap_or_default();
        let values = values.iter().filter_map(|entry| Some((entry.key.trim().to_owned(), entry.value.decimal()?)));
        let rule = match set.text_at("rule").as_deref() {
            Some("mean") => LabelRule::Mean,
            _ => LabelRule::Majority,
        };
        let name = self.scorer_name(set, "labels");
        let reading = LabelReading { format, fields, values: values.collect(), rule };
        Some(LabelsConfig { name, source, reading })
    }

    /// Reads the name of a scorer; absent, it is that of its kind.
    pub fn scorer_name(&mut self, set: &Node, kind: &str) -> String {
        let name = set.text_at("name").unwrap_or_else(|| kind.to_owned());
        if let Some(written) = set.get("name")
            && !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        {
            let message = "the name of a scorer becomes part of the names of metrics: letters, digits, `_` and `-`";
            self.error(written.span, message, "choose another name");
        }
        name
    }

    fn scorer(&mut self, item: &Node, root: &Node) -> Option<ScorerConfig> {
        let empty = Node { kind: super::super::tree::Kind::Mapping(Vec::new()), span: item.span };
        if let Some(kind) = item.text() {
            return self.scorer_of(kind, &empty, item, root);
        }
        match item.entries() {
            // What people, processes and models say is read apart.
            [only] if matches!(&*only.key, "labels" | "external" | "judge" | "judge_pairwise") => None,
            [only] => {
                let settings = if only.value.is_null() { &empty } else { &only.value };
                self.scorer_of(&only.key, settings, item, root)
            }
            [] => None,
            [_, second, ..] => {
                let message = "an entry of `scorers` is one scorer";
                self.error(second.span, message, "write a `-` before each scorer, and indent its settings below it");
                None
            }
        }
    }

    fn scorer_of(&mut self, kind: &str, set: &Node, item: &Node, root: &Node) -> Option<ScorerConfig> {
        let zero = Decimal::ZERO;
        let truth = |key: &str, default: bool| set.boolean_at(key).unwrap_or(default);
        let settings = match kind {
            "squad" => ScorerSettings::Squad {},
            "qa" => {
                let ScorerSettings::Qa { support, threshold, min_token_overlap } = Self::default_scorer(root).settings
                else {
                    return None;
                };
                ScorerSettings::Qa {
                    support: match set.text_at("support").as_deref() {
                        Some("overlap") => Support::Overlap,
                        Some(_) => Support::Baseline,
                        None => support,
                    },
                    threshold: set.decimal_at("threshold").unwrap_or(threshold),
                    min_token_overlap: set.decimal_at("min_token_overlap").unwrap_or(min_token_overlap),
                }
            }
            "includes" => {
                ScorerSettings::Includes { ignore_case: truth("ignore_case", true), words: truth("words", true) }
            }
            "exact" => ScorerSettings::Exact { ignore_case: truth("ignore_case", false), trim: truth("trim", true) },
            "numeric" => ScorerSettings::Numeric {
                pick: pick(set.get("pick")),
                tolerance: set.decimal_at("tolerance").unwrap_or(zero),
                relative_tolerance: set.decimal_at("relative_tolerance").unwrap_or(zero),
            },
            "regex" => {
                let Some(pattern) = set.get("pattern") else {
                    if item.text().is_some() {
                        let message = "the scorer `regex` needs a pattern";
                        self.error(item.span, message, "write `regex: {pattern: '…'}`");
                    }
                    return None;
                };
                // Any text may stand for the answer: only the pattern around it is judged.
                self.check_regex(pattern, &pattern.text()?.replace("{{answer}}", "x"));
                ScorerSettings::Regex { pattern: pattern.text()?.to_owned(), full: truth("full", false) }
            }
            "choice" => {
                let Some(options) = set.get("options") else {
                    if item.text().is_some() {
                        let message = "the scorer `choice` needs the options";
                        self.error(item.span, message, "write `choice: {options: [first, second]}`, or name a field");
                    }
                    return None;
                };
                ScorerSettings::Choice {
                    options: self.options(options)?,
                    gold: match set.text_at("gold").as_deref() {
                        Some("index") => GoldOption::Index,
                        Some("number") => GoldOption::Number,
                        _ => GoldOption::TextOrLetter,
                    },
                }
            }
            "json" => ScorerSettings::Json {
                compare: match set.text_at("compare").as_deref() {
                    Some("subset") => JsonMatch::Subset,
                    _ => JsonMatch::Equal,
                },
                paths: set
                    .get("paths")
                    .map_or(&[][..], Node::items)
                    .iter()
                    .filter_map(|path| Some(path.text()?.to_owned()))
                    .collect(),
                ignore_case: truth("ignore_case", false),
            },
            _ => return None,
        };
        let name = self.scorer_name(set, kind);
        Some(ScorerConfig { name, settings })
    }

    /// Reads the options of `choice`: a list, or the field that lists them.
    fn options(&mut self, node: &Node) -> Option<Options> {
        if let Some(field) = node.text() {
            return Some(Options::Field(field.to_owned()));
        }
        let texts: Vec<String> = node.items().iter().filter_map(|item| Some(item.text()?.to_owned())).collect();
        if !(2..=26).contains(&texts.len()) {
            let message = format!("there are {} options; each has a letter, and there is one to choose", texts.len());
            self.error(node.span, message, "list 2 to 26 of them");
            return None;
        }
        for (at, item) in node.items().iter().enumerate() {
            let text = item.text().unwrap_or_default().trim().to_lowercase();
            if text.is_empty() || texts[..at].iter().any(|other| other.trim().to_lowercase() == text) {
                let message = "an option is empty, or there twice";
                self.error(item.span, message, "give each option a text of its own; case does not tell them apart");
            }
        }
        Some(Options::Fixed(texts))
    }

    /// Returns the default scorer, with the predecessor's `unsupported:` where it is written.
    fn default_scorer(root: &Node) -> ScorerConfig {
        let legacy = root.get("unsupported");
        let setting = |key: &str| legacy.and_then(|node| node.decimal_at(key));
        let threshold = setting("threshold").or_else(|| root.decimal_at("unsupported_threshold"));
        let support = match legacy.and_then(|node| node.text_at("strategy")).as_deref() {
            Some("overlap") => Support::Overlap,
            _ => Support::Baseline,
        };
        let settings = ScorerSettings::Qa {
            support,
            threshold: threshold.unwrap_or(Decimal::new(5, -1)),
            min_token_overlap: setting("min_token_overlap").unwrap_or(Decimal::new(6, -1)),
        };
        ScorerConfig { name: "qa".to_owned(), settings }
    }

    /// Reports a regular expression that is none.
    pub fn check_regex(&mut self, node: &Node, pattern: &str) {
        if let Err(error) = regex::Regex::new(pattern) {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let remedy = "look-around and back-references are not supported; in YAML, single quotes keep backslashes";
            self.error(node.span, format!("this is not a regular expression: {last}"), remedy);
        }
    }

    /// Reports a name that is not among the known ones.
    pub fn unknown(&mut self, node: &Node, what: &str, known: &[&str]) {
        let text = node.text().unwrap_or_default();
        let found = Diagnostic::error(node.span, format!("no {what} is called `{text}`"));
        let found = suggest(found, text, known.iter().copied());
        let remedy =
            if known.is_empty() { format!("there is no {what}") } else { format!("known: {}", known.join(", ")) };
        self.found.push(found.remedy(remedy));
    }
}

/// Reads `pick:`.
pub(super) fn pick(node: Option<&Node>) -> Pick {
    match node.and_then(Node::text) {
        Some("first") => Pick::First,
        _ => Pick::Last,
    }
}

fn kind_of(settings: &ScorerSettings) -> &'static str {
    match settings {
        ScorerSettings::Squad {} => "squad",
        ScorerSettings::Qa { .. } => "qa",
        ScorerSettings::Includes { .. } => "includes",
        ScorerSettings::Exact { .. } => "exact",
        ScorerSettings::Numeric { .. } => "numeric",
        ScorerSettings::Regex { .. } => "regex",
        ScorerSettings::Choice { .. } => "choice",
        ScorerSettings::Json { .. } => "json",
    }
}
