//! What a sum over values that are not known yet will come to.

use super::bootstrap::quantile;
use super::interval::{is_level, upper_share};
use super::mean::mean;
use super::special::{normal_quantile, student_quantile};
use super::stream::Stream;

/// One kind of values: some are known, and so many more like them will be added.
#[derive(Debug, Clone, PartialEq)]
pub struct Stratum {
    /// The known values, finite and at least 0.
    pub known: Vec<f64>,
    /// How many values are missing.
    pub missing: u64,
    /// What each missing value is multiplied by.
    pub weight: f64,
}

/// A prediction of the sum of the missing values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The expected sum.
    pub mean: f64,
    /// The lower end of the interval.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

/// From this number of known values on, a stratum is resampled; below, its spread is shrunk towards a prior.
const ENOUGH: usize = 10;
/// The weight of the prior for the spread of a small stratum, in degrees of freedom.
const PRIOR_WEIGHT: f64 = 4.0;
/// Up to this number of missing values they are drawn one by one; beyond, their sum is normal.
const DRAWN: u64 = 200;

struct Parts<'a> {
    known: &'a [f64],
    missing: f64,
    weight: f64,
    mean: f64,
    /// The standard deviation with n − 1.
    sd: f64,
    /// Its counterpart with n, that of a value drawn from the known ones.
    drawn_sd: f64,
    /// M + M²/n times the squared weight: what multiplies the variance.
    spread: f64,
}

/// Predicts the sum of the missing values of all strata, with an interval that holds it with probability `level`.
///
/// The interval is a studentised bootstrap prediction: each resample draws new known values and new missing ones from the
/// known, and the error of its prediction over its standard error takes the place of Student's t. It covers what is not
/// known of the mean, the scatter of the missing values, and skewness. Values and strata are taken as independent.
/// Strata with fewer than 10 known values contribute Student's t with a shrunken variance instead. None if a stratum with
/// missing values has no known ones, or `level` is no level.
pub fn predicted_sum(strata: &[Stratum], level: f64, resamples: u32, stream: &mut Stream) -> Option<Prediction> {
    if !is_level(level) {
        return None;
    }
    let (mut total, mut large, mut small_half_squared) = (0.0, Vec::new(), 0.0);
    for stratum in strata.iter().filter(|stratum| stratum.missing > 0) {
        let n = stratum.known.len() as f64;
        let moments = mean(&stratum.known);
        let (mean, missing) = (moments.mean?, stratum.missing as f64);
        let spread = stratum.weight * stratum.weight * (missing + missing * missing / n);
        total += stratum.weight * missing * mean;
        let sd = moments.sd.unwrap_or(0.0);
        if stratum.known.len() >= ENOUGH {
            let drawn_sd = sd * libm::sqrt((n - 1.0) / n);
            let (known, weight) = (stratum.known.as_slice(), stratum.weight);
            large.push(Parts { known, missing, weight, mean, sd, drawn_sd, spread });
        } else {
            // As if four more degrees of freedom had shown a spread as large as the mean, that of exponential lengths.
            let df = n - 1.0 + PRIOR_WEIGHT;
            let variance = ((n - 1.0) * sd * sd + PRIOR_WEIGHT * mean * mean) / df;
            let t = student_quantile(upper_share(level), df);
            small_half_squared += t * t * variance * spread;
        }
    }
    let scale = libm::sqrt(large.iter().map(|part| part.sd * part.sd * part.spread).sum());
    let (mut below, mut above) = (0.0, 0.0);
    if scale > 0.0 {
        let mut errors: Vec<f64> = (0..resamples).filter_map(|_| resampled_error(&large, stream)).collect();
        errors.sort_unstable_by(f64::total_cmp);
        let upper = upper_share(level);
        below = (-quantile(&errors, 1.0 - upper)? * scale).max(0.0);
        above = (quantile(&errors, upper)? * scale).max(0.0);
    }
    let combine = |half: f64| libm::sqrt(half * half + small_half_squared);
    Some(Prediction { mean: total, lower: (total - combine(below)).max(0.0), upper: total + combine(above) })
}

