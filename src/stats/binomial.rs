//! Exact binomial tails and the two-sided binomial test.

use super::special::{beta_tails, binomial_ln_mass};

/// The number of trials up to which half-half tails are summed in whole numbers.
const WHOLE_NUMBER_TRIALS: u64 = 120;

/// Returns P(X ≤ k) for X ~ Binomial(n, ½).
///
/// Up to 120 trials the sum of binomial coefficients is a whole number in 128
/// bits, so the result is correctly rounded; beyond that it is the incomplete
/// beta function with the tail carried as a logarithm.
pub fn half_binomial_cdf(k: u64, n: u64) -> f64 {
    if k >= n {
        return 1.0;
    }
    if n <= WHOLE_NUMBER_TRIALS {
        let mut term = 1_u128;
        let mut sum = 1_u128;
        for i in 0..k {
            term = term * u128::from(n - i) / u128::from(i + 1);
            sum += term;
        }
        return libm::ldexp(sum as f64, -(n as i32));
    }
    libm::exp(binomial_ln_tails(k, n, 0.5, 0.5).0)
}

/// Returns (ln P(X ≤ k), ln P(X > k)) for X ~ Binomial(n, p), with q = 1 − p given apart.
pub fn binomial_ln_tails(k: u64, n: u64, p: f64, q: f64) -> (f64, f64) {
    if k >= n {
        return (0.0, f64::NEG_INFINITY);
    }
    let tails = beta_tails((n - k) as f64, (k + 1) as f64, q, p);
    (tails.ln_lower, tails.ln_upper)
}

/// Returns the two-sided exact p-value of `k` successes in `n` trials at probability `p`.
///
/// Adds up every outcome that is not more likely than the observed one, with a
/// relative tolerance of 1e-7 for equality, as R's `binom.test` does. No trial
/// gives 1. At p = ½ this is twice the smaller tail, at most 1. None if `k`
/// exceeds `n` or `p` lies outside [0, 1].
pub fn binomial_test(k: u64, n: u64, p: f64) -> Option<f64> {
    if k > n || !(0.0..=1.0).contains(&p) {
        return None;
    }
    if n == 0 {
        return Some(1.0);
    }
    if p == 0.5 {
        return Some((2.0 * half_binomial_cdf(k.min(n - k), n)).min(1.0));
    }
    if p == 0.0 || p == 1.0 {
        let certain = if p == 0.0 { 0 } else { n };
        return Some(f64::from(u8::from(k == certain)));
    }
    let q = 1.0 - p;
    let expected = n as f64 * p;
    if k as f64 == expected {
        return Some(1.0);
    }
    let bound = binomial_ln_mass(k, n, p, q) + 1e-7;
    let rare = |i: u64| binomial_ln_mass(i, n, p, q) <= bound;
    let p_value = if (k as f64) < expected {
        // The first outcome above the mean that is as rare as the observed one.
        let (mut lo, mut hi) = (libm::ceil(expected) as u64, n + 1);
        while lo < hi {
            let mid = lo + (hi - lo) / 2;
            if rare(mid) { hi = mid } else { lo = mid + 1 }
        }
        let upper = if lo > n { 0.0 } else { libm::exp(binomial_ln_tails(lo - 1, n, p, q).1) };
        libm::exp(binomial_ln_tails(k, n, p, q).0) + upper
    } else {
        // One past the last outcome below the mean that is as rare.
        let (mut lo, mut hi) = (0, libm::floor(expected) as u64 + 1);
        while lo < hi {
            let mid = lo + (hi - lo) / 2;
            if rare(mid) { lo = mid + 1 } else { hi = mid }
        }
        let lower = if lo == 0 { 0.0 } else { libm::exp(binomial_ln_tails(lo - 1, n, p, q).0) };
        lower + libm::exp(binomial_ln_tails(k - 1, n, p, q).1)
    };
    Some(p_value.min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_number_tails_meet_the_beta_function() {
        for k in [0, 1, 40, 59, 60, 119] {
            let exact = half_binomial_cdf(k, 120);
            let smooth = libm::exp(binomial_ln_tails(k, 120, 0.5, 0.5).0);
            assert!((smooth / exact - 1.0).abs() < 1e-12, "{k}");
        }
        assert_eq!(half_binomial_cdf(2, 5), 0.5);
    }

    #[test]
    fn impossible_counts_have_no_p_value() {
        assert_eq!(binomial_test(3, 2, 0.5), None);
        assert_eq!(binomial_test(1, 2, f64::NAN), None);
        assert_eq!(binomial_test(0, 0, 0.3), Some(1.0));
        assert_eq!(binomial_test(1, 4, 0.0), Some(0.0));
        assert_eq!(binomial_test(4, 4, 1.0), Some(1.0));
    }

    #[test]
    fn size_is_the_sum_of_rare_outcomes() {
        // By enumeration at n = 9, p = 0.3.
        let (n, p) = (9, 0.3);
        let mass = |i| libm::exp(binomial_ln_mass(i, n, p, 1.0 - p));
        for k in 0..=n {
            let exact: f64 = (0..=n).map(mass).filter(|&m| m <= mass(k) * (1.0 + 1e-7)).sum();
            let p_value = binomial_test(k, n, p).unwrap();
            assert!((p_value - exact).abs() < 1e-13, "{k}");
        }
    }
}
