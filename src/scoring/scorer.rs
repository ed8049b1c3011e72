//! The scorers behind one type.

use super::{Choice, Exact, Gold, Includes, Json, Numeric, Pattern, Qa, Scores, Squad};

/// What every scorer can do.
pub trait Score {
    /// The name that a config uses.
    const NAME: &'static str;
    /// The version of what the scorer says. It is part of what a score is addressed by: raise it when any output changes.
    const REVISION: u32;

    /// Lists the metrics of an open-book (`open`) or closed-book item, in the order of [`Score::score`].
    fn metrics(&self, open: bool) -> &'static [&'static str];

    /// Scores one answer. Every value lies in 0 to 1.
    fn score(&self, answer: &str, gold: &Gold<'_>) -> Scores;
}

/// Makes the enum and its dispatch from the table of scorers.
macro_rules! scorers {
    ($($scorer:ident)*) => {
        /// Any of the scorers, ready to score.
        #[derive(Debug, Clone)]
        pub enum Scorer {
            $(#[doc = concat!("See [`", stringify!($scorer), "`].")] $scorer($scorer),)*
        }

        impl Scorer {
            /// The names of all scorers, in the order of the table.
            pub const NAMES: &'static [&'static str] = &[$(<$scorer as Score>::NAME),*];

            /// Gives the name that a config uses.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$scorer(_) => <$scorer as Score>::NAME,)* }
            }

            /// Gives the version of what the scorer says.
            pub fn revision(&self) -> u32 {
                match self { $(Self::$scorer(_) => <$scorer as Score>::REVISION,)* }
            }

            /// Lists the metrics of an open-book (`open`) or closed-book item, in order.
            pub fn metrics(&self, open: bool) -> &'static [&'static str] {
                match self { $(Self::$scorer(scorer) => Score::metrics(scorer, open),)* }
            }

            /// Scores one answer. The metrics are those of [`Scorer::metrics`]; every value lies in 0 to 1.
            pub fn score(&self, answer: &str, gold: &Gold<'_>) -> Scores {
                match self { $(Self::$scorer(scorer) => Score::score(scorer, answer, gold),)* }
            }
        }

        $(impl From<$scorer> for Scorer {
            fn from(scorer: $scorer) -> Self {
                Self::$scorer(scorer)
            }
        })*
    };
}

impl Default for Scorer {
    /// Gives the scorer of a dataset that names none: `qa` with its default settings.
    fn default() -> Self {
        Self::Qa(Qa::default())
    }
}

// The table of scorers: a new one is a line here.
scorers! {
    Squad
    Qa
    Includes
    Exact
    Numeric
    Pattern
    Choice
    Json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::PatternSettings;

    fn all() -> Vec<Scorer> {
        let pattern = Pattern::new(PatternSettings { pattern: "{{answer}}".to_owned(), full: false });
        vec![
            Squad.into(),
            Qa::default().into(),
            Includes::default().into(),
            Exact::default().into(),
            Numeric::default().into(),
            pattern.map(Into::into).unwrap_or_default(),
            Choice::default().into(),
            Json::default().into(),
        ]
    }

    #[test]
    fn names_follow_the_table() {
        let names: Vec<_> = all().iter().map(Scorer::name).collect();
        assert_eq!(names, Scorer::NAMES);
        assert_eq!(names, ["squad", "qa", "includes", "exact", "numeric", "regex", "choice", "json"]);
        assert_eq!(Scorer::default().name(), "qa");
    }

    #[test]
    fn every_scorer_yields_the_metrics_it_lists_and_nothing_else() {
        let golds = [vec![], vec![String::new()], vec!["18".to_owned()]];
        for scorer in all() {
            for answers in &golds {
                for (unanswerable, open) in [(false, false), (false, true), (true, false), (true, true)] {
                    let gold = Gold { answers, unanswerable, context: None, open, options: &[], normal_context: None };
                    for answer in ["", " ", "18", "the", "I do not know."] {
                        let scores = scorer.score(answer, &gold);
                        let names: Vec<_> = scores.iter().map(|(name, _)| name).collect();
                        assert_eq!(names, scorer.metrics(open), "{}", scorer.name());
                        assert!(scores.iter().all(|(_, value)| (0.0..=1.0).contains(&value)));
                    }
                }
            }
            assert!(scorer.revision() >= 1);
        }
    }

    #[test]
    fn metric_names_are_the_published_ones() {
        let names = |open| -> Vec<_> { all().iter().flat_map(|scorer| scorer.metrics(open)).copied().collect() };
        let shared = ["includes", "exact", "numeric", "regex", "choice", "json", "json_fields"];
        let closed = ["squad_em", "squad_f1", "em", "f1", "abstain_rate"];
        assert_eq!(names(false), [&closed[..], &shared].concat());
        let open = ["false_answer_rate", "unsupported_rate"];
        assert_eq!(names(true), [&closed[..], &open, &shared].concat());
    }
}
