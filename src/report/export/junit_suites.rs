use super::ExportRun;
use crate::report::junit::{Case, End, Suite};

/// Makes JUnit's suites of a run: one for each trial, dataset and condition, with a case for each draw. A case passes where the
/// item's first metric is 1, fails where it is less, and is skipped where it has no score.
pub fn junit_suites(run: &ExportRun) -> Vec<Suite> {
    let mut suites = Vec::new();
    for trial in &run.trials {
        for ((dataset, condition), draws) in trial.groups() {
            let cases = draws.into_iter().map(|draw| {
                let end = match draw.scores.first() {
                    None => End::Skipped(format!("no score: {}", draw.status)),
                    Some((_, value)) if *value >= 1.0 => End::Passed,
                    Some((metric, value)) => End::Failed {
                        message: format!("{metric} is {value}"),
                        text: format!("answer: {}\nexpected: {}", draw.text, draw.targets.join(" | ")),
                    },
                };
                let name = if draw.draw == 0 { draw.item.clone() } else { format!("{} draw {}", draw.item, draw.draw) };
                Case { class: format!("{}.{dataset}", trial.slug), name, end }
            });
            suites.push(Suite { name: format!("{}/{dataset}/{condition}", trial.slug), cases: cases.collect() });
        }
    }
    suites
}
