use std::collections::BTreeMap;

use rayon::prelude::*;

use super::estimate::estimate;
use super::item_set::{ItemSet, Quantity};
use super::metric::metric;
use super::risk::selective_risk;
use crate::plan::Analysis;
use crate::stats::{self, Method, Stream};
use crate::step::merge::kind_of;
use crate::step::named_list::NamedList;
use crate::step::significance::{Arms, Block, Estimate, McNemarBlock, MetricBlock, Missing};

/// The name of the tokens written, which are compared like a metric.
pub const OUTPUT_TOKENS: &str = "output_tokens";

/// The metrics that say right or wrong, the one that is tested first in front.
const RIGHT_OR_WRONG: [&str; 6] = ["em", "squad_em", "numeric", "includes", "exact", "regex"];

/// The metrics of which less is better, by the end of their names.
const LESS_IS_BETTER: [&str; 3] = ["false_answer_rate", "unsupported_rate", OUTPUT_TOKENS];

/// Says whether less of a metric is better.
pub(super) fn is_less_better(name: &str) -> bool {
    LESS_IS_BETTER.iter().any(|metric| name.ends_with(metric))
}

/// Compares the arms on a set of items.
///
/// Metrics are worked on side by side; each has its own random streams, so no thread decides anything.
pub(super) fn block(set: &ItemSet<'_>, analysis: &Analysis) -> Block {
    let single = set.is_single_draw();
    let quantities: Vec<(&str, Quantity)> = quantities(set).collect();
    let made: Vec<Made> =
        quantities.par_iter().map(|&(name, quantity)| Made::of(set, name, quantity, single, analysis)).collect();
    let mut metrics = NamedList::default();
    let mut arms = [NamedList::default(), NamedList::default()];
    for ((name, _), made) in quantities.iter().zip(made) {
        for (arm, estimate) in arms.iter_mut().zip(made.arms) {
            if let Some(estimate) = estimate {
                arm.push(*name, estimate);
            }
        }
        if let Some(metric) = made.metric {
            metrics.push(*name, metric);
        }
    }
    let scored = |item: u32, arm: usize| set.table.arms[arm].scored[item as usize] > 0;
    let paired = set.items.iter().filter(|&&item| scored(item, 0) && scored(item, 1)).count();
    let built = [0, 1].map(|arm| set.is_built(arm));
    let [control, treatment] = arms;
    let per_arm: [Option<NamedList<Estimate>>; 2] = [built[0].then_some(control), built[1].then_some(treatment)];
    Block {
        kind: kind_of(set.open).to_owned(),
        n_items: paired as u64,
        n_missing: (set.items.len() - paired) as u64,
        n_clusters: set.clusters,
        mcnemar: mcnemar(set, single),
        metrics,
        selective_risk: selective_risk(set, &analysis.risk_thresholds),
        meta: None,
        arms: Arms::new(per_arm.map(|arm| arm.filter(|arm| !arm.is_empty()))),
        statuses: Arms::new([0, 1].map(|arm| Some(statuses(set, arm)).filter(|counts| !counts.is_empty()))),
        missing: Arms::new([0, 1].map(|arm| built[arm].then(|| missing(set, arm)))),
        subgroups: None,
    }
}

/// Is what one quantity comes to.
struct Made {
    arms: [Option<Estimate>; 2],
    metric: Option<MetricBlock>,
}

impl Made {
    fn of(set: &ItemSet<'_>, name: &str, quantity: Quantity, single: bool, analysis: &Analysis) -> Self {
        let sides = [0, 1].map(|arm| set.values(arm, quantity));
        let is_binary = single && sides.iter().all(|(values, _)| values.iter().all(|v| *v == 0.0 || *v == 1.0));
        let is_metric = matches!(quantity, Quantity::Metric(_));
        let arm = |arm: usize| {
            let (values, clusters) = &sides[arm];
            // A provider that counts no tokens says nothing about them.
            if values.is_empty() && !is_metric {
                return None;
            }
            let label = format!("bootstrap|{}|{name}|{}", set.scope, ["control", "treatment"][arm]);
            let stream = is_metric.then(|| Stream::derive(analysis.random_seed, &label));
            Some(estimate(analysis, values, set.clusters.map(|_| clusters.as_slice()), is_binary, stream))
        };
        Self { arms: [arm(0), arm(1)], metric: metric(set, name, quantity, is_binary, analysis) }
    }
}

fn quantities<'a>(set: &'a ItemSet<'_>) -> impl Iterator<Item = (&'a str, Quantity)> {
    let metrics = set.metrics.iter().enumerate().map(|(at, name)| (name.as_str(), Quantity::Metric(at)));
    metrics.chain([(OUTPUT_TOKENS, Quantity::OutputTokens)])
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
pub(super) fn main_metric(metrics: &[String]) -> Option<usize> {
    let plain = RIGHT_OR_WRONG.iter().find_map(|name| metrics.iter().position(|metric| metric == name));
    let named = |metric: &String| {
        RIGHT_OR_WRONG.iter().any(|name| metric.strip_suffix(name).is_some_and(|rest| rest.ends_with('_')))
    };
    plain.or_else(|| metrics.iter().position(named))
}

fn statuses(set: &ItemSet<'_>, arm: usize) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for status in set.items.iter().flat_map(|&item| set.table.arms[arm].statuses(item as usize)) {
        *counts.entry(*status).or_default() += 1;
    }
    counts.into_iter().map(|(status, count): (_, u64)| (status.to_string(), count)).collect()
}

fn missing(set: &ItemSet<'_>, arm: usize) -> Missing {
    let columns = &set.table.arms[arm];
    let scored = |item: u32| columns.scored[item as usize];
    Missing {
        items: set.items.iter().filter(|&&item| scored(item) == 0).count() as u64,
        draws: set
            .items
            .iter()
            .map(|&item| columns.statuses(item as usize).len() as u64 - u64::from(scored(item)))
            .sum(),
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
