//! Models that judge.

use std::collections::BTreeMap;

use super::super::tree::Node;
use super::super::{
    DatasetConfig, DecodingPoint, JudgeConfig, LabelRule, ProviderConfig, SourceFile, TrialConfig, VerdictReading,
    WhenUnsupported,
};
use super::Loader;
use super::decoding::{Draft, read_fields};
use super::loader::TextFile;
use super::models::Models;
use super::resolve::Resolve;
use super::scorers::of_kind;
use super::trials::Asked;

/// Says whether a template names the answer that is to be judged.
fn shows_the_answer(template: &str) -> bool {
    let fields = template.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
    fields.into_iter().any(|(field, _)| matches!(field.trim(), "answer" | "text"))
}

impl Loader<'_> {
    /// Reads the scorers by models of all datasets, given the models.
    pub fn judges(
        &mut self,
        root: &Node,
        models: &Models,
        providers: &BTreeMap<String, ProviderConfig>,
        datasets: &mut BTreeMap<String, DatasetConfig>,
    ) {
        for (dataset, item, settings) in of_kind(root, "judge") {
            let Some(judge) = self.judge(settings, models, providers) else { continue };
            let Some(dataset) = datasets.get_mut(dataset) else { continue };
            if dataset.scorer_names().any(|name| *name == judge.name) {
                let message = format!("two scorers are called `{}`, and their metrics would be too", judge.name);
                self.error(item.span, message, "name one: `judge: {name: …}`");
            }
            dataset.judges.push(judge);
        }
    }

    fn judge(
        &mut self,
        set: &Node,
        models: &Models,
        providers: &BTreeMap<String, ProviderConfig>,
    ) -> Option<JudgeConfig> {
        let name = self.scorer_name(set, "judge");
        let missing = |template: &str| {
            let shown = shows_the_answer(template);
            (!shown)
                .then_some(("the template shows the judge no answer", "write `{{answer}}` where the answer belongs"))
        };
        let templates = self.judge_templates(set, &missing);
        let verdict = set.get("verdict").and_then(|node| self.answer(node));
        let values = set.get("values").map(Node::entries).unwrap_or_default();
        let values = values.iter().filter_map(|e| Some((e.key.trim().to_lowercase(), e.value.decimal()?))).collect();
        let rule = match set.text_at("rule").as_deref() {
            Some("mean") => LabelRule::Mean,
            _ => LabelRule::Majority,
        };
        let (model, decoding) = self.judge_model(set, models, providers)?;
        let (user, system) = templates;
        let reading = VerdictReading { extraction: verdict, values, rule };
        Some(JudgeConfig { name, model, user: user?, system, decoding, reading })
    }

    /// Reads the templates of a model that judges, `user` and `system`; `missing` says what the first lacks and the remedy.
    pub(super) fn judge_templates(
        &mut self,
        set: &Node,
        missing: &dyn Fn(&str) -> Option<(&'static str, &'static str)>,
    ) -> (Option<SourceFile>, Option<SourceFile>) {
        let file = |loader: &mut Self, key: &str| {
            let node = set.get(key)?;
            Some(loader.text_file(node.text()?, node.span, TextFile::Template))
        };
        let (user, system) = (file(self, "user"), file(self, "system"));
        if let (Some(user), Some(node)) = (&user, set.get("user"))
            && let Ok(text) = self.files.read(&user.path)
            && let Some((what, remedy)) = missing(&String::from_utf8_lossy(&text))
        {
            self.error(node.span, format!("{}: {what}", user.written), remedy);
        }
        (user, system)
    }

    /// Reads which model judges, and what its sampler is told.
    pub(super) fn judge_model(
        &mut self,
        set: &Node,
        models: &Models,
        providers: &BTreeMap<String, ProviderConfig>,
    ) -> Option<(String, DecodingPoint)> {
        let node = set.get("model")?;
        let Some(model) = models.find(node.text()?) else {
            self.unknown(node, "model", &models.order.iter().map(String::as_str).collect::<Vec<_>>());
            return None;
        };
        let kind = models.configs.get(model).and_then(|model| providers.get(&model.provider)).map(|p| p.kind);
        if let Some(kind) = kind.filter(|kind| kind.is_embedded()) {
            let message = format!("`{model}` is of the kind `{}`, which can judge nothing", kind.as_str());
            self.error(node.span, message, "name a language model");
            return None;
        }
        let mut draft = Draft { name: None, fields: BTreeMap::new(), draws: set.integer_at("draws").unwrap_or(1) };
        draft.overlay(&set.get("decoding").map(read_fields).unwrap_or_default());
        // As the model takes it: the same rules as for trials.
        let asked = vec![Asked { model: model.to_owned(), prompt_set: String::new(), draft }];
        let how = Resolve { models, providers, when: WhenUnsupported::Error, has_own_limit: false };
        let resolved = self.resolve_trials(asked, &how, Some(set.span)).pop();
        let TrialConfig { model, decoding, .. } = resolved?;
        Some((model, decoding))
    }
}
