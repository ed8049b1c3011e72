use std::fmt::Write;

use super::cost_summary::cost_cell;
use super::markdown::{Table, code, prose};
use super::metric_row::power_method_words;
use super::number::{count, difference, level, p_cell};
use super::{FamilyNote, JudgeCost, MetricRow, PooledMetric};

/// Is all that a run's report says.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateReport {
    /// The trials, in the order shown.
    pub trials: Vec<AggregateTrial>,
    /// Which tests are corrected together.
    pub family: FamilyNote,
    /// Whether the effect of a prompt set differs between models.
    pub interactions: Vec<InteractionRow>,
    /// The effects on primary metrics pooled over the datasets of a trial, by the trial's slug.
    pub pooled: Vec<(String, PooledMetric)>,
    /// What is not as the sealed plan says, as what, sealed, now; none where no plan is sealed.
    pub deviations: Option<Vec<[String; 3]>>,
    /// Whether trials share a control.
    pub has_shared_control: bool,
    /// What the models that judge took over all trials, by name: what trials share once.
    pub judges: Vec<JudgeCost>,
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
    /// What models took that judge its answers, likewise; none where nobody does.
    pub judged_usd: Option<Option<f64>>,
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
    /// What the comparison could have shown.
    pub power: Option<DetectableDifference>,
    /// Whether it is outside of the family that was stated beforehand.
    pub is_exploratory: bool,
}

/// Is the smallest difference that a comparison would have found.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectableDifference {
    /// The level of the two-sided test.
    pub alpha: f64,
    /// How often it finds it.
    pub power: f64,
    /// The method: `normal`.
    pub method: String,
    /// The difference.
    pub smallest: f64,
}

impl AggregateTrial {
    /// Says whether this is the trial, and the metric is primary in one of its datasets.
    pub fn is_primary(&self, slug: &str, metric: &str) -> bool {
        self.slug == slug && self.rows.iter().any(|row| row.metric.name == metric)
    }
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
        text.push_str(&self.pooled_text());
        text.push_str(&self.power_text());
        for trial in &self.trials {
            if let Some(note) = &trial.note {
                let _ = writeln!(text, "\n{}: {}", code(&trial.slug), prose(note));
            }
        }
        text.push_str("\n## Cost\n\n");
        let is_judged = self.trials.iter().any(|trial| trial.judged_usd.is_some());
        let verdicts = is_judged.then_some(">Verdicts USD");
        let headings = ["Trial", ">Control USD", ">Treatment USD", ">Both USD"].into_iter().chain(verdicts);
        let mut table = Table::new(headings.chain(["Answers"]));
        for trial in &self.trials {
            let [control, treatment, both] = trial.usd.map(cost_cell);
            let origin = format!("{}/reports/provenance.md", trial.slug);
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
            let origin = if origin.chars().all(is_plain) { format!("[provenance]({origin})") } else { code(&origin) };
            let verdicts = is_judged.then(|| cost_cell(trial.judged_usd.flatten()));
            table.row([code(&trial.slug), control, treatment, both].into_iter().chain(verdicts).chain([origin]));
        }
        text.push_str(table.finish().trim_end());
        text.push('\n');
        if is_judged {
            let _ = write!(
                text,
                "\nVerdicts are what models took that judge the answers; they are in no other column. All verdicts of the run, one \
                 that several trials share once:\n\n{}",
                JudgeCost::table(&self.judges)
            );
        }
        text
    }

    fn pooled_text(&self) -> String {
        let all: Vec<_> = self.pooled.iter().map(|(trial, pooled)| (Some(trial.as_str()), pooled)).collect();
        if all.is_empty() {
            return String::new();
        }
        let text = "\n## Meta-analysis\n\nThe effects on each trial's primary metrics pooled over its datasets, treatment − control; \
                    `effects.json` has those on all metrics.\n\n";
        text.to_owned() + PooledMetric::render(&all).trim_end() + "\n"
    }

    fn power_text(&self) -> String {
        let rows = || self.trials.iter().flat_map(|trial| trial.rows.iter().map(move |row| (trial, row)));
        let Some(first) = rows().find_map(|(_, row)| row.power.as_ref()) else { return String::new() };
        let mut text = format!(
            "\n## Power / MDE\n\nThe smallest difference that a two-sided test at level {}, not corrected, finds with a power of {} ({}), \
             on the items compared here.\n\n",
            first.alpha,
            level(first.power),
            power_method_words(&first.method).markdown()
        );
        let mut table =
            Table::new(["Trial", "Dataset", "Metric", ">Items", ">Difference found", ">Smallest detectable"]);
        for (trial, row) in rows() {
            let metric = &row.metric;
            let Some(power) = &row.power else { continue };
            table.row([
                code(&trial.slug),
                code(&row.dataset),
                metric.heading(),
                count(metric.delta.as_ref().map_or(0, |delta| delta.n)),
                metric.delta_cells()[0].clone(),
                difference(metric.unit, power.smallest).replace('+', ""),
            ]);
        }
        text.push_str(table.finish().trim_end());
        text + "\n"
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
