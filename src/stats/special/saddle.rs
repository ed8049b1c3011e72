//! Loader's saddle-point expansion of binomial and Poisson kernels.
//!
//! C. Loader, "Fast and Accurate Computation of Binomial Probabilities" (2000):
//! factorials enter only through the small error of Stirling's formula and a
//! deviance, so nothing large is ever subtracted from something large.

use core::f64::consts::PI;

/// ln sqrt(2 pi).
pub(super) const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// Returns the error of Stirling's formula, ln z! − ln(sqrt(2πz) (z/e)^z), for z > 0.
pub fn stirling_error(z: f64) -> f64 {
    if z <= 15.0 {
        return libm::lgamma(z + 1.0) - (z + 0.5) * libm::log(z) + z - LN_SQRT_TAU;
    }
    let w = 1.0 / (z * z);
    let series = 1.0 / 12.0 - w * (1.0 / 360.0 - w * (1.0 / 1260.0 - w * (1.0 / 1680.0 - w * (1.0 / 1188.0))));
    series / z
}

/// Returns the deviance x ln(x/m) + m − x for x ≥ 0 and m > 0, without cancellation near x = m.
pub(super) fn deviance(x: f64, m: f64) -> f64 {
    if x == 0.0 {
        return m;
    }
    if (x - m).abs() >= 0.1 * (x + m) {
        return x * libm::log(x / m) + m - x;
    }
    let v = (x - m) / (x + m);
    let mut sum = (x - m) * v;
    let mut term = 2.0 * x * v;
    let mut odd = 3.0;
    loop {
        term *= v * v;
        let next = sum + term / odd;
        if next == sum {
            return sum;
        }
        sum = next;
        odd += 2.0;
    }
}

/// Returns the logarithm of C(n, k) p^k q^(n−k), the binomial mass at `k`.
///
/// `q` is 1 − p, given apart so that neither loses digits. A mass of zero is −∞.
pub fn binomial_ln_mass(k: u64, n: u64, p: f64, q: f64) -> f64 {
    if k > n {
        return f64::NEG_INFINITY;
    }
    let (kf, nf) = (k as f64, n as f64);
    if k == 0 {
        return if q < 0.5 { nf * libm::log(q) } else { nf * libm::log1p(-p) };
    }
    if k == n {
        return if p < 0.5 { nf * libm::log(p) } else { nf * libm::log1p(-q) };
    }
    let m = nf - kf;
    stirling_error(nf) - stirling_error(kf) - stirling_error(m) - deviance(kf, nf * p) - deviance(m, nf * q)
        + 0.5 * libm::log(nf / (2.0 * PI * kf * m))
}

/// Returns ln [ x^a y^b / B(a, b) ] for a, b > 0 and 0 < x, y < 1 with x + y = 1.
pub(super) fn beta_ln_kernel(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    stirling_error(n) - stirling_error(a) - stirling_error(b) - deviance(a, n * x) - deviance(b, n * y)
        + 0.5 * (libm::log(a / n) + libm::log(b) - libm::log(2.0 * PI))
}

/// Returns ln [ x^a e^−x / Γ(a + 1) ] for a, x > 0.
pub(super) fn gamma_ln_kernel(a: f64, x: f64) -> f64 {
    -stirling_error(a) - deviance(a, x) - 0.5 * libm::log(2.0 * PI * a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stirling_error_is_continuous_where_the_formula_changes() {
        let below = stirling_error(15.0);
        let above = stirling_error(15.000_000_000_1);
        assert!((below - above).abs() < 1e-12);
    }

    #[test]
    fn binomial_mass_matches_small_counts() {
        let mass = libm::exp(binomial_ln_mass(3, 10, 0.25, 0.75));
        let exact = 120.0 * 0.25_f64.powi(3) * 0.75_f64.powi(7);
        assert!((mass / exact - 1.0).abs() < 1e-14);
        assert_eq!(binomial_ln_mass(4, 3, 0.5, 0.5), f64::NEG_INFINITY);
        assert_eq!(libm::exp(binomial_ln_mass(10, 10, 0.5, 0.5)), 0.000_976_562_5);
    }
}
