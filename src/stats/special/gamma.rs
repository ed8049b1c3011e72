//! The regularised incomplete gamma function and the chi-squared distribution.

use super::root::increasing_root;
use super::saddle::gamma_ln_kernel;

/// Returns (ln P, ln Q), the logarithms of both tails of Gamma(a, 1) at x > 0.
fn gamma_tails(a: f64, x: f64) -> (f64, f64) {
    let kernel = gamma_ln_kernel(a, x);
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0, 1.0, a);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        let lower = (kernel + libm::log(sum)).min(0.0);
        (lower, libm::log(-libm::expm1(lower)))
    } else {
        // Lentz's method on DLMF 8.9.2, contracted.
        const TINY: f64 = 1e-300;
        let mut b = x + 1.0 - a;
        let mut c = 1.0 / TINY;
        let mut d = 1.0 / b;
        let mut h = d;
        let mut i = 1.0;
        while i < 1e7 {
            let an = -i * (i - a);
            b += 2.0;
            let den = an * d + b;
            d = 1.0 / if den.abs() < TINY { TINY } else { den };
            c = b + an / c;
            if c.abs() < TINY {
                c = TINY;
            }
            let delta = d * c;
            h *= delta;
            if (delta - 1.0).abs() < 2e-16 {
                break;
            }
            i += 1.0;
        }
        let upper = (kernel + libm::log(a * h)).min(0.0);
        (libm::log(-libm::expm1(upper)), upper)
    }
}

/// Returns the upper tail of the chi-squared distribution with `df` degrees of freedom.
///
/// `x` ≤ 0 gives 1. Exact through erfc for one degree of freedom.
pub fn chi_squared_sf(x: f64, df: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if df == 1.0 {
        return libm::erfc(libm::sqrt(0.5 * x));
    }
    libm::exp(gamma_tails(0.5 * df, 0.5 * x).1)
}

/// Returns the `p` quantile of the chi-squared distribution with `df` degrees of freedom.
pub fn chi_squared_quantile(p: f64, df: f64) -> f64 {
    if p <= 0.0 {
        return 0.0;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    let a = 0.5 * df;
    let lower_tail = p <= 0.5;
    let target = if lower_tail { libm::log(p) } else { libm::log1p(-p) };
    // On u = ln x the density kernel x^a e^-x / Γ(a) is the slope of either tail.
    let f = |u: f64| {
        let x = libm::exp(u);
        let (lower, upper) = gamma_tails(a, x);
        let kernel = gamma_ln_kernel(a, x) + libm::log(a);
        if lower_tail {
            (lower - target, libm::exp(kernel - lower))
        } else {
            (target - upper, libm::exp(kernel - upper))
        }
    };
    2.0 * libm::exp(increasing_root(f, -700.0, 14.0, libm::log(a)))
}

/// Returns ln [ Γ(x + ½) / Γ(x) ] for x > 0 without cancellation.
pub fn gamma_ratio_ln(x: f64) -> f64 {
    if x < 20.0 {
        return libm::lgamma(x + 0.5) - libm::lgamma(x);
    }
    // Asymptotic series of the ratio (DLMF 5.11.13) in 1/x, on the log scale:
    // ½ ln x − 1/8x + 1/192x³ − 1/640x⁵ + 17/14336x⁷ − 31/18432x⁹.
    let w = 1.0 / (x * x);
    let series = 1.0 / 8.0 - w * (1.0 / 192.0 - w * (1.0 / 640.0 - w * (17.0 / 14336.0 - w * (31.0 / 18432.0))));
    0.5 * libm::log(x) - series / x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_degrees_of_freedom_are_exponential() {
        for x in [1e-3, 0.5, 3.0, 40.0, 1300.0] {
            let exact = libm::exp(-0.5 * x);
            assert!((chi_squared_sf(x, 2.0) / exact - 1.0).abs() < 1e-12);
        }
        assert_eq!(chi_squared_sf(0.0, 4.0), 1.0);
    }

    #[test]
    fn quantile_inverts_the_upper_tail() {
        for (p, df) in [(0.025, 3.0), (0.975, 3.0), (0.5, 1000.0), (1e-6, 0.7)] {
            let x = chi_squared_quantile(p, df);
            assert!((1.0 - chi_squared_sf(x, df) - p).abs() < 1e-9, "{p} {df}");
        }
    }

    #[test]
    fn gamma_ratio_is_continuous_where_the_formula_changes() {
        let exact = libm::lgamma(20.5) - libm::lgamma(20.0);
        assert!((gamma_ratio_ln(20.0) - exact).abs() < 1e-13);
    }
}
