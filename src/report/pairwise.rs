use std::fmt::Write;

use super::Unit;
use super::markdown::{Table, code};
use super::metric_row::interval_name;
use super::number::{NONE, count, difference, p_cell, range, value};

/// Is which arm's answers a model prefers on a dataset. A win is the treatment's.
#[derive(Clone, Debug, PartialEq)]
pub struct PairwiseSection {
    /// The dataset.
    pub dataset: String,
    /// What the setting is called.
    pub name: String,
    /// The model that compares.
    pub model: String,
    /// All pairs; those that a status decides; those asked about without a verdict in both orders; those that look the same.
    pub pairs: u64,
    /// Pairs that are not compared for a status, by arm and status.
    pub not_compared: Vec<(String, u64)>,
    /// Pairs asked about that have no verdict in one order or in both.
    pub no_outcome: u64,
    /// Ties about which nobody was asked.
    pub identical: u64,
    /// Verdicts drawn, and those that say none of the known words or were not completed.
    pub verdicts: (u64, u64),
    /// Wins, ties and losses.
    pub outcomes: (u64, u64, u64),
    /// The win rate.
    pub win_rate: Rate,
    /// Items or clusters won, and lost, and the p-value of the exact sign test.
    pub sign_test: (u64, u64, Option<f64>),
    /// What the place of an answer does.
    pub position: Position,
    /// What its length does.
    pub length: LengthControl,
    /// By the metric of raters: how far they agree.
    pub labels: Vec<(String, LabelsRow)>,
}

/// Is a share or a difference with its interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rate {
    /// The mean.
    pub mean: Option<f64>,
    /// The ends of its interval.
    pub interval: Option<(f64, f64)>,
    /// The method of the interval.
    pub method: Option<String>,
    /// Items.
    pub n: u64,
}

/// Is what the place of an answer does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Position {
    /// Pairs with a verdict in both orders.
    pub pairs: u64,
    /// Those of them on which both orders agree.
    pub consistent: u64,
    /// Those on which the first answer is preferred twice, and the second.
    pub flipped: (u64, u64),
    /// The win rate of the first answer, less one half.
    pub bias: Rate,
}

/// Is what the length of an answer does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LengthControl {
    /// Mean lengths of control and treatment, in characters.
    pub means: Option<(f64, f64)>,
    /// The win rate at equal lengths.
    pub win_rate: Rate,
    /// Whether one arm's answers are always longer.
    pub is_extrapolated: bool,
    /// Why there is none, as the file says it.
    pub why: Option<String>,
}

/// Is how far outcomes agree with raters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelsRow {
    /// Pairs that both speak of, and those whose answers raters tell apart.
    pub pairs: (u64, u64),
    /// Of the latter, those won by the answer that is rated higher, and ties.
    pub same: (u64, u64),
    /// The share of the former.
    pub accuracy: Option<f64>,
    /// The share of all pairs on which win, tie or loss is the same.
    pub agreement: Option<f64>,
    /// Cohen's kappa.
    pub kappa: Option<f64>,
}

impl PairwiseSection {
    /// Renders the section of one dataset and model.
    pub(super) fn render(&self, level: &str) -> String {
        let mut text = format!(
            "### Preferred answers: {} on {}\n\n{}\n\n",
            code(&self.name),
            code(&self.dataset),
            self.counts(&code)
        );
        let interval = format!(">{level} interval");
        let mut table =
            Table::new([">Wins", ">Ties", ">Losses", ">Win rate", &interval, "Interval by", ">Sign test p"]);
        table.row(self.outcome_cells());
        text.push_str(&table.finish());
        for sentence in [self.position_words(), self.length_words()] {
            let _ = write!(text, "{sentence}\n\n");
        }
        if !self.labels.is_empty() {
            let mut table = Table::new(LABEL_HEADINGS);
            for (name, row) in &self.labels {
                table.row(std::iter::once(code(name)).chain(row.cells()));
            }
            text.push_str(&table.finish());
        }
        text
    }

