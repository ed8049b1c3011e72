use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps what a pure function made of a text, for a bounded number of texts: it changes the speed of an answer and never the
/// answer.
///
/// When it is full it starts anew: the texts of one build come in runs (the questions on a passage, one system message).
#[derive(Debug)]
pub(super) struct Memo<V> {
    made: Mutex<HashMap<Box<str>, Arc<V>>>,
    most: usize,
}

impl<V> Memo<V> {
    /// Keeps at most so many.
    pub(super) fn new(most: usize) -> Self {
        Self { made: Mutex::new(HashMap::new()), most }
    }

    /// Returns what was made of a text, or makes it.
    pub(super) fn get(&self, text: &str, make: impl FnOnce(&str) -> V) -> Arc<V> {
        if let Some(value) = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(text) {
            return Arc::clone(value);
        }
        // Made outside the lock: two threads may both make it, and both make the same.
        let value = Arc::new(make(text));
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= self.most {
            made.clear();
        }
        made.insert(text.into(), Arc::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_makes_once_while_it_has_room() {
        let memo = Memo::new(2);
        let mut made = 0;
        for text in ["a", "a", "b", "a", "c", "a"] {
            let value = memo.get(text, |t| {
                made += 1;
                t.to_owned()
            });
            assert_eq!(*value, text);
        }
        assert_eq!(made, 4);
    }
}
