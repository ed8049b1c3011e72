//! The law of Σ aᵢ Bᵢ for fair bits Bᵢ: what signed ranks and sign flips have in common.

use core::f64::consts::PI;

use super::binomial::half_binomial_cdf;
use super::special::increasing_root;

/// Convolutions beyond this many additions are not done.
const CONVOLUTION_LIMIT: u128 = 6_000_000;
/// Inversions beyond this many factors are not done.
const INVERSION_LIMIT: f64 = 1_500_000.0;

/// Whole-number weights with multiplicities: Σ over groups of weight × Binomial(count, ½).
///
/// Weights are kept divided by their greatest common divisor, in increasing
/// order, without zeros and without equal weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FairSum {
    groups: Vec<(u64, u64)>,
    divisor: u64,
}

impl FairSum {
    /// Collects (weight, count) groups in any order.
    pub(crate) fn new(groups: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut groups: Vec<(u64, u64)> =
            groups.into_iter().filter(|&(weight, count)| weight > 0 && count > 0).collect();
        groups.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(groups.len());
        let mut divisor = 0;
        for (weight, count) in groups {
            divisor = gcd(divisor, weight);
            match merged.last_mut() {
                Some(last) if last.0 == weight => last.1 += count,
                _ => merged.push((weight, count)),
            }
        }
        let divisor = divisor.max(1);
        for group in &mut merged {
            group.0 /= divisor;
        }
        Self { groups: merged, divisor }
    }

    /// Returns the number of bits.
    pub(crate) fn bits(&self) -> u64 {
        self.groups.iter().map(|&(_, count)| count).sum()
    }

    /// Returns the largest value, in units of the divisor.
    fn total(&self) -> u64 {
        self.groups.iter().map(|&(weight, count)| weight * count).sum()
    }

    /// Returns P(sum ≤ bound), exact to rounding, or none if that costs too much.
    ///
    /// Equal weights are a binomial tail; else a convolution; else, in the lower
    /// half, an inversion of the exponentially tilted characteristic function.
    pub(crate) fn cdf(&self, bound: u64) -> Option<f64> {
        let bound = bound / self.divisor;
        let total = self.total();
        if bound >= total {
            return Some(1.0);
        }
        if let [(weight, count)] = self.groups[..] {
            return Some(half_binomial_cdf(bound / weight, count));
        }
        if u128::from(self.bits()) * u128::from(bound + 1) <= CONVOLUTION_LIMIT {
            return Some(self.convolved_cdf(bound));
        }
        // With signs instead of bits the sum is 2 T − total; its law is symmetric.
        if 2 * bound >= total {
            let above = total - bound - 1;
            return Some(1.0 - self.inverted_tail(total - 2 * above)?);
        }
        self.inverted_tail(total - 2 * bound)
    }

    /// Adds bit after bit to the masses of 0..=bound.
    fn convolved_cdf(&self, bound: u64) -> f64 {
        let bound = bound as usize;
        let mut mass = vec![0.0; bound + 1];
        mass[0] = 1.0;
        let mut reach = 0;
        for &(weight, count) in &self.groups {
            // A weight beyond the bound shifts everything out: each bit must be 0.
            let weight = weight.min(bound as u64 + 1) as usize;
            for _ in 0..count {
                reach = (reach + weight).min(bound);
                for s in (weight..=reach).rev() {
                    mass[s] = 0.5 * (mass[s] + mass[s - weight]);
                }
                for m in &mut mass[..weight.min(reach + 1)] {
                    *m *= 0.5;
                }
            }
        }
        // Small masses first, so that none is lost.
        mass.iter().sum::<f64>().min(1.0)
    }

