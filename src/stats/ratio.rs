//! The ratio of two paired means.

use std::collections::BTreeMap;

use super::exact_sum::{ExactSum, exact_sum};
use super::interval::{Interval, Method, is_level, upper_share};
use super::special::student_quantile;

/// A ratio of means with Fieller's interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The mean of the numerator.
    pub numerator: f64,
    /// The mean of the denominator.
    pub denominator: f64,
    /// Their ratio; none where the denominator is 0.
    pub ratio: Option<f64>,
    /// Fieller's interval; none where the denominator does not differ from 0 at this level, as it is then unbounded.
    pub interval: Option<Interval>,
}

/// Compares two means of the same rows by their ratio (Fieller 1954).
///
/// `rows` are (numerator, denominator, cluster); each cluster is one observation of sums. With a and b the means, v their
/// (co)variances and t the quantile on G − 1: g = t² v_b/b²; where g < 1 the interval is
/// (a/b − g v_ab/v_b ± t/|b| √(v_a − 2 (a/b) v_ab + (a/b)² v_b − g (v_a − v_ab²/v_b)))/(1 − g). None without a row.
pub fn ratio_of_means<C: Ord>(rows: &[(f64, f64, C)], level: f64) -> Option<Ratio> {
    let rows: Vec<_> = rows.iter().filter(|row| row.0.is_finite() && row.1.is_finite()).collect();
    let n = rows.len() as f64;
    if rows.is_empty() || !is_level(level) {
        return None;
    }
    let a = exact_sum(rows.iter().map(|row| row.0)) / n;
    let b = exact_sum(rows.iter().map(|row| row.1)) / n;
    let mut sums: BTreeMap<&C, [ExactSum; 2]> = BTreeMap::new();
    for (x, y, cluster) in rows {
        let sum = sums.entry(cluster).or_default();
        sum[0].add(x - a);
        sum[1].add(y - b);
    }
    let groups = sums.len() as f64;
    let products = |i: usize, j: usize| exact_sum(sums.values().map(|sum| sum[i].total() * sum[j].total()));
    let scale = groups / (groups - 1.0) / (n * n);
    let (va, vb, vab) = (products(0, 0) * scale, products(1, 1) * scale, products(0, 1) * scale);
    let ratio = (b != 0.0).then(|| a / b);
    let interval = ratio.filter(|_| groups > 1.0).and_then(|r| {
        let t = student_quantile(upper_share(level), groups - 1.0);
        let g = t * t * vb / (b * b);
        if g.is_nan() || g >= 1.0 {
            return None;
        }
        let shift = if vb > 0.0 { g * vab / vb } else { 0.0 };
        let rest = if vb > 0.0 { g * (va - vab * vab / vb) } else { 0.0 };
        let half = t / b.abs() * libm::sqrt((va - 2.0 * r * vab + r * r * vb - rest).max(0.0));
        Interval::checked((r - shift - half) / (1.0 - g), (r - shift + half) / (1.0 - g), level, Method::Fieller)
    });
    Some(Ratio { numerator: a, denominator: b, ratio, interval })
}

#[cfg(test)]
mod tests {
    use super::super::t_interval;
    use super::*;

    #[test]
    fn a_constant_denominator_leaves_a_t_interval() {
        let values = [1.0, 2.0, 4.0, 7.0];
        let rows: Vec<(f64, f64, usize)> = values.iter().enumerate().map(|(i, v)| (*v, 2.0, i)).collect();
        let ratio = ratio_of_means(&rows, 0.95).unwrap();
        let t = t_interval(&values, 0.95).unwrap();
        let ends = ratio.interval.unwrap();
        assert!((ends.lower - t.lower / 2.0).abs() < 1e-12 && (ends.upper - t.upper / 2.0).abs() < 1e-12);
    }

    #[test]
    fn the_ends_are_where_the_contrast_is_just_significant() {
        let rows: Vec<(f64, f64, u32)> =
            (0..40).map(|i| (f64::from(i % 7) - 1.0, 2.0 + f64::from(i % 5) / 3.0, i)).collect();
        let ratio = ratio_of_means(&rows, 0.9).unwrap();
        for end in [ratio.interval.unwrap().lower, ratio.interval.unwrap().upper] {
            let contrast: Vec<f64> = rows.iter().map(|(a, b, _)| a - end * b).collect();
            let t = t_interval(&contrast, 0.9).unwrap();
            assert!(t.lower.abs() < 1e-9 || t.upper.abs() < 1e-9, "{t:?}");
        }
    }

    #[test]
    fn an_uncertain_denominator_has_no_interval() {
        let rows = [(1.0, -1.0, 0), (1.0, 1.1, 1), (2.0, -1.0, 2), (0.5, 1.0, 3)];
        let ratio = ratio_of_means(&rows, 0.95).unwrap();
        assert!(ratio.ratio.is_some() && ratio.interval.is_none());
        assert_eq!(ratio_of_means(&[(1.0, 0.0, 0), (1.0, 0.0, 1)], 0.95).unwrap().ratio, None);
        assert_eq!(ratio_of_means::<u8>(&[], 0.95), None);
        // Doubling the rows of a cluster adds no certainty.
        let doubled: Vec<_> = rows.iter().chain(&rows).copied().collect();
        let once = ratio_of_means(&rows.map(|(a, b, c)| (a, b + 9.0, c)), 0.95).unwrap();
        let twice =
            ratio_of_means(&doubled.iter().map(|(a, b, c)| (*a, b + 9.0, *c)).collect::<Vec<_>>(), 0.95).unwrap();
        assert!((once.interval.unwrap().width() - twice.interval.unwrap().width()).abs() < 1e-12);
    }
}
