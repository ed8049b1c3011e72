use std::fmt::Write;

use super::aggregate_report::deviation_text;
use super::markdown::{Table, code, prose};
use super::number::{count, level};
use super::{CostSummary, FurtherAnalyses, PairwiseSection, PromptFile, RaterAgreement, Section, Verdict};

/// Is all that a trial's report says.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialReport {
    /// The trial's slug.
    pub slug: String,
    /// What the trial is, as name and value, in the order shown.
    pub facts: Vec<(String, String)>,
    /// What the reader has to know of who answered.
    pub note: Option<String>,
    /// The temperature as it is written, where one is sent.
    pub temperature: Option<String>,
    /// Which tests are corrected together.
    pub family: FamilyNote,
    /// What the trial says about each primary metric.
    pub verdicts: Vec<Verdict>,
    /// What is not as the sealed plan says, as what, sealed, now; none where no plan is sealed.
    pub deviations: Option<Vec<[String; 3]>>,
    /// The files of the prompts.
    pub prompts: Vec<PromptFile>,
    /// The comparisons.
    pub sections: Vec<Section>,
    /// How far scorers agree with people; empty where nobody rated answers.
    pub agreement: Vec<RaterAgreement>,
    /// Which arm's answers models prefer; empty where none was asked.
    pub pairwise: Vec<PairwiseSection>,
    /// How many items were drawn anew in both arms for a status of an earlier draw, by that status; empty where none was.
    pub redrawn: Vec<(String, u64)>,
    /// The analyses that a config may leave out.
    pub further: FurtherAnalyses,
    /// What it cost.
    pub cost: CostSummary,
}

/// Says at which level, and how, tests are corrected.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyNote {
    /// The level of tests; intervals are at 1 − alpha.
    pub alpha: f64,
    /// The correction, in words; none where there is none.
    pub correction: Option<String>,
    /// How many tests are corrected together.
    pub tests: usize,
    /// What the family spans, in words.
    pub scope: String,
}

impl FamilyNote {
    /// Returns the level of intervals, as in `95%`.
    pub(super) fn level(&self) -> String {
        level(1.0 - self.alpha)
    }

    /// Returns the correction in brackets, as in `(Holm over 2 tests)`.
    pub(super) fn words(&self) -> String {
        let tests = if self.tests == 1 { "test" } else { "tests" };
        match &self.correction {
            Some(correction) => format!("({correction} over {} {tests})", self.tests),
            None => "(not corrected)".to_owned(),
        }
    }

    /// Says what the q-values cover.
    pub(super) fn sentence(&self) -> String {
        match &self.correction {
            _ if self.tests == 0 => "No primary metric could be tested.".to_owned(),
            Some(correction) => format!(
                "Tests are at level {}. A q is a p corrected by {correction} over the {} primary {} of {}.",
                self.alpha,
                self.tests,
                if self.tests == 1 { "test" } else { "tests" },
                self.scope
            ),
            None => format!("Tests are at level {}, with no correction for their number.", self.alpha),
        }
    }
}

impl TrialReport {
    /// Renders the report as Markdown.
    pub fn render(&self) -> String {
        let mut text = format!(
            "# Evaluation Report\n\nTrial {}. When, by whom and how its answers were given: [provenance](provenance.md).\n\n",
            code(&self.slug)
        );
        if let Some(note) = &self.note {
            let _ = write!(text, "> **Note:** {}\n\n", prose(note));
        }
        let mut facts = Table::new(["Trial", "Value"]);
        for (name, value) in &self.facts {
            facts.row([prose(name), code(value)]);
        }
        text.push_str(&facts.finish());
        text.push_str("## Verdict\n\n");
        for verdict in &self.verdicts {
            let _ = writeln!(text, "- {}", verdict.words(&self.family).markdown());
        }
        if self.verdicts.is_empty() {
            text.push_str("No primary metric is compared in this trial.\n");
        }
        let _ = write!(text, "\n{}\n", self.family.sentence());
        text.push_str(&deviation_text(self.deviations.as_deref()));
        text.push('\n');
        text.push_str(&self.prompts());
        match &self.temperature {
            Some(temperature) => {
                let _ = write!(text, "## Results @ T={temperature}\n\n");
            }
            None => text.push_str("## Results\n\n"),
        }
        for section in &self.sections {
            text.push_str(&section.render(&self.family.level()));
        }
        for agreement in &self.agreement {
            text.push_str(&agreement.render());
        }
        for pairwise in &self.pairwise {
            text.push_str(&pairwise.render(&self.family.level()));
        }
        text.push_str(&self.redrawn());
        for panel in self.further.panels() {
            text.push_str(&panel.markdown());
        }
        text + &self.cost.render(&self.family.level())
    }

    /// Says which answers stand in place of earlier ones.
    fn redrawn(&self) -> String {
        if self.redrawn.is_empty() {
            return String::new();
        }
        let mut table = Table::new(["Status that was redrawn", ">Items"]);
        for (status, items) in &self.redrawn {
            table.row([code(status), count(*items)]);
        }
        format!(
            "### Redrawn answers\n\nThese items were asked again under both arms because of how an earlier answer ended \
             (`--redraw-status`); the earlier answers are not in this report.\n\n{}",
            table.finish()
        )
    }

    fn prompts(&self) -> String {
        let mut text = String::from("## Prompts\n\n");
        if self.prompts.is_empty() {
            text.push_str("No arm has a prompt of its own.\n\n");
            return text;
        }
        let mut table = Table::new(["Arm", "Part", ">Bytes", ">Words", "Digest"]);
        for file in &self.prompts {
            let [arm, part, digest] = [&file.arm, &file.part, &file.digest].map(|text| code(text));
            table.row([&arm, &part, &count(file.bytes), &count(file.words), &digest]);
        }
        text + &table.finish()
    }
}
