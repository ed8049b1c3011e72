//! Which of several finds counts.

/// Says which of several matches is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pick {
    /// The first one in the text.
    First,
    /// The last one in the text: models tend to conclude with the answer.
    #[default]
    Last,
}

impl Pick {
    /// Takes the first or the last element of `found`.
    pub(super) fn of<T>(self, mut found: impl Iterator<Item = T>) -> Option<T> {
        match self {
            Self::First => found.next(),
            Self::Last => found.last(),
        }
    }
}
