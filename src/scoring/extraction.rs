//! The answer within an answer text.

use regex::{Captures, Regex};

use super::{Pick, ScoringError};

/// What counts as the answer where the pattern finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfAbsent {
    /// The whole text.
    #[default]
    Whole,
    /// Nothing: the answer is missing.
    Missing,
}

/// What an extraction makes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extracted<'t> {
    /// The answer; none where it was not found and [`IfAbsent::Missing`] holds.
    pub answer: Option<&'t str>,
    /// Whether the pattern was found. A find may be empty.
    pub found: bool,
}

/// A rule that takes the answer out of a text.
#[derive(Debug, Clone)]
pub struct Extraction {
    pattern: Regex,
    pick: Pick,
    if_absent: IfAbsent,
}

impl Extraction {
    /// Makes the rule, or says what is wrong with the pattern.
    pub fn new(pattern: &str, pick: Pick, if_absent: IfAbsent) -> Result<Self, ScoringError> {
        let pattern = Regex::new(pattern).map_err(|source| ScoringError::bad_pattern(pattern, source))?;
        Ok(Self { pattern, pick, if_absent })
    }

    /// Takes out the answer.
    ///
    /// Of the first or last match it is the group named `answer`, else the first group that took part, else all of it,
    /// with white space trimmed. Matches do not overlap and are sought from the left.
    pub fn apply<'t>(&self, text: &'t str) -> Extracted<'t> {
        if let Some(captures) = self.pick.of(self.pattern.captures_iter(text)) {
            return Extracted { answer: Some(answer(&captures)), found: true };
        }
        Extracted {
            answer: match self.if_absent {
                IfAbsent::Whole => Some(text),
                IfAbsent::Missing => None,
            },
            found: false,
        }
    }
}

fn answer<'t>(captures: &Captures<'t>) -> &'t str {
    captures
        .name("answer")
        .or_else(|| captures.iter().skip(1).flatten().next())
        .or_else(|| captures.get(0))
        .map_or("", |found| found.as_str().trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply<'t>(pattern: &str, pick: Pick, if_absent: IfAbsent, text: &'t str) -> Extracted<'t> {
        Extraction::new(pattern, pick, if_absent).unwrap().apply(text)
    }

    fn found<'t>(pattern: &str, text: &'t str) -> Option<&'t str> {
        let extracted = apply(pattern, Pick::Last, IfAbsent::Missing, text);
        assert_eq!(extracted.found, extracted.answer.is_some());
        extracted.answer
    }

    #[test]
    fn first_and_last() {
        let text = "Team: tech\r\nno,\nteam: billing \r\n";
        let pattern = r"(?im)^team:\s*(.+)$";
        let at = |pick| apply(pattern, pick, IfAbsent::Whole, text).answer;
        assert_eq!(at(Pick::First), Some("tech"));
        assert_eq!(at(Pick::Last), Some("billing"));
    }

    #[test]
    fn which_group_is_the_answer() {
        assert_eq!(found("a+", "b aa "), Some("aa"));
        assert_eq!(found("(x)(?<answer>y)", "xy"), Some("y"));
        assert_eq!(found("A: (.*)|B: (.*)", "B: 3"), Some("3"));
        assert_eq!(found("(x)?y", "y"), Some("y"));
        assert_eq!(found("A:(.*)", "A: "), Some(""));
    }

    #[test]
    fn absent_is_whole_or_missing() {
        let at = |if_absent| apply("A: (.*)", Pick::Last, if_absent, " none ");
        assert_eq!(at(IfAbsent::Whole), Extracted { answer: Some(" none "), found: false });
        assert_eq!(at(IfAbsent::Missing), Extracted { answer: None, found: false });
    }

    #[test]
    fn a_bad_pattern_is_an_error_that_names_it() {
        let error = Extraction::new("(", Pick::First, IfAbsent::Whole).unwrap_err();
        assert_eq!(error.to_string(), "the pattern `(` is not usable");
    }
}
