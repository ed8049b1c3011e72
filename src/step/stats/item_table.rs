use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};

use crate::plan::TrialDataset;
use crate::step::draw_status::DrawStatus;
use crate::step::json_lines::unexpected;
use crate::step::paired_item::{PairedArm, PairedItem};
use crate::step::{Inputs, StepError};

/// Is the largest number of values that a subgroup field may have.
const MAX_VALUES: usize = 200;

/// Holds a trial's items column by column: a few dozen bytes an item and arm, however long the draws' texts were.
pub(super) struct ItemTable {
    /// The datasets, sorted by name.
    pub(super) datasets: Vec<TrialDataset>,
    /// The dataset of each item, as a place in `datasets`.
    pub(super) dataset: Vec<u32>,
    /// The label of each item, as a place in `labels`.
    pub(super) label: Vec<u32>,
    /// The labels, in the order of their first items.
    pub(super) labels: Vec<String>,
    /// The cluster of each item: items of one dataset and group have one, an item without a group has its own.
    pub(super) cluster: Vec<u32>,
    /// The subgroup fields, by name.
    pub(super) fields: BTreeMap<String, FieldColumn>,
    /// Control and treatment.
    pub(super) arms: [ArmColumns; 2],
}

/// Holds the value of a field of each item, as a place in `values`.
#[derive(Default)]
pub(super) struct FieldColumn {
    /// The values, in the order of their first items.
    pub(super) values: Vec<String>,
    /// The value of each item; none where the item does not have the field.
    pub(super) of_item: Vec<Option<u32>>,
}

/// Holds what one arm made of each item.
#[derive(Default)]
pub(super) struct ArmColumns {
    /// Whether the item was built under this arm.
    pub(super) is_there: Vec<bool>,
    /// How many draws have scores.
    pub(super) scored: Vec<u32>,
    /// How many draws have each metric, `stride` numbers an item; as far as it goes where that is not `scored`.
    counts: Vec<u32>,
    /// The sums of each metric, `stride` numbers an item.
    sums: Vec<f64>,
    /// The sums of squares, likewise; empty as long as no item has two draws with scores.
    squares: Vec<f64>,
    stride: usize,
    /// The mean tokens written; NaN where none is stated.
    tokens: Vec<f64>,
    /// The statuses of all draws, and where each item's begin.
    statuses: Vec<DrawStatus>,
    status_start: Vec<u64>,
    /// The support shares of all draws, and where each item's begin; both empty where there are none at all.
    support: Vec<f32>,
    support_start: Vec<u64>,
}

