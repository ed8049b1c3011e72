use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Rates, Tally};
use crate::digest::RequestKey;
use crate::step::StepError;
use crate::step::cost_table::{ArmCosts, CostTable};
use crate::step::json_lines::{read_lines, unexpected};
use crate::step::text::Text;

/// Names the output.
pub(in crate::step) const VERDICT_TOKENS: &str = "verdict_tokens";

/// Is one line of `verdict_tokens`: a verdict on a trial's answers, by its request and its number, and what it took. A verdict
/// that stands in several places of a trial has one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::step) struct VerdictTokens<'a> {
    /// The name of the model that judges.
    #[serde(borrow)]
    pub(super) judge: Text<'a>,
    /// What it was asked.
    pub(super) key: RequestKey,
    /// Which draw.
    pub(super) n: u32,
    /// Whether it was asked about a pair of answers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_on_pair: bool,
    /// Whether it did not complete an answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_failure: bool,
    /// Tokens read, where that is stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) input_tokens: Option<u64>,
    /// Tokens written, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output_tokens: Option<u64>,
}

impl VerdictTokens<'_> {
    /// Returns what tells it from all others.
    pub(super) fn address(&self) -> (RequestKey, u32) {
        (self.key, self.n)
    }

    /// Adds what it took.
    pub(super) fn add_to(&self, tally: &mut Tally, rates: Option<Rates>) {
        tally.add(self.is_failure, (self.input_tokens, self.output_tokens), rates);
    }
}

/// Is what all verdicts of a model took.
pub(in crate::step) struct AllVerdicts {
    /// What they took.
    pub(in crate::step) costs: ArmCosts,
    /// How many of those that were completed are on pairs of answers.
    pub(in crate::step) on_pairs: u64,
}

/// Sums up the verdicts on the answers of several trials by the name of the model; one that several trials share counts once.
///
/// A trial is its `costs.json`, and the name and text of its `verdict_tokens`.
pub(in crate::step) fn all_verdicts(
    trials: &[(&CostTable, (String, String))],
) -> Result<BTreeMap<String, AllVerdicts>, StepError> {
    let mut bought: HashSet<(RequestKey, u32)> = HashSet::new();
    let mut all: BTreeMap<String, (Tally, u64, Option<Rates>)> = BTreeMap::new();
    for (table, (name, text)) in trials {
        // A model without a verdict has its row too.
        for (model, judge) in &table.judges {
            all.entry(model.clone()).or_insert_with(|| (Tally::default(), 0, Rates::stated(&judge.pricing)));
        }
        for line in read_lines::<VerdictTokens<'_>>(name, text) {
            let line = line?;
            let (tally, on_pairs, rates) = all
                .get_mut(line.judge.as_str())
                .ok_or_else(|| unexpected(name, format!("`costs.json` has no judge `{}`", line.judge.as_str())))?;
            if bought.insert(line.address()) {
                line.add_to(tally, *rates);
                *on_pairs += u64::from(line.is_on_pair && !line.is_failure);
            }
        }
    }
    Ok(all
        .into_iter()
        .map(|(model, (tally, on_pairs, rates))| (model, AllVerdicts { costs: tally.finish(rates), on_pairs }))
        .collect())
}
