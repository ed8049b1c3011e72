use super::inline::Words;
use super::metric_row::test_name;
use super::number::{count, difference, p_value, range, value};
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

impl Direction {
    /// Says what such a verdict shows and what it does not.
    pub(super) fn meaning(self) -> Option<&'static str> {
        Some(match self {
            Self::Higher | Self::Lower => {
                "It shows a difference on questions like these, with this model and decoding; it does not show why, nor that \
                 another model would differ."
            }
            Self::NotShown => {
                "It does not show that the arms are equal: every difference within the interval fits these answers."
            }
            Self::NotTested => return None,
        })
    }
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
        let mut words = self.finding(family);
        if let Some(meaning) = self.meaning(family) {
            words = words.text(format!(" {meaning}"));
        }
        self.with_cautions(words)
    }

    /// Says the same without what every verdict of its direction shows and does not.
    pub(super) fn brief_words(&self, family: &FamilyNote) -> Words {
        let mut words = self.finding(family);
        if let Some(meaning) = self.own_meaning(family) {
            words = words.text(format!(" {meaning}"));
        }
        self.with_cautions(words)
    }

    fn meaning(&self, family: &FamilyNote) -> Option<&'static str> {
        self.own_meaning(family).or_else(|| self.direction(family).meaning())
    }

    /// Says what this verdict shows and does not, where that is not what others of its direction do.
    ///
    /// Where no item tells the arms apart the interval has no width, whatever a test made of that; few items have none.
    pub(super) fn own_meaning(&self, family: &FamilyNote) -> Option<&'static str> {
        let delta = self.metric.delta.as_ref().filter(|_| self.direction(family) == Direction::NotShown)?;
        if delta.signs.0 + delta.signs.2 == 0 {
            return Some(
                "The arms score the same on each of these items, so that the interval has no width; it does not show that \
                 they would on others.",
            );
        }
        delta.interval.is_none().then_some("There is too little for an interval, and nothing is shown either way.")
    }

    fn with_cautions(&self, mut words: Words) -> Words {
        for caution in &self.cautions {
            words = words.text(" ").strong("Caution:").text(format!(" {caution}."));
        }
        if let Some(equivalence) = &self.equivalence {
            words = words.text(format!(" Against the margin: {equivalence}."));
        }
        words
    }

    fn finding(&self, family: &FamilyNote) -> Words {
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
        let items = if delta.n == 1 { "item" } else { "items" };
        let size = format!("{}{interval} over {} {items}{from_to}", difference(metric.unit, mean), count(delta.n));
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
                return title.text(format!(" no difference shown: {size}. {tested}.{smallest}"));
            }
        };
        title.text(format!(" {direction} under treatment: {size}. {tested}."))
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Delta;

    /// Two arms of which 5 of 1,500 items differ, or none.
    fn verdict(signs: (u64, u64, u64)) -> (Verdict, FamilyNote) {
        let delta = Delta {
            n: 1500,
            means: Some((0.5, 0.5)),
            mean: Some(0.0),
            interval: Some((0.0, 0.0)),
            method: None,
            signs,
            test: Some(("mcnemar-exact".to_owned(), 1.0)),
            q: None,
        };
        let metric = MetricRow { delta: Some(delta), ..MetricRow::named("em") };
        let verdict =
            Verdict { dataset: "d".to_owned(), metric, cautions: Vec::new(), equivalence: None, detectable: None };
        (verdict, FamilyNote { alpha: 0.05, correction: None, tests: 1, scope: String::new() })
    }

    #[test]
    fn an_interval_without_width_is_not_said_to_hold_what_fits() {
        let (flat, family) = verdict((0, 1500, 0));
        for words in [flat.words(&family), flat.brief_words(&family)] {
            let text = words.markdown();
            assert!(text.contains("over 1,500 items") && text.contains("the interval has no width"), "{text}");
            assert!(!text.contains("within the interval"), "{text}");
        }
        let (equal, family) = verdict((3, 1494, 3));
        assert!(equal.words(&family).markdown().contains("within the interval fits these answers"));
        assert!(!equal.brief_words(&family).markdown().contains("within the interval"));
        let (mut single, family) = verdict((0, 0, 1));
        if let Some(delta) = &mut single.metric.delta {
            (delta.n, delta.interval) = (1, None);
        }
        let text = single.words(&family).markdown();
        assert!(text.contains("over 1 item, from") && text.contains("too little for an interval"), "{text}");
        assert!(!text.contains("within the interval"), "{text}");
    }
}
