use std::sync::{Mutex, PoisonError};

/// Collects what the store found damaged or mended on the way, in words; the caller takes them and shows them.
#[derive(Debug, Default)]
pub(super) struct Notices {
    texts: Mutex<Vec<String>>,
}

impl Notices {
    /// Adds a finding; one that stands already is not repeated.
    pub(super) fn add(&self, text: String) {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }

    /// Returns the findings so far and forgets them.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.texts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
