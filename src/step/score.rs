//! Compares answers with gold answers.

use std::cell::OnceCell;

use super::draw_status::DrawStatus;
use super::gold_line::GoldLine;
use super::json_lines::{read_lines, unexpected, write_line};
use super::metric_values::MetricValues;
use super::outcome::rule_for;
use super::parsed_draw::ParsedDraw;
use super::scored_draw::ScoredDraw;
use super::scorers::ColumnScorer;
use super::{Inputs, Outputs, StepError};
use crate::plan::{OutcomeRule, ScoreParams};
use crate::request::AnswerStatus;
use crate::scoring::Gold;

/// Writes `scores`: one line for each line of `parsed`, in its order.
///
/// Items stand in the same order in `parsed` and `gold`; those of `gold` without a draw are passed over.
pub fn run(params: &ScoreParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let scorers = params
        .scorers
        .iter()
        .map(|revised| ColumnScorer::new(&revised.scorer, params.open))
        .collect::<Result<Vec<_>, _>>()?;
    let (parsed, gold) = (inputs.text("parsed")?, inputs.text("gold")?);
    let mut gold = read_lines::<GoldLine<'_>>("gold", &gold);
    let mut current: Option<GoldLine<'_>> = None;
    let mut normal_context = OnceCell::new();
    let mut out = Vec::with_capacity(parsed.len() / 2);
    for draw in read_lines::<ParsedDraw<'_>>("parsed", &parsed) {
        let draw = draw?;
        let truth = loop {
            if let Some(found) = current.take_if(|gold| gold.id == draw.item) {
                break current.insert(found);
            }
            let missing =
                || unexpected("gold", format_args!("it has no line for the item `{}`, or not here", draw.item));
            current = Some(gold.next().ok_or_else(missing)??);
            normal_context.take();
        };
        write_line("scores", &mut out, &scored(&draw, truth, &normal_context, &scorers, params))?;
    }
    outputs.put("scores", out)
}

