use super::block::is_less_better;
use super::family::{CONFIRMATORY, EXPLORATORY};
use crate::plan::{Analysis, Multiplicity};
use crate::step::significance::{Block, MetricBlock, VerdictBlock};

/// Below so many clusters a cluster-robust test is not to be relied on.
const FEW_CLUSTERS: u64 = 30;

/// Writes the verdict of each metric of a block, once its corrected p-values are known.
pub(super) fn conclude(block: &mut Block, analysis: &Analysis) {
    let clusters = block.n_clusters;
    for (name, metric) in block.metrics.iter_mut() {
        metric.verdict = verdict(name, metric, clusters, analysis);
    }
}

fn verdict(name: &str, metric: &MetricBlock, clusters: Option<u64>, analysis: &Analysis) -> VerdictBlock {
    let alpha = analysis.alpha.to_f64();
    let mut flags = Vec::new();
    let mut notes = Vec::new();
    let (conclusion, mut words) = match (&metric.test, metric.delta_mean) {
        (Some(test), Some(mean)) => {
            let p = test.q_value.unwrap_or(test.p_value);
            match test.family.as_deref() {
                Some(CONFIRMATORY) if analysis.multiplicity == Multiplicity::None => flags.push("uncorrected"),
                Some(CONFIRMATORY) => {}
                Some(EXPLORATORY) => flags.push("exploratory"),
                _ => {
                    flags.push("exploratory");
                    flags.push("uncorrected");
                }
            }
            if p >= alpha || mean == 0.0 {
                let words = format!("no difference shown at level {alpha}; that does not show that the arms are equal");
                ("no-difference-shown", words)
            } else {
                let (conclusion, direction) =
                    if mean > 0.0 { ("treatment-higher", "higher") } else { ("treatment-lower", "lower") };
                let better = (mean > 0.0) != is_less_better(name);
                let sense = if better { "better" } else { "worse" };
                let sense = if name.ends_with("abstain_rate") { String::new() } else { format!(", which is {sense}") };
                (conclusion, format!("{direction} under treatment{sense}, at level {alpha}"))
            }
        }
        _ if metric.treatment_higher + metric.control_higher == 0 => {
            ("not-tested", "not tested: the arms do not differ on any item".to_owned())
        }
        _ => ("not-tested", "not tested: there is too little to test".to_owned()),
    };
    if let Some(missing) = &metric.missing {
        if missing.is_differential {
            flags.push("differential-missingness");
            notes.push("outcomes are missing in one arm more often than in the other, which may be the difference");
        }
        if let (Some(worst), Some(best)) = (missing.worst_case, missing.best_case)
            && conclusion.starts_with("treatment-")
            && worst.min(best) <= 0.0
            && worst.max(best) >= 0.0
        {
            flags.push("bounds-reach-zero");
            notes.push("if every missing outcome went against it, nothing of the difference would be left");
        }
    }
    if clusters.is_some_and(|clusters| clusters < FEW_CLUSTERS) && metric.test.is_some() {
        flags.push("few-clusters");
        notes.push("there are few clusters, so that its error may be understated");
    }
    if flags.contains(&"exploratory") {
        notes.push("it was not announced as a primary comparison");
    }
    for note in notes {
        words.push_str("; ");
        words.push_str(note);
    }
    VerdictBlock { conclusion: conclusion.to_owned(), flags: flags.into_iter().map(str::to_owned).collect(), words }
}
