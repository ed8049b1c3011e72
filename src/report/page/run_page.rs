use std::fmt::Write as _;
use std::io::{self, Write};

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::table::name;
use super::{ItemList, Methods, PageTrial, escape};
use crate::report::metric_row::metric_meaning;
use crate::report::number::count;
use crate::report::{Direction, JudgeCost, Verdict};

/// Is the style of the page.
const STYLE: &str = include_str!("style.css");
/// Is the script of the page: it sorts tables and filters items, and nothing is lost without it.
const SCRIPT: &str = include_str!("script.js");

/// Is what the page links to at its top, in its order; it has not every section.
const SECTIONS: [(&str, &str); 15] = [
    ("verdict", "Verdict"),
    ("effects", "Effects"),
    ("arms", "Arms"),
    ("grid", "Grid"),
    ("risk", "Risk"),
    ("cost", "Cost"),
    ("heterogeneity", "Heterogeneity"),
    ("missing", "Missing"),
    ("flips", "Flips"),
    ("pairwise", "Preferences"),
    ("agreement", "Raters"),
    ("tokens", "Tokens"),
    ("tables", "Numbers"),
    ("provenance", "Provenance"),
    ("items", "Items"),
];

/// Is a file with its content's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its hash.
    pub digest: String,
}

/// Is all that the page of a run says but its items, which follow one trial after the other.
#[derive(Clone, Debug)]
pub struct RunPage {
    /// The run's id.
    pub run_id: String,
    /// How far it is, in a word.
    pub state: String,
    /// Whether that is complete.
    pub is_complete: bool,
    /// When it began.
    pub created: String,
    /// The program that made it.
    pub tool: String,
    /// The run's root.
    pub root: Option<String>,
    /// What completes it, where it was asked for less than the whole.
    pub narrowed: Option<String>,
    /// How many requests have no answer because asking failed.
    pub failed_requests: u64,
    /// What failed, as label and reason.
    pub failures: Vec<(String, String)>,
    /// The trials whose results are there.
    pub trials: Vec<PageTrial>,
    /// The slugs of those whose results are not.
    pub unfinished: Vec<String>,
    /// What the models that judge took over all trials: what trials share once.
    pub judges: Vec<JudgeCost>,
    /// Facts of provenance, as name and value.
    pub facts: Vec<(String, String)>,
    /// The files that were read.
    pub sources: Vec<SourceFile>,
    /// The files that are shown.
    pub views: Vec<SourceFile>,
    /// What the paragraph on methods says beyond the trials.
    pub methods: Methods,
}

