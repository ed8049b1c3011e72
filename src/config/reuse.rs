use crate::digest::Decimal;

/// Says what happens when a rule is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing.
    Ignore,
    /// It is reported.
    Warn,
    /// It is an error.
    Refuse,
}

/// Says how far apart in time the arms of an item may be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxGap {
    /// The limit in seconds.
    pub seconds: u64,
    /// What happens beyond it.
    pub then: Reaction,
}

/// Says which recorded answers are good enough. The generation stands in [`Config::generation`](super::Config).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// What happens when a trial's answers were served by several models.
    pub same_served_model: Reaction,
    /// How far apart in time the arms of an item may be drawn; absent: no limit.
    pub max_gap_between_arms: Option<MaxGap>,
}

impl Default for Reuse {
    fn default() -> Self {
        Self { same_served_model: Reaction::Warn, max_gap_between_arms: None }
    }
}

/// Limits spending. The limit itself stands in [`Config::max_usd`](super::Config).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Asks before spending more than this, in US dollars.
    pub confirm_above_usd: Option<Decimal>,
    /// What happens where a price is unknown; `Ignore` is written `allow`.
    pub unknown_price: Reaction,
}

impl Default for Budget {
    fn default() -> Self {
        Self { confirm_above_usd: None, unknown_price: Reaction::Refuse }
    }
}
