//! The regularised incomplete beta function, both tails, and its inverse.

use super::root::increasing_root;
use super::saddle::beta_ln_kernel;

/// Both tails of a beta distribution as logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaTails {
    /// ln I_x(a, b).
    pub ln_lower: f64,
    /// ln (1 − I_x(a, b)).
    pub ln_upper: f64,
}

/// Returns ln(1 − e^v) for v ≤ 0.
fn ln_complement(v: f64) -> f64 {
    if v > -core::f64::consts::LN_2 { libm::log(-libm::expm1(v)) } else { libm::log1p(-libm::exp(v)) }
}

/// Evaluates the continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let limit = 10_000.0 + 40.0 * libm::sqrt(a.max(b));
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    let mut m = 1.0;
    while m < limit {
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let delta = d * c;
        h *= delta;
        if (delta - 1.0).abs() < 2e-16 {
            break;
        }
        m += 1.0;
    }
    h
}

/// Returns both tails of Beta(a, b) at x, with y = 1 − x given apart.
///
/// `a` and `b` are positive; x ≤ 0 and y ≤ 0 give the ends of the support. The
/// tail on the convergent side comes from the continued fraction with Loader's
/// kernel, the other one from its complement.
pub fn beta_tails(a: f64, b: f64, x: f64, y: f64) -> BetaTails {
    if x <= 0.0 {
        return BetaTails { ln_lower: f64::NEG_INFINITY, ln_upper: 0.0 };
    }
    if y <= 0.0 {
        return BetaTails { ln_lower: 0.0, ln_upper: f64::NEG_INFINITY };
    }
    let kernel = beta_ln_kernel(a, b, x, y);
    if x * (a + b + 2.0) <= a + 1.0 {
        let ln_lower = (kernel + libm::log(continued_fraction(a, b, x) / a)).min(0.0);
        BetaTails { ln_lower, ln_upper: ln_complement(ln_lower) }
    } else {
        let ln_upper = (kernel + libm::log(continued_fraction(b, a, y) / b)).min(0.0);
        BetaTails { ln_lower: ln_complement(ln_upper), ln_upper }
    }
}

/// Returns I_x(a, b), the distribution function of Beta(a, b).
pub fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    libm::exp(beta_tails(a, b, x, 1.0 - x).ln_lower)
}

/// Returns the `p` quantile of Beta(a, b).
///
/// Solved on the logit scale in the smaller tail, where Newton's method sees an
/// almost linear function even for quantiles of 1e-300.
pub fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    if p <= 0.0 {
        return 0.0;
    }
    if p >= 1.0 {
        return 1.0;
    }
    let at = |u: f64| {
        let e = libm::exp(-u.abs());
        let (small, large) = (e / (1.0 + e), 1.0 / (1.0 + e));
        if u < 0.0 { (small, large) } else { (large, small) }
    };
    let lower_tail = p <= 0.5;
    let target = if lower_tail { libm::log(p) } else { libm::log1p(-p) };
    let f = |u: f64| {
        let (x, y) = at(u);
        let tails = beta_tails(a, b, x, y);
        let kernel = beta_ln_kernel(a, b, x, y);
        if lower_tail {
            let slope = libm::exp(kernel - tails.ln_lower);
            (tails.ln_lower - target, slope)
        } else {
            let slope = libm::exp(kernel - tails.ln_upper);
            (target - tails.ln_upper, slope)
        }
    };
    let u = increasing_root(f, -745.0, 745.0, libm::log(a / b));
    at(u).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distribution_function_is_a_polynomial_for_whole_parameters() {
        // I_x(2, 3) = 6x² − 8x³ + 3x⁴.
        for x in [0.01_f64, 0.2, 0.5, 0.77, 0.999] {
            let exact = 6.0 * x.powi(2) - 8.0 * x.powi(3) + 3.0 * x.powi(4);
            assert!((beta_cdf(x, 2.0, 3.0) - exact).abs() < 1e-14);
        }
    }

    #[test]
    fn quantile_inverts_the_distribution_function() {
        for (p, a, b) in [(1e-200, 3.0, 2.0), (0.3, 0.1, 0.1), (0.999, 1e6, 3.0)] {
            let x = beta_quantile(p, a, b);
            assert!((beta_cdf(x, a, b) / p - 1.0).abs() < 1e-9, "{p} {a} {b}");
        }
        assert_eq!(beta_quantile(0.0, 1.0, 1.0), 0.0);
        assert_eq!(beta_quantile(1.0, 1.0, 1.0), 1.0);
    }

    #[test]
    fn huge_parameters_converge() {
        let tails = beta_tails(5e6, 5e6, 0.5, 0.5);
        assert!((libm::exp(tails.ln_lower) - 0.5).abs() < 1e-12);
    }
}