impl ItemTable {
    /// Reads the input `paired`, line by line; `each` sees every line as it passes.
    pub(super) fn read(
        inputs: &Inputs<'_>,
        datasets: &[TrialDataset],
        mut each: impl FnMut(&PairedItem<'_>, &TrialDataset) -> Result<(), StepError>,
    ) -> Result<Self, StepError> {
        let mut datasets: Vec<TrialDataset> = datasets.to_vec();
        datasets.sort_by(|a, b| a.name.cmp(&b.name));
        let stride = datasets.iter().map(|dataset| dataset.metrics.len()).max().unwrap_or(0);
        let arm = || ArmColumns { stride, ..ArmColumns::default() };
        let mut table = Self {
            datasets,
            dataset: Vec::new(),
            label: Vec::new(),
            labels: Vec::new(),
            cluster: Vec::new(),
            fields: BTreeMap::new(),
            arms: [arm(), arm()],
        };
        let mut names = Names::default();
        let mut reader = BufReader::with_capacity(1 << 16, inputs.open("paired")?);
        let mut line = String::new();
        let mut number = 0_u64;
        loop {
            line.clear();
            let read = reader.read_line(&mut line);
            let read = read.map_err(|source| StepError::Read { input: "paired".to_owned(), source: source.into() })?;
            if read == 0 {
                break;
            }
            number += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let item: PairedItem<'_> = serde_json::from_str(&line)
                .map_err(|error| unexpected("paired", format_args!("line {number}: {error}")))?;
            let at = table.add(&item, &mut names)?;
            each(&item, &table.datasets[at])?;
        }
        Ok(table)
    }

    /// Returns how many items there are.
    pub(super) fn len(&self) -> usize {
        self.dataset.len()
    }

    fn add(&mut self, item: &PairedItem<'_>, names: &mut Names) -> Result<usize, StepError> {
        let at = self.datasets.binary_search_by(|dataset| dataset.name.as_str().cmp(&item.dataset));
        let at = at.map_err(|_| unexpected("paired", format_args!("no dataset `{}`", item.dataset)))?;
        let place = self.len();
        self.dataset.push(at as u32);
        let labels = &mut self.labels;
        let label = names.labels.get(item.label()).copied().unwrap_or_else(|| {
            labels.push(item.label().to_owned());
            names.labels.insert(item.label().to_owned(), labels.len() as u32 - 1);
            labels.len() as u32 - 1
        });
        self.label.push(label);
        let fresh = names.clusters;
        let cluster = match &item.group {
            Some(group) => *names.groups.entry((at as u32, group.as_str().to_owned())).or_insert(fresh),
            None => fresh,
        };
        names.clusters = fresh.max(cluster) + u32::from(cluster == fresh);
        self.cluster.push(cluster);
        for (name, value) in &item.fields {
            let column = self.fields.entry(name.clone()).or_default();
            let found = column.values.iter().position(|other| other == value);
            let value = found.unwrap_or_else(|| {
                column.values.push(value.clone());
                column.values.len() - 1
            });
            if column.values.len() > MAX_VALUES {
                return Err(StepError::Inputs(vec![too_many_values(name)]));
            }
            column.of_item.resize(place, None);
            column.of_item.push(Some(value as u32));
        }
        for (columns, arm) in self.arms.iter_mut().zip(item.arms()) {
            columns.add(place, arm);
        }
        Ok(at)
    }
}

/// Holds what has been named so far.
#[derive(Default)]
struct Names {
    labels: HashMap<String, u32>,
    groups: HashMap<(u32, String), u32>,
    clusters: u32,
}

fn too_many_values(field: &str) -> crate::step::InputProblem {
    crate::step::InputProblem {
        file: "analysis.subgroups".to_owned(),
        line: None,
        column: None,
        source_line: None,
        message: format!("the field `{field}` has more than {MAX_VALUES} values; a subgroup is made for each"),
        remedy: "name a field with fewer values, or write one into the data file".to_owned(),
    }
}

impl ArmColumns {
    fn add(&mut self, place: usize, arm: Option<&PairedArm>) {
        self.is_there.push(arm.is_some());
        self.status_start.push(self.statuses.len() as u64);
        let Some(arm) = arm else {
            self.scored.push(0);
            self.sums.resize(self.sums.len() + self.stride, f64::NAN);
            self.tokens.push(f64::NAN);
            return;
        };
        self.scored.push(arm.scored);
        let end = self.sums.len() + self.stride;
        if !arm.counts.is_empty() {
            for earlier in self.counts.len() / self.stride..place {
                let scored = self.scored[earlier];
                self.counts.resize((earlier + 1) * self.stride, scored);
            }
            self.counts.extend(arm.counts.iter().take(self.stride));
            self.counts.resize(end, 0);
        }
        self.sums.extend(arm.sums.iter().take(self.stride));
        self.sums.resize(end, f64::NAN);
        if !arm.squares.is_empty() {
            self.squares.resize(place * self.stride, f64::NAN);
            self.squares.extend(arm.squares.iter().take(self.stride));
            self.squares.resize(end, f64::NAN);
        }
        self.tokens.push(arm.mean_output_tokens().unwrap_or(f64::NAN));
        self.statuses.extend(&arm.statuses);
        if !arm.support.is_empty() {
            self.support_start.resize(place, self.support.len() as u64);
            self.support_start.push(self.support.len() as u64);
            // Shares are compared with thresholds of one decimal; half the digits do.
            self.support.extend(arm.support.iter().map(|share| *share as f32));
        }
    }

    /// Returns how many draws of an item have a metric, by place in its dataset.
    pub(super) fn count(&self, item: usize, metric: usize) -> u32 {
        self.counts.get(item * self.stride + metric).copied().unwrap_or(self.scored[item])
    }

    /// Returns the sum of a metric, by place in its dataset; none without a scored draw.
    pub(super) fn sum(&self, item: usize, metric: usize) -> Option<f64> {
        let sum = *self.sums.get(item * self.stride + metric)?;
        (self.count(item, metric) > 0 && sum.is_finite()).then_some(sum)
    }

    /// Returns the sum of squares of a metric; the square of the sum for a single draw.
    pub(super) fn squares(&self, item: usize, metric: usize) -> Option<f64> {
        let sum = self.sum(item, metric)?;
        if self.count(item, metric) == 1 {
            return Some(sum * sum);
        }
        self.squares.get(item * self.stride + metric).copied().filter(|squares| squares.is_finite())
    }

    /// Returns the mean tokens written; none where none is stated.
    pub(super) fn tokens(&self, item: usize) -> Option<f64> {
        Some(self.tokens[item]).filter(|tokens| tokens.is_finite())
    }

    /// Lists the statuses of an item's draws.
    pub(super) fn statuses(&self, item: usize) -> &[DrawStatus] {
        slice(&self.statuses, &self.status_start, item)
    }

    /// Lists the support shares of an item's draws.
    pub(super) fn support(&self, item: usize) -> &[f32] {
        if item < self.support_start.len() { slice(&self.support, &self.support_start, item) } else { &[] }
    }
}

fn slice<'a, T>(all: &'a [T], starts: &[u64], item: usize) -> &'a [T] {
    let start = starts[item] as usize;
    let end = starts.get(item + 1).map_or(all.len(), |end| *end as usize);
    &all[start..end]
}
