//! Power of a paired comparison of means, in the normal form.

use super::interval::is_level;
use super::special::{normal_quantile, normal_sf};

/// The design of a two-sided test: its level and the power wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Design {
    alpha: f64,
    power: f64,
}

/// The variance of an item's difference, split by where it comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VarianceParts {
    /// The variance of the items' true differences.
    pub between: f64,
    /// The variance that one draw of each arm adds to an item's difference.
    pub within: f64,
}

impl Design {
    /// Creates a design; none unless alpha and power lie strictly between 0 and 1.
    pub fn new(alpha: f64, power: f64) -> Option<Self> {
        (is_level(alpha) && is_level(power)).then_some(Self { alpha, power })
    }

    /// Returns z(1 − alpha/2) + z(power).
    fn reach(&self) -> f64 {
        // Quantiles of the small tails keep their digits.
        -normal_quantile(0.5 * self.alpha) + normal_quantile(self.power)
    }

    /// Returns the smallest mean difference that `n` items detect, reach × sd / sqrt(n).
    ///
    /// None for no items and for an sd that is not positive: no spread seen is not
    /// no spread.
    pub fn detectable(&self, sd: f64, n: u64) -> Option<f64> {
        let defined = n > 0 && sd > 0.0 && sd.is_finite();
        defined.then(|| (self.reach() * sd / libm::sqrt(n as f64)).max(0.0))
    }

    /// Returns the number of items that detect a mean difference of `target`, ⌈(reach × sd / target)²⌉.
    ///
    /// At least 2. None for a target of 0 and for an sd that is not positive.
    pub fn items(&self, sd: f64, target: f64) -> Option<u64> {
        if !(sd > 0.0 && sd.is_finite() && target != 0.0 && target.is_finite()) {
            return None;
        }
        let ratio = self.reach().max(0.0) * sd / target;
        let n = libm::ceil(ratio * ratio);
        (n < 1e18).then_some((n as u64).max(2))
    }

    /// Returns the draws per item and arm with which `n` items detect `target`.
    ///
    /// The variance of an item's mean difference over K draws is between +
    /// within/K. None where even endless draws of these items would not do, and
    /// for a target of 0.
    pub fn draws(&self, parts: VarianceParts, n: u64, target: f64) -> Option<u64> {
        let sound = |v: f64| v >= 0.0 && v.is_finite();
        if n == 0 || target == 0.0 || !sound(parts.between) || !sound(parts.within) {
            return None;
        }
        let allowed = target / self.reach().max(0.0) * libm::sqrt(n as f64);
        let room = allowed * allowed - parts.between;
        if !room.is_finite() || room <= 0.0 {
            return None;
        }
        let draws = libm::ceil(parts.within / room);
        (draws < 1e18).then_some((draws as u64).max(1))
    }
}

/// Returns the power of a two-sided z test for a mean difference, both rejection regions counted.
///
/// None for no items, for an sd that is not positive, and for an alpha outside (0, 1).
pub fn power(difference: f64, sd: f64, n: u64, alpha: f64) -> Option<f64> {
    if n == 0 || !(sd > 0.0 && sd.is_finite() && difference.is_finite() && is_level(alpha)) {
        return None;
    }
    let shift = difference.abs() * libm::sqrt(n as f64) / sd;
    let z = -normal_quantile(0.5 * alpha);
    Some((normal_sf(z - shift) + normal_sf(z + shift)).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_invert_the_detectable_effect() {
        let design = Design::new(0.05, 0.8).unwrap();
        let n = design.items(0.5, 0.02).unwrap();
        assert_eq!(n, 4906);
        assert!(design.detectable(0.5, n).unwrap() <= 0.02);
        assert!(design.detectable(0.5, n - 1).unwrap() > 0.02);
        // The far region adds next to nothing, so the power is what was asked for.
        assert!((power(0.02, 0.5, n, 0.05).unwrap() - 0.8).abs() < 1e-4);
    }

    #[test]
    fn no_spread_and_no_target_are_undefined() {
        let design = Design::new(0.05, 0.8).unwrap();
        assert_eq!(design.detectable(0.0, 10), None);
        assert_eq!(design.detectable(1.0, 0), None);
        assert_eq!(design.items(1.0, 0.0), None);
        assert_eq!(design.items(f64::NAN, 0.1), None);
        assert_eq!(Design::new(0.0, 0.8), None);
        assert_eq!(power(0.1, 0.0, 5, 0.05), None);
        assert!((power(0.0, 1.0, 5, 0.05).unwrap() - 0.05).abs() < 1e-12);
    }

    #[test]
    fn draws_help_only_against_sampling_noise() {
        let design = Design::new(0.05, 0.8).unwrap();
        let parts = VarianceParts { between: 0.04, within: 0.4 };
        assert_eq!(design.draws(parts, 200, 0.01), None);
        let draws = design.draws(parts, 200, 0.06).unwrap();
        let sd = |k: u64| libm::sqrt(parts.between + parts.within / k as f64);
        assert!(design.detectable(sd(draws), 200).unwrap() <= 0.06);
        assert!(design.detectable(sd(draws - 1), 200).unwrap() > 0.06);
    }
}
