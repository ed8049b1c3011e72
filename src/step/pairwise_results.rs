use std::collections::BTreeMap;

use super::named_list::NamedList;
use super::report::{ends, read};
use super::{Inputs, StepError};
use crate::report::{self, PairwiseSection};

/// Is `pairwise.json`: by dataset and model that compares, which arm's answers it prefers.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairwiseResults {
    /// The version of this layout.
    pub schema_version: u32,
    /// By dataset, by the name of the setting.
    pub datasets: BTreeMap<String, NamedList<PairwiseBlock>>,
}

/// Is what one model says of one dataset's pairs. A win is the treatment's.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairwiseBlock {
    /// The model's name.
    pub model: String,
    /// The pairs: draws of the two arms with the same item and number.
    pub pairs: u64,
    /// Those of which a rule decides one draw or both by its status, by `control:STATUS`, `treatment:STATUS` or `both`.
    pub not_compared: BTreeMap<String, u64>,
    /// Those whose answers look the same to the judge: ties about which nobody is asked.
    pub identical: u64,
    /// Those asked about, in both orders.
    pub asked: u64,
    /// What became of the verdicts on them.
    pub verdicts: VerdictCounts,
    /// Those asked about that have no verdict in one order or in both.
    pub no_outcome: u64,
    /// Those that have an outcome: all but `not_compared` and `no_outcome`.
    pub compared: u64,
    /// Treatment is preferred in both orders.
    pub wins: u64,
    /// The orders disagree, one is a tie, or the answers are the same.
    pub ties: u64,
    /// Control is preferred in both orders.
    pub losses: u64,
    /// Wins and half the ties, as a share: the mean over items of the mean over an item's pairs.
    pub win_rate: ShareBlock,
    /// Whether as many items are won as lost.
    pub sign_test: SignTestBlock,
    /// What the place of an answer does.
    pub position: PositionBlock,
    /// What the length of an answer does.
    pub length: LengthBlock,
    /// By the metric of raters: how far outcomes agree with their verdicts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, LabelsBlock>,
}

/// Counts verdicts that were drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictCounts {
    /// All of them.
    pub drawn: u64,
    /// Those that say A, B or a tie.
    pub read: u64,
    /// Those that say none of the known words.
    pub unknown: u64,
    /// Those that were not completed, by the code of the failure.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, u64>,
}

/// Is a mean over items, with its interval.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareBlock {
    /// The mean; null without items.
    pub mean: Option<f64>,
    /// The ends at 95 %; null where there is no spread to tell them by.
    pub ci_95: Option<[f64; 2]>,
    /// The ends at the confidence level, where that is not 95 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
    /// The method of the interval.
    pub method: Option<String>,
    /// How many items.
    pub n: u64,
    /// How many clusters, where items of one group count as dependent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_clusters: Option<u64>,
}

/// Is the exact sign test of items (or clusters) won against lost.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignTestBlock {
    /// Those whose mean score is above one half.
    pub won: u64,
    /// Those whose mean score is one half.
    pub even: u64,
    /// Those whose mean score is below.
    pub lost: u64,
    /// Two-sided; null where none is won or lost.
    pub p_value: Option<f64>,
}

/// Is what the place of an answer does, over pairs with a verdict in both orders.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionBlock {
    /// How many pairs.
    pub pairs: u64,
    /// Both orders say the same of the two answers.
    pub consistent: u64,
    /// The answer shown first is preferred in both orders.
    pub first_twice: u64,
    /// The answer shown second is preferred in both orders.
    pub second_twice: u64,
    /// One order is a tie and the other is none.
    pub half_tied: u64,
    /// `consistent` as a share.
    pub consistency: Option<f64>,
    /// `first_twice` and `second_twice` as a share: the order turned the verdict round.
    pub flipped: Option<f64>,
    /// The win rate of the answer shown first, less one half.
    pub first_bias: ShareBlock,
}

