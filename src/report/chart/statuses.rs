use super::Fit;
use super::axis::Axis;
use super::svg::{Anchor, BOLD, Svg, fitting};
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
    /// The rows by heading, from the top; an empty heading is none.
    pub groups: Vec<(String, Vec<StatusRow>)>,
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
            Fit::Narrow => (20.0, width - 104.0),
        };
        let (row_height, offset) = if fit == Fit::Wide { (22.0, 0.0) } else { (38.0, 18.0) };
        let share = |row: &StatusRow| row.counts.iter().sum::<u64>() as f64 / row.draws.max(1) as f64;
        let rows = || self.groups.iter().flat_map(|group| &group.1);
        let most = rows().map(share).fold(0.0, f64::max);
        let axis = Axis::covering([0.0, most * 100.0], if fit == Fit::Wide { 5 } else { 3 }, (left, right));
        let mut svg = Svg::new(width, "Share of answers that did not end by themselves");
        let mut y = 2.0;
        for (heading, rows) in &self.groups {
            if !heading.is_empty() {
                svg.text((0.0, y + 17.0), Anchor::Start, "group", &fitting(heading, width - 8.0, BOLD));
                y += 26.0;
            }
            let mut named = None;
            for row in rows {
                let at = y + offset + 3.0;
                for (tick, _) in axis.ticks() {
                    let (from, to) = if fit == Fit::Wide { (y, y + row_height) } else { (at - 1.0, at + 15.0) };
                    let class = if tick == 0.0 { "zero" } else { "grid" };
                    svg.line((axis.at(tick), from), (axis.at(tick), to), class);
                }
                let arm = if row.is_treatment { "treatment" } else { "control" };
                let room = if fit == Fit::Wide { 280.0 } else { width - 90.0 };
                // The second of two arms needs no name again where they stand close.
                if fit == Fit::Narrow || named != Some(&row.label) {
                    let indent = if fit == Fit::Wide { 10.0 } else { 0.0 };
                    svg.text((indent, y + 15.0), Anchor::Start, "label", &fitting(&row.label, room, 13.0));
                }
                named = Some(&row.label);
                let arm_at = if fit == Fit::Wide { left - 10.0 } else { width };
                svg.text((arm_at, y + 15.0), Anchor::End, "tick", arm);
                let mut sum = 0;
                for (shade, n) in row.counts.iter().enumerate() {
                    let end = |n: u64| axis.at(n as f64 / row.draws.max(1) as f64 * 100.0);
                    svg.rect((end(sum), at), (end(sum + n) - end(sum), 14.0), &Self::class(shade));
                    sum += n;
                }
                // Few of many are not to look like none.
                let decimals = if most < 0.01 { 2 } else { 1 };
                let number = format!("{} ({:.decimals$}%)", count(sum), share(row) * 100.0);
                let at_x = axis.at(share(row) * 100.0);
                svg.text((at_x + 6.0, at + 11.5), Anchor::Start, "number", &number);
                y += row_height;
            }
        }
        for (tick, label) in axis.ticks() {
            svg.text((axis.at(tick), y + 16.0), Anchor::Middle, "tick", &format!("{label}%"));
        }
        svg.text((f64::midpoint(left, right), y + 34.0), Anchor::Middle, "axis", "share of the arm's answers");
        svg.finish(y + 42.0)
    }
}
