//! What an answer is held against.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::normalize::qa_normal;

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
    /// The options of a multiple-choice item, in order; empty where it has none, or they are the scorer's.
    pub options: &'a [String],
    /// Where the passage in the normal form of `qa` is kept between the draws of one item; none: it is made each time.
    pub normal_context: Option<&'a OnceCell<String>>,
}

impl<'a> Gold<'a> {
    /// Makes the gold of an answerable closed-book item.
    pub fn closed(answers: &'a [String]) -> Self {
        Self { answers, unanswerable: false, context: None, open: false, options: &[], normal_context: None }
    }

    /// Makes the gold of an open-book item with its passage.
    pub fn open(answers: &'a [String], unanswerable: bool, context: &'a str) -> Self {
        Self { answers, unanswerable, context: Some(context), open: true, options: &[], normal_context: None }
    }

    /// Returns the passage in the normal form of `qa`.
    pub(super) fn normal_context(&self) -> Cow<'a, str> {
        let normal = || qa_normal(self.context.unwrap_or_default());
        match self.normal_context {
            Some(kept) => Cow::Borrowed(kept.get_or_init(normal)),
            None => normal().into(),
        }
    }

    /// Says whether any accepted answer satisfies `test`, as 1 or 0.
    pub(super) fn any(&self, test: impl FnMut(&'a String) -> bool) -> f64 {
        f64::from(u8::from(self.answers.iter().any(test)))
    }
}
