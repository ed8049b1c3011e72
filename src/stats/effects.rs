//! Standardised and ordinal effect sizes.

use super::differences::Differences;
use super::lattice::lattice_round;
use super::mean::mean;
use super::signed_ranks::{SignedRanks, Zeros};
use super::special::gamma_ratio_ln;

/// Returns Hedges' exact correction J(df) = Γ(df/2) / (sqrt(df/2) Γ((df−1)/2)) (Hedges 1981).
///
/// None below two degrees of freedom, where it is 0 or undefined.
pub fn hedges_correction(df: f64) -> Option<f64> {
    (df >= 2.0).then(|| libm::exp(gamma_ratio_ln(0.5 * (df - 1.0)) - 0.5 * libm::log(0.5 * df)))
}

/// Returns the usual approximation of Hedges' correction, 1 − 3/(4 df − 1).
///
/// None below one degree of freedom.
pub fn hedges_correction_approximate(df: f64) -> Option<f64> {
    (df >= 1.0).then(|| 1.0 - 3.0 / (4.0 * df - 1.0))
}

/// Effect sizes of paired differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effects {
    /// Cohen's d_z = mean / sd of the differences; none where sd is 0 or undefined.
    pub cohens_dz: Option<f64>,
    /// Hedges' g_z = J(n − 1) d_z with the exact correction; none also for n = 2.
    pub hedges_gz: Option<f64>,
    /// The same with the approximate correction.
    pub hedges_gz_approximate: Option<f64>,
    /// (pairs won − pairs lost) / n; none if there is no pair.
    pub dominance: Option<f64>,
    /// The matched-pairs rank-biserial correlation; none where every difference is 0.
    pub rank_biserial: Option<f64>,
}

/// Returns the effect sizes of paired differences.
pub fn effects(differences: &Differences) -> Effects {
    let n = differences.n() as f64;
    let (negative, _, positive) = differences.signs();
    let cohens_dz = match (differences.mean(), differences.sd()) {
        (Some(mean), Some(sd)) if sd > 0.0 => Some(mean / sd),
        _ => None,
    };
    let corrected = |j: Option<f64>| Some(cohens_dz? * j?);
    Effects {
        cohens_dz,
        hedges_gz: corrected(hedges_correction(n - 1.0)),
        hedges_gz_approximate: corrected(hedges_correction_approximate(n - 1.0)),
        dominance: (n > 0.0).then(|| (positive as f64 - negative as f64) / n),
        rank_biserial: SignedRanks::new(differences, Zeros::Wilcox).rank_biserial(),
    }
}

/// Effect sizes that need the arms' own values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArmEffects {
    /// Cohen's d_av = mean difference / sqrt((sd_c² + sd_t²)/2); none where that is 0 or undefined.
    pub cohens_dav: Option<f64>,
    /// Hedges' g_av: d_av with the approximate correction at 2n − 2 degrees of freedom.
    pub hedges_gav: Option<f64>,
    /// Cliff's delta over all n² pairs of a treatment and a control value; none if there is no pair.
    pub cliffs_delta: Option<f64>,
}

/// Returns the effect sizes of the arms behind (control, treatment) pairs.
///
/// Pairs with a value that is not finite are left out. Values are rounded by
/// [`lattice_round`] before they are compared.
pub fn arm_effects(pairs: impl IntoIterator<Item = (f64, f64)>) -> ArmEffects {
    let (control, treatment): (Vec<f64>, Vec<f64>) =
        pairs.into_iter().filter(|(c, t)| c.is_finite() && t.is_finite()).unzip();
    let (c, t) = (mean(&control), mean(&treatment));
    let deltas = Differences::omitting(control.iter().copied().zip(treatment.iter().copied()));
    let cohens_dav = match (deltas.mean(), c.sd, t.sd) {
        (Some(delta), Some(c), Some(t)) if c > 0.0 || t > 0.0 => Some(delta / libm::sqrt(0.5 * (c * c + t * t))),
        _ => None,
    };
    let correction = hedges_correction_approximate(2.0 * deltas.n() as f64 - 2.0);
    ArmEffects {
        cohens_dav,
        hedges_gav: cohens_dav.and_then(|d| Some(d * correction?)),
        cliffs_delta: cliffs_delta(&control, &treatment),
    }
}

/// Returns Cliff's delta P(T > C) − P(T < C) over all pairs of a value of each arm (Cliff 1993).
///
/// The arms may differ in size. Values that are not finite are left out; none if
/// an arm is empty.
pub fn cliffs_delta(control: &[f64], treatment: &[f64]) -> Option<f64> {
    let sorted = |values: &[f64]| {
        let finite = values.iter().copied().filter(|v| v.is_finite());
        let mut rounded: Vec<f64> = finite.map(lattice_round).collect();
        rounded.sort_unstable_by(f64::total_cmp);
        rounded
    };
    let (control, treatment) = (sorted(control), sorted(treatment));
    let (mut below, mut through) = (0, 0);
    let (mut won, mut lost) = (0_u64, 0_u64);
    for value in &treatment {
        while control.get(below).is_some_and(|c| c < value) {
            below += 1;
        }
        while control.get(through).is_some_and(|c| c <= value) {
            through += 1;
        }
        won += below as u64;
        lost += (control.len() - through) as u64;
    }
    let all = control.len() as f64 * treatment.len() as f64;
    (all > 0.0).then(|| (won as f64 - lost as f64) / all)
}

/// Returns Cohen's h = 2 asin sqrt(treatment) − 2 asin sqrt(control) of two proportions.
///
/// None outside [0, 1].
pub fn cohens_h(control: f64, treatment: f64) -> Option<f64> {
    let unit = |p: f64| (0.0..=1.0).contains(&p);
    let angle = |p: f64| 2.0 * libm::asin(libm::sqrt(p));
    (unit(control) && unit(treatment)).then(|| angle(treatment) - angle(control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrections_approach_one_and_agree() {
        for df in [2.0, 5.0, 38.0, 41.0, 500.0] {
            let exact = hedges_correction(df).unwrap();
            let close = hedges_correction_approximate(df).unwrap();
            assert!(exact < 1.0 && (exact - close).abs() < 0.02 / df);
        }
        assert_eq!(hedges_correction(1.0), None);
        assert_eq!(hedges_correction_approximate(0.0), None);
    }

    #[test]
    fn cliffs_delta_counts_all_pairs() {
        let (control, treatment) = ([0.0, 0.2, 0.6 - 0.4], [0.2, 1.0]);
        // 0.2 against {0, 0.2, 0.2}: 1 won; 1.0: 3 won.
        assert_eq!(cliffs_delta(&control, &treatment), Some(4.0 / 6.0));
        assert_eq!(cliffs_delta(&treatment, &control), Some(-4.0 / 6.0));
        assert_eq!(cliffs_delta(&[], &[1.0]), None);
    }

    #[test]
    fn degenerate_arms_are_undefined() {
        let none = arm_effects([]);
        assert_eq!((none.cohens_dav, none.cliffs_delta), (None, None));
        let flat = arm_effects([(0.0, 1.0), (0.0, 1.0)]);
        assert_eq!((flat.cohens_dav, flat.cliffs_delta), (None, Some(1.0)));
        let empty = effects(&Differences::default());
        assert_eq!((empty.dominance, empty.hedges_gz), (None, None));
        assert_eq!(cohens_h(0.5, f64::NAN), None);
    }
}