/// Draws known and missing values anew and returns the prediction's error over its standard error; None without a spread.
fn resampled_error(strata: &[Parts<'_>], stream: &mut Stream) -> Option<f64> {
    let (mut error, mut variance) = (0.0, 0.0);
    for part in strata {
        let n = part.known.len();
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            // Centred, so that the squares lose nothing to cancellation.
            let value = part.known[stream.below(n as u32) as usize] - part.mean;
            sum += value;
            squares += value * value;
        }
        let drawn_mean = sum / n as f64;
        let drawn_variance = ((squares - sum * drawn_mean) / (n as f64 - 1.0)).max(0.0);
        let missing = if part.missing <= DRAWN as f64 {
            let draws = part.missing as u64;
            (0..draws).map(|_| part.known[stream.below(n as u32) as usize] - part.mean).sum::<f64>()
        } else {
            // Half a step keeps the quantile's argument off 0.
            let uniform = stream.uniform() + 0.5 / 9_007_199_254_740_992.0;
            normal_quantile(uniform) * part.drawn_sd * libm::sqrt(part.missing)
        };
        error += part.weight * (missing - part.missing * drawn_mean);
        variance += drawn_variance * part.spread;
    }
    (variance > 0.0).then(|| error / libm::sqrt(variance))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stratum(known: &[f64], missing: u64) -> Stratum {
        Stratum { known: known.to_vec(), missing, weight: 1.0 }
    }

    fn predict(strata: &[Stratum], label: &str) -> Option<Prediction> {
        predicted_sum(strata, 0.9, 400, &mut Stream::derive(7, label))
    }

    #[test]
    fn nothing_missing_is_nothing_and_nothing_known_is_unknown() {
        let nothing = Prediction { mean: 0.0, lower: 0.0, upper: 0.0 };
        assert_eq!(predict(&[], "none"), Some(nothing));
        assert_eq!(predict(&[stratum(&[], 0), stratum(&[5.0], 0)], "none"), Some(nothing));
        assert_eq!(predict(&[stratum(&[], 1)], "none"), None);
        assert_eq!(predicted_sum(&[], 1.0, 400, &mut Stream::derive(7, "x")), None);
    }

    #[test]
    fn equal_values_leave_no_doubt_once_there_are_enough() {
        let sure = predict(&[Stratum { weight: 2.0, ..stratum(&[3.0; 10], 5) }], "equal").unwrap();
        assert_eq!(sure, Prediction { mean: 30.0, lower: 30.0, upper: 30.0 });
        let few = predict(&[stratum(&[3.0; 9], 5)], "equal").unwrap();
        assert_eq!(few.mean, 15.0);
        assert!(few.lower < 12.0 && few.upper > 18.0, "{few:?}");
        // One value says little: the interval spans a multiple.
        let one = predict(&[stratum(&[3.0], 5)], "equal").unwrap();
        assert!(one.lower == 0.0 && one.upper > 2.0 * one.mean, "{one:?}");
    }

    #[test]
    fn long_tails_reach_further_up_than_down() {
        let known: Vec<f64> = (0..40).map(|n| libm::exp(normal_quantile((f64::from(n) + 0.5) / 40.0))).collect();
        for missing in [100, 1000] {
            let found = predict(&[stratum(&known, missing)], "skew").unwrap();
            assert!(found.upper - found.mean > 1.2 * (found.mean - found.lower), "{found:?}");
        }
    }

    /// Draws from a normal law, whose interval is known: Student's t with the same standard error.
    #[test]
    fn a_normal_history_agrees_with_student() {
        let known: Vec<f64> = (0..50).map(|n| 100.0 + 10.0 * normal_quantile((f64::from(n) + 0.5) / 50.0)).collect();
        let moments = mean(&known);
        for missing in [150u64, 400] {
            let found = predicted_sum(&[stratum(&known, missing)], 0.9, 20_000, &mut Stream::derive(1, "t")).unwrap();
            let m = missing as f64;
            let half = student_quantile(0.95, 49.0) * moments.sd.unwrap() * libm::sqrt(m + m * m / 50.0);
            let wide = (found.upper - found.lower) / 2.0;
            assert!((wide / half - 1.0).abs() < 0.04, "{wide} {half}");
        }
    }
}