impl RunPage {
    /// Writes the page up to its items, which follow or do not.
    pub fn write_head(&self, out: &mut dyn Write, has_items: bool) -> io::Result<()> {
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()));
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
             <title>{} · exp</title><style>{STYLE}</style></head><body><main>",
            escape(&self.run_id)
        )?;
        let body = self.verdict() + &self.charts() + &self.tables() + &self.provenance();
        out.write_all(self.header(&body, has_items).as_bytes())?;
        out.write_all(body.as_bytes())
    }

    /// Begins the items.
    pub fn write_items_head(out: &mut dyn Write) -> io::Result<()> {
        out.write_all(
            b"<section id=\"items\"><h2>Where the arms disagree</h2>\
              <p class=\"small\">Marked are words that the other answer does not have there. Scores are means over the item's draws, bold \
              where the arms differ. Beside an arm stands how its answer ended (<code>stop</code>: by itself).</p>\
              <p class=\"paper\">On paper only those items stand that were open on the screen.</p>\
              <form class=\"filter\" hidden><label>which <select name=\"flip\"><option value=\"\">all</option>\
              <option value=\"up\">treatment higher</option><option value=\"down\">control higher</option>\
              <option value=\"other\">differs otherwise</option></select></label>\
              <label>dataset <select name=\"dataset\"><option value=\"\">all</option></select></label>\
              <label>status <select name=\"status\"><option value=\"\">all</option></select></label>\
              <label>field <select name=\"field\"><option value=\"\">all</option></select></label>\
              <label>text <input name=\"text\" type=\"search\"></label> <output></output></form>\n",
        )
    }

    /// Writes the items of one trial.
    pub fn write_items(list: &ItemList, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "<h3><code>{}</code></h3><p>{}</p>", escape(&list.slug), escape(&list.words()))?;
        for item in &list.shown {
            out.write_all(item.card().as_bytes())?;
        }
        Ok(())
    }

    /// Ends the items.
    pub fn write_items_foot(out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"</section>\n")
    }

    /// Ends the page.
    pub fn write_foot(out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "</main><script>{SCRIPT}</script></body></html>")
    }

    fn header(&self, body: &str, has_items: bool) -> String {
        let mut html = format!(
            "<header><p class=\"kicker\">Evaluation report</p><h1>{}</h1><p class=\"sub\">{} · begun {} · {}</p>",
            escape(&self.run_id),
            escape(&self.state),
            escape(&self.created.replace('T', " ").replace('Z', " UTC")),
            escape(&self.tool)
        );
        html.push_str("<nav aria-label=\"Sections\">");
        for (id, name) in SECTIONS {
            if body.contains(&format!("<section id=\"{id}\">")) || (id == "items" && has_items) {
                let _ = write!(html, "<a href=\"#{id}\">{name}</a> ");
            }
        }
        html.push_str("</nav></header>\n");
        if !self.is_complete {
            let _ = write!(html, "<p class=\"warn\"><strong>{}</strong>", escape(&self.incomplete_words()));
            if self.failed_requests > 0 {
                let _ = match self.failed_requests {
                    1 => write!(html, " 1 request failed and has no answer."),
                    n => write!(html, " {} requests failed and have no answer.", count(n)),
                };
            }
            if let Some(narrowed) = &self.narrowed {
                let _ = write!(html, " {}.", with_code(narrowed.trim_end_matches('.')));
            }
            if !self.unfinished.is_empty() {
                let slugs = self.unfinished.iter().map(|slug| name(slug)).collect::<Vec<_>>().join(", ");
                let _ = write!(html, " Without results: {slugs}.");
            }
            html.push_str("</p>");
        }
        for (label, why) in self.failures.iter().take(20) {
            let _ = write!(
                html,
                "<p class=\"warn\"><code>{}</code> failed: <span class=\"t\">{}</span></p>",
                escape(label),
                escape(why)
            );
        }
        html
    }

    /// Says that the run is not complete, and how that came.
    fn incomplete_words(&self) -> String {
        let how = match self.state.as_str() {
            "partial" => "was asked for a part of the experiment only",
            "failed" => "failed",
            "stopped" => "was stopped",
            "pending" => "waits for answers of a provider",
            "running" => "is under way, or was interrupted",
            other => return format!("This run is {other}, not complete."),
        };
        format!("This run {how}: it is not complete.")
    }

    fn verdict(&self) -> String {
        let mut html = String::from("<section id=\"verdict\"><h2>Verdict</h2>");
        if self.trials.is_empty() {
            return html + "<p>No trial of this run has results yet, so there is nothing to judge.</p></section>\n";
        }
        let mut notes: Vec<&str> = self.trials.iter().filter_map(|trial| trial.report.note.as_deref()).collect();
        notes.sort_unstable();
        notes.dedup();
        for note in notes {
            let _ = write!(html, "<p class=\"warn\"><strong>Note:</strong> {}</p>", escape(note));
        }
        let directions: Vec<Direction> = self
            .trials
            .iter()
            .flat_map(|trial| trial.report.verdicts.iter().map(move |v| v.direction(&trial.report.family)))
            .collect();
        if directions.len() > 1 {
            let _ = write!(html, "<p class=\"lead\">{}</p>", summary(&directions));
        }
        let is_long = directions.len() > MANY_VERDICTS;
        if is_long {
            let _ = write!(html, "<details><summary>All {} in words</summary>", directions.len());
        }
        for trial in &self.trials {
            let report = &trial.report;
            if self.trials.len() > 1 {
                let _ = write!(html, "<h3><code>{}</code></h3>", escape(&report.slug));
            }
            html.push_str("<ul class=\"verdicts\">");
            for verdict in &report.verdicts {
                let (class, word) = match verdict.direction(&report.family) {
                    Direction::Higher => (" up", "higher"),
                    Direction::Lower => (" down", "lower"),
                    Direction::NotShown => ("", "no difference shown"),
                    Direction::NotTested => ("", "not tested"),
                };
                let words = verdict.brief_words(&report.family).html();
                let _ = write!(html, "<li><span class=\"badge{class}\">{word}</span> {words}</li>");
            }
            html.push_str("</ul>");
            if report.verdicts.is_empty() {
                html.push_str("<p>No primary metric is compared in this trial.</p>");
            }
            if let Some(deviations) = report.deviations.as_deref().filter(|found| !found.is_empty()) {
                html.push_str("<p class=\"warn\"><strong>This analysis is not as <code>analysis_plan.lock</code> says.</strong></p><ul>");
                for [what, sealed, now] in deviations {
                    let [what, sealed, now] = [what, sealed, now].map(|text| escape(text));
                    let _ = write!(
                        html,
                        "<li><code>{what}</code>: sealed <code>{sealed}</code>, now <code>{now}</code></li>"
                    );
                }
                html.push_str("</ul>");
            }
        }
        if is_long {
            html.push_str("</details>");
        }
        html.push_str(&self.reading(&directions));
        html + "</section>\n"
    }

    /// Says once how the verdicts are to be read, and what the names in them stand for.
    fn reading(&self, directions: &[Direction]) -> String {
        let mut html = String::new();
        if let Some(trial) = self.trials.first() {
            let _ = write!(html, "<p class=\"small\">{}", escape(&trial.report.family.sentence()));
        }
        let leaves_open = self.trials.iter().any(|trial| {
            let family = &trial.report.family;
            let is_plain = |v: &Verdict| v.direction(family) == Direction::NotShown && v.own_meaning(family).is_none();
            trial.report.verdicts.iter().any(is_plain)
        });
        let differs = [Direction::Higher, Direction::Lower].iter().any(|found| directions.contains(found));
        if let (true, Some(meaning)) = (differs, Direction::Higher.meaning()) {
            let _ = write!(html, " <strong>Higher, lower:</strong> {meaning}");
        }
        if let (true, Some(meaning)) = (leaves_open, Direction::NotShown.meaning()) {
            let _ = write!(html, " <strong>No difference shown:</strong> {meaning}");
        }
        html.push_str("</p>");
        let sections = self.trials.iter().flat_map(super::PageTrial::datasets).map(|(_, section)| section);
        let mut named: Vec<(&str, &str)> = Vec::new();
        for meaning in sections.flat_map(|section| &section.metrics).filter_map(|row| metric_meaning(&row.name)) {
            if !named.contains(&meaning) {
                named.push(meaning);
            }
        }
        let each = named.iter().map(|(name, meaning)| format!("<strong>{name}:</strong> {meaning}; "));
        let _ = write!(
            html,
            "<p class=\"small\">Scores are means over items. {}<strong>pp:</strong> percentage points.</p>",
            each.collect::<String>()
        );
        html
    }
}

