use std::fmt::Write;

use super::cost_summary::cost_cell;
use super::markdown::{Table, code, prose};
use super::number::{count, p_cell};
use super::{FamilyNote, MetricRow};

/// Is all that a run's report says.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateReport {
    /// The trials, in the order shown.
    pub trials: Vec<AggregateTrial>,
    /// Which tests are corrected together.
    pub family: FamilyNote,
}

/// Is one trial of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateTrial {
    /// The trial's slug.
    pub slug: String,
    /// The model's name.
    pub model: String,
    /// The prompt set's name.
    pub prompt_set: String,
    /// What the reader has to know of who answered.
    pub note: Option<String>,
    /// What control, treatment and both cost, in US dollars; absent where unknown.
    pub usd: [Option<f64>; 3],
    /// The primary metrics.
    pub rows: Vec<AggregateRow>,
}

/// Is one primary metric of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateRow {
    /// The dataset.
    pub dataset: String,
    /// Whether it is open-book.
    pub open: bool,
    /// The metric.
    pub metric: MetricRow,
    /// The p-value corrected over the run.
    pub q: Option<f64>,
}

impl AggregateReport {
    /// Renders the report as Markdown.
    pub fn render(&self) -> String {
        let mut text = String::from("# Aggregate Trial Comparison\n\n");
        let interval = format!(">{} interval", self.family.level());
        let mut table = Table::new([
            "Trial",
            "Model",
            "PromptSet",
            "Dataset",
            "Type",
            "Metric",
            ">Items",
            ">Control",
            ">Treatment",
            ">Difference",
            &interval,
            ">p",
            ">q (run)",
            ">USD",
        ]);
        for trial in &self.trials {
            for row in &trial.rows {
                let metric = &row.metric;
                let [difference, interval, p] = metric.delta_cells();
                let kind = if row.open { "open" } else { "closed" };
                table.row([
                    code(&trial.slug),
                    code(&trial.model),
                    code(&trial.prompt_set),
                    code(&row.dataset),
                    kind.to_owned(),
                    metric.heading(),
                    count(metric.delta.as_ref().map_or(0, |delta| delta.n)),
                    metric.arm_cell(0),
                    metric.arm_cell(1),
                    difference,
                    interval,
                    p,
                    p_cell(row.q),
                    cost_cell(trial.usd[2]),
                ]);
            }
        }
        text.push_str(&table.finish());
        let _ = writeln!(text, "{}", self.family.sentence());
        text.push_str(
            "Trials that share a control share its answers, so their tests depend on each other. USD is what all \
             answers of the trial cost, a shared control included; – is not known, or not defined.\n",
        );
        for trial in &self.trials {
            if let Some(note) = &trial.note {
                let _ = writeln!(text, "\n{}: {}", code(&trial.slug), prose(note));
            }
        }
        text.push_str("\n## Cost\n\n");
        let mut table = Table::new(["Trial", ">Control USD", ">Treatment USD", ">Both USD"]);
        for trial in &self.trials {
            let [control, treatment, both] = trial.usd.map(cost_cell);
            table.row([code(&trial.slug), control, treatment, both]);
        }
        text + table.finish().trim_end() + "\n"
    }
}
