use super::Unit;
use super::inline::Words;
use super::metric_row::interval_words;
use super::number::{NONE, count, difference, range, value};
use super::panel::Panel;

/// Says how the unsupported rate depends on the share of an answer's words that counts as support.
#[derive(Clone, Debug, PartialEq)]
pub struct SupportSweep {
    /// How support is judged: `overlap`.
    pub strategy: String,
    /// The thresholds, in their order.
    pub rows: Vec<SupportRow>,
}

/// Is one threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct SupportRow {
    /// The share of words below which an answer is unsupported.
    pub threshold: f64,
    /// The rates under control and treatment.
    pub arms: [Option<f64>; 2],
    /// The mean difference.
    pub delta: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// The method of the interval.
    pub method: Option<String>,
    /// How many items.
    pub n: u64,
}

impl SupportSweep {
    /// Makes the panel.
    pub(super) fn panel(&self) -> Panel {
        let or_none = |text: Option<String>| Words::default().text(text.unwrap_or_else(|| NONE.to_owned()));
        let row = |row: &SupportRow| {
            let rate = |arm: usize| or_none(row.arms[arm].map(|rate| value(Unit::Share, rate)));
            vec![
                Words::default().text(format!("{:.2}", row.threshold)),
                Words::default().text(count(row.n)),
                rate(0),
                rate(1),
                or_none(row.delta.map(|delta| difference(Unit::Share, delta))),
                or_none(row.interval.map(|ends| range(Unit::Share, ends))),
            ]
        };
        let method = self.rows.iter().find_map(|row| row.method.as_deref());
        let before = Words::default()
            .text("The unsupported rate of open-book answers by the share of an answer's words that has to occur in its passage (")
            .code(&self.strategy)
            .text("): below the threshold, an answer is unsupported.");
        Panel {
            heading: "Unsupported Sensitivity",
            before,
            headings: [">Threshold", ">Items", ">Control", ">Treatment", ">Difference", ">95% interval"]
                .map(str::to_owned)
                .to_vec(),
            rows: self.rows.iter().map(row).collect(),
            after: method.map_or_else(Words::default, |method| {
                Words::default().text("Intervals: ").then(interval_words(method)).text(".")
            }),
        }
    }
}
