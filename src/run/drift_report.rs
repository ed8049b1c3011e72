use std::collections::{BTreeMap, BTreeSet};

use crate::stats::{Design, Differences, Stream, holm, mcnemar, one_way_share, permutation};

/// Is the power that the smallest drift that could be seen is stated at.
const POWER: f64 = 0.8;

/// Is what is compared of one draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DriftDraw {
    /// The text, as it came.
    pub text: String,
    /// The metrics with their values; absent where the draw has no scores, or none could be made.
    pub scores: Option<Vec<(String, f64)>>,
    /// How many tokens were written.
    pub output_tokens: Option<u64>,
    /// The model that the provider says it served.
    pub served_model: Option<String>,
    /// The provider's fingerprint of what served it.
    pub fingerprint: Option<String>,
    /// The revision that the server stated before it was asked.
    pub server_revision: Option<String>,
}

/// Is one request with its draw then and its draw now.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftPair {
    /// Who was asked: provider and model.
    pub model: String,
    /// The dataset.
    pub dataset: String,
    /// Whether the temperature is 0, so that equal texts are to be expected.
    pub is_greedy: bool,
    /// Whether draws of this dataset can be scored.
    pub is_scored: bool,
    /// The recorded draw.
    pub then: DriftDraw,
    /// The new one.
    pub now: DriftDraw,
}

/// Says how draws are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriftRule {
    /// The level of the tests, over all of them together.
    pub alpha: f64,
    /// Sign flips of a permutation test whose law is too costly.
    pub resamples: u32,
    /// The seed of its stream.
    pub seed: u64,
}

/// Is the test of one metric.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct DriftTest {
    /// Who was asked.
    pub model: String,
    /// The dataset.
    pub dataset: String,
    /// The metric; `scored` is the share of draws that have a score, `output_tokens` the length of answers.
    pub metric: String,
    /// How many requests have it then and now.
    pub n: u64,
    /// The mean of the recorded draws.
    pub then: f64,
    /// The mean of the new ones.
    pub now: f64,
    /// The mean of now − then.
    pub difference: f64,
    /// `mcnemar-exact` where every value is 0 or 1, else `permutation`.
    pub test: &'static str,
    /// Its two-sided p-value.
    pub p_value: f64,
    /// The p-value corrected by Holm over all tests of this report.
    pub q_value: f64,
    /// The smallest drift of the mean that is detected with a power of 80 %; absent where no value differed.
    pub detectable: Option<f64>,
    /// The smallest share of draws that has to change, all in one direction, to be detected with a power of 80 %; absent
    /// where there are too few.
    pub detectable_share: Option<f64>,
}

/// Counts what the provider said of what served the draws.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ServedChange {
    /// Who was asked.
    pub model: String,
    /// `served_model`, `server_revision` or `fingerprint`.
    pub what: &'static str,
    /// What was said then, with the number of draws.
    pub then: BTreeMap<String, u64>,
    /// What was said now.
    pub now: BTreeMap<String, u64>,
    /// Whether something is said now that was not said then.
    pub changed: bool,
}

/// Counts the texts that are the same, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct IdenticalTexts {
    /// Who was asked.
    pub model: String,
    /// Whether the temperature is 0.
    pub greedy: bool,
    /// How many requests were asked again and answered.
    pub pairs: u64,
    /// How many of them have the same text.
    pub identical: u64,
}

/// Says whether a hosted model answers as it did.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct DriftReport {
    /// The level of the tests.
    pub alpha: f64,
    /// The tests.
    pub tests: Vec<DriftTest>,
    /// What served the draws, where the provider says so.
    pub served: Vec<ServedChange>,
    /// How many texts are the same.
    pub identical: Vec<IdenticalTexts>,
    /// What has drifted, one sentence each; empty where nothing was found, which is no proof that nothing has.
    pub found: Vec<String>,
}

