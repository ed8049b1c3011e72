//! Tokens that two normal forms share.

use std::cmp::Ordering;

/// Computes the token F1 of two normal forms, as the official SQuAD 2.0 evaluator does.
///
/// With `s` tokens in common (as multisets), P = s / predicted tokens, R = s / gold tokens, F1 = 2PR / (P + R), in this
/// order of operations. If either has no token: 1 if neither has one, else 0.
pub fn token_f1(gold: &str, predicted: &str) -> f64 {
    sorted_f1(&sorted_tokens(gold), &sorted_tokens(predicted))
}

/// Computes the best [`token_f1`] of `predicted` over `golds`; 0 without golds.
pub(super) fn best_f1<'a>(golds: impl Iterator<Item = &'a str>, predicted: &str) -> f64 {
    let predicted = sorted_tokens(predicted);
    golds.map(|gold| sorted_f1(&sorted_tokens(gold), &predicted)).fold(0.0, f64::max)
}

/// Says whether the tokens of `needle` stand in `haystack` in order and side by side. Never for an empty needle.
pub(super) fn contains_tokens(haystack: &str, needle: &str) -> bool {
    if needle.is_empty() {
        return false;
    }
    // In a normal form a token ends at a single space or at an end, so whole tokens are a matter of neighbours.
    let step = needle.chars().next().map_or(1, char::len_utf8);
    let mut from = 0;
    while let Some(found) = haystack[from..].find(needle) {
        let start = from + found;
        let before = haystack[..start].bytes().next_back();
        let after = haystack[start + needle.len()..].bytes().next();
        if before.is_none_or(|byte| byte == b' ') && after.is_none_or(|byte| byte == b' ') {
            return true;
        }
        // Finds may overlap: "a b a" stands twice in "xa b a b a", and only the second time as whole tokens.
        from = start + step;
    }
    false
}

fn sorted_tokens(normal: &str) -> Vec<&str> {
    let mut tokens: Vec<_> = normal.split(' ').filter(|token| !token.is_empty()).collect();
    tokens.sort_unstable();
    tokens
}

fn sorted_f1(gold: &[&str], predicted: &[&str]) -> f64 {
    if gold.is_empty() || predicted.is_empty() {
        return f64::from(u8::from(gold.is_empty() && predicted.is_empty()));
    }
    let same = shared(gold, predicted);
    if same == 0 {
        return 0.0;
    }
    let precision = same as f64 / predicted.len() as f64;
    let recall = same as f64 / gold.len() as f64;
    (2.0 * precision * recall) / (precision + recall)
}

/// Counts the elements that two sorted lists share, with repeats.
fn shared(mut left: &[&str], mut right: &[&str]) -> usize {
    let mut count = 0;
    while let ([l, left_rest @ ..], [r, right_rest @ ..]) = (left, right) {
        let order = l.cmp(r);
        if order != Ordering::Greater {
            left = left_rest;
        }
        if order != Ordering::Less {
            right = right_rest;
        }
        count += usize::from(order == Ordering::Equal);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_counts_repeats_and_ignores_order() {
        assert_eq!(token_f1("x y", "y x"), 1.0);
        assert_eq!(token_f1("x x x", "x"), 0.5);
        assert_eq!(token_f1("x y z", "x y"), 0.8);
        assert_eq!(token_f1("x", "y"), 0.0);
    }

    #[test]
    fn f1_of_nothing() {
        assert_eq!(token_f1("", ""), 1.0);
        assert_eq!(token_f1("x", ""), 0.0);
        assert_eq!(token_f1("", "x"), 0.0);
        assert_eq!(best_f1(std::iter::empty(), ""), 0.0);
    }

    #[test]
    fn best_of_several_golds() {
        assert_eq!(best_f1(["x y z", "x"].into_iter(), "x y"), 0.8);
    }

    #[test]
    fn only_whole_tokens_are_contained() {
        assert!(contains_tokens("big party art", "art"));
        assert!(contains_tokens("art", "art"));
        assert!(contains_tokens("x big art y", "big art"));
        assert!(!contains_tokens("big party", "art"));
        assert!(!contains_tokens("art", "big art"));
        assert!(!contains_tokens("art of", ""));
        assert!(contains_tokens("partart art", "art"));
        assert!(contains_tokens("xa b a b a", "a b a"));
        assert!(!contains_tokens("éé", "é"));
    }
}
