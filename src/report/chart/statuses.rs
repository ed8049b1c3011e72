use super::Fit;
use super::svg::{Anchor, Svg, fitting};
use crate::report::number::count;

/// Is how the answers of one arm ended, where they did not simply stop.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusRow {
    /// What they are of.
    pub label: String,
    /// Whether they are the treatment's.
    pub is_treatment: bool,
    /// The statuses other than `stop`, with their counts, as [`Statuses::names`] orders them.
    pub counts: Vec<u64>,
    /// All draws.
    pub draws: u64,
}

/// Draws the share of answers that did not end by themselves, by status.
#[derive(Clone, Debug, PartialEq)]
pub struct Statuses {
    /// The statuses, in order; each has a shade.
    pub names: Vec<String>,
    /// The rows, from the top.
    pub rows: Vec<StatusRow>,
}

/// Is how many shades the style has.
const SHADES: usize = 6;

impl Statuses {
    /// Returns the class of the shade of a status.
    pub fn class(at: usize) -> String {
        format!("s{}", at % SHADES)
    }

    /// Draws it.
    pub fn draw(&self, fit: Fit) -> String {
        let width = fit.width();
        let (left, right) = match fit {
            Fit::Wide => (380.0, width - 110.0),
            Fit::Narrow => (8.0, width - 100.0),
        };
        let (row_height, offset) = if fit == Fit::Wide { (22.0, 0.0) } else { (38.0, 18.0) };
        let share = |row: &StatusRow| row.counts.iter().sum::<u64>() as f64 / row.draws.max(1) as f64;
        let most = self.rows.iter().map(share).fold(1e-9, f64::max);
        let mut svg = Svg::new(width, "Share of answers that did not end by themselves");
        let mut y = 2.0;
        for row in &self.rows {
            let at = y + offset + 3.0;
            let arm = if row.is_treatment { "treatment" } else { "control" };
            let room = if fit == Fit::Wide { 280.0 } else { width - 90.0 };
            svg.text((10.0, y + 15.0), Anchor::Start, "label", &fitting(&row.label, room, 13.0));
            let arm_at = if fit == Fit::Wide { left - 10.0 } else { width };
            svg.text((arm_at, y + 15.0), Anchor::End, "tick", arm);
            let mut x = left;
            for (shade, n) in row.counts.iter().enumerate() {
                let wide = *n as f64 / row.draws.max(1) as f64 / most * (right - left);
                svg.rect((x, at), (wide, 14.0), &Self::class(shade));
                x += wide;
            }
            svg.text(
                (x + 6.0, at + 11.5),
                Anchor::Start,
                "number",
                &format!("{} ({:.1}%)", count(row.counts.iter().sum()), share(row) * 100.0),
            );
            y += row_height;
        }
        svg.line((left, 0.0), (left, y), "zero");
        svg.finish(y + 6.0)
    }
}
