//! The sign-flip permutation test of a zero mean difference.

use super::differences::Differences;
use super::fair_sum::FairSum;
use super::stream::Stream;

/// How a permutation p-value was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PermutationForm {
    /// All sign patterns, through the law of the sum on its lattice or by enumeration.
    Exact,
    /// A random sample of sign patterns: (ge + 1) / (R + 1).
    MonteCarlo,
}

impl PermutationForm {
    /// Returns the name used in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::MonteCarlo => "monte-carlo",
        }
    }
}

/// A two-sided sign-flip test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Permutation {
    /// The p-value; 1 where the mean is zero or there is no pair.
    pub p: f64,
    /// How it was found.
    pub form: PermutationForm,
    /// Random sign patterns drawn, 0 in the exact form.
    pub resamples: u32,
    /// Random patterns at least as extreme as the data.
    pub at_least: u32,
}

/// Enumerates sign patterns up to this many differences that are not zero.
const ENUMERATION_LIMIT: usize = 20;
/// Sums are compared in units of this fraction where no exact lattice exists.
const FINE_UNITS: f64 = 1e12;

/// Tests a zero mean difference by flipping signs; |Σ ±d| ≥ |Σ d| counts as extreme.
///
/// On a lattice (scores that are fractions with a common denominator) the law of
/// the sum is exact, see `docs/statistics.md`; up to 20 nonzero differences every
/// pattern is enumerated; else `resamples` patterns are drawn and the p-value is
/// (ge + 1)/(R + 1), never 0. Sums are compared as whole numbers. Without a
/// lattice each difference is a whole number of 1e-12, and sums within n such
/// units of the observed one count as equal to it.
pub fn permutation(differences: &Differences, resamples: u32, stream: &mut Stream) -> Permutation {
    exact_permutation(differences).unwrap_or_else(|| sampled_permutation(differences, resamples, stream))
}

/// Returns the exact test, or none if its law is too costly.
pub fn exact_permutation(differences: &Differences) -> Option<Permutation> {
    let exact = |p| Permutation { p, form: PermutationForm::Exact, resamples: 0, at_least: 0 };
    if let Some(p) = lattice_p(differences) {
        return Some(exact(p));
    }
    let flips = Flips::new(differences)?;
    if flips.observed <= flips.tolerance {
        return Some(exact(1.0));
    }
    if flips.magnitudes.len() > ENUMERATION_LIMIT {
        return None;
    }
    // Walk all patterns in Gray-code order: one sign changes at a time.
    let patterns = 1_u64 << flips.magnitudes.len();
    let mut signs = vec![1_i64; flips.magnitudes.len()];
    let mut sum: i64 = flips.magnitudes.iter().sum();
    let mut extreme = 0_u64;
    for step in 1..=patterns {
        extreme += u64::from(sum.abs() >= flips.observed - flips.tolerance);
        let bit = step.trailing_zeros() as usize;
        if let Some(sign) = signs.get_mut(bit) {
            sum -= 2 * *sign * flips.magnitudes[bit];
            *sign = -*sign;
        }
    }
    Some(exact(extreme as f64 / patterns as f64))
}

fn lattice_p(differences: &Differences) -> Option<f64> {
    let lattice = differences.lattice()?;
    let weighted = || differences.runs().iter().zip(&lattice.units);
    let observed: i128 = weighted().map(|(run, &unit)| i128::from(unit) * i128::from(run.count)).sum();
    if observed == 0 {
        return Some(1.0);
    }
    let total: u128 = weighted().map(|(run, unit)| u128::from(unit.unsigned_abs()) * u128::from(run.count)).sum();
    // Σ ±u = 2 T − total; both tails together are twice P(T ≤ (total − |observed|)/2).
    let bound = u64::try_from((total - observed.unsigned_abs()) / 2).ok()?;
    let law = FairSum::new(weighted().map(|(run, unit)| (unit.unsigned_abs(), run.count)));
    Some((2.0 * law.cdf(bound)?).min(1.0))
}

/// Draws random sign patterns.
///
/// Each 64-bit output serves 64 differences in increasing order of magnitude,
/// lowest bit first; a set bit flips.
pub fn sampled_permutation(differences: &Differences, resamples: u32, stream: &mut Stream) -> Permutation {
    let mut test = Permutation { p: 1.0, form: PermutationForm::MonteCarlo, resamples, at_least: resamples };
    let Some(flips) = Flips::new(differences) else {
        // Sums beyond 63 bits: compare in floating point with a relative tolerance.
        test.at_least = sampled_in_floats(differences, resamples, stream);
        test.p = share(test.at_least, resamples);
        return test;
    };
    if flips.observed <= flips.tolerance {
        return test;
    }
    let total: i64 = flips.magnitudes.iter().sum();
    // Sixteen partial sums for each four differences: one look-up instead of four additions.
    let tables: Vec<[i64; 16]> = flips
        .magnitudes
        .chunks(4)
        .map(|part| {
            core::array::from_fn(|bits| {
                let set = part.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
                set.map(|(_, m)| m).sum()
            })
        })
        .collect();
    let bound = flips.observed - flips.tolerance;
    test.at_least = 0;
    for _ in 0..resamples {
        let mut flipped = 0;
        for part in tables.chunks(16) {
            let mut word = stream.next_u64();
            for table in part {
                flipped += table[(word & 15) as usize];
                word >>= 4;
            }
        }
        test.at_least += u32::from((total - 2 * flipped).abs() >= bound);
    }
    test.p = share(test.at_least, resamples);
    test
}

fn share(at_least: u32, resamples: u32) -> f64 {
    (f64::from(at_least) + 1.0) / (f64::from(resamples) + 1.0)
}

