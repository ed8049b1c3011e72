use std::fmt::Write as _;

use super::markdown::code;
use super::metric_row::test_name;
use super::number::{difference, p_value, range, value};
use super::{FamilyNote, MetricRow};

/// Is what a trial says about one primary metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The dataset.
    pub dataset: String,
    /// The metric there.
    pub metric: MetricRow,
    /// What weakens the verdict, in words.
    pub cautions: Vec<String>,
    /// What a test against a margin says, in words.
    pub equivalence: Option<String>,
    /// The smallest difference that these items could have shown.
    pub detectable: Option<f64>,
}

impl Verdict {
    /// Says in words what changed, by how much, how sure that is, what it does not show, and what weakens it.
    pub(super) fn render(&self, family: &FamilyNote) -> String {
        let mut text = self.conclusion(family);
        let mut more = String::new();
        for caution in &self.cautions {
            let _ = write!(more, " **Caution:** {caution}.");
        }
        if let Some(equivalence) = &self.equivalence {
            let _ = write!(more, " Against the margin: {equivalence}.");
        }
        text.truncate(text.trim_end().len());
        text + &more + "\n"
    }

    fn conclusion(&self, family: &FamilyNote) -> String {
        let metric = &self.metric;
        let title = format!("- **{} in {}:**", metric.heading(), code(&self.dataset));
        let Some((delta, mean)) = metric.delta.as_ref().and_then(|delta| Some((delta, delta.mean?))) else {
            return format!("{title} not compared, as no item has a score under both arms.\n");
        };
        let from_to = match delta.means {
            Some((control, treatment)) => {
                format!(", from {} to {}", value(metric.unit, control), value(metric.unit, treatment))
            }
            None => String::new(),
        };
        let interval = match delta.interval {
            Some(ends) => format!(" ({} interval {})", family.level(), range(metric.unit, ends)),
            None => String::new(),
        };
        let size = format!("{}{interval} over {} items{from_to}", difference(metric.unit, mean), delta.n);
        let Some((test, p)) = &delta.test else {
            let why = if delta.signs.0 + delta.signs.2 == 0 && delta.n > 0 {
                "the arms do not differ on any item"
            } else {
                "there is too little to test"
            };
            return format!("{title} {size}. No test was made: {why}.\n");
        };
        let corrected = delta.q.map_or_else(String::new, |q| format!(", {} {}", p_value("q", q), family.words()));
        let tested = format!("{}: {}{corrected}", test_name(test), p_value("p", *p));
        let direction = if mean > 0.0 { "higher" } else { "lower" };
        if delta.q.unwrap_or(*p) < family.alpha {
            format!(
                "{title} {direction} under treatment: {size}. {}. It shows a difference on questions like these, with \
                 this model and decoding; it does not show why, nor that another model would differ.\n",
                capitalised(&tested)
            )
        } else {
            let smallest = self.detectable.map_or_else(String::new, |smallest| {
                format!(
                    " The smallest difference that these items show reliably is {}.",
                    difference(metric.unit, smallest).trim_start_matches('+')
                )
            });
            format!(
                "{title} no difference shown: {size}. {}. It does not show that the arms are equal: every difference \
                 within the interval fits these answers.{smallest}\n",
                capitalised(&tested)
            )
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
