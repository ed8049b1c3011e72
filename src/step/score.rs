//! Compares answers with gold answers.

use std::cell::OnceCell;

use super::dataset::Item;
use super::draw_status::DrawStatus;
use super::gold_line::GoldLine;
use super::json_lines::{read_lines, unexpected, write_line};
use super::metric_values::MetricValues;
use super::outcome::{rule_for, wrong_score};
use super::parsed_draw::ParsedDraw;
use super::scored_draw::ScoredDraw;
use super::scorers::ColumnScorer;
use super::{InputProblem, Inputs, Outputs, StepError};
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
    // Whoever scores recorded answers alone, without those who rated them, leaves their files out.
    let named = |name: &&String| inputs.find(&format!("labels/{name}")).is_some();
    let people: Vec<(&String, String)> = params
        .labels
        .iter()
        .filter(named)
        .map(|name| Ok((name, inputs.text(&format!("labels/{name}"))?)))
        .collect::<Result<_, StepError>>()?;
    let mut people: Vec<_> =
        people.iter().map(|(name, text)| (*name, read_lines::<ScoredDraw<'_>>(name, text))).collect();
    let (parsed, gold) = (inputs.text("parsed")?, inputs.text("gold")?);
    let mut gold = read_lines::<GoldLine<'_>>("gold", &gold);
    let items = match inputs.find("items") {
        Some(_) => inputs.text("items")?,
        None => String::new(),
    };
    let mut items = items.split('\n').filter(|line| !line.is_empty());
    let fields: Vec<&str> = scorers.iter().filter_map(ColumnScorer::options).collect();
    let mut options: Vec<(&str, Vec<String>)> = Vec::new();
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
            options.clear();
        };
        if options.is_empty() && !fields.is_empty() {
            options = options_of(&mut items, &draw.item, &fields)?;
        }
        let mut line = scored(&draw, truth, &normal_context, &options, &scorers, params);
        for (name, verdicts) in &mut people {
            let said = verdicts.next().ok_or_else(|| unexpected(name, "it has fewer draws than `parsed`"))??;
            if said.item.as_str() != draw.item.as_str() || said.n != draw.n {
                return Err(unexpected(name, "its draws are not those of `parsed`"));
            }
            add_said(&mut line, name, said.scores.and_then(|scores| scores.get(name)), &draw, params);
        }
        write_line("scores", &mut out, &line)?;
    }
    outputs.put("scores", out)
}

fn scored<'a>(
    draw: &'a ParsedDraw<'_>,
    truth: &GoldLine<'_>,
    normal_context: &OnceCell<String>,
    options: &[(&str, Vec<String>)],
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
        options: &[],
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
                let own = options.iter().find(|(field, _)| Some(*field) == scorer.options());
                let gold = Gold { options: own.map_or(&[], |(_, options)| options), ..gold };
                let said = scorer.score(answer, &gold);
                support = support.or(said.support.filter(|_| params.support_shares));
                // An answer in which a scorer finds nothing to compare has no answer, as far as this scorer goes.
                if !(said.is_unclear && params.outcomes.no_answer == OutcomeRule::Missing) {
                    scores.extend(names.zip(said.values));
                }
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

/// Adds what people said of a draw; one that is wrong by its status is wrong without being read.
fn add_said<'a>(
    line: &mut ScoredDraw<'a>,
    name: &'a str,
    said: Option<f64>,
    draw: &ParsedDraw<'_>,
    params: &ScoreParams,
) {
    let value = match rule_for(draw.status, draw.answer.is_some(), params.outcomes) {
        OutcomeRule::AsIs => said,
        OutcomeRule::Wrong => Some(wrong_score(name, false)),
        OutcomeRule::Missing => None,
    };
    if let (Some(scores), Some(value)) = (&mut line.scores, value) {
        scores.0.push((name.into(), value));
    }
}

