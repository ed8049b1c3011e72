//! What several raters, or several draws of a judge, said of one answer, and what that comes to.

use std::collections::BTreeMap;

use super::Outputs;
use super::StepError;
use super::json_lines::write_line;
use super::metric_values::MetricValues;
use super::parse::trimmed;
use super::parsed_draw::ParsedDraw;
use super::scored_draw::ScoredDraw;
use crate::digest::Decimal;
use crate::plan::LabelRule;
use crate::scoring::{Extraction, split_reasoning};

/// Is one line of a `verdicts` blob: a draw, and what each rater said of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictsLine {
    /// The item's id.
    pub item: String,
    /// The draw's number.
    pub n: u32,
    /// What the raters come to; absent where nobody rated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// By rater, what their verdict is worth; empty where nobody rated it.
    pub raters: BTreeMap<String, f64>,
}

/// Makes the outputs `scores` and `verdicts` of a step by whose raters draws are scored: a line of each for each draw.
pub(super) struct Rated<'p> {
    /// The scorer's name, under which its values stand.
    name: &'p str,
    rule: LabelRule,
    scores: Vec<u8>,
    verdicts: Vec<u8>,
}

impl<'p> Rated<'p> {
    /// Starts with no draw.
    pub(super) fn new(name: &'p str, rule: LabelRule) -> Self {
        Self { name, rule, scores: Vec::new(), verdicts: Vec::new() }
    }

    /// Adds a draw with what each rater's verdict is worth; without any it has no score.
    pub(super) fn add(&mut self, draw: &ParsedDraw<'_>, raters: BTreeMap<String, f64>) -> Result<(), StepError> {
        let values: Vec<f64> = raters.values().copied().collect();
        let value = consensus(&values, self.rule);
        let line = ScoredDraw {
            item: draw.item.as_str().into(),
            n: draw.n,
            status: draw.status,
            scores: value.map(|value| MetricValues(vec![(self.name.into(), value)])),
            support: None,
            missing: value.is_none(),
        };
        write_line("scores", &mut self.scores, &line)?;
        let line = VerdictsLine { item: draw.item.as_str().to_owned(), n: draw.n, value, raters };
        write_line("verdicts", &mut self.verdicts, &line)
    }

    /// Gives the outputs.
    pub(super) fn put(self, outputs: &mut dyn Outputs) -> Result<(), StepError> {
        outputs.put("scores", self.scores)?;
        outputs.put("verdicts", self.verdicts)
    }
}

/// Returns the verdict in what a judge said, in small letters: what the extraction finds, else the whole text, reasoning apart.
/// Asterisks, quotation marks, full stops and white space around it do not count.
pub(super) fn said(extraction: Option<&Extraction>, text: &str) -> Option<String> {
    let (_, visible) = split_reasoning(text);
    let text = trimmed(&visible);
    let found = extraction.map_or(Some(text), |rule| rule.apply(text).answer)?;
    let edge = |c: char| c.is_whitespace() || matches!(c, '*' | '"' | '\'' | '`' | '.' | '“' | '”');
    Some(found.trim_matches(edge).to_lowercase())
}

/// Returns what a verdict is worth; none where it is none of the known ones.
pub(super) fn worth(values: &BTreeMap<String, Decimal>, said: &str) -> Option<f64> {
    if !values.is_empty() {
        return values.get(said).map(Decimal::to_f64);
    }
    match said {
        "true" => Some(1.0),
        "false" => Some(0.0),
        number => number.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number)),
    }
}

/// Returns what several values come to; none without any.
fn consensus(values: &[f64], rule: LabelRule) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().fold(0.0, |sum, value| sum + value) / values.len() as f64;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    if sorted.is_empty() {
        return None;
    }
    if rule == LabelRule::Mean {
        return Some(mean(&sorted));
    }
    let groups: Vec<&[f64]> = sorted.chunk_by(|a, b| a == b).collect();
    let most = groups.iter().map(|group| group.len()).max()?;
    let tied: Vec<f64> = groups.iter().filter(|group| group.len() == most).map(|group| group[0]).collect();
    Some(mean(&tied))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_raters_come_to_one_value() {
        let majority = |values: &[f64]| consensus(values, LabelRule::Majority);
        assert_eq!(majority(&[1.0, 0.0, 1.0]), Some(1.0));
        assert_eq!(majority(&[1.0, 0.0]), Some(0.5));
        assert_eq!(majority(&[1.0, 0.5, 0.0, 0.5]), Some(0.5));
        assert_eq!(consensus(&[1.0, 0.0, 1.0, 0.0, 0.5], LabelRule::Mean), Some(0.5));
        assert_eq!(majority(&[]), None);
    }
}
