//! Reads the verdicts of a model that judges answers.

use std::collections::{BTreeMap, HashMap};

use super::answers::AnswersReader;
use super::json_lines::read_lines;
use super::parse::extraction;
use super::parsed_draw::ParsedDraw;
use super::verdicts::{Rated, said, worth};
use super::{Inputs, Outputs, StepError};
use crate::plan::{JudgeParams, judge_rater, judged_name};
use crate::scoring::Extraction;

/// Reads `parsed` and `answers`, and gives `scores` and `verdicts`, a line for each draw of `parsed`.
///
/// A verdict is what the extraction finds, else the whole text, reasoning apart; case, and asterisks, quotation marks, full
/// stops and white space around it do not count. What is none of the known verdicts is none.
pub fn run(params: &JudgeParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let extraction = params.reading.extraction.as_ref().map(extraction).transpose()?;
    let mut all: HashMap<String, BTreeMap<String, f64>> = HashMap::new();
    for line in AnswersReader::new(inputs.open("answers")?) {
        let line = line?;
        let Some(answer) = &line.answer else { continue };
        if let Some(value) = verdict(params, extraction.as_ref(), &answer.text) {
            all.entry(line.item).or_default().insert(judge_rater(line.n), value);
        }
    }
    let parsed = inputs.text("parsed")?;
    let mut rated = Rated::new(&params.name, params.reading.rule);
    for draw in read_lines::<ParsedDraw<'_>>("parsed", &parsed) {
        let draw = draw?;
        let raters = all.remove(&judged_name(draw.n, &draw.item)).unwrap_or_default();
        rated.add(&draw, raters)?;
    }
    rated.put(outputs)
}

fn verdict(params: &JudgeParams, extraction: Option<&Extraction>, text: &str) -> Option<f64> {
    worth(&params.reading.values, &said(extraction, text)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{AnswerConfig, IfAbsent, LabelRule, Pick, VerdictReading};
    use crate::step::memory::run_in_memory;

    const PARSED: &str = concat!(
        r#"{"item":"a","n":0,"status":"stop","text":"x","answer":"x"}"#,
        "\n",
        r#"{"item":"a","n":1,"status":"refusal","text":"y"}"#,
        "\n"
    );

    fn judge(reading: VerdictReading, texts: &[&str]) -> (String, String) {
        let answers: String = texts
            .iter()
            .enumerate()
            .map(|(n, text)| {
                let text = serde_json::to_string(text).unwrap();
                format!(r#"{{"item":"0/a","n":{n},"answer":{{"status":"stop","text":{text},"usage":{{}}}}}}"#) + "\n"
            })
            .collect();
        let params = JudgeParams { name: "judge".to_owned(), reading };
        let inputs = [("parsed", PARSED), ("answers", answers.as_str())];
        let mut out = run_in_memory(&inputs, |inputs, outputs| run(&params, inputs, outputs)).unwrap();
        (out.remove("scores").unwrap(), out.remove("verdicts").unwrap())
    }

    #[test]
    fn draws_come_to_a_majority() {
        let (scores, verdicts) = judge(VerdictReading::default(), &["true", " **False**. ", "<think>1</think>TRUE"]);
        assert_eq!(
            scores.lines().collect::<Vec<_>>(),
            [
                r#"{"item":"a","n":0,"status":"stop","scores":{"judge":1.0}}"#,
                r#"{"item":"a","n":1,"status":"refusal","missing":true}"#
            ]
        );
        let first = r#"{"item":"a","n":0,"value":1.0,"raters":{"draw 0":1.0,"draw 1":0.0,"draw 2":1.0}}"#;
        assert_eq!(verdicts.lines().next(), Some(first));
        let mean = VerdictReading { rule: LabelRule::Mean, ..VerdictReading::default() };
        assert!(
            judge(mean, &["true", "0.5"])
                .0
                .starts_with(r#"{"item":"a","n":0,"status":"stop","scores":{"judge":0.75}}"#)
        );
    }

    #[test]
    fn what_is_no_verdict_is_none() {
        let extract = AnswerConfig {
            extract: "(?im)^verdict: *(.+)$".to_owned(),
            pick: Pick::Last,
            if_absent: IfAbsent::Missing,
        };
        let values = [("correct".to_owned(), "1".parse().unwrap()), ("wrong".to_owned(), "0".parse().unwrap())];
        let reading = VerdictReading { extraction: Some(extract), values: values.into(), rule: LabelRule::Majority };
        let (scores, _) = judge(reading.clone(), &["So.\nVerdict: Correct", "no idea", "Verdict: perhaps"]);
        assert!(scores.starts_with(r#"{"item":"a","n":0,"status":"stop","scores":{"judge":1.0}}"#), "{scores}");
        let (scores, verdicts) = judge(reading, &["correct"]);
        assert!(scores.starts_with(r#"{"item":"a","n":0,"status":"stop","missing":true}"#), "{scores}");
        assert!(verdicts.starts_with(r#"{"item":"a","n":0,"raters":{}}"#), "{verdicts}");
    }
}
