use std::collections::BTreeMap;

use super::estimate::estimate;
use super::item_set::{Cluster, ItemSet, Quantity};
use crate::plan::Analysis;
use crate::stats::special::student_two_sided;
use crate::stats::{self, Differences, Method, Stream};
use crate::step::intervals::Intervals;
use crate::step::merge::kind_of;
use crate::step::named_list::NamedList;
use crate::step::significance::{Arms, Block, Estimate, McNemarBlock, MetricBlock, Missing, TestBlock};

/// The name of the tokens written, which are compared like a metric.
pub(super) const OUTPUT_TOKENS: &str = "output_tokens";

/// The metrics that say right or wrong, the one that is tested first in front.
const RIGHT_OR_WRONG: [&str; 6] = ["em", "squad_em", "numeric", "includes", "exact", "regex"];

/// Compares the arms on a set of items.
pub(super) fn block(set: &ItemSet<'_>, analysis: &Analysis) -> Block {
    let single = set.is_single_draw();
    let mut metrics = NamedList::default();
    let mut arms = [NamedList::default(), NamedList::default()];
    for (name, quantity) in quantities(set) {
        let pairs = set.pairs(quantity);
        let sides = [0, 1].map(|arm| set.values(arm, quantity));
        let is_binary = single && sides.iter().all(|(values, _)| values.iter().all(|v| *v == 0.0 || *v == 1.0));
        for (arm, (values, clusters)) in arms.iter_mut().zip(&sides) {
            let clusters = set.clusters.map(|_| clusters.as_slice());
            // A provider that counts no tokens says nothing about them.
            if !values.is_empty() || name != OUTPUT_TOKENS {
                arm.push(name, estimate(analysis, values, clusters, is_binary));
            }
        }
        if !pairs.is_empty() {
            metrics.push(name, metric(set, name, &pairs, is_binary, analysis));
        }
    }
    let scored = |arm: usize| set.items.iter().filter(move |row| row.item.arms()[arm].is_some_and(|a| a.scored > 0));
    let paired = scored(0).filter(|row| row.item.treatment.as_ref().is_some_and(|arm| arm.scored > 0)).count();
    let built = [0, 1].map(|arm| set.items.iter().any(|row| row.item.arms()[arm].is_some()));
    let [control, treatment] = arms;
    let per_arm: [Option<NamedList<Estimate>>; 2] = [built[0].then_some(control), built[1].then_some(treatment)];
    Block {
        kind: kind_of(set.open).to_owned(),
        n_items: paired as u64,
        n_missing: (set.items.len() - paired) as u64,
        n_clusters: set.clusters,
        mcnemar: mcnemar(set, single),
        metrics,
        arms: Arms::new(per_arm),
        statuses: Arms::new([0, 1].map(|arm| built[arm].then(|| statuses(set, arm)))),
        missing: Arms::new([0, 1].map(|arm| built[arm].then(|| missing(set, arm)))),
        subgroups: None,
    }
}

fn quantities<'a>(set: &'a ItemSet<'_>) -> impl Iterator<Item = (&'a str, Quantity)> {
    let metrics = set.metrics.iter().enumerate().map(|(at, name)| (name.as_str(), Quantity::Metric(at)));
    metrics.chain([(OUTPUT_TOKENS, Quantity::OutputTokens)])
}

