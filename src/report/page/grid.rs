use std::fmt::Write as _;

use super::sections::{figure, title};
use super::table::name;
use super::{PageTrial, RunPage, escape};
use crate::report::Unit;
use crate::report::number::{NONE, difference, typeset};

impl RunPage {
    /// Renders the primary effects as a table of prompts by models, shaded by size; empty where there is one trial.
    pub(super) fn grid(&self) -> String {
        if self.trials.len() < 2 {
            return String::new();
        }
        let distinct = |of: &dyn Fn(&PageTrial) -> String| {
            let mut all: Vec<String> = Vec::new();
            for value in self.trials.iter().map(of) {
                if !all.contains(&value) {
                    all.push(value);
                }
            }
            all
        };
        let models = distinct(&|trial| trial.model.clone());
        let points = distinct(&|trial| trial.point.clone());
        let prompt_of = |trial: &PageTrial| {
            if points.len() > 1 { format!("{} · {}", trial.prompt_set, trial.point) } else { trial.prompt_set.clone() }
        };
        let prompts = distinct(&prompt_of);
        // What there is more of goes down the page: there is more room.
        let is_tall = models.len() > prompts.len();
        let (rows, columns) = if is_tall { (&models, &prompts) } else { (&prompts, &models) };
        let cell_of = |row: &String, column: &String| {
            let (model, prompt) = if is_tall { (row, column) } else { (column, row) };
            self.trials.iter().find(|trial| trial.model == *model && prompt_of(trial) == *prompt)
        };
        let primaries = self.primaries();
        let most = primaries
            .iter()
            .flat_map(|(dataset, metric)| self.trials.iter().filter_map(|trial| trial.metric(dataset, metric)))
            .filter(|row| row.unit == Unit::Share)
            .filter_map(|row| row.delta.as_ref()?.mean)
            .fold(1e-9_f64, |most, mean| most.max(mean.abs()));
        let mut html = String::new();
        for (dataset, metric) in &primaries {
            let Some(first) = self.trials.iter().find_map(|trial| trial.metric(dataset, metric)) else { continue };
            let _ = write!(
                html,
                "<div class=\"grid\"><h3>{}</h3><div class=\"scroll\"><table><thead><tr><td></td>",
                escape(&title(first, dataset))
            );
            for column in columns {
                let _ = write!(html, "<th scope=\"col\" class=\"r\">{}</th>", name(column));
            }
            html.push_str("</tr></thead><tbody>");
            for row in rows {
                let _ = write!(html, "<tr><th scope=\"row\">{}</th>", name(row));
                for column in columns {
                    html.push_str(&grid_cell(cell_of(row, column), dataset, metric, most));
                }
                html.push_str("</tr>");
            }
            html.push_str("</tbody></table></div></div>");
        }
        let prompts = if points.len() > 1 { "prompt set · decoding" } else { "prompt set" };
        let (rows, columns) = if is_tall { ("model", prompts) } else { (prompts, "model") };
        figure(
            "grid",
            "Effect grid",
            &format!("<div class=\"multiples\">{html}</div>"),
            &format!(
                "Rows: {rows}; columns: {columns}. Differences in percentage points: blue where treatment scores higher, orange where it scores \
                 lower, the stronger the larger. Bold: shown by the corrected test."
            ),
        )
    }
}

fn grid_cell(trial: Option<&PageTrial>, dataset: &str, metric: &str, most: f64) -> String {
    let found = trial.and_then(|trial| Some((trial, trial.metric(dataset, metric)?)));
    let Some((trial, row)) = found else { return format!("<td class=\"r\">{NONE}</td>") };
    let Some((delta, mean)) = row.delta.as_ref().and_then(|delta| Some((delta, delta.mean?))) else {
        return format!("<td class=\"r\">{NONE}</td>");
    };
    let is_shown = delta.q.or(delta.test.as_ref().map(|test| test.1)).is_some_and(|p| p < trial.report.family.alpha);
    let text = escape(&typeset(difference(row.unit, mean).trim_end_matches(" pp")));
    let text = if is_shown { format!("<strong>{text}</strong>") } else { text };
    let colour = if mean < 0.0 { "--down" } else { "--up" };
    let shade = if row.unit == Unit::Share { mean.abs() / most * 0.5 } else { 0.0 };
    format!("<td class=\"r\" style=\"background:rgb(var({colour})/{shade:.2})\">{text}</td>")
}
