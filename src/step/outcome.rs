use super::draw_status::DrawStatus;
use crate::plan::{OutcomeRule, Outcomes};
use crate::request::AnswerStatus;

/// Decides how a draw enters the scores.
///
/// A failure is always missing, a plain stop is always scored. Where the text of a cut, refused or filtered answer is to
/// be scored as it is, but the extraction found no answer in it, the rule for `no_answer` holds.
pub(super) fn rule_for(status: DrawStatus, has_answer: bool, outcomes: Outcomes) -> OutcomeRule {
    let rule = match status {
        DrawStatus::Failed(_) => return OutcomeRule::Missing,
        DrawStatus::NoAnswer => return outcomes.no_answer,
        DrawStatus::Answered(AnswerStatus::Stop) => OutcomeRule::AsIs,
        DrawStatus::Answered(AnswerStatus::Length) => outcomes.length,
        DrawStatus::Answered(AnswerStatus::ContentFilter) => outcomes.content_filter,
        DrawStatus::Answered(AnswerStatus::Refusal) => outcomes.refusal,
        DrawStatus::Answered(AnswerStatus::Empty) => outcomes.empty,
    };
    if rule == OutcomeRule::AsIs && !has_answer { outcomes.no_answer } else { rule }
}

/// Returns the score of a wrong answer: 0, but for a false answer to a question that has none.
///
/// `metric` is the scorer's own name for it. An answer that is wrong for its status alone abstains from nothing and
/// claims nothing, so only the rate of false answers, which counts what is not an abstention, is 1.
pub(super) fn wrong_score(metric: &str, unanswerable: bool) -> f64 {
    if metric == "false_answer_rate" && unanswerable { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::FailureCode;

    #[test]
    fn each_status_follows_its_own_rule() {
        let outcomes = Outcomes {
            length: OutcomeRule::AsIs,
            refusal: OutcomeRule::Wrong,
            content_filter: OutcomeRule::Missing,
            empty: OutcomeRule::Wrong,
            no_answer: OutcomeRule::Missing,
        };
        let rule = |status| rule_for(DrawStatus::Answered(status), true, outcomes);
        let rules = AnswerStatus::ALL.map(rule);
        let expected =
            [OutcomeRule::AsIs, OutcomeRule::AsIs, OutcomeRule::Missing, OutcomeRule::Wrong, OutcomeRule::Wrong];
        assert_eq!(rules, expected);
        assert_eq!(rule_for(DrawStatus::NoAnswer, false, outcomes), OutcomeRule::Missing);
        let cut = DrawStatus::Answered(AnswerStatus::Length);
        assert_eq!(rule_for(cut, false, outcomes), OutcomeRule::Missing);
    }

    #[test]
    fn a_failure_is_missing_whatever_the_rules() {
        let outcomes = Outcomes { no_answer: OutcomeRule::Wrong, empty: OutcomeRule::Wrong, ..Outcomes::default() };
        let failed = DrawStatus::Failed(FailureCode::Timeout);
        assert_eq!(rule_for(failed, false, outcomes), OutcomeRule::Missing);
    }
}
