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
    /// Whether the effect of a prompt set differs between models.
    pub interactions: Vec<InteractionRow>,
    /// What is not as the sealed plan says, as what, sealed, now; none where no plan is sealed.
    pub deviations: Option<Vec<[String; 3]>>,
    /// Whether trials share a control.
    pub has_shared_control: bool,
}

/// Says whether the effect of a prompt set on one metric differs between models.
#[derive(Clone, Debug, PartialEq)]
pub struct InteractionRow {
    /// The prompt set.
    pub prompt_set: String,
    /// The point on the decoding axis.
    pub point: String,
    /// The dataset.
    pub dataset: String,
    /// The metric.
    pub metric: String,
    /// The models.
    pub models: Vec<String>,
    /// The p-value of one effect under every model; none where it cannot be tested.
    pub p: Option<f64>,
    /// How many items (or groups) every model answered.
    pub n: u64,
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
    /// The p-value among all treatments of a shared control.
    pub q_shared: Option<f64>,
    /// Whether it is outside of the family that was stated beforehand.
    pub is_exploratory: bool,
}

impl AggregateReport {
    /// Renders the report as Markdown.
    pub fn render(&self) -> String {
        let mut text = String::from("# Aggregate Trial Comparison\n\n");
        let interval = format!(">{} interval", self.family.level());
        let mut headings = vec![
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
        ];
        if self.has_shared_control {
            headings.push(">p (shared control)");
        }
        headings.push(">USD");
        let mut table = Table::new(headings);
        for trial in &self.trials {
            for row in &trial.rows {
                let metric = &row.metric;
                let [difference, interval, p] = metric.delta_cells();
                let kind = if row.open { "open" } else { "closed" };
                let q = p_cell(row.q) + if row.is_exploratory && row.q.is_some() { " (exploratory)" } else { "" };
                let mut cells = vec![
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
                    q,
                ];
                if self.has_shared_control {
                    cells.push(p_cell(row.q_shared));
                }
                cells.push(cost_cell(trial.usd[2]));
                table.row(cells);
            }
        }
        text.push_str(&table.finish());
        let _ = writeln!(text, "{}", self.family.sentence());
        text.push_str(
            "Trials that share a control share its answers, so their tests depend on each other; where p (shared control) \
             stands, it is the step-down p-value among all treatments of that control. `multiplicity.json` has every \
             correction, `effects.json` every effect. USD is what all answers of the trial cost, a shared control included; – \
             is not known, or not defined.\n",
        );
        text.push_str(&deviation_text(self.deviations.as_deref()));
        text.push_str(&self.interaction_text());
        for trial in &self.trials {
            if let Some(note) = &trial.note {
                let _ = writeln!(text, "\n{}: {}", code(&trial.slug), prose(note));
            }
        }
        text.push_str("\n## Cost\n\n");
        let mut table = Table::new(["Trial", ">Control USD", ">Treatment USD", ">Both USD", "Answers"]);
        for trial in &self.trials {
            let [control, treatment, both] = trial.usd.map(cost_cell);
            // A slug is a path segment: nothing in it has to be escaped in a link.
            let origin = format!("[provenance]({}/reports/provenance.md)", trial.slug);
            table.row([code(&trial.slug), control, treatment, both, origin]);
        }
        text + table.finish().trim_end() + "\n"
    }

    fn interaction_text(&self) -> String {
        if self.interactions.is_empty() {
            return String::new();
        }
        let mut text = String::from(
            "\n## Does the effect depend on the model?\n\nOne p for each prompt set and metric: that the effect is the same \
             under every model, on the items that all of them answered (not corrected for their number).\n\n",
        );
        let mut table = Table::new(["PromptSet", "Decoding", "Dataset", "Metric", "Models", ">Units", ">p"]);
        for row in &self.interactions {
            let models: Vec<String> = row.models.iter().map(|model| code(model)).collect();
            table.row([
                code(&row.prompt_set),
                code(&row.point),
                code(&row.dataset),
                code(&row.metric),
                models.join(", "),
                count(row.n),
                p_cell(row.p),
            ]);
        }
        text.push_str(table.finish().trim_end());
        text + "\n"
    }
}

/// Says what is not as the sealed plan says; nothing where no plan is sealed.
pub(super) fn deviation_text(deviations: Option<&[[String; 3]]>) -> String {
    let Some(deviations) = deviations else { return String::new() };
    if deviations.is_empty() {
        return "\nThis analysis is as `analysis_plan.lock` says.\n".to_owned();
    }
    let mut text = String::from("\n**This analysis is not as `analysis_plan.lock` says:**\n\n");
    let mut table = Table::new(["What", "Sealed", "Now"]);
    for row in deviations {
        table.row(row.each_ref().map(|cell| code(cell)));
    }
    text.push_str(&table.finish());
    text
}
