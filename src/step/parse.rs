//! Takes reasoning and answer out of each text.

use super::draw_status::DrawStatus;
use super::json_lines::{read_lines, unexpected, write_line};
use super::parsed_draw::ParsedDraw;
use super::scorers::picked;
use super::text::Text;
use super::{Inputs, Outputs, StepError};
use crate::plan::{AnswerConfig, IfAbsent, ParseParams};
use crate::request::{AnswerStatus, FailureCode, Usage};
use crate::scoring::{self, Extraction, split_reasoning};

/// Is one line of an `answers` blob.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerLine<'a> {
    #[serde(borrow)]
    item: Text<'a>,
    n: u32,
    #[serde(borrow, default)]
    answer: Option<AnswerView<'a>>,
    #[serde(default)]
    failure: Option<FailureCode>,
}

/// Is an answer, borrowed from its line.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerView<'a> {
    status: AnswerStatus,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow, default)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    served_model: Option<Text<'a>>,
    #[serde(default)]
    usage: Usage,
}

/// Writes `parsed`: one line for each line of `answers`, in its order.
pub fn run(params: &ParseParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let extraction = params.extraction.as_ref().map(extraction).transpose()?;
    let answers = inputs.text("answers")?;
    let mut out = Vec::with_capacity(answers.len());
    for line in read_lines::<AnswerLine<'_>>("answers", &answers) {
        let line = line?;
        let (visible, inline) = match &line.answer {
            Some(answer) => {
                let (inline, visible) = split_reasoning(&answer.text);
                (visible, inline)
            }
            None => (String::new(), None),
        };
        write_line("parsed", &mut out, &parsed(&line, &visible, inline, extraction.as_ref())?)?;
    }
    outputs.put("parsed", out)
}

pub(super) fn extraction(config: &AnswerConfig) -> Result<Extraction, StepError> {
    let if_absent = match config.if_absent {
        IfAbsent::Whole => scoring::IfAbsent::Whole,
        IfAbsent::Missing => scoring::IfAbsent::Missing,
    };
    Extraction::new(&config.extract, picked(config.pick), if_absent)
        .map_err(|error| unexpected("the extraction", error))
}

/// Takes one line apart. `visible` is its text without the `inline` reasoning.
fn parsed<'a>(
    line: &'a AnswerLine<'a>,
    visible: &'a str,
    inline: Option<String>,
    extraction: Option<&Extraction>,
) -> Result<ParsedDraw<'a>, StepError> {
    let (item, n) = (Text::from(line.item.as_str()), line.n);
    let answer = match (&line.answer, line.failure) {
        (Some(answer), None) => answer,
        (None, Some(code)) => {
            return Ok(ParsedDraw {
                item,
                n,
                status: DrawStatus::Failed(code),
                text: None,
                answer: None,
                reasoning: None,
                raw: None,
                finish_reason: None,
                served_model: None,
                usage: Usage::default(),
            });
        }
        _ => return Err(unexpected("answers", format_args!("draw {n} of `{item}` is not an answer or a failure"))),
    };
    let text = trimmed(visible);
    let extracted = extraction.map_or(Some(text), |rule| rule.apply(text).answer);
    let raw = answer.text.as_str();
    Ok(ParsedDraw {
        item,
        n,
        status: status(answer.status, text, extracted),
        text: Some(text.into()),
        answer: extracted.map(Into::into),
        reasoning: joined(answer.reasoning.as_deref(), inline),
        raw: (raw != text).then(|| raw.into()),
        finish_reason: answer.finish_reason.as_deref().map(Into::into),
        served_model: answer.served_model.as_deref().map(Into::into),
        usage: answer.usage,
    })
}

/// Decides the status. What a provider said of a response outweighs what its text looks like: an answer whose limit was
/// used up by reasoning was cut, and a refusal with no text is a refusal.
fn status(answered: AnswerStatus, text: &str, extracted: Option<&str>) -> DrawStatus {
    match answered {
        AnswerStatus::Stop if text.is_empty() => DrawStatus::Answered(AnswerStatus::Empty),
        AnswerStatus::Stop if extracted.is_none() => DrawStatus::NoAnswer,
        status => DrawStatus::Answered(status),
    }
}

fn joined(field: Option<&str>, inline: Option<String>) -> Option<Text<'_>> {
    match (field, inline) {
        (Some(field), Some(inline)) => Some(format!("{field}\n{inline}").into()),
        (Some(field), None) => Some(field.into()),
        (None, inline) => inline.map(Into::into),
    }
}

