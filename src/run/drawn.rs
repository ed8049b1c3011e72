use std::collections::BTreeMap;

use super::ArmProvenance;

/// Says when and by whom the answers of two trials were given, arm by arm; empty where that is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Drawn {
    /// In `a`.
    pub a: Vec<DrawnArm>,
    /// In `b`.
    pub b: Vec<DrawnArm>,
}

/// Sums up the answers of one arm.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct DrawnArm {
    /// `control` or `treatment`.
    pub condition: String,
    /// How many there are.
    pub draws: u64,
    /// When the first of them was logged: UTC, RFC 3339.
    pub first: Option<String>,
    /// When the last of them was.
    pub last: Option<String>,
    /// Counts them by the model that the provider says it served; those of which it says nothing are not among them.
    pub served_models: BTreeMap<String, u64>,
}

impl DrawnArm {
    /// Takes what is told of an arm from all that is known of it.
    pub fn of(condition: &str, arm: &ArmProvenance) -> Self {
        Self {
            condition: condition.to_owned(),
            draws: arm.draws,
            first: arm.first.clone(),
            last: arm.last.clone(),
            served_models: arm.served.clone(),
        }
    }
}
