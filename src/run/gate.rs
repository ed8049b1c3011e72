use std::collections::BTreeMap;

/// Is a condition on a number of a run's results, as in `squad.f1.ci_low >= -0.01`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// As it was written.
    pub text: String,
    /// The number's name: `DATASET.METRIC.QUANTITY`.
    pub name: String,
    relation: Relation,
    bound: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    AtLeast,
    Above,
    AtMost,
    Below,
}

/// Says what is wrong with a gate, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("gate `{gate}`: {message}\n  {gate}\n  {}^", " ".repeat(*.at))]
pub struct GateError {
    /// The gate as it was written.
    pub gate: String,
    /// How many characters stand before what is wrong.
    pub at: usize,
    /// What is wrong, and what is known.
    pub message: String,
}

/// Is a gate that was held against the numbers of one trial or comparison.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct GateResult {
    /// The gate as it was written.
    pub gate: String,
    /// Of what: a trial's slug.
    pub of: String,
    /// The number; null where it is not defined.
    pub value: Option<f64>,
    /// Whether the condition holds. What is not defined meets none.
    pub passed: bool,
}

/// Are the names of what a comparison of two arms or runs has of one metric; `control` and `treatment` are `a` and `b` of two runs.
pub const QUANTITIES: [&str; 8] = ["delta", "ci_low", "ci_high", "p", "q", "n", "control", "treatment"];

impl Gate {
    /// Reads a gate.
    pub fn parse(text: &str) -> Result<Self, GateError> {
        let fail = |at: usize, message: &str| GateError {
            gate: text.to_owned(),
            at: text[..at].chars().count(),
            message: message.to_owned(),
        };
        let form = "a gate is `NAME >= NUMBER`, with `>=`, `>`, `<=` or `<`";
        let at = text.find(['<', '>', '=', '!']).ok_or_else(|| fail(text.len(), &format!("no comparison; {form}")))?;
        let rest = &text[at..];
        let (relation, length) = match rest.as_bytes() {
            [b'>', b'=', ..] => (Relation::AtLeast, 2),
            [b'<', b'=', ..] => (Relation::AtMost, 2),
            [b'>', ..] => (Relation::Above, 1),
            [b'<', ..] => (Relation::Below, 1),
            _ => return Err(fail(at, form)),
        };
        let name = text[..at].trim();
        if name.split('.').count() < 3 || name.split('.').any(str::is_empty) {
            let message = format!("a name is `DATASET.METRIC.QUANTITY`; quantities are {}", QUANTITIES.join(", "));
            return Err(fail(text.len() - text.trim_start().len(), &message));
        }
        let quantity = name.rsplit('.').next().unwrap_or_default();
        if !QUANTITIES.contains(&quantity) {
            let at = text.find(name).unwrap_or(0) + name.len() - quantity.len();
            return Err(fail(at, &format!("there is no quantity `{quantity}`; known are {}", QUANTITIES.join(", "))));
        }
        let number = &text[at + length..];
        let start = at + length + (number.len() - number.trim_start().len());
        let bound = number.trim().parse::<f64>().ok().filter(|bound| bound.is_finite());
        let bound = bound.ok_or_else(|| fail(start, "a number is needed here, as in `-0.01`"))?;
        Ok(Self { text: text.to_owned(), name: name.to_owned(), relation, bound })
    }

    /// Returns the name without its quantity: `DATASET.METRIC`.
    pub fn metric(&self) -> &str {
        self.name.rsplit_once('.').map_or("", |(metric, _)| metric)
    }

    /// Says whether it judges a point estimate, which says nothing of how sure it is.
    pub fn is_on_point_estimate(&self) -> bool {
        ["delta", "control", "treatment"].iter().any(|name| self.name.ends_with(&format!(".{name}")))
    }

    /// Makes the error of a name that nothing has.
    pub fn unknown<'n>(&self, known: impl Iterator<Item = &'n str>) -> GateError {
        let mut known: Vec<&str> = known.collect();
        known.sort_unstable();
        known.dedup();
        let more = known.len().saturating_sub(40);
        known.truncate(40);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        GateError {
            gate: self.text.clone(),
            at: self.text.find(&self.name).map_or(0, |at| self.text[..at].chars().count()),
            message: format!("nothing is named `{}`; known are {}{more}", self.name, known.join(", ")),
        }
    }

    /// Holds it against the numbers of one trial; none where that has no such number.
    pub fn judge(&self, of: &str, numbers: &BTreeMap<String, Option<f64>>) -> Option<GateResult> {
        let value = *numbers.get(&self.name)?;
        let passed = value.is_some_and(|value| match self.relation {
            Relation::AtLeast => value >= self.bound,
            Relation::Above => value > self.bound,
            Relation::AtMost => value <= self.bound,
            Relation::Below => value < self.bound,
        });
        Some(GateResult { gate: self.text.clone(), of: of.to_owned(), value, passed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_read_and_judged() {
        let numbers = BTreeMap::from([("my.set.f1.ci_low".to_owned(), Some(-0.01)), ("my.set.f1.p".to_owned(), None)]);
        let judge = |text: &str| Gate::parse(text).unwrap().judge("t", &numbers).map(|result| result.passed);
        assert_eq!(judge("my.set.f1.ci_low >= -0.01"), Some(true));
        assert_eq!(judge("my.set.f1.ci_low>-0.01"), Some(false));
        assert_eq!(judge(" my.set.f1.ci_low <= -1e-2"), Some(true));
        assert_eq!(judge("my.set.f1.p < 1"), Some(false), "what is not defined meets no gate");
        assert_eq!(judge("my.set.em.p < 1"), None);
        assert!(Gate::parse("a.b.delta > 0").unwrap().is_on_point_estimate());
        assert!(!Gate::parse("a.b.ci_low > 0").unwrap().is_on_point_estimate());
    }

    #[test]
    fn what_is_wrong_is_shown_with_its_place() {
        let at = |text: &str| Gate::parse(text).map_err(|error| error.at).unwrap_err();
        assert_eq!(at("squad.f1.ci_low"), 15);
        assert_eq!(at("squad.f1.ci_lo >= 0"), 9);
        assert_eq!(at("squad.f1.ci_low == 0"), 16);
        assert_eq!(at("squad.f1.ci_low >= x"), 19);
        assert_eq!(at("squad.f1 >= 0"), 0);
        assert_eq!(at("é.f1.ci_low >= NaN"), 15);
        let error = Gate::parse("squad.f1.ci_lo >= 0").unwrap_err().to_string();
        assert!(error.contains("\n           ^") && error.contains("ci_low, ci_high"), "{error}");
        let unknown = Gate::parse("squad.f2.ci_low >= 0").unwrap().unknown(["squad.f1.ci_low"].into_iter());
        assert!(unknown.to_string().contains("known are squad.f1.ci_low"));
    }
}
