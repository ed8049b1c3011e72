//! What an answer is held against.

/// The truth about one item, as far as a scorer needs it.
#[derive(Debug, Clone, Copy)]
pub struct Gold<'a> {
    /// Every accepted answer, raw. May be empty.
    pub answers: &'a [String],
    /// Whether the item has no answer, so that abstaining is right.
    pub unanswerable: bool,
    /// The passage that an open-book item shows.
    pub context: Option<&'a str>,
    /// Whether the item is open-book. Decides which metrics apply.
    pub open: bool,
}

impl<'a> Gold<'a> {
    /// Makes the gold of an answerable closed-book item.
    pub fn closed(answers: &'a [String]) -> Self {
        Self { answers, unanswerable: false, context: None, open: false }
    }

    /// Makes the gold of an open-book item with its passage.
    pub fn open(answers: &'a [String], unanswerable: bool, context: &'a str) -> Self {
        Self { answers, unanswerable, context: Some(context), open: true }
    }

    /// Says whether any accepted answer satisfies `test`, as 1 or 0.
    pub(super) fn any(&self, test: impl FnMut(&'a String) -> bool) -> f64 {
        f64::from(u8::from(self.answers.iter().any(test)))
    }
}
