//! A mean with its standard error.

use super::exact_sum::exact_sum;
use super::interval::{Interval, Method, is_level, upper_share};
use super::special::student_quantile;

/// A mean of independent values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The number of values.
    pub n: u64,
    /// The mean, none if there is no value.
    pub mean: Option<f64>,
    /// The variance with n − 1, none below two values.
    pub variance: Option<f64>,
    /// Its square root.
    pub sd: Option<f64>,
    /// sd / sqrt(n), none below two values.
    pub standard_error: Option<f64>,
}

/// Returns mean, standard deviation and standard error; values that are not finite are left out.
///
/// Independent of the order of the values to the last bit.
pub fn mean(values: &[f64]) -> Mean {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let n = finite().count() as u64;
    let mean = (n > 0).then(|| exact_sum(finite()) / n as f64);
    let variance = mean.filter(|_| n > 1).map(|mean| {
        let first = finite().next();
        if finite().all(|v| Some(v) == first) {
            return 0.0;
        }
        exact_sum(finite().map(|v| (v - mean) * (v - mean))) / (n - 1) as f64
    });
    let sd = variance.map(libm::sqrt);
    Mean { n, mean, variance, sd, standard_error: sd.map(|sd| sd / libm::sqrt(n as f64)) }
}

/// Returns Student's t interval of the mean of independent values.
///
/// None below two values. When all values are equal the interval has no width:
/// the data then say nothing about the spread.
pub fn t_interval(values: &[f64], level: f64) -> Option<Interval> {
    let m = mean(values);
    t_interval_of(m.mean?, m.standard_error?, (m.n - 1) as f64, level, Method::StudentT)
}

/// Returns estimate ± t(df) × standard error.
pub(crate) fn t_interval_of(
    estimate: f64,
    standard_error: f64,
    df: f64,
    level: f64,
    method: Method,
) -> Option<Interval> {
    if !is_level(level) || df <= 0.0 {
        return None;
    }
    let half = student_quantile(upper_share(level), df) * standard_error;
    Interval::checked(estimate - half, estimate + half, level, method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_leave_the_spread_undefined() {
        assert_eq!(mean(&[]).mean, None);
        assert_eq!(mean(&[0.5]).mean, Some(0.5));
        assert_eq!(mean(&[0.5]).sd, None);
        assert_eq!(t_interval(&[0.5], 0.95), None);
        assert_eq!(mean(&[0.1; 3]).sd, Some(0.0));
        assert_eq!(mean(&[f64::NAN, 1.0]).n, 1);
    }

    #[test]
    fn interval_of_two_values_is_cauchy_wide() {
        let interval = t_interval(&[0.0, 1.0], 0.95).unwrap();
        assert!((interval.upper - 0.5 - 0.5 * 12.706_204_736_432_1).abs() < 1e-9);
        assert_eq!(interval.method.name(), "t");
    }
}
