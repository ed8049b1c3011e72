use std::fmt::Write as _;

use super::{DiffPart, PageItem, PageVerdict, escape, word_diff};
use crate::report::number::{NONE, value};
use crate::report::{MetricRow, Unit};

/// Is how much of one text is shown, in characters.
const LONGEST: usize = 20_000;

impl PageItem {
    /// Renders the item: question, passage, gold answers, both answers side by side with what differs, scores.
    pub(super) fn card(&self) -> String {
        let statuses: Vec<&str> = {
            let mut all: Vec<&str> = self.arms.iter().flat_map(|arm| &arm.statuses).map(String::as_str).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let fields = self.fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n");
        let flip = match self.flip {
            "up" => "<span class=\"badge up\">treatment higher</span>",
            "down" => "<span class=\"badge down\">control higher</span>",
            _ => "<span class=\"badge\">differs otherwise</span>",
        };
        let mut html = format!(
            "<details class=\"item\" data-flip=\"{}\" data-dataset=\"{}\" data-status=\"{}\" data-fields=\"{}\"><summary>{flip} \
             <code>{}</code> <code>{}</code> <span class=\"q\">{}</span></summary>",
            self.flip,
            escape(&self.dataset),
            escape(&format!(" {} ", statuses.join(" "))),
            escape(&fields),
            escape(&self.dataset),
            escape(&begun(&self.id, 120)),
            escape(&begun(&self.question, 160)),
        );
        let _ = write!(html, "<dl><dt>Question</dt><dd class=\"t\" dir=\"auto\">{}</dd>", shown(&self.question));
        if let Some(passage) = &self.passage {
            let _ = write!(html, "<dt>Passage</dt><dd class=\"t\" dir=\"auto\">{}</dd>", shown(passage));
        }
        let gold = if self.is_unanswerable {
            "<em>none: the question is unanswerable</em>".to_owned()
        } else {
            let answers = self.gold.iter().map(|answer| format!("<li dir=\"auto\">{}</li>", shown(answer)));
            format!("<ul>{}</ul>", answers.collect::<String>())
        };
        let _ = write!(html, "<dt>Gold</dt><dd>{gold}</dd>");
        for (name, value) in &self.fields {
            let _ = write!(html, "<dt><code>{}</code></dt><dd dir=\"auto\">{}</dd>", escape(name), shown(value));
        }
        html.push_str("</dl>");
        html.push_str(&self.answers());
        html.push_str(&self.score_table());
        html + "</details>\n"
    }

    fn answers(&self) -> String {
        let texts = [0, 1].map(|arm: usize| self.arms[arm].text.as_deref().map(|text| cut(text, LONGEST)));
        let both = match &texts {
            [Some(control), Some(treatment)] => word_diff(control, treatment),
            _ => texts.clone().map(|text| text.into_iter().map(|text| DiffPart { text, is_own: false }).collect()),
        };
        let mut html = String::from("<div class=\"pair\">");
        for (arm, (name, parts)) in ["control", "treatment"].into_iter().zip(both).enumerate() {
            let answer = &self.arms[arm];
            let _ = write!(html, "<div class=\"{name}-side\"><h4>{name}{}</h4>", draw_words(answer));
            if answer.text.is_none() {
                html.push_str("<p class=\"none\">no answer</p>");
            } else {
                html.push_str("<p class=\"t\" dir=\"auto\">");
                for part in parts {
                    let text = escape(&part.text);
                    let _ = if part.is_own { write!(html, "<mark>{text}</mark>") } else { write!(html, "{text}") };
                }
                html.push_str(&cut_note(answer.text.as_deref().unwrap_or_default()));
                html.push_str("</p>");
            }
            if let Some(read) = &answer.answer {
                let _ = write!(html, "<p class=\"read\">read as <q class=\"t\" dir=\"auto\">{}</q></p>", shown(read));
            }
            if let Some(reasoning) = &answer.reasoning {
                let _ = write!(
                    html,
                    "<details><summary>reasoning</summary><p class=\"t\" dir=\"auto\">{}</p></details>",
                    shown(reasoning)
                );
            }
            for verdict in &answer.verdicts {
                write_verdict(verdict, &mut html);
            }
            html.push_str("</div>");
        }
        html + "</div>"
    }

    fn score_table(&self) -> String {
        let mut html = String::from(
            "<table class=\"scores\"><thead><tr><th>Score</th><th class=\"r\">control</th><th class=\"r\">treatment</th></tr></thead><tbody>",
        );
        for (name, unit, arms) in &self.scores {
            let cell = |score: Option<f64>| score.map_or_else(|| NONE.to_owned(), |score| value(*unit, score));
            let class = if arms[0] == arms[1] { "" } else { " class=\"differs\"" };
            let _ = write!(
                html,
                "<tr{class}><td>{}</td><td class=\"r\">{}</td><td class=\"r\">{}</td></tr>",
                MetricRow::named(name).name_words().html(),
                cell(arms[0]),
                cell(arms[1])
            );
        }
        html + "</tbody></table>"
    }
}

impl PageItem {
    /// Returns the unit in which a metric is written.
    pub fn unit_of(metric: &str) -> Unit {
        if metric == "output_tokens" { Unit::Count } else { Unit::Share }
    }
}

/// Writes what an answer was said to be worth, and in a fold the words in which a model said so.
fn write_verdict(verdict: &PageVerdict, html: &mut String) {
    let by = escape(&verdict.by);
    let _ = write!(html, "<p class=\"read\"><code>{by}</code> {}", PageVerdict::worth(verdict.value));
    if verdict.said.len() > 1 || verdict.said.iter().any(|(rater, ..)| !rater.is_empty()) {
        let said = verdict.said.iter();
        let each =
            said.map(|(rater, worth, _)| format!("<code>{}</code>: {}", escape(rater), PageVerdict::worth(*worth)));
        let _ = write!(html, " ({})", each.collect::<Vec<_>>().join(", "));
    }
    html.push_str("</p>");
    let texts: Vec<(&String, &String)> =
        verdict.said.iter().filter_map(|(rater, _, text)| Some((rater, text.as_ref()?))).collect();
    if !texts.is_empty() {
        let is_one = texts.len() == 1;
        let _ = write!(html, "<details><summary>what <code>{by}</code> said</summary>");
        for (rater, text) in texts {
            if !is_one {
                let _ = write!(html, "<p class=\"read\"><code>{}</code></p>", escape(rater));
            }
            let _ = write!(html, "<p class=\"t\" dir=\"auto\">{}</p>", shown(text));
        }
        html.push_str("</details>");
    }
}

fn draw_words(answer: &super::PageAnswer) -> String {
    match answer.statuses.as_slice() {
        [] => " · <small>not built</small>".to_owned(),
        [only] => format!(" · <small>{}</small>", escape(only)),
        many => format!(" · <small>draw {} of {}: {}</small>", answer.draw + 1, many.len(), escape(&many.join(", "))),
    }
}

/// Writes a text, cut where it is very long, which is then said.
fn shown(text: &str) -> String {
    escape(&cut(text, LONGEST)) + &cut_note(text)
}

fn cut_note(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST {
        return String::new();
    }
    let all = crate::report::number::count(length as u64);
    format!("<em class=\"cut\"> … cut here; {all} characters in all, whole in predictions.csv</em>")
}

fn cut(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

/// Returns the beginning of a text, at most so many characters, up to a word's end where there is one, and says where it goes
/// on.
fn begun(text: &str, longest: usize) -> String {
    let beginning = cut(text, longest);
    if beginning.len() == text.len() {
        return beginning;
    }
    let whole = beginning.rsplit_once(char::is_whitespace).map_or(&*beginning, |(whole, _)| whole);
    format!("{} …", whole.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_shown_with_its_words_as_text() {
        let said = vec![
            ("draw 0".to_owned(), Some(1.0), Some("Verdict: <b>Correct</b>\u{202e}".to_owned())),
            ("draw <1>".to_owned(), None, Some("who knows".to_owned())),
        ];
        let mut html = String::new();
        write_verdict(&PageVerdict { by: "judge&".to_owned(), value: Some(0.5), said }, &mut html);
        assert_eq!(
            html,
            "<p class=\"read\"><code>judge&amp;</code> 0.5 (<code>draw 0</code>: 1, <code>draw &lt;1&gt;</code>: no verdict)</p>\
             <details><summary>what <code>judge&amp;</code> said</summary>\
             <p class=\"read\"><code>draw 0</code></p><p class=\"t\" dir=\"auto\">Verdict: &lt;b&gt;Correct&lt;/b&gt;[U+202E]</p>\
             <p class=\"read\"><code>draw &lt;1&gt;</code></p><p class=\"t\" dir=\"auto\">who knows</p></details>"
        );
    }

    #[test]
    fn a_beginning_ends_with_a_word() {
        assert_eq!(begun("Who built the mill?", 40), "Who built the mill?");
        assert_eq!(begun("Who built the mill?", 12), "Who built …");
        assert_eq!(begun("Donaudampfschiff", 5), "Donau …");
    }
}
