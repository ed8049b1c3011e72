//! A gold answer occurs in the answer.

use super::normalize::{Articles, normal};
use super::overlap::contains_tokens;
use super::{Gold, Score, Scores};

/// The settings of [`Includes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IncludesSettings {
    /// Whether upper and lower case are the same.
    pub ignore_case: bool,
    /// Whether whole tokens of the normal form count, in order and side by side; otherwise any run of characters.
    pub words: bool,
}

impl Default for IncludesSettings {
    fn default() -> Self {
        Self { ignore_case: true, words: true }
    }
}

/// Scores 1 if any gold answer occurs in the answer, else 0. Without gold answers: 0.
///
/// By words, both are in the normal form of [`qa_normal`](super::qa_normal), case aside. A gold answer of nothing but
/// articles, such as the option `A`, is sought with articles kept. A gold answer of nothing but punctuation is sought as
/// it stands. A blank one never occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Includes {
    settings: IncludesSettings,
}

impl Includes {
    /// Makes the scorer.
    pub fn new(settings: IncludesSettings) -> Self {
        Self { settings }
    }

    fn occurs(self, answer: &str, gold: &str) -> bool {
        if self.settings.words {
            for articles in [Articles::WholeToken, Articles::Kept] {
                let form = |text| normal(text, self.settings.ignore_case, articles);
                let needle = form(gold);
                if !needle.is_empty() {
                    return contains_tokens(&form(answer), &needle);
                }
            }
        }
        let gold = gold.trim();
        if self.settings.ignore_case {
            !gold.is_empty() && answer.to_lowercase().contains(&gold.to_lowercase())
        } else {
            !gold.is_empty() && answer.contains(gold)
        }
    }
}

impl Score for Includes {
    const NAME: &'static str = "includes";
    const REVISION: u32 = 1;

    fn metrics(&self, _open: bool) -> &'static [&'static str] {
        &["includes"]
    }

    fn score(&self, answer: &str, gold: &Gold<'_>) -> Scores {
        let value = gold.any(|gold| self.occurs(answer, gold));
        Scores::new(self.metrics(gold.open), &[value])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn includes(ignore_case: bool, words: bool, answer: &str, golds: &[&str]) -> bool {
        let answers: Vec<String> = golds.iter().map(ToString::to_string).collect();
        let scorer = Includes::new(IncludesSettings { ignore_case, words });
        scorer.score(answer, &Gold::closed(&answers)).get("includes") == Some(1.0)
    }

    #[test]
    fn whole_tokens_by_default() {
        assert_eq!(Includes::default(), Includes::new(IncludesSettings { ignore_case: true, words: true }));
        assert!(includes(true, true, "It was the *Normans*, I think.", &["x", "The Normans"]));
        assert!(!includes(true, true, "a party", &["art"]));
        assert!(!includes(true, true, "art", &[]));
        assert!(!includes(true, true, "art of", &["of art"]));
    }

    #[test]
    fn case_can_count() {
        assert!(!includes(false, true, "The normans", &["the Normans"]));
        assert!(includes(false, true, "the Normans", &["The Normans"]));
        assert!(!includes(false, false, "Art", &["art"]));
        assert!(includes(true, false, "PARTY", &["art"]));
    }

    #[test]
    fn plain_text_is_taken_as_it_stands() {
        assert!(includes(true, false, "a party", &[" art "]));
        assert!(!includes(true, false, "U.S.", &["us"]));
    }

    #[test]
    fn golds_that_normalise_to_nothing() {
        assert!(includes(true, true, "Option A.", &["A"]));
        assert!(!includes(true, true, "Option B.", &["A"]));
        assert!(includes(true, true, "use ++ here", &["++"]));
        assert!(!includes(true, true, "use here", &["++"]));
        assert!(!includes(true, true, "anything", &["", " "]));
    }
}