fn scored<'a>(
    draw: &'a ParsedDraw<'_>,
    truth: &GoldLine<'_>,
    normal_context: &OnceCell<String>,
    scorers: &'a [ColumnScorer],
    params: &ScoreParams,
) -> ScoredDraw<'a> {
    let rule = rule_for(draw.status, draw.answer.is_some(), params.outcomes);
    let answer = draw.answer.as_deref().or(draw.text.as_deref()).unwrap_or_default();
    let gold = Gold {
        answers: &truth.answers,
        unanswerable: truth.unanswerable,
        context: truth.context.as_deref(),
        open: params.open,
        normal_context: Some(normal_context),
    };
    let mut scores = Vec::with_capacity(5);
    let mut support = None;
    for scorer in scorers {
        let names = scorer.columns().iter().map(|name| name.as_str().into());
        let empty = draw.status == DrawStatus::Answered(AnswerStatus::Empty);
        let rule = if rule == OutcomeRule::Wrong && empty && scorer.scores_empty() { OutcomeRule::AsIs } else { rule };
        match rule {
            OutcomeRule::AsIs => {
                let (values, share) = scorer.score(answer, &gold);
                support = support.or(share.filter(|_| params.support_shares));
                scores.extend(names.zip(values));
            }
            OutcomeRule::Wrong => scores.extend(names.zip(scorer.wrong(truth.unanswerable))),
            OutcomeRule::Missing => {}
        }
    }
    let missing = rule == OutcomeRule::Missing;
    ScoredDraw {
        item: draw.item.as_str().into(),
        n: draw.n,
        status: draw.status,
        scores: (!missing).then_some(MetricValues(scores)),
        support: support.filter(|_| !missing),
        missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Decimal;
    use crate::plan::{Outcomes, RevisedScorer, ScorerConfig, ScorerSettings, Support};
    use crate::step::memory::run_in_memory;

    const GOLD: &str = concat!(
        r#"{"id":"a","answers":["Paris"],"unanswerable":false,"context":"In Paris.","group":"g","dataset":"x"}"#,
        "\n",
        r#"{"id":"b","answers":[],"unanswerable":true,"context":"In Rome."}"#,
        "\n",
        r#"{"id":"c","answers":["Rome"],"unanswerable":false}"#,
        "\n"
    );

    fn params(outcomes: Outcomes) -> ScoreParams {
        let half = Decimal::new(5, -1);
        let qa = ScorerSettings::Qa { support: Support::Baseline, threshold: half, min_token_overlap: half };
        let exact = ScorerSettings::Exact { ignore_case: false, trim: true };
        let revised = |name: &str, settings| RevisedScorer {
            scorer: ScorerConfig { name: name.to_owned(), settings },
            revision: 1,
        };
        ScoreParams {
            scorers: vec![revised("qa", qa), revised("strict", exact)],
            outcomes,
            open: true,
            support_shares: false,
        }
    }

    fn score(outcomes: Outcomes, parsed: &str) -> Result<String, StepError> {
        let params = params(outcomes);
        let inputs = [("gold", GOLD), ("parsed", parsed)];
        run_in_memory(&inputs, |inputs, outputs| run(&params, inputs, outputs))
            .map(|mut out| out.remove("scores").unwrap())
    }

    #[test]
    fn answers_are_scored_by_every_scorer_in_order() {
        let parsed = concat!(
            r#"{"item":"a","n":0,"status":"stop","text":"So: paris","answer":"paris","usage":{}}"#,
            "\n",
            r#"{"item":"a","n":1,"status":"failed:timeout"}"#,
            "\n",
            r#"{"item":"c","n":0,"status":"stop","text":"Rome","answer":"Rome"}"#
        );
        let expected = [
            r#"{"item":"a","n":0,"status":"stop","scores":{"em":1.0,"f1":1.0,"abstain_rate":0.0,"false_answer_rate":0.0,"unsupported_rate":0.0,"strict_exact":0.0}}"#,
            r#"{"item":"a","n":1,"status":"failed:timeout","missing":true}"#,
            r#"{"item":"c","n":0,"status":"stop","scores":{"em":1.0,"f1":1.0,"abstain_rate":0.0,"false_answer_rate":0.0,"unsupported_rate":1.0,"strict_exact":1.0}}"#,
        ];
        assert_eq!(score(Outcomes::default(), parsed).unwrap().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn statuses_follow_the_outcomes() {
        let line = |status| format!(r#"{{"item":"b","n":0,"status":"{status}","text":"unknown","answer":"unknown"}}"#);
        let wrong = r#""scores":{"em":0.0,"f1":0.0,"abstain_rate":0.0,"false_answer_rate":1.0,"unsupported_rate":0.0,"strict_exact":0.0}"#;
        let right = r#""scores":{"em":1.0,"f1":1.0,"abstain_rate":1.0,"false_answer_rate":0.0,"unsupported_rate":0.0,"strict_exact":0.0}"#;
        for rule in [OutcomeRule::Wrong, OutcomeRule::Missing, OutcomeRule::AsIs] {
            let outcomes = Outcomes { length: rule, refusal: rule, content_filter: rule, empty: rule, no_answer: rule };
            for status in ["length", "refusal", "content_filter", "empty", "no_answer"] {
                let expected = match rule {
                    OutcomeRule::Wrong => wrong,
                    OutcomeRule::Missing => r#""missing":true"#,
                    OutcomeRule::AsIs => right,
                };
                let scores = score(outcomes, &line(status)).unwrap();
                assert_eq!(scores, format!("{{\"item\":\"b\",\"n\":0,\"status\":\"{status}\",{expected}}}\n"));
            }
        }
    }

    #[test]
    fn an_item_without_gold_is_refused() {
        let parsed = r#"{"item":"z","n":0,"status":"stop","text":"x","answer":"x"}"#;
        assert!(score(Outcomes::default(), parsed).unwrap_err().to_string().contains("`z`"));
    }
}
