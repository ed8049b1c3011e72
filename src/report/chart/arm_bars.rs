use super::Fit;
use super::axis::Axis;
use super::parts::{PAGE, Part, parts};
use super::svg::{Anchor, BOLD, Svg, fitting};
use crate::report::Unit;
use crate::report::number::value;

/// Is a mean and its interval, as shares.
pub type MeanWithInterval = (f64, Option<(f64, f64)>);

/// Is both arms' means of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmPair {
    /// What they are of.
    pub label: String,
    /// Mean and interval of control and treatment.
    pub arms: [Option<MeanWithInterval>; 2],
}

/// Draws each arm's mean as a bar with its interval.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmBars {
    /// The pairs by heading, from the top; an empty heading is none.
    pub groups: Vec<(String, Vec<ArmPair>)>,
}

const BAR: f64 = 12.0;

impl ArmBars {
    /// Draws it.
    pub fn draw(&self, fit: Fit) -> String {
        let width = fit.width();
        let (left, right) = match fit {
            Fit::Wide => (300.0, width - 148.0),
            Fit::Narrow => (12.0, width - 136.0),
        };
        let highest = |pair: &ArmPair| {
            pair.arms
                .iter()
                .flatten()
                .map(|(mean, ends)| ends.map_or(*mean, |ends| ends.1.max(*mean)))
                .fold(0.0, f64::max)
        };
        let top = self.groups.iter().flat_map(|group| &group.1).map(highest).fold(0.0, f64::max);
        let axis = Axis::covering([0.0, (top * 100.0).min(100.0)], if fit == Fit::Wide { 5 } else { 4 }, (left, right));
        let groups = self.groups.iter().map(|group| (group.0.as_str(), group.1.as_slice()));
        parts(groups, PAGE).iter().map(|part| Self::draw_part(part, &axis, (left, right), fit)).collect()
    }

    fn draw_part(part: &Part<'_, ArmPair>, axis: &Axis, (left, right): (f64, f64), fit: Fit) -> String {
        let width = fit.width();
        let label_height = if fit == Fit::Wide { 0.0 } else { 18.0 };
        let row_height = label_height + 2.0 * BAR + 15.0;
        let rows = part.iter().map(|group| group.1.len()).sum::<usize>() as f64;
        let headings = part.iter().filter(|group| !group.0.is_empty()).count() as f64;
        let bottom = 4.0 + rows * row_height + headings * 28.0;
        let mut svg = Svg::new(width, "Means of each arm with their intervals");
        for (tick, label) in axis.ticks() {
            let x = axis.at(tick);
            if fit == Fit::Wide {
                svg.line((x, 4.0), (x, bottom), if tick == 0.0 { "zero" } else { "grid" });
            }
            svg.text((x, bottom + 16.0), Anchor::Middle, "tick", &format!("{label}%"));
        }
        let mut y = 4.0;
        for (heading, pairs) in part {
            if !heading.is_empty() {
                svg.text((0.0, y + 18.0), Anchor::Start, "group", &fitting(heading, width - 8.0, BOLD));
                y += 28.0;
            }
            for pair in *pairs {
                let label_at = if fit == Fit::Wide { (10.0, y + BAR + 8.0) } else { (0.0, y + 13.0) };
                let room = if fit == Fit::Wide { left - 24.0 } else { width - 8.0 };
                svg.text(label_at, Anchor::Start, "label", &fitting(&pair.label, room, 13.0));
                // Where the label stands above the bars, lines go beside the bars only.
                for (tick, _) in axis.ticks().into_iter().filter(|_| fit == Fit::Narrow) {
                    let (from, to) = (y + label_height + 1.0, y + row_height - 6.0);
                    svg.line((axis.at(tick), from), (axis.at(tick), to), if tick == 0.0 { "zero" } else { "grid" });
                }
                for (arm, class) in ["control", "treatment"].into_iter().enumerate() {
                    let Some((mean, ends)) = pair.arms[arm] else { continue };
                    let top = y + label_height + 4.0 + arm as f64 * (BAR + 3.0);
                    let middle = top + BAR / 2.0;
                    svg.rect((left, top), (axis.at(mean * 100.0) - left, BAR), class);
                    if let Some((low, high)) = ends {
                        let (low, high) = (axis.at(low * 100.0), axis.at(high * 100.0));
                        // What is below is told from the bar by a rim.
                        svg.line((low, middle), (high, middle), "rim");
                        svg.line((low, middle), (high, middle), "whisker");
                        for end in [low, high] {
                            svg.line((end, middle - 3.0), (end, middle + 3.0), "whisker");
                        }
                    }
                    let ends = ends.map_or_else(String::new, |(low, high)| {
                        let bare = |end| value(Unit::Share, end).trim_end_matches('%').to_owned();
                        format!(" [{}, {}]", bare(low), bare(high))
                    });
                    let text = format!("{}{ends}", value(Unit::Share, mean));
                    svg.text((width, middle + 4.0), Anchor::End, "number small", &text);
                }
                y += row_height;
            }
        }
        svg.text((f64::midpoint(left, right), bottom + 34.0), Anchor::Middle, "axis", "mean score");
        svg.finish(bottom + 42.0)
    }
}
