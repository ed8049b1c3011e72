//! Missing outcomes in a paired comparison.

use super::differences::Differences;
use super::mcnemar::{McNemar, mcnemar};

/// A mean difference under every way to complete missing outcomes.
#[derive(Debug, Clone, PartialEq)]
pub struct MissingBounds {
    /// Items in all, with or without both outcomes.
    pub items: u64,
    /// Items with both outcomes.
    pub complete: u64,
    /// Items where only control's outcome is missing.
    pub only_control_missing: u64,
    /// Items where only treatment's outcome is missing.
    pub only_treatment_missing: u64,
    /// Items where both are missing.
    pub both_missing: u64,
    /// The mean difference over complete items, none if there is none.
    pub complete_case: Option<f64>,
    /// The mean over all items if every missing outcome goes against treatment; none if there is no item.
    pub worst: Option<f64>,
    /// The mean over all items if every missing outcome favours treatment; none if there is no item.
    pub best: Option<f64>,
    /// The exact test that outcomes go missing equally often in both arms; b counts `only_control_missing`.
    pub differential: McNemar,
}

/// Bounds a mean difference by completing missing outcomes with the ends of the metric's range.
///
/// `rows` are (control, treatment) outcomes with None (or a value that is not
/// finite) where missing; `low` and `high` are the worst and the best value of the
/// metric for an arm (give them swapped for a metric where less is better). No
/// assumption about why outcomes are missing is made (Horowitz and Manski 2000).
pub fn missing_bounds(
    rows: impl IntoIterator<Item = (Option<f64>, Option<f64>)>,
    low: f64,
    high: f64,
) -> MissingBounds {
    let mut missing = [0_u64; 3];
    let (mut complete, mut worst, mut best) = (Vec::new(), Vec::new(), Vec::new());
    for (control, treatment) in rows {
        let finite = |v: Option<f64>| v.filter(|v| v.is_finite());
        let (control, treatment) = (finite(control), finite(treatment));
        match (control, treatment) {
            (Some(c), Some(t)) => complete.push(t - c),
            (None, Some(_)) => missing[0] += 1,
            (Some(_), None) => missing[1] += 1,
            (None, None) => missing[2] += 1,
        }
        worst.push(treatment.unwrap_or(low) - control.unwrap_or(high));
        best.push(treatment.unwrap_or(high) - control.unwrap_or(low));
    }
    let items = worst.len() as u64;
    let (complete, mean) = {
        let d = Differences::from_deltas(complete);
        (d.n(), d.mean())
    };
    MissingBounds {
        items,
        complete,
        only_control_missing: missing[0],
        only_treatment_missing: missing[1],
        both_missing: missing[2],
        complete_case: mean,
        worst: Differences::from_deltas(worst).mean(),
        best: Differences::from_deltas(best).mean(),
        differential: mcnemar(missing[0], missing[1]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_data_leave_no_room() {
        let rows = [(Some(0.0), Some(1.0)), (Some(1.0), Some(1.0))];
        let bounds = missing_bounds(rows, 0.0, 1.0);
        assert_eq!(bounds.complete_case, Some(0.5));
        assert_eq!((bounds.worst, bounds.best), (Some(0.5), Some(0.5)));
        assert_eq!(bounds.differential.p_exact, 1.0);
    }

    #[test]
    fn each_missing_outcome_widens_by_the_range_over_n() {
        let rows = [(Some(0.0), Some(1.0)), (None, Some(1.0)), (Some(1.0), None), (None, None)];
        let bounds = missing_bounds(rows, 0.0, 1.0);
        assert_eq!((bounds.items, bounds.complete), (4, 1));
        assert_eq!((bounds.worst, bounds.best), (Some(-0.25), Some(0.75)));
        let missing = (bounds.only_control_missing, bounds.only_treatment_missing);
        assert_eq!((missing, bounds.both_missing), ((1, 1), 1));
    }

    #[test]
    fn one_sided_missingness_is_seen() {
        let rows = (0..20).map(|i| (Some(1.0), (i > 9).then_some(1.0)));
        let bounds = missing_bounds(rows, 0.0, 1.0);
        assert!(bounds.differential.p_exact < 0.01);
        assert_eq!((bounds.differential.b, bounds.differential.c), (0, 10));
        assert_eq!(missing_bounds([], 0.0, 1.0).worst, None);
    }
}
