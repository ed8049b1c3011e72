use super::block::is_less_better;
use super::item_set::{ItemSet, Quantity};
use super::metric::is_share;
use crate::stats;
use crate::step::significance::MissingBlock;

/// Says what missing outcomes could change; none where nothing is missing, or an arm was not built.
pub(super) fn missing(set: &ItemSet<'_>, name: &str, quantity: Quantity, alpha: f64) -> Option<MissingBlock> {
    if !(set.is_built(0) && set.is_built(1)) {
        return None;
    }
    // Worst is worst for treatment: high where less is better.
    let (low, high) = if is_less_better(name) { (1.0, 0.0) } else { (0.0, 1.0) };
    let bounds = stats::missing_bounds(set.outcomes(quantity), low, high);
    if bounds.complete == bounds.items {
        return None;
    }
    let is_share = is_share(name);
    Some(MissingBlock {
        only_control: bounds.only_control_missing,
        only_treatment: bounds.only_treatment_missing,
        both: bounds.both_missing,
        complete_case: bounds.complete_case,
        worst_case: bounds.worst.filter(|_| is_share),
        best_case: bounds.best.filter(|_| is_share),
        differential_p: bounds.differential.p_exact,
        is_differential: bounds.differential.p_exact < alpha,
    })
}
