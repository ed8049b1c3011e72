//! Intervals that name their method.

/// The method that produced an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Student's t around a mean of independent values.
    StudentT,
    /// Student's t with a cluster-robust standard error.
    ClusteredT,
    /// Wilson's score interval of a proportion.
    Wilson,
    /// The exact interval of Clopper and Pearson.
    ClopperPearson,
    /// Clopper-Pearson of b/(b+c), carried over to the odds b/c.
    ConditionalExact,
    /// Percentile bootstrap of independent items.
    BootstrapPercentile,
    /// Percentile bootstrap of whole clusters.
    ClusterBootstrapPercentile,
    /// Bias-corrected and accelerated bootstrap of independent items.
    BootstrapBca,
    /// Bias-corrected and accelerated bootstrap of whole clusters.
    ClusterBootstrapBca,
    /// Newcombe's method 10 for a difference of paired proportions.
    Newcombe,
    /// Newcombe's method 10 without its correction of phi.
    NewcombePlain,
    /// The Laplace-adjusted Wald interval of Bonett and Price.
    BonettPrice,
    /// Wald's interval for a difference of paired proportions.
    WaldPaired,
    /// Walsh averages cut off by the exact signed-rank distribution.
    HodgesLehmannExact,
    /// A standard error times a normal quantile.
    Normal,
    /// The interval of Hartung and Knapp for a random-effects mean.
    HartungKnapp,
    /// Fieller's interval of a ratio of means.
    Fieller,
}

impl Method {
    /// Returns the name used in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StudentT => "t",
            Self::ClusteredT => "t-cluster-robust",
            Self::Wilson => "wilson",
            Self::ClopperPearson => "clopper-pearson",
            Self::ConditionalExact => "conditional-exact",
            Self::BootstrapPercentile => "bootstrap-percentile",
            Self::ClusterBootstrapPercentile => "cluster-bootstrap-percentile",
            Self::BootstrapBca => "bootstrap-bca",
            Self::ClusterBootstrapBca => "cluster-bootstrap-bca",
            Self::Newcombe => "newcombe-10",
            Self::NewcombePlain => "newcombe-10-uncorrected",
            Self::BonettPrice => "bonett-price",
            Self::WaldPaired => "wald-paired",
            Self::HodgesLehmannExact => "hodges-lehmann-exact",
            Self::Normal => "normal",
            Self::HartungKnapp => "hartung-knapp",
            Self::Fieller => "fieller",
        }
    }
}

/// A two-sided interval, finite at both ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub lower: f64,
    /// The upper end, never below the lower one.
    pub upper: f64,
    /// The nominal confidence level, as 0.95.
    pub level: f64,
    /// What made it.
    pub method: Method,
}

impl Interval {
    /// Creates an interval, or none if an end is not finite or the level is outside (0, 1).
    pub(crate) fn checked(lower: f64, upper: f64, level: f64, method: Method) -> Option<Self> {
        let fits = lower.is_finite() && upper.is_finite() && lower <= upper && is_level(level);
        fits.then_some(Self { lower, upper, level, method })
    }

    /// Returns the mirror image around zero, the interval of the swapped difference.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { lower: 0.0 - self.upper, upper: 0.0 - self.lower, ..self }
    }

    /// Returns the distance between the ends.
    pub fn width(self) -> f64 {
        self.upper - self.lower
    }

    /// Reports whether a value lies inside or on an end.
    pub fn contains(self, value: f64) -> bool {
        self.lower <= value && value <= self.upper
    }
}

/// Reports whether a confidence level or an alpha lies strictly between 0 and 1.
pub(crate) fn is_level(level: f64) -> bool {
    level > 0.0 && level < 1.0
}

/// Returns the probability below the upper end, 1 − (1 − level)/2.
pub(crate) fn upper_share(level: f64) -> f64 {
    0.5 + 0.5 * level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_that_are_not_finite_make_no_interval() {
        assert!(Interval::checked(f64::NAN, 1.0, 0.95, Method::Normal).is_none());
        assert!(Interval::checked(0.0, f64::INFINITY, 0.95, Method::Normal).is_none());
        assert!(Interval::checked(0.0, 1.0, 1.0, Method::Normal).is_none());
        assert!(Interval::checked(0.0, 1.0, f64::NAN, Method::Normal).is_none());
    }

    #[test]
    fn negating_twice_gives_the_interval_back() {
        let interval = Interval::checked(-0.25, 0.5, 0.9, Method::Normal);
        let twice = interval.map(|i| i.negated().negated());
        assert_eq!(twice, interval);
    }
}
