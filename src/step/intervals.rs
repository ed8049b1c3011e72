use crate::digest::Decimal;
use crate::stats::Interval;

/// Is an interval as files show it: always at 95 %, and at the confidence level where that is another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Intervals {
    /// The ends at 95 %.
    pub(super) ci_95: Option<[f64; 2]>,
    /// The ends at the confidence level; none where that is 95 %.
    pub(super) ci: Option<[f64; 2]>,
    /// The method.
    pub(super) method: Option<String>,
}

impl Intervals {
    /// Takes an interval at both levels; `at` makes it at one, and `alpha` is what the confidence level lacks to 1.
    pub(super) fn of(alpha: Decimal, at: impl Fn(f64) -> Option<Interval>) -> Self {
        let ends = |interval: Interval| [interval.lower, interval.upper];
        let usual = at(0.95);
        let is_usual = alpha == Decimal::new(5, -2);
        let other = if is_usual { None } else { at(1.0 - alpha.to_f64()) };
        Self {
            ci_95: usual.map(ends),
            ci: other.map(ends),
            method: usual.or(other).map(|interval| interval.method.name().to_owned()),
        }
    }
}