/// Writes words of this program's own, in which what stands between backticks is code.
fn with_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { name(part) } else { escape(part) }).collect()
}

/// Is how many verdicts stand open above the charts.
const MANY_VERDICTS: usize = 24;

/// Sums verdicts up in one sentence.
fn summary(directions: &[Direction]) -> String {
    let total = directions.len();
    let of = |direction| directions.iter().filter(|found| **found == direction).count();
    let in_n = |n: usize| if n == total { "all".to_owned() } else { n.to_string() };
    let mut parts = Vec::new();
    match (of(Direction::Higher), of(Direction::Lower)) {
        (0, 0) => {}
        (up, 0) => parts.push(format!("treatment scores higher in {}", in_n(up))),
        (0, down) => parts.push(format!("treatment scores lower in {}", in_n(down))),
        (up, down) => parts.push(format!("treatment scores higher in {up} and lower in {down}")),
    }
    let more = [(Direction::NotShown, "no difference is shown"), (Direction::NotTested, "no test could be made")];
    for (direction, what) in more {
        if of(direction) > 0 {
            let n = of(direction);
            parts.push(if n == total { format!("{what} in any") } else { format!("{what} in {n}") });
        }
    }
    format!("Of {total} primary comparisons, {}.", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_what_there_is_and_no_more() {
        use Direction::{Higher, Lower, NotShown, NotTested};
        assert_eq!(summary(&[Lower, Lower]), "Of 2 primary comparisons, treatment scores lower in all.");
        assert_eq!(summary(&[NotShown, NotShown]), "Of 2 primary comparisons, no difference is shown in any.");
        assert_eq!(
            summary(&[Higher, NotShown, Lower, Higher, NotTested]),
            "Of 5 primary comparisons, treatment scores higher in 2 and lower in 1; no difference is shown in 1; \
             no test could be made in 1."
        );
    }

    /// Reads the colours of one of the style's blocks of variables, as shares of light.
    fn colours(block: &str) -> std::collections::BTreeMap<&str, [f64; 3]> {
        let channel = |n: u32| f64::from(n) / 255.0;
        let of = |value: &str| -> Option<[f64; 3]> {
            let numbers: Vec<u32> = match value.strip_prefix('#') {
                Some(hex) => {
                    let size = hex.len() / 3;
                    let digits = (0..3).map(|at| hex[at * size..(at + 1) * size].repeat(3 - size));
                    digits.map(|digits| u32::from_str_radix(&digits, 16).ok()).collect::<Option<_>>()?
                }
                None => value.split(' ').map(|n| n.parse().ok()).collect::<Option<_>>()?,
            };
            Some([0, 1, 2].map(|at| numbers.get(at).copied().map_or(0.0, channel)))
        };
        let end = block.find('}').unwrap_or(block.len());
        block[..end]
            .split(';')
            .filter_map(|one| one.trim().strip_prefix("--")?.split_once(':'))
            .filter_map(|(name, value)| Some((name, of(value)?)))
            .collect()
    }

    /// Returns the contrast of two colours as WCAG 2 defines it.
    fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
        let linear = |c: f64| if c <= 0.03928 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
        let light = |c: [f64; 3]| 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]) + 0.05;
        let (a, b) = (light(a), light(b));
        a.max(b) / a.min(b)
    }

    #[test]
    fn words_can_be_read_and_arms_told_apart_in_every_scheme() {
        let schemes: Vec<_> = STYLE.split(":root{").skip(1).map(colours).collect();
        assert_eq!(schemes.len(), 3, "light, dark and print");
        for scheme in schemes {
            let of = |a: &str, b: &str| contrast(scheme[a], scheme[b]);
            let words =
                [("fg", "bg"), ("fg", "panel"), ("fg", "mark"), ("fg", "warn-bg"), ("soft", "bg"), ("soft", "panel")];
            for (word, ground) in
                words.into_iter().chain([("up", "bg"), ("down", "bg"), ("up", "panel"), ("down", "panel")])
            {
                assert!(of(word, ground) >= 4.5, "{word} on {ground}: {}", of(word, ground));
            }
            assert!(of("bg", "up") >= 4.5, "numbers on the treatment's bar: {}", of("bg", "up"));
            assert!(of("control", "bg") >= 3.0 && of("up", "bg") >= 3.0, "bars on the ground");
            assert!(of("control", "up") >= 1.9, "the arms, without colour: {}", of("control", "up"));
        }
    }
}
