//! How far raters agree.

use std::collections::{BTreeMap, BTreeSet};

/// Is how far two raters agree on what both rated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairAgreement {
    /// How many units both rated.
    pub units: u64,
    /// The share on which they say the same; none without units.
    pub observed: Option<f64>,
    /// Cohen's kappa: (observed − expected) / (1 − expected), where the expected share comes of each rater's own shares of
    /// each value; none where that is 1.
    pub kappa: Option<f64>,
}

/// Says how values differ, for [`krippendorff_alpha`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Two values are the same or not.
    Nominal,
    /// They differ by the square of their difference.
    Interval,
}

/// Is a value in an order that holds for all values, `-0.0` being `0.0`.
fn key(value: f64) -> i64 {
    let bits = (value + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// Measures how far two raters agree, as Cohen (1960) does. The order of pairs decides nothing.
pub fn cohen_kappa(pairs: impl IntoIterator<Item = (f64, f64)>) -> PairAgreement {
    let (mut units, mut same) = (0_u64, 0_u64);
    let mut shares: BTreeMap<i64, [u64; 2]> = BTreeMap::new();
    for (a, b) in pairs {
        units += 1;
        same += u64::from(key(a) == key(b));
        shares.entry(key(a)).or_default()[0] += 1;
        shares.entry(key(b)).or_default()[1] += 1;
    }
    // In whole numbers as far as it goes: n² times the expected share.
    let expected: u128 = shares.values().map(|[a, b]| u128::from(*a) * u128::from(*b)).sum();
    let square = u128::from(units) * u128::from(units);
    let kappa = (expected < square).then(|| {
        let chance = expected as f64 / square as f64;
        (same as f64 / units as f64 - chance) / (1.0 - chance)
    });
    PairAgreement { units, observed: (units > 0).then(|| same as f64 / units as f64), kappa }
}

/// Measures how far any number of raters agree: Krippendorff's alpha (2004, chapter 11), 1 − observed / expected
/// disagreement. Each unit is what its raters said; one with fewer than two values counts for nothing.
///
/// None where nothing is paired, or all values are the same. Neither the order of units nor that of raters decides a bit.
pub fn krippendorff_alpha<'u>(units: impl IntoIterator<Item = &'u [f64]>, scale: Scale) -> Option<f64> {
    // Ordered pairs of values within units, by how many values the unit has.
    let mut pairs: BTreeMap<(usize, i64, i64), u64> = BTreeMap::new();
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    let mut values: BTreeMap<i64, f64> = BTreeMap::new();
    for unit in units.into_iter().filter(|unit| unit.len() > 1) {
        for (at, a) in unit.iter().enumerate() {
            *counts.entry(key(*a)).or_default() += 1;
            values.insert(key(*a), *a + 0.0);
            for (other, b) in unit.iter().enumerate() {
                if at != other {
                    *pairs.entry((unit.len(), key(*a), key(*b))).or_default() += 1;
                }
            }
        }
    }
    let distance = |a: i64, b: i64| match scale {
        Scale::Nominal => f64::from(u8::from(a != b)),
        Scale::Interval => (values[&a] - values[&b]) * (values[&a] - values[&b]),
    };
    let observed: f64 =
        pairs.iter().map(|((raters, a, b), n)| *n as f64 / (*raters - 1) as f64 * distance(*a, *b)).sum();
    let total: u64 = counts.values().sum();
    let all: BTreeSet<i64> = counts.keys().copied().collect();
    let of = |a: i64, b: i64| counts[&a] as f64 * counts[&b] as f64 * distance(a, b);
    let expected: f64 = all.iter().flat_map(|a| all.iter().map(move |b| (*a, *b))).map(|(a, b)| of(a, b)).sum();
    (expected > 0.0).then(|| 1.0 - (total - 1) as f64 * observed / expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(actual: Option<f64>, expected: f64) {
        assert!(actual.is_some_and(|actual| (actual - expected).abs() < 1e-12), "{actual:?} is not {expected}");
    }

    /// 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, expected 0.5, kappa 0.4.
    #[test]
    fn kappa_of_a_table() {
        let table = [((1.0, 1.0), 20), ((1.0, 0.0), 5), ((0.0, 1.0), 10), ((0.0, 0.0), 15)];
        let pairs = table.iter().flat_map(|(pair, n)| std::iter::repeat_n(*pair, *n));
        let agreement = cohen_kappa(pairs.clone());
        assert_eq!((agreement.units, agreement.observed), (50, Some(0.7)));
        near(agreement.kappa, 0.4);
        let mut back: Vec<_> = pairs.collect();
        back.reverse();
        assert_eq!(cohen_kappa(back), agreement);
    }

    #[test]
    fn without_chance_there_is_no_kappa() {
        assert_eq!(cohen_kappa([(1.0, 1.0), (1.0, 1.0)]).kappa, None);
        assert_eq!(cohen_kappa([]), PairAgreement { units: 0, observed: None, kappa: None });
        near(cohen_kappa([(1.0, 0.0), (0.0, 1.0)]).kappa, -1.0);
        near(cohen_kappa([(1.0, 0.0), (1.0, 0.0)]).kappa, 0.0);
    }

    /// Krippendorff's own example (four observers, twelve units, missing values): nominal 0.743, interval 0.849.
    #[test]
    fn alpha_of_the_published_example() {
        let rows: [[u8; 12]; 4] = [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
            [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
        ];
        let units: Vec<Vec<f64>> =
            (0..12).map(|at| rows.iter().map(|row| row[at]).filter(|v| *v > 0).map(f64::from).collect()).collect();
        let alpha = |scale| krippendorff_alpha(units.iter().map(Vec::as_slice), scale).unwrap();
        assert_eq!(format!("{:.3}", alpha(Scale::Nominal)), "0.743");
        assert_eq!(format!("{:.3}", alpha(Scale::Interval)), "0.849");
        let backwards: Vec<Vec<f64>> = units.iter().rev().map(|unit| unit.iter().rev().copied().collect()).collect();
        let again = krippendorff_alpha(backwards.iter().map(Vec::as_slice), Scale::Interval).unwrap();
        assert_eq!(again.to_bits(), alpha(Scale::Interval).to_bits());
    }

    #[test]
    fn alpha_of_nothing_and_of_one_value() {
        assert_eq!(krippendorff_alpha([], Scale::Nominal), None);
        assert_eq!(krippendorff_alpha([&[1.0][..], &[0.0][..]], Scale::Nominal), None);
        assert_eq!(krippendorff_alpha([&[1.0, 1.0][..]], Scale::Nominal), None);
        near(krippendorff_alpha([&[1.0, 1.0][..], &[0.0, 0.0][..]], Scale::Nominal), 1.0);
    }
}
