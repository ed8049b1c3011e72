//! Trials: the combinations that a sweep, a list, or neither asks for, as each model takes them.

use std::collections::BTreeMap;

use super::super::tree::Node;
use super::super::{Diagnostic, PromptSet, ProviderConfig, Span, TrialConfig, WhenUnsupported};
use super::Loader;
use super::base::{Base, overlay_legacy, point, samples, temperatures};
use super::decoding::Draft;
use super::models::Models;
use super::resolve::Resolve;

/// Is a trial before its model has a say.
pub(super) struct Asked {
    pub model: String,
    pub prompt_set: String,
    pub draft: Draft,
}

impl Loader<'_> {
    /// Makes the trials, and those there would be without `sweep:`.
    pub fn trials(
        &mut self,
        root: &Node,
        models: &Models,
        providers: &BTreeMap<String, ProviderConfig>,
        prompt_sets: &BTreeMap<String, PromptSet>,
    ) -> (Vec<TrialConfig>, Vec<TrialConfig>, WhenUnsupported) {
        let base = self.base(root, prompt_sets);
        let sweep = root.get("sweep");
        let when = match sweep.and_then(|node| node.text_at("when_unsupported")).as_deref() {
            Some("skip") => WhenUnsupported::Skip,
            Some("collapse") => WhenUnsupported::Collapse,
            _ => WhenUnsupported::Error,
        };
        let resolve = Resolve { models, providers, when, has_own_limit: has_own_limit(root) };
        if let Some(list) = root.entry("trials").filter(|list| !list.value.items().is_empty()) {
            if let Some(sweep) = root.entry("sweep").filter(|sweep| {
                sweep.value.entries().iter().any(|e| !e.value.is_null() && &*e.key != "when_unsupported")
            }) {
                let message = "`trials` lists exactly what is run, and `sweep` says something else";
                let found = Diagnostic::error(sweep.span, message).related(list.span, "the list");
                self.found.push(found.remedy("keep one of the two"));
            }
            let asked = self.listed(list.value.items(), root, &base, models, prompt_sets);
            let trials = self.resolve_trials(asked, &resolve, Some(list.span));
            return (trials.clone(), trials, when);
        }
        let plain = self.points(&base.draft, &base.temps, &base.samples, Some(root));
        let without = product(models.listed(), &base.prompt_sets, &plain);
        let Some(sweep) = root.entry("sweep") else {
            let trials = self.resolve_trials(without, &resolve, Some(Span::new(1, 1, 0)));
            return (trials.clone(), trials, when);
        };
        let swept_models = self.swept_models(&sweep.value, models);
        let swept_sets = self.swept_sets(&sweep.value, prompt_sets, &base);
        let points = self.swept_points(&sweep.value, root, &base);
        let trials = self.resolve_trials(product(&swept_models, &swept_sets, &points), &resolve, Some(sweep.span));
        // Nobody asked for these yet: what does not fit is left out in silence.
        let quiet = Resolve { when: WhenUnsupported::Skip, ..resolve };
        let without = self.resolve_trials(without, &quiet, None);
        (trials, without, when)
    }

    /// Reads `trials:`.
    fn listed(
        &mut self,
        items: &[Node],
        root: &Node,
        base: &Base,
        models: &Models,
        sets: &BTreeMap<String, PromptSet>,
    ) -> Vec<Asked> {
        let mut asked = Vec::new();
        for item in items {
            let model = self.trial_model(item, root, models);
            let set = self.trial_set(item, base, sets);
            let mut draft = base.draft.clone();
            overlay_legacy(&mut draft, item);
            let has_point = item.get("decoding").is_some();
            if let Some(node) = item.get("decoding") {
                draft = point(node, base, &draft);
            }
            let own = temperatures(item.get("temps"));
            let has_temperature = item.get("decoding").is_some_and(|node| node.get("temperature").is_some());
            let temps = match (own.is_empty(), has_temperature) {
                (true, true) => Vec::new(),
                (true, false) => base.temps.clone(),
                (false, _) => own,
            };
            let own_samples = samples(item.get("samples_per_item"));
            let samples = if own_samples.first.is_some() { own_samples } else { base.samples.clone() };
            let points = if has_point && temps.is_empty() {
                vec![draft]
            } else {
                self.points(&draft, &temps, &samples, Some(root))
            };
            if let (Some(model), Some(prompt_set)) = (model, set) {
                let each = points.into_iter();
                asked.extend(each.map(|draft| Asked { model: model.clone(), prompt_set: prompt_set.clone(), draft }));
            }
        }
        asked
    }

    fn trial_model(&mut self, item: &Node, root: &Node, models: &Models) -> Option<String> {
        if let Some(node) = item.get("model").or_else(|| item.get("model_id")) {
            let found = models.find(node.text()?);
            if found.is_none() {
                self.unknown(node, "model", &models.order.iter().map(String::as_str).collect::<Vec<_>>());
            }
            return found.map(str::to_owned);
        }
        let base = root.text_at("model_id").and_then(|id| models.find(&id).map(str::to_owned));
        let only = || models.order.first().filter(|_| models.order.len() == 1).cloned();
        let found = base.or_else(only);
        if found.is_none() && !models.order.is_empty() {
            self.error(item.span, "a trial does not say which model it is of", "write `model: NAME`");
        }
        found
    }

    fn trial_set(&mut self, item: &Node, base: &Base, sets: &BTreeMap<String, PromptSet>) -> Option<String> {
        if let Some(node) = item.get("prompt_set") {
            let name = node.text()?;
            if !sets.contains_key(name) {
                self.unknown(node, "prompt set", &sets.keys().map(String::as_str).collect::<Vec<_>>());
                return None;
            }
            return Some(name.to_owned());
        }
        let only = base.prompt_sets.first().filter(|_| base.prompt_sets.len() == 1).cloned();
        if only.is_none() && !sets.is_empty() {
            self.error(item.span, "a trial does not say which prompt set it is of", "write `prompt_set: NAME`");
        }
        only
    }
}

fn has_own_limit(root: &Node) -> bool {
    let datasets = root.get("datasets").map(Node::entries).unwrap_or_default();
    !datasets.is_empty() && datasets.iter().all(|entry| entry.value.get("max_output_tokens").is_some())
}

fn product(models: &[String], sets: &[String], points: &[Draft]) -> Vec<Asked> {
    let mut all = Vec::new();
    for model in models {
        for set in sets {
            for draft in points {
                all.push(Asked { model: model.clone(), prompt_set: set.clone(), draft: draft.clone() });
            }
        }
    }
    all
}