fn metric(
    set: &ItemSet<'_>,
    name: &str,
    pairs: &[(f64, f64, Cluster<'_>)],
    is_binary: bool,
    analysis: &Analysis,
) -> MetricBlock {
    let differences = Differences::omitting(pairs.iter().map(|&(control, treatment, _)| (control, treatment)));
    let summary = stats::paired(&differences);
    let mean_of =
        |side: fn(&(f64, f64, Cluster<'_>)) -> f64| stats::mean(&pairs.iter().map(side).collect::<Vec<_>>()).mean;
    let deltas = || pairs.iter().map(|&(control, treatment, cluster)| (treatment - control, cluster));
    let mut stream = Stream::derive(analysis.random_seed, &format!("bootstrap|{}|{name}", set.scope));
    let clustered = set.clusters.map(|_| {
        let (deltas, clusters): (Vec<_>, Vec<_>) = deltas().unzip();
        stats::clustered_mean(&deltas, &clusters)
    });
    let bootstrap = match clustered {
        Some(_) => stats::cluster_bootstrap(deltas(), analysis.bootstrap_samples, &mut stream),
        None => stats::bootstrap(&differences, analysis.bootstrap_samples, &mut stream),
    };
    let intervals = Intervals::of(analysis.alpha, |level| bootstrap.as_ref()?.percentile(level));
    let test = if let Some(clustered) = clustered {
        let se = clustered.standard_error.filter(|&se| se > 0.0);
        let p = se.zip(clustered.mean).map(|(se, mean)| student_two_sided(mean / se, clustered.clusters as f64 - 1.0));
        p.map(|p| ("cluster-robust-t", p))
    } else if is_binary {
        Some(("mcnemar-exact", stats::mcnemar(summary.positive, summary.negative).p_exact))
    } else {
        summary.t_test().map(|test| ("paired-t", test.p))
    };
    MetricBlock {
        n_items: summary.n,
        control_mean: mean_of(|pair| pair.0),
        treatment_mean: mean_of(|pair| pair.1),
        delta_mean: summary.mean,
        ci_95: intervals.ci_95,
        ci: intervals.ci,
        method: intervals.method,
        se: clustered.map_or(summary.standard_error, |clustered| clustered.standard_error),
        cohens_dz: summary.cohens_dz,
        treatment_higher: summary.positive,
        equal: summary.ties,
        control_higher: summary.negative,
        test: test.map(|(name, p_value)| TestBlock { name: name.to_owned(), p_value, q_value: None }),
    }
}

/// Tests the first metric that says right or wrong; an item with several draws is right if more than half of them are.
fn mcnemar(set: &ItemSet<'_>, single: bool) -> Option<McNemarBlock> {
    let at = main_metric(&set.metrics)?;
    let pairs = set.pairs(Quantity::Metric(at));
    let count = |control: bool, treatment: bool| {
        pairs.iter().filter(|(c, t, _)| (*c > 0.5) == control && (*t > 0.5) == treatment).count() as u64
    };
    let test = stats::mcnemar(count(false, true), count(true, false));
    (!pairs.is_empty()).then(|| McNemarBlock {
        metric: set.metrics[at].clone(),
        binarised: (!single).then(|| "mean over draws > 0.5".to_owned()),
        b: test.b,
        c: test.c,
        p_exact: test.p_exact,
        p_mid: test.p_mid,
        odds_ratio: test.odds_ratio,
        or_ci_95: [test.odds_ratio_ci.0, test.odds_ratio_ci.1],
        method: Method::ConditionalExact.name().to_owned(),
        q_value: None,
    })
}

/// Finds the metric that says right or wrong; those of a scorer with a name of its own come after the plain ones.
fn main_metric(metrics: &[String]) -> Option<usize> {
    let plain = RIGHT_OR_WRONG.iter().find_map(|name| metrics.iter().position(|metric| metric == name));
    let named = |metric: &String| {
        RIGHT_OR_WRONG.iter().any(|name| metric.strip_suffix(name).is_some_and(|rest| rest.ends_with('_')))
    };
    plain.or_else(|| metrics.iter().position(named))
}

fn statuses(set: &ItemSet<'_>, arm: usize) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for status in set.items.iter().filter_map(|row| row.item.arms()[arm]).flat_map(|arm| &arm.statuses) {
        *counts.entry(status.to_string()).or_default() += 1;
    }
    counts
}

fn missing(set: &ItemSet<'_>, arm: usize) -> Missing {
    let arms = || set.items.iter().map(|row| row.item.arms()[arm]);
    Missing {
        items: arms().filter(|arm| arm.is_none_or(|arm| arm.scored == 0)).count() as u64,
        draws: arms().flatten().map(|arm| arm.statuses.len() as u64 - u64::from(arm.scored)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_right_or_wrong_metric_is_tested_first() {
        let main = |names: &[&str]| main_metric(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(main(&["f1", "includes", "em"]), Some(2));
        assert_eq!(main(&["f1", "strict_exact", "regex"]), Some(2));
        assert_eq!(main(&["squad_f1", "strict_exact"]), Some(1));
        assert_eq!(main(&["f1", "abstain_rate", "item"]), None);
    }
}
