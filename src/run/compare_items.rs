use super::item_table::ItemTable;
use crate::stats::{Differences, Stream, bootstrap, mcnemar, paired};

/// Is how many resamples an interval is made of.
const RESAMPLES: u32 = 5000;
/// Is the seed of the intervals.
const SEED: u64 = 1337;
/// Is the level of the intervals.
const LEVEL: f64 = 0.95;
/// Is how many items are named for each direction of a flip.
const NAMED: usize = 20;

/// Compares one metric of one condition and type of item, on the items that have it on both sides.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct MetricComparison {
    /// `control` or `treatment`.
    pub condition: String,
    /// `open` or `closed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The metric.
    pub metric: String,
    /// How it changed.
    #[serde(flatten)]
    pub change: PairedChange,
    /// What changed sides, where every value is 0 or 1.
    pub flips: Option<Flips>,
}

/// Is how values changed, over the items that have one on both sides.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PairedChange {
    /// How many items.
    pub n: u64,
    /// The mean over them in `a`.
    pub mean_a: f64,
    /// The mean over them in `b`.
    pub mean_b: f64,
    /// The mean of `b` − `a`.
    pub delta: f64,
    /// Its 95 % bootstrap interval; absent below two items.
    pub ci_95: Option<[f64; 2]>,
    /// The method of the interval.
    pub method: Option<&'static str>,
    /// The test of no difference: `mcnemar-exact` where every value is 0 or 1, else `paired-t`.
    pub test: Option<&'static str>,
    /// Its two-sided p-value.
    pub p_value: Option<f64>,
}

/// Counts items whose value is 0 on one side and 1 on the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Flips {
    /// 0 in `a`, 1 in `b`: for a metric that is better when higher, wrong → right.
    pub up: u64,
    /// 1 in `a`, 0 in `b`.
    pub down: u64,
    /// The first items of `up`, by key.
    pub up_items: Vec<String>,
    /// The first items of `down`, by key.
    pub down_items: Vec<String>,
}

/// Compares every metric that both tables have values of, on the items that were matched: `partner` has, for each item of `a`,
/// its place among those of `b`.
pub(super) fn compare_items(a: &ItemTable, b: &ItemTable, partner: &[Option<u32>]) -> Vec<MetricComparison> {
    let mut metrics = Vec::new();
    for group in a.groups() {
        let places = a.same_places(b, group);
        for (at_a, metric) in a.metrics().iter().enumerate() {
            let Some(at_b) = b.metrics().iter().position(|other| other == metric) else { continue };
            let mut pairs: Vec<(&str, f64, f64)> = Vec::new();
            for (here, there) in &places {
                pairs.extend(partner.iter().zip(a.items()).enumerate().filter_map(|(item, (partner, key))| {
                    let other = b.value(*there, (*partner)? as usize, at_b)?;
                    Some((key.as_str(), a.value(*here, item, at_a)?, other))
                }));
            }
            metrics.extend(compare_metric(group, metric, &pairs));
        }
    }
    metrics
}

fn compare_metric(
    (condition, kind): (&str, &str),
    metric: &str,
    pairs: &[(&str, f64, f64)],
) -> Option<MetricComparison> {
    let (change, flips) = paired_change(&format!("{condition}|{kind}|{metric}"), pairs)?;
    Some(MetricComparison {
        condition: condition.to_owned(),
        kind: kind.to_owned(),
        metric: metric.to_owned(),
        change,
        flips,
    })
}

/// Compares the values of items on both sides, with what changed sides where every value is 0 or 1; none without a pair. `name` is
/// that of the stream of its intervals.
pub(super) fn paired_change(name: &str, pairs: &[(&str, f64, f64)]) -> Option<(PairedChange, Option<Flips>)> {
    let differences = Differences::omitting(pairs.iter().map(|(_, a, b)| (*a, *b)));
    let summary = paired(&differences);
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / pairs.len() as f64;
    let mut stream = Stream::derive(SEED, &format!("compare|{name}"));
    let interval = bootstrap(&differences, RESAMPLES, &mut stream).and_then(|bootstrap| bootstrap.percentile(LEVEL));
    let is_binary = pairs.iter().all(|(_, a, b)| [a, b].into_iter().all(|value| *value == 0.0 || *value == 1.0));
    let flips = is_binary.then(|| flips(pairs));
    let (test, p_value) = match &flips {
        Some(flips) => (Some("mcnemar-exact"), Some(mcnemar(flips.up, flips.down).p_exact)),
        None => match summary.t_test() {
            Some(test) => (Some("paired-t"), Some(test.p)),
            None => (None, None),
        },
    };
    let change = PairedChange {
        n: summary.n,
        // No pair, no mean: the metric is left out.
        delta: summary.mean?,
        mean_a: mean(&mut pairs.iter().map(|(_, a, _)| *a)),
        mean_b: mean(&mut pairs.iter().map(|(_, _, b)| *b)),
        ci_95: interval.map(|interval| [interval.lower, interval.upper]),
        method: interval.map(|interval| interval.method.name()),
        test,
        p_value,
    };
    Some((change, flips))
}

