use std::fmt::Write;

use super::MetricRow;
use super::markdown::{Table, code};
use super::number::{NONE, difference, p_cell, range};

/// Is the effects of several sets of items on one metric, pooled.
#[derive(Clone, Debug, PartialEq)]
pub struct PooledMetric {
    /// The metric.
    pub metric: MetricRow,
    /// The sets.
    pub studies: Vec<String>,
    /// One common effect; random effects by DerSimonian and Laird, and by Paule and Mandel.
    pub effects: [PooledRow; 3],
    /// Cochran's Q, its degrees of freedom, its p-value.
    pub q: (f64, u64, f64),
    /// The share of variation that is not sampling.
    pub i2: f64,
    /// The sets' p-values combined by Fisher and by Stouffer.
    pub combined: [Option<f64>; 2],
}

/// Is one way to pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PooledRow {
    /// The pooled mean difference.
    pub mean: f64,
    /// Its 95 % interval, by the normal law.
    pub interval: (f64, f64),
    /// Hartung and Knapp's 95 % interval.
    pub hartung_knapp: Option<(f64, f64)>,
    /// The variance between sets, in random effects.
    pub tau2: Option<f64>,
}

/// The ways to pool, in their order.
const METHODS: [&str; 3] =
    ["one common effect (inverse variance)", "random effects, DerSimonian-Laird", "random effects, Paule-Mandel"];

impl PooledMetric {
    /// Renders several as two tables; nothing where there is none. Each stands under the name of its trial, where it has one.
    pub(super) fn render(all: &[(Option<&str>, &Self)]) -> String {
        if all.is_empty() {
            return String::new();
        }
        let of_trial = |trial: Option<&str>| trial.iter().map(|slug| code(slug)).collect::<Vec<_>>();
        let headings = |rest: &[&str]| {
            let first = all.iter().any(|(trial, _)| trial.is_some()).then_some("Trial");
            first.into_iter().chain(rest.iter().copied()).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut table = Table::new(headings(&[
            "Metric",
            "Pooled as",
            ">Difference",
            ">95% interval (normal)",
            ">95% interval (Hartung-Knapp)",
            ">τ",
        ]));
        for (trial, pooled) in all {
            for (method, row) in METHODS.iter().zip(&pooled.effects) {
                let unit = pooled.metric.unit;
                let mut cells = of_trial(*trial);
                cells.extend([
                    pooled.metric.heading(),
                    (*method).to_owned(),
                    difference(unit, row.mean),
                    range(unit, row.interval),
                    row.hartung_knapp.map_or_else(|| NONE.to_owned(), |ends| range(unit, ends)),
                    row.tau2.map_or_else(
                        || NONE.to_owned(),
                        |tau2| difference(unit, tau2.max(0.0).sqrt()).replace('+', ""),
                    ),
                ]);
                table.row(cells);
            }
        }
        let mut text = table.finish();
        let mut table = Table::new(headings(&["Metric", "Sets", ">Q", ">p", ">I²", ">p (Fisher)", ">p (Stouffer)"]));
        for (trial, pooled) in all {
            let (q, df, p) = pooled.q;
            let sets: Vec<String> = pooled.studies.iter().map(|name| code(name)).collect();
            let mut cells = of_trial(*trial);
            cells.extend([
                pooled.metric.heading(),
                sets.join(", "),
                format!("{q:.2} on {df} df"),
                p_cell(Some(p)),
                format!("{:.0}%", pooled.i2 * 100.0),
                p_cell(pooled.combined[0]),
                p_cell(pooled.combined[1]),
            ]);
            table.row(cells);
        }
        text.push_str(&table.finish());
        let _ = write!(
            text,
            "Q tests that the sets have one effect, by the chi-squared law; I² is the share of variation that is not sampling, τ the standard \
             deviation between sets. The last two columns combine the sets' own two-sided p-values.\n\n"
        );
        text
    }
}
