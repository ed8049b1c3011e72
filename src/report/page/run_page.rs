use std::fmt::Write as _;
use std::io::{self, Write};

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::{ItemList, Methods, PageTrial, escape};
use crate::report::Direction;

/// Is the style of the page.
const STYLE: &str = include_str!("style.css");
/// Is the script of the page: it sorts tables and filters items, and nothing is lost without it.
const SCRIPT: &str = include_str!("script.js");

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
    /// What failed, as label and reason.
    pub failures: Vec<(String, String)>,
    /// The trials whose results are there.
    pub trials: Vec<PageTrial>,
    /// The slugs of those whose results are not.
    pub unfinished: Vec<String>,
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
    /// Writes the page up to its items.
    pub fn write_head(&self, out: &mut dyn Write) -> io::Result<()> {
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()));
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
             <title>{} · exp</title><style>{STYLE}</style></head><body><main>",
            escape(&self.run_id)
        )?;
        out.write_all(self.header().as_bytes())?;
        out.write_all(self.verdict().as_bytes())?;
        out.write_all(self.charts().as_bytes())?;
        out.write_all(self.tables().as_bytes())?;
        out.write_all(self.provenance().as_bytes())
    }

    /// Begins the items.
    pub fn write_items_head(out: &mut dyn Write) -> io::Result<()> {
        out.write_all(
            b"<section id=\"items\"><h2>Where the arms disagree</h2>\
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

    fn header(&self) -> String {
        let mut html = format!(
            "<header><p class=\"kicker\">Evaluation report</p><h1>{}</h1><p class=\"sub\">{} · begun {} · {}</p>",
            escape(&self.run_id),
            escape(&self.state),
            escape(&self.created.replace('T', " ").replace('Z', " UTC")),
            escape(&self.tool)
        );
        html.push_str(
            "<nav><a href=\"#verdict\">Verdict</a> <a href=\"#effects\">Effects</a> <a href=\"#arms\">Arms</a> \
             <a href=\"#tables\">Tables</a> <a href=\"#provenance\">Provenance</a> <a href=\"#items\">Items</a></nav></header>\n",
        );
        if !self.is_complete {
            let _ =
                write!(html, "<p class=\"warn\"><strong>This run is {}, not complete.</strong> ", escape(&self.state));
            if let Some(narrowed) = &self.narrowed {
                html.push_str(&escape(narrowed));
            }
            if !self.unfinished.is_empty() {
                let _ = write!(html, " Without results: {}.", escape(&self.unfinished.join(", ")));
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

    fn verdict(&self) -> String {
        let mut html = String::from("<section id=\"verdict\"><h2>Verdict</h2>");
        let mut notes: Vec<&str> = self.trials.iter().filter_map(|trial| trial.report.note.as_deref()).collect();
        notes.sort_unstable();
        notes.dedup();
        for note in notes {
            let _ = write!(html, "<p class=\"warn\"><strong>Note:</strong> {}</p>", escape(note));
        }
        let all = || {
            self.trials
                .iter()
                .flat_map(|trial| trial.report.verdicts.iter().map(move |v| v.direction(&trial.report.family)))
        };
        let of = |direction| all().filter(|found| *found == direction).count();
        let total = all().count();
        if total > 1 {
            let _ = write!(
                html,
                "<p class=\"lead\">Of {total} primary comparisons, {} show treatment higher and {} lower; for {} no difference is shown{}.</p>",
                of(Direction::Higher),
                of(Direction::Lower),
                of(Direction::NotShown),
                match of(Direction::NotTested) {
                    0 => String::new(),
                    n => format!(", and {n} could not be tested"),
                }
            );
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
                let words = verdict.words(&report.family).html();
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
        if let Some(trial) = self.trials.first() {
            let _ = write!(html, "<p class=\"small\">{}</p>", escape(&trial.report.family.sentence()));
        }
        html + "</section>\n"
    }
}
