use std::collections::{BTreeMap, HashMap};

use crate::plan::TrialLabel;
use crate::step::cost_table::CostTable;
use crate::step::difference_line::DifferenceLine;
use crate::step::json_lines::read_lines;
use crate::step::report::read;
use crate::step::significance::{Significance, TemperatureResults};
use crate::step::{Inputs, StepError};

/// Is one trial as the aggregate sees it.
pub(super) struct Trial<'a> {
    /// What it is called.
    pub(super) label: &'a TrialLabel,
    /// Its tests.
    pub(super) significance: Significance,
    /// Its costs.
    pub(super) costs: CostTable,
    /// The differences of its items, by dataset and metric.
    differences: BTreeMap<(String, String), HashMap<String, ItemDifference>>,
}

/// Is what one item adds to a difference.
pub(super) struct ItemDifference {
    /// Treatment minus control.
    pub(super) delta: f64,
    /// The item's group, if it has one.
    pub(super) group: Option<String>,
}

impl<'a> Trial<'a> {
    /// Reads the inputs of one trial.
    pub(super) fn read(label: &'a TrialLabel, inputs: &Inputs<'_>) -> Result<Self, StepError> {
        let significance = read(&format!("significance/{}", label.slug), inputs)?;
        let costs = read(&format!("costs/{}", label.slug), inputs)?;
        let name = format!("differences/{}", label.slug);
        let text = inputs.text(&name)?;
        let mut differences: BTreeMap<(String, String), HashMap<String, ItemDifference>> = BTreeMap::new();
        for line in read_lines::<DifferenceLine<'_>>(&name, &text) {
            let line = line?;
            for (metric, delta) in line.deltas {
                let group = line.group.as_deref().map(str::to_owned);
                let of_metric = differences.entry((line.dataset.to_string(), metric)).or_default();
                of_metric.insert(line.item.to_string(), ItemDifference { delta, group });
            }
        }
        Ok(Self { label, significance, costs, differences })
    }

    /// Returns the results at the trial's only temperature.
    pub(super) fn results(&self) -> Option<&TemperatureResults> {
        self.significance.results.iter().next().map(|(_, results)| results)
    }

    /// Returns the differences of a metric by item; none where the trial has none.
    pub(super) fn differences(&self, dataset: &str, metric: &str) -> Option<&HashMap<String, ItemDifference>> {
        self.differences.get(&(dataset.to_owned(), metric.to_owned()))
    }
}

/// Lays the differences of several trials side by side: a row for each item, or where `cluster` asks for it and items share
/// groups, for each group with its sums; a cell that a trial does not have is NaN. Rows are in no order that counts.
pub(super) fn side_by_side(trials: &[&Trial<'_>], dataset: &str, metric: &str, cluster: bool) -> Vec<Vec<f64>> {
    let columns: Vec<_> = trials.iter().map(|trial| trial.differences(dataset, metric)).collect();
    let mut items: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for (item, found) in columns.iter().flatten().flat_map(|column| column.iter()) {
        items.insert(item, found.group.as_deref());
    }
    let mut rows: BTreeMap<(bool, &str), Vec<f64>> = BTreeMap::new();
    for (item, group) in items {
        let cells = columns.iter().map(|column| column.and_then(|c| c.get(item)).map_or(f64::NAN, |found| found.delta));
        let key = match group {
            Some(group) if cluster => (true, group),
            _ => (false, item),
        };
        match rows.get_mut(&key) {
            // Within a cluster what is missing leaves a smaller sum.
            Some(row) => row.iter_mut().zip(cells).for_each(|(sum, cell)| *sum = add(*sum, cell)),
            None => drop(rows.insert(key, cells.collect())),
        }
    }
    rows.into_values().collect()
}

fn add(sum: f64, cell: f64) -> f64 {
    match (sum.is_finite(), cell.is_finite()) {
        (true, true) => sum + cell,
        (true, false) => sum,
        (false, _) => cell,
    }
}
