//! Decimal numbers as people and models write them.

use std::cmp::Ordering;

use super::Pick;

/// The largest power of ten that a text may state; past it, arithmetic would be about zeros alone.
const MAX_EXPONENT: i64 = 9_999;

/// An exact decimal number.
///
/// Equal numbers are equal values, however they were written: `1,250.0`, `1.25e3` and `$1250` are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    negative: bool,
    /// Decimal digits, the highest first, without zeros at either end; none for zero.
    digits: Vec<u8>,
    /// The power of ten that the digits, read as an integer, are multiplied by; 0 for zero.
    exponent: i64,
}

impl Number {
    /// Reads a text that is one number and nothing else but white space.
    ///
    /// The syntax is that of [`Number::find`].
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut found = Found::new(text);
        let (number, span) = found.next()?;
        (span == (0, text.len())).then_some(number)
    }

    /// Finds the first or the last number in a text.
    ///
    /// A number has ASCII digits, an optional decimal fraction (`.5` counts), and optionally: commas between full groups
    /// of three digits; a power of ten (`1e3`); a minus or plus sign, where U+2212 is a minus and a sign right behind a
    /// letter, digit or closing bracket is an operator; one of `$ € £ ¥` before or behind the sign; a `%`, which changes
    /// nothing. A point without digits behind it ends a sentence. Digits right behind an ASCII letter or underscore
    /// belong to a name (`H2O`).
    pub fn find(text: &str, pick: Pick) -> Option<Self> {
        pick.of(Found::new(text).map(|(number, _)| number))
    }

    /// Says whether this is at most `limit` away from `other`, exactly. The sign of `limit` is ignored.
    pub fn is_within(&self, limit: &Self, other: &Self) -> bool {
        self.distance(other).cmp_magnitude(limit) != Ordering::Greater
    }

    /// Multiplies two numbers, exactly.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        let mut product = vec![0_u32; self.digits.len() + other.digits.len()];
        for (i, a) in self.digits.iter().rev().enumerate() {
            let mut carry = 0;
            for (j, b) in other.digits.iter().rev().enumerate() {
                let sum = product[i + j] + u32::from(*a) * u32::from(*b) + carry;
                product[i + j] = sum % 10;
                carry = sum / 10;
            }
            product[i + other.digits.len()] += carry;
        }
        let digits = product.iter().rev().map(|digit| *digit as u8).collect();
        let exponent = self.exponent + other.exponent;
        Self::new(self.negative != other.negative, digits, exponent)
    }

    /// Brings digits (the highest first) and a power of ten into the one form of their value.
    fn new(negative: bool, mut digits: Vec<u8>, mut exponent: i64) -> Self {
        while digits.last() == Some(&0) {
            digits.pop();
            exponent += 1;
        }
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        if digits.is_empty() {
            exponent = 0;
        }
        Self { negative: negative && !digits.is_empty(), digits, exponent }
    }

    /// Compares without regard to sign.
    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        // The place of the highest digit decides; from there digits compare as text does, since none ends in zeros.
        let height = |number: &Self| {
            let is_some = !number.digits.is_empty();
            is_some.then(|| number.exponent + number.digits.len() as i64)
        };
        height(self).cmp(&height(other)).then_with(|| self.digits.cmp(&other.digits))
    }

    /// Computes |self - other|.
    fn distance(&self, other: &Self) -> Self {
        let (large, small) = match self.cmp_magnitude(other) {
            Ordering::Less => (other, self),
            _ => (self, other),
        };
        let exponent = large.exponent.min(small.exponent);
        let mut digits = large.digits_from(exponent);
        let mut carry = 0;
        let mut operand = small.digits_from(exponent).into_iter();
        // Lowest digit first; one place more for the carry of a sum.
        digits.push(0);
        for digit in &mut digits {
            let by = operand.next().unwrap_or(0) + carry;
            if self.negative == other.negative {
                carry = u8::from(*digit < by);
                *digit = *digit + 10 * carry - by;
            } else {
                *digit += by;
                carry = *digit / 10;
                *digit %= 10;
            }
        }
        digits.reverse();
        Self::new(false, digits, exponent)
    }

    /// Writes out the digits from the power of ten `exponent` upwards, the lowest first.
    fn digits_from(&self, exponent: i64) -> Vec<u8> {
        let zeros = if self.digits.is_empty() { 0 } else { self.exponent - exponent };
        let mut digits = vec![0; usize::try_from(zeros).unwrap_or(0)];
        digits.extend(self.digits.iter().rev());
        digits
    }
}

