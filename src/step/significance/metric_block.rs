use serde::{Deserialize, Serialize};

use crate::step::named_list::NamedList;

/// Is an interval at both levels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ends {
    /// The ends at 95 %.
    pub ci_95: Option<[f64; 2]>,
    /// The ends at the confidence level, where that is not 95 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
}

/// Is a mean with its intervals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The mean over items.
    pub mean: Option<f64>,
    /// The 95 % interval.
    pub ci_95: Option<[f64; 2]>,
    /// The interval at the confidence level, where that is not 95 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
    /// The method of the interval.
    pub method: Option<String>,
    /// The standard error, cluster-robust where items are clustered.
    pub se: Option<f64>,
    /// `independent-items` or `cluster-robust`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub se_method: String,
    /// Every interval that can be made, by method.
    #[serde(default, skip_serializing_if = "NamedList::is_empty")]
    pub intervals: NamedList<Ends>,
    /// How many items.
    pub n: u64,
}

/// Compares the arms on one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricBlock {
    /// How many items have the metric under both arms.
    pub n_items: u64,
    /// The control's mean over these items.
    pub control_mean: Option<f64>,
    /// The treatment's mean over these items.
    pub treatment_mean: Option<f64>,
    /// The mean difference.
    pub delta_mean: Option<f64>,
    /// Its 95 % interval.
    pub ci_95: Option<[f64; 2]>,
    /// Its interval at the confidence level, where that is not 95 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
    /// The method of the interval.
    pub method: Option<String>,
    /// The standard error of the mean difference, cluster-robust where items are clustered.
    pub se: Option<f64>,
    /// `independent-items` or `cluster-robust`.
    pub se_method: String,
    /// Every interval of the mean difference that can be made, by method.
    #[serde(default, skip_serializing_if = "NamedList::is_empty")]
    pub intervals: NamedList<Ends>,
    /// The mean difference over the standard deviation of the differences.
    pub cohens_dz: Option<f64>,
    /// The same, corrected for small samples exactly.
    pub hedges_gz: Option<f64>,
    /// The mean difference over the arms' average standard deviation.
    pub cohens_dav: Option<f64>,
    /// The same, corrected for small samples.
    pub hedges_gav: Option<f64>,
    /// The share of all pairs of values where treatment is higher, less that where control is.
    pub cliffs_delta: Option<f64>,
    /// The matched-pairs rank-biserial correlation.
    pub rank_biserial: Option<f64>,
    /// The median of the Walsh averages.
    pub hodges_lehmann: Option<f64>,
    /// Its interval, by method.
    #[serde(default, skip_serializing_if = "NamedList::is_empty")]
    pub hodges_lehmann_intervals: NamedList<Ends>,
    /// How many items are higher under treatment.
    pub treatment_higher: u64,
    /// How many are equal.
    pub equal: u64,
    /// How many are higher under control.
    pub control_higher: u64,
    /// The test of no difference; null where none can be made.
    pub test: Option<TestBlock>,
    /// The p-value of every test that can be made, by method; those without `cluster` in their name take items as independent.
    #[serde(default, skip_serializing_if = "NamedList::is_empty")]
    pub tests: NamedList<f64>,
    /// The signed-rank test; null without a pair.
    pub wilcoxon: Option<WilcoxonBlock>,
    /// The p-value of the sign-flip permutation test; its form is in `tests`.
    pub perm_p_value: Option<f64>,
    /// What draws contribute; absent where no item has two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draws: Option<DrawsBlock>,
    /// What missing outcomes could change; absent where none is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<MissingBlock>,
    /// Equivalence and non-inferiority; absent where no margin is stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tost: Option<TostBlock>,
    /// What the sample can show; null where nothing varies.
    pub power: Option<PowerBlock>,
    /// What to take from it, in words.
    pub verdict: VerdictBlock,
}

/// Is a test of no difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestBlock {
    /// Which test: `mcnemar-exact`, `paired-t` or `cluster-robust-t`.
    pub name: String,
    /// The two-sided p-value.
    pub p_value: f64,
    /// Corrected over its family; null where it is in none, or nothing is corrected.
    pub q_value: Option<f64>,
    /// `confirmatory` or `exploratory`; null for sets that are in no family.
    pub family: Option<String>,
}

