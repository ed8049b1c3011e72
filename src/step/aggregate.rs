//! Writes the run's report over all trials.

use super::cost_table::CostTable;
use super::report::{correction, primary, read};
use super::significance::Significance;
use super::stats::family::corrected;
use super::{Inputs, Outputs, StepError};
use crate::plan::{AggregateParams, Multiplicity};
use crate::report::{AggregateReport, AggregateRow, AggregateTrial, FamilyNote};

/// Writes `aggregate_report.md`.
///
/// The p-values of every trial's family are corrected once more, over the whole run, by the method that the trials state.
pub fn run(params: &AggregateParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let mut trials = Vec::new();
    let mut p_values = Vec::new();
    let mut method = Multiplicity::None;
    for label in &params.trials {
        let significance: Significance = read(&format!("significance/{}", label.slug), inputs)?;
        let costs: CostTable = read(&format!("costs/{}", label.slug), inputs)?;
        method = significance.family.correction;
        let mut rows = Vec::new();
        for (test, open, metric) in primary(&significance) {
            p_values.push(test.p_value);
            rows.push(AggregateRow { dataset: test.dataset.clone(), open, metric, q: None });
        }
        let [control, treatment] = costs.arms.both().map(|arm| arm.and_then(|arm| arm.usd));
        trials.push(AggregateTrial {
            slug: label.slug.clone(),
            model: label.model.clone(),
            prompt_set: label.prompt_set.clone(),
            note: label.note.clone(),
            usd: [control, treatment, costs.usd],
            rows,
        });
    }
    let rows = trials.iter_mut().flat_map(|trial| &mut trial.rows);
    for (row, q) in rows.zip(corrected(method, &p_values)) {
        row.q = q;
    }
    let family = FamilyNote {
        alpha: params.alpha.to_f64(),
        correction: correction(method),
        tests: p_values.iter().flatten().count(),
        scope: "all trials of this run".to_owned(),
    };
    outputs.put("aggregate_report.md", AggregateReport { trials, family }.render().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Decimal;
    use crate::step::memory::run_in_memory;
    use crate::step::report::tests::{HOSTILE, label, outside_code, results};

    #[test]
    fn trials_stand_side_by_side_with_arms_apart() {
        let (first, costs) = results("quiz", true);
        let (second, unpriced) = results(HOSTILE, false);
        let params = AggregateParams { trials: vec![label("a"), label(HOSTILE)], alpha: Decimal::new(5, -2) };
        let (a, b) = (&params.trials[0].slug, &params.trials[1].slug);
        let inputs = [
            (format!("significance/{a}"), first),
            (format!("costs/{a}"), costs),
            (format!("significance/{b}"), second),
            (format!("costs/{b}"), unpriced),
        ];
        let mut out = run_in_memory(&inputs, |inputs, outputs| run(&params, inputs, outputs)).unwrap();
        let report = out.remove("aggregate_report.md").unwrap();
        let row = "| `slug-a` | `a` | `a` | `quiz` | closed | EM | 29 | 60.0% [42.3, 75.4] | 100.0% [88.3, 100.0] | +41.4 pp |";
        assert!(report.starts_with("# Aggregate Trial Comparison\n\n"));
        assert!(report.contains(row), "{report}");
        // 2^-11, doubled over the two trials.
        assert!(report.contains("| 0.0005 | 0.0010 | $0.006615 |"), "{report}");
        assert!(report.contains("| 0.0005 | 0.0010 | – |"), "{report}");
        assert!(report.contains("corrected by Holm over the 2 primary tests of all trials of this run."));
        let outside = outside_code(&report).replace("\\<", "").replace("\\[", "").replace("\\]", "");
        for mark in ["<img", "](http", "http://", "\n# c", "www.", "@d"] {
            assert!(!outside.contains(mark), "{mark}\n---\n{outside}");
        }
    }
}
