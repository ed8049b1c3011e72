use super::item_table::ItemTable;
use crate::stats::DrawMoments;

/// Is a set of items that are analysed together.
pub(super) struct ItemSet<'a> {
    /// The name that its random streams carry.
    pub(super) scope: &'a str,
    /// All items.
    pub(super) table: &'a ItemTable,
    /// Those of the set, by place.
    pub(super) items: Vec<u32>,
    /// The metrics that all datasets in the set have, in the order of the first.
    pub(super) metrics: Vec<String>,
    /// Whether the items are open-book.
    pub(super) open: bool,
    /// How many clusters, where items are clustered at all.
    pub(super) clusters: Option<u64>,
    /// Where each metric stands among those of each dataset.
    places: Vec<Vec<Option<usize>>>,
}

/// Names a quantity of an item.
#[derive(Clone, Copy)]
pub(super) enum Quantity {
    /// A metric of the set, by place.
    Metric(usize),
    /// The tokens written.
    OutputTokens,
}

impl<'a> ItemSet<'a> {
    /// Makes a set of items.
    ///
    /// `cluster` takes items of one group as dependent; where no two items share a group they are independent all the
    /// same.
    pub(super) fn new(scope: &'a str, open: bool, table: &'a ItemTable, items: Vec<u32>, cluster: bool) -> Self {
        let mut is_present = vec![false; table.datasets.len()];
        for &item in &items {
            is_present[table.dataset[item as usize] as usize] = true;
        }
        let mut used = table.datasets.iter().zip(is_present).filter(|(_, is_present)| *is_present).map(|(d, _)| d);
        let mut metrics = used.next().map(|first| first.metrics.clone()).unwrap_or_default();
        for dataset in used {
            metrics.retain(|metric| dataset.metrics.contains(metric));
        }
        let places = table.datasets.iter().map(|dataset| {
            metrics.iter().map(|metric| dataset.metrics.iter().position(|other| other == metric)).collect()
        });
        let places = places.collect();
        let clusters = cluster.then(|| {
            let mut all: Vec<u32> = items.iter().map(|&item| table.cluster[item as usize]).collect();
            all.sort_unstable();
            all.dedup();
            all.len()
        });
        let clusters = clusters.filter(|clusters| *clusters < items.len()).map(|clusters| clusters as u64);
        Self { scope, table, items, metrics, open, clusters, places }
    }

    /// Returns an item's cluster.
    pub(super) fn cluster(&self, item: u32) -> u32 {
        self.table.cluster[item as usize]
    }

    /// Returns the mean of a quantity over an item's draws under an arm (0 control, 1 treatment).
    pub(super) fn value(&self, item: u32, arm: usize, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Metric(metric) => self.moments(item, arm, metric)?.mean(),
            Quantity::OutputTokens => self.table.arms[arm].tokens(item as usize),
        }
    }

    /// Sums up a metric over an item's draws under an arm; the squares are NaN where they are not known.
    pub(super) fn moments(&self, item: u32, arm: usize, metric: usize) -> Option<DrawMoments> {
        let item = item as usize;
        let place = self.places[self.table.dataset[item] as usize][metric]?;
        let columns = &self.table.arms[arm];
        let sum = columns.sum(item, place)?;
        let squares = columns.squares(item, place).unwrap_or(f64::NAN);
        Some(DrawMoments { draws: u64::from(columns.count(item, place)), sum, squares })
    }

    /// Returns a quantity of every item that has it under one arm, with its cluster.
    pub(super) fn values(&self, arm: usize, quantity: Quantity) -> (Vec<f64>, Vec<u32>) {
        let value = |&item: &u32| Some((self.value(item, arm, quantity)?, self.cluster(item)));
        self.items.iter().filter_map(value).unzip()
    }

    /// Returns a quantity under control and treatment of every item, none where it is missing.
    pub(super) fn outcomes(&self, quantity: Quantity) -> impl Iterator<Item = (Option<f64>, Option<f64>)> {
        self.items.iter().map(move |&item| (self.value(item, 0, quantity), self.value(item, 1, quantity)))
    }

    /// Returns a quantity under control and treatment of every item that has it under both, with its cluster.
    pub(super) fn pairs(&self, quantity: Quantity) -> Vec<(f64, f64, u32)> {
        let pair =
            |&item: &u32| Some((self.value(item, 0, quantity)?, self.value(item, 1, quantity)?, self.cluster(item)));
        self.items.iter().filter_map(pair).collect()
    }

    /// Says whether no item has more than one scored draw under an arm.
    pub(super) fn is_single_draw(&self) -> bool {
        self.items.iter().all(|&item| self.table.arms.iter().all(|arm| arm.scored[item as usize] <= 1))
    }

    /// Says whether the arm (0 control, 1 treatment) was built for any item.
    pub(super) fn is_built(&self, arm: usize) -> bool {
        self.items.iter().any(|&item| self.table.arms[arm].is_there[item as usize])
    }
}