fn flips(pairs: &[(&str, f64, f64)]) -> Flips {
    let mut flips = Flips::default();
    for (item, a, b) in pairs.iter().filter(|(_, a, b)| a != b) {
        let (count, items) =
            if b > a { (&mut flips.up, &mut flips.up_items) } else { (&mut flips.down, &mut flips.down_items) };
        *count += 1;
        if items.len() < NAMED {
            items.push((*item).to_owned());
        }
    }
    flips
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "condition,em,em_std,item_key,temp,type,n_draws,n_missing,f1,f1_std\r\n\
        control,1.0,0.0,d|1,0.0,open,1,0,0.5,0.0\r\n\
        control,0.0,0.0,d|2,0.0,open,1,0,,\r\n\
        control,0.0,0.0,d|3,0.0,open,1,0,0.25,0.0\r\n\
        control,,,d|4,0.0,open,1,1,,\r\n\
        treatment,1.0,0.0,d|1,0.0,open,1,0,,\r\n";
    const B: &str = "condition,em,em_std,item_key,temp,type,n_draws,n_missing,f1,f1_std\r\n\
        control,0.0,0.0,d|1,0.7,open,1,0,0.75,0.0\r\n\
        control,1.0,0.0,d|2,0.7,open,1,0,0.5,0.0\r\n\
        control,1.0,0.0,d|3,0.7,open,1,0,0.25,0.0\r\n\
        control,1.0,0.0,d|4,0.7,open,1,1,,\r\n\
        control,1.0,0.0,d|9,0.7,open,1,0,,\r\n";

    fn compared(a: &str, b: &str) -> Vec<MetricComparison> {
        let (a, b) = (ItemTable::read(a.as_bytes()).unwrap(), ItemTable::read(b.as_bytes()).unwrap());
        let partner = |key: &String| b.items().binary_search(key).ok().map(|at| at as u32);
        compare_items(&a, &b, &a.items().iter().map(partner).collect::<Vec<_>>())
    }

    #[test]
    fn rows_are_compared_whatever_the_one_temperature_is() {
        let metrics = compared(A, B);
        let [em, f1] = metrics.as_slice() else { panic!("{metrics:?}") };
        assert_eq!(
            (em.metric.as_str(), em.change.n, em.change.mean_a, em.change.mean_b),
            ("em", 3, 1.0 / 3.0, 2.0 / 3.0)
        );
        let flips = em.flips.as_ref().unwrap();
        assert_eq!((flips.up, flips.down), (2, 1));
        assert_eq!(
            (flips.up_items.as_slice(), flips.down_items.as_slice()),
            (&["d|2".into(), "d|3".into()][..], &["d|1".into()][..])
        );
        assert_eq!((em.change.test, em.change.p_value), (Some("mcnemar-exact"), Some(1.0)));
        assert!(em.change.ci_95.is_some_and(|[low, high]| low < em.change.delta && em.change.delta < high));
        // An empty cell is no value: of four rows two have f1 on both sides.
        assert_eq!(
            (f1.metric.as_str(), f1.change.n, f1.change.mean_a, f1.change.delta, f1.flips.clone()),
            ("f1", 2, 0.375, 0.125, None)
        );
    }

    #[test]
    fn an_item_is_held_against_its_partner_whatever_that_is_called() {
        let (a, b) = (ItemTable::read(A.as_bytes()).unwrap(), ItemTable::read(B.as_bytes()).unwrap());
        // Of five items of B the fifth, `d|9`, is what A calls `d|2`; nothing else is matched.
        let [em, ..] = &compare_items(&a, &b, &[None, Some(4), None, None])[..] else { panic!() };
        let flips = em.flips.as_ref().unwrap();
        assert_eq!(
            (em.change.n, em.change.mean_a, em.change.mean_b, flips.up_items.as_slice()),
            (1, 0.0, 1.0, &["d|2".into()][..])
        );
    }

    #[test]
    fn a_metric_without_values_is_absent() {
        let empty = A.replace("0.5,0.0\r\n", ",\r\n").replace("0.25,0.0\r\n", ",\r\n");
        assert_eq!(compared(&empty, B).iter().map(|m| m.metric.as_str()).collect::<Vec<_>>(), ["em"]);
    }

    #[test]
    fn sides_exchanged_are_mirrored() {
        for (x, y) in compared(A, B).iter().zip(&compared(B, A)) {
            assert_eq!(
                (x.change.delta, x.change.ci_95),
                (-y.change.delta, y.change.ci_95.map(|[low, high]| [-high, -low]))
            );
            assert_eq!(x.change.p_value, y.change.p_value);
        }
    }
}
