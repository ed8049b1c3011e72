use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use super::asked_part::AskedPart;
use super::drift_sample::{Chosen, Sample};
use super::failure::{Exit, Failure};
use crate::digest::{BlobId, Decimal, RequestKey};
use crate::plan::StepKind;
use crate::request::Answer;
use crate::run::{DriftDraw, DriftPair};
use crate::step::{self, AnswerLine, Input, Inputs, ReadBlobs, ScoredDraw};
use crate::store::{LoggedDraw, Store};

/// Reads blobs that were made here, and else those of the store.
struct Overlay<'s> {
    store: &'s Store,
    made: BTreeMap<BlobId, Vec<u8>>,
}

impl ReadBlobs for Overlay<'_> {
    fn open(&self, blob: &BlobId) -> Result<Box<dyn Read + '_>, Box<dyn std::error::Error + Send + Sync>> {
        match self.made.get(blob) {
            Some(bytes) => Ok(Box::new(bytes.as_slice())),
            None => Ok(Box::new(self.store.open_blob(blob)?)),
        }
    }
}

/// Reads and scores the draws of the sample then and now, both with the run's own extraction and scorers.
pub fn pairs(
    store: &Store,
    parts: &[AskedPart],
    sample: &Sample,
    draws: &HashMap<RequestKey, LoggedDraw>,
) -> Result<Vec<DriftPair>, Failure> {
    let mut pairs = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let both: Vec<(&Chosen, &LoggedDraw)> = sample
            .chosen
            .iter()
            .filter(|chosen| chosen.part == at)
            .filter_map(|chosen| Some((chosen, draws.get(&chosen.key)?)))
            .collect();
        if both.is_empty() {
            continue;
        }
        let then = scores(store, part, both.iter().map(|(chosen, _)| (chosen.item.as_str(), &chosen.then.answer)))?;
        let now = scores(store, part, both.iter().map(|(chosen, draw)| (chosen.item.as_str(), &draw.answer)))?;
        let dataset = part.scope.rsplit('/').next().unwrap_or_default();
        for (chosen, draw) in both {
            let of = |draw: &LoggedDraw, scores: &Option<Scores>| DriftDraw {
                text: draw.answer.text.clone(),
                scores: scores.as_ref().and_then(|scores| scores.get(&chosen.item)).cloned(),
                output_tokens: draw.answer.usage.output_tokens,
                served_model: draw.answer.served_model.clone(),
                fingerprint: draw.circumstances.fingerprint.clone(),
                server_revision: draw.circumstances.server_revision.clone(),
            };
            pairs.push(DriftPair {
                model: chosen.request.model.clone(),
                dataset: dataset.to_owned(),
                is_greedy: chosen.request.decoding.temperature == Some(Decimal::ZERO),
                is_scored: then.is_some(),
                then: of(&chosen.then, &then),
                now: of(draw, &now),
            });
        }
    }
    Ok(pairs)
}

/// Is the metrics of each item that has scores.
type Scores = HashMap<String, Vec<(String, f64)>>;

/// Runs the part's `parse` and `score` on these answers, in memory; `None` where the run never scored the part.
fn scores<'a>(
    store: &Store,
    part: &AskedPart,
    answers: impl Iterator<Item = (&'a str, &'a Answer)>,
) -> Result<Option<Scores>, Failure> {
    let (Some(parse), Some(score)) = (&part.parse, &part.score) else { return Ok(None) };
    if !score.spec.inputs.contains_key("gold") {
        return Ok(None);
    }
    let mut lines = Vec::new();
    for (item, answer) in answers {
        let line = AnswerLine { item: item.to_owned(), n: 0, answer: Some(answer.clone()), failure: None };
        serde_json::to_writer(&mut lines, &line).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        lines.push(b'\n');
    }
    let mut blobs = Overlay { store, made: BTreeMap::new() };
    let answers = blobs.add(lines);
    let parsed = blobs.run(StepKind::Parse, &parse.params, &[("answers", answers)], "parsed")?;
    let parsed = blobs.add(parsed);
    let others = ["gold", "items"].into_iter().filter_map(|name| Some((name, *score.spec.inputs.get(name)?)));
    let inputs: Vec<_> = [("parsed", parsed)].into_iter().chain(others).collect();
    let scored = blobs.run(StepKind::Score, &score.params, &inputs, "scores")?;
    let mut scores = Scores::new();
    for line in scored.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let draw: ScoredDraw<'_> =
            serde_json::from_slice(line).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        if let Some(values) = draw.scores {
            let values = values.0.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect();
            scores.insert(draw.item.as_str().to_owned(), values);
        }
    }
    Ok(Some(scores))
}

impl Overlay<'_> {
    fn add(&mut self, bytes: Vec<u8>) -> BlobId {
        let id = BlobId::of(&bytes);
        self.made.insert(id, bytes);
        id
    }

    fn run(
        &self,
        step: StepKind,
        params: &crate::plan::ParamsDoc,
        inputs: &[(&str, BlobId)],
        output: &str,
    ) -> Result<Vec<u8>, Failure> {
        let named = inputs.iter().map(|(name, blob)| Input {
            name: (*name).to_owned(),
            blob: *blob,
            label: (*name).to_owned(),
        });
        let mut made: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        step::run(step, params, &Inputs::new(named.collect(), self), &mut made)?;
        Ok(made.remove(output).unwrap_or_default())
    }
}