    /// Says what was asked, and what came of it; `name` writes names.
    pub(super) fn counts(&self, name: &dyn Fn(&str) -> String) -> String {
        let mut text = format!(
            "{} was shown the arms' answers in both orders, and not told whose they are. Treatment wins a pair where it is preferred \
             in both orders and loses it where control is; everything else is a tie. Of {} pairs",
            name(&self.model),
            count(self.pairs)
        );
        let (wins, ties, losses) = self.outcomes;
        let _ = write!(text, " {} are compared", count(wins + ties + losses));
        if self.identical > 0 {
            let _ = write!(
                text,
                ", {} of them the same twice, which are ties that nobody was asked about",
                count(self.identical)
            );
        }
        if self.no_outcome > 0 {
            let _ = write!(text, "; {} have no verdict in both orders", count(self.no_outcome));
        }
        if !self.not_compared.is_empty() {
            let all: Vec<String> =
                self.not_compared.iter().map(|(why, n)| format!("{} {}", name(why), count(*n))).collect();
            let _ = write!(text, "; not compared for how an answer ended: {}", all.join(", "));
        }
        let (drawn, lost) = self.verdicts;
        if lost > 0 {
            let _ = write!(
                text,
                ". {} of {} verdicts say none of the known words or were not completed",
                count(lost),
                count(drawn)
            );
        }
        text + "."
    }

    /// Returns wins, ties, losses, win rate, interval, its method, and the p-value of the sign test.
    pub(super) fn outcome_cells(&self) -> [String; 7] {
        let (wins, ties, losses) = self.outcomes;
        let rate = &self.win_rate;
        [
            count(wins),
            count(ties),
            count(losses),
            rate.mean.map_or_else(|| NONE.to_owned(), |mean| value(Unit::Share, mean)),
            rate.ends(),
            rate.method.as_deref().map_or_else(|| NONE.to_owned(), |method| interval_name(method).to_owned()),
            p_cell(self.sign_test.2),
        ]
    }

    /// Says what the place of an answer does.
    pub(super) fn position_words(&self) -> String {
        let Position { pairs, consistent, flipped: (first, second), bias } = &self.position;
        if *pairs == 0 {
            return "Position: no pair has a verdict in both orders.".to_owned();
        }
        let share = value(Unit::Share, *consistent as f64 / *pairs as f64);
        let mut text = format!(
            "Position: on {} of {} pairs ({share}) both orders say the same; on {} the answer shown first is preferred twice, on {} the one \
             shown second",
            count(*consistent),
            count(*pairs),
            count(*first),
            count(*second)
        );
        if let Some(mean) = bias.mean {
            let _ = write!(text, ". The first place is worth {}", difference(Unit::Share, mean));
            if let Some(ends) = bias.interval {
                let _ = write!(text, " ({})", range(Unit::Share, ends));
            }
        }
        text + "."
    }

    /// Says what the length of an answer does.
    pub(super) fn length_words(&self) -> String {
        let length = &self.length;
        let mut text = match length.means {
            Some((control, treatment)) => {
                format!(
                    "Length: answers have {control:.0} characters under control and {treatment:.0} under treatment on average. "
                )
            }
            None => "Length: ".to_owned(),
        };
        match (length.win_rate.mean, length.why.as_deref()) {
            (Some(mean), _) => {
                let _ = write!(text, "At equal lengths the win rate would be {}", value(Unit::Share, mean));
                if length.win_rate.interval.is_some() {
                    let _ = write!(text, " ({})", length.win_rate.ends());
                }
                text.push('.');
                if length.is_extrapolated {
                    text.push_str(" One arm's answers are always the longer ones, so that this lies outside of what was seen.");
                }
            }
            (None, Some("separated")) => text.push_str(
                "There is no estimate at equal lengths: a difference of lengths, or the arm alone, tells wins from losses without \
                 exception, and the estimate is infinite.",
            ),
            (None, Some("not_settled")) => text.push_str("There is no estimate at equal lengths: the iteration did not settle."),
            (None, _) => text.push_str("There is no estimate at equal lengths: the differences of lengths do not vary."),
        }
        text
    }
}

/// Are the headings over the cells of [`LabelsRow`], with the raters' metric before them.
pub(super) const LABEL_HEADINGS: [&str; 8] =
    ["Raters", ">Pairs", ">Rated differently", ">Same side", ">Ties", ">Accuracy", ">Agreement", ">Cohen's kappa"];

