use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::table::{HtmlTable, name};
use super::{RunPage, escape};
use crate::report::PromptFile;
use crate::report::number::{NONE, count};

impl RunPage {
    /// Renders where everything came from: hashes, models served, dates, files.
    pub(super) fn provenance(&self) -> String {
        let mut html = String::from("<section id=\"provenance\"><h2>Provenance</h2>");
        let mut facts = HtmlTable::new(["What", "Value"]);
        for (what, value) in &self.facts {
            facts.row([escape(what), name(value)]);
        }
        html.push_str(&facts.finish());
        if self.trials.iter().any(|trial| !trial.origins.is_empty()) {
            html.push_str("<h3>When, by whom and how answers were given</h3>");
            let mut table =
                HtmlTable::new(["Trial", "Arm", ">Answers", "First logged (UTC)", "Last logged (UTC)", "Told of them"]);
            for trial in &self.trials {
                for arm in &trial.origins {
                    let told = arm.counts.iter().flat_map(|(what, counts)| {
                        counts.iter().map(move |(value, n)| format!("{what} {} × {}", name(value), count(*n)))
                    });
                    let date = |at: &Option<String>| at.as_deref().map_or_else(|| NONE.to_owned(), escape);
                    table.row([
                        name(&trial.report.slug),
                        escape(&arm.side),
                        count(arm.draws),
                        date(&arm.first),
                        date(&arm.last),
                        told.collect::<Vec<_>>().join("<br>"),
                    ]);
                }
            }
            html.push_str(&table.finish());
        }
        // Trials of one model say the same of it.
        for warning in self.trials.iter().filter_map(|trial| trial.unpinned.as_ref()).collect::<BTreeSet<_>>() {
            let _ = write!(html, "<p class=\"warn\">{}</p>", escape(warning));
        }
        if !self.trials.is_empty() {
            html.push_str(&self.prompt_texts());
        }
        let _ = write!(html, "<details><summary>Files read ({})</summary>", count(self.sources.len() as u64));
        let mut table = HtmlTable::new(["File", ">Bytes", "Digest"]);
        for source in &self.sources {
            table.row([name(&source.path), count(source.size), name(&source.digest)]);
        }
        html.push_str(&table.finish());
        let _ = write!(html, "</details><details><summary>Files shown ({})</summary>", count(self.views.len() as u64));
        let mut table = HtmlTable::new(["File", ">Bytes", "Digest"]);
        for view in &self.views {
            table.row([name(&view.path), count(view.size), name(&view.digest)]);
        }
        html.push_str(&table.finish());
        html.push_str("</details>");
        if !self.trials.is_empty() {
            let _ = write!(html, "<h3>For a methods section</h3><p class=\"methods\">{}</p>", escape(&self.methods()));
        }
        html + "</section>\n"
    }

    /// Lists the texts of the arms' prompts.
    fn prompt_texts(&self) -> String {
        let mut html = String::from("<h3>Prompts</h3>");
        // A text that several trials have in common is told once.
        let mut texts: Vec<(&PromptFile, Vec<&str>)> = Vec::new();
        for trial in &self.trials {
            for file in &trial.report.prompts {
                match texts.iter_mut().find(|(known, _)| *known == file) {
                    Some((_, slugs)) => slugs.push(&trial.report.slug),
                    None => texts.push((file, vec![&trial.report.slug])),
                }
            }
        }
        let mut table = HtmlTable::new(["Trial", "Arm", "Part", ">Bytes", ">Words", "Digest"]);
        for (file, slugs) in texts {
            let trials = match slugs.len() {
                all if all > 1 && all == self.trials.len() => format!("all {all}"),
                _ => slugs.iter().map(|slug| name(slug)).collect::<Vec<_>>().join("<br>"),
            };
            let [arm, part] = [&file.arm, &file.part].map(|word| escape(word));
            table.row([trials, arm, part, count(file.bytes), count(file.words), name(&file.digest)]);
        }
        if self.trials.iter().all(|trial| trial.report.prompts.is_empty()) {
            html.push_str("<p>No arm has a prompt of its own: questions are asked as they stand.</p>");
        } else {
            html.push_str(&table.finish());
        }
        html
    }
}
