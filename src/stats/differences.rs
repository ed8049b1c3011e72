//! Paired differences, collapsed to distinct values.

use super::exact_sum::ExactSum;
use super::lattice::{Lattice, lattice_round};

/// A distinct difference and how often it occurs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// The difference, on the lattice of [`lattice_round`].
    pub value: f64,
    /// Its number of pairs, at least 1.
    pub count: u64,
}

/// The differences treatment − control of a set of pairs.
///
/// Differences are rounded by [`lattice_round`], sorted, and kept as distinct
/// values with counts. Everything computed from them is therefore independent of
/// row order to the last bit, and costs as much as there are distinct values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Differences {
    runs: Vec<Run>,
    n: u64,
    omitted: u64,
    lattice: Option<Lattice>,
}

impl Differences {
    /// Collects (control, treatment) pairs; a pair with a value that is not finite is omitted and counted.
    ///
    /// This is the `omit` policy. A missing score is passed as NaN.
    pub fn omitting(pairs: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self::from_deltas(pairs.into_iter().map(|(control, treatment)| treatment - control))
    }

    /// Collects (control, treatment) pairs, or returns none if any value is not finite.
    ///
    /// This is the `propagate` policy.
    pub fn propagating(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let all = Self::omitting(pairs);
        (all.omitted == 0).then_some(all)
    }

    /// Collects differences that were formed before; those not finite are omitted and counted.
    pub fn from_deltas(deltas: impl IntoIterator<Item = f64>) -> Self {
        Self::collect(deltas, lattice_round)
    }

    /// Collects differences without rounding them to the lattice first.
    ///
    /// For comparison with tools that rank raw doubles: ties that differ in the
    /// last bit are split, and a difference of 1e-17 is not zero.
    pub fn unrounded(deltas: impl IntoIterator<Item = f64>) -> Self {
        // Adding zero turns a negative zero into a positive one.
        Self::collect(deltas, |delta| delta + 0.0)
    }

    fn collect(deltas: impl IntoIterator<Item = f64>, keep: fn(f64) -> f64) -> Self {
        let mut omitted = 0;
        let mut values = Vec::new();
        for delta in deltas {
            if delta.is_finite() {
                values.push(keep(delta));
            } else {
                omitted += 1;
            }
        }
        values.sort_unstable_by(f64::total_cmp);
        let n = values.len() as u64;
        let mut runs: Vec<Run> = Vec::new();
        for value in values {
            match runs.last_mut() {
                Some(run) if run.value == value => run.count += 1,
                _ => runs.push(Run { value, count: 1 }),
            }
        }
        Self::of_runs(runs, n, omitted)
    }

    fn of_runs(runs: Vec<Run>, n: u64, omitted: u64) -> Self {
        let on_grid = runs.iter().all(|run| lattice_round(run.value) == run.value);
        let values: Vec<f64> = runs.iter().map(|run| run.value).collect();
        let lattice = if on_grid { Lattice::of(&values) } else { None };
        Self { runs, n, omitted, lattice }
    }

    /// Returns the distinct differences in increasing order.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Returns the number of pairs in use.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Returns the number of pairs left out because a value was not finite.
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    /// Returns the numbers of negative, zero and positive differences.
    pub fn signs(&self) -> (u64, u64, u64) {
        let mut signs = (0, 0, 0);
        for run in &self.runs {
            if run.value < 0.0 {
                signs.0 += run.count;
            } else if run.value > 0.0 {
                signs.2 += run.count;
            } else {
                signs.1 += run.count;
            }
        }
        signs
    }

    /// Returns the correctly rounded sum.
    pub fn sum(&self) -> f64 {
        let mut sum = ExactSum::new();
        for run in &self.runs {
            sum.add_times(run.value, run.count);
        }
        sum.total()
    }

    /// Returns the mean, none if there is no pair.
    ///
    /// On a lattice the sum is a whole number of units, so the mean of equal
    /// fractions is that fraction.
    pub fn mean(&self) -> Option<f64> {
        if self.n == 0 {
            return None;
        }
        let n = self.n as f64;
        let Some(lattice) = &self.lattice else {
            return Some(self.sum() / n);
        };
        let weighted = self.runs.iter().zip(&lattice.units);
        let units: i128 = weighted.map(|(run, &unit)| i128::from(unit) * i128::from(run.count)).sum();
        Some(units as f64 / (n * lattice.denominator as f64))
    }

    /// Returns Σ (d − mean)^power.
    pub(crate) fn central_sum(&self, power: u32) -> f64 {
        let mean = self.mean().unwrap_or(0.0);
        let mut sum = ExactSum::new();
        for run in &self.runs {
            let centred = run.value - mean;
            let mut term = centred;
            for _ in 1..power {
                term *= centred;
            }
            sum.add_times(term, run.count);
        }
        sum.total()
    }

