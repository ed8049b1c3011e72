//! Makes the requests of a model that judges answers.

use std::borrow::Cow;

use super::json_lines::read_lines;
use super::judge_templates::{JudgeTemplates, Required, asked};
use super::judged_items::judged_items;
use super::outcome::rule_for;
use super::parsed_draw::ParsedDraw;
use super::requests::RequestsWriter;
use super::{Inputs, Outputs, StepError};
use crate::plan::{JudgeBuildParams, OutcomeRule, judged_name};

/// Reads `items`, `gold`, `parsed` and the templates `user` and `system`, and gives `requests`: one for each answer that no rule
/// of its status has decided.
///
/// Errors: [`StepError::Inputs`] at the place in a template: no field, one that the item does not have, no `answer` or `text`.
pub fn run(params: &JudgeBuildParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let required = Required {
        fields: ["answer", "text"],
        fault: "the template shows the judge no answer",
        remedy: "write `{{answer}}` where the answer belongs",
    };
    let templates = JudgeTemplates::read(inputs, &[required])?;
    let (items, gold, parsed) = (inputs.text("items")?, inputs.text("gold")?, inputs.text("parsed")?);
    let mut items = judged_items(&items, &gold);
    let mut writer = RequestsWriter::new(asked(params))?;
    for draw in read_lines::<ParsedDraw<'_>>("parsed", &parsed) {
        let draw = draw?;
        let (item, accepted) = items.of(&draw.item)?;
        if rule_for(draw.status, draw.answer.is_some(), params.outcomes) != OutcomeRule::AsIs {
            continue;
        }
        let text = draw.text.as_deref().unwrap_or_default();
        let more = |name: &str| match name {
            "answer" => Some(Cow::Borrowed(draw.answer.as_deref().unwrap_or(text))),
            "text" => Some(Cow::Borrowed(text)),
            "gold" => Some(Cow::Borrowed(accepted.as_str())),
            _ => None,
        };
        let messages = templates.messages(item, &more)?;
        writer.push(&judged_name(draw.n, &draw.item), messages, None)?;
    }
    outputs.put("requests", writer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Outcomes;
    use crate::request::{Decoding, ProviderIdentity};
    use crate::step::RequestsReader;
    use crate::step::memory::run_in_memory;

    const ITEMS: &str = concat!(
        r#"{"id":"a","question":"Who?","fields":{"kind":"person"}}"#,
        "\n",
        r#"{"id":"b","question":"Where?","fields":{"kind":"place"}}"#,
        "\n"
    );
    const GOLD: &str = concat!(
        r#"{"id":"a","answers":["Ann","Anne"],"unanswerable":false}"#,
        "\n",
        r#"{"id":"b","answers":[],"unanswerable":true}"#,
        "\n"
    );
    const PARSED: &str = concat!(
        r#"{"item":"a","n":0,"status":"stop","text":"It is {{gold}}","answer":"Ann"}"#,
        "\n",
        r#"{"item":"a","n":1,"status":"length","text":"It","answer":"It"}"#,
        "\n",
        r#"{"item":"b","n":0,"status":"stop","text":"Rome","answer":"Rome"}"#,
        "\n"
    );

    fn requests(user: &str, system: Option<&str>) -> Result<Vec<(String, Vec<String>)>, StepError> {
        let params = JudgeBuildParams {
            provider: ProviderIdentity("p".to_owned()),
            model: "m".to_owned(),
            revision: None,
            decoding: Decoding::default(),
            extra: std::collections::BTreeMap::new(),
            outcomes: Outcomes::default(),
        };
        let mut inputs = vec![("items", ITEMS), ("gold", GOLD), ("parsed", PARSED), ("user", user)];
        inputs.extend(system.map(|system| ("system", system)));
        let out = run_in_memory(&inputs, |inputs, outputs| run(&params, inputs, outputs))?;
        let lines = RequestsReader::new(out["requests"].as_bytes())?;
        lines
            .map(|line| {
                line.map(|line| (line.item, line.request.messages.iter().map(|m| m.content.to_string()).collect()))
            })
            .collect()
    }

    #[test]
    fn every_answer_that_no_rule_decides_is_asked_about() {
        let asked = requests(
            "{{question}} ({{kind}})\nAccepted:\n{{gold}}\nAnswer: {{answer}}|{{text}}\n",
            Some("Judge {{id}}."),
        );
        let expected = [
            ("0/a", "Judge a.", "Who? (person)\nAccepted:\nAnn\nAnne\nAnswer: Ann|It is {{gold}}"),
            (
                "0/b",
                "Judge b.",
                "Where? (place)\nAccepted:\n(none: the question cannot be answered)\nAnswer: Rome|Rome",
            ),
        ];
        let expected = expected.map(|(item, system, user)| (item.to_owned(), vec![system.to_owned(), user.to_owned()]));
        assert_eq!(asked.unwrap(), expected);
    }

    #[test]
    fn a_template_that_shows_no_answer_is_refused() {
        let problem = |user: &str| match requests(user, None) {
            Err(StepError::Inputs(found)) => found[0].to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(problem("Is {{gold}} right?"), "user:1:1: the template shows the judge no answer");
        assert_eq!(problem("{{answer}} {{godl}}"), "user:1:12: `{{godl}}` is no field of item `a`");
    }
}
