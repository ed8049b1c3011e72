//! Models that compare the arms' answers.

use std::collections::BTreeMap;

use super::super::tree::Node;
use super::super::{DatasetConfig, PairwiseConfig, PairwiseReading, Preferred, ProviderConfig};
use super::Loader;
use super::models::Models;
use super::scorers::of_kind;

/// Says what a template lacks that is to show two answers, and the remedy.
fn lacks_an_answer(template: &str) -> Option<(&'static str, &'static str)> {
    let fields: Vec<&str> =
        template.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0.trim())).collect();
    let shows = |names: [&str; 2]| fields.iter().any(|field| names.contains(field));
    if !shows(["answer_a", "text_a"]) {
        return Some(("the template does not show the first answer", "write `{{answer_a}}` where it belongs"));
    }
    if !shows(["answer_b", "text_b"]) {
        return Some(("the template does not show the second answer", "write `{{answer_b}}` where it belongs"));
    }
    None
}

impl Loader<'_> {
    /// Reads the models that compare the arms' answers of all datasets, given the models; the scorers have been read.
    pub fn pairwise_judges(
        &mut self,
        root: &Node,
        models: &Models,
        providers: &BTreeMap<String, ProviderConfig>,
        datasets: &mut BTreeMap<String, DatasetConfig>,
    ) {
        for (dataset, item, settings) in of_kind(root, "judge_pairwise") {
            let Some(judge) = self.pairwise(settings, models, providers) else { continue };
            let Some(dataset) = datasets.get_mut(dataset) else { continue };
            if dataset.scorer_names().any(|name| *name == judge.name) {
                let message = format!("two scorers are called `{}`", judge.name);
                self.error(item.span, message, "name one: `judge_pairwise: {name: …}`");
            }
            let has_metrics = !dataset.scorers.is_empty()
                || !dataset.labels.is_empty()
                || !dataset.judges.is_empty()
                || !dataset.externals.is_empty();
            if !has_metrics {
                let message = "`judge_pairwise` compares two answers and scores none";
                let remedy = "name a scorer beside it, as in `scorers: [qa, {judge_pairwise: {…}}]`";
                self.error(item.span, message, remedy);
            }
            dataset.pairwise.push(judge);
        }
    }

    fn pairwise(
        &mut self,
        set: &Node,
        models: &Models,
        providers: &BTreeMap<String, ProviderConfig>,
    ) -> Option<PairwiseConfig> {
        let name = self.scorer_name(set, "judge_pairwise");
        let (user, system) = self.judge_templates(set, &lacks_an_answer);
        let extraction = set.get("verdict").and_then(|node| self.answer(node));
        let values = set.get("values").map(Node::entries).unwrap_or_default();
        let value = |node: &Node| Preferred::parse(node.text()?);
        let values = values.iter().filter_map(|e| Some((e.key.trim().to_lowercase(), value(&e.value)?))).collect();
        let (model, decoding) = self.judge_model(set, models, providers)?;
        let reading = PairwiseReading { extraction, values };
        Some(PairwiseConfig { name, model, user: user?, system, decoding, reading })
    }
}
