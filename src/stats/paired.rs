//! The summary of a paired comparison.

use super::differences::Differences;
use super::interval::{Interval, Method};
use super::mean::t_interval_of;
use super::special::student_two_sided;

/// Mean difference, spread and standardised effect of paired values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paired {
    /// The number of pairs in use.
    pub n: u64,
    /// The number of pairs omitted because a value was missing.
    pub omitted: u64,
    /// The mean of treatment − control, none if there is no pair.
    pub mean: Option<f64>,
    /// The median difference, none if there is no pair.
    pub median: Option<f64>,
    /// The standard deviation of the differences with n − 1, none below two pairs.
    pub sd: Option<f64>,
    /// sd / sqrt(n), none below two pairs.
    pub standard_error: Option<f64>,
    /// Cohen's d_z = mean / sd, none where sd is 0 or undefined.
    pub cohens_dz: Option<f64>,
    /// Pairs where treatment is higher.
    pub positive: u64,
    /// Pairs without a difference.
    pub ties: u64,
    /// Pairs where control is higher.
    pub negative: u64,
}

/// Summarises paired differences.
pub fn paired(differences: &Differences) -> Paired {
    let (negative, ties, positive) = differences.signs();
    let mean = differences.mean();
    let sd = differences.sd();
    Paired {
        n: differences.n(),
        omitted: differences.omitted(),
        mean,
        median: differences.median(),
        sd,
        standard_error: differences.standard_error(),
        cohens_dz: match (mean, sd) {
            (Some(mean), Some(sd)) if sd > 0.0 => Some(mean / sd),
            _ => None,
        },
        positive,
        ties,
        negative,
    }
}

impl Paired {
    /// Returns Student's t interval of the mean difference, none below two pairs.
    pub fn interval(&self, level: f64) -> Option<Interval> {
        let df = self.n as f64 - 1.0;
        t_interval_of(self.mean?, self.standard_error?, df, level, Method::StudentT)
    }

    /// Returns the paired t test of a zero mean difference.
    ///
    /// None below two pairs and where all differences are equal, as t is then
    /// undefined or infinite.
    pub fn t_test(&self) -> Option<TTest> {
        let standard_error = self.standard_error.filter(|&se| se > 0.0)?;
        let t = self.mean? / standard_error;
        let df = self.n as f64 - 1.0;
        let p = student_two_sided(t, df);
        Some(TTest { t, df, p })
    }
}

/// A t statistic with its two-sided p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TTest {
    /// The statistic.
    pub t: f64,
    /// The degrees of freedom.
    pub df: f64,
    /// P(|T| ≥ |t|).
    pub p: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn degenerate_inputs_are_undefined_not_nan() {
        let none = paired(&Differences::default());
        assert_eq!((none.n, none.mean, none.sd, none.cohens_dz), (0, None, None, None));
        let one = paired(&Differences::omitting([(0.0, 0.5)]));
        assert_eq!((one.mean, one.sd, one.interval(0.95)), (Some(0.5), None, None));
        let tied = paired(&Differences::omitting([(0.0, 0.5), (0.5, 1.0)]));
        assert_eq!((tied.sd, tied.cohens_dz), (Some(0.0), None));
        assert_eq!(tied.t_test(), None);
        assert_eq!(tied.interval(0.95).map(Interval::width), Some(0.0));
    }

    proptest! {
        #[test]
        fn swapping_arms_negates_and_permuting_rows_changes_nothing(
            mut rows in proptest::collection::vec((0_u8..6, 0_u8..6), 2..40)
        ) {
            let fifths = |rows: &[(u8, u8)]| {
                let pairs = rows.iter().map(|&(c, t)| (f64::from(c) / 5.0, f64::from(t) / 5.0));
                paired(&Differences::omitting(pairs))
            };
            let original = fifths(&rows);
            rows.reverse();
            prop_assert_eq!(original, fifths(&rows));
            let swapped: Vec<_> = rows.iter().map(|&(c, t)| (t, c)).collect();
            let mirror = fifths(&swapped);
            prop_assert_eq!(original.mean, mirror.mean.map(|m| 0.0 - m));
            prop_assert_eq!(original.sd, mirror.sd);
            prop_assert_eq!(original.positive, mirror.negative);
            prop_assert_eq!(original.t_test().map(|t| t.p), mirror.t_test().map(|t| t.p));
        }
    }
}
