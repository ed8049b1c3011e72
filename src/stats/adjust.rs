//! Adjustment of p-values for multiplicity.

/// A procedure that adjusts a family of p-values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Adjustment {
    /// m p (family-wise error).
    Bonferroni,
    /// 1 − (1 − p)^m (family-wise error, independent or positively dependent tests).
    Sidak,
    /// Holm's step-down procedure (1979; family-wise error, any dependence).
    Holm,
    /// Hochberg's step-up procedure (1988; family-wise error, positive dependence).
    Hochberg,
    /// Hommel's procedure (1988; family-wise error, positive dependence).
    Hommel,
    /// Benjamini and Hochberg (1995; false discovery rate, positive dependence).
    BenjaminiHochberg,
    /// Benjamini and Yekutieli (2001; false discovery rate, any dependence).
    BenjaminiYekutieli,
}

impl Adjustment {
    /// Returns the name used in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bonferroni => "bonferroni",
            Self::Sidak => "sidak",
            Self::Holm => "holm",
            Self::Hochberg => "hochberg",
            Self::Hommel => "hommel",
            Self::BenjaminiHochberg => "benjamini-hochberg",
            Self::BenjaminiYekutieli => "benjamini-yekutieli",
        }
    }
}

/// Returns the adjusted p-values in the order of the input.
///
/// A missing p-value (none or NaN) stays missing and is not counted in m, as in
/// R's `p.adjust`. The caller owns the family: what stands in one call is
/// corrected together.
pub fn adjust(p_values: &[Option<f64>], adjustment: Adjustment) -> Vec<Option<f64>> {
    let mut order: Vec<(f64, usize)> =
        p_values.iter().enumerate().filter_map(|(i, p)| p.filter(|p| !p.is_nan()).map(|p| (p, i))).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let sorted: Vec<f64> = order.iter().map(|(p, _)| *p).collect();
    let adjusted = adjust_sorted(&sorted, adjustment);
    let mut out = vec![None; p_values.len()];
    for ((_, i), q) in order.into_iter().zip(adjusted) {
        out[i] = Some(q);
    }
    out
}

/// Returns Holm's adjusted p-values; see [`adjust`].
pub fn holm(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    adjust(p_values, Adjustment::Holm)
}

/// Returns Benjamini and Hochberg's q-values, from the largest p downward; see [`adjust`].
pub fn benjamini_hochberg(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    adjust(p_values, Adjustment::BenjaminiHochberg)
}

/// Adjusts p-values that are in increasing order.
fn adjust_sorted(p: &[f64], adjustment: Adjustment) -> Vec<f64> {
    let m = p.len() as f64;
    let rank = |i: usize| i as f64 + 1.0;
    match adjustment {
        Adjustment::Bonferroni => p.iter().map(|p| (m * p).min(1.0)).collect(),
        Adjustment::Sidak => {
            p.iter().map(|p| if *p >= 1.0 { 1.0 } else { -libm::expm1(m * libm::log1p(-p)) }).collect()
        }
        Adjustment::Holm => {
            let scaled = p.iter().enumerate().map(|(i, p)| (m - rank(i) + 1.0) * p);
            running(scaled, 0.0, f64::max)
        }
        Adjustment::Hochberg => step_up(p, |i| m - rank(i) + 1.0),
        Adjustment::BenjaminiHochberg => step_up(p, |i| m / rank(i)),
        Adjustment::BenjaminiYekutieli => {
            let harmonic: f64 = (1..=p.len()).rev().map(|i| 1.0 / i as f64).sum();
            step_up(p, |i| harmonic * m / rank(i))
        }
        Adjustment::Hommel => hommel(p),
    }
}

/// Returns running extremes of scaled p-values, capped at 1.
fn running(scaled: impl Iterator<Item = f64>, start: f64, extreme: fn(f64, f64) -> f64) -> Vec<f64> {
    scaled
        .scan(start, |acc, value| {
            *acc = extreme(*acc, value);
            Some(acc.min(1.0))
        })
        .collect()
}

