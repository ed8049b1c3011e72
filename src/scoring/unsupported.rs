//! Whether the passage of an open-book item bears out an answer.

use super::normalize::words;
use super::overlap::contains_tokens;

/// How support by the passage is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// The tokens of the answer stand in the passage, in order and side by side.
    #[default]
    Baseline,
    /// A sufficient share of the answer's words, with repeats, occurs in the passage.
    Overlap,
}

/// The settings of the `unsupported_rate`, which are all it needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unsupported {
    /// How support is judged.
    pub strategy: Strategy,
    /// An answer whose abstention (0 or 1) reaches this is never unsupported; at 0 that holds for every answer. 0 to 1.
    pub threshold: f64,
    /// The share of words that [`Strategy::Overlap`] asks for. 0 to 1.
    pub min_token_overlap: f64,
}

impl Default for Unsupported {
    fn default() -> Self {
        Self { strategy: Strategy::Baseline, threshold: 0.5, min_token_overlap: 0.6 }
    }
}

impl Unsupported {
    /// Says whether an answer with this abstention (0 or 1) can be unsupported at all.
    pub(super) fn applies(&self, abstained: f64) -> bool {
        abstained < self.threshold
    }

    /// Says whether the passage bears out the answer, both in the normal form of `qa`, and which share of its words occur
    /// there.
    ///
    /// An answer that normalises to nothing is not borne out by anything; its share is 0.
    pub(super) fn judge(&self, normal_answer: &str, normal_context: &str) -> (bool, f64) {
        if self.strategy == Strategy::Baseline && contains_tokens(normal_context, normal_answer) {
            return (true, 1.0);
        }
        let share = share_found(normal_answer, normal_context);
        let is_supported =
            self.strategy == Strategy::Overlap && share.is_some_and(|share| share >= self.min_token_overlap);
        (is_supported, share.unwrap_or(0.0))
    }
}

/// Computes the share of the answer's words, with repeats, that occur in the context; none without words.
fn share_found(normal_answer: &str, normal_context: &str) -> Option<f64> {
    // The answer is the short side: it is sorted, and the context passes by once.
    let mut wanted: Vec<_> = words(normal_answer).map(|word| (word, false)).collect();
    wanted.sort_unstable();
    for word in words(normal_context) {
        let at = wanted.partition_point(|(other, _)| *other < word);
        for (other, found) in &mut wanted[at..] {
            if *other != word || *found {
                break;
            }
            *found = true;
        }
    }
    let found = wanted.iter().filter(|(_, found)| *found).count();
    (!wanted.is_empty()).then(|| found as f64 / wanted.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baseline_wants_whole_tokens_side_by_side() {
        let rule = Unsupported::default();
        assert!(rule.judge("red cat", "big red cat sat").0);
        assert!(!rule.judge("cat red", "big red cat sat").0);
        assert!(!rule.judge("art", "big party").0);
        assert!(!rule.judge("", "big party").0);
    }

    #[test]
    fn overlap_counts_words_with_repeats() {
        assert_eq!(share_found("x x y z", "w x’y"), Some(0.75));
        assert_eq!(share_found("a–b", "b"), Some(0.5));
        assert_eq!(share_found("–", "b"), None);
        let rule = |min_token_overlap| Unsupported {
            strategy: Strategy::Overlap,
            min_token_overlap,
            ..Unsupported::default()
        };
        assert!(rule(0.75).judge("x x y z", "y x").0);
        assert!(!rule(0.76).judge("x x y z", "y x").0);
        assert!(!rule(0.0).judge("", "y x").0);
    }

    #[test]
    fn threshold_decides_whether_the_rule_applies() {
        let rule = |threshold| Unsupported { threshold, ..Unsupported::default() };
        assert!(rule(0.5).applies(0.0) && !rule(0.5).applies(1.0));
        assert!(!rule(0.0).applies(0.0));
    }
}
