//! Makes the requests of a model that compares the arms' answers.

use std::borrow::Cow;

use super::dataset::Item;
use super::draw_status::DrawStatus;
use super::json_lines::{read_lines, unexpected, write_line};
use super::judge_templates::{JudgeTemplates, Required, asked};
use super::judged_items::judged_items;
use super::outcome::rule_for;
use super::parsed_draw::ParsedDraw;
use super::requests::RequestsWriter;
use super::text::Text;
use super::{Inputs, Outputs, StepError};
use crate::plan::{JudgeBuildParams, OutcomeRule, PairOrder};
use crate::request::Message;

/// Is one line of a `pairs` blob: two draws with the same number, and what became of their comparison.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PairLine<'a> {
    /// The item's id.
    #[serde(borrow)]
    pub(super) item: Text<'a>,
    /// The draws' number.
    pub(super) n: u32,
    /// What became of the control's draw, and of the treatment's.
    pub(super) statuses: [DrawStatus; 2],
    /// Whether a rule of its status decides about the control's draw, or the treatment's: the pair is not compared.
    #[serde(default, skip_serializing_if = "is_neither")]
    pub(super) decided: [bool; 2],
    /// How many characters (Unicode scalar values) the judge sees of the control's answer, and of the treatment's.
    pub(super) lengths: [u64; 2],
    /// Whether the judge would read the same in both orders, so that nobody is asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_same: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // Serde gives a reference.
fn is_neither(decided: &[bool; 2]) -> bool {
    *decided == [false; 2]
}

/// Reads `items`, `gold`, `control` and `treatment` (parsed draws) and the templates `user` and `system`, and gives `requests`, two for
/// each pair of draws with the same number of which no rule of a status decides either, and `pairs`, a line for each pair.
///
/// In the first order A is the control's answer, in the second the treatment's. Where both orders read the same, there are no
/// requests: nobody could tell the answers apart.
///
/// Errors: [`StepError::Inputs`] at the place in a template: no field, one that the item does not have, an answer that is not shown.
pub fn run(params: &JudgeBuildParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let templates = Templates::read(inputs)?;
    let [items, gold, control, treatment] = ["items", "gold", "control", "treatment"].map(|name| inputs.text(name));
    let (items, gold, control, treatment) = (items?, gold?, control?, treatment?);
    let mut items = judged_items(&items, &gold);
    let mut writer = RequestsWriter::new(asked(params))?;
    let mut pairs = Vec::new();
    let mut others = read_lines::<ParsedDraw<'_>>("treatment", &treatment);
    for draw in read_lines::<ParsedDraw<'_>>("control", &control) {
        let draw = draw?;
        let other = others.next().transpose()?.filter(|other| (&other.item, other.n) == (&draw.item, draw.n));
        let Some(other) = other else {
            return Err(unexpected("treatment", "its draws are not those of `control`"));
        };
        let (item, accepted) = items.of(&draw.item)?;
        let draws = [&draw, &other];
        let decided =
            draws.map(|draw| rule_for(draw.status, draw.answer.is_some(), params.outcomes) != OutcomeRule::AsIs);
        let mut line = PairLine {
            item: draw.item.as_str().into(),
            n: draw.n,
            statuses: draws.map(|draw| draw.status),
            decided,
            lengths: draws.map(|draw| templates.length(draw)),
            is_same: false,
        };
        if is_neither(&decided) {
            let first = templates.messages((item, accepted.as_str()), [&draw, &other])?;
            let second = templates.messages((item, accepted.as_str()), [&other, &draw])?;
            line.is_same = first == second;
            if !line.is_same {
                for (order, messages) in PairOrder::BOTH.into_iter().zip([first, second]) {
                    writer.push(&order.compared_name(draw.n, &draw.item), messages, None)?;
                }
            }
        }
        write_line("pairs", &mut pairs, &line)?;
    }
    if others.next().is_some() {
        return Err(unexpected("treatment", "its draws are not those of `control`"));
    }
    outputs.put("requests", writer.finish())?;
    outputs.put("pairs", pairs)
}

/// Is what a judge is told, with the places of both answers.
struct Templates {
    templates: JudgeTemplates,
    /// Whether it is shown answers, and not only the texts of which they are a part.
    shows_answers: bool,
}

/// What the user's message has to show.
const BOTH: [Required; 2] = [
    Required {
        fields: ["answer_a", "text_a"],
        fault: "the template does not show the first answer",
        remedy: "write `{{answer_a}}` where it belongs",
    },
    Required {
        fields: ["answer_b", "text_b"],
        fault: "the template does not show the second answer",
        remedy: "write `{{answer_b}}` where it belongs",
    },
];

impl Templates {
    fn read(inputs: &Inputs<'_>) -> Result<Self, StepError> {
        let templates = JudgeTemplates::read(inputs, &BOTH)?;
        let shows_answers = templates.fields().any(|field| field.starts_with("answer_"));
        Ok(Self { templates, shows_answers })
    }

    /// Counts the characters of what is shown of a draw.
    fn length(&self, draw: &ParsedDraw<'_>) -> u64 {
        let [answer, text] = shown(draw);
        if self.shows_answers { answer } else { text }.chars().count() as u64
    }

