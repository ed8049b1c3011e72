//! Intervals of one proportion.

use super::interval::{Interval, Method, is_level, upper_share};
use super::special::{beta_quantile, normal_quantile};

/// Returns Wilson's score interval for `k` successes of `n` (Wilson 1927).
///
/// The ends are exactly 0 at k = 0 and 1 at k = n. None if n = 0 or k > n.
pub fn wilson(k: u64, n: u64, level: f64) -> Option<Interval> {
    if n == 0 || k > n || !is_level(level) {
        return None;
    }
    let z = normal_quantile(upper_share(level));
    let (lower, upper) = wilson_ends(k, n, z);
    Interval::checked(lower, upper, level, Method::Wilson)
}

/// Returns the ends of Wilson's interval at a normal quantile `z`.
pub(crate) fn wilson_ends(k: u64, n: u64, z: f64) -> (f64, f64) {
    let (kf, nf) = (k as f64, n as f64);
    let z2 = z * z;
    let middle = kf + 0.5 * z2;
    let spread = z * libm::sqrt(kf * (nf - kf) / nf + 0.25 * z2);
    let scale = nf + z2;
    // The lower end as product of the roots over the upper root: no cancellation at small k.
    let upper = if k == n { 1.0 } else { (middle + spread) / scale };
    let lower = if k == 0 { 0.0 } else { kf * kf / nf / (middle + spread) };
    (lower, upper)
}

/// Returns the exact interval of Clopper and Pearson (1934) by beta quantiles.
///
/// The ends are exactly 0 at k = 0 and 1 at k = n. None if n = 0 or k > n.
pub fn clopper_pearson(k: u64, n: u64, level: f64) -> Option<Interval> {
    if n == 0 || k > n || !is_level(level) {
        return None;
    }
    let (kf, rest) = (k as f64, (n - k) as f64);
    let lower = if k == 0 { 0.0 } else { beta_quantile(0.5 * (1.0 - level), kf, rest + 1.0) };
    let upper = if k == n { 1.0 } else { beta_quantile(upper_share(level), kf + 1.0, rest) };
    Interval::checked(lower, upper, level, Method::ClopperPearson)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_exact_at_the_edges() {
        for make in [wilson, clopper_pearson] {
            assert_eq!(make(0, 7, 0.95).unwrap().lower, 0.0);
            assert_eq!(make(7, 7, 0.95).unwrap().upper, 1.0);
            assert!(make(0, 0, 0.95).is_none());
            assert!(make(3, 2, 0.95).is_none());
            assert!(make(1, 2, 1.0).is_none());
        }
    }

    #[test]
    fn counting_failures_mirrors_the_interval() {
        for make in [wilson, clopper_pearson] {
            let (a, b) = (make(3, 11, 0.9).unwrap(), make(8, 11, 0.9).unwrap());
            assert!((a.lower + b.upper - 1.0).abs() < 1e-14);
            assert!((a.upper + b.lower - 1.0).abs() < 1e-14);
        }
    }

    #[test]
    fn clopper_pearson_never_covers_less_than_its_level() {
        use super::super::special::binomial_ln_mass;
        for n in [1_u64, 5, 20] {
            let intervals: Vec<_> = (0..=n).map(|k| clopper_pearson(k, n, 0.95).unwrap()).collect();
            for step in 1..50 {
                let p = f64::from(step) / 50.0;
                let coverage: f64 = (0..=n)
                    .filter(|&k| intervals[k as usize].contains(p))
                    .map(|k| libm::exp(binomial_ln_mass(k, n, p, 1.0 - p)))
                    .sum();
                assert!(coverage >= 0.95 - 1e-12, "n {n} p {p}: {coverage}");
            }
        }
    }
}
