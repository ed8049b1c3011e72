use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Holds back further parts of one model while many of its draws are open: what is open is held in memory, and a slow
/// model does not keep the parts of another waiting.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// How many draws are neither settled nor given up.
    pub(super) open: Arc<AtomicUsize>,
    /// How many `infer` actions are about to say which draws they want.
    demanding: usize,
    /// The most draws that one of them has wanted.
    largest: usize,
    /// The part that was begun last.
    begun: Option<u32>,
}

impl Window {
    /// Says whether draws of a part may be added to those that are open: always for the other arms of the part that was
    /// begun last, so that both arms of an item are asked one after the other, and where nothing is open.
    fn may_begin(&self, part: Option<u32>, most_open: usize) -> bool {
        let open = self.open.load(Ordering::Relaxed);
        if (open == 0 && self.demanding == 0) || self.begun == part {
            return true;
        }
        // Of the first one nobody knows how large it is.
        let is_known = self.demanding == 0 || self.largest > 0;
        is_known && open.saturating_add(self.demanding * self.largest) < most_open
    }

    /// Notes that an action of a part is about to say what it wants.
    fn begin(&mut self, part: Option<u32>) {
        self.begun = part;
        self.demanding += 1;
    }

    /// Notes how many draws an action wants; none, where it could not say.
    pub(super) fn demanded(&mut self, draws: usize) {
        self.demanding -= 1;
        self.largest = self.largest.max(draws);
    }
}

/// Is an action that asks and is ready; they are begun in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    part: Option<u32>,
    node: u32,
    window: usize,
}

/// Holds the actions that ask until their models have room for them.
#[derive(Default)]
pub(super) struct Windows {
    held: Vec<Held>,
    models: Vec<Window>,
    /// Which is whose, by the model's name.
    of: HashMap<String, usize>,
}

impl Windows {
    /// Holds an action of a part; the model's name begins its scope.
    pub(super) fn hold(&mut self, node: u32, part: Option<u32>, scope: &str) {
        let window = self.at(scope);
        self.held.push(Held { part, node, window });
    }

    /// Returns the window of the model whose name begins a scope.
    pub(super) fn of(&mut self, scope: &str) -> &mut Window {
        let at = self.at(scope);
        &mut self.models[at]
    }

    fn at(&mut self, scope: &str) -> usize {
        let model = scope.split_once('/').map_or(scope, |(model, _)| model);
        if let Some(at) = self.of.get(model) {
            return *at;
        }
        let at = self.models.len();
        self.models.push(Window::default());
        self.of.insert(model.to_owned(), at);
        at
    }

    /// Counts the actions that are held.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Lists the actions that are held.
    pub(super) fn nodes(&self) -> impl Iterator<Item = u32> {
        self.held.iter().map(|held| held.node)
    }

    /// Lets go of all that is held.
    pub(super) fn clear(&mut self) {
        self.held.clear();
    }

    /// Begins the action whose turn it is among those that are due and whose model has room: the arms of one part one after
    /// the other, so that both arms of an item are asked together.
    pub(super) fn begin(&mut self, most_open: usize, is_due: impl Fn(u32) -> bool) -> Option<u32> {
        // Last first.
        self.held.sort_unstable_by_key(|held| Reverse(*held));
        let mut full = HashSet::new();
        for at in (0..self.held.len()).rev() {
            let Held { part, node, window } = self.held[at];
            if full.contains(&window) || !is_due(node) {
                continue;
            }
            if self.models[window].may_begin(part, most_open) {
                self.models[window].begin(part);
                self.held.remove(at);
                return Some(node);
            }
            full.insert(window);
            if full.len() == self.models.len() {
                break;
            }
        }
        None
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

    #[test]
    fn a_slow_model_keeps_no_other_waiting() {
        let mut windows = Windows::default();
        for part in 0..3 {
            for (arm, model) in ["slow", "slow", "fast"].into_iter().enumerate() {
                windows.hold(part * 10 + arm as u32, Some(part), &format!("{model}/t0/d"));
            }
        }
        let all = |_: u32| true;
        let mut begun = Vec::new();
        for model in ["slow", "slow", "fast"] {
            begun.extend(windows.begin(100, all));
            windows.of(model).demanded(100);
            windows.of(model).open.fetch_add(100, Ordering::Relaxed);
        }
        assert_eq!(begun, [0, 1, 2], "all arms of one part");
        assert_eq!(windows.begin(100, all), None, "each model has as many open as it may");
        windows.of("fast").open.store(0, Ordering::Relaxed);
        assert_eq!(windows.begin(100, |node| node != 12), Some(22), "what is not due is passed over");
        windows.of("fast").demanded(100);
        assert_eq!(windows.nodes().collect::<Vec<_>>().len(), 5);
        windows.clear();
        assert_eq!(windows.len(), 0);
    }
}
