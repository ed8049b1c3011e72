//! Numbers as reports write them.

use super::Unit;

/// Stands for what is not known or not defined.
pub(super) const NONE: &str = "–";

/// Writes a value of an arm: a share in percent, a count plainly, with one decimal.
pub(super) fn value(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Share => format!("{}%", fixed(value * 100.0, 1)),
        Unit::Count => fixed(value, 1),
    }
}

/// Writes a difference, with its sign: shares in percentage points.
pub(super) fn difference(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Share => format!("{} pp", signed(value * 100.0)),
        Unit::Count => signed(value),
    }
}

/// Writes an interval of a difference.
pub(super) fn range(unit: Unit, (lower, upper): (f64, f64)) -> String {
    match unit {
        Unit::Share => format!("{} to {} pp", signed(lower * 100.0), signed(upper * 100.0)),
        Unit::Count => format!("{} to {}", signed(lower), signed(upper)),
    }
}

/// Writes the hyphen before a number as a minus sign, for what is read and not copied; dates and names keep theirs.
pub(super) fn typeset(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let begins = before.is_none_or(|before: char| before.is_whitespace() || matches!(before, '[' | '(' | '$'));
        let is_minus = c == '-' && begins && chars.peek().is_some_and(|next| next.is_ascii_digit() || *next == '$');
        out.push(if is_minus { '−' } else { c });
        before = Some(c);
    }
    out
}

fn signed(value: f64) -> String {
    let text = fixed(value, 1);
    if text.starts_with('-') { text } else { format!("+{text}") }
}

/// Writes so many decimals; what rounds to zero has no sign.
fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|b| b == b'0' || b == b'.') => rest.to_owned(),
        _ => text,
    }
}

/// Writes a p-value with its relation, as in `p = 0.0123` or `p < 0.0001`.
pub(super) fn p_value(name: &str, p: f64) -> String {
    if p < 0.0001 { format!("{name} < 0.0001") } else { format!("{name} = {p:.4}") }
}

/// Writes a p-value alone, for a cell.
pub(super) fn p_cell(p: Option<f64>) -> String {
    match p {
        None => NONE.to_owned(),
        Some(p) if p < 0.0001 => "< 0.0001".to_owned(),
        Some(p) => format!("{p:.4}"),
    }
}

/// Writes US dollars: cents where they say enough, up to eight decimals for less.
pub(super) fn usd(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if size == 0.0 || size >= 100.0 => 2,
        _ if size >= 0.01 => 4,
        _ if size >= 0.0001 => 6,
        _ => 8,
    };
    let text = fixed(size, decimals);
    if value < 0.0 { format!("-${text}") } else { format!("${text}") }
}

/// Writes a count with commas between groups of three digits.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a level or a share of 1 in percent, with the decimals that it needs: `95%`, `99.9%`.
pub(super) fn level(level: f64) -> String {
    let text = format!("{:.4}", level * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percent_and_their_differences_points() {
        assert_eq!(value(Unit::Share, 0.4504), "45.0%");
        assert_eq!(difference(Unit::Share, -0.0121), "-1.2 pp");
        assert_eq!(difference(Unit::Share, -0.0004), "+0.0 pp");
        assert_eq!(range(Unit::Share, (-0.012, 0.0)), "-1.2 to +0.0 pp");
        assert_eq!((value(Unit::Count, 12.25), difference(Unit::Count, 3.0)), ("12.2".to_owned(), "+3.0".to_owned()));
    }

    #[test]
    fn only_a_number_has_a_minus_sign() {
        let text = typeset("-1.2 pp [-3.0, +0.1] (-2) -$5 on 2026-11-26 by gpt-4, - and -x");
        assert_eq!(text, "−1.2 pp [−3.0, +0.1] (−2) −$5 on 2026-11-26 by gpt-4, - and -x");
    }

    #[test]
    fn small_numbers_do_not_become_zero() {
        assert_eq!(p_value("p", 0.0), "p < 0.0001");
        assert_eq!(p_cell(Some(0.00314)), "0.0031");
        assert_eq!(
            [0.0, 0.3604, 123.456, 0.0009, 0.0000009, -0.5].map(usd),
            ["$0.00", "$0.3604", "$123.46", "$0.000900", "$0.00000090", "-$0.5000"]
        );
    }

    #[test]
    fn counts_and_levels_read_well() {
        assert_eq!([0, 999, 1000, 3681654].map(count), ["0", "999", "1,000", "3,681,654"]);
        assert_eq!([0.95, 0.9, 0.999, 1.0 - 0.07].map(level), ["95%", "90%", "99.9%", "93%"]);
    }
}
