use super::Fit;
use super::axis::Axis;
use super::svg::{Anchor, BOLD, Svg, fitting};

/// Draws the share of wrong answers against the share of questions answered.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskCoverage {
    /// What it is of.
    pub title: String,
    /// Points of control and treatment, as coverage and risk, by coverage.
    pub curves: [Vec<(f64, f64)>; 2],
}

impl RiskCoverage {
    /// Draws it.
    pub fn draw(&self, fit: Fit) -> String {
        let width = if fit == Fit::Wide { 420.0 } else { fit.width() };
        let (left, right, top, bottom) = (52.0, width - 74.0, 52.0, 246.0);
        let points = || self.curves.iter().flatten();
        let x = Axis::covering(points().map(|point| point.0 * 100.0), 4, (left, right));
        let y = Axis::covering(points().map(|point| point.1 * 100.0).chain([0.0]), 4, (bottom, top));
        let mut svg = Svg::new(width, &format!("Risk against coverage: {}", self.title));
        svg.text((0.0, 16.0), Anchor::Start, "group", &fitting(&self.title, width - 8.0, BOLD));
        for (value, label) in y.ticks() {
            svg.line((left, y.at(value)), (right, y.at(value)), if value == 0.0 { "zero" } else { "grid" });
            svg.text((left - 8.0, y.at(value) + 4.0), Anchor::End, "tick", &format!("{label}%"));
        }
        for (value, label) in x.ticks() {
            svg.text((x.at(value), bottom + 17.0), Anchor::Middle, "tick", &format!("{label}%"));
        }
        svg.text((f64::midpoint(left, right), bottom + 37.0), Anchor::Middle, "axis", "coverage (share answered)");
        let mut named: Vec<f64> = Vec::new();
        for (curve, (class, name)) in self.curves.iter().zip([("control", "control"), ("treatment", "treatment")]) {
            let drawn: Vec<(f64, f64)> =
                curve.iter().map(|(coverage, risk)| (x.at(coverage * 100.0), y.at(risk * 100.0))).collect();
            svg.path(&drawn, false, &format!("curve {class}-line"));
            for point in &drawn {
                svg.circle(*point, 3.0, class);
            }
            if let Some((at_x, at_y)) = drawn.last() {
                // Names that would lie on each other move apart.
                let at_y = match named.first() {
                    Some(other) if (other - at_y).abs() < 14.0 => {
                        if at_y < other {
                            other - 14.0
                        } else {
                            other + 14.0
                        }
                    }
                    _ => *at_y,
                };
                named.push(at_y);
                svg.text((at_x + 8.0, at_y + 4.0), Anchor::Start, &format!("small {class}-text"), name);
            }
        }
        svg.text((0.0, 36.0), Anchor::Start, "axis", "risk (wrong among answered)");
        svg.finish(bottom + 46.0)
    }
}
