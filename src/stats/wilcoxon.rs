//! Wilcoxon's signed-rank test.

use super::differences::Differences;
use super::fair_sum::FairSum;
use super::signed_ranks::{SignedRanks, Zeros};
use super::special::normal_sf;

/// The alternative of a test of differences treatment − control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alternative {
    /// Treatment differs.
    TwoSided,
    /// Treatment is higher.
    Greater,
    /// Treatment is lower.
    Less,
}

/// How a signed-rank p-value was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WilcoxonForm {
    /// The exact law of the mid-ranks at hand, by convolution.
    Exact,
    /// The normal form with tie correction.
    Normal,
    /// The normal form with tie and continuity correction.
    NormalContinuity,
}

impl WilcoxonForm {
    /// Returns the name used in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Normal => "normal-tie-corrected",
            Self::NormalContinuity => "normal-tie-and-continuity-corrected",
        }
    }
}

/// A signed-rank test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wilcoxon {
    /// The number of differences that are not zero.
    pub nonzero: u64,
    /// The number of differences that are zero.
    pub zeros: u64,
    /// The sum of the ranks of positive differences.
    pub w_plus: f64,
    /// The sum of the ranks of negative differences.
    pub w_minus: f64,
    /// min(W+, W−) for the two-sided test, else W+.
    pub statistic: f64,
    /// The standardised statistic; none in the exact form and where all differences are zero.
    pub z: Option<f64>,
    /// The p-value; 1 where all differences are zero.
    pub p: f64,
    /// How the p-value was found.
    pub form: WilcoxonForm,
    /// What became of zeros.
    pub zero_method: Zeros,
}

/// Tests differences by the exact law where that is cheap, else by the normal form with tie correction.
///
/// Two-sided, no continuity correction. Exact up to about 6 million additions:
/// n × min(W+, W−), some 250 differences under the null and more in the tails.
pub fn wilcoxon(differences: &Differences, zeros: Zeros) -> Wilcoxon {
    wilcoxon_exact(differences, zeros, Alternative::TwoSided)
        .unwrap_or_else(|| wilcoxon_normal(differences, zeros, Alternative::TwoSided, false))
}

fn outline(ranks: &SignedRanks, alternative: Alternative, form: WilcoxonForm) -> Wilcoxon {
    let (w_plus, w_minus) = ranks.sums();
    Wilcoxon {
        nonzero: ranks.nonzero(),
        zeros: ranks.zeros,
        w_plus,
        w_minus,
        statistic: match alternative {
            Alternative::TwoSided => w_plus.min(w_minus),
            _ => w_plus,
        },
        z: None,
        p: 1.0,
        form,
        zero_method: ranks.method,
    }
}

/// Tests differences by the exact permutation law of their mid-ranks.
///
/// Given the magnitudes every sign pattern is equally likely under the null. The
/// two-sided p is twice the smaller tail, at most 1. None if the convolution
/// would cost too much.
pub fn wilcoxon_exact(differences: &Differences, zeros: Zeros, alternative: Alternative) -> Option<Wilcoxon> {
    let ranks = SignedRanks::new(differences, zeros);
    let mut test = outline(&ranks, alternative, WilcoxonForm::Exact);
    if test.nonzero == 0 {
        return Some(test);
    }
    let law = FairSum::new(ranks.groups.iter().map(|g| (g.doubled_rank, g.size())));
    let (plus, minus) = ranks.doubled_sums();
    // W+ and W− have one law, so the upper tail at W+ is the lower tail at W−.
    test.p = match alternative {
        Alternative::TwoSided => (2.0 * law.cdf(plus.min(minus))?).min(1.0),
        Alternative::Greater => law.cdf(minus)?,
        Alternative::Less => law.cdf(plus)?,
    };
    Some(test)
}