    /// Renders what the judge reads, given which draw is A and which B.
    fn messages(
        &self,
        (item, accepted): (&Item<'_>, &str),
        draws: [&ParsedDraw<'_>; 2],
    ) -> Result<Vec<Message>, StepError> {
        let [[answer_a, text_a], [answer_b, text_b]] = draws.map(shown);
        let more = |name: &str| match name {
            "answer_a" => Some(Cow::Borrowed(answer_a)),
            "answer_b" => Some(Cow::Borrowed(answer_b)),
            "text_a" => Some(Cow::Borrowed(text_a)),
            "text_b" => Some(Cow::Borrowed(text_b)),
            "gold" => Some(Cow::Borrowed(accepted)),
            _ => None,
        };
        self.templates.messages(item, &more)
    }
}

/// Returns a draw's answer and the text of which it is a part.
fn shown<'d>(draw: &'d ParsedDraw<'_>) -> [&'d str; 2] {
    let text = draw.text.as_deref().unwrap_or_default();
    [draw.answer.as_deref().unwrap_or(text), text]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Outcomes;
    use crate::request::{Decoding, ProviderIdentity};
    use crate::step::RequestsReader;
    use crate::step::memory::run_in_memory;

    const ITEMS: &str = "{\"id\":\"a\",\"question\":\"Who?\",\"fields\":{\"kind\":\"person\"}}\n{\"id\":\"b\",\"question\":\"Where?\",\"fields\":{}}\n";
    const GOLD: &str = "{\"id\":\"a\",\"answers\":[\"Ann\"],\"unanswerable\":false}\n{\"id\":\"b\",\"answers\":[],\"unanswerable\":true}\n";

    fn parsed(draws: [(&str, &str); 3]) -> String {
        let names = [("a", 0), ("a", 1), ("b", 0)];
        let line = |((item, n), (status, text)): ((&str, u32), (&str, &str))| {
            format!(
                "{{\"item\":\"{item}\",\"n\":{n},\"status\":\"{status}\",\"text\":\"It is {text}\",\"answer\":\"{text}\"}}\n"
            )
        };
        names.into_iter().zip(draws).map(line).collect()
    }

    fn build(user: &str, control: &str, treatment: &str) -> Result<(Vec<(String, String)>, String), StepError> {
        let params = JudgeBuildParams {
            provider: ProviderIdentity("p".to_owned()),
            model: "m".to_owned(),
            revision: None,
            decoding: Decoding::default(),
            extra: std::collections::BTreeMap::new(),
            outcomes: Outcomes::default(),
        };
        let inputs = [("items", ITEMS), ("gold", GOLD), ("control", control), ("treatment", treatment), ("user", user)];
        let out = run_in_memory(&inputs, |inputs, outputs| run(&params, inputs, outputs))?;
        let asked = RequestsReader::new(out["requests"].as_bytes())?
            .map(|line| line.map(|line| (line.item, line.request.messages[0].content.to_string())))
            .collect::<Result<_, _>>()?;
        Ok((asked, out["pairs"].clone()))
    }

    #[test]
    fn a_pair_is_asked_about_in_both_orders_or_not_at_all() {
        let control = parsed([("stop", "{{gold}}"), ("refusal", "no"), ("stop", "Rome")]);
        let treatment = parsed([("stop", "Bob"), ("stop", "Ann"), ("stop", "Rome")]);
        let (asked, pairs) =
            build("{{question}} {{gold}}: {{answer_a}} or {{answer_b}}\n", &control, &treatment).unwrap();
        let expected =
            [("0.control_first/a", "Who? Ann: {{gold}} or Bob"), ("0.treatment_first/a", "Who? Ann: Bob or {{gold}}")];
        assert_eq!(asked, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
        let expected = [
            r#"{"item":"a","n":0,"statuses":["stop","stop"],"lengths":[8,3]}"#,
            r#"{"item":"a","n":1,"statuses":["refusal","stop"],"decided":[true,false],"lengths":[2,3]}"#,
            r#"{"item":"b","n":0,"statuses":["stop","stop"],"lengths":[4,4],"is_same":true}"#,
        ];
        assert_eq!(pairs.lines().collect::<Vec<_>>(), expected);
        // The length is that of what is shown.
        let (_, pairs) = build("{{text_a}} or {{text_b}}", &control, &treatment).unwrap();
        assert!(pairs.starts_with(r#"{"item":"a","n":0,"statuses":["stop","stop"],"lengths":[14,9]}"#), "{pairs}");
    }

    #[test]
    fn a_template_that_does_not_show_both_is_refused() {
        let draws = parsed([("stop", "x"), ("stop", "y"), ("stop", "z")]);
        let problems = |user: &str| match build(user, &draws, &draws) {
            Err(StepError::Inputs(found)) => found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(problems("{{answer_a}}"), ["user:1:1: the template does not show the second answer"]);
        assert_eq!(problems("Which?").len(), 2);
        assert_eq!(problems("{{answer_a}} {{text_b}} {{kinds}}"), ["user:1:25: `{{kinds}}` is no field of item `a`"]);
    }

    #[test]
    fn arms_with_other_draws_are_not_paired() {
        let control = parsed([("stop", "x"), ("stop", "y"), ("stop", "z")]);
        let fewer: String = control.lines().take(2).map(|line| line.to_owned() + "\n").collect();
        for (control, treatment) in [(&control, &fewer), (&fewer, &control)] {
            let error = build("{{answer_a}} {{answer_b}}", control, treatment).unwrap_err();
            assert!(error.to_string().contains("not those of `control`"), "{error}");
        }
    }
}
