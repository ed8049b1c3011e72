//! Finds what people said of each answer.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::ControlFlow;

use super::dataset::{Json, Layout, Problems, Row, Surrogates, each_row};
use super::json_lines::read_lines;
use super::parsed_draw::ParsedDraw;
use super::verdicts::{Rated, worth};
use super::{Inputs, Outputs, StepError};
use crate::plan::{LabelsParams, RecordingFormat};

/// Is one verdict of the file that is about this model and arm.
struct Verdict {
    draw: Option<u32>,
    answer: Option<String>,
    rater: String,
    value: f64,
    line: u64,
}

/// Reads the inputs `parsed` and `labels`, and gives `scores` and `verdicts`: a line for each line of `parsed`, in its order.
///
/// A verdict is about a draw if it names its item and, as far as it says so, its model, arm, number and text. The text
/// is the draw's text or the answer that was taken out of it, white space around it aside. Verdicts about no draw of this
/// part are passed over. Errors: [`StepError::Inputs`] at the row that cannot be read, or that contradicts another.
pub fn run(params: &LabelsParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let parsed = inputs.text("parsed")?;
    let label = inputs.need("labels")?.label.clone();
    let mut problems = Problems::new(label.clone());
    let mut by_item: HashMap<String, Vec<Verdict>> = HashMap::new();
    let mut source = inputs.open("labels")?;
    let layout = match params.reading.format {
        RecordingFormat::Jsonl => Layout::Lines,
        RecordingFormat::Csv => Layout::Delimited(b','),
        RecordingFormat::Tsv => Layout::Delimited(b'\t'),
        RecordingFormat::Json | RecordingFormat::JsonMap => Layout::Array,
    };
    let mut visit = |row: Row<'_>, problems: &mut Problems| {
        if let Some((item, verdict)) = verdict(params, &row, problems) {
            by_item.entry(item).or_default().push(verdict);
        }
        ControlFlow::Continue(())
    };
    let unreadable = |error: io::Error| StepError::Read { input: label.clone(), source: error.into() };
    each_row(&mut source, layout, Surrogates::Replace, &mut problems, &mut visit).map_err(unreadable)?;
    io::copy(&mut source, &mut io::sink()).map_err(unreadable)?;
    let mut rated = Rated::new(&params.name, params.reading.rule);
    for draw in read_lines::<ParsedDraw<'_>>("parsed", &parsed) {
        let draw = draw?;
        let of_item = by_item.get(draw.item.as_str()).map_or(&[][..], Vec::as_slice);
        let raters = said_of(&draw, of_item, &mut problems);
        rated.add(&draw, raters)?;
    }
    problems.finish()?;
    rated.put(outputs)
}

/// Reads a row; none where it is about another model or arm, or says nothing yet.
fn verdict(params: &LabelsParams, row: &Row<'_>, problems: &mut Problems) -> Option<(String, Verdict)> {
    let fields = &params.reading.fields;
    let find = |path: &str| -> Option<(String, usize)> {
        let found = row.value.find(path)?;
        let text = found.value.to_text().into_owned();
        (!matches!(found.value, Json::Null) && !text.trim().is_empty()).then_some((text, found.at))
    };
    let text = |path: &str| find(path).map(|(text, _)| text);
    let is_about = |path: &str, this: &str| text(path).is_none_or(|other| other.trim() == this);
    let needed = |path: &str, problems: &mut Problems| {
        let message = format!("the verdict has no `{path}`");
        let remedy = "give each row one, or say under `fields` which field it is".to_owned();
        problems.row(&row.origin, row.at, message, remedy);
    };
    let Some(item) = text(&fields.item) else {
        needed(&fields.item, problems);
        return None;
    };
    if row.value.find(&fields.verdict).is_none() {
        needed(&fields.verdict, problems);
        return None;
    }
    let (said, at) = find(&fields.verdict)?;
    let Some(value) = worth(&params.reading.values, said.trim()) else {
        let known: Vec<&str> = params.reading.values.keys().map(String::as_str).collect();
        let remedy = if known.is_empty() {
            "write `true`, `false` or a number from 0 to 1, or say what it is worth under `values`".to_owned()
        } else {
            format!("`values` knows {}", known.join(", "))
        };
        problems.at(&row.origin, at, format!("`{}` is no verdict", said.trim()), remedy);
        return None;
    };
    let draw = match find(&fields.draw) {
        None => None,
        Some((text, at)) => {
            let Ok(number) = text.trim().parse() else {
                let message = format!("`{}` is no number of a draw", text.trim());
                problems.at(&row.origin, at, message, "draws are numbered from 0");
                return None;
            };
            Some(number)
        }
    };
    if !is_about(&fields.model, &params.model) || !is_about(&fields.arm, &params.arm) {
        return None;
    }
    let rater = text(&fields.rater).map_or_else(String::new, |rater| rater.trim().to_owned());
    let answer = text(&fields.answer).map(|answer| answer.trim().to_owned());
    Some((item, Verdict { draw, answer, rater, value, line: row.line }))
}

