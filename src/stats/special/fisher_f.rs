//! Fisher's F distribution.

use super::beta::beta_tails;

/// Returns the upper tail P(F ≥ f) for positive degrees of freedom.
pub fn f_sf(f: f64, df1: f64, df2: f64) -> f64 {
    if f <= 0.0 {
        return 1.0;
    }
    let (a, b) = (df1 * f, df2);
    // F ≥ f exactly where a Beta(df2/2, df1/2) is at most df2/(df2 + df1 f).
    libm::exp(beta_tails(0.5 * df2, 0.5 * df1, b / (a + b), a / (a + b)).ln_lower)
}

#[cfg(test)]
mod tests {
    use super::super::student_two_sided;
    use super::*;

    #[test]
    fn the_square_of_a_t_is_an_f() {
        for (t, df) in [(0.3, 4.0), (2.5, 17.0), (30.0, 200.0)] {
            let ratio = f_sf(t * t, 1.0, df) / student_two_sided(t, df);
            assert!((ratio - 1.0).abs() < 1e-12, "{t}: {ratio}");
        }
        assert_eq!(f_sf(0.0, 2.0, 5.0), 1.0);
    }

    #[test]
    fn two_and_any_degrees_have_a_closed_form() {
        // P(F ≥ f) = (1 + 2 f / df2)^(−df2/2) for df1 = 2.
        let (f, df): (f64, f64) = (3.7, 11.0);
        let exact = libm::pow(1.0 + 2.0 * f / df, -0.5 * df);
        assert!((f_sf(f, 2.0, df) / exact - 1.0).abs() < 1e-13);
    }
}
