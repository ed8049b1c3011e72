use serde::{Deserialize, Serialize};

/// Says how an analysis differs from the plan that was sealed before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanBlock {
    /// What differs; empty where nothing does.
    pub deviations: Vec<Deviation>,
}

/// Is one thing that is not as it was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// What it is, such as `alpha`.
    pub what: String,
    /// What the plan says.
    pub sealed: String,
    /// What is so now.
    pub now: String,
}
