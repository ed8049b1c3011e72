use super::random::Random;
use super::reader::Candidate;
use crate::request::{Decoding, DrawAddress, SeedPolicy};

/// Chooses among the spans, best first, and abstaining, which competes with the threshold as its score; none abstains.
///
/// At temperature 0, or without one, the highest score wins (a span over abstaining at equal scores). At temperature t > 0 a
/// choice with score s has the weight exp(s / t); `top_k`, `min_p` and `top_p` then leave out the unlikely ones, in this
/// order, and one is drawn by [`Random`] seeded by the draw's address, or, with a fixed seed, by request and seed alone.
pub(super) fn choose(
    spans: &[Candidate],
    threshold: Option<f64>,
    decoding: &Decoding,
    draw: &DrawAddress,
) -> Option<Candidate> {
    let mut choices: Vec<(f64, Option<Candidate>)> = spans.iter().map(|span| (span.score, Some(*span))).collect();
    if let Some(threshold) = threshold {
        let at = choices.partition_point(|choice| choice.0 >= threshold);
        choices.insert(at, (threshold, None));
    }
    let best = choices.first()?;
    let temperature = decoding.temperature.map_or(0.0, |t| t.to_f64());
    if temperature <= 0.0 {
        return best.1;
    }
    let mut weights: Vec<f64> = choices.iter().map(|choice| libm::exp((choice.0 - best.0) / temperature)).collect();
    if let Some(k) = decoding.top_k.filter(|k| *k > 0) {
        weights.truncate(k as usize);
    }
    if let Some(floor) = decoding.min_p {
        let floor = floor.to_f64() * weights[0];
        weights.truncate(weights.partition_point(|weight| *weight >= floor).max(1));
    }
    if let Some(mass) = decoding.top_p {
        let wanted = mass.to_f64() * weights.iter().sum::<f64>();
        let mut sum = 0.0;
        let mut kept = 0;
        while kept < weights.len() && sum < wanted {
            sum += weights[kept];
            kept += 1;
        }
        weights.truncate(kept.max(1));
    }
    let seed = match decoding.seed {
        Some(SeedPolicy::Fixed(n)) => {
            DrawAddress { request: draw.request, generation: n as u32, number: (n >> 32) as u32 }
        }
        Some(SeedPolicy::PerDraw) | None => *draw,
    };
    let mut left = Random::new(seed.id().digest()).unit() * weights.iter().sum::<f64>();
    for (weight, choice) in weights.iter().zip(&choices) {
        left -= weight;
        if left < 0.0 {
            return choice.1;
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::super::span::{Span, SpanKind};
    use super::*;
    use crate::digest::{Digest, RequestKey};

    fn spans(scores: &[f64]) -> Vec<Candidate> {
        let span = |i: usize| Span { first: i as u32, end: i as u32 + 1, kind: SpanKind::Phrase };
        scores.iter().enumerate().map(|(i, &score)| Candidate { span: span(i), score }).collect()
    }

    fn draw(number: u32) -> DrawAddress {
        DrawAddress { request: RequestKey::new(Digest::of(b"r")), generation: 0, number }
    }

    /// Counts how often each span is chosen in 1,000 draws; abstaining comes last.
    fn counts(scores: &[f64], threshold: Option<f64>, decoding: &Decoding) -> Vec<u32> {
        let mut counts = vec![0; scores.len() + 1];
        for number in 0..1000 {
            let chosen = choose(&spans(scores), threshold, decoding, &draw(number));
            counts[chosen.map_or(scores.len(), |c| c.span.first as usize)] += 1;
        }
        counts
    }

    fn at(temperature: &str) -> Decoding {
        Decoding { temperature: Some(temperature.parse().unwrap()), ..Decoding::default() }
    }

    #[test]
    fn without_temperature_the_best_wins() {
        for decoding in [Decoding::default(), at("0")] {
            assert_eq!(counts(&[2.0, 1.0], None, &decoding), [1000, 0, 0]);
            assert_eq!(counts(&[2.0, 1.0], Some(2.5), &decoding), [0, 0, 1000]);
            assert_eq!(counts(&[2.0, 1.0], Some(2.0), &decoding), [1000, 0, 0]);
        }
        assert!(choose(&[], None, &Decoding::default(), &draw(0)).is_none());
    }

    #[test]
    fn with_temperature_shares_follow_the_softmax() {
        // Odds at t = 0.5: e^2 : 1 : e^2 / (e^2 + 1 + e^2), which is 46.8 %, 6.3 %, 46.8 %.
        let shares = counts(&[2.0, 1.0], Some(2.0), &at("0.5"));
        for (share, expected) in shares.iter().zip([468i32, 63, 468]) {
            assert!((*share as i32 - expected).abs() < 50, "{shares:?}");
        }
    }

    #[test]
    fn the_tail_is_left_out_when_asked() {
        let scores = [2.0, 1.9, 1.0, 0.9];
        let some = |text: &str| Some(text.parse().unwrap());
        let used = |decoding: Decoding| counts(&scores, None, &decoding).iter().filter(|count| **count > 0).count();
        assert_eq!(used(at("1")), 4);
        assert_eq!(used(Decoding { top_k: Some(3), ..at("1") }), 3);
        assert_eq!(used(Decoding { top_p: some("0.5"), ..at("1") }), 2);
        assert_eq!(used(Decoding { top_p: some("0"), ..at("1") }), 1);
        assert_eq!(used(Decoding { min_p: some("0.5"), ..at("1") }), 2);
    }

    #[test]
    fn a_fixed_seed_draws_alike_and_seeds_differ() {
        let with = |seed| Decoding { seed: Some(SeedPolicy::Fixed(seed)), ..at("1") };
        let scores = [1.0; 5];
        assert_eq!(counts(&scores, None, &with(7)).iter().filter(|count| **count > 0).count(), 1);
        let distinct: std::collections::BTreeSet<_> = (0..20).map(|seed| counts(&scores, None, &with(seed))).collect();
        assert!(distinct.len() > 2);
    }
}
