use std::collections::BTreeSet;

use super::slug::SlugParts;
use super::{PlanError, is_open, temperature_label};
use crate::config::{
    Config, DatasetConfig, DecodingPoint, ModelConfig, Override, Parts, PromptSet, ProviderConfig, TrialConfig,
};
use crate::digest::{Decimal, Digest, Value};
use crate::request::{Decoding, SeedPolicy};

/// Names a side of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// What is compared against.
    Control,
    /// What is tried.
    Treatment,
}

impl Side {
    /// Returns the name in columns and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Treatment => "treatment",
        }
    }
}

/// Says which part of the experiment a build is about; the default is all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Slugs of trials, or unique prefixes of them; empty is all.
    pub trials: Vec<String>,
    /// Names of models; empty is all.
    pub models: Vec<String>,
    /// Names of prompt sets; empty is all.
    pub prompt_sets: Vec<String>,
    /// Temperatures; empty is all.
    pub temperatures: Vec<Decimal>,
    /// One side only.
    pub side: Option<Side>,
    /// Takes the trials that there would be without `sweep:`.
    pub no_sweep: bool,
    /// The first so many items of each dataset; `None` is all, 0 is none.
    pub limit_items: Option<u64>,
    /// Divides datasets otherwise than the config says.
    pub parts: Option<Parts>,
}

impl Selection {
    /// Says whether this is less than the whole experiment, so that its run is partial.
    pub fn is_narrowed(&self) -> bool {
        !self.trials.is_empty()
            || !self.models.is_empty()
            || !self.prompt_sets.is_empty()
            || !self.temperatures.is_empty()
            || self.side.is_some()
            || self.no_sweep
            || self.limit_items.is_some()
    }
}

/// Is one trial with everything it needs resolved: overrides applied, slug fixed.
#[derive(Clone, Debug)]
pub struct SelectedTrial<'a> {
    /// The directory's name.
    pub slug: String,
    /// The model.
    pub model: &'a ModelConfig,
    /// Who answers.
    pub provider: &'a ProviderConfig,
    /// The prompt set's name.
    pub prompt_set_name: &'a str,
    /// The prompt set.
    pub prompt_set: &'a PromptSet,
    /// The decoding point as written.
    pub point: &'a DecodingPoint,
    /// What the sampler is told, the model's overrides applied.
    pub decoding: Decoding,
    /// The largest number of output tokens, closed-book and open-book: what the datasets of a kind are asked with, where
    /// that is one number, else what the decoding says of that kind.
    pub max_tokens: (Option<u32>, Option<u32>),
    /// A short text that tells the decoding apart, for labels.
    pub decoding_label: String,
}

/// Expands the config's trials, gives each its slug, and keeps those that are selected, sorted by slug.
pub fn select<'a>(config: &'a Config, selection: &Selection) -> Result<Vec<SelectedTrial<'a>>, PlanError> {
    let configured = if selection.no_sweep { &config.trials_without_sweep } else { &config.trials };
    let known = |names: &[String], all: BTreeSet<String>, what: &'static str| match names
        .iter()
        .find(|name| !all.contains(*name))
    {
        Some(name) => Err(PlanError::Unknown { what, name: name.clone(), known: join(&all) }),
        None => Ok(()),
    };
    known(&selection.models, configured.iter().map(|t| t.model.clone()).collect(), "model")?;
    known(&selection.prompt_sets, configured.iter().map(|t| t.prompt_set.clone()).collect(), "prompt set")?;

    let mut trials = resolve(config, configured)?;
    let temperatures: BTreeSet<Decimal> = trials.iter().filter_map(|t| t.decoding.temperature).collect();
    if let Some(missing) = selection.temperatures.iter().find(|t| !temperatures.contains(t)) {
        return Err(PlanError::Unknown {
            what: "temperature",
            name: missing.to_string(),
            known: join(&temperatures.iter().map(ToString::to_string).collect()),
        });
    }
    let slugs: BTreeSet<String> = trials.iter().map(|t| t.slug.clone()).collect();
    let mut wanted = BTreeSet::new();
    for name in &selection.trials {
        let found: Vec<&String> = match slugs.get(name) {
            Some(exact) => vec![exact],
            None => slugs.iter().filter(|slug| slug.starts_with(name.as_str())).collect(),
        };
        match found.as_slice() {
            [one] => drop(wanted.insert((*one).clone())),
            _ => {
                return Err(PlanError::Unknown { what: "trial", name: name.clone(), known: join(&slugs) });
            }
        }
    }
    trials.retain(|t| {
        (wanted.is_empty() || wanted.contains(&t.slug))
            && (selection.models.is_empty() || selection.models.contains(&t.model.name))
            && (selection.prompt_sets.is_empty() || selection.prompt_sets.iter().any(|name| name == t.prompt_set_name))
            && (selection.temperatures.is_empty()
                || t.decoding.temperature.is_some_and(|t| selection.temperatures.contains(&t)))
    });
    if trials.is_empty() {
        return Err(PlanError::Nothing { why: "no trial has that model, prompt set and temperature together".into() });
    }
    Ok(trials)
}

