//! The standard normal distribution.

use core::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use super::root::increasing_root;
use super::saddle::LN_SQRT_TAU;

/// Returns Φ(z), the lower tail.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// Returns 1 − Φ(z), the upper tail, accurate to the smallest normal number.
pub fn normal_sf(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

/// Returns ln(1 − Φ(z)), finite for every finite z.
///
/// Beyond z = 12 by Laplace's continued fraction of Mills' ratio (DLMF 7.9.3).
pub fn normal_ln_sf(z: f64) -> f64 {
    if z < -1.0 {
        return libm::log1p(-normal_sf(-z));
    }
    if z < 12.0 {
        return libm::log(normal_sf(z));
    }
    let mut tail = z;
    for k in (1..60_u32).rev() {
        tail = z + f64::from(k) / tail;
    }
    -0.5 * z * z - LN_SQRT_TAU - libm::log(tail)
}

/// Returns the `p` quantile; p ≤ 0 and p ≥ 1 give the infinities.
///
/// Near the middle solved through erf, else in the logarithm of the tail.
pub fn normal_quantile(p: f64) -> f64 {
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    if p > 0.25 && p < 0.75 {
        let goal = p - 0.5;
        let f = |z: f64| {
            let density = libm::exp(-0.5 * z * z - LN_SQRT_TAU);
            (0.5 * libm::erf(z / SQRT_2) - goal, density)
        };
        return increasing_root(f, -1.0, 1.0, goal * libm::exp(LN_SQRT_TAU));
    }
    let upper = if p < 0.5 { p } else { 1.0 - p };
    let goal = libm::log(upper);
    let f = |z: f64| {
        let ln_tail = normal_ln_sf(z);
        let hazard = libm::exp(-0.5 * z * z - LN_SQRT_TAU - ln_tail);
        (goal - ln_tail, hazard)
    };
    let z = increasing_root(f, 0.0, 40.0, libm::sqrt(-2.0 * goal) - 0.6);
    if p < 0.5 { -z } else { z }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_and_quantiles_agree() {
        for p in [1e-300, 1e-30, 0.01, 0.26, 0.49999, 0.5, 0.6, 0.999_999] {
            let z = normal_quantile(p);
            assert!((normal_cdf(z) / p - 1.0).abs() < 1e-11, "{p}");
        }
        assert_eq!(normal_quantile(0.5), 0.0);
        assert_eq!(normal_quantile(0.25), -normal_quantile(0.75));
    }

    #[test]
    fn log_tail_is_continuous_where_the_formula_changes() {
        let below = libm::log(normal_sf(12.0));
        assert!((normal_ln_sf(12.0) / below - 1.0).abs() < 1e-13);
        assert!(normal_ln_sf(1000.0) < -5e5);
    }
}
