//! The axes of a sweep, in both spellings.

use std::collections::BTreeMap;

use super::super::tree::Node;
use super::super::{Diagnostic, PromptSet, Span};
use super::Loader;
use super::base::{Base, limits_of, point, temperatures};
use super::decoding::{Draft, Setting};
use super::models::Models;

impl Loader<'_> {
    pub fn swept_models(&mut self, sweep: &Node, models: &Models) -> Vec<String> {
        let Some(node) = sweep.get("models").filter(|node| node.text() != Some("all")) else {
            return models.listed().to_vec();
        };
        let mut names = Vec::new();
        for item in node.items() {
            let Some(text) = item.text() else { continue };
            match models.find(text) {
                Some(name) => names.push(name.to_owned()),
                None => self.unknown(item, "model", &models.order.iter().map(String::as_str).collect::<Vec<_>>()),
            }
        }
        self.refuse_empty(node);
        names
    }

    pub fn swept_sets(&mut self, sweep: &Node, sets: &BTreeMap<String, PromptSet>, base: &Base) -> Vec<String> {
        let Some(node) = sweep.get("prompt_sets") else { return base.prompt_sets.clone() };
        if node.text() == Some("all") {
            return sets.keys().cloned().collect();
        }
        for item in node.items() {
            if item.text().is_some_and(|text| !sets.contains_key(text)) {
                self.unknown(item, "prompt set", &sets.keys().map(String::as_str).collect::<Vec<_>>());
            }
        }
        self.refuse_empty(node);
        node.texts()
    }

    /// Reports an axis with no point on it.
    pub fn refuse_empty(&mut self, node: &Node) {
        if node.text().is_none() && node.items().is_empty() {
            self.error(node.span, "an axis without points leaves no trial", "take it out for all");
        }
    }

    pub fn swept_points(&mut self, sweep: &Node, root: &Node, base: &Base) -> Vec<Draft> {
        let axes = ["temps", "top_p", "top_k", "max_new_tokens"];
        let axis = axes.iter().find_map(|key| sweep.entry(key));
        let Some(decoding) = sweep.entry("decoding") else { return self.legacy_axes(sweep, root, base) };
        if let Some(axis) = axis.or_else(|| root.entry("temps")) {
            let message = format!("`sweep.decoding` and `{}` both make decoding points", axis.key);
            let found = Diagnostic::error(axis.span.max(decoding.span), message);
            self.found.push(found.related(axis.span.min(decoding.span), "the other").remedy("keep one of the two"));
        }
        self.refuse_empty(&decoding.value);
        let mut points = Vec::new();
        let mut names: BTreeMap<String, Span> = BTreeMap::new();
        for item in decoding.value.items() {
            if let Some(name) = item.get("name").filter(|name| name.text().is_some()) {
                let text = name.text().unwrap_or_default().to_owned();
                if let Some(first) = names.get(&text) {
                    let found = Diagnostic::error(name.span, format!("two points are called `{text}`"));
                    self.found.push(found.related(*first, "the first").remedy("choose another name"));
                }
                names.insert(text, name.span);
            }
            points.push(point(item, base, &base.draft));
        }
        points
    }

    /// Makes the points of the predecessor's axes: top_p, top_k, open-book limit, closed-book limit, temperature.
    fn legacy_axes(&mut self, sweep: &Node, root: &Node, base: &Base) -> Vec<Draft> {
        let mut points = vec![base.draft.clone()];
        let mut spread = |key: &str, field: &'static str, of: fn(&Node) -> Option<Setting>| {
            let items = sweep.get(key).map(Node::items).unwrap_or_default();
            if !items.is_empty() {
                let settings: Vec<_> = items.iter().filter_map(|item| Some((of(item)?, item.span))).collect();
                points = points
                    .iter()
                    .flat_map(|point| {
                        settings.iter().map(|(setting, at)| {
                            let mut point = point.clone();
                            point.set(field, setting.clone(), *at);
                            point
                        })
                    })
                    .collect();
            }
        };
        spread("top_p", "top_p", |node| node.decimal().map(Setting::Number));
        spread("top_k", "top_k", |node| node.integer().map(Setting::Count));
        if let Some(limits) = sweep.entry("max_new_tokens") {
            let counts = |key: &str| -> Vec<u32> {
                let node = limits.value.get(key);
                let one = node.and_then(Node::integer).into_iter();
                one.chain(node.map(Node::items).unwrap_or_default().iter().filter_map(Node::integer)).collect()
            };
            let (opens, closeds) = (counts("open_book"), counts("closed_book"));
            let current = limits_of(&base.draft);
            let or = |list: Vec<u32>, one: u32| if list.is_empty() { vec![one] } else { list };
            let (opens, closeds) = (or(opens, current.0), or(closeds, current.1));
            points = points
                .iter()
                .flat_map(|point| opens.iter().map(move |open| (point, *open)))
                .flat_map(|(point, open)| closeds.iter().map(move |closed| (point, open, *closed)))
                .map(|(point, open, closed)| {
                    let mut point = point.clone();
                    point.set("max_output_tokens", Setting::ByBook { open, closed }, limits.span);
                    point
                })
                .collect();
        }
        let own = temperatures(sweep.get("temps"));
        let temps = if own.is_empty() { base.temps.clone() } else { own };
        let mut root = Some(root);
        // The same note for every point would be noise.
        points.iter().flat_map(|point| self.points(point, &temps, &base.samples, root.take())).collect()
    }
}
