//! Combination of independent p-values.

use super::exact_sum::exact_sum;
use super::special::{chi_squared_sf, normal_quantile, normal_sf};

/// A combined statistic with its p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Combined {
    /// Fisher's −2 Σ ln p, or Stouffer's z.
    pub statistic: f64,
    /// The upper tail.
    pub p: f64,
}

/// Combines p-values by Fisher's method: −2 Σ ln p is chi-squared with 2k degrees of freedom.
///
/// None for an empty set and for a p outside (0, 1].
pub fn fisher(p_values: &[f64]) -> Option<Combined> {
    if p_values.is_empty() || !p_values.iter().all(|&p| p > 0.0 && p <= 1.0) {
        return None;
    }
    let statistic = 0.0 - 2.0 * exact_sum(p_values.iter().map(|&p| libm::log(p)));
    let p = chi_squared_sf(statistic, 2.0 * p_values.len() as f64);
    Some(Combined { statistic, p })
}

/// Combines one-sided p-values by Stouffer's method: z = Σ z_i / sqrt(k).
///
/// None for an empty set and for a p outside (0, 1), whose z is infinite.
pub fn stouffer(p_values: &[f64]) -> Option<Combined> {
    if p_values.is_empty() || !p_values.iter().all(|&p| p > 0.0 && p < 1.0) {
        return None;
    }
    let sum = exact_sum(p_values.iter().map(|&p| 0.0 - normal_quantile(p)));
    let statistic = sum / libm::sqrt(p_values.len() as f64);
    let p = normal_sf(statistic);
    Some(Combined { statistic, p })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_p_value_is_itself() {
        for p in [1e-200, 0.03, 0.8] {
            assert!((fisher(&[p]).unwrap().p / p - 1.0).abs() < 1e-10);
            assert!((stouffer(&[p]).unwrap().p / p - 1.0).abs() < 1e-10);
        }
    }

    #[test]
    fn impossible_p_values_combine_to_nothing() {
        for bad in [&[][..], &[0.0], &[f64::NAN], &[1.5]] {
            assert_eq!((fisher(bad), stouffer(bad)), (None, None));
        }
        assert_eq!(stouffer(&[1.0]), None);
        assert_eq!(fisher(&[1.0]).map(|c| c.p), Some(1.0));
    }
}