/// Takes white space off both ends as Python's `str.strip` does: the information separators count, U+200B does not.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Pick;
    use crate::step::memory::run_in_memory;

    fn parse(extraction: Option<(&str, IfAbsent)>, answers: &str) -> Vec<String> {
        let extraction = extraction.map(|(extract, if_absent)| AnswerConfig {
            extract: extract.to_owned(),
            pick: Pick::Last,
            if_absent,
        });
        let params = ParseParams { extraction };
        let outputs = run_in_memory(&[("answers", answers)], |inputs, outputs| run(&params, inputs, outputs)).unwrap();
        outputs["parsed"].lines().map(str::to_owned).collect()
    }

    fn answer(status: &str, text: &str) -> String {
        let text = serde_json::to_string(text).unwrap();
        format!(r#"{{"item":"a","n":0,"answer":{{"status":"{status}","text":{text},"usage":{{}}}}}}"#)
    }

    #[test]
    fn a_plain_answer_keeps_everything_and_no_raw() {
        let line = concat!(
            r#"{"item":"a|1","n":2,"answer":{"status":"stop","text":"Paris","reasoning":"hm","finish_reason":"end_turn","#,
            r#""served_model":"m-1","usage":{"input_tokens":3,"output_tokens":0}}}"#
        );
        let expected = concat!(
            r#"{"item":"a|1","n":2,"status":"stop","text":"Paris","answer":"Paris","reasoning":"hm","#,
            r#""finish_reason":"end_turn","served_model":"m-1","usage":{"input_tokens":3,"output_tokens":0}}"#
        );
        assert_eq!(parse(None, line), [expected]);
    }

    #[test]
    fn reasoning_never_enters_the_text() {
        let line = r#"{"item":"a","n":0,"answer":{"status":"stop","text":"<think>x\ny</think>\u001c Rome\n","reasoning":"z"}}"#;
        let expected = concat!(
            r#"{"item":"a","n":0,"status":"stop","text":"Rome","answer":"Rome","reasoning":"z\nx\ny","#,
            r#""raw":"<think>x\ny</think>\u001c Rome\n"}"#
        );
        assert_eq!(parse(None, line), [expected]);
    }

    #[test]
    fn empty_text_is_a_status_unless_the_provider_gave_one() {
        let status = |status, text| {
            let line = parse(None, &answer(status, text)).remove(0);
            let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
            parsed["status"].as_str().unwrap().to_owned()
        };
        assert_eq!(status("stop", " \u{1f}\n"), "empty");
        assert_eq!(status("stop", "<think>so</think>"), "empty");
        assert_eq!(status("empty", ""), "empty");
        assert_eq!(status("length", "<think>so"), "length");
        assert_eq!(status("refusal", ""), "refusal");
        assert_eq!(status("content_filter", ""), "content_filter");
    }

    #[test]
    fn an_extraction_that_finds_nothing_is_a_status() {
        let extract = Some(("(?m)^Answer: (.+)$", IfAbsent::Missing));
        let lines = [answer("stop", "x\nAnswer: 3 "), answer("stop", "x"), answer("length", "x")].join("\n");
        let lines = parse(extract, &lines);
        assert!(lines[0].contains(r#""status":"stop","text":"x\nAnswer: 3","answer":"3""#), "{}", lines[0]);
        assert!(lines[1].contains(r#""status":"no_answer","text":"x"}"#), "{}", lines[1]);
        assert!(lines[2].contains(r#""status":"length","text":"x"}"#), "{}", lines[2]);
        let whole = parse(Some(("#### (.+)", IfAbsent::Whole)), &answer("stop", "x"));
        assert!(whole[0].contains(r#""status":"stop","text":"x","answer":"x""#), "{}", whole[0]);
    }

    #[test]
    fn a_failure_has_no_text() {
        let lines = parse(None, r#"{"item":"a","n":1,"failure":"no_recording"}"#);
        assert_eq!(lines, [r#"{"item":"a","n":1,"status":"failed:no_recording"}"#]);
    }

    #[test]
    fn a_line_that_is_neither_is_refused() {
        let params = ParseParams { extraction: None };
        let answers = [("answers", r#"{"item":"a","n":1}"#)];
        let error = run_in_memory(&answers, |inputs, outputs| run(&params, inputs, outputs)).unwrap_err();
        assert!(error.to_string().contains("draw 1 of `a`"), "{error}");
    }
}
