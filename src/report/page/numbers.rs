use std::fmt::Write as _;

use super::table::{HtmlTable, name};
use super::{RunPage, escape};
use crate::report::metric_row::{interval_name, test_name};
use crate::report::number::{NONE, count, difference, p_cell, range, typeset, usd};
use crate::report::panel::Panel;
use crate::report::{JudgeCost, MetricRow};

impl RunPage {
    /// Renders the numbers as tables, a fold for each trial.
    pub(super) fn tables(&self) -> String {
        if self.trials.is_empty() {
            return String::new();
        }
        let mut html = String::from("<section id=\"tables\"><h2>Numbers</h2>");
        for trial in &self.trials {
            let report = &trial.report;
            let open = if self.trials.len() == 1 { " open" } else { "" };
            let _ = write!(
                html,
                "<details{open}><summary><code>{}</code></summary><p class=\"small\">",
                escape(&report.slug)
            );
            let facts = report.facts.iter().map(|(what, value)| format!("{} {}", escape(what), name(value)));
            html.push_str(&facts.collect::<Vec<_>>().join(" · "));
            html.push_str("</p>");
            let level = report.family.level();
            let rows = || {
                trial.datasets().flat_map(|(dataset, section)| section.metrics.iter().map(move |row| (dataset, row)))
            };
            let interval = format!(">{level} interval");
            let headings =
                ["Dataset", "Metric", ">Pairs", ">Control", ">Treatment", ">Difference", &interval, "Test", ">p", ">q"];
            let mut table = HtmlTable::new(headings);
            for (dataset, row) in rows() {
                table.row(metric_cells(dataset, row));
            }
            html.push_str(&table.finish());
            html.push_str(&interval_note(rows()));
            let cost = &report.cost;
            let both = cost.total.usd.map_or_else(|| "not known".to_owned(), usd);
            let _ = write!(html, "<p class=\"small\">Cost of all answers: {}; ", escape(&both));
            let _ = match (cost.total.prompt_tokens, cost.total.completion_tokens) {
                (None, None) => write!(html, "tokens were not counted.</p>"),
                (input, output) => {
                    write!(html, "{} input and {} output tokens.</p>", tokens(input), tokens(output))
                }
            };
            for judge in &cost.judges {
                let _ = write!(html, "<p class=\"small\">Apart from these, {}</p>", verdict_words(judge));
            }
            let panels = report.further.panels();
            if !panels.is_empty() {
                let names: Vec<&str> = panels.iter().map(|panel| panel.heading).collect();
                let _ = write!(html, "<details class=\"further\"><summary>{}</summary>", names.join(" · "));
                html.extend(panels.iter().map(Panel::html));
                html.push_str("</details>");
            }
            html.push_str("</details>");
        }
        if self.trials.len() > 1 && !self.judges.is_empty() {
            html.push_str("<p class=\"small\">All verdicts of the run, one that several trials share once: ");
            html.push_str(&self.judges.iter().map(verdict_words).collect::<Vec<_>>().join(" "));
            html.push_str("</p>");
        }
        html + "</section>\n"
    }
}

/// Says what a model that judges took.
fn verdict_words(judge: &JudgeCost) -> String {
    let on_pairs = match judge.on_pairs {
        0 => String::new(),
        n => format!(" ({} on pairs of answers)", count(n)),
    };
    let usd = judge.cost.usd.map_or_else(|| "cost not known".to_owned(), usd);
    format!(
        "{} verdicts of {}{on_pairs}: {}; {} input and {} output tokens.",
        count(judge.verdicts),
        name(&judge.model),
        escape(&usd),
        tokens(judge.cost.prompt_tokens),
        tokens(judge.cost.completion_tokens)
    )
}

fn tokens(n: Option<u64>) -> String {
    n.map_or_else(|| NONE.to_owned(), count)
}

/// Says by which method intervals of differences were made, and, where there are several, of which datasets.
///
/// A column of its own would say the same in row after row, and leave no room for the p-values.
fn interval_note<'r>(rows: impl Iterator<Item = (&'r str, &'r MetricRow)>) -> String {
    let mut methods: Vec<(&str, Vec<&str>)> = Vec::new();
    for (dataset, row) in rows {
        let Some(method) = row.delta.as_ref().and_then(|delta| delta.method.as_deref()) else { continue };
        match methods.iter_mut().find(|(known, _)| *known == method) {
            Some((_, datasets)) if datasets.contains(&dataset) => {}
            Some((_, datasets)) => datasets.push(dataset),
            None => methods.push((method, vec![dataset])),
        }
    }
    let each = methods.iter().map(|(method, datasets)| {
        let of = datasets.iter().map(|dataset| name(dataset)).collect::<Vec<_>>().join(", ");
        let of = if methods.len() > 1 { format!(" ({of})") } else { String::new() };
        format!("{}{of}", escape(interval_name(method)))
    });
    match each.collect::<Vec<_>>().join("; ") {
        none if none.is_empty() => none,
        each => format!("<p class=\"small\">Intervals of differences: {each}.</p>"),
    }
}

fn metric_cells(dataset: &str, row: &MetricRow) -> Vec<String> {
    let (shown, is_own) = row.name_shown();
    let delta = row.delta.as_ref();
    let test = delta.and_then(|delta| delta.test.as_ref());
    vec![
        name(dataset),
        if is_own { shown.to_owned() } else { name(shown) },
        count(delta.map_or(0, |delta| delta.n)),
        row.arm_cell(0),
        row.arm_cell(1),
        delta.and_then(|delta| delta.mean).map_or_else(|| NONE.to_owned(), |mean| typeset(&difference(row.unit, mean))),
        delta.and_then(|delta| delta.interval).map_or_else(|| NONE.to_owned(), |ends| typeset(&range(row.unit, ends))),
        test.map_or_else(|| NONE.to_owned(), |test| escape(test_name(&test.0))),
        escape(&p_cell(test.map(|test| test.1))),
        escape(&p_cell(delta.and_then(|delta| delta.q))),
    ]
}
