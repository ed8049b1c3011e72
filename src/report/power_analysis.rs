use super::inline::Words;
use super::metric_row::power_method_words;
use super::number::{NONE, count, difference, level};
use super::panel::Panel;
use super::{MetricRow, Unit};

/// Says what each comparison could have shown, and what other differences ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct PowerAnalysis {
    /// The method: `normal`.
    pub method: String,
    /// The level of the two-sided test.
    pub alpha: f64,
    /// Its power.
    pub power: f64,
    /// The comparisons.
    pub rows: Vec<PowerRow>,
}

/// Is one comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct PowerRow {
    /// The dataset.
    pub dataset: String,
    /// The metric.
    pub metric: MetricRow,
    /// How many items are compared.
    pub n: u64,
    /// The standard deviation of their differences, clusters and draws in it.
    pub sd: Option<f64>,
    /// The smallest difference that they detect.
    pub smallest: Option<f64>,
    /// What other differences ask for.
    pub targets: Vec<PowerTarget>,
}

/// Is the design that detects a difference.
#[derive(Clone, Debug, PartialEq)]
pub struct PowerTarget {
    /// The difference.
    pub target: f64,
    /// How many items do, with as many draws as now.
    pub items: Option<u64>,
    /// How many draws of an item do, with as many items as now.
    pub draws: Option<u64>,
}

/// Writes a difference without its sign.
fn size(unit: Unit, value: f64) -> String {
    difference(unit, value).trim_start_matches('+').to_owned()
}

impl PowerAnalysis {
    /// Makes the panel. Targets are differences of shares: a count, such as tokens, has none.
    pub(super) fn panel(&self) -> Panel {
        let words = |text: String| Words::default().text(text);
        let row = |row: &PowerRow| {
            let unit = row.metric.unit;
            let sd = |sd: f64| if unit == Unit::Share { format!("{:.1} pp", sd * 100.0) } else { format!("{sd:.1}") };
            let design = |target: &PowerTarget| {
                let items = target.items.map(|n| format!("{} items", count(n)));
                let draws = target.draws.map(|n| format!("{} draws", count(n)));
                let either: Vec<String> = items.into_iter().chain(draws).collect();
                // A number stays with its unit where a line breaks.
                let words = |text: String| text.replace(' ', "\u{a0}");
                let either: Vec<String> = either.into_iter().map(words).collect();
                (!either.is_empty()).then(|| format!("{}: {}", words(size(unit, target.target)), either.join(" or ")))
            };
            let designs: Vec<String> = row.targets.iter().filter(|_| unit == Unit::Share).filter_map(design).collect();
            vec![
                Words::default().code(&row.dataset),
                row.metric.name_words(),
                words(count(row.n)),
                words(row.sd.map_or_else(|| NONE.to_owned(), sd)),
                words(row.smallest.map_or_else(|| NONE.to_owned(), |smallest| size(unit, smallest))),
                words(if designs.is_empty() { NONE.to_owned() } else { designs.join("; ") }),
            ]
        };
        let before = Words::default()
            .text(format!(
                "The smallest difference that a two-sided test at level {} finds with a power of {} (",
                self.alpha,
                level(self.power)
            ))
            .then(power_method_words(&self.method))
            .text("), on the items compared here; and how many items, or draws of each, other differences ask for.");
        Panel {
            heading: "Power / MDE",
            before,
            headings: [
                "Dataset",
                "Metric",
                ">Items",
                ">SD of differences",
                ">Smallest detectable",
                "Asked for by others",
            ]
            .map(str::to_owned)
            .to_vec(),
            rows: self.rows.iter().map(row).collect(),
            after: Words::default(),
        }
    }
}
