use std::collections::BTreeMap;

use super::report::read;
use super::{Inputs, StepError};
use crate::report::{RaterAgreement, RaterAgreementRow};

/// Is `agreement.json`: by dataset and scorer by people, how far raters and scorers agree.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Agreement {
    /// The version of this layout.
    pub schema_version: u32,
    /// By dataset, by the metric of the raters.
    pub datasets: BTreeMap<String, BTreeMap<String, RatedBlocks>>,
}

/// Is how far raters and scorers agree on a dataset: over all its rated draws, and by arm.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RatedBlocks {
    /// Both arms together.
    pub all: RatedBlock,
    /// By arm: `control`, `treatment`.
    pub arms: BTreeMap<String, RatedBlock>,
}

/// Is how far raters and scorers agree on some draws.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RatedBlock {
    /// How many draws there are.
    pub draws: u64,
    /// How many of them somebody rated.
    pub rated: u64,
    /// By rater: how many draws they rated. The one rater without a name is the empty text.
    pub raters: BTreeMap<String, u64>,
    /// Krippendorff's alpha over all raters, values the same or not.
    pub alpha_nominal: Option<f64>,
    /// Krippendorff's alpha over all raters, by the square of differences.
    pub alpha_interval: Option<f64>,
    /// Each two raters.
    pub pairs: Vec<RaterPair>,
    /// Each scorer against what the raters come to, and against each rater.
    pub scorers: Vec<ScorerAgreement>,
}

/// Is how far two raters agree on what both rated.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RaterPair {
    /// The raters, by name.
    pub raters: [String; 2],
    /// How many draws both rated.
    pub draws: u64,
    /// The share on which they say the same.
    pub agreement: Option<f64>,
    /// Cohen's kappa.
    pub kappa: Option<f64>,
}

/// Is how far a scorer agrees with a rater, both right where they say 0.5 or more.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ScorerAgreement {
    /// The metric.
    pub metric: String,
    /// The rater; none for what all of them come to.
    pub rater: Option<String>,
    /// How many draws both speak of.
    pub draws: u64,
    /// The mean of the metric on these draws.
    pub metric_mean: Option<f64>,
    /// The mean of what the rater says.
    pub rater_mean: Option<f64>,
    /// The share on which they say the same.
    pub agreement: Option<f64>,
    /// Cohen's kappa.
    pub kappa: Option<f64>,
}

/// Reads how far scorers agree with people, where they rated answers.
pub(super) fn agreement(inputs: &Inputs<'_>) -> Result<Vec<RaterAgreement>, StepError> {
    if inputs.find("agreement").is_none() {
        return Ok(Vec::new());
    }
    let document: Agreement = read("agreement", inputs)?;
    let sections = document.datasets.into_iter().flat_map(|(dataset, labels)| {
        labels.into_iter().map(move |(labels, blocks)| {
            let arms = blocks.arms.iter().map(|(arm, block)| (arm.as_str(), block));
            let by_arm: Vec<_> = std::iter::once(("both", &blocks.all)).chain(arms).collect();
            let row = |arm: &str, scorer: &ScorerAgreement| RaterAgreementRow {
                metric: scorer.metric.clone(),
                arm: arm.to_owned(),
                draws: scorer.draws,
                agreement: scorer.agreement,
                kappa: scorer.kappa,
                metric_mean: scorer.metric_mean,
                rater_mean: scorer.rater_mean,
            };
            let rows = by_arm
                .iter()
                .flat_map(|(arm, block)| {
                    let together = block.scorers.iter().filter(|scorer| scorer.rater.is_none());
                    together.map(move |scorer| row(arm, scorer))
                })
                .collect();
            let all = &blocks.all;
            let (draws, rated, raters) = (all.draws, all.rated, all.raters.len() as u64);
            RaterAgreement { dataset: dataset.clone(), labels, draws, rated, raters, alpha: all.alpha_nominal, rows }
        })
    });
    Ok(sections.collect())
}
