use std::collections::BTreeSet;

use super::selection::SelectedTrial;
use crate::config::{Config, ModelConfig, ProviderConfig};

/// Is a model that may be asked, and who answers for it.
#[derive(Clone, Copy, Debug)]
pub struct AskedModel<'a> {
    /// The model.
    pub model: &'a ModelConfig,
    /// Who answers.
    pub provider: &'a ProviderConfig,
}

impl<'a> AskedModel<'a> {
    /// Lists the models of trials, each once.
    pub fn of_trials(trials: &[SelectedTrial<'a>]) -> Vec<Self> {
        let mut seen = BTreeSet::new();
        let asked = trials.iter().filter(|trial| seen.insert(&trial.model.name));
        asked.map(|trial| Self { model: trial.model, provider: trial.provider }).collect()
    }

    /// Lists the models of trials and those that judge their answers, each once.
    pub fn all(config: &'a Config, trials: &[SelectedTrial<'a>]) -> Vec<Self> {
        let mut all = Self::of_trials(trials);
        let judges = config.datasets.values().flat_map(|dataset| {
            let pairwise = dataset.pairwise.iter().map(|judge| &judge.model);
            dataset.judges.iter().map(|judge| &judge.model).chain(pairwise)
        });
        for name in judges {
            let Some(model) = config.models.get(name) else { continue };
            let Some(provider) = config.providers.get(&model.provider) else { continue };
            if !all.iter().any(|asked| asked.model.name == model.name) {
                all.push(Self { model, provider });
            }
        }
        all
    }
}
