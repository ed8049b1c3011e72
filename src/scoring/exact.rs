//! The answer is a gold answer.

use super::{Gold, Score, Scores};

/// The settings of [`Exact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExactSettings {
    /// Whether upper and lower case are the same.
    pub ignore_case: bool,
    /// Whether white space around either text is ignored.
    pub trim: bool,
}

impl Default for ExactSettings {
    fn default() -> Self {
        Self { ignore_case: false, trim: true }
    }
}

/// Scores 1 if the answer equals any gold answer, else 0. Without gold answers: 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exact {
    settings: ExactSettings,
}

impl Exact {
    /// Makes the scorer.
    pub fn new(settings: ExactSettings) -> Self {
        Self { settings }
    }
}

impl Score for Exact {
    const NAME: &'static str = "exact";
    const REVISION: u32 = 1;

    fn metrics(&self, _open: bool) -> &'static [&'static str] {
        &["exact"]
    }

    fn score(&self, answer: &str, gold: &Gold<'_>) -> Scores {
        let trim = self.settings.trim;
        let answer = trimmed(answer, trim);
        let lower = self.settings.ignore_case.then(|| answer.to_lowercase());
        let value = gold.any(|gold| {
            let gold = trimmed(gold, trim);
            match &lower {
                Some(lower) => *lower == gold.to_lowercase(),
                None => answer == gold,
            }
        });
        Scores::new(self.metrics(gold.open), &[value])
    }
}

fn trimmed(text: &str, trim: bool) -> &str {
    if trim { text.trim() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(ignore_case: bool, trim: bool, answer: &str, golds: &[&str]) -> bool {
        let answers: Vec<String> = golds.iter().map(ToString::to_string).collect();
        let scorer = Exact::new(ExactSettings { ignore_case, trim });
        scorer.score(answer, &Gold::closed(&answers)).get("exact") == Some(1.0)
    }

    #[test]
    fn nothing_but_white_space_is_forgiven_by_default() {
        assert_eq!(Exact::default(), Exact::new(ExactSettings { ignore_case: false, trim: true }));
        assert!(exact(false, true, " billing\n", &["tech", "billing "]));
        assert!(!exact(false, true, "Billing", &["billing"]));
        assert!(!exact(false, true, "billing.", &["billing"]));
        assert!(!exact(false, true, "", &[]));
    }

    #[test]
    fn case_and_space_are_settings() {
        assert!(exact(true, true, "ÉCOLE", &["école"]));
        assert!(!exact(false, false, "billing\n", &["billing"]));
        assert!(exact(false, false, "billing\n", &["billing\n"]));
    }
}
