use std::fmt;

use crate::digest::Decimal;

/// Is an amount of US dollars, exact: a whole number of 10⁻¹⁸ dollars, never below zero.
///
/// One token at a price with up to twelve decimals for a million tokens is a whole number of these units, so sums of
/// prices are exact whatever their order. The largest amount is some 3.4 × 10²⁰ dollars; sums stop there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u128);

/// Is how many decimals of a dollar a unit is: 18.
const PLACES: u32 = 18;
const DOLLAR: u128 = 10u128.pow(PLACES);

impl Money {
    /// Is nothing.
    pub const ZERO: Self = Self(0);
    /// Is the largest amount.
    pub const MAX: Self = Self(u128::MAX);

    /// Takes US dollars; `None` below zero. What is finer than a unit is rounded up; too large is the largest amount.
    pub fn usd(amount: Decimal) -> Option<Self> {
        Self::scaled(amount, PLACES as i32)
    }

    /// Takes a price in US dollars for a million tokens and returns that of one token, rounded alike.
    pub fn per_token(per_million: Decimal) -> Option<Self> {
        Self::scaled(per_million, PLACES as i32 - 6)
    }

    fn scaled(amount: Decimal, shift: i32) -> Option<Self> {
        let digits = u128::try_from(amount.digits()).ok()?;
        let power = amount.exponent().saturating_add(shift);
        let factor = || 10u128.checked_pow(power.unsigned_abs());
        Some(Self(match (digits, power) {
            (0, _) => 0,
            (_, 0..) => factor().and_then(|factor| digits.checked_mul(factor)).unwrap_or(u128::MAX),
            // A divisor beyond the type leaves less than a unit, which is rounded up.
            _ => factor().map_or(1, |divisor| digits.div_ceil(divisor)),
        }))
    }

