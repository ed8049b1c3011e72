//! The answer matches a pattern.

use regex::{Regex, RegexBuilder};

use super::{Gold, Score, Scores, ScoringError};

/// What stands for the gold answer in a pattern.
const PLACEHOLDER: &str = "{{answer}}";

/// The settings of [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternSettings {
    /// A regular expression in the syntax of the `regex` crate. `{{answer}}` stands for a gold answer, taken literally
    /// and as a group; it does not belong within a character class.
    pub pattern: String,
    /// Whether the pattern must match the whole answer, white space around it aside, rather than any part.
    pub full: bool,
}

/// Scores 1 if the answer matches the pattern, else 0.
///
/// With `{{answer}}` in the pattern, it is tried with each gold answer, blank ones left out, and without any it scores
/// 0. A pattern without it does not look at the gold answers.
#[derive(Debug, Clone)]
pub struct Pattern {
    settings: PatternSettings,
    /// The compiled pattern, if it does not depend on the gold answer.
    fixed: Option<Regex>,
}

impl Pattern {
    /// Makes the scorer, or says what is wrong with the pattern.
    pub fn new(settings: PatternSettings) -> Result<Self, ScoringError> {
        let compiled =
            compile(&settings, "x").map_err(|source| ScoringError::bad_pattern(&settings.pattern, source))?;
        let fixed = (!settings.pattern.contains(PLACEHOLDER)).then_some(compiled);
        Ok(Self { settings, fixed })
    }
}

/// Compiles the pattern for one gold answer.
///
/// A literal in a group fits wherever another does, so only size could make one gold answer fail where another
/// compiled; hence there is no limit to it.
fn compile(settings: &PatternSettings, gold: &str) -> Result<Regex, regex::Error> {
    let literal = format!("(?:{})", regex::escape(gold));
    let pattern = settings.pattern.replace(PLACEHOLDER, &literal);
    // The pattern must be sound on its own before it is wrapped: `a)|(b` is not.
    let verbatim = RegexBuilder::new(&pattern).size_limit(usize::MAX).build()?;
    if !settings.full {
        return Ok(verbatim);
    }
    RegexBuilder::new(&format!(r"\A(?:{pattern})\z")).size_limit(usize::MAX).build()
}

impl Score for Pattern {
    const NAME: &'static str = "regex";
    const REVISION: u32 = 1;

    fn metrics(&self, _open: bool) -> &'static [&'static str] {
        &["regex"]
    }

    fn score(&self, answer: &str, gold: &Gold<'_>) -> Scores {
        let answer = if self.settings.full { answer.trim() } else { answer };
        let value = match &self.fixed {
            Some(regex) => f64::from(u8::from(regex.is_match(answer))),
            None => gold.any(|gold| {
                let gold = gold.trim();
                !gold.is_empty() && compile(&self.settings, gold).is_ok_and(|regex| regex.is_match(answer))
            }),
        };
        Scores::new(self.metrics(gold.open), &[value])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, full: bool, answer: &str, golds: &[&str]) -> bool {
        let answers: Vec<String> = golds.iter().map(ToString::to_string).collect();
        let pattern = pattern.to_owned();
        let scorer = Pattern::new(PatternSettings { pattern, full }).unwrap();
        scorer.score(answer, &Gold::closed(&answers)).get("regex") == Some(1.0)
    }

    #[test]
    fn a_fixed_pattern_ignores_gold() {
        assert!(matches("(?i)^yes", false, "Yes, it is", &[]));
        assert!(!matches("(?i)^yes", false, "Oh yes", &["yes"]));
    }

    #[test]
    fn full_means_all_of_the_answer() {
        assert!(matches("a|b+", true, " bb\n", &[]));
        assert!(!matches("a|b+", true, "abb", &[]));
        assert!(matches("a|b+", false, "xay", &[]));
    }

    #[test]
    fn gold_is_taken_literally() {
        assert!(matches(r"^team: {{answer}}$", false, "team: c++ (a|b)", &["x", "c++ (a|b)"]));
        assert!(!matches(r"^{{answer}}$", false, "abc", &["a.c"]));
        assert!(matches(r"^{{answer}}+$", false, "abab", &["ab"]));
        assert!(!matches("{{answer}}", false, "anything", &["", " "]));
        assert!(!matches("{{answer}}", false, "anything", &[]));
    }

    #[test]
    fn a_long_gold_answer_is_no_obstacle() {
        let gold = "long ".repeat(100_000);
        assert!(matches("^{{answer}}$", false, gold.trim(), &[&gold]));
    }

    #[test]
    fn a_bad_pattern_is_an_error_that_names_it() {
        for full in [false, true] {
            let pattern = "a)|(b".to_owned();
            let error = Pattern::new(PatternSettings { pattern, full }).unwrap_err();
            assert_eq!(error.to_string(), "the pattern `a)|(b` is not usable");
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("unopened group"), "{source}");
        }
    }
}
