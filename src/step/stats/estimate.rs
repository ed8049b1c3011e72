use super::item_set::Cluster;
use crate::plan::Analysis;
use crate::stats;
use crate::step::intervals::Intervals;
use crate::step::significance::Estimate;

/// Estimates an arm's mean.
///
/// The interval is Wilson's where every value is 0 or 1 (`is_binary`), cluster-robust where items are clustered, and
/// Student's otherwise.
pub(super) fn estimate(
    analysis: &Analysis,
    values: &[f64],
    clusters: Option<&[Cluster<'_>]>,
    is_binary: bool,
) -> Estimate {
    let intervals = if let Some(clusters) = clusters {
        let clustered = stats::clustered_mean(values, clusters);
        Intervals::of(analysis.alpha, |level| clustered.interval(level))
    } else if is_binary {
        let right = values.iter().filter(|&&value| value == 1.0).count() as u64;
        Intervals::of(analysis.alpha, |level| stats::wilson(right, values.len() as u64, level))
    } else {
        Intervals::of(analysis.alpha, |level| stats::t_interval(values, level))
    };
    Estimate {
        mean: stats::mean(values).mean,
        ci_95: intervals.ci_95,
        ci: intervals.ci,
        method: intervals.method,
        n: values.len() as u64,
    }
}
