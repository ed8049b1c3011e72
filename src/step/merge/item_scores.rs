use std::collections::BTreeSet;

use csv::Writer;

use super::predictions::{add_row, finished, table};
use super::{Row, temperature_label};
use crate::plan::MergeParams;
use crate::step::StepError;
use crate::step::scored_draw::ScoredDraw;

const NAME: &str = "per_item_scores.csv";

/// The metrics whose columns stand among the others by the alphabet, as scripts know them.
const KNOWN_METRICS: [&str; 5] = ["abstain_rate", "em", "f1", "false_answer_rate", "unsupported_rate"];

/// Says what stands in a column.
enum Column {
    Condition,
    ItemKey,
    Temperature,
    Kind,
    Mean(String),
    Deviation(String),
    Draws,
    Missing,
}

impl Column {
    fn name(&self) -> String {
        match self {
            Self::Condition => "condition".to_owned(),
            Self::ItemKey => "item_key".to_owned(),
            Self::Temperature => "temp".to_owned(),
            Self::Kind => "type".to_owned(),
            Self::Mean(metric) => metric.clone(),
            Self::Deviation(metric) => format!("{metric}_std"),
            Self::Draws => "n_draws".to_owned(),
            Self::Missing => "n_missing".to_owned(),
        }
    }
}

/// Builds `per_item_scores.csv`: one row for each item and arm.
///
/// The known columns come first, sorted by name (those of a metric that no dataset of the trial has are left out), then
/// `n_draws`, `n_missing` and the trial's further metrics, sorted. A cell of a metric is empty where the item's dataset
/// does not have it or none of its draws is scored.
pub(super) struct ItemScoresTable {
    table: Writer<Vec<u8>>,
    temperature: String,
    columns: Vec<Column>,
}

impl ItemScoresTable {
    /// Starts the table.
    pub(super) fn new(params: &MergeParams) -> Result<Self, StepError> {
        let metrics: BTreeSet<&String> = params.datasets.iter().flat_map(|dataset| &dataset.metrics).collect();
        let (known, further): (Vec<_>, Vec<_>) =
            metrics.into_iter().partition(|metric| KNOWN_METRICS.contains(&metric.as_str()));
        let both = |metric: &&String| [Column::Mean((*metric).clone()), Column::Deviation((*metric).clone())];
        let mut columns: Vec<Column> = known.iter().flat_map(both).collect();
        columns.extend([Column::Condition, Column::ItemKey, Column::Temperature, Column::Kind]);
        columns.sort_by_key(Column::name);
        columns.extend([Column::Draws, Column::Missing]);
        columns.extend(further.iter().flat_map(both));
        let mut table = table();
        add_row(NAME, &mut table, columns.iter().map(Column::name))?;
        Ok(Self { table, temperature: temperature_label(params.temperature), columns })
    }

    /// Adds one item under one arm.
    pub(super) fn add(&mut self, row: &Row<'_>, draws: &[ScoredDraw<'_>]) -> Result<(), StepError> {
        let values =
            |metric: &str| -> Vec<f64> { draws.iter().filter_map(|draw| draw.scores.as_ref()?.get(metric)).collect() };
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:?}"));
        let cells = self.columns.iter().map(|column| match column {
            Column::Condition => row.condition.to_owned(),
            Column::ItemKey => format!("{}|{}", row.label, row.item),
            Column::Temperature => self.temperature.clone(),
            Column::Kind => row.kind().to_owned(),
            Column::Mean(metric) => number(mean(&values(metric))),
            Column::Deviation(metric) => number(deviation(&values(metric))),
            Column::Draws => draws.len().to_string(),
            Column::Missing => draws.iter().filter(|draw| draw.scores.is_none()).count().to_string(),
        });
        let cells: Vec<String> = cells.collect();
        add_row(NAME, &mut self.table, &cells)
    }

    /// Ends the table.
    pub(super) fn finish(self) -> Result<Vec<u8>, StepError> {
        finished(NAME, self.table)
    }
}

/// Averages, adding from the first value to the last with no other grouping.
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().fold(0.0, |sum, value| sum + value) / values.len() as f64)
}

/// Returns the standard deviation with n − 1; 0 for a single value.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    if values.len() < 2 {
        return Some(0.0);
    }
    let squares = values.iter().fold(0.0, |sum, value| sum + (value - mean) * (value - mean));
    Some((squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_that_of_a_sample() {
        assert_eq!((mean(&[]), deviation(&[])), (None, None));
        assert_eq!((mean(&[0.25]), deviation(&[0.25])), (Some(0.25), Some(0.0)));
        let draws = [1.0, 0.0, 0.0, 1.0, 0.0];
        assert_eq!((mean(&draws), deviation(&draws)), (Some(0.4), Some(0.5477225575051662)));
    }
}
