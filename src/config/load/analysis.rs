//! What is tested, in both spellings.

use std::collections::BTreeMap;

use super::super::tree::Node;
use super::super::{
    Analysis, DatasetConfig, Diagnostic, Multiplicity, OptionalAnalyses, OutcomeRule, Outcomes, ZeroRule,
};
use super::Loader;
use super::models::dataset_names;
use super::providers::suggest;
use crate::digest::Decimal;

impl Loader<'_> {
    /// Reads `analysis:`, and `stats:` where it says nothing.
    pub fn analysis(&mut self, root: &Node, datasets: &BTreeMap<String, DatasetConfig>) -> Analysis {
        let new = root.get("analysis");
        let old = root.get("stats");
        let decimal = |node: Option<&Node>, key: &str| node.and_then(|node| node.decimal_at(key));
        let count = |node: Option<&Node>, key: &str| node.and_then(|node| node.integer_at::<u32>(key));
        let truth = |key: &str| old.and_then(|node| node.boolean_at(key));
        let is_old = old.is_some() || self.legacy.is_some();
        let alpha = decimal(new, "alpha").or_else(|| decimal(old, "tost_alpha")).unwrap_or(Decimal::new(5, -2));
        if alpha == Decimal::ZERO || alpha == Decimal::ONE {
            let written =
                new.and_then(|node| node.get("alpha")).or_else(|| old.and_then(|node| node.get("tost_alpha")));
            if let Some(node) = written {
                self.error(node.span, "a level of tests lies between 0 and 1, both excluded", "write 0.05, say");
            }
        }
        let by_default = match (truth("enable_fdr"), is_old) {
            (Some(false), _) => Multiplicity::None,
            (_, true) => Multiplicity::BenjaminiHochberg,
            (_, false) => Multiplicity::Holm,
        };
        let multiplicity = match new.and_then(|node| node.text_at("multiplicity")).as_deref() {
            Some("bonferroni") => Multiplicity::Bonferroni,
            Some("sidak") => Multiplicity::Sidak,
            Some("hochberg") => Multiplicity::Hochberg,
            Some("hommel") => Multiplicity::Hommel,
            Some("bh" | "benjamini_hochberg") => Multiplicity::BenjaminiHochberg,
            Some("by" | "benjamini_yekutieli") => Multiplicity::BenjaminiYekutieli,
            Some("none") => Multiplicity::None,
            Some(_) => Multiplicity::Holm,
            None => by_default,
        };
        let permutations = count(new, "permutation_samples").or_else(|| {
            if truth("enable_permutation") == Some(false) { Some(0) } else { count(old, "permutation_samples") }
        });
        let has_group = datasets.values().any(|dataset| dataset.fields.group.is_some());
        let cluster = new.and_then(|node| node.get("cluster"));
        if let Some(node) = cluster.filter(|node| node.text() == Some("group") && !has_group && !datasets.is_empty()) {
            let message = "`cluster: group`, and no dataset has a `group`";
            self.error(node.span, message, "write `group: FIELD` on a dataset, or `cluster: none`");
        }
        let margins = |node: Option<&Node>, key: &str| -> Option<BTreeMap<String, Decimal>> {
            let entries = node?.get(key)?.entries();
            Some(entries.iter().filter_map(|entry| Some((entry.key.to_string(), entry.value.decimal()?))).collect())
        };
        let old_margins = || {
            let margin = Decimal::new(1, -2);
            BTreeMap::from([("em".to_owned(), margin), ("f1".to_owned(), margin)])
        };
        let primary = new.and_then(|node| node.get("primary"));
        for metric in primary.map(Node::items).unwrap_or_default() {
            self.check_metric(metric, root);
        }
        Analysis {
            primary: primary.map(Node::texts).unwrap_or_default(),
            alpha,
            multiplicity,
            bootstrap_samples: count(new, "bootstrap_samples")
                .or_else(|| count(old, "bootstrap_samples"))
                .unwrap_or(5000),
            permutation_samples: permutations.unwrap_or(5000),
            random_seed: new
                .and_then(|node| node.integer_at("seed"))
                .or_else(|| old.and_then(|node| node.integer_at("random_seed")))
                .unwrap_or(1337),
            cluster: cluster.and_then(Node::text).map_or(has_group, |text| text == "group"),
            margins: margins(new, "margins")
                .or_else(|| margins(old, "tost_margins"))
                .unwrap_or_else(|| if is_old { old_margins() } else { BTreeMap::new() }),
            risk_thresholds: risk_thresholds(new, old),
            wilcoxon_zeros: match new.and_then(|node| node.text_at("wilcoxon_zeros")).as_deref() {
                Some("pratt") => ZeroRule::Pratt,
                Some("zsplit") => ZeroRule::Zsplit,
                _ => ZeroRule::Wilcox,
            },
            subgroups: self.subgroups(new),
            power: self.power(new),
            targets: targets(new),
        }
    }

    fn subgroups(&mut self, new: Option<&Node>) -> Vec<String> {
        let Some(node) = new.and_then(|node| node.get("subgroups")) else { return Vec::new() };
        let mut names = node.texts();
        names.sort();
        if let Some(name) = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| &pair[0]) {
            self.error(node.span, format!("`{name}` is named twice"), "name each field once");
        }
        names.dedup();
        names
    }

    fn power(&mut self, new: Option<&Node>) -> Decimal {
        let default = Analysis::default().power;
        let Some(node) = new.and_then(|node| node.get("power")) else { return default };
        let power = node.decimal().unwrap_or(default);
        if power == Decimal::ZERO || power == Decimal::ONE {
            self.error(node.span, "a power lies between 0 and 1, both excluded", "write 0.8, say");
        }
        power
    }

    fn check_metric(&mut self, node: &Node, root: &Node) {
        let Some(text) = node.text() else { return };
        let known = dataset_names(root);
        if !known.iter().any(|name| text.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'))) {
            let message = format!("`{text}` is not `dataset.metric` of a dataset of this config");
            let dataset = text.split('.').next().unwrap_or_default();
            let found = suggest(Diagnostic::error(node.span, message), dataset, known.iter().map(String::as_str));
            self.found.push(found.remedy(format!("datasets: {}", known.join(", "))));
        }
    }

    /// Reads `outcomes:`.
    pub fn outcomes(root: &Node) -> Outcomes {
        let default = Outcomes::default();
        let Some(node) = root.get("outcomes") else { return default };
        let rule = |key: &str, default: OutcomeRule| match node.text_at(key).as_deref() {
            Some("wrong") => OutcomeRule::Wrong,
            Some("missing") => OutcomeRule::Missing,
            Some("as_is") => OutcomeRule::AsIs,
            _ => default,
        };
        Outcomes {
            length: rule("length", default.length),
            refusal: rule("refusal", default.refusal),
            content_filter: rule("content_filter", default.content_filter),
            empty: rule("empty", default.empty),
            no_answer: rule("no_answer", default.no_answer),
        }
    }

    /// Reads `optional:`.
    pub fn optional(root: &Node) -> OptionalAnalyses {
        let is_on = |key: &str| root.get("optional").and_then(|node| node.boolean_at(key)).unwrap_or(true);
        OptionalAnalyses {
            unsupported_sensitivity: is_on("enable_unsupported_sensitivity"),
            mixed_effects: is_on("enable_mixed_effects"),
            power_analysis: is_on("enable_power_analysis"),
            cost_effectiveness: is_on("enable_cost_effectiveness"),
        }
    }
}

/// Reads the differences to detect: sorted, each once; 2, 5 and 10 points where none is written.
fn targets(new: Option<&Node>) -> Vec<Decimal> {
    let Some(node) = new.and_then(|node| node.get("targets")) else {
        return Analysis::default().targets;
    };
    let mut targets: Vec<_> = node.items().iter().filter_map(Node::decimal).filter(|t| *t > Decimal::ZERO).collect();
    targets.sort();
    targets.dedup();
    targets
}

/// Reads the thresholds: clamped to 0 to 1, sorted, each once; an empty list of the predecessor is three points.
fn risk_thresholds(new: Option<&Node>, old: Option<&Node>) -> Vec<Decimal> {
    let written = [new, old].into_iter().flatten().find_map(|node| node.get("risk_thresholds"));
    let Some(node) = written else { return Analysis::default().risk_thresholds };
    let mut thresholds: Vec<_> =
        node.items().iter().filter_map(Node::decimal).map(|t| t.clamp(Decimal::ZERO, Decimal::ONE)).collect();
    if thresholds.is_empty() {
        thresholds = vec![Decimal::ZERO, Decimal::new(5, -1), Decimal::ONE];
    }
    thresholds.sort();
    thresholds.dedup();
    thresholds
}