    /// Returns the standard deviation with n − 1 in the denominator, none below two pairs.
    ///
    /// Exactly 0 when all differences are equal.
    pub fn sd(&self) -> Option<f64> {
        if self.n < 2 {
            return None;
        }
        if self.runs.len() == 1 {
            return Some(0.0);
        }
        Some(libm::sqrt(self.central_sum(2) / (self.n - 1) as f64))
    }

    /// Returns the standard error of the mean, none below two pairs.
    pub fn standard_error(&self) -> Option<f64> {
        Some(self.sd()? / libm::sqrt(self.n as f64))
    }

    /// Returns the median, none if there is no pair.
    pub fn median(&self) -> Option<f64> {
        let upper = self.order_statistic(self.n / 2)?;
        let lower = self.order_statistic((self.n - 1) / 2)?;
        Some(if lower == upper { lower } else { lattice_round(0.5 * (lower + upper)) })
    }

    /// Returns the difference at `rank` in increasing order, counted from 0.
    pub fn order_statistic(&self, rank: u64) -> Option<f64> {
        let mut below = 0;
        self.runs.iter().find_map(|run| {
            below += run.count;
            (rank < below).then_some(run.value)
        })
    }

    /// Returns the differences with the arms swapped.
    #[must_use]
    pub fn swapped(&self) -> Self {
        let runs = self.runs.iter().rev().map(|run| Run { value: 0.0 - run.value, count: run.count });
        Self::of_runs(runs.collect(), self.n, self.omitted)
    }

    /// Reports whether random methods should work on the swapped differences.
    ///
    /// Of a set and its mirror image exactly one is canonical (a symmetric set is
    /// its own image), so a method that draws on the canonical one and mirrors
    /// the result back gives exactly mirrored results for swapped arms.
    pub(crate) fn is_mirrored(&self) -> bool {
        let forward = self.runs.iter().map(|run| (run.value, run.count));
        let backward = self.runs.iter().rev().map(|run| (0.0 - run.value, run.count));
        forward.partial_cmp(backward).is_some_and(core::cmp::Ordering::is_lt)
    }

    /// Reports whether the differences are their own mirror image: then swapped arms are the same differences.
    pub(crate) fn is_symmetric(&self) -> bool {
        let mirror = self.runs.iter().rev();
        self.runs.iter().zip(mirror).all(|(a, b)| a.value == 0.0 - b.value && a.count == b.count)
    }

    /// Returns the exact lattice of the distinct values, in the order of the runs, if there is one.
    pub fn lattice(&self) -> Option<&Lattice> {
        self.lattice.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_split_by_floats_are_one_run() {
        let d = Differences::omitting([(0.4, 0.6), (0.0, 0.2), (0.6, 0.8)]);
        assert_eq!(d.runs().len(), 1);
        assert_eq!(d.sd(), Some(0.0));
        assert_eq!(d.mean(), Some(0.2));
    }

    #[test]
    fn missing_pairs_are_omitted_or_propagate() {
        let pairs = [(0.0, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)];
        let d = Differences::omitting(pairs);
        assert_eq!((d.n(), d.omitted()), (1, 2));
        assert!(Differences::propagating(pairs).is_none());
        assert_eq!((d.sd(), d.standard_error()), (None, None));
    }

    #[test]
    fn nothing_has_no_mean() {
        let d = Differences::default();
        assert_eq!((d.mean(), d.median(), d.sd()), (None, None, None));
        assert_eq!(d.signs(), (0, 0, 0));
    }

    #[test]
    fn order_statistics_walk_the_runs() {
        let d = Differences::from_deltas([3.0, -1.0, 3.0, 0.0]);
        let ranks: Vec<_> = (0..5).map(|r| d.order_statistic(r)).collect();
        assert_eq!(ranks, [Some(-1.0), Some(0.0), Some(3.0), Some(3.0), None]);
        assert_eq!(d.median(), Some(1.5));
        assert_eq!(d.signs(), (1, 1, 2));
    }

    #[test]
    fn exactly_one_of_a_set_and_its_mirror_is_canonical() {
        let d = Differences::from_deltas([1.0, 1.0, -1.0, 0.5]);
        assert_ne!(d.is_mirrored(), d.swapped().is_mirrored());
        let symmetric = Differences::from_deltas([1.0, -1.0, 0.0]);
        assert!(!symmetric.is_mirrored());
        assert_eq!(symmetric.swapped(), symmetric);
    }
}
