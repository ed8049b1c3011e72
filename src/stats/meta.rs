//! Meta-analysis of one effect over several datasets.

use super::exact_sum::exact_sum;
use super::interval::{Interval, Method, is_level, upper_share};
use super::mean::t_interval_of;
use super::special::{chi_squared_sf, normal_quantile};

/// A pooled effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pooled {
    /// The weighted mean.
    pub estimate: f64,
    /// Its standard error, 1 / sqrt(Σ w).
    pub standard_error: f64,
    /// estimate ± z × standard error.
    pub interval: Interval,
    /// The standard error of Hartung and Knapp (2001): sqrt(Σ w (y − estimate)² / ((k−1) Σ w)).
    pub hartung_knapp_error: f64,
    /// estimate ± t(k − 1) × that error; none where that error is 0.
    pub hartung_knapp: Option<Interval>,
}

/// How much effects differ between datasets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heterogeneity {
    /// Cochran's Q.
    pub q: f64,
    /// k − 1.
    pub df: u64,
    /// The upper chi-squared tail at Q.
    pub p: f64,
    /// The share of variation due to heterogeneity, max(0, (Q − df)/Q); 0 at Q = 0.
    pub i2: f64,
    /// Q / df.
    pub h2: f64,
}

/// A meta-analysis of at least two datasets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetaAnalysis {
    /// The number of datasets.
    pub datasets: u64,
    /// One common effect.
    pub fixed: Pooled,
    /// Random effects with the variance of DerSimonian and Laird.
    pub dersimonian_laird: Pooled,
    /// Their between-dataset variance, truncated at 0.
    pub tau2_dersimonian_laird: f64,
    /// Random effects with the variance of Paule and Mandel.
    pub paule_mandel: Pooled,
    /// Their between-dataset variance, truncated at 0.
    pub tau2_paule_mandel: f64,
    /// Heterogeneity.
    pub heterogeneity: Heterogeneity,
}

/// Pools effects with known sampling variances.
///
/// `studies` are (effect, variance) pairs. None below two datasets, where there is
/// nothing to pool and no heterogeneity to estimate, and where an effect is not
/// finite or a variance not positive.
pub fn meta_analysis(studies: &[(f64, f64)], level: f64) -> Option<MetaAnalysis> {
    let sound = |&(y, v): &(f64, f64)| y.is_finite() && v.is_finite() && v > 0.0;
    if studies.len() < 2 || !studies.iter().all(sound) || !is_level(level) {
        return None;
    }
    let df = studies.len() as f64 - 1.0;
    let fixed = pool(studies, 0.0, level)?;
    let q = generalised_q(studies, 0.0);
    let weights = exact_sum(studies.iter().map(|&(_, v)| 1.0 / v));
    let squares = exact_sum(studies.iter().map(|&(_, v)| 1.0 / (v * v)));
    let tau2_dersimonian_laird = ((q - df) / (weights - squares / weights)).max(0.0);
    let tau2_paule_mandel = paule_mandel(studies, q);
    Some(MetaAnalysis {
        datasets: studies.len() as u64,
        fixed,
        dersimonian_laird: pool(studies, tau2_dersimonian_laird, level)?,
        tau2_dersimonian_laird,
        paule_mandel: pool(studies, tau2_paule_mandel, level)?,
        tau2_paule_mandel,
        heterogeneity: Heterogeneity {
            q,
            df: studies.len() as u64 - 1,
            p: chi_squared_sf(q, df),
            i2: if q > df { (q - df) / q } else { 0.0 },
            h2: q / df,
        },
    })
}

/// Returns (Σ w, Σ w y / Σ w) with w = 1/(v + tau2).
fn weighted_mean(studies: &[(f64, f64)], tau2: f64) -> (f64, f64) {
    let total = exact_sum(studies.iter().map(|&(_, v)| 1.0 / (v + tau2)));
    let sum = exact_sum(studies.iter().map(|&(y, v)| y / (v + tau2)));
    (total, sum / total)
}

/// Returns Σ w (y − mean)² with w = 1/(v + tau2).
fn generalised_q(studies: &[(f64, f64)], tau2: f64) -> f64 {
    let (_, mean) = weighted_mean(studies, tau2);
    exact_sum(studies.iter().map(|&(y, v)| (y - mean) * (y - mean) / (v + tau2)))
}

/// Returns the tau2 at which the generalised Q equals its expectation k − 1 (Paule and Mandel 1982).
///
/// Q falls as tau2 grows, so bisection finds the one root; 0 if Q starts below.
fn paule_mandel(studies: &[(f64, f64)], q: f64) -> f64 {
    let df = studies.len() as f64 - 1.0;
    if q <= df {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while generalised_q(studies, high) > df && high < 1e300 {
        low = high;
        high *= 4.0;
    }
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        if generalised_q(studies, middle) > df {
            low = middle;
        } else {
            high = middle;
        }
    }
}

fn pool(studies: &[(f64, f64)], tau2: f64, level: f64) -> Option<Pooled> {
    let df = studies.len() as f64 - 1.0;
    let (total, estimate) = weighted_mean(studies, tau2);
    let standard_error = 1.0 / libm::sqrt(total);
    let half = normal_quantile(upper_share(level)) * standard_error;
    let error = libm::sqrt(generalised_q(studies, tau2) / (df * total));
    Some(Pooled {
        estimate,
        standard_error,
        interval: Interval::checked(estimate - half, estimate + half, level, Method::Normal)?,
        hartung_knapp_error: error,
        hartung_knapp: (error > 0.0).then(|| t_interval_of(estimate, error, df, level, Method::HartungKnapp)).flatten(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dataset_is_no_meta_analysis() {
        assert_eq!(meta_analysis(&[(0.1, 0.01)], 0.95), None);
        assert_eq!(meta_analysis(&[(0.1, 0.01), (0.2, 0.0)], 0.95), None);
        assert_eq!(meta_analysis(&[(0.1, 0.01), (f64::NAN, 0.1)], 0.95), None);
    }

    #[test]
    fn equal_effects_have_no_heterogeneity() {
        let meta = meta_analysis(&[(0.25, 0.01), (0.25, 0.04), (0.25, 0.02)], 0.95).unwrap();
        assert_eq!(meta.heterogeneity.i2, 0.0);
        assert_eq!((meta.tau2_dersimonian_laird, meta.tau2_paule_mandel), (0.0, 0.0));
        assert!((meta.fixed.estimate - 0.25).abs() < 1e-15);
        assert!((meta.heterogeneity.p - 1.0).abs() < 1e-9);
    }

    #[test]
    fn paule_mandel_solves_its_equation() {
        let studies = [(0.5, 0.01), (-0.3, 0.01), (0.4, 0.02), (0.1, 0.005)];
        let meta = meta_analysis(&studies, 0.95).unwrap();
        let q = generalised_q(&studies, meta.tau2_paule_mandel);
        assert!((q - 3.0).abs() < 1e-12);
        // At that root the two standard errors are one.
        let pm = meta.paule_mandel;
        assert!((pm.hartung_knapp_error / pm.standard_error - 1.0).abs() < 1e-12);
    }
}
