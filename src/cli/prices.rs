use std::collections::BTreeSet;

use super::who;
use crate::ask::{LongPrompt, Rates, Tariff, Tariffs};
use crate::config::{ModelConfig, Price, ProviderKind, ProviderMode, Source};
use crate::flow::Money;
use crate::plan::{AskedModel, Sources};

/// Is the age in days beyond which a price is called old.
const OLD: i64 = 180;

/// Takes the prices of the models that may be asked out of the config.
pub fn tariffs(asked: &[AskedModel<'_>], sources: &Sources) -> Tariffs {
    let mut tariffs = Tariffs::default();
    for AskedModel { model, provider } in asked {
        let corpus = match &provider.corpus {
            Some(Source::File(file)) => sources.get(&file.path).map(|source| source.blob),
            _ => None,
        };
        let identity = who::identity(provider, corpus.as_ref());
        // Under `mode: auto` a request may be sent alone: no ceiling takes the discount of batches for granted.
        let in_batch = provider.mode == ProviderMode::Batch;
        tariffs.add(identity, model.model.clone(), tariff(provider.kind, model), in_batch, None);
    }
    tariffs
}

fn tariff(kind: ProviderKind, model: &ModelConfig) -> Tariff {
    match model.price.as_ref() {
        _ if kind.is_embedded() => Tariff::Free,
        Some(price) => rates(price).map_or(Tariff::Unknown, Tariff::Rated),
        None if matches!(kind, ProviderKind::Ollama | ProviderKind::LlamaCpp) => Tariff::Unbilled,
        None => Tariff::Unknown,
    }
}

/// Takes the rates of a price; none where one is below zero, which the config's check does not let through.
fn rates(price: &Price) -> Option<Rates> {
    let optional = |rate: Option<_>| rate.map(Money::per_token).map_or(Some(None), |rate| rate.map(Some));
    let long_prompt = match &price.long_prompt {
        None => None,
        Some(long) => Some(LongPrompt {
            above: long.above,
            input: Money::per_token(long.input)?,
            output: Money::per_token(long.output)?,
        }),
    };
    Some(Rates {
        input: Money::per_token(price.input)?,
        output: Money::per_token(price.output)?,
        cached_input: optional(price.cached_input)?,
        cache_write: optional(price.cache_write)?,
        batch: price.batch,
        long_prompt,
    })
}

/// Lists what is to be said of the dates of the prices that a build goes by; `today` is a date, or a time that begins
/// with one.
pub fn old_prices(asked: &[AskedModel<'_>], today: &str) -> Vec<String> {
    let date = |text: &str| text.get(..10)?.parse::<jiff::civil::Date>().ok();
    let mut seen = BTreeSet::new();
    let asked = asked.iter().filter(|asked| !asked.provider.kind.is_embedded() && seen.insert(&asked.model.name));
    let warnings = asked.filter_map(|AskedModel { model, .. }| {
        let (name, as_of) = (&model.name, model.price_as_of.as_deref()?);
        model.price.as_ref()?;
        let Some(day) = date(as_of).filter(|_| as_of.len() == 10) else {
            return Some(format!(
                "warning: the price of `{name}` is `as_of: {as_of}`, which is no date like 2026-11-23"
            ));
        };
        let age = (date(today)? - day).get_days();
        (i64::from(age) > OLD).then(|| {
            format!(
                "warning: the price of `{name}` is of {as_of}, over {OLD} days ago: look it up, and write its new date"
            )
        })
    });
    warnings.collect()
}
