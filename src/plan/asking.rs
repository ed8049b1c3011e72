use std::collections::BTreeMap;

use super::expansion::{Expansion, arm_of, find};
use super::graph::From;
use super::plan::{arm_files, instructions, is_open};
use super::selection::{SelectedTrial, Side, max_output_tokens};
use super::spec::Name;
use super::{BuildParams, Frame, PlanError, ReplayParams};
use crate::config::{DatasetConfig, ModelConfig, ProviderConfig, ProviderKind, Source};

impl Expansion<'_, '_> {
    /// Says what is asked of whom, and which files every part's `build` reads.
    pub(super) fn build_params(
        &mut self,
        trial: &SelectedTrial<'_>,
        side: Side,
        name: &str,
        dataset: &DatasetConfig,
    ) -> Result<(BuildParams, Vec<(Name, From)>), PlanError> {
        let arm = arm_of(trial, side);
        let open = is_open(dataset);
        let mut shared: Vec<(Name, From)> = Vec::new();
        for (kind, file) in arm_files(arm) {
            // A whole conversation stands in place of the rest; what it replaces decides nothing.
            if arm.messages.is_some() && matches!(kind, "system" | "user" | "examples") {
                continue;
            }
            if let Some(file) = file {
                shared.push((kind.into(), self.plan.graph.source(find(self.sources, file)?)));
            }
        }
        if arm.messages.is_none() && arm.user.is_none() {
            if let Some(file) = &dataset.user {
                shared.push(("user".into(), self.plan.graph.source(find(self.sources, file)?)));
            } else if let Some(file) = instructions(dataset) {
                shared.push(("instructions".into(), self.plan.graph.source(find(self.sources, file)?)));
            }
        }
        let mut decoding = trial.decoding.clone();
        decoding.max_output_tokens = max_output_tokens(trial.model, Some(dataset), open, trial.point, &trial.decoding);
        let provider = trial.provider;
        let corpus = match &provider.corpus {
            Some(Source::File(file)) => Some(find(self.sources, file)?.blob),
            _ => None,
        };
        let replay = if provider.kind == ProviderKind::Replay {
            let arm_name = match side {
                Side::Control => "control",
                Side::Treatment => trial.prompt_set_name,
            };
            let recordings = trial
                .model
                .recordings
                .get(name)
                .and_then(|arms| arms.get(arm_name).or_else(|| arms.get(side.as_str())))
                .ok_or_else(|| PlanError::NoRecordings {
                    model: trial.model.name.clone(),
                    dataset: name.to_owned(),
                    arm: arm_name.to_owned(),
                })?;
            shared.push(("recordings".into(), self.plan.graph.source(find(self.sources, &recordings.source)?)));
            Some(ReplayParams {
                dataset: name.to_owned(),
                arm: arm_name.to_owned(),
                mapping: recordings.mapping.clone(),
            })
        } else {
            None
        };
        let params = BuildParams {
            provider: (self.facts.identity)(provider, corpus.as_ref()),
            model: trial.model.model.clone(),
            revision: trial.model.revision.clone(),
            decoding,
            extra: keyed_extra(provider, trial.model),
            frame: if open { Frame::OpenBook } else { Frame::ClosedBook },
            replay,
            draw_salt: arm.draw_salt.clone(),
        };
        Ok((params, shared))
    }
}

/// Returns the further fields of a model's requests that decide the answer: of the body, the headers and the address.
pub(super) fn keyed_extra(provider: &ProviderConfig, model: &ModelConfig) -> BTreeMap<String, serde_json::Value> {
    let fields = provider.body_fields(model).into_iter();
    let mut extra: BTreeMap<String, serde_json::Value> =
        fields.filter(|(_, (_, is_keyed))| *is_keyed).map(|(field, (value, _))| (field, value)).collect();
    for (name, values) in [("headers", &provider.headers), ("query", &provider.query)] {
        let sent: serde_json::Map<String, serde_json::Value> = values
            .iter()
            .filter(|(field, _)| !provider.not_identity.iter().any(|name| name.eq_ignore_ascii_case(field)))
            .map(|(field, value)| (field.clone(), value.clone().into()))
            .collect();
        if !sent.is_empty() {
            extra.insert(name.to_owned(), sent.into());
        }
    }
    extra
}