    /// Returns the sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Returns the difference, or nothing where `other` is more.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Returns so many times the amount.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count as u128))
    }

    /// Returns the amount times a factor of at least zero, rounded up to a unit; a factor below zero gives none.
    pub fn scaled_by(self, factor: Decimal) -> Option<Self> {
        let digits = u128::try_from(factor.digits()).ok()?;
        let power = 10u128.checked_pow(factor.exponent().unsigned_abs());
        Some(Self(match power {
            _ if digits == 0 || self.0 == 0 => 0,
            Some(power) if factor.exponent() >= 0 => self.0.saturating_mul(digits).saturating_mul(power),
            Some(power) => match self.0.checked_mul(digits) {
                Some(product) => product.div_ceil(power),
                // Divided first, it fits; at most one times the factor is added by that.
                None => self.0.div_ceil(power).saturating_mul(digits),
            },
            None if factor.exponent() > 0 => u128::MAX,
            None => 1,
        }))
    }

    /// Returns the amount times `to / from`, rounded up to a unit; the amount itself where `from` is nothing.
    #[must_use]
    pub fn in_proportion(self, to: Self, from: Self) -> Self {
        match (from.0, self.0.checked_mul(to.0)) {
            (0, _) => self,
            (from, Some(product)) => Self(product.div_ceil(from)),
            (from, None) => Self(self.0.div_ceil(from).saturating_mul(to.0)),
        }
    }

    /// Returns the exact amount in US dollars as plain digits, such as `0.00125`.
    pub fn digits(self) -> String {
        let (whole, rest) = (self.0 / DOLLAR, self.0 % DOLLAR);
        if rest == 0 {
            return whole.to_string();
        }
        let text = format!("{whole}.{rest:018}");
        text.trim_end_matches('0').to_owned()
    }

    /// Returns the double nearest to the amount in US dollars: for JSON and for statistics, never for sums of prices.
    pub fn to_f64(self) -> f64 {
        // The parser of the standard library rounds correctly.
        self.digits().parse().unwrap_or(f64::MAX)
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for Money {
    /// Writes `$0.21` and `$1,234.50`: two decimals, and below ten cents as many as show two digits (`$0.0034`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded_at = |places: u32| {
            let unit = 10u128.pow(PLACES - places);
            self.0.saturating_add(unit / 2) / unit
        };
        // Rounding may carry (0.0996 is 0.10), so the number of places is found for the amount rounded one place further on.
        let shows_two = |places: &u32| self.0 == 0 || rounded_at(places + 1) >= 100;
        let places = (2..PLACES).find(shows_two).unwrap_or(PLACES);
        let rounded = rounded_at(places);
        let one = 10u128.pow(places);
        let whole = (rounded / one).to_string();
        write!(f, "$")?;
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                write!(f, ",")?;
            }
            write!(f, "{digit}")?;
        }
        write!(f, ".{:0width$}", rounded % one, width = places as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd(text: &str) -> Money {
        Money::usd(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn amounts_read_as_people_write_them() {
        let shown = [
            ("0", "$0.00"),
            ("0.21", "$0.21"),
            ("0.214", "$0.21"),
            ("0.215", "$0.22"),
            ("0.1", "$0.10"),
            ("0.0996", "$0.10"),
            ("0.0994", "$0.099"),
            ("0.0034", "$0.0034"),
            ("0.000000075", "$0.000000075"),
            ("0.999", "$1.00"),
            ("12.3456", "$12.35"),
            ("1234.5", "$1,234.50"),
            ("1234567", "$1,234,567.00"),
            ("1e-18", "$0.000000000000000001"),
        ];
        for (amount, text) in shown {
            assert_eq!(usd(amount).to_string(), text, "{amount}");
        }
    }

    #[test]
    fn a_token_has_an_exact_price() {
        let rate = Money::per_token("0.075".parse().unwrap()).unwrap();
        assert_eq!(rate.times(1_000_000), usd("0.075"));
        assert_eq!(rate.times(3).digits(), "0.000000225");
        assert_eq!(rate.scaled_by("0.5".parse().unwrap()).unwrap().times(1_000_000), usd("0.0375"));
        assert_eq!(Money::per_token(Decimal::new(-1, 0)), None);
        // Finer than a unit: up, never down.
        assert_eq!(Money::per_token("0.0000000000001".parse().unwrap()), Some(Money(1)));
        assert_eq!(Money::usd(Decimal::new(1, -300)), Some(Money(1)));
        assert_eq!(Money::usd(Decimal::new(1, 300)), Some(Money::MAX));
    }

    #[test]
    fn sums_stop_at_the_largest_amount() {
        assert_eq!(Money::MAX.plus(Money(1)), Money::MAX);
        assert_eq!(Money::MAX.times(2), Money::MAX);
        assert_eq!(Money(1).minus(Money(2)), Money::ZERO);
        assert_eq!(Money::MAX.scaled_by("2".parse().unwrap()), Some(Money::MAX));
        assert_eq!(Money(5).scaled_by(Decimal::new(-1, 0)), None);
        assert_eq!(Money(5).in_proportion(Money(3), Money(2)), Money(8));
        assert_eq!(Money(5).in_proportion(Money(3), Money::ZERO), Money(5));
        assert_eq!(Money::MAX.in_proportion(Money(3), Money(3)), Money::MAX);
    }

    proptest! {
        #[test]
        fn the_order_of_a_sum_does_not_matter(mut counts in prop::collection::vec(0u64..1_000_000, 1..40),
                                             price in 0i64..1_000_000_000, places in 0i32..9) {
            let rate = Money::per_token(Decimal::new(price, -places)).unwrap();
            let sum: Money = counts.iter().map(|count| rate.times(*count)).sum();
            prop_assert_eq!(sum, rate.times(counts.iter().sum()));
            counts.reverse();
            prop_assert_eq!(counts.iter().map(|count| rate.times(*count)).sum::<Money>(), sum);
        }

        #[test]
        fn exact_digits_read_back(units in 0u128..1_000_000_000_000_000_000) {
            prop_assert_eq!(usd(&Money(units).digits()), Money(units));
        }

        #[test]
        fn a_factor_never_rounds_down(units in any::<u64>(), digits in 0i64..100_000, places in 0i32..5) {
            let factor = Decimal::new(digits, -places);
            let scaled = Money(u128::from(units)).scaled_by(factor).unwrap().0;
            let exact = u128::from(units) * digits as u128;
            let power = 10u128.pow(places as u32);
            prop_assert!(scaled * power >= exact && scaled * power < exact + power);
        }
    }
}
