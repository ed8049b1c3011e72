use super::Fit;
use super::parts::{PAGE, Part, parts};
use super::svg::{Anchor, BOLD, Svg, fitting};
use crate::report::number::count;

/// Counts the items of one metric by which arm scores higher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlipRow {
    /// What they are of.
    pub label: String,
    /// Items that score higher under treatment.
    pub up: u64,
    /// Items that score the same.
    pub equal: u64,
    /// Items that score higher under control.
    pub down: u64,
}

/// Draws how many items changed, and which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flips {
    /// The rows by heading, from the top; an empty heading is none.
    pub groups: Vec<(String, Vec<FlipRow>)>,
}

impl Flips {
    /// Draws it.
    pub fn draw(&self, fit: Fit) -> String {
        let width = fit.width();
        let (left, right) = match fit {
            Fit::Wide => (300.0, width - 150.0),
            Fit::Narrow => (48.0, width - 48.0),
        };
        let middle = f64::midpoint(left, right);
        // Room for the numbers beside the bars.
        let half = (right - left) / 2.0 - 44.0;
        let share = |n: u64, row: &FlipRow| n as f64 / (row.up + row.equal + row.down).max(1) as f64;
        let rows = || self.groups.iter().flat_map(|group| &group.1);
        let most = rows().map(|row| share(row.up.max(row.down), row)).fold(1e-9, f64::max);
        let groups = self.groups.iter().map(|group| (group.0.as_str(), group.1.as_slice()));
        let scaled = |n: u64, row: &FlipRow| share(n, row) / most * half;
        parts(groups, PAGE).iter().map(|part| draw_part(part, &scaled, (left, middle), fit)).collect()
    }
}

fn draw_part(
    part: &Part<'_, FlipRow>,
    scaled: &dyn Fn(u64, &FlipRow) -> f64,
    (left, middle): (f64, f64),
    fit: Fit,
) -> String {
    let width = fit.width();
    let (row_height, offset) = if fit == Fit::Wide { (26.0, 0.0) } else { (44.0, 20.0) };
    let mut svg = Svg::new(width, "Items that score higher under one arm than under the other");
    svg.text((middle - 8.0, 14.0), Anchor::End, "tick", "← control higher");
    svg.text((middle + 8.0, 14.0), Anchor::Start, "tick", "treatment higher →");
    let mut y = 26.0;
    for (heading, rows) in part {
        if !heading.is_empty() {
            svg.text((0.0, y + 17.0), Anchor::Start, "group", &fitting(heading, width - 8.0, BOLD));
            y += 26.0;
        }
        for row in *rows {
            let at = y + offset + 4.0;
            let (down, up) = (scaled(row.down, row), scaled(row.up, row));
            svg.rect((middle - down, at), (down, 14.0), "control");
            svg.rect((middle, at), (up, 14.0), "treatment");
            let below = if fit == Fit::Wide { 22.0 } else { 18.0 };
            svg.line((middle, at - 4.0), (middle, at + below), "zero");
            svg.text((middle - down - 6.0, at + 11.5), Anchor::End, "number", &count(row.down));
            svg.text((middle + up + 6.0, at + 11.5), Anchor::Start, "number", &count(row.up));
            let same = format!("{} the same", count(row.equal));
            if fit == Fit::Wide {
                svg.text((10.0, at + 11.5), Anchor::Start, "label", &fitting(&row.label, left - 24.0, 13.0));
                svg.text((width, at + 11.5), Anchor::End, "tick", &same);
            } else {
                svg.text((0.0, y + 14.0), Anchor::Start, "label", &fitting(&row.label, width - 110.0, 13.0));
                svg.text((width, y + 14.0), Anchor::End, "tick", &same);
            }
            y += row_height;
        }
    }
    svg.finish(y + 6.0)
}
