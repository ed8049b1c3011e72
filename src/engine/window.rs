use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Holds back further parts of one model while many of its draws are open: what is open is held in memory, and a slow
/// model does not keep the parts of another waiting.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// How many draws are neither settled nor given up.
    pub(super) open: Arc<AtomicUsize>,
    /// How many `infer` actions are about to say which draws they want.
    pub(super) demanding: usize,
    /// The most draws that one of them has wanted.
    largest: usize,
    /// The part that was begun last.
    begun: Option<u32>,
}

impl Window {
    /// Says whether draws of a part may be added to those that are open: always for the other arms of the part that was
    /// begun last, so that both arms of an item are asked one after the other, and where nothing is open.
    pub(super) fn may_begin(&self, part: Option<u32>, most_open: usize) -> bool {
        let open = self.open.load(Ordering::Relaxed);
        if (open == 0 && self.demanding == 0) || self.begun == part {
            return true;
        }
        // Of the first one nobody knows how large it is.
        let is_known = self.demanding == 0 || self.largest > 0;
        is_known && open.saturating_add(self.demanding * self.largest) < most_open
    }

    /// Notes that an action of a part is about to say what it wants.
    pub(super) fn begin(&mut self, part: Option<u32>) {
        self.begun = part;
        self.demanding += 1;
    }

    /// Notes how many draws an action wants; none, where it could not say.
    pub(super) fn demanded(&mut self, draws: usize) {
        self.demanding -= 1;
        self.largest = self.largest.max(draws);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_waits_until_few_draws_are_open() {
        let mut window = Window::default();
        assert!(window.may_begin(Some(0), 100));
        window.begin(Some(0));
        assert!(window.may_begin(Some(0), 100), "its other arm");
        assert!(!window.may_begin(Some(1), 100), "nobody knows how large a part is");
        window.demanded(60);
        window.open.fetch_add(60, Ordering::Relaxed);
        assert!(window.may_begin(Some(1), 100));
        window.begin(Some(1));
        assert!(!window.may_begin(Some(2), 100), "60 are open, and as many again are expected");
        window.demanded(60);
        window.open.fetch_add(60, Ordering::Relaxed);
        assert!(!window.may_begin(Some(2), 100));
        window.open.fetch_sub(21, Ordering::Relaxed);
        assert!(window.may_begin(Some(2), 100));
    }

    #[test]
    fn a_part_larger_than_all_that_may_be_open_is_begun_alone() {
        let mut window = Window::default();
        window.begin(Some(0));
        window.demanded(1000);
        window.open.store(1000, Ordering::Relaxed);
        assert!(!window.may_begin(Some(1), 100));
        window.open.store(0, Ordering::Relaxed);
        assert!(window.may_begin(Some(1), 100));
        window.begin(Some(1));
        window.demanded(0);
        assert!(window.may_begin(Some(2), 100), "one that failed leaves nothing open");
    }
}
