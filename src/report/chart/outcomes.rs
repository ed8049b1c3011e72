use super::Fit;
use super::svg::{Anchor, Svg, fitting};
use crate::report::number::count;

/// Counts the pairs of one comparison by how they end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeRow {
    /// What they are of.
    pub label: String,
    /// Pairs that treatment wins.
    pub wins: u64,
    /// Ties.
    pub ties: u64,
    /// Pairs that control wins.
    pub losses: u64,
}

/// Draws wins, ties and losses as one bar for each comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeBars {
    /// The rows, from the top.
    pub rows: Vec<OutcomeRow>,
}

/// Is how wide a part has to be for its number to stand in it, for each digit and besides.
const DIGIT: f64 = 8.0;

impl OutcomeBars {
    /// Draws it.
    pub fn draw(&self, fit: Fit) -> String {
        let width = fit.width();
        let (left, right) = match fit {
            Fit::Wide => (300.0, width - 10.0),
            Fit::Narrow => (0.0, width),
        };
        let (row_height, offset) = if fit == Fit::Wide { (30.0, 0.0) } else { (48.0, 20.0) };
        let head = 24.0;
        let bottom = head + self.rows.len() as f64 * row_height;
        let mut svg = Svg::new(width, "Pairs that treatment wins, that are ties, and that control wins");
        svg.text((left, 14.0), Anchor::Start, "tick", "treatment wins");
        let middle = f64::midpoint(left, right);
        svg.text((middle, 14.0), Anchor::Middle, "tick", "ties");
        svg.text((right, 14.0), Anchor::End, "tick", "control wins");
        let mut y = head;
        for row in &self.rows {
            let at = y + offset + 4.0;
            let all = (row.wins + row.ties + row.losses).max(1) as f64;
            let label = if fit == Fit::Wide { ((10.0, at + 13.0), left - 24.0) } else { ((0.0, y + 15.0), width) };
            svg.text(label.0, Anchor::Start, "label", &fitting(&row.label, label.1, 13.0));
            let mut x = left;
            for (n, class) in [(row.wins, "treatment"), (row.ties, "tie"), (row.losses, "control")] {
                let wide = n as f64 / all * (right - left);
                svg.rect((x, at), (wide, 18.0), class);
                let number = count(n);
                if wide > DIGIT * (number.len() as f64 + 1.0) {
                    let class = if class == "treatment" { "number on-treatment" } else { "number" };
                    svg.text((x + wide / 2.0, at + 13.5), Anchor::Middle, class, &number);
                }
                x += wide;
            }
            // Beside the bar, as a number may stand in its middle.
            svg.line((middle, at - 5.0), (middle, at), "zero");
            svg.line((middle, at + 18.0), (middle, at + 23.0), "zero");
            y += row_height;
        }
        svg.finish(bottom + 6.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_shares_of_the_bar() {
        let row = OutcomeRow { label: "<i>d</i>".to_owned(), wins: 1, ties: 0, losses: 3 };
        let drawn = OutcomeBars { rows: vec![row] }.draw(Fit::Narrow);
        let width = Fit::Narrow.width();
        assert!(drawn.contains(&format!("width=\"{}\"", width / 4.0)), "{drawn}");
        assert!(!drawn.contains("<i>"), "{drawn}");
    }
}
