use std::fmt::Write;

use super::markdown::{Table, code};
use super::metric_row::test_name;
use super::number::{NONE, count, p_cell, p_value};
use super::{Detail, MetricRow};

/// Says what a section is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// One dataset.
    Dataset(String),
    /// All datasets of one type.
    Pooled,
}

/// Is the comparison of the arms on one set of items.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// What it is about.
    pub kind: SectionKind,
    /// Whether its items are open-book.
    pub open: bool,
    /// How many items have scores under both arms.
    pub n_items: u64,
    /// How many lack a score under an arm.
    pub n_missing: u64,
    /// How many clusters, where items are clustered.
    pub n_clusters: Option<u64>,
    /// The metrics.
    pub metrics: Vec<MetricRow>,
    /// McNemar's test.
    pub mcnemar: Option<McNemarRow>,
    /// What became of the answers of control and treatment, where they were built.
    pub counts: [Option<ArmCounts>; 2],
    /// The main metric by the rows' label, where there are several.
    pub labels: Vec<(String, MetricRow)>,
    /// What there is beyond these.
    pub detail: Detail,
}

/// Is McNemar's test.
#[derive(Clone, Debug, PartialEq)]
pub struct McNemarRow {
    /// The metric, as headings show it.
    pub metric: MetricRow,
    /// Items wrong under control and right under treatment.
    pub b: u64,
    /// Items right under control and wrong under treatment.
    pub c: u64,
    /// The exact p-value.
    pub p_exact: f64,
    /// The mid-p value.
    pub p_mid: f64,
    /// The odds ratio.
    pub odds_ratio: Option<f64>,
    /// Its 95 % interval; an end is absent where it is infinite or undefined.
    pub odds_ratio_ends: (Option<f64>, Option<f64>),
    /// How items with several draws were made right or wrong.
    pub binarised: Option<String>,
    /// The corrected p-value, where the test belongs to a family.
    pub q: Option<f64>,
}

/// Counts what became of one arm's answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmCounts {
    /// The statuses with their counts.
    pub statuses: Vec<(String, u64)>,
    /// Items without a score.
    pub missing_items: u64,
    /// Draws without a score.
    pub missing_draws: u64,
}

/// The names of the arms, in the order of every pair.
pub(super) const ARMS: [&str; 2] = ["Control", "Treatment"];

impl Section {
    /// Renders the section under a third-level heading.
    pub(super) fn render(&self, level: &str) -> String {
        let kind = self.book();
        let mut text = match &self.kind {
            SectionKind::Dataset(name) => format!("### {} ({kind})\n\n", code(name)),
            SectionKind::Pooled => format!("### All {kind} datasets\n\n"),
        };
        text.push_str(&self.arm_table(level));
        text.push_str(&self.significance(level));
        text.push_str(&self.detail.render());
        text.push_str(&self.label_table());
        text.push_str(&self.detail.render_pooled());
        text + &self.answers()
    }