fn sampled_in_floats(differences: &Differences, resamples: u32, stream: &mut Stream) -> u32 {
    let mut magnitudes: Vec<f64> = differences
        .runs()
        .iter()
        .flat_map(|run| core::iter::repeat_n(run.value.abs(), run.count as usize))
        .filter(|&m| m > 0.0)
        .collect();
    magnitudes.sort_unstable_by(f64::total_cmp);
    let total: f64 = magnitudes.iter().sum();
    let bound = differences.sum().abs() - 1e-12 * total;
    let mut extreme = 0;
    for _ in 0..resamples {
        let mut sum = 0.0;
        for part in magnitudes.chunks(64) {
            let mut word = stream.next_u64();
            for &m in part {
                sum += if word & 1 == 1 { -m } else { m };
                word >>= 1;
            }
        }
        extreme += u32::from(sum.abs() >= bound);
    }
    extreme
}

/// Nonzero magnitudes as whole numbers.
struct Flips {
    magnitudes: Vec<i64>,
    observed: i64,
    tolerance: i64,
}

impl Flips {
    /// Returns the magnitudes in lattice units, or in units of 1e-12; none if a sum may pass 2^62.
    fn new(differences: &Differences) -> Option<Self> {
        let runs = differences.runs();
        let (units, tolerance) = if let Some(lattice) = differences.lattice() {
            (lattice.units.clone(), 0)
        } else {
            let fine = |value: f64| libm::round(value * FINE_UNITS);
            if runs.iter().any(|run| fine(run.value).abs() > 4e18) {
                return None;
            }
            let units = runs.iter().map(|run| fine(run.value) as i64).collect();
            (units, i64::try_from(differences.n()).ok()?)
        };
        let mut observed = 0_i128;
        let mut total = 0_u128;
        for (run, &unit) in runs.iter().zip(&units) {
            observed += i128::from(unit) * i128::from(run.count);
            total += u128::from(unit.unsigned_abs()) * u128::from(run.count);
        }
        if total >= 1 << 62 {
            return None;
        }
        let mut magnitudes: Vec<i64> = runs
            .iter()
            .zip(&units)
            .filter(|&(_, &unit)| unit != 0)
            .flat_map(|(run, unit)| core::iter::repeat_n(unit.abs(), run.count as usize))
            .collect();
        magnitudes.sort_unstable();
        Some(Self { magnitudes, observed: observed.unsigned_abs() as i64, tolerance })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream() -> Stream {
        Stream::derive(1, "flip")
    }

    #[test]
    fn signs_alone_are_a_binomial_test() {
        let d = Differences::from_deltas([vec![1.0; 152], vec![-1.0; 209], vec![0.0; 900]].concat());
        let test = permutation(&d, 10, &mut stream());
        assert_eq!(test.form, PermutationForm::Exact);
        assert_eq!(test.p, super::super::mcnemar(152, 209).p_exact);
    }

    #[test]
    fn no_mean_is_no_evidence() {
        for deltas in [vec![], vec![0.0; 3], vec![0.5, -0.5]] {
            let d = Differences::from_deltas(deltas);
            assert_eq!(permutation(&d, 10, &mut stream()).p, 1.0);
        }
    }

    #[test]
    fn few_irrational_values_are_enumerated() {
        let roots = [2.0, 3.0].map(libm::sqrt);
        let d = Differences::from_deltas([1.0, roots[0], roots[1], -0.31]);
        assert!(d.lattice().is_none());
        // Only the observed pattern, the one with all signs equal, and their mirrors.
        let test = permutation(&d, 10, &mut stream());
        assert_eq!((test.p, test.form), (4.0 / 16.0, PermutationForm::Exact));
    }

    #[test]
    fn sampling_agrees_with_the_exact_law() {
        let mut draw = Stream::derive(4, "data");
        let deltas: Vec<f64> =
            (0..400).map(|_| (f64::from(draw.below(6)) - f64::from(draw.below(6)) + 0.25) / 5.0).collect();
        let d = Differences::from_deltas(deltas);
        let exact = exact_permutation(&d).unwrap();
        let sampled = sampled_permutation(&d, 40_000, &mut stream());
        let error = libm::sqrt(exact.p * (1.0 - exact.p) / 40_000.0);
        assert!((sampled.p - exact.p).abs() < 4.0 * error, "{} {}", sampled.p, exact.p);
        assert!(sampled.p > 0.0);
    }

    #[test]
    fn huge_values_are_compared_in_floats() {
        let deltas = (1..40).map(|i| 1e17 * libm::sqrt(f64::from(i)));
        let test = permutation(&Differences::from_deltas(deltas), 99, &mut stream());
        assert_eq!((test.at_least, test.p), (0, 0.01));
    }

    proptest! {
        #[test]
        fn exact_p_is_the_share_of_patterns(
            deltas in proptest::collection::vec((-5_i32..6, 1_i32..4), 1..10)
        ) {
            let d = Differences::from_deltas(
                deltas.iter().map(|&(p, q)| f64::from(p) / f64::from(q)),
            );
            let sixths: Vec<i32> = deltas.iter().map(|&(p, q)| p * 6 / q).collect();
            let observed: i32 = sixths.iter().sum();
            let extreme = (0_u32..1 << sixths.len())
                .filter(|set| {
                    let sum: i32 = sixths
                        .iter()
                        .enumerate()
                        .map(|(i, u)| if set >> i & 1 == 1 { *u } else { -u })
                        .sum();
                    sum.abs() >= observed.abs()
                })
                .count();
            let share = extreme as f64 / f64::from(1_u32 << sixths.len());
            prop_assert_eq!(permutation(&d, 1, &mut stream()).p, share);
            prop_assert_eq!(permutation(&d.swapped(), 1, &mut stream()).p, share);
        }
    }
}
