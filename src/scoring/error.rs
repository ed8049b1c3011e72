//! What can be wrong with the settings of a scorer or an extraction.

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScoringError {
    /// A regular expression does not parse, or is too large.
    #[error("the pattern `{pattern}` is not usable")]
    BadPattern {
        /// The pattern as it was given.
        pattern: String,
        /// What the regular-expression parser says; it points at the place.
        #[source]
        source: Box<regex::Error>,
    },
}

impl ScoringError {
    /// Wraps what the parser says about `pattern`.
    pub(super) fn bad_pattern(pattern: &str, source: regex::Error) -> Self {
        Self::BadPattern { pattern: pattern.to_owned(), source: Box::new(source) }
    }
}
