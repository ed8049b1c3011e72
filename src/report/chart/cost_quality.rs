use super::Fit;
use super::axis::Axis;
use super::svg::{Anchor, BOLD, Svg, fitting};

/// Is one trial's cost and quality under both arms.
#[derive(Clone, Debug, PartialEq)]
pub struct CostedTrial {
    /// Its name.
    pub label: String,
    /// Cost and quality (a share) of control and treatment.
    pub arms: [Option<(f64, f64)>; 2],
}

/// Draws quality against cost: an arrow from control to treatment for each trial.
#[derive(Clone, Debug, PartialEq)]
pub struct CostQuality {
    /// What it is of.
    pub title: String,
    /// What the horizontal axis shows.
    pub axis: String,
    /// The trials.
    pub trials: Vec<CostedTrial>,
}

/// Is how much room a name takes, from one line to the next.
const LINE: f64 = 16.0;

impl CostQuality {
    /// Draws it. Names stand in a column of their own, each at the end of a line from its point: points crowd.
    pub fn draw(&self, fit: Fit) -> String {
        let width = fit.width();
        let named = self.trials.iter().filter(|trial| trial.arms[1].is_some()).count() as f64;
        let (left, right, top) = (52.0, width - if fit == Fit::Wide { 300.0 } else { 128.0 }, 44.0);
        let bottom = top + (named * LINE).max(236.0);
        let points = || self.trials.iter().flat_map(|trial| trial.arms).flatten();
        let ticks = if fit == Fit::Wide { 5 } else { 3 };
        let x = Axis::covering(points().map(|point| point.0).chain([0.0]), ticks, (left, right));
        let y = Axis::covering(points().map(|point| point.1 * 100.0), 5, (bottom, top));
        let mut svg = Svg::new(width, &format!("Quality against cost: {}", self.title));
        svg.text((0.0, 16.0), Anchor::Start, "group", &fitting(&self.title, width - 8.0, BOLD));
        svg.text((0.0, 33.0), Anchor::Start, "axis", "mean score");
        for (value, label) in y.ticks() {
            svg.line((left, y.at(value)), (right, y.at(value)), "grid");
            svg.text((left - 8.0, y.at(value) + 4.0), Anchor::End, "tick", &format!("{label}%"));
        }
        for (value, label) in x.ticks() {
            svg.line((x.at(value), bottom), (x.at(value), bottom + 4.0), "zero");
            svg.text((x.at(value), bottom + 19.0), Anchor::Middle, "tick", &label);
        }
        svg.line((left, bottom), (right, bottom), "zero");
        svg.text((f64::midpoint(left, right), bottom + 39.0), Anchor::Middle, "axis", &self.axis);
        let place = |point: Option<(f64, f64)>| point.map(|(cost, quality)| (x.at(cost), y.at(quality * 100.0)));
        let mut names: Vec<((f64, f64), &str)> =
            self.trials.iter().filter_map(|trial| Some((place(trial.arms[1])?, trial.label.as_str()))).collect();
        names.sort_by(|a, b| a.0.1.total_cmp(&b.0.1));
        let wanted: Vec<f64> = names.iter().map(|(at, _)| at.1).collect();
        for ((at, label), line) in names.iter().zip(apart(&wanted, (top, bottom))) {
            let text = fitting(label, width - right - 16.0, 12.0);
            svg.path(&[*at, (right + 4.0, line), (right + 12.0, line)], false, "leader");
            svg.text((right + 16.0, line + 4.0), Anchor::Start, "small label", &text);
        }
        for trial in &self.trials {
            if let (Some(from), Some(to)) = (place(trial.arms[0]), place(trial.arms[1])) {
                svg.line(from, to, "arrow");
            }
        }
        for (arm, radius, class) in [(0, 4.0, "control"), (1, 5.0, "treatment")] {
            for point in self.trials.iter().filter_map(|trial| place(trial.arms[arm])) {
                svg.circle(point, radius, class);
            }
        }
        svg.finish(bottom + 48.0)
    }
}

/// Moves heights that lie closer than a line apart, between two ends; they come from the top, and stay in their order.
fn apart(wanted: &[f64], (top, bottom): (f64, f64)) -> Vec<f64> {
    let mut placed: Vec<f64> = Vec::with_capacity(wanted.len());
    for height in wanted {
        placed.push(placed.last().map_or(*height, |above| height.max(above + LINE)).max(top));
    }
    let mut below = bottom + LINE;
    for height in placed.iter_mut().rev() {
        *height = height.min(below - LINE);
        below = *height;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lie_on_each_other() {
        let placed = apart(&[40.0, 41.0, 41.0, 200.0, 279.0, 280.0], (44.0, 280.0));
        assert!(placed.windows(2).all(|pair| pair[1] - pair[0] >= LINE), "{placed:?}");
        assert!(placed[0] >= 44.0 && placed[5] <= 280.0, "{placed:?}");
        assert_eq!(placed[3], 200.0);
    }
}
