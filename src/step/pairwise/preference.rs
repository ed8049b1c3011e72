use std::collections::BTreeMap;

use crate::plan::{PairwiseReading, Preferred};
use crate::scoring::Extraction;
use crate::step::StepError;
use crate::step::parse::extraction;
use crate::step::verdicts::said;

/// Takes which of two answers a model prefers out of what it says.
pub struct PreferenceReader<'r> {
    extraction: Option<Extraction>,
    values: &'r BTreeMap<String, Preferred>,
}

impl<'r> PreferenceReader<'r> {
    /// Makes a reader that goes by these settings.
    pub fn new(reading: &'r PairwiseReading) -> Result<Self, StepError> {
        let extraction = reading.extraction.as_ref().map(extraction).transpose()?;
        Ok(Self { extraction, values: &reading.values })
    }

    /// Returns which it prefers; none where it says none of the known words.
    pub fn read(&self, text: &str) -> Option<Preferred> {
        let word = said(self.extraction.as_ref(), text)?;
        if self.values.is_empty() { Preferred::parse(&word) } else { self.values.get(&word).copied() }
    }
}
