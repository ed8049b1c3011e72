//! Trials as each model takes them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{ProviderConfig, Served, Span, TrialConfig, WhenUnsupported};
use super::Loader;
use super::decoding::{Draft, Given, Setting};
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
            let served = Served {
                kind: provider.kind,
                api: provider.api,
                model: &model.model,
                own_address: provider.base_url.is_some(),
            };
            let table = served.fields();
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
            if own.is_none() {
                is_left_out |= self.check_values(&mut draft, &served, &name, how, place.is_some(), &mut reported);
            }
            if let (Some(most), Some(given)) = (model.max_context, draft.fields.get("max_output_tokens"))
                && given.setting.most_count().is_some_and(|count| count >= most)
                && place.is_some()
                && reported.insert((name.clone(), given.at))
            {
                let message =
                    format!("an answer of `{name}` would leave no room for the question: its context is {most} tokens");
                self.error(given.at, message, "lower `max_output_tokens`");
            }
            if is_left_out {
                continue;
            }
            let has_limit = draft.fields.contains_key("max_output_tokens") || how.has_own_limit;
            let at = Span { at: model.at, length: name.chars().count() as u32 };
            if place.is_some() && served.needs_max_output_tokens() && !has_limit && reported.insert((name.clone(), at))
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

    /// Looks at the values that a model takes: ranges, words, and fields that exclude each other. What nobody wrote is
    /// dropped; says whether the trial is to be left out.
    fn check_values(
        &mut self,
        draft: &mut Draft,
        served: &Served<'_>,
        name: &str,
        how: &Resolve<'_>,
        is_loud: bool,
        reported: &mut BTreeSet<(String, Span)>,
    ) -> bool {
        let who = served.kind.as_str();
        let fields: Vec<&str> = draft.fields.keys().copied().collect();
        let effort = match draft.fields.get("effort").map(|given| &given.setting) {
            Some(Setting::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let mut wrong: Vec<(&'static str, Given, String, String)> = Vec::new();
        for (field, given) in &draft.fields {
            let mut add = |message: String, remedy: String| wrong.push((*field, given.clone(), message, remedy));
            if let Some(other) = served.is_excluded(field, &fields, effort.as_deref()) {
                let message = format!("the model `{name}` ({who}) takes `{field}` or `{other}`, not both");
                add(message, format!("take one out, or write `decoding: {{{field}: unset}}` on the model"));
            }
            match &given.setting {
                Setting::Number(number) => {
                    if let Some(most) = served.most(field).filter(|most| number.to_f64() > f64::from(*most)) {
                        let message = format!("the model `{name}` ({who}) takes a `{field}` of at most {most}");
                        add(message, "lower it, or say with `takes: […]` on the model that the table is wrong".into());
                    }
                }
                Setting::Texts(texts) if *field == "stop" => {
                    if let Some(most) = served.most_stops().filter(|most| texts.len() > *most) {
                        add(
                            format!("the model `{name}` ({who}) takes at most {most} stop texts"),
                            "leave some out".into(),
                        );
                    }
                }
                Setting::Text(text) if *field == "effort" => {
                    if let Some(words) = served.efforts().filter(|words| !words.contains(&text.as_str())) {
                        let message = format!("the model `{name}` ({who}) knows no effort `{text}`");
                        add(message, format!("known: {}", words.join(", ")));
                    }
                }
                _ => {}
            }
        }
        let mut is_left_out = false;
        for (field, given, message, remedy) in wrong {
            draft.fields.remove(field);
            if given.implied {
                continue;
            }
            is_left_out |= how.when == WhenUnsupported::Skip;
            if !is_loud || !reported.insert((name.to_owned(), given.at)) {
                continue;
            }
            if how.when == WhenUnsupported::Skip {
                self.note(given.at, format!("trials of `{name}` with this are left out: {message}"));
            } else {
                self.error(given.at, message, remedy);
            }
        }
        is_left_out
    }
}
