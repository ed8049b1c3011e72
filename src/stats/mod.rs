//! Statistics of paired experiments: numbers in, statistics out.
//!
//! A pure layer: no I/O, no serialisation, and nothing of the rest of the crate.
//! A result never holds NaN or an infinity; what is undefined is `None`. Every
//! result is the same on every platform (transcendental functions come from
//! `libm`), for every order of the rows, and for every number of threads.
//! `docs/statistics.md` states each formula with its source and edge cases.
//!
//! Most functions take [`Differences`]: the paired differences of one metric,
//! rounded to a lattice and collapsed to distinct values, built once per block.

mod adjust;
mod agreement;
mod arm_cells;
mod binomial;
mod binomial_draw;
mod bootstrap;
mod clustered;
mod combine;
mod differences;
mod effects;
mod equivalence;
mod exact_sum;
mod fair_sum;
mod gee;
mod hodges_lehmann;
mod interaction;
mod interval;
mod lattice;
mod length_controlled;
mod max_t;
mod mcnemar;
mod mean;
mod meta;
mod missing;
mod moments;
mod nested;
mod ols;
mod one_way;
mod paired;
mod paired_table;
mod permutation;
mod power;
mod prediction;
mod proportion;
mod rank_law;
mod ratio;
mod selective;
mod signed_ranks;
pub mod special;
mod stream;
mod walsh;
mod wilcoxon;

pub use adjust::{Adjustment, adjust, benjamini_hochberg, holm};
pub use agreement::{PairAgreement, Scale, cohen_kappa, krippendorff_alpha};
pub use arm_cells::{ArmCells, ArmModel};
pub use binomial::{binomial_ln_tails, binomial_test, half_binomial_cdf};
pub use bootstrap::{Bootstrap, Resampling, bootstrap, cluster_bootstrap, jackknife_acceleration, quantile};
pub use clustered::{ClusteredMean, clustered_mean};
pub use combine::{Combined, fisher, stouffer};
pub use differences::{Differences, Run};
pub use effects::{
    ArmEffects, Effects, arm_effects, cliffs_delta, cohens_h, effects, hedges_correction, hedges_correction_approximate,
};
pub use equivalence::{Equivalence, Verdict, equivalence, equivalence_of};
pub use exact_sum::{ExactSum, exact_sum};
pub use gee::logistic_gee;
pub use hodges_lehmann::{hodges_lehmann, hodges_lehmann_interval};
pub use interaction::{Interaction, interaction};
pub use interval::{Interval, Method};
pub use lattice::{Lattice, lattice_round};
pub use length_controlled::{LengthControlled, LengthRow, NoLengthControl, length_controlled};
pub use max_t::{MaxT, max_t};
pub use mcnemar::{ChiSquared, McNemar, mcnemar, mcnemar_chi_squared, odds_ratio_interval};
pub use mean::{Mean, mean, t_interval};
pub use meta::{Heterogeneity, MetaAnalysis, Pooled, meta_analysis};
pub use missing::{MissingBounds, missing_bounds};
pub use moments::{DrawMoments, nested_variance_of_moments};
pub use nested::{NestedVariance, majority_at_k, nested_variance, pass_at_k, plurality};
pub use ols::clustered_ols;
pub use one_way::{one_way_changes, one_way_share};
pub use paired::{Paired, TTest, paired};
pub use paired_table::PairedTable;
pub use permutation::{Permutation, PermutationForm, exact_permutation, permutation, sampled_permutation};
pub use power::{Design, VarianceParts, power};
pub use prediction::{Prediction, Stratum, predicted_sum};
pub use proportion::{clopper_pearson, wilson};
pub use ratio::{Ratio, ratio_of_means};
pub use selective::{RiskCurve, RiskPoint, SelectiveItem};
pub use signed_ranks::{SignedRanks, Zeros};
pub use stream::Stream;
pub use wilcoxon::{Alternative, Wilcoxon, WilcoxonForm, wilcoxon, wilcoxon_exact, wilcoxon_normal};