/// Collects what each rater said of a draw. Saying it twice is nothing new; saying two things is a fault of the file.
fn said_of(draw: &ParsedDraw<'_>, verdicts: &[Verdict], problems: &mut Problems) -> BTreeMap<String, f64> {
    let trimmed = |text: &Option<super::text::Text<'_>>| text.as_deref().map(|text| text.trim().to_owned());
    let (text, answer) = (trimmed(&draw.text), trimmed(&draw.answer));
    let mut raters: BTreeMap<String, (f64, u64)> = BTreeMap::new();
    for verdict in verdicts {
        let is_text = verdict.answer.is_none() || verdict.answer == text || verdict.answer == answer;
        if !is_text || verdict.draw.is_some_and(|n| n != draw.n) {
            continue;
        }
        let first = *raters.entry(verdict.rater.clone()).or_insert((verdict.value, verdict.line));
        if first.0.to_bits() != verdict.value.to_bits() {
            let message = format!(
                "the rater `{}` says two things of draw {} of `{}`: on line {} and on line {}",
                verdict.rater, draw.n, draw.item, first.1, verdict.line
            );
            problems.file(message, "keep one of the two rows, or tell the answers apart by `model`, `arm` or `draw`");
        }
    }
    raters.into_iter().map(|(rater, (value, _))| (rater, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{LabelFields, LabelReading, LabelRule};
    use crate::step::memory::run_in_memory;

    const PARSED: &str = concat!(
        r#"{"item":"a","n":0,"status":"stop","text":"So: Rome ","answer":"Rome"}"#,
        "\n",
        r#"{"item":"a","n":1,"status":"stop","text":"Oslo","answer":"Oslo"}"#,
        "\n",
        r#"{"item":"b","n":0,"status":"failed:timeout"}"#,
        "\n"
    );

    fn params(values: &[(&str, &str)], rule: LabelRule) -> LabelsParams {
        let field = str::to_owned;
        let fields = LabelFields {
            item: field("item"),
            model: field("model"),
            arm: field("arm"),
            draw: field("draw"),
            answer: field("answer"),
            rater: field("rater"),
            verdict: field("verdict"),
        };
        let values = values.iter().map(|(text, worth)| (field(text), worth.parse().unwrap())).collect();
        let reading = LabelReading { format: RecordingFormat::Csv, fields, values, rule };
        LabelsParams { name: "people".to_owned(), reading, model: "m".to_owned(), arm: "control".to_owned() }
    }

    fn labels(params: &LabelsParams, csv: &str) -> Result<BTreeMap<String, String>, StepError> {
        run_in_memory(&[("parsed", PARSED), ("labels", csv)], |inputs, outputs| run(params, inputs, outputs))
    }

    fn raters(out: &BTreeMap<String, String>) -> Vec<String> {
        let of = |line: &str| line.split(r#""raters":"#).nth(1).unwrap().trim_end_matches('}').to_owned() + "}";
        out["verdicts"].lines().map(of).collect()
    }

    #[test]
    fn verdicts_are_joined_by_what_they_name() {
        let csv = "item,model,arm,draw,answer,rater,verdict\n\
                   a,,,,Rome,ann,1\n\
                   a,m,control,0,,bob,false\n\
                   a,,,1,,bob,0.5\n\
                   a,other,,,,cyd,1\n\
                   a,,brief,,,cyd,1\n\
                   a,,,,Paris,cyd,1\n\
                   a,,,0,,dan,\n\
                   z,,,,,ann,1\n";
        let out = labels(&params(&[], LabelRule::Majority), csv).unwrap();
        assert_eq!(raters(&out), [r#"{"ann":1.0,"bob":0.0}"#, r#"{"bob":0.5}"#, "{}"]);
        let expected = [
            r#"{"item":"a","n":0,"status":"stop","scores":{"people":0.5}}"#,
            r#"{"item":"a","n":1,"status":"stop","scores":{"people":0.5}}"#,
            r#"{"item":"b","n":0,"status":"failed:timeout","missing":true}"#,
        ];
        assert_eq!(out["scores"].lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_verdict_without_a_rater_is_by_the_one_rater() {
        let out = labels(&params(&[("ok", "1"), ("no", "0")], LabelRule::Majority), "item,verdict\na,ok\na, ok \n");
        assert_eq!(raters(&out.unwrap()), [r#"{"":1.0}"#, r#"{"":1.0}"#, "{}"]);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        let problem = |values: &[(&str, &str)], csv: &str| {
            let StepError::Inputs(mut found) = labels(&params(values, LabelRule::Majority), csv).unwrap_err() else {
                panic!("another error")
            };
            let found = found.remove(0);
            (found.line, found.message)
        };
        assert_eq!(problem(&[], "item,verdict\na,yes\n"), (Some(2), "`yes` is no verdict".to_owned()));
        assert_eq!(problem(&[("ok", "1")], "item,verdict\na,1\n"), (Some(2), "`1` is no verdict".to_owned()));
        assert_eq!(problem(&[], "item,verdict\n,1\n"), (Some(2), "the verdict has no `item`".to_owned()));
        assert_eq!(problem(&[], "item,said\na,1\n"), (Some(2), "the verdict has no `verdict`".to_owned()));
        let draw = problem(&[], "item,draw,verdict\na,first,1\n");
        assert_eq!(draw, (Some(2), "`first` is no number of a draw".to_owned()));
        let twice = problem(&[], "item,rater,verdict\na,ann,1\na,ann,0\n");
        let message = "the rater `ann` says two things of draw 0 of `a`: on line 2 and on line 3";
        assert_eq!(twice, (None, message.to_owned()));
    }
}
