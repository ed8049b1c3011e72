use std::fmt;
use std::str::FromStr;

/// A decimal number as it was written, in one normal form: `0.70` and `0.7` are equal, `1e2` and `100` too.
///
/// The value is `digits × 10^exponent`, with no trailing zero in `digits` (and exponent 0 for zero).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    digits: i64,
    exponent: i32,
}

/// Says why a text is not a decimal number that can be held exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// The text is not a finite decimal number.
    #[error("`{0}` is not a decimal number")]
    NotANumber(String),
    /// The number has more than 18 significant digits or an exponent beyond ±300.
    #[error("`{0}` has more digits than can be kept exactly (18)")]
    TooLong(String),
}

impl Decimal {
    /// Is zero.
    pub const ZERO: Self = Self { digits: 0, exponent: 0 };
    /// Is one.
    pub const ONE: Self = Self { digits: 1, exponent: 0 };

    /// Holds `digits × 10^exponent` in normal form.
    pub const fn new(mut digits: i64, mut exponent: i32) -> Self {
        if digits == 0 {
            return Self::ZERO;
        }
        while digits % 10 == 0 {
            digits /= 10;
            exponent += 1;
        }
        Self { digits, exponent }
    }

    /// Returns the significant digits, with the sign.
    pub const fn digits(&self) -> i64 {
        self.digits
    }

    /// Returns the power of ten.
    pub const fn exponent(&self) -> i32 {
        self.exponent
    }

    /// Returns the nearest binary double.
    pub fn to_f64(&self) -> f64 {
        // The parser of the standard library rounds correctly; powers computed here would not.
        f64::from_str(&format!("{}e{}", self.digits, self.exponent)).unwrap_or(f64::NAN)
    }

    /// Returns the decimal whose text is the shortest that reads back as `value`; `None` for NaN and infinities.
    pub fn from_f64(value: f64) -> Option<Self> {
        format!("{value:e}").parse().ok()
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self::new(value, 0)
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let not_a_number = || DecimalError::NotANumber(text.to_owned());
        let too_long = || DecimalError::TooLong(text.to_owned());
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, power) = match unsigned.find(['e', 'E']) {
            Some(at) => {
                let power: i32 = unsigned[at + 1..].parse().map_err(|_| not_a_number())?;
                (&unsigned[..at], power)
            }
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return Err(not_a_number());
        }
        let fraction = fraction.trim_end_matches('0');
        let joined = format!("{whole}{fraction}");
        let significant = joined.trim_start_matches('0');
        let trimmed = significant.trim_end_matches('0');
        if trimmed.is_empty() {
            return Ok(Self::ZERO);
        }
        if trimmed.len() > 18 {
            return Err(too_long());
        }
        let dropped = (significant.len() - trimmed.len()) as i32;
        let exponent = power.saturating_sub(fraction.len() as i32).saturating_add(dropped);
        if exponent.abs() > 300 {
            return Err(too_long());
        }
        let digits: i64 = trimmed.parse().map_err(|_| too_long())?;
        Ok(Self::new(if negative { -digits } else { digits }, exponent))
    }
}

impl fmt::Display for Decimal {
    /// Writes plain digits (`0.7`, `100`); scientific form only beyond 21 places.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs().to_string();
        if self.exponent >= 0 && self.exponent <= 21 {
            return write!(f, "{sign}{digits}{}", "0".repeat(self.exponent as usize));
        }
        let places = self.exponent.unsigned_abs() as usize;
        if self.exponent > 21 || places > 21 {
            return write!(f, "{sign}{digits}e{}", self.exponent);
        }
        if digits.len() > places {
            let (whole, fraction) = digits.split_at(digits.len() - places);
            write!(f, "{sign}{whole}.{fraction}")
        } else {
            write!(f, "{sign}0.{}{digits}", "0".repeat(places - digits.len()))
        }
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    /// Orders by value: doubles differ wherever the written values do, up to their last bits, then digits decide.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.to_f64()
            .total_cmp(&other.to_f64())
            .then_with(|| self.exponent.cmp(&other.exponent))
            .then_with(|| self.digits.cmp(&other.digits))
    }
}

impl serde::Serialize for Decimal {
    /// Writes a JSON number with the digits that were written.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.exponent == 0 { serializer.serialize_i64(self.digits) } else { serializer.serialize_f64(self.to_f64()) }
    }
}

impl<'de> serde::Deserialize<'de> for Decimal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        number.to_string().parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_value_has_one_form() {
        let same = |a: &str, b: &str| assert_eq!(a.parse::<Decimal>(), b.parse::<Decimal>(), "{a} {b}");
        same("0.70", "0.7");
        same("1e2", "100");
        same("-0", "0.000");
        same("+.5", "0.50");
        same("007", "7");
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        for text in ["", ".", "nan", "inf", "1_000", "0x10", "1e", "1.2.3", "- 1", "1234567890123456789", "1e999"] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn plain_text_is_written() {
        for text in ["0", "0.7", "100", "-0.05", "1.25", "1536"] {
            assert_eq!(text.parse::<Decimal>().unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn text_reads_back(digits in -999_999_999_999_999_999i64..=999_999_999_999_999_999, exponent in -290i32..=280) {
            let decimal = Decimal::new(digits, exponent);
            prop_assert_eq!(decimal.to_string().parse::<Decimal>().unwrap(), decimal);
        }
    }
}
