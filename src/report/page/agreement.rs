use std::fmt::Write as _;

use super::table::HtmlTable;
use super::{RunPage, escape};
use crate::report::MetricRow;
use crate::report::rater_agreement::HEADINGS;

impl RunPage {
    /// Renders how far scorers agree with the people who rated answers; empty where nobody did.
    pub(super) fn agreement(&self) -> String {
        let all =
            || self.trials.iter().flat_map(|trial| trial.report.agreement.iter().map(move |found| (trial, found)));
        if all().next().is_none() {
            return String::new();
        }
        let mut html = String::from("<section id=\"agreement\"><h2>Agreement with people and judges</h2>");
        for (trial, found) in all() {
            let heading = escape(&format!("{} on {}", found.labels, found.dataset));
            // Of many trials there is much of the same.
            let end = if self.trials.len() == 1 {
                let _ = write!(html, "<div class=\"comparison\"><h3>{heading}</h3>");
                "</div>"
            } else {
                let of = escape(&self.label(trial));
                let _ = write!(html, "<details class=\"comparison\"><summary>{heading} · {of}</summary>");
                "</details>"
            };
            let _ = write!(html, "<p class=\"small\">{}</p>", escape(&found.words()));
            let mut table = HtmlTable::new(HEADINGS);
            for row in &found.rows {
                let metric = MetricRow::named(&row.metric).name_words().html();
                table.row(std::iter::once(metric).chain(row.cells().map(|cell| escape(&cell))));
            }
            html.push_str(&table.finish());
            html.push_str(end);
        }
        html + "</section>\n"
    }
}