/// Is what the length of an answer does, over pairs with an outcome.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthBlock {
    /// The mean length of the control's answers, in characters as the judge sees them.
    pub control: Option<f64>,
    /// That of the treatment's.
    pub treatment: Option<f64>,
    /// The standard deviation of treatment − control.
    pub sd: Option<f64>,
    /// The win rate at equal lengths; null where there is none.
    pub win_rate: Option<f64>,
    /// The ends at 95 %.
    pub ci_95: Option<[f64; 2]>,
    /// The ends at the confidence level, where that is not 95 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
    /// The method of the interval.
    pub method: Option<String>,
    /// Its logit, with its standard error.
    pub theta: Option<[Option<f64>; 2]>,
    /// The coefficient of tanh((treatment − control) / sd), with its standard error.
    pub phi: Option<[Option<f64>; 2]>,
    /// Whether one arm's answers are always the longer ones, so that no pair is near equal lengths from both sides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_extrapolated: bool,
    /// Why there is none: `no_spread`, `separated`, `not_settled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Is how far outcomes agree with the sign of the difference of raters' verdicts on the two answers.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelsBlock {
    /// Pairs with an outcome both of whose answers are rated.
    pub pairs: u64,
    /// Those whose answers are rated differently.
    pub differing: u64,
    /// Those of them that are won by the answer that is rated higher.
    pub same: u64,
    /// Those of them that are ties.
    pub tied: u64,
    /// `same` as a share of `differing`.
    pub accuracy: Option<f64>,
    /// The share of `pairs` on which win, tie or loss is that of the raters.
    pub agreement: Option<f64>,
    /// Cohen's kappa of win, tie and loss.
    pub kappa: Option<f64>,
}

/// Reads which arm's answers models prefer, where a report has any.
pub(super) fn sections(inputs: &Inputs<'_>) -> Result<Vec<PairwiseSection>, StepError> {
    if inputs.find("pairwise").is_none() {
        return Ok(Vec::new());
    }
    let results: PairwiseResults = read("pairwise", inputs)?;
    let of_dataset = |(dataset, blocks): &(String, NamedList<PairwiseBlock>)| {
        blocks.iter().map(|(name, block)| block.section(dataset, name)).collect::<Vec<_>>()
    };
    Ok(results.datasets.into_iter().collect::<Vec<_>>().iter().flat_map(of_dataset).collect())
}

impl PairwiseBlock {
    /// Puts it as reports show it.
    fn section(&self, dataset: &str, name: &str) -> PairwiseSection {
        let (position, length) = (&self.position, &self.length);
        PairwiseSection {
            dataset: dataset.to_owned(),
            name: name.to_owned(),
            model: self.model.clone(),
            pairs: self.pairs,
            not_compared: self.not_compared.iter().map(|(why, n)| (why.clone(), *n)).collect(),
            no_outcome: self.no_outcome,
            identical: self.identical,
            verdicts: (self.verdicts.drawn, self.verdicts.drawn - self.verdicts.read),
            outcomes: (self.wins, self.ties, self.losses),
            win_rate: self.win_rate.rate(),
            sign_test: (self.sign_test.won, self.sign_test.lost, self.sign_test.p_value),
            position: report::Position {
                pairs: position.pairs,
                consistent: position.consistent,
                flipped: (position.first_twice, position.second_twice),
                bias: position.first_bias.rate(),
            },
            length: report::LengthControl {
                means: length.control.zip(length.treatment),
                win_rate: report::Rate {
                    mean: length.win_rate,
                    interval: ends(length.ci_95, length.ci),
                    method: length.method.clone(),
                    n: self.win_rate.n,
                },
                is_extrapolated: length.is_extrapolated,
                why: length.why.clone(),
            },
            labels: self.labels.iter().map(|(name, labels)| (name.clone(), labels.row())).collect(),
        }
    }
}

impl ShareBlock {
    fn rate(&self) -> report::Rate {
        report::Rate { mean: self.mean, interval: ends(self.ci_95, self.ci), method: self.method.clone(), n: self.n }
    }
}

impl LabelsBlock {
    fn row(&self) -> report::LabelsRow {
        report::LabelsRow {
            pairs: (self.pairs, self.differing),
            same: (self.same, self.tied),
            accuracy: self.accuracy,
            agreement: self.agreement,
            kappa: self.kappa,
        }
    }
}