impl DriftReport {
    /// Compares draws then and now.
    pub fn new(pairs: &[DriftPair], rule: DriftRule) -> Self {
        let mut tests = tests(pairs, rule);
        let q_values = holm(&tests.iter().map(|test| Some(test.p_value)).collect::<Vec<_>>());
        for (test, q) in tests.iter_mut().zip(q_values) {
            test.q_value = q.unwrap_or(1.0);
        }
        let (served, identical) = (served(pairs), identical(pairs));
        let changed = served.iter().filter(|change| change.changed && change.what != "fingerprint").map(|change| {
            let names = |counts: &BTreeMap<String, u64>| counts.keys().cloned().collect::<Vec<_>>().join("`, `");
            let what = if change.what == "served_model" { "is served by" } else { "has the revision" };
            format!("{} {what} `{}` now, and it was `{}` then", change.model, names(&change.now), names(&change.then))
        });
        let significant = tests.iter().filter(|test| test.q_value <= rule.alpha).map(|test| {
            format!(
                "{}: {} of {} went from {:.4} to {:.4} (q = {:.2e})",
                test.model, test.metric, test.dataset, test.then, test.now, test.q_value
            )
        });
        let found = changed.chain(significant).collect();
        Self { alpha: rule.alpha, tests, served, identical, found }
    }

    /// Says whether drift was found: a test is significant, or the provider says that it serves another model.
    pub fn is_found(&self) -> bool {
        !self.found.is_empty()
    }
}

type Values = Vec<(f64, f64)>;

fn tests(pairs: &[DriftPair], rule: DriftRule) -> Vec<DriftTest> {
    let mut groups: BTreeMap<(&str, &str), Vec<(String, Values)>> = BTreeMap::new();
    for pair in pairs {
        let metrics = groups.entry((&pair.model, &pair.dataset)).or_default();
        let mut add = |name: &str, then: f64, now: f64| match metrics.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push((then, now)),
            None => metrics.push((name.to_owned(), vec![(then, now)])),
        };
        if let (Some(then), Some(now)) = (&pair.then.scores, &pair.now.scores) {
            for (name, value) in then {
                if let Some((_, other)) = now.iter().find(|(other, _)| other == name) {
                    add(name, *value, *other);
                }
            }
        }
        if pair.is_scored {
            let has = |draw: &DriftDraw| f64::from(u8::from(draw.scores.is_some()));
            add("scored", has(&pair.then), has(&pair.now));
        }
        if let (Some(then), Some(now)) = (pair.then.output_tokens, pair.now.output_tokens) {
            add("output_tokens", then as f64, now as f64);
        }
    }
    let count = groups.values().map(Vec::len).sum::<usize>().max(1);
    // A test of the family is significant at least where its own p is so small.
    let level = rule.alpha / count as f64;
    let mut tests = Vec::new();
    for ((model, dataset), metrics) in groups {
        for (metric, values) in metrics {
            tests.push(test((model, dataset, metric), &values, rule, level));
        }
    }
    tests
}

fn test((model, dataset, metric): (&str, &str, String), values: &Values, rule: DriftRule, level: f64) -> DriftTest {
    let n = values.len() as u64;
    let mean = |side: fn(&(f64, f64)) -> f64| values.iter().map(side).sum::<f64>() / n as f64;
    let differences = Differences::omitting(values.iter().copied());
    let (higher, _, lower) = differences.signs();
    let is_binary = values.iter().all(|(then, now)| [then, now].into_iter().all(|v| *v == 0.0 || *v == 1.0));
    let (name, p_value) = if is_binary {
        ("mcnemar-exact", mcnemar(higher, lower).p_exact)
    } else {
        let mut stream = Stream::derive(rule.seed, &format!("drift/{model}/{dataset}/{metric}"));
        ("permutation", permutation(&differences, rule.resamples, &mut stream).p)
    };
    let share = one_way_share(n, level, POWER);
    let spread = differences.sd().filter(|sd| *sd > 0.0);
    let by_spread = spread.and_then(|sd| Design::new(level, POWER)?.detectable(sd, n));
    // An exact test of few changes sees less than the normal form says.
    let detectable = if is_binary { by_spread.zip(share).map(|(a, b)| a.max(b)) } else { by_spread };
    DriftTest {
        model: model.to_owned(),
        dataset: dataset.to_owned(),
        metric,
        n,
        then: mean(|pair| pair.0),
        now: mean(|pair| pair.1),
        difference: differences.mean().unwrap_or(0.0),
        test: name,
        p_value,
        q_value: 1.0,
        detectable,
        detectable_share: share,
    }
}

