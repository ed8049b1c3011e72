//! What a scorer says of one answer.

/// A short list of metric values, in the order of the scorer's `metrics`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores {
    values: Vec<(&'static str, f64)>,
    support: Option<f64>,
    is_unclear: bool,
}

impl Scores {
    /// Pairs `values` with `metrics`, in order. Surplus elements of either are dropped.
    pub fn new(metrics: &[&'static str], values: &[f64]) -> Self {
        debug_assert_eq!(metrics.len(), values.len());
        Self { values: metrics.iter().copied().zip(values.iter().copied()).collect(), support: None, is_unclear: false }
    }

    /// Adds which share of the answer's words the passage holds.
    #[must_use]
    pub fn with_support(self, support: Option<f64>) -> Self {
        Self { support, ..self }
    }

    /// Marks an answer in which the scorer could not find what it compares; its values are those of a wrong answer.
    #[must_use]
    pub fn unclear(self, is_unclear: bool) -> Self {
        Self { is_unclear, ..self }
    }

    /// Says whether the scorer could not find in the answer what it compares.
    pub fn is_unclear(&self) -> bool {
        self.is_unclear
    }

    /// Returns the share of the answer's words, with repeats, that occur in the passage, 0 to 1; none where support is
    /// not asked for: for abstentions, blank answers and closed-book items.
    pub fn support(&self) -> Option<f64> {
        self.support
    }

    /// Finds the value of `metric`.
    pub fn get(&self, metric: &str) -> Option<f64> {
        self.iter().find(|(name, _)| *name == metric).map(|(_, value)| value)
    }

    /// Walks over the metrics and their values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, f64)> + '_ {
        self.values.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_finds_by_name() {
        let scores = Scores::new(&["em", "f1"], &[0.0, 0.5]);
        assert_eq!(scores.iter().collect::<Vec<_>>(), [("em", 0.0), ("f1", 0.5)]);
        assert_eq!(scores.get("f1"), Some(0.5));
        assert_eq!(scores.get("exact"), None);
    }
}
