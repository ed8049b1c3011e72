//! The default scorer: short answers to questions, with abstention.

use super::normalize::qa_normal;
use super::overlap::best_f1;
use super::unsupported::Unsupported;
use super::{ABSTENTION_PHRASES, Abstention, Gold, Score, Scores};

/// The settings of [`Qa`].
#[derive(Debug, Clone, PartialEq)]
pub struct QaSettings {
    /// What counts as unsupported by the passage.
    pub unsupported: Unsupported,
    /// The phrases that abstain, as people write them.
    pub abstentions: Vec<String>,
}

impl Default for QaSettings {
    fn default() -> Self {
        Self { unsupported: Unsupported::default(), abstentions: ABSTENTION_PHRASES.map(str::to_owned).into() }
    }
}

/// Scores short answers: exact match and token F1 in the normal form of [`qa_normal`], abstention, false answers to
/// unanswerable items, and answers that the passage does not bear out.
///
/// | item | answer | `em`, `f1` | `abstain_rate` | `false_answer_rate` |
/// |---|---|---|---|---|
/// | answerable | any | best over the gold answers | abstains | 0 |
/// | unanswerable | abstains | 1 | 1 | 0 |
/// | unanswerable | other, or blank | 0 | 0 | 1 |
///
/// A blank answer is neither an abstention nor ever correct, and nothing is correct for an answerable item without gold
/// answers. `unsupported_rate` is 0 for abstentions and blank answers; see [`Unsupported`].
#[derive(Debug, Clone, Default)]
pub struct Qa {
    unsupported: Unsupported,
    abstention: Abstention,
}

impl Qa {
    /// Makes the scorer, with its abstention phrases normalised.
    pub fn new(settings: &QaSettings) -> Self {
        Self { unsupported: settings.unsupported, abstention: Abstention::new(&settings.abstentions) }
    }

    /// Scores an unsupported answer 1, any other 0; the share of its words that the passage holds stands beside it.
    fn unsupported(&self, normal: &str, abstained: f64, gold: &Gold<'_>) -> (f64, Option<f64>) {
        if !self.unsupported.applies(abstained) {
            return (0.0, None);
        }
        let context = gold.normal_context();
        let (is_supported, share) = self.unsupported.judge(normal, &context);
        (f64::from(u8::from(!is_supported)), Some(share))
    }
}

impl Score for Qa {
    const NAME: &'static str = "qa";
    const REVISION: u32 = 1;

