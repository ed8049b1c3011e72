use std::collections::BTreeSet;

use crate::plan::TrialDataset;
use crate::step::paired_item::{PairedArm, PairedItem};

/// Names the cluster of an item: its dataset, whether it has a group, and the group's or its own name.
pub(super) type Cluster<'a> = (usize, bool, &'a str);

/// Is one item of a set.
pub(super) struct SetItem<'a> {
    /// The item.
    pub(super) item: &'a PairedItem<'a>,
    /// Its dataset, as a place in the trial's list.
    dataset: usize,
    /// Its cluster.
    pub(super) cluster: Cluster<'a>,
}

/// Is a set of items that are analysed together.
pub(super) struct ItemSet<'a> {
    /// The name that its random streams carry.
    pub(super) scope: &'a str,
    /// The items.
    pub(super) items: Vec<SetItem<'a>>,
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
    /// Makes a set from items with the places of their datasets.
    ///
    /// `cluster` takes items of one group as dependent; where no two items share a group they are independent all the
    /// same. An item without a group is a cluster of its own.
    pub(super) fn new(
        scope: &'a str,
        open: bool,
        datasets: &[&TrialDataset],
        rows: Vec<(usize, &'a PairedItem<'a>)>,
        cluster: bool,
    ) -> Self {
        let present: BTreeSet<usize> = rows.iter().map(|(dataset, _)| *dataset).collect();
        let mut used = present.iter().map(|&at| datasets[at]);
        let mut metrics = used.next().map(|first| first.metrics.clone()).unwrap_or_default();
        for dataset in used {
            metrics.retain(|metric| dataset.metrics.contains(metric));
        }
        let place = |dataset: &&TrialDataset, metric| dataset.metrics.iter().position(|other| other == metric);
        let places = datasets.iter().map(|d| metrics.iter().map(|m| place(d, m)).collect()).collect();
        let items: Vec<_> = rows
            .into_iter()
            .map(|(dataset, item)| {
                let cluster = match &item.group {
                    Some(group) => (dataset, true, group.as_str()),
                    None => (dataset, false, item.item.as_str()),
                };
                SetItem { item, dataset, cluster }
            })
            .collect();
        let clusters: BTreeSet<_> = items.iter().map(|row| row.cluster).collect();
        let clusters = (cluster && clusters.len() < items.len()).then_some(clusters.len() as u64);
        Self { scope, items, metrics, open, clusters, places }
    }

    /// Returns the mean of a quantity over an item's draws under an arm.
    pub(super) fn value(&self, row: &SetItem<'_>, arm: &PairedArm, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Metric(metric) => arm.mean(self.places[row.dataset][metric]?),
            Quantity::OutputTokens => arm.mean_output_tokens(),
        }
    }

    /// Returns a quantity of every item that has it under one arm (0 control, 1 treatment), with its cluster.
    pub(super) fn values(&self, arm: usize, quantity: Quantity) -> (Vec<f64>, Vec<Cluster<'a>>) {
        let value = |row: &SetItem<'a>| Some((self.value(row, row.item.arms()[arm]?, quantity)?, row.cluster));
        self.items.iter().filter_map(value).unzip()
    }

    /// Returns a quantity under control and treatment of every item that has it under both, with its cluster.
    pub(super) fn pairs(&self, quantity: Quantity) -> Vec<(f64, f64, Cluster<'a>)> {
        let pair = |row: &SetItem<'a>| {
            let [control, treatment] = row.item.arms().map(|arm| self.value(row, arm?, quantity));
            Some((control?, treatment?, row.cluster))
        };
        self.items.iter().filter_map(pair).collect()
    }

    /// Says whether no item has more than one scored draw under an arm.
    pub(super) fn is_single_draw(&self) -> bool {
        self.items.iter().all(|row| row.item.arms().into_iter().flatten().all(|arm| arm.scored <= 1))
    }
}
