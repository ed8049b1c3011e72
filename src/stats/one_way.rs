//! What an exact paired test of 0/1 scores can see where all changes go one way.

use super::binomial::binomial_ln_tails;
use super::interval::is_level;

/// Returns the smallest number of changes, all in one direction, that McNemar's exact test calls significant at `alpha`.
///
/// The two-sided p of k changes of k is 2 × 2^−k: the smallest k with 2^(1 − k) ≤ alpha. None outside (0, 1).
pub fn one_way_changes(alpha: f64) -> Option<u64> {
    if !is_level(alpha) {
        return None;
    }
    let mut changes = 1;
    let mut p = 1.0;
    while p > alpha {
        changes += 1;
        p *= 0.5;
    }
    Some(changes)
}

/// Returns the smallest share of pairs that has to change, all in one direction, for McNemar's exact test to be significant
/// with the given power.
///
/// The number of changes among `n` pairs is binomial: the share d at which P(X ≥ k) = `power`, with k of
/// [`one_way_changes`], found by bisection to the last digit and rounded up. None where even `n` changes of `n` are not
/// significant, and for a level or power outside (0, 1).
pub fn one_way_share(n: u64, alpha: f64, power: f64) -> Option<f64> {
    let needed = one_way_changes(alpha).filter(|needed| *needed <= n && is_level(power))?;
    let reaches = |share: f64| {
        let (_, upper) = binomial_ln_tails(needed - 1, n, share, 1.0 - share);
        libm::exp(upper) >= power
    };
    let (mut low, mut high) = (0.0, 1.0);
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return Some(high);
        }
        if reaches(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::mcnemar;

    #[test]
    fn the_changes_needed_are_those_of_the_test() {
        for alpha in [0.5, 0.1, 0.05, 0.025, 0.01, 0.001] {
            let needed = one_way_changes(alpha).unwrap();
            assert!(mcnemar(needed, 0).p_exact <= alpha, "{alpha}");
            assert!(mcnemar(needed - 1, 0).p_exact > alpha, "{alpha}");
        }
        assert_eq!((one_way_changes(0.05), one_way_changes(0.0), one_way_changes(1.0)), (Some(6), None, None));
    }

    #[test]
    fn the_share_is_where_the_power_is_reached() {
        // Summed by hand: 1 − Σ_{i<6} C(n, i) d^i (1 − d)^(n − i).
        let power = |n: u64, share: f64| {
            let mut term = libm::pow(1.0 - share, n as f64);
            let mut below = 0.0;
            for i in 0..6 {
                below += term;
                term *= (n - i) as f64 / (i + 1) as f64 * share / (1.0 - share);
            }
            1.0 - below
        };
        for n in [6, 20, 100, 1000] {
            let share = one_way_share(n, 0.05, 0.8).unwrap();
            assert!((power(n, share) - 0.8).abs() < 1e-9, "{n}: {share}");
        }
        assert_eq!(one_way_share(5, 0.05, 0.8), None);
        assert_eq!(one_way_share(100, 0.05, 1.0), None);
    }
}
