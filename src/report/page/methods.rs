use std::fmt::Write as _;

use super::RunPage;
use crate::report::metric_row::interval_name;
use crate::report::number::{count, level};
use crate::report::{MetricRow, SectionKind};

/// Is what a paper has to say of how a run was made, as sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Methods {
    /// How each outcome that is not an answer scores, as outcome and rule.
    pub outcomes: Vec<(String, String)>,
}

impl RunPage {
    /// Writes a paragraph for a paper. Every value in it is the manifest's or that of a file it names.
    pub fn methods(&self) -> String {
        let mut text = String::new();
        let models = self.distinct(|trial| trial.model.clone());
        let sets = self.distinct(|trial| trial.prompt_set.clone());
        let _ = write!(text, "We compared {} with a control", list(&sets, "prompt set"));
        let _ = write!(text, " on {}", list(&models, "model"));
        let mut served: Vec<String> = Vec::new();
        for (what, value) in self.trials.iter().flat_map(|trial| &trial.origins).flat_map(|arm| &arm.counts) {
            if matches!(*what, "served model" | "revision stated by the server") {
                served.extend(value.keys().filter(|name| !served.contains(name)).cloned().collect::<Vec<_>>());
            }
        }
        if !served.is_empty() {
            let _ = write!(text, " (served as {})", served.join(", "));
        }
        text.push_str(". ");
        let dates = || self.trials.iter().flat_map(|trial| &trial.origins);
        let first = dates().filter_map(|arm| arm.first.as_deref()).min();
        let last = dates().filter_map(|arm| arm.last.as_deref()).max();
        if let (Some(first), Some(last)) = (first, last) {
            let day = |at: &str| at.split('T').next().unwrap_or_default().to_owned();
            let (first, last) = (day(first), day(last));
            let _ = if first == last {
                write!(text, "Answers were drawn on {first} (UTC). ")
            } else {
                write!(text, "Answers were drawn between {first} and {last} (UTC). ")
            };
        }
        for note in
            self.distinct(|trial| trial.report.note.clone().unwrap_or_default()).iter().filter(|note| !note.is_empty())
        {
            let _ = write!(text, "Note on who answered: {}. ", note.trim_end_matches('.'));
        }
        let mut settings: Vec<String> = Vec::new();
        for trial in &self.trials {
            let facts = trial.report.facts.iter().skip(3).map(|(name, value)| match (&**name, &**value) {
                ("Draws", "1") => "one draw of each request".to_owned(),
                ("Draws", draws) => format!("{draws} draws of each request"),
                _ => format!("{name} {value}"),
            });
            let one = facts.collect::<Vec<_>>().join(", ");
            if !settings.contains(&one) {
                settings.push(one);
            }
        }
        let _ = write!(text, "Decoding: {}. ", settings.join("; "));
        text.push_str(&self.sizes());
        text.push_str(&self.tests());
        text.push_str(&self.missing_rule());
        let state = if self.is_complete { String::new() } else { format!("; {}, not complete", self.state) };
        let _ =
            write!(text, "The run is {} (root {}{state}), made with {}.", self.run_id, self.root_words(), self.tool);
        text
    }

    fn root_words(&self) -> String {
        self.root.clone().unwrap_or_else(|| "none".to_owned())
    }

    fn distinct(&self, of: impl Fn(&super::PageTrial) -> String) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for value in self.trials.iter().map(of) {
            if !all.contains(&value) {
                all.push(value);
            }
        }
        all
    }

    fn sizes(&self) -> String {
        let mut sizes: Vec<String> = Vec::new();
        for section in self.trials.iter().flat_map(|trial| &trial.report.sections) {
            let SectionKind::Dataset(name) = &section.kind else { continue };
            let clusters = section.n_clusters.map_or_else(String::new, |n| format!(" in {} clusters", count(n)));
            let one = format!("{name}: {} paired items{clusters}", count(section.n_items));
            if !sizes.contains(&one) {
                sizes.push(one);
            }
        }
        if sizes.is_empty() { String::new() } else { format!("Sizes: {}. ", sizes.join("; ")) }
    }

    fn tests(&self) -> String {
        let (mut tests, mut intervals): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let mut primary: Vec<String> = Vec::new();
        for verdict in self.trials.iter().flat_map(|trial| &trial.report.verdicts) {
            let name = format!("{} on {}", verdict.metric.name_shown().0, verdict.dataset);
            if !primary.contains(&name) {
                primary.push(name);
            }
            let Some(delta) = &verdict.metric.delta else { continue };
            let test = delta.test.as_ref().map(|test| crate::report::metric_row::test_name(&test.0));
            tests.extend(test.filter(|test| !tests.contains(test)));
            intervals.extend(delta.method.as_deref().map(interval_name).filter(|method| !intervals.contains(method)));
        }
        let Some(family) = self.trials.first().map(|trial| &trial.report.family) else { return String::new() };
        let correction = family.correction.as_ref().map_or_else(
            || "p-values were not corrected for their number".to_owned(),
            |name| format!("p-values were corrected by {name} within each trial"),
        );
        format!(
            "Primary outcomes were {}. Differences (treatment − control, paired by item) were tested two-sided at level {} ({}); \
             {correction}. Intervals are at {} ({}). ",
            primary.join(", "),
            family.alpha,
            if tests.is_empty() { "no test".to_owned() } else { tests.join(", ") },
            level(1.0 - family.alpha),
            if intervals.is_empty() { "none".to_owned() } else { intervals.join(", ") },
        )
    }

    fn missing_rule(&self) -> String {
        let missing: u64 =
            self.trials.iter().flat_map(super::PageTrial::datasets).map(|(_, section)| section.n_missing).sum();
        let mut text = String::new();
        if !self.methods.outcomes.is_empty() {
            let rules: Vec<String> =
                self.methods.outcomes.iter().map(|(outcome, rule)| format!("{outcome} counted {rule}")).collect();
            let _ = write!(text, "Outcomes that are no plain answer: {}. ", rules.join(", "));
        }
        let _ = write!(
            text,
            "An item without a score under an arm was left out of the differences ({} over all trials and datasets). ",
            count(missing)
        );
        text
    }
}

/// Lists names with their number, as in `2 models (a, b)`.
fn list(names: &[String], what: &str) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{} {what}{plural} ({})", names.len(), names.join(", "))
}

/// Says by which methods intervals of metrics were made, each once.
pub(super) fn interval_methods<'m>(metrics: impl Iterator<Item = &'m MetricRow>) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for metric in metrics {
        let of_delta = metric.delta.as_ref().and_then(|delta| delta.method.as_deref()).map(interval_name);
        methods.extend(of_delta.filter(|method| !methods.contains(method)));
    }
    methods.join(", ")
}