/// Walks over the numbers in a text and their byte spans.
struct Found<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Found<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn is_digit(&self, at: usize) -> bool {
        self.byte(at).is_some_and(|byte| byte.is_ascii_digit())
    }

    /// Gives the end of the digits that start at `at`.
    fn digits_end(&self, mut at: usize) -> usize {
        while self.is_digit(at) {
            at += 1;
        }
        at
    }

    /// Gives the end of an integer, with its groups of three if it has them.
    fn integer_end(&self, at: usize) -> usize {
        let mut end = self.digits_end(at);
        if end == at || end - at > 3 {
            return end;
        }
        while self.byte(end) == Some(b',') && self.digits_end(end + 1) == end + 4 {
            end += 4;
        }
        end
    }

    /// Reads a stated power of ten at `at`: its value and its end. A value that does not fit is out of bounds as well.
    fn power(&self, at: usize) -> Option<(i64, usize)> {
        if !matches!(self.byte(at), Some(b'e' | b'E')) {
            return None;
        }
        let signed = &self.text[at + 1..];
        let unsigned = signed.strip_prefix(['-', '\u{2212}', '+']).unwrap_or(signed);
        let start = self.text.len() - unsigned.len();
        let end = self.digits_end(start);
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if end == start || self.byte(end).is_some_and(is_word) {
            return None;
        }
        let size: i64 = self.text[start..end].parse().unwrap_or(i64::MAX);
        let is_negative = signed.starts_with(['-', '\u{2212}']);
        Some((if is_negative { -size } else { size }, end))
    }

    /// Looks back from the first digit for a sign and a currency: whether it is negative, and where the number starts.
    fn prefix(&self, from: usize, start: usize) -> (bool, usize) {
        const CURRENCY: [char; 4] = ['$', '€', '£', '¥'];
        let before = self.text[from..start].trim_end_matches(CURRENCY);
        let Some(sign) = before.chars().next_back().filter(|c| matches!(c, '-' | '\u{2212}' | '+')) else {
            return (false, from + before.len());
        };
        let outer = before[..before.len() - sign.len_utf8()].trim_end_matches(CURRENCY);
        // What was read before counts as well: "16-3" is not "16" and "-3".
        let left = self.text[..from + outer.len()].chars().next_back();
        if left.is_some_and(|c| c.is_alphanumeric() || ")]}%".contains(c)) {
            return (false, from + before.len());
        }
        (sign != '+', from + outer.len())
    }
}