/// Goes on to an item's line and reads what its fields offer to choose from.
fn options_of<'f, 'i>(
    items: &mut impl Iterator<Item = &'i str>,
    id: &str,
    fields: &[&'f str],
) -> Result<Vec<(&'f str, Vec<String>)>, StepError> {
    let absent = || unexpected("items", format_args!("it has no line for the item `{id}`, or not here"));
    loop {
        let line = items.next().ok_or_else(absent)?;
        let item = Item::read_question(line).map_err(|problem| unexpected("items", problem.message))?;
        if item.id == id {
            return fields
                .iter()
                .map(|&field| {
                    let options = item.options(field);
                    options.map(|options| (field, options)).ok_or_else(|| no_options(id, field))
                })
                .collect();
        }
    }
}

fn no_options(id: &str, field: &str) -> StepError {
    StepError::Inputs(vec![InputProblem {
        file: "scorers.choice.options".to_owned(),
        line: None,
        column: None,
        source_line: None,
        message: format!("the field `{field}` of the item `{id}` lists no options"),
        remedy: "name a field that holds a list of 2 to 26 texts, or an object with a text for each letter from A on"
            .to_owned(),
    }])
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
            labels: Vec::new(),
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
    fn options_of_items_and_answers_that_choose_none() {
        let settings = ScorerSettings::Choice {
            options: crate::plan::Options::Field("q.o".to_owned()),
            gold: crate::plan::GoldOption::TextOrLetter,
        };
        let scorer = ScorerConfig { name: "choice".to_owned(), settings };
        let run_with = |no_answer, items: &str| {
            let outcomes = Outcomes { no_answer, ..Outcomes::default() };
            let scorers = vec![RevisedScorer { scorer: scorer.clone(), revision: 1 }];
            let params = ScoreParams { scorers, outcomes, open: false, support_shares: false, labels: Vec::new() };
            let parsed = concat!(
                r#"{"item":"a","n":0,"status":"stop","text":"B","answer":"B"}"#,
                "\n",
                r#"{"item":"a","n":1,"status":"stop","text":"x","answer":"x"}"#,
                "\n",
                r#"{"item":"c","n":0,"status":"stop","text":"A","answer":"A"}"#
            );
            let inputs = [("gold", GOLD), ("parsed", parsed), ("items", items)];
            run_in_memory(&inputs, |inputs, outputs| run(&params, inputs, outputs))
                .map(|mut out| out.remove("scores").unwrap())
        };
        let items = concat!(
            r#"{"id":"a","question":"?","fields":{"q":{"o":["Rome","Paris"]}}}"#,
            "\n",
            r#"{"id":"b","question":"?","fields":{}}"#,
            "\n",
            r#"{"id":"c","question":"?","fields":{"q":{"o":{"B":"Oslo","A":"Rome"}}}}"#
        );
        let scores = |no_answer| {
            let scores = run_with(no_answer, items).unwrap();
            scores.lines().map(|line| line.split("\"status\":\"stop\"").nth(1).unwrap().to_owned()).collect::<Vec<_>>()
        };
        let right = r#","scores":{"choice":1.0}}"#;
        assert_eq!(scores(OutcomeRule::Wrong), [right, r#","scores":{"choice":0.0}}"#, right]);
        assert_eq!(scores(OutcomeRule::Missing), [right, r#","scores":{}}"#, right]);
        let error = run_with(OutcomeRule::Wrong, &items.replace("\"o\":[", "\"p\":[")).unwrap_err();
        let StepError::Inputs(problems) = error else { panic!("{error}") };
        assert_eq!(problems[0].message, "the field `q.o` of the item `a` lists no options");
    }

    #[test]
    fn an_item_without_gold_is_refused() {
        let parsed = r#"{"item":"z","n":0,"status":"stop","text":"x","answer":"x"}"#;
        assert!(score(Outcomes::default(), parsed).unwrap_err().to_string().contains("`z`"));
    }
}
