//! The official SQuAD 2.0 evaluator.

use super::normalize::squad_normal;
use super::overlap::best_f1;
use super::{Gold, Score, Scores};

/// Scores exactly as the official SQuAD 2.0 evaluator does, and nothing else.
///
/// Gold answers that normalise to nothing are dropped. An unanswerable item, and one without gold answers left, has the
/// empty answer as its only gold, which any answer that normalises to nothing matches. Abstaining in words is a wrong
/// answer here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Squad;

impl Score for Squad {
    const NAME: &'static str = "squad";
    const REVISION: u32 = 1;

    fn metrics(&self, _open: bool) -> &'static [&'static str] {
        &["squad_em", "squad_f1"]
    }

    fn score(&self, answer: &str, gold: &Gold<'_>) -> Scores {
        let mut golds: Vec<String> = Vec::new();
        if !gold.unanswerable {
            golds.extend(gold.answers.iter().map(|answer| squad_normal(answer)));
            golds.retain(|normal| !normal.is_empty());
        }
        if golds.is_empty() {
            golds.push(String::new());
        }
        let normal = squad_normal(answer);
        let em = f64::from(u8::from(golds.contains(&normal)));
        let f1 = best_f1(golds.iter().map(String::as_str), &normal);
        Scores::new(self.metrics(gold.open), &[em, f1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(answer: &str, golds: &[&str], unanswerable: bool) -> (Option<f64>, Option<f64>) {
        let answers: Vec<String> = golds.iter().map(ToString::to_string).collect();
        let gold = Gold::open(&answers, unanswerable, "");
        let scores = Squad.score(answer, &gold);
        (scores.get("squad_em"), scores.get("squad_f1"))
    }

    #[test]
    fn golds_that_are_nothing_are_dropped_while_others_remain() {
        assert_eq!(score("", &["the", "cat"], false), (Some(0.0), Some(0.0)));
        assert_eq!(score("", &["the"], false), (Some(1.0), Some(1.0)));
        assert_eq!(score(".", &[], false), (Some(1.0), Some(1.0)));
        assert_eq!(score("x", &["x y", "x"], false), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn an_unanswerable_item_wants_the_empty_answer() {
        assert_eq!(score("", &["cat"], true), (Some(1.0), Some(1.0)));
        assert_eq!(score("cat", &["cat"], true), (Some(0.0), Some(0.0)));
        assert_eq!(score("unknown", &[], true), (Some(0.0), Some(0.0)));
    }
}