fn join(names: &BTreeSet<String>) -> String {
    if names.is_empty() { "none".to_owned() } else { names.iter().cloned().collect::<Vec<_>>().join(", ") }
}

fn resolve<'a>(config: &'a Config, configured: &'a [TrialConfig]) -> Result<Vec<SelectedTrial<'a>>, PlanError> {
    let unknown = |what, name: &str| PlanError::Unknown { what, name: name.to_owned(), known: "see the config".into() };
    let mut resolved = Vec::with_capacity(configured.len());
    for trial in configured {
        let model = config.models.get(&trial.model).ok_or_else(|| unknown("model", &trial.model))?;
        let provider = config.providers.get(&model.provider).ok_or_else(|| unknown("provider", &model.provider))?;
        let (name, prompt_set) = config
            .prompt_sets
            .get_key_value(&trial.prompt_set)
            .ok_or_else(|| unknown("prompt set", &trial.prompt_set))?;
        let decoding = apply_overrides(&trial.decoding.decoding, model)?;
        resolved.push((model, provider, name, prompt_set, &trial.decoding, decoding));
    }
    let temperature_of = |m: &ModelConfig| -> BTreeSet<Option<Decimal>> {
        resolved.iter().filter(|r| r.0.name == m.name).map(|r| r.5.temperature).collect()
    };
    let points: BTreeSet<Option<&str>> = resolved.iter().map(|r| r.4.name.as_deref()).collect();

    let mut trials: Vec<SelectedTrial<'a>> = Vec::with_capacity(resolved.len());
    for (model, provider, name, prompt_set, point, decoding) in &resolved {
        let max_tokens = max_tokens(config, model, point, decoding);
        let parts = SlugParts {
            model: &model.name,
            prompt_set: name,
            decoding,
            max_tokens,
            point: point.name.as_deref().filter(|_| points.len() > 1),
            temperature_varies: temperature_of(model).len() > 1,
        };
        let label = point.name.clone().unwrap_or_else(|| match decoding.temperature {
            Some(t) => format!("t{}", temperature_label(t)),
            None => "default".to_owned(),
        });
        let twin = |t: &SelectedTrial<'_>| {
            t.model.name == model.name
                && t.prompt_set_name == name.as_str()
                && t.decoding == *decoding
                && t.point.draws == point.draws
                && t.point.max_output_tokens_closed == point.max_output_tokens_closed
                && t.point.max_output_tokens_open == point.max_output_tokens_open
        };
        if trials.iter().any(twin) {
            continue;
        }
        trials.push(SelectedTrial {
            slug: parts.slug(),
            model,
            provider,
            prompt_set_name: name,
            prompt_set,
            point,
            decoding: decoding.clone(),
            max_tokens,
            decoding_label: label,
        });
    }
    tell_collisions_apart(&mut trials);
    tell_labels_apart(&mut trials);
    trials.sort_by(|a, b| a.slug.cmp(&b.slug));
    Ok(trials)
}

/// Says how many tokens an answer to a dataset's items may have: the model's own number, else the dataset's, else that of
/// its kind.
pub(super) fn max_output_tokens(
    model: &ModelConfig,
    dataset: Option<&DatasetConfig>,
    is_open: bool,
    point: &DecodingPoint,
    decoding: &Decoding,
) -> Option<u32> {
    if model.decoding.contains_key("max_output_tokens") {
        return decoding.max_output_tokens;
    }
    let by_kind = if is_open { point.max_output_tokens_open } else { point.max_output_tokens_closed };
    dataset.and_then(|dataset| dataset.max_output_tokens).or(by_kind).or(decoding.max_output_tokens)
}

