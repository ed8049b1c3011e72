//! What the top level says on decoding, and the points it makes.

use std::collections::BTreeMap;

use super::super::tree::Node;
use super::super::{Diagnostic, PromptSet, Span};
use super::Loader;
use super::decoding::{Draft, Given, Setting, read_fields};
use crate::digest::Decimal;

/// Is the top level's say on decoding.
pub(super) struct Base {
    pub draft: Draft,
    /// Temperatures, one trial each; none where they are not an axis.
    pub temps: Vec<(Decimal, Span)>,
    pub samples: Samples,
    /// The prompt sets of a config that names none.
    pub prompt_sets: Vec<String>,
}

/// Holds draws by temperature, the first entry apart.
#[derive(Clone, Default)]
pub(super) struct Samples {
    pub by_temperature: BTreeMap<Decimal, u32>,
    pub first: Option<u32>,
}

impl Loader<'_> {
    /// Reads what the top level says on decoding, with the predecessor's defaults where they apply.
    pub fn base(&mut self, root: &Node, prompt_sets: &BTreeMap<String, PromptSet>) -> Base {
        let draws = root.integer_at("draws").unwrap_or(1);
        let mut draft = Draft { name: None, fields: BTreeMap::new(), draws };
        let mut defaults = Vec::new();
        let decoding = root.get("decoding");
        for (key, field) in [
            ("top_p", "top_p"),
            ("top_k", "top_k"),
            ("stop", "stop"),
            ("max_new_tokens", "max_output_tokens"),
            ("temps", "temperature"),
        ] {
            let new = decoding.and_then(|node| node.entry(field));
            if let (Some(old), Some(new)) = (root.entry(key), new) {
                let message = format!("`{key}` and `decoding.{field}` say the same thing");
                let found = Diagnostic::error(old.span.max(new.span), message);
                self.found.push(found.related(old.span.min(new.span), "the other").remedy("keep one of the two"));
            }
        }
        if let Some(at) = self.legacy {
            let mut imply = |field: &'static str, setting: Setting, text: &str| {
                draft.fields.insert(field, Given { setting, at, implied: true });
                let is_new = decoding.is_some_and(|node| node.get(field).is_some());
                let key = if field == "max_output_tokens" { "max_new_tokens" } else { field };
                if root.get(key).is_none() && !is_new {
                    defaults.push(text.to_owned());
                }
            };
            imply("top_p", Setting::Number(Decimal::ONE), "`top_p: 1.0`");
            imply("top_k", Setting::Count(50), "`top_k: 50`");
            imply("max_output_tokens", Setting::ByBook { open: 1024, closed: 1024 }, "`max_new_tokens: 1024`");
        }
        overlay_legacy(&mut draft, root);
        draft.overlay(&decoding.map(read_fields).unwrap_or_default());
        let samples = samples(root.get("samples_per_item"));
        let mut temps = temperatures(root.get("temps"));
        if root.get("temps").is_none() && root.get("samples_per_item").is_some() && draft.temperature().is_none() {
            let at = root.entry("samples_per_item").map_or(Span::default(), |entry| entry.span);
            temps = vec![(Decimal::ZERO, at), (Decimal::new(7, -1), at)];
            defaults.push("`temps: [0.0, 0.7]`".to_owned());
        }
        if let Some(at) = self.legacy.filter(|_| !defaults.is_empty()) {
            let list = defaults.join(", ");
            self.note(at, format!("the predecessor's defaults apply to what is not written: {list}"));
        }
        let chosen = root.get("default_prompt_set");
        if let Some(node) = chosen.filter(|node| node.text().is_some_and(|name| !prompt_sets.contains_key(name))) {
            self.unknown(node, "prompt set", &prompt_sets.keys().map(String::as_str).collect::<Vec<_>>());
        }
        let all: Vec<String> = prompt_sets.keys().cloned().collect();
        let prompt_sets = match chosen.and_then(Node::text) {
            Some(name) => vec![name.to_owned()],
            None if self.legacy.is_some() => all.iter().take(1).cloned().collect(),
            None => all.clone(),
        };
        let narrows = prompt_sets.len() < all.len();
        let swept = root.get("sweep").is_some_and(|sweep| sweep.get("prompt_sets").is_some());
        if let Some(at) = self.legacy.filter(|_| narrows && !swept && root.get("trials").is_none()) {
            let only = prompt_sets.join(", ");
            self.note(at, format!("only the prompt set `{only}` runs; `sweep: {{prompt_sets: all}}` runs every one"));
        }
        Base { draft, temps, samples, prompt_sets }
    }

    /// Makes one point for each temperature, with its draws. Temperatures without draws of their own are noted when
    /// `root` is given.
    pub fn points(
        &mut self,
        draft: &Draft,
        temps: &[(Decimal, Span)],
        samples: &Samples,
        root: Option<&Node>,
    ) -> Vec<Draft> {
        let mut points = Vec::new();
        let temps: Vec<_> = match (temps, draft.temperature()) {
            ([], None) => {
                let draws = samples.first.unwrap_or(draft.draws);
                return vec![Draft { draws, ..draft.clone() }];
            }
            ([], Some(one)) => vec![(one, None)],
            (many, _) => many.iter().map(|(temperature, at)| (*temperature, Some(*at))).collect(),
        };
        for (temperature, at) in temps {
            let mut point = draft.clone();
            if let Some(at) = at {
                point.set("temperature", Setting::Number(temperature), at);
            }
            if let Some(draws) = samples.by_temperature.get(&temperature) {
                point.draws = *draws;
            } else if let Some(first) = samples.first {
                point.draws = first;
                if let (Some(at), Some(_)) = (at, root) {
                    let message =
                        format!("`samples_per_item` has no entry for {temperature}: the first one's {first} applies");
                    self.note(at, message);
                }
            }
            points.push(point);
        }
        points
    }
}

