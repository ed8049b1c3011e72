use super::Fit;
use super::axis::Axis;
use super::svg::{Anchor, Svg, extent, fitting};

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

impl CostQuality {
    /// Draws it.
    pub fn draw(&self, fit: Fit) -> String {
        let width = if fit == Fit::Wide { 660.0 } else { fit.width() };
        let (left, right, top, bottom) = (52.0, width - if fit == Fit::Wide { 190.0 } else { 96.0 }, 40.0, 290.0);
        let points = || self.trials.iter().flat_map(|trial| trial.arms).flatten();
        let x = Axis::covering(
            points().map(|point| point.0).chain([0.0]),
            if fit == Fit::Wide { 5 } else { 3 },
            (left, right),
        );
        let y = Axis::covering(points().map(|point| point.1 * 100.0), 5, (bottom, top));
        let mut svg = Svg::new(width, "Quality against cost");
        svg.text((0.0, 16.0), Anchor::Start, "group", &fitting(&self.title, width - 8.0, 14.0));
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
        let mut labels: Vec<(f64, f64, &str)> = Vec::new();
        for trial in &self.trials {
            let [control, treatment] = trial.arms.map(|point| point.map(|(cost, q)| (x.at(cost), y.at(q * 100.0))));
            if let (Some(from), Some(to)) = (control, treatment) {
                svg.line(from, to, "arrow");
            }
            if let Some(point) = control {
                svg.circle(point, 4.0, "control");
            }
            if let Some(point) = treatment {
                svg.circle(point, 5.0, "treatment");
                labels.push((point.0, point.1, &trial.label));
            }
        }
        labels.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut taken: Vec<(f64, f64, f64)> = Vec::new();
        for (at_x, at_y, label) in labels {
            let text = fitting(label, width - at_x - 10.0, 12.0);
            let end = at_x + 10.0 + extent(&text, 12.0);
            let mut y = at_y + 4.0;
            while taken.iter().any(|(from, to, other)| at_x < *to && *from < end && (other - y).abs() < 14.0) {
                y += 2.0;
            }
            taken.push((at_x, end, y));
            svg.text((at_x + 9.0, y), Anchor::Start, "small label", &text);
        }
        svg.finish(bottom + 48.0)
    }
}
