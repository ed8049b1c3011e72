//! Student's t distribution.

use super::beta::beta_tails;
use super::normal::normal_quantile;
use super::root::increasing_root;
use super::saddle::beta_ln_kernel;

/// Returns (x, y) = (df, t²) / (df + t²), guarded against overflow of t².
fn ratio(t: f64, df: f64) -> (f64, f64) {
    let s = t / libm::sqrt(df);
    if s.abs() > 1e100 {
        let x = 1.0 / s;
        return (x * x, 1.0);
    }
    let w = s * s;
    (1.0 / (1.0 + w), w / (1.0 + w))
}

/// Returns the logarithm of the two-sided tail P(|T| ≥ |t|).
fn ln_two_sided(t: f64, df: f64) -> f64 {
    let (x, y) = ratio(t, df);
    beta_tails(0.5 * df, 0.5, x, y).ln_lower
}

/// Returns P(|T| ≥ |t|) for `df` > 0 degrees of freedom.
pub fn student_two_sided(t: f64, df: f64) -> f64 {
    libm::exp(ln_two_sided(t, df))
}

/// Returns the upper tail P(T ≥ t) for `df` > 0 degrees of freedom.
pub fn student_sf(t: f64, df: f64) -> f64 {
    let half = 0.5 * student_two_sided(t, df);
    if t >= 0.0 { half } else { 1.0 - half }
}

/// Returns the `p` quantile for `df` > 0 degrees of freedom.
pub fn student_quantile(p: f64, df: f64) -> f64 {
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    if p == 0.5 {
        return 0.0;
    }
    let tail = if p < 0.5 { p } else { 1.0 - p };
    let goal = libm::log(2.0 * tail);
    // Solved in v = ln t: the log tail is close to linear there at both ends.
    let f = |v: f64| {
        let t = libm::exp(v);
        let (x, y) = ratio(t, df);
        let ln_tail = beta_tails(0.5 * df, 0.5, x, y).ln_lower;
        let slope = 2.0 * libm::exp(beta_ln_kernel(0.5 * df, 0.5, x, y) - ln_tail);
        (goal - ln_tail, slope)
    };
    let start = libm::log(-normal_quantile(tail));
    let t = libm::exp(increasing_root(f, -80.0, 700.0, start));
    if p < 0.5 { -t } else { t }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_degree_of_freedom_is_cauchy() {
        for t in [0.1, 1.0, 7.5, 1e6, 1e150] {
            let exact = libm::atan(1.0 / t) / core::f64::consts::PI;
            assert!((student_sf(t, 1.0) / exact - 1.0).abs() < 1e-12, "{t}");
        }
        assert_eq!(student_sf(0.0, 3.0), 0.5);
    }

    #[test]
    fn quantile_inverts_the_tail() {
        for (p, df) in [(0.975, 1318.0), (0.9, 0.7), (1e-30, 4.0), (0.5001, 30.0)] {
            let t = student_quantile(p, df);
            let back = if p < 0.5 { student_sf(-t, df) } else { 1.0 - student_sf(t, df) };
            assert!((back / p - 1.0).abs() < 1e-10, "{p} {df}");
        }
    }
}
