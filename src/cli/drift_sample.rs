use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::asked_part::AskedPart;
use super::failure::Failure;
use super::finish::thousands;
use super::plan_inputs::PlanInputs;
use super::who;
use crate::config::{ProviderConfig, ProviderKind, Source};
use crate::digest::RequestKey;
use crate::request::{ProviderIdentity, Request};
use crate::run::stratified;
use crate::step::RequestsReader;
use crate::store::{LoggedDraw, Store};

/// Is one request that is asked again.
pub struct Chosen {
    /// Which of the run's parts it belongs to.
    pub part: usize,
    /// The item.
    pub item: String,
    /// The request's identity.
    pub key: RequestKey,
    /// What is asked.
    pub request: Arc<Request>,
    /// The answer that the run has.
    pub then: LoggedDraw,
}

/// Is a sample of a run's requests, stratified by model, decoding, dataset and arm.
pub struct Sample {
    /// The requests, by part and in its order.
    pub chosen: Vec<Chosen>,
    /// How many different requests the run has.
    pub of_run: usize,
    /// How many of the sample the run has no answer to.
    pub unanswered: usize,
    /// How many requests of the run nobody can be asked again.
    pub unaskable: usize,
    /// What is to be said of those.
    pub notes: Vec<String>,
}

/// Is a stratum: the part and the item of each request.
type Stratum = Vec<(usize, String, RequestKey)>;

impl Sample {
    /// Draws `n` requests of those that can be asked again, the same ones for the same seed.
    pub fn draw(
        store: &Store,
        parts: &[AskedPart],
        inputs: &PlanInputs<'_>,
        n: usize,
        seed: u64,
    ) -> Result<Self, Failure> {
        let known = kinds(inputs);
        let mut strata: BTreeMap<(&str, &str), Stratum> = BTreeMap::new();
        let mut left_out: BTreeMap<(String, bool), usize> = BTreeMap::new();
        let mut seen: BTreeSet<RequestKey> = BTreeSet::new();
        for (at, part) in parts.iter().enumerate() {
            for line in RequestsReader::new(store.open_blob(&part.requests)?)? {
                let line = line?;
                if !seen.insert(line.key) {
                    continue;
                }
                match known.get(&line.request.provider) {
                    Some(kind) if *kind != ProviderKind::Replay => {
                        let stratum = strata.entry((&part.scope, &part.arm)).or_default();
                        stratum.push((at, line.item, line.key));
                    }
                    kind => *left_out.entry((line.request.provider.0.clone(), kind.is_some())).or_default() += 1,
                }
            }
        }
        let names: Vec<Vec<&str>> =
            strata.values().map(|stratum| stratum.iter().map(|(_, item, _)| item.as_str()).collect()).collect();
        let mut wanted: BTreeMap<usize, BTreeSet<RequestKey>> = BTreeMap::new();
        for (stratum, places) in strata.values().zip(stratified(&names, n, seed)) {
            for (part, _, key) in places.into_iter().filter_map(|place| stratum.get(place)) {
                wanted.entry(*part).or_default().insert(*key);
            }
        }
        let mut sample = Self {
            chosen: Vec::new(),
            of_run: seen.len(),
            unanswered: 0,
            unaskable: left_out.values().sum(),
            notes: left_out.iter().map(|((provider, is_known), count)| note(provider, *is_known, *count)).collect(),
        };
        for (at, keys) in wanted {
            sample.take(store, parts, at, &keys)?;
        }
        Ok(sample)
    }

    /// Takes the chosen requests of one part, with the answers that the run has.
    fn take(
        &mut self,
        store: &Store,
        parts: &[AskedPart],
        at: usize,
        keys: &BTreeSet<RequestKey>,
    ) -> Result<(), Failure> {
        let Some(part) = parts.get(at) else { return Ok(()) };
        let mut requests = Vec::with_capacity(keys.len());
        for line in RequestsReader::new(store.open_blob(&part.requests)?)? {
            let line = line?;
            if keys.contains(&line.key) {
                requests.push(line);
            }
        }
        let address = |key: &RequestKey| part.redraws.address(*key, part.infer.generation, 0);
        let addresses: Vec<_> = requests.iter().map(|line| address(&line.key)).collect();
        for (line, then) in requests.into_iter().zip(store.draws(&addresses)?) {
            let Some(then) = then else {
                self.unanswered += 1;
                continue;
            };
            let request = Arc::new(line.request);
            self.chosen.push(Chosen { part: at, item: line.item, key: line.key, request, then });
        }
        Ok(())
    }
}

fn note(provider: &str, is_known: bool, count: usize) -> String {
    let count = thousands(count as u64);
    if is_known {
        format!(
            "{count} requests of `{provider}` are left out: their answers were recorded elsewhere, and nobody gives new ones"
        )
    } else {
        format!("{count} requests of `{provider}` are left out: no provider of the config answers for it")
    }
}

/// Lists who answers for the config's models, and how.
fn kinds(inputs: &PlanInputs<'_>) -> BTreeMap<ProviderIdentity, ProviderKind> {
    inputs.trials.iter().map(|trial| (identity_of(trial.provider, inputs), trial.provider.kind)).collect()
}

/// Names who answers, its corpus included.
pub fn identity_of(provider: &ProviderConfig, inputs: &PlanInputs<'_>) -> ProviderIdentity {
    let corpus = match &provider.corpus {
        Some(Source::File(file)) => inputs.sources.get(&file.path).map(|source| source.blob),
        _ => None,
    };
    who::identity(provider, corpus.as_ref())
}