    /// Returns P(S ≥ s) for S = Σ ± weight, 0 < s ≤ total of the total's parity.
    ///
    /// With θ such that the tilted law has mean s, P(S ≥ s) = M(θ) e^(−θs) ·
    /// Σ_l e^(−2θl) q(s + 2l), where q is the tilted mass on the lattice of step
    /// 2. Its sum over a half window is read off N frequencies; the window is so
    /// wide that what wraps around is below the rounding of doubles (Bernstein's
    /// inequality). All digits are relative to the tail, however small.
    fn inverted_tail(&self, s: u64) -> Option<f64> {
        let total = self.total();
        if s >= total {
            return Some(libm::ldexp(1.0, -(self.bits().min(5000) as i32)));
        }
        let goal = s as f64;
        let moments = |theta: f64| {
            self.groups.iter().fold((0.0, 0.0), |(mean, variance), &(weight, count)| {
                let (a, m) = (weight as f64, count as f64);
                let tanh = libm::tanh(theta * a);
                (mean + m * a * tanh, variance + m * a * a * (1.0 - tanh * tanh))
            })
        };
        let ceiling = 0.5 * libm::log(4.0 * total as f64) + 5.0;
        let step = |theta: f64| {
            let (mean, variance) = moments(theta);
            (mean - goal, variance)
        };
        let start = goal / moments(0.0).1;
        let theta = increasing_root(step, 0.0, ceiling, start);
        let largest = self.groups.last().map_or(1.0, |&(weight, _)| weight as f64);
        let window = 16.0 * libm::sqrt(moments(theta).1) + 60.0 * largest + 4.0;
        let frequencies = 2.0 * libm::ceil(0.5 * window.min(2.0 * total as f64 + 4.0));
        if frequencies * self.groups.len() as f64 > INVERSION_LIMIT {
            return None;
        }
        let n = frequencies as u64;
        let tilts: Vec<f64> = self.groups.iter().map(|&(weight, _)| libm::tanh(theta * weight as f64)).collect();
        let (decay, cut) = (libm::exp(-2.0 * theta), libm::exp(-theta * frequencies));
        // Frequencies j and n − j are conjugate, so half of them suffice.
        let mut sum = libm::expm1(-theta * frequencies) / libm::expm1(-2.0 * theta);
        for j in 1..=n / 2 {
            let mut value = (1.0, 0.0);
            for (&(weight, count), tilt) in self.groups.iter().zip(&tilts) {
                let (sin, cos) = turn(weight, j, n);
                value = times(value, power((cos, tilt * sin), count));
                if value.0.abs() + value.1.abs() < 1e-40 {
                    value = (0.0, 0.0);
                    break;
                }
            }
            if value == (0.0, 0.0) {
                continue;
            }
            let (sin, cos) = turn(s, j, n);
            let rotated = times(value, (cos, -sin));
            let (sin, cos) = turn(2, j, n);
            let (re, im) = (1.0 - decay * cos, decay * sin);
            let edge = if j % 2 == 0 { 1.0 - cut } else { 1.0 + cut };
            let real = edge * (rotated.0 * re + rotated.1 * im) / (re * re + im * im);
            sum += if 2 * j == n { real } else { 2.0 * real };
        }
        let ln_generating: f64 = self
            .groups
            .iter()
            .map(|&(weight, count)| {
                let x = theta * weight as f64;
                count as f64 * (x + libm::log1p(libm::exp(-2.0 * x)) - core::f64::consts::LN_2)
            })
            .sum();
        let ln_tail = ln_generating - theta * goal + libm::log(sum / frequencies);
        Some(libm::exp(ln_tail).clamp(0.0, 1.0))
    }
}

/// Returns (sin, cos) of π a j / n with the angle reduced in whole numbers.
fn turn(a: u64, j: u64, n: u64) -> (f64, f64) {
    let reduced = (u128::from(a) * u128::from(j) % u128::from(2 * n)) as f64;
    let angle = PI * reduced / n as f64;
    (libm::sin(angle), libm::cos(angle))
}

fn times(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn power(base: (f64, f64), exponent: u64) -> (f64, f64) {
    let (mut square, mut result, mut rest) = (base, (1.0, 0.0), exponent);
    while rest > 0 {
        if rest & 1 == 1 {
            result = times(result, square);
        }
        square = times(square, square);
        rest >>= 1;
    }
    result
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn inversion_and_convolution_agree_relative_to_the_tail() {
        let law = FairSum::new([(1, 40), (2, 25), (5, 30), (3, 1), (7, 12)]);
        let total = law.total();
        assert_eq!(total, 327);
        for bound in [0, 1, 5, 30, 80, 120, 150, 163] {
            let exact = law.convolved_cdf(bound);
            let fast = law.inverted_tail(total - 2 * bound).unwrap();
            assert!((fast / exact - 1.0).abs() < 1e-11, "{bound}: {fast} {exact}");
        }
    }

    #[test]
    fn inversion_meets_the_binomial_far_out() {
        let law = FairSum::new([(1, 10_000)]);
        for bound in [100_u64, 4000, 4900, 4999] {
            let exact = half_binomial_cdf(bound, 10_000);
            let fast = law.inverted_tail(10_000 - 2 * bound).unwrap();
            if exact > 1e-290 {
                assert!((fast / exact - 1.0).abs() < 1e-10, "{bound}: {fast} {exact}");
            }
        }
    }

    #[test]
    fn upper_half_is_the_complement() {
        let law = FairSum::new([(2, 3000), (4, 2500), (10, 3000)]);
        let exact = law.convolved_cdf(12_000);
        let fast = law.cdf(24_000).unwrap();
        assert!((fast / exact - 1.0).abs() < 1e-11, "{fast} {exact}");
        assert!(law.cdf(30_000).unwrap() > fast);
        assert_eq!(law.cdf(u64::MAX), Some(1.0));
    }

    #[test]
    fn nothing_sums_to_zero() {
        let law = FairSum::new([(0, 3)]);
        assert_eq!((law.bits(), law.cdf(0)), (0, Some(1.0)));
    }

    proptest! {
        #[test]
        fn cdf_is_the_share_of_all_subsets(
            weights in proptest::collection::vec(1_u64..9, 1..10), bound in 0_u64..60
        ) {
            let law = FairSum::new(weights.iter().map(|&w| (w, 1)));
            let below = (0_u32..1 << weights.len())
                .filter(|set| {
                    let sum: u64 = (0..weights.len())
                        .filter(|i| set >> i & 1 == 1)
                        .map(|i| weights[i])
                        .sum();
                    sum <= bound
                })
                .count();
            let share = below as f64 / f64::from(1_u32 << weights.len());
            prop_assert_eq!(law.cdf(bound), Some(share));
        }
    }
}
