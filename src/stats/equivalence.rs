//! Equivalence and non-inferiority of a paired comparison.

use super::interval::{Interval, Method, is_level};
use super::mean::t_interval_of;
use super::paired::Paired;
use super::special::student_sf;

/// Two one-sided t tests of a mean difference against a margin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Equivalence {
    /// The margin: differences inside (−margin, margin) are of no practical account.
    pub margin: f64,
    /// The level of each one-sided test.
    pub alpha: f64,
    /// (mean + margin) / se, against "treatment is worse by the margin or more".
    pub t_lower: f64,
    /// The upper tail at `t_lower`: the p-value of non-inferiority.
    pub p_lower: f64,
    /// (mean − margin) / se, against "treatment is better by the margin or more".
    pub t_upper: f64,
    /// The lower tail at `t_upper`.
    pub p_upper: f64,
    /// The larger of both: the p-value of equivalence.
    pub p: f64,
    /// The degrees of freedom, n − 1.
    pub df: f64,
    /// The t interval of level 1 − 2 alpha, which lies inside the margins exactly if both tests reject.
    pub interval: Interval,
}

/// What a test against a margin says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Both bounds are ruled out.
    Equivalent,
    /// A loss of the margin is ruled out, a gain of it is not.
    NonInferior,
    /// A gain of the margin is ruled out, a loss of it is not.
    NonSuperior,
    /// Neither bound is ruled out.
    Inconclusive,
}

impl Verdict {
    /// Returns the verdict in plain words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Equivalent => "equivalent: a difference as large as the margin is ruled out both ways",
            Self::NonInferior => "not inferior: a loss as large as the margin is ruled out, a gain is not",
            Self::NonSuperior => "not superior: a gain as large as the margin is ruled out, a loss is not",
            Self::Inconclusive => "inconclusive: neither a gain nor a loss as large as the margin is ruled out",
        }
    }
}

impl Equivalence {
    /// Reports whether a loss of the margin is ruled out.
    pub fn non_inferior(&self) -> bool {
        self.p_lower < self.alpha
    }

    /// Reports whether both bounds are ruled out.
    pub fn equivalent(&self) -> bool {
        self.p < self.alpha
    }

    /// Returns the verdict on both bounds.
    pub fn verdict(&self) -> Verdict {
        match (self.p_lower < self.alpha, self.p_upper < self.alpha) {
            (true, true) => Verdict::Equivalent,
            (true, false) => Verdict::NonInferior,
            (false, true) => Verdict::NonSuperior,
            (false, false) => Verdict::Inconclusive,
        }
    }
}

/// Tests a paired mean difference against ±margin by two one-sided t tests (Schuirmann 1987).
///
/// None below two pairs, where all differences are equal, for a margin that is
/// not positive, and for an alpha outside (0, ½).
pub fn equivalence(paired: &Paired, margin: f64, alpha: f64) -> Option<Equivalence> {
    equivalence_of(paired.mean?, paired.standard_error?, paired.n as f64 - 1.0, margin, alpha)
}

/// Tests an estimate with its standard error, which may be cluster-robust, on `df` degrees of freedom.
///
/// None like [`equivalence`], and where `df` or the error is not positive.
pub fn equivalence_of(mean: f64, standard_error: f64, df: f64, margin: f64, alpha: f64) -> Option<Equivalence> {
    let fits = margin > 0.0 && margin.is_finite() && is_level(alpha) && alpha < 0.5;
    if !(fits && standard_error > 0.0 && df > 0.0 && mean.is_finite()) {
        return None;
    }
    let t_lower = (mean + margin) / standard_error;
    let t_upper = (mean - margin) / standard_error;
    let (p_lower, p_upper) = (student_sf(t_lower, df), student_sf(-t_upper, df));
    Some(Equivalence {
        margin,
        alpha,
        t_lower,
        p_lower,
        t_upper,
        p_upper,
        p: p_lower.max(p_upper),
        df,
        interval: t_interval_of(mean, standard_error, df, 1.0 - 2.0 * alpha, Method::StudentT)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Differences, paired};
    use super::*;

    fn summary(deltas: &[f64]) -> Paired {
        paired(&Differences::from_deltas(deltas.iter().copied()))
    }

    #[test]
    fn interval_inside_the_margins_is_equivalence() {
        let deltas: Vec<f64> = (0..100).map(|i| f64::from(i % 3 - 1) / 10.0).collect();
        for margin in [0.005, 0.0125, 0.015, 0.05] {
            let test = equivalence(&summary(&deltas), margin, 0.05).unwrap();
            let inside = test.interval.lower > -margin && test.interval.upper < margin;
            assert_eq!(test.equivalent(), inside, "{margin}");
            assert!((test.interval.level - 0.9).abs() < 1e-15);
        }
    }

    #[test]
    fn verdicts_follow_both_bounds() {
        let better: Vec<f64> = (0..100).map(|i| f64::from(i % 3)).collect();
        let test = equivalence(&summary(&better), 0.5, 0.05).unwrap();
        assert_eq!(test.verdict(), Verdict::NonInferior);
        assert!(test.non_inferior() && !test.equivalent());
        let worse: Vec<f64> = better.iter().map(|d| -d).collect();
        let test = equivalence(&summary(&worse), 0.5, 0.05).unwrap();
        assert_eq!(test.verdict(), Verdict::NonSuperior);
        let few = equivalence(&summary(&[-1.0, 1.0, 0.5]), 0.1, 0.05).unwrap();
        assert_eq!(few.verdict(), Verdict::Inconclusive);
    }

    #[test]
    fn no_spread_or_no_margin_is_no_test() {
        assert_eq!(equivalence(&summary(&[0.5, 0.5]), 0.1, 0.05), None);
        assert_eq!(equivalence(&summary(&[0.5]), 0.1, 0.05), None);
        assert_eq!(equivalence(&summary(&[0.5, 0.1]), 0.0, 0.05), None);
        assert_eq!(equivalence(&summary(&[0.5, 0.1]), f64::NAN, 0.05), None);
    }
}
