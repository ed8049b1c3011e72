use super::inline::Words;
use super::markdown::code;
use super::number::{NONE, difference, p_cell, range, value};

/// Says what a metric's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share of 1, shown in percent; differences in percentage points.
    Share,
    /// A number of its own, such as tokens.
    Count,
}

/// Is an arm's mean with its interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: Option<f64>,
    /// The interval.
    pub interval: Option<(f64, f64)>,
    /// The method of the interval.
    pub method: Option<String>,
    /// How many items.
    pub n: u64,
}

/// Is a mean difference, treatment minus control, with its test.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// How many items have the metric under both arms.
    pub n: u64,
    /// The means under control and treatment over these items.
    pub means: Option<(f64, f64)>,
    /// The mean difference.
    pub mean: Option<f64>,
    /// The interval.
    pub interval: Option<(f64, f64)>,
    /// The method of the interval.
    pub method: Option<String>,
    /// How many items are higher under treatment, equal, and higher under control.
    pub signs: (u64, u64, u64),
    /// The name of the test, and its p-value.
    pub test: Option<(String, f64)>,
    /// The corrected p-value, where the test belongs to the family that was stated beforehand.
    pub q: Option<f64>,
}

/// Is one metric under both arms.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRow {
    /// The metric's name in files.
    pub name: String,
    /// What its numbers are.
    pub unit: Unit,
    /// Control and treatment, where they were built.
    pub arms: [Option<Estimate>; 2],
    /// The comparison, where there is one.
    pub delta: Option<Delta>,
}

impl MetricRow {
    /// Makes one that has a name and no numbers. Tokens written are a count; everything else is a share.
    pub fn named(name: &str) -> Self {
        let unit = if name == "output_tokens" { Unit::Count } else { Unit::Share };
        Self { name: name.to_owned(), unit, arms: [None, None], delta: None }
    }

    /// Returns the name as it is shown, and whether that is this program's own word.
    pub(super) fn name_shown(&self) -> (&str, bool) {
        let known = match self.name.as_str() {
            "em" => "EM",
            "f1" => "F1",
            "abstain_rate" => "Abstain",
            "false_answer_rate" => "False-Ans",
            "unsupported_rate" => "Unsupported",
            "output_tokens" => "Output tokens",
            name => return (name, false),
        };
        (known, true)
    }

    /// Returns the name as headings show it.
    pub(super) fn heading(&self) -> String {
        let (name, is_own) = self.name_shown();
        if is_own { name.to_owned() } else { code(name) }
    }

    /// Returns the same for a sentence that may be HTML too.
    pub(super) fn name_words(&self) -> Words {
        let (name, is_own) = self.name_shown();
        if is_own { Words::default().text(name) } else { Words::default().code(name) }
    }

    /// Writes an arm's mean with its interval, for a cell.
    pub(super) fn arm_cell(&self, arm: usize) -> String {
        let Some(Estimate { mean: Some(mean), interval, .. }) = &self.arms[arm] else { return NONE.to_owned() };
        let ends = interval.map(|(lower, upper)| {
            let bare = |end| value(self.unit, end).trim_end_matches('%').to_owned();
            format!(" [{}, {}]", bare(lower), bare(upper))
        });
        value(self.unit, *mean) + &ends.unwrap_or_default()
    }

    /// Writes the mean difference, its interval and its p-value, for three cells.
    pub(super) fn delta_cells(&self) -> [String; 3] {
        let delta = self.delta.as_ref();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        [
            or_none(delta.and_then(|delta| delta.mean).map(|mean| difference(self.unit, mean))),
            or_none(delta.and_then(|delta| delta.interval).map(|ends| range(self.unit, ends))),
            p_cell(delta.and_then(|delta| delta.test.as_ref()).map(|test| test.1)),
        ]
    }
}

/// Says what a metric of this program's own naming is a mean of, and how a reader knows it.
pub(super) fn metric_meaning(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "em" => ("EM (exact match)", "the answer is an accepted one, but for case, punctuation and articles"),
        "f1" => (
            "F1",
            "the harmonic mean of the shares of words that the answer and the closest accepted one have in common",
        ),
        "squad_em" => ("squad_em", "exact match, as the official SQuAD evaluator has it"),
        "squad_f1" => ("squad_f1", "F1 of words, as the official SQuAD evaluator has it"),
        "abstain_rate" => ("Abstain", "the answer says that it cannot tell"),
        "false_answer_rate" => ("False-Ans", "a question without an answer got one"),
        "unsupported_rate" => ("Unsupported", "the passage does not bear the answer out"),
        _ => return None,
    })
}

/// Names the method of an interval in words.
pub(super) fn interval_name(name: &str) -> &str {
    match name {
        "t" => "Student's t",
        "t-cluster-robust" => "Student's t, cluster-robust",
        "wilson" => "Wilson",
        "clopper-pearson" => "Clopper and Pearson",
        "bootstrap-percentile" => "percentile bootstrap",
        "cluster-bootstrap-percentile" => "percentile bootstrap of clusters",
        "bootstrap-bca" => "BCa bootstrap",
        "cluster-bootstrap-bca" => "BCa bootstrap of clusters",
        "newcombe-10" => "Newcombe, method 10",
        "bonett-price" => "Bonett and Price",
        "fieller" => "Fieller",
        other => other,
    }
}

/// Returns the same for a sentence that may be HTML too; one that is not known stands as code.
pub(super) fn interval_words(name: &str) -> Words {
    match interval_name(name) {
        words if words == name => Words::default().code(name),
        words => Words::default().text(words),
    }
}

/// Names the method of a power analysis in words; one that is not known stands as code.
pub(super) fn power_method_words(name: &str) -> Words {
    match name {
        "normal" => Words::default().text("by the normal approximation"),
        other => Words::default().code(other),
    }
}

/// Names the method of a regression over all draws in words; one that is not known stands as code.
pub(super) fn regression_words(name: &str) -> Words {
    match name {
        "gee-logit-exchangeable" => Words::default().text("logistic GEE, exchangeable"),
        "ols-cluster-robust" => Words::default().text("least squares, cluster-robust"),
        other => Words::default().code(other),
    }
}

/// Names a test in words.
pub(super) fn test_name(name: &str) -> &str {
    match name {
        "mcnemar-exact" => "McNemar's exact test",
        "paired-t" => "paired t test",
        "cluster-robust-t" => "cluster-robust t test",
        other => other,
    }
}
