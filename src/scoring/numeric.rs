//! A number in the answer equals the gold number.

use super::{Gold, Number, Pick, Score, Scores};

/// How far a number may be from the gold number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tolerance {
    /// At most this far.
    Absolute(Number),
    /// At most this share of the gold number far.
    Relative(Number),
}

/// The settings of [`Numeric`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumericSettings {
    /// Which number of the answer counts.
    pub pick: Pick,
    /// How far off the number may be; not at all unless set.
    pub tolerance: Option<Tolerance>,
}

/// Scores 1 if a number in the answer equals the last number of any gold answer, as exact decimals; else 0.
///
/// Without a number on either side: 0. What a number is, [`Number::find`] says. The gold answer may be a whole worked
/// solution, since its last number counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numeric {
    settings: NumericSettings,
}

impl Numeric {
    /// Makes the scorer.
    pub fn new(settings: NumericSettings) -> Self {
        Self { settings }
    }

    fn equals(&self, number: &Number, gold: &Number) -> bool {
        match &self.settings.tolerance {
            None => number == gold,
            Some(Tolerance::Absolute(limit)) => number.is_within(limit, gold),
            Some(Tolerance::Relative(share)) => number.is_within(&share.times(gold), gold),
        }
    }
}

impl Score for Numeric {
    const NAME: &'static str = "numeric";
    const REVISION: u32 = 1;

    fn metrics(&self, _open: bool) -> &'static [&'static str] {
        &["numeric"]
    }

    fn score(&self, answer: &str, gold: &Gold<'_>) -> Scores {
        let value = Number::find(answer, self.settings.pick).map_or(0.0, |number| {
            gold.any(|gold| Number::find(gold, Pick::Last).is_some_and(|gold| self.equals(&number, &gold)))
        });
        Scores::new(self.metrics(gold.open), &[value])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(settings: NumericSettings, answer: &str, golds: &[&str]) -> bool {
        let answers: Vec<String> = golds.iter().map(ToString::to_string).collect();
        let scores = Numeric::new(settings).score(answer, &Gold::closed(&answers));
        scores.get("numeric") == Some(1.0)
    }

    #[test]
    fn the_last_number_counts_unless_the_first_is_wanted() {
        let answer = "18 eggs, that is 3 fewer";
        assert!(numeric(NumericSettings::default(), answer, &["7", "3"]));
        assert!(!numeric(NumericSettings::default(), answer, &["18"]));
        let first = NumericSettings { pick: Pick::First, ..NumericSettings::default() };
        assert!(numeric(first, answer, &["18"]));
    }

    #[test]
    fn gold_may_be_a_worked_solution() {
        let gold = "9 * 2 = $<<9*2=18>>18 every day.\n#### 1,800";
        assert!(numeric(NumericSettings::default(), "$1800.00.", &[gold]));
    }

    #[test]
    fn nothing_equals_no_number() {
        assert!(!numeric(NumericSettings::default(), "none", &["none"]));
        assert!(!numeric(NumericSettings::default(), "5", &["none"]));
        assert!(!numeric(NumericSettings::default(), "none", &["5"]));
        assert!(!numeric(NumericSettings::default(), "5", &[]));
    }

    #[test]
    fn tolerance_is_exact_at_its_edge() {
        let within = |make: fn(Number) -> Tolerance, limit, answer, gold| {
            let settings = NumericSettings { tolerance: Number::parse(limit).map(make), ..NumericSettings::default() };
            numeric(settings, answer, &[gold])
        };
        assert!(within(Tolerance::Absolute, "0.01", "3.15", "3.14"));
        assert!(!within(Tolerance::Absolute, "0.01", "3.1500001", "3.14"));
        assert!(within(Tolerance::Relative, "0.01", "-99", "-100"));
        assert!(!within(Tolerance::Relative, "0.01", "-98.99", "-100"));
        assert!(!within(Tolerance::Relative, "0.01", "0.001", "0"));
    }
}