    /// Says whether its items come with a passage.
    pub(super) fn book(&self) -> &'static str {
        if self.open { "open-book" } else { "closed-book" }
    }

    fn arm_table(&self, level: &str) -> String {
        let mut headings = vec!["Condition".to_owned(), ">Items".to_owned()];
        headings.extend(self.metrics.iter().map(|metric| format!(">{}", metric.heading())));
        let mut table = Table::new(headings);
        for (arm, name) in ARMS.iter().enumerate().filter(|(arm, _)| self.counts[*arm].is_some()) {
            let items = self.metrics.iter().find_map(|metric| metric.arms[arm].as_ref()).map_or(0, |arm| arm.n);
            let mut cells = vec![(*name).to_owned(), count(items)];
            cells.extend(self.metrics.iter().map(|metric| metric.arm_cell(arm)));
            table.row(cells);
        }
        format!("{}Means over items, with {level} intervals in brackets.\n\n", table.finish())
    }

    fn significance(&self, level: &str) -> String {
        if self.n_items == 0 {
            return "No item has a score under both arms, so nothing is compared.\n\n".to_owned();
        }
        let mut text = format!("Differences (treatment − control) over {} paired items", count(self.n_items));
        if let Some(clusters) = self.n_clusters {
            let _ = write!(text, " in {} clusters", count(clusters));
        }
        text.push_str(":\n\n");
        let interval = format!(">{level} interval");
        let mut table = Table::new(["Metric", ">Difference", &interval, "Test", ">p", ">q"]);
        for metric in self.metrics.iter().filter(|metric| metric.delta.is_some()) {
            let [difference, interval, p] = metric.delta_cells();
            let delta = metric.delta.as_ref();
            let test = delta.and_then(|delta| delta.test.as_ref()).map_or(NONE, |test| test_name(&test.0));
            let q = p_cell(delta.and_then(|delta| delta.q));
            table.row([&metric.heading(), &difference, &interval, test, &p, &q]);
        }
        text.push_str(&table.finish());
        if let Some(mcnemar) = &self.mcnemar {
            text.push_str(&mcnemar.render());
        }
        text
    }

    fn label_table(&self) -> String {
        if self.labels.len() < 2 {
            return String::new();
        }
        let mut table = Table::new(["Label", "Metric", ">Items", ">Control", ">Treatment", ">Difference", ">Interval"]);
        for (label, metric) in &self.labels {
            let [difference, interval, _] = metric.delta_cells();
            let items = count(metric.delta.as_ref().map_or(0, |delta| delta.n));
            let arms = [metric.arm_cell(0), metric.arm_cell(1)];
            table.row([&code(label), &metric.heading(), &items, &arms[0], &arms[1], &difference, &interval]);
        }
        table.finish()
    }

    /// Shows how the answers ended, and how many have no score.
    fn answers(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.counts.iter().flatten().flat_map(|arm| &arm.statuses) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names.sort_unstable_by_key(|name| (*name != "stop", *name));
        let mut headings = vec!["Answers".to_owned()];
        headings.extend(names.iter().map(|name| format!(">{}", code(name))));
        headings.extend([">Draws without score".to_owned(), ">Items without score".to_owned()]);
        let mut table = Table::new(headings);
        for (name, arm) in ARMS.iter().zip(&self.counts) {
            let Some(arm) = arm else { continue };
            let of_status = |name: &&str| arm.statuses.iter().find(|(other, _)| other == name).map_or(0, |(_, n)| *n);
            let mut cells = vec![(*name).to_owned()];
            cells.extend(names.iter().map(|name| count(of_status(name))));
            cells.extend([count(arm.missing_draws), count(arm.missing_items)]);
            table.row(cells);
        }
        let mut text = table.finish();
        if self.n_missing > 0 && self.counts.iter().all(Option::is_some) {
            let _ = write!(
                text,
                "{} of {} items lack a score under an arm and are in no difference.\n\n",
                count(self.n_missing),
                count(self.n_items + self.n_missing)
            );
        }
        text
    }
}

impl McNemarRow {
    fn render(&self) -> String {
        let end = |end: Option<f64>| end.map_or_else(|| NONE.to_owned(), |end| format!("{end:.3}"));
        let ratio = match self.odds_ratio {
            Some(ratio) => {
                let (lower, upper) = self.odds_ratio_ends;
                format!(", odds ratio {ratio:.3} (95% interval {} to {})", end(lower), end(upper))
            }
            None => String::new(),
        };
        let q = self.q.map_or_else(String::new, |q| format!(", {}", p_value("q", q)));
        let binarised = match &self.binarised {
            Some(_) => " An item with several draws counts as right where more than half of them are.",
            None => "",
        };
        format!(
            "McNemar on {}: {} items turned right, {} turned wrong; {}, {}{ratio}{q}.{binarised}\n\n",
            self.metric.heading(),
            count(self.b),
            count(self.c),
            p_value("exact p", self.p_exact),
            p_value("mid-p", self.p_mid),
        )
    }
}
