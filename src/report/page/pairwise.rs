use std::fmt::Write as _;

use super::table::{HtmlTable, name};
use super::{RunPage, escape};
use crate::report::PairwiseSection;
use crate::report::chart::{OutcomeBars, OutcomeRow, both};
use crate::report::number::typeset;
use crate::report::pairwise::LABEL_HEADINGS;

impl RunPage {
    /// Renders which arm's answers models prefer; empty where none was asked.
    pub(super) fn pairwise(&self) -> String {
        let all = || self.trials.iter().flat_map(|trial| trial.report.pairwise.iter().map(move |found| (trial, found)));
        let Some((trial, _)) = all().next() else { return String::new() };
        let is_alone = self.trials.len() == 1;
        let rows: Vec<OutcomeRow> = all()
            .map(|(trial, found)| {
                let (wins, ties, losses) = found.outcomes;
                let own = format!("{} · {}", found.name, found.dataset);
                let label = if is_alone { own } else { format!("{own} · {}", self.label(trial)) };
                OutcomeRow { label, wins, ties, losses }
            })
            .collect();
        let bars = OutcomeBars { rows };
        let level = trial.report.family.level();
        let mut html = String::from("<section id=\"pairwise\"><h2>Preferred answers</h2>");
        html.push_str(&both(|fit| bars.draw(fit)));
        html.push_str(
            "<p class=\"caption\">Pairs of answers, by which of the two a model prefers in both orders in which it was shown them; where the orders \
             disagree, that is a tie. The line marks half of the pairs.</p>",
        );
        for (trial, found) in all() {
            let _ = write!(html, "<div class=\"comparison\"><h3>{} on {}", escape(&found.name), escape(&found.dataset));
            if !is_alone {
                let _ = write!(html, " · {}", escape(&self.label(trial)));
            }
            html.push_str("</h3>");
            html.push_str(&figures(found, &level));
            html.push_str("</div>");
        }
        html + "</section>\n"
    }
}

/// Renders the figures of one comparison.
fn figures(found: &PairwiseSection, level: &str) -> String {
    let mut html = format!("<p class=\"small\">{}</p>", found.counts(&|text| name(text)));
    let interval = format!(">{level} interval");
    let mut table =
        HtmlTable::new([">Wins", ">Ties", ">Losses", ">Win rate", &interval, "Interval by", ">Sign test p"]);
    table.row(found.outcome_cells().map(|cell| escape(&cell)));
    html.push_str(&table.finish());
    for sentence in [found.position_words(), found.length_words()] {
        let _ = write!(html, "<p class=\"small\">{}</p>", escape(&typeset(&sentence)));
    }
    if !found.labels.is_empty() {
        let mut table = HtmlTable::new(LABEL_HEADINGS);
        for (raters, row) in &found.labels {
            table.row(std::iter::once(name(raters)).chain(row.cells().map(|cell| escape(&cell))));
        }
        html.push_str(&table.finish());
    }
    html
}
