//! Means of values that come in clusters.

use std::collections::BTreeMap;

use super::exact_sum::ExactSum;
use super::interval::{Interval, Method};
use super::mean::{mean, t_interval_of};

/// A mean with a cluster-robust standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClusteredMean {
    /// The number of values.
    pub n: u64,
    /// The number of clusters.
    pub clusters: u64,
    /// The mean of all values, none if there is no value.
    pub mean: Option<f64>,
    /// The cluster-robust standard error with the factor G/(G−1), none below two clusters.
    pub standard_error: Option<f64>,
    /// The same without that factor, as Miller (2024) writes it, none below two clusters.
    pub standard_error_uncorrected: Option<f64>,
    /// The squared ratio of the clustered to the independent standard error; none if the latter is 0 or undefined.
    pub design_effect: Option<f64>,
}

impl ClusteredMean {
    /// Returns mean ± t(G − 1) × standard error, none below two clusters.
    pub fn interval(&self, level: f64) -> Option<Interval> {
        let df = self.clusters as f64 - 1.0;
        t_interval_of(self.mean?, self.standard_error?, df, level, Method::ClusteredT)
    }
}

/// Returns the mean with a standard error that allows any dependence within clusters.
///
/// se² = G/(G−1) Σ_g (Σ_{i∈g} (x_i − mean))² / n²: the sandwich estimator of an
/// intercept (Liang and Zeger 1986; Miller 2024 without the factor). With one
/// value per cluster it equals sd/sqrt(n). Values that are not finite are left
/// out with their row. `clusters` gives each value's cluster; rows beyond the
/// shorter slice are ignored.
pub fn clustered_mean<C: Ord>(values: &[f64], clusters: &[C]) -> ClusteredMean {
    let rows = || values.iter().zip(clusters).filter(|(v, _)| v.is_finite());
    let kept: Vec<f64> = rows().map(|(v, _)| *v).collect();
    let simple = mean(&kept);
    let centre = simple.mean.unwrap_or(0.0);
    let mut sums: BTreeMap<&C, ExactSum> = BTreeMap::new();
    for (value, cluster) in rows() {
        sums.entry(cluster).or_default().add(value - centre);
    }
    let groups = sums.len() as u64;
    let mut squares = ExactSum::new();
    squares.extend(sums.values().map(|sum| sum.total() * sum.total()));
    let uncorrected = (groups > 1).then(|| libm::sqrt(squares.total()) / simple.n as f64);
    let standard_error = uncorrected.map(|se| se * libm::sqrt(groups as f64 / (groups as f64 - 1.0)));
    let design_effect = match (standard_error, simple.standard_error) {
        (Some(clustered), Some(plain)) if plain > 0.0 => Some((clustered / plain) * (clustered / plain)),
        _ => None,
    };
    ClusteredMean {
        n: simple.n,
        clusters: groups,
        mean: simple.mean,
        standard_error,
        standard_error_uncorrected: uncorrected,
        design_effect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singletons_give_the_simple_standard_error() {
        let values = [0.0, 1.0, 1.0, 0.25, 0.75];
        let clustered = clustered_mean(&values, &[5, 4, 3, 2, 1]);
        let simple = mean(&values);
        let gap = clustered.standard_error.unwrap() / simple.standard_error.unwrap() - 1.0;
        assert!(gap.abs() < 1e-14);
        assert!((clustered.design_effect.unwrap() - 1.0).abs() < 1e-14);
    }

    #[test]
    fn duplicated_items_do_not_shrink_the_error() {
        let values = [0.0, 1.0, 1.0, 0.25, 0.75];
        let doubled: Vec<f64> = values.iter().chain(&values).copied().collect();
        let ids: Vec<usize> = (0..5).chain(0..5).collect();
        let once = clustered_mean(&values, &ids[..5]);
        let twice = clustered_mean(&doubled, &ids);
        let ratio = twice.standard_error.unwrap() / once.standard_error.unwrap();
        assert!((ratio - 1.0).abs() < 1e-14);
        assert!(mean(&doubled).standard_error.unwrap() < 0.8 * once.standard_error.unwrap());
    }

    #[test]
    fn one_cluster_says_nothing_about_spread() {
        let one = clustered_mean(&[0.0, 1.0], &["a", "a"]);
        assert_eq!((one.standard_error, one.interval(0.95)), (None, None));
        assert_eq!(one.mean, Some(0.5));
        assert_eq!(clustered_mean::<u8>(&[], &[]).mean, None);
    }
}
