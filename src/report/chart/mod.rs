//! Charts as inline SVG, one file each, from plain values. Colours come from the page's style, by class.
//!
//! Each chart is drawn twice, for a wide page and for a phone; the style shows one of them.

mod arm_bars;
mod axis;
mod cost_quality;
mod fit;
mod flips;
mod forest;
mod histogram;
mod outcomes;
mod parts;
mod risk_coverage;
mod statuses;
mod svg;

pub(super) use arm_bars::{ArmBars, ArmPair};
pub(super) use cost_quality::{CostQuality, CostedTrial};
pub(super) use fit::{Fit, both};
pub(super) use flips::{FlipRow, Flips};
pub(super) use forest::{Forest, ForestGroup, ForestRow, Mark};
pub(super) use histogram::Histogram;
pub(super) use outcomes::{OutcomeBars, OutcomeRow};
pub(super) use risk_coverage::RiskCoverage;
pub(super) use statuses::{StatusRow, Statuses};
