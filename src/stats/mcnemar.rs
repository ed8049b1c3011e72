//! McNemar's test of paired binary outcomes.

use super::binomial::half_binomial_cdf;
use super::interval::{is_level, upper_share};
use super::special::{beta_quantile, chi_squared_sf};

/// McNemar's test on the discordant pairs, exact and mid-p.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct McNemar {
    /// Pairs where control is wrong and treatment right.
    pub b: u64,
    /// Pairs where control is right and treatment wrong.
    pub c: u64,
    /// The two-sided exact p-value: twice the smaller binomial tail, at most 1; 1 without discordant pairs.
    pub p_exact: f64,
    /// The mid-p value: the exact tails with half the observed mass; 1 if b = c.
    pub p_mid: f64,
    /// The conditional maximum-likelihood odds ratio b/c.
    ///
    /// 0 if only b is 0; none if c is 0, where it is infinite or, with b = 0, undefined.
    pub odds_ratio: Option<f64>,
    /// The 95 % conditional exact interval of the odds ratio; an end is none where infinite or undefined.
    pub odds_ratio_ci: (Option<f64>, Option<f64>),
}

/// Tests b = c discordant pairs by the binomial distribution (McNemar 1947, exact form).
pub fn mcnemar(b: u64, c: u64) -> McNemar {
    let n = b + c;
    let k = b.min(c);
    let (p_exact, p_mid) = if b == c {
        (1.0, 1.0)
    } else {
        let tail = half_binomial_cdf(k, n);
        let below = if k == 0 { 0.0 } else { half_binomial_cdf(k - 1, n) };
        // 2 (P(X < k) + ½ P(X = k)) without the subtraction.
        ((2.0 * tail).min(1.0), (tail + below).min(1.0))
    };
    McNemar {
        b,
        c,
        p_exact,
        p_mid,
        odds_ratio: (c > 0).then(|| b as f64 / c as f64),
        odds_ratio_ci: odds_ratio_interval(b, c, 0.95),
    }
}

/// Returns the conditional exact interval of the odds b/c at any level.
///
/// Clopper-Pearson for b/(b+c) by beta quantiles, each end p turned into
/// p/(1−p). The lower end is 0 if b = 0; the upper end is none if c = 0.
/// Without discordant pairs both are none.
pub fn odds_ratio_interval(b: u64, c: u64, level: f64) -> (Option<f64>, Option<f64>) {
    if b + c == 0 || !is_level(level) {
        return (None, None);
    }
    let (bf, cf) = (b as f64, c as f64);
    let tail = 0.5 * (1.0 - level);
    // The complement of a Beta(a, b) quantile is a quantile of Beta(b, a).
    let odds = |p: f64, a: f64, b: f64| {
        let quantile = beta_quantile(p, a, b);
        let complement = beta_quantile(1.0 - p, b, a);
        quantile / complement
    };
    let lower = if b == 0 { 0.0 } else { odds(tail, bf, cf + 1.0) };
    let upper = (c > 0).then(|| odds(upper_share(level), bf + 1.0, cf));
    let finite = |v: f64| v.is_finite().then_some(v);
    (finite(lower), upper.and_then(finite))
}

/// A chi-squared statistic with its p-value at one degree of freedom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquared {
    /// The statistic.
    pub statistic: f64,
    /// The upper tail.
    pub p: f64,
}

/// Returns McNemar's chi-squared test, (b − c)² / (b + c).
///
/// With `continuity`, |b − c| is reduced by 1 but not below 0 (Edwards 1948).
/// None without discordant pairs.
pub fn mcnemar_chi_squared(b: u64, c: u64, continuity: bool) -> Option<ChiSquared> {
    if b + c == 0 {
        return None;
    }
    let gap = b.abs_diff(c).saturating_sub(u64::from(continuity)) as f64;
    let statistic = gap * gap / (b + c) as f64;
    let p = chi_squared_sf(statistic, 1.0);
    Some(ChiSquared { statistic, p })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_discordant_pair_is_no_evidence() {
        let test = mcnemar(0, 0);
        assert_eq!((test.p_exact, test.p_mid), (1.0, 1.0));
        assert_eq!(test.odds_ratio, None);
        assert_eq!(test.odds_ratio_ci, (None, None));
        assert_eq!(mcnemar_chi_squared(0, 0, false), None);
    }

    #[test]
    fn swapping_arms_keeps_p_and_inverts_odds() {
        let (one, two) = (mcnemar(25, 8), mcnemar(8, 25));
        assert_eq!((one.p_exact, one.p_mid), (two.p_exact, two.p_mid));
        let (lower, upper) = one.odds_ratio_ci;
        let (swapped_lower, swapped_upper) = two.odds_ratio_ci;
        assert!((lower.unwrap() * swapped_upper.unwrap() - 1.0).abs() < 1e-12);
        assert!((upper.unwrap() * swapped_lower.unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn one_empty_cell_leaves_one_end_open() {
        assert_eq!(mcnemar(0, 5).odds_ratio, Some(0.0));
        assert_eq!(mcnemar(0, 5).odds_ratio_ci.0, Some(0.0));
        assert_eq!(mcnemar(5, 0).odds_ratio, None);
        assert_eq!(mcnemar(5, 0).odds_ratio_ci.1, None);
        assert_eq!(mcnemar(5, 0).p_exact, 0.0625);
        assert_eq!(mcnemar(5, 0).p_mid, 0.03125);
    }

    #[test]
    fn huge_tables_stay_finite() {
        let test = mcnemar(5_000_000_000, 4_999_900_000);
        assert!(test.p_exact > 0.0 && test.p_exact < 1.0);
        assert_eq!(mcnemar(0, 1_000_000).p_exact, 0.0);
    }
}
