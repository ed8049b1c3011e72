//! A run as other tools read it: tables, JUnit, LaTeX, Inspect's logs, lm-eval's files. Pure functions of [`ExportRun`].

mod inspect;
mod latex;
mod lm_eval;
mod table;
mod zip_file;

pub use inspect::inspect_logs;
pub use latex::latex_table;
pub use lm_eval::lm_eval_files;
pub use table::{csv_table, json_lines};
pub use zip_file::zip_file;

use std::collections::BTreeMap;

use super::junit::{Case, End, Suite};

/// Is one draw with what is known of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportDraw {
    /// The dataset, or the row's own label.
    pub dataset: String,
    /// The item's id.
    pub item: String,
    /// `control` or `treatment`.
    pub condition: String,
    /// The temperature as tables show it; empty where none is sent.
    pub temperature: String,
    /// The draw, from 0.
    pub draw: u64,
    /// `closed` or `open`.
    pub kind: String,
    /// The question.
    pub question: Option<String>,
    /// The accepted answers.
    pub targets: Vec<String>,
    /// The status.
    pub status: String,
    /// The provider's word for how it ended.
    pub finish_reason: String,
    /// What was said, reasoning removed.
    pub text: String,
    /// What was taken for the answer.
    pub answer: String,
    /// Tokens read.
    pub input_tokens: Option<u64>,
    /// Tokens written.
    pub output_tokens: Option<u64>,
    /// The model that served it.
    pub served_model: String,
    /// The item's scores under this condition, by metric: means over its draws.
    pub scores: Vec<(String, f64)>,
}

/// Is one comparison of a trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportTest {
    /// The dataset.
    pub dataset: String,
    /// The metric.
    pub metric: String,
    /// How many items.
    pub n: u64,
    /// The control's mean.
    pub control: Option<f64>,
    /// The treatment's mean.
    pub treatment: Option<f64>,
    /// The mean difference.
    pub delta: Option<f64>,
    /// Its 95 % interval.
    pub ci_95: Option<[f64; 2]>,
    /// The p-value.
    pub p: Option<f64>,
    /// The p-value corrected within the trial's family.
    pub q: Option<f64>,
    /// Whether it is one of the confirmatory tests.
    pub is_confirmatory: bool,
}

/// Is one trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportTrial {
    /// The slug.
    pub slug: String,
    /// The model's id.
    pub model: String,
    /// The prompt set.
    pub prompt_set: String,
    /// What the sampler is told.
    pub decoding: BTreeMap<String, String>,
    /// The draws, as predictions.csv has them.
    pub draws: Vec<ExportDraw>,
    /// The comparisons.
    pub tests: Vec<ExportTest>,
    /// The correction of p-values, in words.
    pub correction: String,
}

/// Is a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportRun {
    /// Its id.
    pub run_id: String,
    /// When it began: UTC, RFC 3339.
    pub created: String,
    /// The program that made it.
    pub tool: String,
    /// The trials.
    pub trials: Vec<ExportTrial>,
}

/// Is one file of an export: its path in the directory, and its bytes.
pub type ExportFile = (String, Vec<u8>);

/// Is a dataset's draws under one condition of a trial, by dataset and condition in the order in which they come.
type Group<'d> = ((String, String), Vec<&'d ExportDraw>);

impl ExportTrial {
    /// Divides the draws by dataset and condition.
    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: BTreeMap<(String, String), Vec<&ExportDraw>> = BTreeMap::new();
        for draw in &self.draws {
            groups.entry((draw.dataset.clone(), draw.condition.clone())).or_default().push(draw);
        }
        groups.into_iter().collect()
    }
}

/// Counts an item's scores once each, however many draws it has: by metric, the items' values.
fn item_scores(draws: &[&ExportDraw]) -> BTreeMap<String, Vec<f64>> {
    let mut seen = std::collections::BTreeSet::new();
    let mut scores: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for draw in draws.iter().filter(|draw| seen.insert(&draw.item)) {
        for (metric, value) in &draw.scores {
            scores.entry(metric.clone()).or_default().push(*value);
        }
    }
    scores
}

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

#[cfg(test)]
mod tests;
