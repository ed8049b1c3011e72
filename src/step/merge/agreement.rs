use std::collections::{BTreeMap, BTreeSet};

use crate::stats::{ExactSum, Scale, cohen_kappa, krippendorff_alpha};
use crate::step::StepError;
use crate::step::agreement::{RatedBlock, RatedBlocks, RaterPair, ScorerAgreement};
use crate::step::json_lines::{read_lines, unexpected};
use crate::step::parts::Parts;
use crate::step::scored_draw::ScoredDraw;
use crate::step::verdicts::VerdictsLine;

/// From this value on, a scorer or a rater calls an answer right.
const RIGHT: f64 = 0.5;

/// Collects what raters and scorers say of the draws of a dataset.
pub(super) struct Ratings<'p> {
    metrics: Vec<&'p str>,
    draws: Vec<Draw<'p>>,
}

/// Is what is said of one draw.
struct Draw<'p> {
    arm: &'p str,
    raters: BTreeMap<String, f64>,
    /// What the raters come to.
    consensus: Option<f64>,
    /// By place in the metrics.
    scores: Vec<Option<f64>>,
}

impl<'p> Ratings<'p> {
    /// Starts with no draw. `labels` is the metric of the raters, which is among `metrics`.
    pub(super) fn new(labels: &'p str, metrics: &'p [String]) -> Self {
        let metrics = metrics.iter().map(String::as_str).filter(|metric| *metric != labels).collect();
        Self { metrics, draws: Vec::new() }
    }

    /// Adds the draws of an arm: the `verdicts` of its parts, and its scores in the same order.
    pub(super) fn add(&mut self, arm: &'p str, verdicts: &Parts, scored: &[ScoredDraw<'_>]) -> Result<(), StepError> {
        let mut scored = scored.iter();
        for (name, text) in verdicts.iter() {
            for line in read_lines::<VerdictsLine>(name, text) {
                let line = line?;
                let draw = scored.next().filter(|draw| draw.item.as_str() == line.item && draw.n == line.n);
                let draw = draw.ok_or_else(|| unexpected(name, "its draws are not those of `scores`"))?;
                let of = |metric: &str| draw.scores.as_ref().and_then(|scores| scores.get(metric));
                self.draws.push(Draw {
                    arm,
                    consensus: line.value,
                    scores: self.metrics.iter().map(|metric| of(metric)).collect(),
                    raters: line.raters,
                });
            }
        }
        Ok(())
    }

    /// Measures the agreement, over all draws and by arm.
    pub(super) fn finish(self) -> RatedBlocks {
        let arms: BTreeSet<&str> = self.draws.iter().map(|draw| draw.arm).collect();
        let by_arm = arms.into_iter().map(|arm| {
            let draws: Vec<&Draw<'_>> = self.draws.iter().filter(|draw| draw.arm == arm).collect();
            (arm.to_owned(), self.block(&draws))
        });
        RatedBlocks { all: self.block(&self.draws.iter().collect::<Vec<_>>()), arms: by_arm.collect() }
    }

    fn block(&self, draws: &[&Draw<'_>]) -> RatedBlock {
        let mut raters: BTreeMap<String, u64> = BTreeMap::new();
        for rater in draws.iter().flat_map(|draw| draw.raters.keys()) {
            *raters.entry(rater.clone()).or_default() += 1;
        }
        let units: Vec<Vec<f64>> = draws.iter().map(|draw| draw.raters.values().copied().collect()).collect();
        let alpha = |scale| krippendorff_alpha(units.iter().map(Vec::as_slice), scale);
        let names: Vec<&String> = raters.keys().collect();
        let pairs = names.iter().enumerate().flat_map(|(at, a)| names[at + 1..].iter().map(move |b| (*a, *b)));
        let pairs = pairs.map(|(a, b)| {
            let both = draws.iter().filter_map(|draw| Some((*draw.raters.get(a)?, *draw.raters.get(b)?)));
            let found = cohen_kappa(both);
            let raters = [a.clone(), b.clone()];
            RaterPair { raters, draws: found.units, agreement: found.observed, kappa: found.kappa }
        });
        let who = std::iter::once(None).chain(names.iter().map(|name| Some(name.as_str())));
        // One rater is what all of them come to.
        let who: Vec<Option<&str>> = who.take(if names.len() > 1 { usize::MAX } else { 1 }).collect();
        let scorers = self.metrics.iter().enumerate().flat_map(|(at, metric)| {
            who.iter().map(move |rater| {
                let said = |draw: &Draw<'_>| match rater {
                    None => draw.consensus,
                    Some(rater) => draw.raters.get(*rater).copied(),
                };
                let both: Vec<(f64, f64)> =
                    draws.iter().filter_map(|draw| Some((draw.scores[at]?, said(draw)?))).collect();
                scorer_agreement(metric, *rater, &both)
            })
        });
        RatedBlock {
            draws: draws.len() as u64,
            rated: draws.iter().filter(|draw| !draw.raters.is_empty()).count() as u64,
            alpha_nominal: alpha(Scale::Nominal),
            alpha_interval: alpha(Scale::Interval),
            pairs: pairs.collect(),
            scorers: scorers.collect(),
            raters,
        }
    }
}

fn scorer_agreement(metric: &str, rater: Option<&str>, both: &[(f64, f64)]) -> ScorerAgreement {
    let right = |value: f64| f64::from(u8::from(value >= RIGHT));
    let found = cohen_kappa(both.iter().map(|(score, said)| (right(*score), right(*said))));
    let mean = |of: fn(&(f64, f64)) -> f64| {
        let mut sum = ExactSum::new();
        for pair in both {
            sum.add(of(pair));
        }
        (!both.is_empty()).then(|| sum.total() / both.len() as f64)
    };
    ScorerAgreement {
        metric: metric.to_owned(),
        rater: rater.map(str::to_owned),
        draws: found.units,
        metric_mean: mean(|pair| pair.0),
        rater_mean: mean(|pair| pair.1),
        agreement: found.observed,
        kappa: found.kappa,
    }
}
