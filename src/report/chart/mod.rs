//! Charts as inline SVG, one file each, from plain values. Colours come from the page's style, by class.
//!
//! Each chart is drawn twice, for a wide page and for a phone; the style shows one of them.

mod arm_bars;
mod axis;
mod cost_quality;
mod flips;
mod forest;
mod histogram;
mod risk_coverage;
mod statuses;
mod svg;

pub(super) use arm_bars::{ArmBars, ArmPair};
pub(super) use cost_quality::{CostQuality, CostedTrial};
pub(super) use flips::{FlipRow, Flips};
pub(super) use forest::{Forest, ForestGroup, ForestRow, Mark};
pub(super) use histogram::Histogram;
pub(super) use risk_coverage::RiskCoverage;
pub(super) use statuses::{StatusRow, Statuses};

/// Says for which width a chart is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// A page, 880 units wide.
    Wide,
    /// A phone, 360 units wide.
    Narrow,
}

impl Fit {
    /// Returns the width of a chart that fills the page.
    fn width(self) -> f64 {
        match self {
            Self::Wide => 880.0,
            Self::Narrow => 360.0,
        }
    }
}

/// Draws a chart for both widths.
pub(super) fn both(draw: impl Fn(Fit) -> String) -> String {
    format!("<div class=\"wide\">{}</div><div class=\"narrow\">{}</div>\n", draw(Fit::Wide), draw(Fit::Narrow))
}