/// Makes a point: fields over the top level's, a name, draws.
pub(super) fn point(node: &Node, base: &Base, over: &Draft) -> Draft {
    let mut point = over.clone();
    point.overlay(&read_fields(node));
    point.name = node.text_at("name");
    let by_temperature = || point.temperature().and_then(|t| base.samples.by_temperature.get(&t).copied());
    point.draws = node.integer_at("draws").or_else(by_temperature).unwrap_or(over.draws);
    point
}

/// Puts the predecessor's fields over those that are there; null leaves them.
pub(super) fn overlay_legacy(draft: &mut Draft, node: &Node) {
    for (key, of) in [
        ("top_p", (|node| node.decimal().map(Setting::Number)) as fn(&Node) -> Option<Setting>),
        ("top_k", |node| node.integer().map(Setting::Count)),
        ("stop", |node| Some(node.texts()).filter(|texts| !texts.is_empty()).map(Setting::Texts)),
    ] {
        if let Some(entry) = node.entry(key)
            && let Some(setting) = of(&entry.value)
        {
            draft.set(key, setting, entry.span);
        }
    }
    if let Some(entry) = node.entry("max_new_tokens") {
        let (open, closed) = limits_of(draft);
        let open = entry.value.integer_at("open_book").unwrap_or(open);
        let closed = entry.value.integer_at("closed_book").unwrap_or(closed);
        draft.set("max_output_tokens", Setting::ByBook { open, closed }, entry.span);
    }
}

/// Returns the limits of a draft, open-book and closed-book; the predecessor's 1024 where there is none.
pub(super) fn limits_of(draft: &Draft) -> (u32, u32) {
    match draft.fields.get("max_output_tokens").map(|given| &given.setting) {
        Some(Setting::ByBook { open, closed }) => (*open, *closed),
        Some(Setting::Count(count)) => (*count, *count),
        _ => (1024, 1024),
    }
}

pub(super) fn temperatures(node: Option<&Node>) -> Vec<(Decimal, Span)> {
    let items = node.map(Node::items).unwrap_or_default();
    items.iter().filter_map(|item| Some((item.decimal()?, item.span))).collect()
}

pub(super) fn samples(node: Option<&Node>) -> Samples {
    let mut samples = Samples::default();
    for entry in node.map(Node::entries).unwrap_or_default() {
        let (Ok(temperature), Some(draws)) = (entry.key.parse::<Decimal>(), entry.value.integer::<u32>()) else {
            continue;
        };
        samples.first.get_or_insert(draws);
        samples.by_temperature.insert(temperature, draws);
    }
    samples
}
