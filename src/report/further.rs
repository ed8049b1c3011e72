use super::panel::Panel;
use super::{CostEffectiveness, MarginalModels, PowerAnalysis, SupportSweep};

/// Holds the analyses of a trial that a config may leave out; each is absent where it was not made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FurtherAnalyses {
    /// How the unsupported rate depends on its threshold.
    pub support: Option<SupportSweep>,
    /// What could have been shown.
    pub power: Option<PowerAnalysis>,
    /// Regressions over all draws.
    pub models: Option<MarginalModels>,
    /// What a point of each metric costs.
    pub effectiveness: Option<CostEffectiveness>,
}

impl FurtherAnalyses {
    /// Makes the panels of those that there are, in the predecessor's order.
    pub(super) fn panels(&self) -> Vec<Panel> {
        let support = self.support.as_ref().map(SupportSweep::panel);
        let power = self.power.as_ref().map(PowerAnalysis::panel);
        let models = self.models.as_ref().map(MarginalModels::panel);
        let effectiveness = self.effectiveness.as_ref().and_then(CostEffectiveness::panel);
        [support, power, models, effectiveness].into_iter().flatten().collect()
    }
}
