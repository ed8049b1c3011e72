use super::MetricRow;
use super::cost_summary::{cost_cell, signed_usd};
use super::inline::Words;
use super::metric_row::interval_words;
use super::number::{NONE, count, difference};
use super::panel::Panel;

/// Is what a percentage point of each metric costs.
#[derive(Clone, Debug, PartialEq)]
pub struct CostEffectiveness {
    /// The method of the intervals: `fieller`.
    pub method: String,
    /// The comparisons.
    pub rows: Vec<EffectivenessRow>,
}

/// Holds one effect of treatment against what it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectivenessRow {
    /// The dataset.
    pub dataset: String,
    /// The metric.
    pub metric: MetricRow,
    /// How many items have both a score and a price under both arms.
    pub n: u64,
    /// What an item costs more under treatment, in US dollars.
    pub usd_diff: Option<f64>,
    /// The mean difference of the metric on these items.
    pub delta: Option<f64>,
    /// What one percentage point more costs; negative where cost and metric move against each other.
    pub usd_per_point: Option<f64>,
    /// Its 95 % interval; absent where the metric's difference may be nothing.
    pub interval: Option<(f64, f64)>,
    /// Which way both move, as in `costs-more-scores-higher`.
    pub direction: Option<String>,
}

impl CostEffectiveness {
    /// Makes the panel; none where nothing has a price.
    pub(super) fn panel(&self) -> Option<Panel> {
        let text = |text: String| Words::default().text(text);
        let or_none = |of: Option<String>| text(of.unwrap_or_else(|| NONE.to_owned()));
        let row = |row: &EffectivenessRow| {
            let direction =
                row.direction.as_ref().map(|words| words.replace("-scores-", ", scores-").replace('-', " "));
            vec![
                Words::default().code(&row.dataset),
                row.metric.name_words(),
                text(count(row.n)),
                or_none(row.usd_diff.map(signed_usd)),
                or_none(row.delta.map(|delta| difference(row.metric.unit, delta))),
                text(cost_cell(row.usd_per_point)),
                or_none(
                    row.interval.map(|(low, high)| format!("{} to {}", cost_cell(Some(low)), cost_cell(Some(high)))),
                ),
                or_none(direction),
            ]
        };
        let rows: Vec<_> = self.rows.iter().filter(|row| row.usd_diff.is_some()).map(row).collect();
        let is_open = self.rows.iter().any(|row| row.usd_diff.is_some() && row.interval.is_none());
        let mut after = Words::default()
            .text("Intervals: ")
            .then(interval_words(&self.method))
            .text(", of the ratio of two paired means.");
        if is_open {
            after = after
                .text(" Where there is none, the metric's difference may be nothing, and the ratio has no bounds.");
        }
        (!rows.is_empty()).then(|| Panel {
            heading: "Cost-Effectiveness",
            before: Words::default().text(
                "What an item costs more under treatment (all its draws), held against what it scores more: US dollars for one percentage \
                 point of the metric. A negative price means that the one rises while the other falls.",
            ),
            headings: [
                "Dataset",
                "Metric",
                ">Items",
                ">Cost difference",
                ">Difference",
                ">USD per 1 pp",
                ">95% interval",
                "Treatment",
            ]
            .map(str::to_owned)
            .to_vec(),
            rows,
            after,
        })
    }
}
