use super::Corpus;
use crate::digest::Decimal;

/// Is what a config may say about the reader.
#[derive(Debug, Default)]
pub struct LexicalSettings {
    /// The score below which it abstains when told that it may; absent: [`DEFAULT_THRESHOLD`].
    pub threshold: Option<Decimal>,
    /// What it retrieves a passage from when a question brings none.
    pub corpus: Option<Corpus>,
}

/// Is the threshold unless another is set. Scores are on the scale of logarithms of odds; 0 to 12 is usual.
pub const DEFAULT_THRESHOLD: Decimal = Decimal::new(45, -1);

/// Is what caution adds to the threshold.
pub const CAUTION: f64 = 2.0;
