use std::collections::BTreeMap;

use super::Fit;
use super::axis::Axis;
use super::svg::{Anchor, BOLD, Svg, fitting};
use crate::report::number::count;

/// Draws how many draws have how many tokens, for control and treatment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<'a> {
    /// What it is of.
    pub title: &'a str,
    /// Draws by tokens, of control and treatment.
    pub arms: [&'a BTreeMap<u64, u64>; 2],
}

/// Is how many bins there are at most.
const BINS: u64 = 40;

impl Histogram<'_> {
    /// Draws it. What lies beyond the 99th percentile of both arms together is in the last bin.
    pub fn draw(&self, fit: Fit) -> String {
        let width = if fit == Fit::Wide { 420.0 } else { fit.width() };
        let (left, right, top, bottom) = (46.0, width - 18.0, 54.0, 190.0);
        let mut both: BTreeMap<u64, u64> = BTreeMap::new();
        for (tokens, n) in self.arms.iter().flat_map(|arm| arm.iter()) {
            *both.entry(*tokens).or_default() += n;
        }
        let (low, most) = (both.keys().next().copied().unwrap_or(0), both.keys().next_back().copied().unwrap_or(0));
        let high = quantile(&both, 0.99).max(low);
        let size = (high - low + 1).div_ceil(BINS).max(1);
        let bins = (high - low + 1).div_ceil(size).max(1);
        let shares = self.arms.map(|arm| {
            let total = arm.values().sum::<u64>().max(1) as f64;
            let mut shares = vec![0.0; bins as usize];
            for (tokens, n) in arm {
                let bin = ((tokens.min(&high) - low) / size).min(bins - 1);
                shares[bin as usize] += *n as f64 / total * 100.0;
            }
            shares
        });
        // A count stands in the middle of its bar, so that bars reach half a token beyond what they hold.
        let edge = |tokens: u64| tokens as f64 - 0.5;
        let ticks = if fit == Fit::Wide { 5 } else { 4 };
        let x = Axis::of_counts((edge(low), edge(low + bins * size)), ticks, (left, right));
        let y = Axis::covering(shares.iter().flatten().copied().chain([0.0]), 3, (bottom, top));
        let mut svg = Svg::new(width, &format!("Distribution of tokens written per answer: {}", self.title));
        svg.text((0.0, 16.0), Anchor::Start, "group", &fitting(self.title, width - 8.0, BOLD));
        let median =
            |arm: &BTreeMap<u64, u64>| if arm.is_empty() { "–".to_owned() } else { count(quantile(arm, 0.5)) };
        svg.text(
            (0.0, 34.0),
            Anchor::Start,
            "small control-text",
            &format!("control: median {}", median(self.arms[0])),
        );
        let at = width / 2.0;
        svg.text(
            (at, 34.0),
            Anchor::Start,
            "small treatment-text",
            &format!("treatment: median {}", median(self.arms[1])),
        );
        for (value, label) in y.ticks() {
            svg.line((left, y.at(value)), (right, y.at(value)), if value == 0.0 { "zero" } else { "grid" });
            svg.text((left - 6.0, y.at(value) + 4.0), Anchor::End, "tick", &format!("{label}%"));
        }
        for (value, label) in x.ticks() {
            svg.text((x.at(value), bottom + 16.0), Anchor::Middle, "tick", &label);
        }
        for (shares, class) in shares.iter().zip(["control", "treatment"]) {
            let mut outline = vec![(x.at(edge(low)), bottom)];
            for (bin, share) in shares.iter().enumerate() {
                let from = low + bin as u64 * size;
                outline.push((x.at(edge(from)), y.at(*share)));
                outline.push((x.at(edge(from + size)), y.at(*share)));
            }
            outline.push((x.at(edge(low + bins * size)), bottom));
            svg.path(&outline, false, &format!("area {class}-area"));
        }
        let from = low + (bins - 1) * size;
        let beyond =
            if most > high { format!("; last bar: {} to {}", count(from), count(most)) } else { String::new() };
        let axis = format!("output tokens per answer{beyond}");
        svg.text((width / 2.0, bottom + 34.0), Anchor::Middle, "axis", &axis);
        svg.finish(bottom + 42.0)
    }
}

/// Returns the smallest value that at least such a share of the counts does not exceed.
fn quantile(counts: &BTreeMap<u64, u64>, share: f64) -> u64 {
    let total: u64 = counts.values().sum();
    let mut seen = 0;
    for (value, n) in counts {
        seen += n;
        if seen as f64 >= share * total as f64 {
            return *value;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occur() {
        let counts = BTreeMap::from([(1, 98), (7, 1), (900, 1)]);
        assert_eq!([0.5, 0.99, 1.0].map(|share| quantile(&counts, share)), [1, 7, 900]);
        let empty = BTreeMap::new();
        let drawn = Histogram { title: "<b>", arms: [&counts, &empty] }.draw(Fit::Narrow);
        assert!(drawn.contains("&lt;b&gt;") && drawn.contains("last bar: 7 to 900") && !drawn.contains("NaN"));
    }
}