/// Is a signed-rank test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WilcoxonBlock {
    /// The smaller of both rank sums.
    #[serde(rename = "W")]
    pub w: f64,
    /// What was done with zeros: `wilcox`, `pratt` or `zsplit`.
    pub zeros: String,
    /// `exact` or `normal-tie-corrected`.
    pub form: String,
    /// The standardised statistic; null in the exact form.
    pub z: Option<f64>,
    /// The two-sided p-value.
    pub p_value: f64,
    /// The p-value of treatment being higher, in the same form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_greater: Option<f64>,
    /// The p-value of treatment being lower, in the same form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_less: Option<f64>,
}

/// Says what the draws within items contribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawsBlock {
    /// The control.
    pub control: ArmDraws,
    /// The treatment.
    pub treatment: ArmDraws,
}

/// Is one arm's draws.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmDraws {
    /// Items with a draw that has scores.
    pub items: u64,
    /// Their draws.
    pub draws: u64,
    /// The mean variance between the draws of an item.
    pub within_item_variance: Option<f64>,
    /// The variance of the item means.
    pub item_mean_variance: Option<f64>,
    /// The share of the latter that sampling adds.
    pub sampling_share: Option<f64>,
    /// Chances at several draws; empty for scores that are not right or wrong.
    pub at_k: Vec<AtK>,
}

/// Is what k draws of an item come to, averaged over the items that have as many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtK {
    /// How many draws.
    pub k: u64,
    /// How many items have as many.
    pub items: u64,
    /// The chance that at least one is right.
    pub pass: f64,
    /// The chance that most are right, a tie counted half.
    pub majority: f64,
}

/// Says what missing outcomes could change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingBlock {
    /// Items that only control lacks.
    pub only_control: u64,
    /// Items that only treatment lacks.
    pub only_treatment: u64,
    /// Items that both lack.
    pub both: u64,
    /// The mean difference over the items that have both.
    pub complete_case: Option<f64>,
    /// The mean difference over all items if every missing outcome went against treatment; null for what has no range.
    pub worst_case: Option<f64>,
    /// The same if every one went for it.
    pub best_case: Option<f64>,
    /// The exact McNemar p-value of one arm lacking more than the other.
    pub differential_p: f64,
    /// Whether that is below the level of tests.
    pub is_differential: bool,
}

/// Tests a difference against a margin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TostBlock {
    /// The margin.
    pub margin: f64,
    /// The level of each one-sided test.
    pub alpha: f64,
    /// The mean difference.
    pub mean_delta: f64,
    /// `tost-t` or `tost-t-cluster-robust`.
    pub method: String,
    /// The p-value of equivalence: the larger of the two one-sided ones.
    pub p_value: f64,
    /// The p-value of treatment being worse by the margin or more.
    pub p_non_inferiority: f64,
    /// Whether a difference as large as the margin is ruled out both ways.
    pub equivalent: bool,
    /// Whether a loss as large as the margin is ruled out.
    pub non_inferior: bool,
    /// The matching interval, of level 1 − 2 alpha.
    pub interval: [f64; 2],
    /// Its level.
    pub interval_level: f64,
    /// What both tests say together, in words.
    pub verdict: String,
}

/// Says what a sample like this can show, in the normal form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerBlock {
    /// `normal`.
    pub method: String,
    /// The level of the two-sided test.
    pub alpha: f64,
    /// The power.
    pub power: f64,
    /// The smallest difference that these items detect.
    pub smallest_detectable: Option<f64>,
    /// What other differences ask for.
    pub targets: Vec<TargetDesign>,
}

/// Is the design that detects a difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetDesign {
    /// The difference.
    pub target: f64,
    /// How many items do, with as many draws as now.
    pub items: Option<u64>,
    /// How many draws an item and arm do, with as many items as now; null where none would, or draws are single.
    pub draws: Option<u64>,
}

/// Says what to take from a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictBlock {
    /// `treatment-higher`, `treatment-lower`, `no-difference-shown` or `not-tested`.
    pub conclusion: String,
    /// What weakens it: `differential-missingness`, `bounds-reach-zero`, `few-clusters`, `exploratory`, `uncorrected`.
    pub flags: Vec<String>,
    /// Both in a sentence.
    pub words: String,
}
