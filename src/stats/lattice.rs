//! The lattice that differences of scores live on.

/// Rounds a value to 12 decimal digits, or to 15 significant ones if that is coarser.
///
/// Scores are means of fractions, and 0.6 − 0.4 differs from 0.2 − 0 in the last
/// bit. Before anything is ranked, counted as a tie or compared with zero, each
/// difference is rounded here, so that equal rationals become equal numbers.
/// A negative zero becomes zero; magnitudes from 1e15 stay as they are.
pub fn lattice_round(value: f64) -> f64 {
    if value.abs() >= 1e15 {
        return value;
    }
    let mut scale = 1e12;
    while (value * scale).abs() > 1e15 {
        scale /= 10.0;
    }
    let rounded = libm::round(value * scale) / scale;
    if rounded == 0.0 { 0.0 } else { rounded }
}

/// Values as whole multiples of one common fraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lattice {
    /// The common denominator: a value is `units[i] / denominator`.
    pub denominator: u64,
    /// The whole numbers, in the order of the values.
    pub units: Vec<i64>,
}

/// Fractions with a larger denominator are not recognised.
///
/// Two different fractions below this bound are 1/4e6 apart, so a value known to
/// 1e-12 can be read as one of them only.
const LARGEST_PART: u64 = 2_000;
/// A common denominator beyond this is of no use: sums would leave i64.
const LARGEST_COMMON: u64 = 1 << 40;

impl Lattice {
    /// Finds the common denominator of values rounded by [`lattice_round`], if there is one.
    ///
    /// None if a value is no fraction with a denominator up to 2,000, if the common
    /// denominator passes 2^40, or if the sum of magnitudes passes 2^53 units.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut denominator = 1_u64;
        for &value in values {
            // Most values are multiples of what is known already.
            if nearest_unit(value, denominator).is_none() {
                let part = denominator_of(value)?;
                denominator = denominator / gcd(denominator, part) * part;
                if denominator > LARGEST_COMMON {
                    return None;
                }
            }
        }
        let mut units = Vec::with_capacity(values.len());
        let mut magnitude = 0.0;
        for &value in values {
            let unit = libm::round(value * denominator as f64);
            magnitude += unit.abs();
            if magnitude > 9e15 {
                return None;
            }
            units.push(unit as i64);
        }
        Some(Self { denominator, units })
    }

    /// Returns the greatest common divisor of the units, 0 if all are 0.
    pub fn step(&self) -> u64 {
        self.units.iter().fold(0, |acc, unit| gcd(acc, unit.unsigned_abs()))
    }
}

/// Returns the value in units of 1/`denominator`, if it is on that lattice to 1e-12.
fn nearest_unit(value: f64, denominator: u64) -> Option<f64> {
    if denominator > LARGEST_PART {
        // Beyond the bound 1e-12 no longer tells neighbouring units apart safely.
        return None;
    }
    let scaled = value * denominator as f64;
    let unit = libm::round(scaled);
    let fits = (scaled - unit).abs() <= tolerance(value) * denominator as f64;
    (fits && (unit != 0.0 || value == 0.0)).then_some(unit)
}

/// Returns how far a rounded value may lie from its fraction: half a step, and a little for the division.
fn tolerance(value: f64) -> f64 {
    (6e-15 * value.abs()).max(6e-13)
}

/// Returns the smallest denominator up to `LARGEST_PART` that gives the value to 1e-12.
fn denominator_of(value: f64) -> Option<u64> {
    let target = value.abs();
    if target > 1e6 {
        return (target < 9e15 && target == libm::floor(target)).then_some(1);
    }
    let (mut p0, mut q0, mut p1, mut q1) = (0.0_f64, 1.0_f64, 1.0_f64, 0.0_f64);
    let mut x = target;
    loop {
        let whole = libm::floor(x + 1e-9);
        let (p, q) = (whole * p1 + p0, whole * q1 + q0);
        if q > LARGEST_PART as f64 {
            return None;
        }
        if (target - p / q).abs() <= tolerance(target) && (p > 0.0 || target == 0.0) {
            return Some(q as u64);
        }
        let rest = x - whole;
        if rest < 1e-9 {
            return None;
        }
        (p0, q0, p1, q1) = (p1, q1, p, q);
        x = 1.0 / rest;
    }
}

/// Returns the greatest common divisor.
fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_fractions_become_equal_numbers() {
        assert_ne!(0.6 - 0.4, 0.2);
        assert_eq!(lattice_round(0.6 - 0.4), lattice_round(0.2));
        assert_eq!(lattice_round(-1e-14).to_bits(), 0.0_f64.to_bits());
        assert_eq!(lattice_round(1e300), 1e300);
        assert_eq!(lattice_round(123_456.75), 123_456.75);
    }

    #[test]
    fn thirds_and_fifths_share_a_denominator() {
        let values = [1.0 / 3.0 - 0.2, -0.2, 2.0 / 3.0, 1.0].map(lattice_round);
        let lattice = Lattice::of(&values);
        let expected = Lattice { denominator: 15, units: vec![2, -3, 10, 15] };
        assert_eq!(lattice, Some(expected));
    }

    #[test]
    fn irrational_values_have_no_lattice() {
        assert_eq!(Lattice::of(&[core::f64::consts::FRAC_1_SQRT_2]), None);
        // One step of 1e-12 beside a fraction is not that fraction.
        assert_eq!(Lattice::of(&[0.2, 0.200_000_000_001]), None);
        assert_eq!(Lattice::of(&[1e-12]), None);
        assert_eq!(Lattice::of(&[]).map(|l| l.step()), Some(0));
        assert_eq!(Lattice::of(&[0.5, -1.5]).map(|l| l.step()), Some(1));
        assert_eq!(Lattice::of(&[2.0, -4.0]).map(|l| l.step()), Some(2));
    }

    proptest! {
        #[test]
        fn every_small_fraction_is_found(
            parts in proptest::collection::vec((-400_i64..400, 1_i64..13), 1..20)
        ) {
            let values: Vec<f64> = parts
                .iter()
                .map(|&(p, q)| lattice_round(p as f64 / q as f64))
                .collect();
            let lattice = Lattice::of(&values).unwrap();
            for (&(p, q), &unit) in parts.iter().zip(&lattice.units) {
                prop_assert_eq!(unit * q, p * lattice.denominator as i64);
            }
        }
    }
}