/// Reads one of the things that a provider says of what served a draw.
type ReadSaid = fn(&DriftDraw) -> Option<&String>;

fn served(pairs: &[DriftPair]) -> Vec<ServedChange> {
    let models: BTreeSet<&str> = pairs.iter().map(|pair| pair.model.as_str()).collect();
    let kinds: [(&'static str, ReadSaid); 3] = [
        ("served_model", |draw| draw.served_model.as_ref()),
        ("server_revision", |draw| draw.server_revision.as_ref()),
        ("fingerprint", |draw| draw.fingerprint.as_ref()),
    ];
    let mut changes = Vec::new();
    for model in models {
        for (what, read) in kinds {
            let count = |side: fn(&DriftPair) -> &DriftDraw| {
                let mut counts: BTreeMap<String, u64> = BTreeMap::new();
                for said in pairs.iter().filter(|pair| pair.model == model).filter_map(|pair| read(side(pair))) {
                    *counts.entry(said.clone()).or_default() += 1;
                }
                counts
            };
            let (then, now) = (count(|pair| &pair.then), count(|pair| &pair.now));
            if then.is_empty() && now.is_empty() {
                continue;
            }
            // What was not said then is no change: nobody knows what it was.
            let changed = !then.is_empty() && now.keys().any(|said| !then.contains_key(said));
            changes.push(ServedChange { model: model.to_owned(), what, then, now, changed });
        }
    }
    changes
}

fn identical(pairs: &[DriftPair]) -> Vec<IdenticalTexts> {
    let mut counts: BTreeMap<(&str, bool), (u64, u64)> = BTreeMap::new();
    for pair in pairs {
        let count = counts.entry((&pair.model, pair.is_greedy)).or_default();
        count.0 += 1;
        count.1 += u64::from(pair.then.text == pair.now.text);
    }
    let entry = |((model, greedy), (pairs, identical)): ((&str, bool), _)| {
        let model = model.to_owned();
        IdenticalTexts { model, greedy, pairs, identical }
    };
    counts.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: DriftRule = DriftRule { alpha: 0.05, resamples: 2000, seed: 1 };

    fn draw(score: Option<f64>, tokens: u64, served: &str) -> DriftDraw {
        DriftDraw {
            text: format!("{score:?}"),
            scores: score.map(|score| vec![("em".to_owned(), score)]),
            output_tokens: Some(tokens),
            served_model: Some(served.to_owned()),
            ..DriftDraw::default()
        }
    }

    fn pair(then: DriftDraw, now: DriftDraw) -> DriftPair {
        DriftPair { model: "m".into(), dataset: "d".into(), is_greedy: true, is_scored: true, then, now }
    }

    fn metric<'r>(report: &'r DriftReport, name: &str) -> &'r DriftTest {
        report.tests.iter().find(|test| test.metric == name).unwrap()
    }

    #[test]
    fn the_same_answers_are_no_drift_and_no_proof() {
        let same = |n: u64| pair(draw(Some((n % 2) as f64), 5, "m-1"), draw(Some((n % 2) as f64), 5, "m-1"));
        let report = DriftReport::new(&(0..60).map(same).collect::<Vec<_>>(), RULE);
        assert!(!report.is_found());
        assert_eq!(report.identical, [IdenticalTexts { model: "m".into(), greedy: true, pairs: 60, identical: 60 }]);
        let em = metric(&report, "em");
        assert_eq!((em.n, em.p_value, em.q_value, em.detectable), (60, 1.0, 1.0, None));
        // Three tests: 2^(1 − 7) < 0.05 / 3, so seven changes are needed.
        assert!((0.1..0.2).contains(&em.detectable_share.unwrap()), "{em:?}");
        assert!(!report.served[0].changed);
        let few = DriftReport::new(&(0..6).map(same).collect::<Vec<_>>(), RULE);
        assert_eq!(metric(&few, "em").detectable_share, None, "six can never be significant");
    }

    #[test]
    fn a_worse_model_is_found_by_its_scores() {
        let worse = |n: u64| pair(draw(Some(1.0), 5, "m-1"), draw(Some(f64::from(u8::from(n >= 12))), 5, "m-1"));
        let report = DriftReport::new(&(0..40).map(worse).collect::<Vec<_>>(), RULE);
        let em = metric(&report, "em");
        assert_eq!((em.test, em.p_value), ("mcnemar-exact", mcnemar(0, 12).p_exact));
        assert!((em.q_value - 3.0 * em.p_value).abs() < 1e-12, "corrected over three tests");
        assert!((em.difference + 0.3).abs() < 1e-12 && em.detectable.is_some());
        assert_eq!(report.found.len(), 1);
        assert!(report.found[0].contains("em of d went from 1.0000 to 0.7000"), "{:?}", report.found);
    }

    #[test]
    fn draws_that_lose_their_score_are_seen() {
        let lost = |n: u64| pair(draw(Some(1.0), 5, "m-1"), draw((n >= 15).then_some(1.0), 5, "m-1"));
        let report = DriftReport::new(&(0..40).map(lost).collect::<Vec<_>>(), RULE);
        assert_eq!((metric(&report, "em").n, metric(&report, "scored").n), (25, 40));
        assert!(report.is_found() && report.found[0].contains("scored"), "{:?}", report.found);
    }

    #[test]
    fn longer_answers_are_tested_by_flipping_signs() {
        let longer = |n: u64| pair(draw(Some(1.0), 10 + n % 3, "m-1"), draw(Some(1.0), 14 + n % 5, "m-1"));
        let report = DriftReport::new(&(0..30).map(longer).collect::<Vec<_>>(), RULE);
        let tokens = metric(&report, "output_tokens");
        assert_eq!(tokens.test, "permutation");
        assert!(tokens.q_value < 0.001 && tokens.detectable.unwrap() < 2.0, "{tokens:?}");
    }

    #[test]
    fn another_served_model_is_drift_and_an_unknown_one_is_not() {
        let other = |_: u64| pair(draw(Some(1.0), 5, "m-1"), draw(Some(1.0), 5, "m-2"));
        let report = DriftReport::new(&(0..5).map(other).collect::<Vec<_>>(), RULE);
        assert!(report.found[0].contains("is served by `m-2` now, and it was `m-1` then"), "{:?}", report.found);
        let unknown = |n: u64| {
            let mut pair = other(n);
            pair.then.served_model = None;
            pair
        };
        assert!(!DriftReport::new(&(0..5).map(unknown).collect::<Vec<_>>(), RULE).is_found());
        // A fingerprint changes with every deployment: it is listed, and is no finding.
        let marked = |_: u64| {
            let mut pair = pair(draw(Some(1.0), 5, "m-1"), draw(Some(1.0), 5, "m-1"));
            (pair.then.fingerprint, pair.now.fingerprint) = (Some("a".into()), Some("b".into()));
            pair
        };
        let report = DriftReport::new(&(0..5).map(marked).collect::<Vec<_>>(), RULE);
        assert!(report.served.iter().any(|change| change.what == "fingerprint" && change.changed));
        assert!(!report.is_found());
    }
}
