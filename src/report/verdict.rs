use super::inline::Words;
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

/// Says which way a primary metric went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Higher under treatment, beyond chance.
    Higher,
    /// Lower under treatment, beyond chance.
    Lower,
    /// No difference shown.
    NotShown,
    /// No test was made.
    NotTested,
}

impl Verdict {
    /// Says which way the metric went, at the level and with the correction of the family.
    pub fn direction(&self, family: &FamilyNote) -> Direction {
        let Some(delta) = &self.metric.delta else { return Direction::NotTested };
        let (Some(mean), Some((_, p))) = (delta.mean, &delta.test) else { return Direction::NotTested };
        match delta.q.unwrap_or(*p) < family.alpha {
            false => Direction::NotShown,
            true if mean > 0.0 => Direction::Higher,
            true => Direction::Lower,
        }
    }

    /// Says in words what changed, by how much, how sure that is, what it does not show, and what weakens it.
    pub(super) fn words(&self, family: &FamilyNote) -> Words {
        let mut words = self.conclusion(family);
        for caution in &self.cautions {
            words = words.text(" ").strong("Caution:").text(format!(" {caution}."));
        }
        if let Some(equivalence) = &self.equivalence {
            words = words.text(format!(" Against the margin: {equivalence}."));
        }
        words
    }

    fn conclusion(&self, family: &FamilyNote) -> Words {
        let metric = &self.metric;
        let (heading, is_own) = metric.name_shown();
        let title = if is_own { Words::default().strong(heading) } else { Words::default().strong_code(heading) };
        let title = title.strong(" in ").strong_code(&self.dataset).strong(":");
        let Some((delta, mean)) = metric.delta.as_ref().and_then(|delta| Some((delta, delta.mean?))) else {
            return title.text(" not compared, as no item has a score under both arms.");
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
            return title.text(format!(" {size}. No test was made: {why}."));
        };
        let corrected = delta.q.map_or_else(String::new, |q| format!(", {} {}", p_value("q", q), family.words()));
        let tested = capitalised(&format!("{}: {}{corrected}", test_name(test), p_value("p", *p)));
        let direction = match self.direction(family) {
            Direction::Higher => "higher",
            Direction::Lower => "lower",
            Direction::NotShown | Direction::NotTested => {
                let smallest = self.detectable.map_or_else(String::new, |smallest| {
                    format!(
                        " The smallest difference that these items show reliably is {}.",
                        difference(metric.unit, smallest).trim_start_matches('+')
                    )
                });
                return title.text(format!(
                    " no difference shown: {size}. {tested}. It does not show that the arms are equal: every difference \
                     within the interval fits these answers.{smallest}"
                ));
            }
        };
        title.text(format!(
            " {direction} under treatment: {size}. {tested}. It shows a difference on questions like these, with this model \
             and decoding; it does not show why, nor that another model would differ."
        ))
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