/// Tests differences by the normal form with tie correction.
///
/// z = (W − μ ± c) / σ with μ = n(n+1)/4 and σ² = [n(n+1)(2n+1) − Σ(t³−t)/2] / 24
/// over tie groups of size t. With `Pratt` the zeros' share leaves both (Cureton
/// 1967); with `Split` the zeros are one more tie group. `continuity` moves W half
/// a unit towards μ; for two-sided tests not beyond it.
pub fn wilcoxon_normal(
    differences: &Differences,
    zeros: Zeros,
    alternative: Alternative,
    continuity: bool,
) -> Wilcoxon {
    let form = if continuity { WilcoxonForm::NormalContinuity } else { WilcoxonForm::Normal };
    let ranks = SignedRanks::new(differences, zeros);
    let mut test = outline(&ranks, alternative, form);
    if test.nonzero == 0 {
        return test;
    }
    let pyramid = |n: f64| n * (n + 1.0) * (2.0 * n + 1.0);
    let cubes = |t: u64| {
        let t = t as f64;
        t * t * t - t
    };
    let z = test.zeros as f64;
    let n = test.nonzero as f64 + if zeros == Zeros::Wilcox { 0.0 } else { z };
    let mut mean = 0.25 * n * (n + 1.0);
    let mut variance = pyramid(n);
    let mut ties: f64 = ranks.groups.iter().map(|g| cubes(g.size())).sum();
    match zeros {
        Zeros::Wilcox => {}
        Zeros::Pratt => {
            mean -= 0.25 * z * (z + 1.0);
            variance -= pyramid(z);
        }
        Zeros::Split => ties += cubes(test.zeros),
    }
    let sd = libm::sqrt((variance - 0.5 * ties) / 24.0);
    let half = if continuity { 0.5 } else { 0.0 };
    let gap = test.statistic - mean;
    let (score, p) = match alternative {
        Alternative::TwoSided => {
            let score = (gap + half).min(0.0) / sd;
            (score, (2.0 * normal_sf(-score)).min(1.0))
        }
        Alternative::Greater => {
            let score = (gap - half) / sd;
            (score, normal_sf(score))
        }
        Alternative::Less => {
            let score = (gap + half) / sd;
            (score, normal_sf(-score))
        }
    };
    test.z = Some(score);
    test.p = p;
    test
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_zeros_are_no_evidence() {
        for d in [Differences::default(), Differences::from_deltas([0.0; 3])] {
            let test = wilcoxon(&d, Zeros::Wilcox);
            assert_eq!((test.p, test.z, test.statistic), (1.0, None, 0.0));
            assert_eq!(wilcoxon_normal(&d, Zeros::Pratt, Alternative::Less, true).p, 1.0);
        }
    }

    #[test]
    fn ties_are_enumerated_not_approximated() {
        // {±1 ×2, ±2}: doubled ranks 3, 3, 6; W+ = 6 of 12: 5 of 8 patterns reach 6 or more.
        let d = Differences::from_deltas([1.0, 1.0, -2.0]);
        let test = wilcoxon(&d, Zeros::Wilcox);
        assert_eq!((test.p, test.form), (1.0, WilcoxonForm::Exact));
        let greater = wilcoxon_exact(&d, Zeros::Wilcox, Alternative::Greater).unwrap();
        assert_eq!(greater.p, 0.625);
    }

    #[test]
    fn exact_size_never_exceeds_the_level() {
        // All 2^9 sign patterns of nine tied magnitudes.
        let magnitudes = [1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 5.0];
        for level in [0.01, 0.05, 0.1] {
            let rejected = (0_u32..512)
                .filter(|set| {
                    let signed = magnitudes.iter().enumerate().map(|(i, m)| if set >> i & 1 == 1 { *m } else { -m });
                    wilcoxon(&Differences::from_deltas(signed), Zeros::Wilcox).p <= level
                })
                .count();
            assert!(rejected as f64 <= level * 512.0, "{level}: {rejected}");
        }
    }

    proptest! {
        #[test]
        fn swapping_arms_keeps_p(deltas in proptest::collection::vec(-4_i8..5, 0..30)) {
            let d = Differences::from_deltas(deltas.iter().map(|&d| f64::from(d) / 3.0));
            for zeros in [Zeros::Wilcox, Zeros::Pratt, Zeros::Split] {
                let (a, b) = (wilcoxon(&d, zeros), wilcoxon(&d.swapped(), zeros));
                prop_assert_eq!(a.p, b.p);
                prop_assert_eq!(a.w_plus, b.w_minus);
                for continuity in [false, true] {
                    let normal = |d: &Differences, side| {
                        wilcoxon_normal(d, zeros, side, continuity)
                    };
                    let two = Alternative::TwoSided;
                    prop_assert_eq!(normal(&d, two).p, normal(&d.swapped(), two).p);
                    let (greater, less) = (Alternative::Greater, Alternative::Less);
                    let gap = normal(&d, greater).p - normal(&d.swapped(), less).p;
                    prop_assert!(gap.abs() < 1e-12);
                }
            }
        }
    }
}