/// Returns the running minimum from the largest p down.
fn step_up(p: &[f64], factor: impl Fn(usize) -> f64) -> Vec<f64> {
    let scaled = p.iter().enumerate().rev().map(|(i, p)| factor(i) * p);
    let mut adjusted = running(scaled, f64::INFINITY, f64::min);
    adjusted.reverse();
    adjusted
}

/// Returns Hommel's adjusted p-values by the algorithm of Wright (1992).
fn hommel(p: &[f64]) -> Vec<f64> {
    let n = p.len();
    if n < 2 {
        return p.to_vec();
    }
    let simes = |p: &[f64], count: usize| {
        p.iter().enumerate().map(|(i, p)| count as f64 * p / (i as f64 + 1.0)).fold(f64::INFINITY, f64::min)
    };
    let mut adjusted = vec![simes(p, n); n];
    let mut level = adjusted.clone();
    for size in (2..n).rev() {
        let split = n - size + 1;
        // The largest size − 1 p-values, compared as the upper part of a Simes test.
        let upper = p[split..]
            .iter()
            .enumerate()
            .map(|(i, p)| size as f64 * p / (i as f64 + 2.0))
            .fold(f64::INFINITY, f64::min);
        for i in 0..split {
            level[i] = (size as f64 * p[i]).min(upper);
        }
        let last = level[split - 1];
        level[split..].fill(last);
        for (a, l) in adjusted.iter_mut().zip(&level) {
            *a = a.max(*l);
        }
    }
    adjusted.iter().zip(p).map(|(a, p)| a.max(*p).min(1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Adjustment; 7] = [
        Adjustment::Bonferroni,
        Adjustment::Sidak,
        Adjustment::Holm,
        Adjustment::Hochberg,
        Adjustment::Hommel,
        Adjustment::BenjaminiHochberg,
        Adjustment::BenjaminiYekutieli,
    ];

    #[test]
    fn missing_values_stay_missing_and_leave_the_family() {
        let p = [Some(0.01), None, Some(f64::NAN), Some(0.04)];
        assert_eq!(holm(&p), [Some(0.02), None, None, Some(0.04)]);
        assert!(ALL.iter().all(|&a| adjust(&[], a).is_empty()));
    }

    #[test]
    fn smallest_q_is_not_given_to_all() {
        // The predecessor's running minimum went the wrong way.
        let q = benjamini_hochberg(&[Some(0.001), Some(0.5), Some(0.9)]);
        assert_eq!(q[2], Some(0.9));
        assert_eq!(q[1], Some(0.75));
    }

    proptest! {
        #[test]
        fn adjusted_values_keep_order_and_exceed_the_raw_ones(
            p in proptest::collection::vec(0.0..=1.0, 1..12)
        ) {
            let family: Vec<Option<f64>> = p.iter().copied().map(Some).collect();
            for adjustment in ALL {
                let q = adjust(&family, adjustment);
                for i in 0..p.len() {
                    let qi = q[i].unwrap();
                    prop_assert!(qi >= p[i] * (1.0 - 1e-14) && qi <= 1.0);
                    for j in 0..p.len() {
                        prop_assert!(p[i] > p[j] || qi <= q[j].unwrap() + 1e-15);
                    }
                }
            }
        }

        #[test]
        fn hommel_is_the_closed_simes_test(p in proptest::collection::vec(0.0..=1.0, 1..7)) {
            let family: Vec<Option<f64>> = p.iter().copied().map(Some).collect();
            let q = adjust(&family, Adjustment::Hommel);
            for (i, q) in q.iter().enumerate() {
                let mut worst: f64 = 0.0;
                for set in 1_u32..1 << p.len() {
                    if set >> i & 1 == 1 {
                        let mut part: Vec<f64> =
                            (0..p.len()).filter(|j| set >> j & 1 == 1).map(|j| p[j]).collect();
                        part.sort_by(f64::total_cmp);
                        let k = part.len() as f64;
                        let simes = part
                            .iter()
                            .enumerate()
                            .map(|(r, p)| k * p / (r as f64 + 1.0))
                            .fold(f64::INFINITY, f64::min);
                        worst = worst.max(simes);
                    }
                }
                prop_assert!((q.unwrap() - worst).abs() < 1e-12);
            }
        }
    }
}
