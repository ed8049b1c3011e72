//! Trials as each model takes them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::capabilities::{fields_taken, needs_max_output_tokens};
use super::super::{ProviderConfig, Span, TrialConfig, WhenUnsupported};
use super::Loader;
use super::models::Models;
use super::trials::Asked;

/// Is what trials are resolved with.
pub(super) struct Resolve<'a> {
    pub models: &'a Models,
    pub providers: &'a BTreeMap<String, ProviderConfig>,
    pub when: WhenUnsupported,
    /// Whether every dataset brings a largest number of output tokens.
    pub has_own_limit: bool,
}

impl Loader<'_> {
    /// Applies what each model takes, and makes equal trials one. Without a place, nothing is reported.
    pub fn resolve_trials(&mut self, asked: Vec<Asked>, how: &Resolve<'_>, place: Option<Span>) -> Vec<TrialConfig> {
        let mut trials: Vec<TrialConfig> = Vec::new();
        let mut reported: BTreeSet<(String, Span)> = BTreeSet::new();
        let mut merged = 0;
        let was_asked = !asked.is_empty();
        let mut complete = true;
        for Asked { model: name, prompt_set, mut draft } in asked {
            let Some(model) = how.models.configs.get(&name) else {
                complete = false;
                continue;
            };
            let Some(provider) = how.providers.get(&model.provider) else {
                complete = false;
                continue;
            };
            draft.overlay(how.models.overrides.get(&name).map(Vec::as_slice).unwrap_or_default());
            let table = fields_taken(provider.kind, &model.model, provider.base_url.is_some());
            let own = how.models.takes.get(&name);
            let takes = |field: &str| match own {
                Some(own) => own.iter().any(|taken| taken == field),
                None => table.contains(&field),
            };
            let refused: Vec<_> =
                draft.fields.iter().filter(|(field, _)| !takes(field)).map(|(f, g)| (*f, g.clone())).collect();
            let mut is_left_out = false;
            for (field, given) in refused {
                draft.fields.remove(field);
                if given.implied || how.when == WhenUnsupported::Collapse {
                    continue;
                }
                is_left_out |= how.when == WhenUnsupported::Skip;
                if place.is_none() || !reported.insert((name.clone(), given.at)) {
                    continue;
                }
                let who = provider.kind.as_str();
                if how.when == WhenUnsupported::Skip {
                    self.note(
                        given.at,
                        format!("trials of `{name}` with this are left out: {who} does not take `{field}`"),
                    );
                } else {
                    let message = format!("the model `{name}` ({who}) does not take `{field}`");
                    let remedy = format!(
                        "take it out, or write `decoding: {{{field}: unset}}` on the model, or `sweep: {{when_unsupported: \
                         collapse}}` (or `skip`)"
                    );
                    self.error(given.at, message, remedy);
                }
            }
            if is_left_out {
                continue;
            }
            let has_limit = draft.fields.contains_key("max_output_tokens") || how.has_own_limit;
            let at = Span { at: model.at, length: name.chars().count() as u32 };
            if place.is_some()
                && needs_max_output_tokens(provider.kind)
                && !has_limit
                && reported.insert((name.clone(), at))
            {
                let message = format!("{} refuses requests without `max_output_tokens`", provider.kind.as_str());
                self.error(at, message, "write `decoding: {max_output_tokens: 1024}`, say");
            }
            let point = draft.point();
            let same = trials.iter_mut().find(|trial| {
                let other = &trial.decoding;
                trial.model == name
                    && trial.prompt_set == prompt_set
                    && other.decoding == point.decoding
                    && other.max_output_tokens_closed == point.max_output_tokens_closed
                    && other.max_output_tokens_open == point.max_output_tokens_open
            });
            match same {
                Some(trial) => {
                    merged += 1;
                    trial.decoding.draws = trial.decoding.draws.max(point.draws);
                    if trial.decoding.name != point.name {
                        trial.decoding.name = None;
                    }
                }
                None => trials.push(TrialConfig { model: name, prompt_set, decoding: point }),
            }
        }
        if let Some(place) = place {
            if merged > 0 {
                let message =
                    format!("{merged} of the trials equal others and are one with them (the larger `draws` holds)");
                self.note(place, message);
            }
            if trials.is_empty() && was_asked && complete && how.when == WhenUnsupported::Skip {
                self.error(place, "every trial is left out", "choose decoding fields that some model takes");
            }
        }
        trials
    }
}
