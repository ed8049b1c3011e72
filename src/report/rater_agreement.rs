use std::fmt::Write;

use super::markdown::{Table, code};
use super::number::{NONE, count};

/// Is how far scorers agree with the people who rated a dataset's answers.
#[derive(Clone, Debug, PartialEq)]
pub struct RaterAgreement {
    /// The dataset.
    pub dataset: String,
    /// The metric that the raters come to.
    pub labels: String,
    /// How many draws there are, and how many are rated.
    pub draws: u64,
    /// How many of them are rated.
    pub rated: u64,
    /// How many raters there are.
    pub raters: u64,
    /// Krippendorff's alpha between raters, values the same or not; none without two of them on one draw.
    pub alpha: Option<f64>,
    /// The scorers, by metric and arm.
    pub rows: Vec<RaterAgreementRow>,
}

/// Is how far one scorer agrees with what the raters come to.
#[derive(Clone, Debug, PartialEq)]
pub struct RaterAgreementRow {
    /// The metric.
    pub metric: String,
    /// The arm, or `both`.
    pub arm: String,
    /// How many draws both speak of.
    pub draws: u64,
    /// The share on which they say the same.
    pub agreement: Option<f64>,
    /// Cohen's kappa.
    pub kappa: Option<f64>,
    /// The mean of the metric on these draws.
    pub metric_mean: Option<f64>,
    /// The mean of what the raters come to.
    pub rater_mean: Option<f64>,
}

impl RaterAgreement {
    /// Renders the section of one dataset and scorer by people.
    pub(super) fn render(&self) -> String {
        let heading = format!("### Agreement with raters: {} on {}\n\n", code(&self.labels), code(&self.dataset));
        let mut table = Table::new(HEADINGS);
        for row in &self.rows {
            table.row(std::iter::once(code(&row.metric)).chain(row.cells()));
        }
        format!("{heading}{}\n\n{}", self.words(), table.finish())
    }

    /// Says what is rated, by whom, and what agreement is.
    pub(super) fn words(&self) -> String {
        let mut text = String::new();
        let raters = if self.raters == 1 { "rater" } else { "raters" };
        let _ = write!(
            text,
            "{} of {} draws are rated, by {} {raters}.",
            count(self.rated),
            count(self.draws),
            count(self.raters)
        );
        if let Some(alpha) = self.alpha {
            let _ = write!(text, " Krippendorff's alpha between them is {alpha:.3} (nominal).");
        }
        text.push_str(" A scorer and the raters agree on a draw where both say at least 0.5, or both less.");
        text
    }
}

/// Are the headings over the cells of [`RaterAgreementRow`], with the metric before them.
pub(super) const HEADINGS: [&str; 7] =
    ["Metric", "Arm", ">Draws", ">Agreement", ">Cohen's kappa", ">Mean of metric", ">Mean of raters"];

impl RaterAgreementRow {
    /// Returns the cells under [`HEADINGS`] but for the first.
    pub(super) fn cells(&self) -> [String; 6] {
        let number = |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.3}"));
        let [agreement, kappa, metric, raters] =
            [self.agreement, self.kappa, self.metric_mean, self.rater_mean].map(number);
        [self.arm.clone(), count(self.draws), agreement, kappa, metric, raters]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_says_who_agrees_with_whom() {
        let row = RaterAgreementRow {
            metric: "em".to_owned(),
            arm: "both".to_owned(),
            draws: 3,
            agreement: Some(2.0 / 3.0),
            kappa: None,
            metric_mean: Some(0.0),
            rater_mean: Some(1.0 / 3.0),
        };
        let section = RaterAgreement {
            dataset: "d".to_owned(),
            labels: "people".to_owned(),
            draws: 4,
            rated: 3,
            raters: 1,
            alpha: None,
            rows: vec![row],
        };
        let expected = "### Agreement with raters: `people` on `d`\n\n3 of 4 draws are rated, by 1 rater. A scorer and the \
                        raters agree on a draw where both say at least 0.5, or both less.\n\n\
                        | Metric | Arm | Draws | Agreement | Cohen's kappa | Mean of metric | Mean of raters |\n\
                        |---|---|---:|---:|---:|---:|---:|\n\
                        | `em` | both | 3 | 0.667 | – | 0.000 | 0.333 |\n\n";
        assert_eq!(section.render(), expected);
    }
}