impl Iterator for Found<'_> {
    type Item = (Number, (usize, usize));

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let from = self.at;
            let mut start = from + self.text[from..].find(|c: char| c.is_ascii_digit())?;
            let mut end = self.integer_end(start);
            let integer = start..end;
            let is_free = |at: usize| {
                let left = self.text.as_bytes()[..at].last();
                !left.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            };
            let mut fraction = end..end;
            if self.text[from..start].ends_with('.') && is_free(start - 1) {
                // ".5", where the point is not what ends a word or another number.
                start -= 1;
                end = self.digits_end(integer.start);
                fraction = integer.start..end;
            } else if self.byte(end) == Some(b'.') && self.is_digit(end + 1) {
                fraction = end + 1..self.digits_end(end + 1);
                end = fraction.end;
            }
            let integer = if fraction.start == integer.start { 0..0 } else { integer };
            let (power, power_end) = self.power(end).unwrap_or((0, end));
            self.at = power_end;
            if !is_free(start) || power.abs() > MAX_EXPONENT {
                continue;
            }
            let (negative, start) = self.prefix(from, start);
            end = power_end;
            if self.byte(end) == Some(b'%') {
                end += 1;
                self.at = end;
            }
            let written = self.text[integer].bytes().chain(self.text[fraction.clone()].bytes());
            let digits = written.filter(u8::is_ascii_digit).map(|byte| byte - b'0').collect();
            let number = Number::new(negative, digits, power - fraction.len() as i64);
            return Some((number, (start, end)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    fn last(text: &str) -> Option<Number> {
        Number::find(text, Pick::Last)
    }

    #[test]
    fn one_value_has_one_form() {
        for text in
            ["1250", "1,250.0", "$1250", "1.25e3", "+1250", "1250%", "001250", "$1,250.00", "12500e-1", "1.25E+3"]
        {
            assert_eq!(number(text), number("1250"), "{text}");
        }
        for text in ["-5", "\u{2212}5", "-$5", "$-5", "-5.0", "\u{2212}$5.00", "-.5e1"] {
            assert_eq!(number(text), number("-5"), "{text}");
        }
        assert_eq!(number("-0.0"), number("0"));
        assert_eq!(number(".5"), number("0.50"));
        assert_ne!(number("0.1"), number("0.10000000000000000000000000001"));
        assert_ne!(number("9007199254740993"), number("9007199254740992"));
        assert_ne!(number("5"), number("-5"));
    }

    #[test]
    fn only_a_number_parses() {
        for text in ["", "x", "5 x", "5 6", "1,2", "-", ".", "5.", "1e99999", "x5", "1e", "٣", "--5"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn finds_numbers_in_prose() {
        for (text, expected) in [
            ("The answer is 18.", "18"),
            ("so $1,234.50 in all.", "1234.5"),
            ("16 - 3 = 13", "13"),
            ("16-3", "3"),
            ("(7)-3", "3"),
            ("x = -3", "-3"),
            ("from 5 to \u{2212}7°", "-7"),
            ("**42**", "42"),
            ("\\boxed{42}", "42"),
            ("#### 1,450,000", "1450000"),
            ("lists 1,2,3", "3"),
            ("1234,567", "567"),
            ("12,3456", "3456"),
            ("about .5", "0.5"),
            ("end.5", "5"),
            ("1.2.3", "3"),
            ("18 of H2O", "18"),
            ("18 in gpt_4", "18"),
            ("18cm", "18"),
            ("2nd", "2"),
            ("1e3x", "1"),
            ("1e3", "1000"),
            ("共18个", "18"),
            ("7 then 1e12345", "7"),
            ("-0", "0"),
            ("US$5", "5"),
            ("50%-20%", "20"),
        ] {
            assert_eq!(last(text), Some(number(expected)), "{text}");
        }
        assert_eq!(last("no number, A2 or ٣"), None);
        assert_eq!(Number::find("16 - 3 = 13", Pick::First), Some(number("16")));
    }

    #[test]
    fn distances_are_exact() {
        let within = |a, limit, b| number(a).is_within(&number(limit), &number(b));
        assert!(within("0.3", "0.1", "0.2"));
        assert!(!within("0.3", "0.0999999999999999999999", "0.2"));
        assert!(within("-1", "3", "2"));
        assert!(!within("-1", "2.99", "2"));
        assert!(within("1e9999", "0", "1e9999"));
        assert!(!within("1e9999", "1e9998", "1e-9999"));
        assert!(within("0", "5", "-5") && !within("0", "4", "-5"));
        assert!(within("100", "1", "99") && !within("100", "0.9", "99"));
        assert_eq!(number("-1.5").times(&number("0.04")), number("-0.06"));
        assert_eq!(number("0").times(&number("-3")), number("0"));
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_integers(a in -99_999_i64..99_999, b in -99_999_i64..99_999, limit in 0_i64..200_000, places in 0_u32..4) {
            let shifted = |value: i64| number(&format!("{value}e-{places}"));
            prop_assert_eq!(shifted(a).is_within(&shifted(limit), &shifted(b)), (a - b).abs() <= limit);
            prop_assert_eq!(shifted(a) == shifted(b), a == b);
            prop_assert_eq!(number(&a.to_string()).times(&number(&b.to_string())), number(&(a * b).to_string()));
        }

        #[test]
        fn any_text_can_be_searched(text in "([0-9]|[,.$%eE+-]|\u{2212}|€|x| |_|é){0,16}") {
            for (number, (start, end)) in Found::new(&text) {
                prop_assert_eq!(Number::parse(&text[start..end]), Some(number));
            }
        }
    }
}
