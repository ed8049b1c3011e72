use super::metric::{add, se_method};
use crate::plan::Analysis;
use crate::stats::{self, Differences, Stream};
use crate::step::intervals::Intervals;
use crate::step::named_list::NamedList;
use crate::step::significance::Estimate;

/// Estimates an arm's mean.
///
/// The interval that stands in front is Wilson's where every value is 0 or 1 (`is_binary`), cluster-robust where items are
/// clustered, and Student's otherwise. `stream` serves the bootstrap of values that are not right or wrong; none: no
/// bootstrap is made.
pub(super) fn estimate(
    analysis: &Analysis,
    values: &[f64],
    clusters: Option<&[u32]>,
    is_binary: bool,
    stream: Option<Stream>,
) -> Estimate {
    let alpha = analysis.alpha;
    let mut intervals = NamedList::default();
    let clustered = clusters.map(|clusters| stats::clustered_mean(values, clusters));
    let simple = stats::mean(values);
    let robust = clustered.map(|clustered| Intervals::of(alpha, |level| clustered.interval(level)));
    let student = Intervals::of(alpha, |level| stats::t_interval(values, level));
    let (n, right) = (values.len() as u64, values.iter().filter(|&&value| value == 1.0).count() as u64);
    let wilson = is_binary.then(|| Intervals::of(alpha, |level| stats::wilson(right, n, level)));
    for found in [&robust, &wilson].into_iter().flatten() {
        add(&mut intervals, found);
    }
    if is_binary {
        add(&mut intervals, &Intervals::of(alpha, |level| stats::clopper_pearson(right, n, level)));
    } else {
        add(&mut intervals, &student);
        if let Some(mut stream) = stream {
            let bootstrap = if let Some(clusters) = clusters {
                let rows = values.iter().copied().zip(clusters.iter().copied());
                stats::cluster_bootstrap(rows, analysis.bootstrap_samples, &mut stream)
            } else {
                let values = Differences::from_deltas(values.iter().copied());
                stats::bootstrap(&values, analysis.bootstrap_samples, &mut stream)
            };
            add(&mut intervals, &Intervals::of(alpha, |level| bootstrap.as_ref()?.percentile(level)));
        }
    }
    let front = robust.or(wilson).unwrap_or(student);
    Estimate {
        mean: simple.mean,
        ci_95: front.ci_95,
        ci: front.ci,
        method: front.method,
        se: clustered.map_or(simple.standard_error, |clustered| clustered.standard_error),
        se_method: se_method(clustered.is_some()),
        intervals,
        n,
    }
}
