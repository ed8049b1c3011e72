use super::Fit;
use super::axis::Axis;
use super::parts::{PAGE, Part, parts};
use super::svg::{Anchor, BOLD, Svg, fitting};
use crate::report::Unit;
use crate::report::number::{difference, range, typeset};

/// Says how a row is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A test stated beforehand: a filled point.
    Confirmatory,
    /// Any other: a hollow one.
    Exploratory,
    /// Several pooled: a diamond.
    Pooled,
}

/// Is one effect with its interval.
#[derive(Clone, Debug, PartialEq)]
pub struct ForestRow {
    /// What it is of.
    pub label: String,
    /// The mean difference, as a share.
    pub mean: f64,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
    /// What stands behind the numbers: a corrected p.
    pub note: String,
    /// How it is drawn.
    pub mark: Mark,
}

/// Is rows under one heading.
#[derive(Clone, Debug, PartialEq)]
pub struct ForestGroup {
    /// The heading; empty for none.
    pub heading: String,
    /// The rows.
    pub rows: Vec<ForestRow>,
}

/// Draws effects with their intervals about a line at zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    /// The groups, from the top.
    pub groups: Vec<ForestGroup>,
    /// What the axis shows.
    pub axis: String,
}

const SIZE: f64 = 13.0;

impl Forest {
    /// Draws it.
    pub fn draw(&self, fit: Fit) -> String {
        let width = fit.width();
        let (left, right) = match fit {
            Fit::Wide => (300.0, width - 280.0),
            Fit::Narrow => (18.0, width - 18.0),
        };
        let rows = || self.groups.iter().flat_map(|group| &group.rows);
        let ends = rows().flat_map(|row| {
            let (low, high) = row.interval.unwrap_or((row.mean, row.mean));
            [low * 100.0, high * 100.0, row.mean * 100.0]
        });
        let ticks = if fit == Fit::Wide { 6 } else { 4 };
        let axis = Axis::covering(ends.chain([0.0]), ticks, (left, right));
        let groups = self.groups.iter().map(|group| (group.heading.as_str(), group.rows.as_slice()));
        parts(groups, PAGE).iter().map(|part| self.draw_part(part, &axis, (left, right), fit)).collect()
    }

    fn draw_part(&self, part: &Part<'_, ForestRow>, axis: &Axis, (left, right): (f64, f64), fit: Fit) -> String {
        let (width, label_x) = (fit.width(), 0.0);
        let rows = part.iter().map(|group| group.1.len()).sum::<usize>();
        let (row_height, head_height) = if fit == Fit::Wide { (26.0, 30.0) } else { (60.0, 28.0) };
        let groups = part.iter().filter(|group| !group.0.is_empty()).count() as f64;
        let bottom = 8.0 + rows as f64 * row_height + groups * head_height;
        let mut svg = Svg::new(width, "Forest plot of mean differences, treatment minus control, with intervals");
        for (value, label) in axis.ticks() {
            let x = axis.at(value);
            for (from, to) in strips(part, fit, (row_height, head_height), bottom) {
                svg.line((x, from), (x, to), if value == 0.0 { "zero" } else { "grid" });
            }
            svg.text((x, bottom + 16.0), Anchor::Middle, "tick", &label);
        }
        svg.text((f64::midpoint(left, right), bottom + 36.0), Anchor::Middle, "axis", &self.axis);
        let mut y = 8.0;
        for (heading, rows) in part {
            if !heading.is_empty() {
                svg.text((label_x, y + 19.0), Anchor::Start, "group", &fitting(heading, left.max(width - 8.0), BOLD));
                y += head_height;
            }
            for row in *rows {
                let ends = |ends| format!(" [{}]", range(Unit::Share, ends).replace(" pp", ""));
                let mean = difference(Unit::Share, row.mean);
                let numbers = mean.trim_end_matches(" pp").to_owned() + &row.interval.map_or_else(String::new, ends);
                let numbers = typeset(&numbers);
                let middle = if fit == Fit::Wide {
                    let middle = y + row_height / 2.0;
                    svg.text(
                        (label_x + 10.0, middle + 4.5),
                        Anchor::Start,
                        "label",
                        &fitting(&row.label, left - 24.0, SIZE),
                    );
                    svg.text((right + 166.0, middle + 4.5), Anchor::End, "number", &numbers);
                    svg.text((width, middle + 4.5), Anchor::End, "number", &row.note);
                    middle
                } else {
                    svg.text((label_x, y + 13.0), Anchor::Start, "label", &fitting(&row.label, width - 8.0, SIZE));
                    svg.text((label_x, y + 29.0), Anchor::Start, "number", &numbers);
                    svg.text((width, y + 29.0), Anchor::End, "number", &row.note);
                    y + 43.0
                };
                draw_effect(&mut svg, axis, row, middle);
                y += row_height;
            }
        }
        svg.finish(bottom + 44.0)
    }
}

/// Lists from where to where lines of the axis go down: where words stand above what is drawn, not through them.
fn strips(part: &Part<'_, ForestRow>, fit: Fit, (row_height, head_height): (f64, f64), bottom: f64) -> Vec<(f64, f64)> {
    if fit == Fit::Wide {
        return vec![(4.0, bottom)];
    }
    let mut strips = Vec::new();
    let mut y = 8.0;
    for (heading, rows) in part {
        y += if heading.is_empty() { 0.0 } else { head_height };
        for _ in *rows {
            strips.push((y + 34.0, y + 52.0));
            y += row_height;
        }
    }
    if let Some(last) = strips.last_mut() {
        last.1 = bottom;
    }
    strips
}

fn draw_effect(svg: &mut Svg, axis: &Axis, row: &ForestRow, y: f64) {
    let at = axis.at(row.mean * 100.0);
    let ends = row.interval.map(|(low, high)| (axis.at(low * 100.0), axis.at(high * 100.0)));
    if row.mark == Mark::Pooled {
        let (low, high) = ends.unwrap_or((at - 4.0, at + 4.0));
        svg.path(&[(low, y), (at, y - 6.0), (high, y), (at, y + 6.0)], true, "pooled");
        return;
    }
    if let Some((low, high)) = ends {
        let class = if row.mark == Mark::Confirmatory { "interval" } else { "interval thin" };
        svg.line((low, y), (high, y), class);
        for end in [low, high] {
            svg.line((end, y - 4.0), (end, y + 4.0), class);
        }
    }
    svg.circle((at, y), 4.5, if row.mark == Mark::Confirmatory { "point" } else { "point hollow" });
}