impl LabelsRow {
    /// Returns the cells under [`LABEL_HEADINGS`] but for the first.
    pub(super) fn cells(&self) -> [String; 7] {
        let number = |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.3}"));
        let (pairs, differing) = self.pairs;
        let [accuracy, agreement, kappa] = [self.accuracy, self.agreement, self.kappa].map(number);
        [count(pairs), count(differing), count(self.same.0), count(self.same.1), accuracy, agreement, kappa]
    }
}

impl Rate {
    fn ends(&self) -> String {
        match self.interval {
            Some((low, high)) => format!("{} to {}", value(Unit::Share, low), value(Unit::Share, high)),
            None => NONE.to_owned(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::report) fn section() -> PairwiseSection {
        let rate = |mean, low, high| Rate {
            mean: Some(mean),
            interval: Some((low, high)),
            method: Some("t-cluster-robust".to_owned()),
            n: 9,
        };
        PairwiseSection {
            dataset: "d".to_owned(),
            name: "j".to_owned(),
            model: "<b>m".to_owned(),
            pairs: 12,
            not_compared: vec![("control:refusal".to_owned(), 2)],
            no_outcome: 1,
            identical: 1,
            verdicts: (18, 1),
            outcomes: (4, 3, 2),
            win_rate: rate(5.5 / 9.0, 0.3, 0.9),
            sign_test: (4, 2, Some(0.6875)),
            position: Position { pairs: 8, consistent: 6, flipped: (1, 0), bias: rate(0.0625, -0.1, 0.2) },
            length: LengthControl {
                means: Some((10.0, 24.4)),
                win_rate: rate(0.5, 0.2, 0.8),
                is_extrapolated: true,
                why: None,
            },
            labels: vec![(
                "people".to_owned(),
                LabelsRow { pairs: (8, 4), same: (3, 1), accuracy: Some(0.75), ..LabelsRow::default() },
            )],
        }
    }

    #[test]
    fn a_section_says_who_is_preferred_and_what_bends_that() {
        let expected = "### Preferred answers: `j` on `d`\n\n\
            `<b>m` was shown the arms' answers in both orders, and not told whose they are. Treatment wins a pair where it is preferred \
            in both orders and loses it where control is; everything else is a tie. Of 12 pairs 9 are compared, 1 of them the same twice, \
            which are ties that nobody was asked about; 1 have no verdict in both orders; not compared for how an answer ended: \
            `control:refusal` 2. 1 of 18 verdicts say none of the known words or were not completed.\n\n\
            | Wins | Ties | Losses | Win rate | 95% interval | Interval by | Sign test p |\n\
            |---:|---:|---:|---:|---:|---|---:|\n\
            | 4 | 3 | 2 | 61.1% | 30.0% to 90.0% | Student's t, cluster-robust | 0.6875 |\n\n\
            Position: on 6 of 8 pairs (75.0%) both orders say the same; on 1 the answer shown first is preferred twice, on 0 the one shown \
            second. The first place is worth +6.2 pp (-10.0 to +20.0 pp).\n\n\
            Length: answers have 10 characters under control and 24 under treatment on average. At equal lengths the win rate would be \
            50.0% (20.0% to 80.0%). One arm's answers are always the longer ones, so that this lies outside of what was seen.\n\n\
            | Raters | Pairs | Rated differently | Same side | Ties | Accuracy | Agreement | Cohen's kappa |\n\
            |---|---:|---:|---:|---:|---:|---:|---:|\n\
            | `people` | 8 | 4 | 3 | 1 | 0.750 | – | – |\n\n";
        assert_eq!(section().render("95%"), expected);
    }

    #[test]
    fn what_there_is_not_is_said() {
        let mut bare = section();
        (bare.identical, bare.no_outcome, bare.verdicts, bare.outcomes) = (0, 0, (0, 0), (0, 0, 0));
        (bare.not_compared, bare.labels) = (Vec::new(), Vec::new());
        (bare.win_rate, bare.position) = (Rate::default(), Position::default());
        bare.length = LengthControl { why: Some("separated".to_owned()), ..LengthControl::default() };
        let text = bare.render("95%");
        assert!(text.contains("Of 12 pairs 0 are compared.\n"), "{text}");
        assert!(text.contains("| 0 | 0 | 0 | – | – | – |"), "{text}");
        assert!(
            text.contains("no pair has a verdict in both orders") && text.contains("the estimate is infinite"),
            "{text}"
        );
    }
}
