use std::collections::HashMap;
use std::ops::Range;

use super::Parts;
use crate::step::StepError;
use crate::step::json_lines::{read_lines, unexpected};
use crate::step::paired_item::PairedArm;
use crate::step::parsed_draw::ParsedDraw;
use crate::step::scored_draw::ScoredDraw;

/// Holds the draws of one dataset under one arm, with where each item's stand.
pub(super) struct ArmDraws<'a> {
    parsed: Vec<ParsedDraw<'a>>,
    scored: Vec<ScoredDraw<'a>>,
    items: HashMap<String, Range<usize>>,
}

/// Holds the draws of one item under one arm, by number.
#[derive(Clone, Copy)]
pub(super) struct ItemDraws<'d, 'a> {
    /// The texts.
    pub(super) parsed: &'d [ParsedDraw<'a>],
    /// The scores, draw for draw.
    pub(super) scored: &'d [ScoredDraw<'a>],
}

impl<'a> ArmDraws<'a> {
    /// Reads `parsed` and `scores` of every part; none where the arm was not built.
    pub(super) fn of(parts: Option<&'a [Parts; 2]>) -> Result<Option<Self>, StepError> {
        let Some([parsed, scores]) = parts else { return Ok(None) };
        let mut arm = Self { parsed: Vec::new(), scored: Vec::new(), items: HashMap::new() };
        for (name, text) in parsed.iter() {
            for draw in read_lines(name, text) {
                arm.parsed.push(draw?);
            }
        }
        for (name, text) in scores.iter() {
            for draw in read_lines(name, text) {
                arm.scored.push(draw?);
            }
        }
        let same = |(parsed, scored): (&ParsedDraw<'_>, &ScoredDraw<'_>)| {
            parsed.n == scored.n && parsed.status == scored.status && parsed.item == scored.item
        };
        if arm.parsed.len() != arm.scored.len() || !arm.parsed.iter().zip(&arm.scored).all(same) {
            let name = scores.names.first().map_or("scores", String::as_str);
            return Err(unexpected(name, "its draws are not those of `parsed`"));
        }
        arm.items = ranges(&arm.parsed)?;
        Ok(Some(arm))
    }

    /// Lists the scores of all draws, in the order of the parts.
    pub(super) fn scored(&self) -> &[ScoredDraw<'a>] {
        &self.scored
    }

    /// Finds the draws of an item; there are none where it was not asked.
    pub(super) fn of_item(&self, item: &str) -> ItemDraws<'_, 'a> {
        let range = self.items.get(item).cloned().unwrap_or_default();
        ItemDraws { parsed: &self.parsed[range.clone()], scored: &self.scored[range] }
    }
}

/// Finds where the draws of each item stand: side by side, by number.
fn ranges(parsed: &[ParsedDraw<'_>]) -> Result<HashMap<String, Range<usize>>, StepError> {
    let mut items = HashMap::new();
    let mut start = 0;
    for draws in parsed.chunk_by(|a, b| a.item == b.item) {
        let end = start + draws.len();
        let item = draws[0].item.as_str();
        let repeated = items.insert(item.to_owned(), start..end).is_some();
        if repeated || !draws.is_sorted_by(|a, b| a.n < b.n) {
            return Err(unexpected("parsed", format_args!("the draws of `{item}` do not stand together by number")));
        }
        start = end;
    }
    Ok(items)
}

impl ItemDraws<'_, '_> {
    /// Sums up the draws: scores are added from the first draw to the last, with no other grouping.
    pub(super) fn paired(&self, metrics: &[String]) -> PairedArm {
        let scored: Vec<_> = self.scored.iter().filter_map(|draw| draw.scores.as_ref()).collect();
        let sum = |metric: &String| scored.iter().filter_map(|scores| scores.get(metric)).fold(0.0, |sum, v| sum + v);
        let squares =
            |metric: &String| scored.iter().filter_map(|scores| scores.get(metric)).fold(0.0, |sum, v| sum + v * v);
        let count = |metric: &String| scored.iter().filter(|scores| scores.get(metric).is_some()).count() as u32;
        let counts: Vec<u32> = metrics.iter().map(count).collect();
        let is_even = counts.iter().all(|count| *count as usize == scored.len());
        PairedArm {
            statuses: self.parsed.iter().map(|draw| draw.status).collect(),
            scored: scored.len() as u32,
            counts: if is_even { Vec::new() } else { counts },
            sums: if scored.is_empty() { Vec::new() } else { metrics.iter().map(sum).collect() },
            squares: if scored.len() < 2 { Vec::new() } else { metrics.iter().map(squares).collect() },
            support: self.scored.iter().filter_map(|draw| draw.support).collect(),
            input_tokens: self.parsed.iter().map(|draw| draw.usage.input_tokens).collect(),
            output_tokens: self.parsed.iter().map(|draw| draw.usage.output_tokens).collect(),
        }
    }
}