    fn metrics(&self, open: bool) -> &'static [&'static str] {
        const ALL: &[&str] = &["em", "f1", "abstain_rate", "false_answer_rate", "unsupported_rate"];
        if open { ALL } else { ALL.split_at(3).0 }
    }

    fn score(&self, answer: &str, gold: &Gold<'_>) -> Scores {
        let normal = qa_normal(answer);
        let is_blank = normal.is_empty() && answer.chars().all(super::normalize::is_space);
        let abstained = f64::from(u8::from(self.abstention.detect_normal(answer, &normal)));
        let (em, f1) = if gold.unanswerable {
            (abstained, abstained)
        } else if is_blank {
            (0.0, 0.0)
        } else {
            let golds: Vec<_> = gold.answers.iter().map(|gold| qa_normal(gold)).collect();
            let em = f64::from(u8::from(golds.contains(&normal)));
            (em, best_f1(golds.iter().map(String::as_str), &normal))
        };
        if !gold.open {
            return Scores::new(self.metrics(false), &[em, f1, abstained]);
        }
        let false_answer = if gold.unanswerable { 1.0 - abstained } else { 0.0 };
        let judged = !is_blank && abstained == 0.0;
        let (unsupported, support) = if judged { self.unsupported(&normal, abstained, gold) } else { (0.0, None) };
        let values = [em, f1, abstained, false_answer, unsupported];
        Scores::new(self.metrics(true), &values).with_support(support)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::Strategy;

    const CONTEXT: &str = "The party was held in Paris, near the Unknown Soldier.";

    fn open(answer: &str, golds: &[&str], unanswerable: bool) -> Vec<f64> {
        scored(&Qa::default(), answer, golds, unanswerable, true)
    }

    fn closed(answer: &str, golds: &[&str]) -> Vec<f64> {
        scored(&Qa::default(), answer, golds, false, false)
    }

    fn scored(qa: &Qa, answer: &str, golds: &[&str], unanswerable: bool, open: bool) -> Vec<f64> {
        let answers: Vec<String> = golds.iter().map(ToString::to_string).collect();
        let gold = Gold {
            answers: &answers,
            unanswerable,
            context: open.then_some(CONTEXT),
            open,
            options: &[],
            normal_context: None,
        };
        qa.score(answer, &gold).iter().map(|(_, value)| value).collect()
    }

    #[test]
    fn answerable_items_compare_with_the_best_gold() {
        let half = 2.0 / 3.0;
        assert_eq!(open("The PARIS.", &["Rome", "paris"], false), [1.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(open("in paris", &["paris"], false), [0.0, half, 0.0, 0.0, 0.0]);
        assert_eq!(open("paris rome", &["paris"], false), [0.0, half, 0.0, 0.0, 1.0]);
        assert_eq!(closed("paris rome", &["paris"]), [0.0, half, 0.0]);
    }

    #[test]
    fn unanswerable_items_want_an_abstention() {
        assert_eq!(open("I do not know", &[], true), [1.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(open("paris", &["paris"], true), [0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(open("rome", &[], true), [0.0, 0.0, 0.0, 1.0, 1.0]);
    }

    /// What the predecessor got wrong, and what is said here instead. Nothing else is meant to differ.
    #[test]
    fn differences_from_the_predecessor() {
        // 1. The phrases were not normalised: three of them never matched, among them the one its own prompts ask for.
        for phrase in ["I don't know.", "I can't answer", "can't answer", "Not provided in the passage."] {
            let is_whole = !phrase.starts_with("I can");
            assert_eq!(open(phrase, &[], true)[2], f64::from(u8::from(is_whole)), "{phrase}");
        }
        // 2. A phrase anywhere in the text counted; now it is the answer or a sentence of it.
        assert_eq!(open("The Unknown Soldier", &[], true), [0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(open("I'm not sure about that", &[], true)[2], 0.0);
        assert_eq!(open("Hm. I don't know. Sorry!", &[], true)[2], 1.0);
        // 3. An empty answer matched an empty list of gold answers, and a gold answer that normalises to nothing.
        assert_eq!(open("", &[], false), [0.0; 5]);
        assert_eq!(closed(" \n", &["A"]), [0.0; 3]);
        assert_eq!(open("the", &[], false)[..2], [0.0, 0.0]);
        // 4. An empty answer was unsupported; it claims nothing. It still is no abstention.
        assert_eq!(open("", &["paris"], false), [0.0; 5]);
        assert_eq!(open("", &[], true), [0.0, 0.0, 0.0, 1.0, 0.0]);
        // 5. The passage supported any run of its characters; now it supports runs of its tokens.
        assert_eq!(open("art", &["art"], false), [1.0, 1.0, 0.0, 0.0, 1.0]);
        assert_eq!(open("party", &["art"], false)[4], 0.0);
        // 6. Closed-book items had no F1.
        assert_eq!(closed("paris rome", &["paris"])[1], 2.0 / 3.0);
    }

    #[test]
    fn an_abstention_from_an_answerable_item_is_compared_like_any_answer() {
        assert_eq!(open("Unknown.", &["paris"], false), [0.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(closed("unknown", &["The Unknown"]), [1.0, 1.0, 1.0]);
    }

    #[test]
    fn an_answer_of_nothing_but_punctuation_is_not_blank() {
        assert_eq!(closed("A", &["a"]), [1.0, 1.0, 0.0]);
        assert_eq!(open("...", &["paris"], false), [0.0, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn settings_reach_the_scores() {
        let mut settings = QaSettings::default();
        settings.unsupported.strategy = Strategy::Overlap;
        settings.abstentions = vec!["pass".to_owned()];
        let qa = Qa::new(&settings);
        let at = |qa: &Qa, answer| scored(qa, answer, &["x"], false, true);
        assert_eq!(at(&qa, "paris held rome")[4], 0.0);
        assert_eq!(at(&qa, "paris london rome")[4], 1.0);
        assert_eq!(at(&qa, "Pass.")[2], 1.0);
        assert_eq!(at(&qa, "unknown")[2], 0.0);
        settings.unsupported.threshold = 0.0;
        assert_eq!(at(&Qa::new(&settings), "paris london rome")[4], 0.0);
    }

    #[test]
    fn an_open_item_without_a_passage_supports_nothing() {
        let answers = ["paris".to_owned()];
        let gold = Gold { open: true, ..Gold::closed(&answers) };
        assert_eq!(Qa::default().score("paris", &gold).get("unsupported_rate"), Some(1.0));
    }
}
