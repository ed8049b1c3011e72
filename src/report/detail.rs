use std::fmt::Write;

use super::markdown::{Table, code};
use super::number::{NONE, count, difference, p_cell, p_value};
use super::section::ARMS;
use super::{MetricRow, PooledMetric, Unit};

/// Is what a section says beyond means, differences and tests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detail {
    /// What several draws of an item come to.
    pub draws: Option<DrawsRow>,
    /// What missing outcomes could change in the main metric.
    pub missing: Option<MissingRow>,
    /// Tests against margins.
    pub equivalence: Vec<EquivalenceRow>,
    /// The mean risk of control and treatment up to the coverage that both reach, and that coverage.
    pub risk: Option<(f64, f64, f64)>,
    /// The main metric by the values of each subgroup field.
    pub fields: Vec<(String, Vec<(String, MetricRow)>)>,
    /// The effects of the rows' labels pooled, by metric.
    pub pooled: Vec<PooledMetric>,
}

/// Is what several draws of an item come to, for control and treatment.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawsRow {
    /// The metric, as headings show it.
    pub metric: MetricRow,
    /// The share of the variance between items that sampling adds.
    pub sampling_share: [Option<f64>; 2],
    /// Chances as k, pass@k, majority@k; empty for a metric that is not right or wrong.
    pub at_k: [Vec<(u64, f64, f64)>; 2],
}

/// Is what missing outcomes could change.
#[derive(Clone, Debug, PartialEq)]
pub struct MissingRow {
    /// The metric, as headings show it.
    pub metric: MetricRow,
    /// Items that only control, and that only treatment lacks.
    pub only: (u64, u64),
    /// The difference if every missing outcome went against treatment, and if every one went for it.
    pub bounds: Option<(f64, f64)>,
    /// The p-value of one arm lacking more.
    pub differential_p: f64,
    /// Whether it is below the level of tests.
    pub is_differential: bool,
}

/// Is a test against a margin.
#[derive(Clone, Debug, PartialEq)]
pub struct EquivalenceRow {
    /// The metric, as headings show it.
    pub metric: MetricRow,
    /// The margin.
    pub margin: f64,
    /// The interval that belongs to it, and its level.
    pub interval: (f64, f64),
    /// Its level.
    pub level: f64,
    /// The p-values of equivalence and of non-inferiority.
    pub p: (f64, f64),
    /// The verdict in words.
    pub verdict: String,
}

impl Detail {
    /// Renders what there is, each as a short paragraph or table.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        self.render_equivalence(&mut text);
        self.render_draws(&mut text);
        if let Some(missing) = &self.missing {
            missing.render(&mut text);
        }
        if let Some((control, treatment, coverage)) = self.risk {
            let percent = |share: f64| format!("{:.1}%", share * 100.0);
            let _ = write!(
                text,
                "Selective risk: of the answers up to a coverage of {}, which both arms reach, {} are wrong under control and \
                 {} under treatment, averaged over coverage.\n\n",
                percent(coverage),
                percent(control),
                percent(treatment)
            );
        }
        for (field, rows) in &self.fields {
            let mut table =
                Table::new([&code(field), "Metric", ">Items", ">Control", ">Treatment", ">Difference", ">Interval"]);
            for (value, metric) in rows {
                let [difference, interval, _] = metric.delta_cells();
                let items = count(metric.delta.as_ref().map_or(0, |delta| delta.n));
                let arms = [metric.arm_cell(0), metric.arm_cell(1)];
                table.row([&code(value), &metric.heading(), &items, &arms[0], &arms[1], &difference, &interval]);
            }
            text.push_str(&table.finish());
        }
        text
    }

    /// Renders what the effects of the labels come to together.
    pub(super) fn render_pooled(&self) -> String {
        if self.pooled.is_empty() {
            return String::new();
        }
        let all: Vec<_> = self.pooled.iter().map(|pooled| (None, pooled)).collect();
        "Meta-analysis: the effects of the labels pooled, treatment − control.\n\n".to_owned()
            + &PooledMetric::render(&all)
    }

    fn render_equivalence(&self, text: &mut String) {
        if self.equivalence.is_empty() {
            return;
        }
        let mut table =
            Table::new(["Metric", ">Margin", ">Interval", ">p equivalence", ">p non-inferiority", "Verdict"]);
        for row in &self.equivalence {
            let (lower, upper) = row.interval;
            let unit = row.metric.unit;
            let level = format!("{:.0}%", row.level * 100.0);
            let cells = [
                row.metric.heading(),
                format!("±{}", difference(unit, row.margin).trim_start_matches('+')),
                format!("{} to {} ({level})", difference(unit, lower), difference(unit, upper)),
                p_cell(Some(row.p.0)),
                p_cell(Some(row.p.1)),
                row.verdict.clone(),
            ];
            table.row(cells);
        }
        text.push_str(&table.finish());
    }

    fn render_draws(&self, text: &mut String) {
        let Some(draws) = &self.draws else { return };
        let percent = |share: f64| format!("{:.1}%", share * 100.0);
        let ks: Vec<u64> = draws.at_k.iter().flatten().map(|row| row.0).collect();
        let most = ks.iter().copied().max().unwrap_or(1);
        let shown: Vec<u64> = [1, 2, 5, 10, most].into_iter().filter(|k| *k <= most && ks.contains(k)).collect();
        let mut shown = shown;
        shown.sort_unstable();
        shown.dedup();
        let mut headings = vec!["Draws".to_owned(), ">Sampling's share of variance".to_owned()];
        for k in shown.iter().filter(|k| **k > 1) {
            headings.extend([format!(">pass@{k}"), format!(">majority@{k}")]);
        }
        let mut table = Table::new(headings);
        for (name, (share, at_k)) in ARMS.iter().zip(draws.sampling_share.iter().zip(&draws.at_k)) {
            let mut cells = vec![(*name).to_owned(), share.map_or_else(|| NONE.to_owned(), percent)];
            for k in shown.iter().filter(|k| **k > 1) {
                let found = at_k.iter().find(|row| row.0 == *k);
                cells.extend(
                    [found.map(|row| row.1), found.map(|row| row.2)]
                        .map(|share| share.map_or_else(|| NONE.to_owned(), percent)),
                );
            }
            table.row(cells);
        }
        let _ = write!(text, "Draws of one item on {}:\n\n{}", draws.metric.heading(), table.finish());
    }
}

impl MissingRow {
    fn render(&self, text: &mut String) {
        let (control, treatment) = self.only;
        let _ = write!(
            text,
            "{} has no score under control alone for {} items, under treatment alone for {}",
            self.metric.heading(),
            count(control),
            count(treatment)
        );
        let _ = write!(text, " (exact test of missing more often: {})", p_value("p", self.differential_p));
        text.push('.');
        if let Some((worst, best)) = self.bounds {
            let _ = write!(
                text,
                " With every missing outcome against treatment the difference would be {}, with every one for it {}.",
                difference(Unit::Share, worst),
                difference(Unit::Share, best)
            );
        }
        if self.is_differential {
            text.push_str(
                " **Outcomes are missing in one arm more often than in the other: that may be the difference.**",
            );
        }
        text.push_str("\n\n");
    }
}