fn max_tokens(
    config: &Config,
    model: &ModelConfig,
    point: &DecodingPoint,
    decoding: &Decoding,
) -> (Option<u32>, Option<u32>) {
    let of = |open: bool| {
        let datasets = config.datasets.values().filter(|dataset| is_open(dataset) == open);
        let asked: BTreeSet<Option<u32>> =
            datasets.map(|dataset| max_output_tokens(model, Some(dataset), open, point, decoding)).collect();
        match (asked.len(), asked.first()) {
            (1, Some(one)) => *one,
            _ => max_output_tokens(model, None, open, point, decoding),
        }
    };
    (of(false), of(true))
}

/// Appends a hash to the label of a decoding where another one of the same model has that label, so that every action has
/// a label of its own.
fn tell_labels_apart(trials: &mut [SelectedTrial<'_>]) {
    let asked = |t: &SelectedTrial<'_>| -> Digest {
        let value = Value::map([
            ("decoding", Some(Value::Map(t.decoding.fields()))),
            ("draws", Some(Value::Int(i64::from(t.point.draws)))),
            ("closed", t.point.max_output_tokens_closed.map(|n| Value::Int(n.into()))),
            ("open", t.point.max_output_tokens_open.map(|n| Value::Int(n.into()))),
        ]);
        value.digest("exp 2026-11 decoding label")
    };
    let named: Vec<_> = trials.iter().map(|t| (t.model.name.clone(), t.decoding_label.clone(), asked(t))).collect();
    for (trial, (model, label, hash)) in trials.iter_mut().zip(&named) {
        if named.iter().any(|other| other.0 == *model && other.1 == *label && other.2 != *hash) {
            trial.decoding_label = format!("{label}-{}", hash.short(8));
        }
    }
}

/// Appends a hash of the decoding and the model's name where two trials would share a directory, and only there.
fn tell_collisions_apart(trials: &mut [SelectedTrial<'_>]) {
    let slugs: Vec<String> = trials.iter().map(|t| t.slug.clone()).collect();
    for (trial, slug) in trials.iter_mut().zip(&slugs) {
        if slugs.iter().filter(|other| *other == slug).count() > 1 {
            let value = Value::map([
                ("decoding", Some(Value::Map(trial.decoding.fields()))),
                ("model", Some(Value::text(&*trial.model.name))),
                ("prompt_set", Some(Value::text(trial.prompt_set_name))),
                ("draws", Some(Value::Int(i64::from(trial.point.draws)))),
                ("closed", trial.point.max_output_tokens_closed.map(|n| Value::Int(n.into()))),
                ("open", trial.point.max_output_tokens_open.map(|n| Value::Int(n.into()))),
            ]);
            let hash: Digest = value.digest("exp 2026-11 trial");
            trial.slug = format!("{slug}-{}", hash.short(8));
        }
    }
}

/// Applies a model's departures from the trial's decoding.
fn apply_overrides(base: &Decoding, model: &ModelConfig) -> Result<Decoding, PlanError> {
    let mut decoding = base.clone();
    for (field, change) in &model.decoding {
        let value = match change {
            Override::Unset => None,
            Override::Set(text) => Some(text.as_str()),
        };
        let wrong = |expected| PlanError::Override {
            model: model.name.clone(),
            field: field.clone(),
            value: value.unwrap_or_default().to_owned(),
            expected,
        };
        let decimal = || value.map(str::parse::<Decimal>).transpose().map_err(|_| wrong("a number"));
        let count = || value.map(str::parse::<u32>).transpose().map_err(|_| wrong("a whole number"));
        match field.as_str() {
            "temperature" => decoding.temperature = decimal()?,
            "top_p" => decoding.top_p = decimal()?,
            "top_k" => decoding.top_k = count()?,
            "min_p" => decoding.min_p = decimal()?,
            "max_output_tokens" => decoding.max_output_tokens = count()?,
            "frequency_penalty" => decoding.frequency_penalty = decimal()?,
            "presence_penalty" => decoding.presence_penalty = decimal()?,
            "effort" => decoding.effort = value.map(str::to_owned),
            "stop" => decoding.stop = value.map(str::to_owned).into_iter().collect(),
            "seed" => {
                decoding.seed = match value {
                    None => None,
                    Some("per_draw") => Some(SeedPolicy::PerDraw),
                    Some(text) => {
                        Some(SeedPolicy::Fixed(text.parse().map_err(|_| wrong("`per_draw` or a whole number"))?))
                    }
                }
            }
            _ => return Err(wrong("a decoding field")),
        }
    }
    Ok(decoding)
}
