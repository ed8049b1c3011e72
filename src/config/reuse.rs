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

/// Says which asking of the requests is used, for each side of the comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    /// Of what is compared against.
    pub control: u32,
    /// Of what is tried.
    pub treatment: u32,
}

impl Generation {
    /// Makes one generation for both sides.
    pub fn of_both(generation: u32) -> Self {
        Self { control: generation, treatment: generation }
    }
}

impl std::fmt::Display for Generation {
    /// Writes it as a config does.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.control == self.treatment {
            write!(f, "{}", self.control)
        } else {
            write!(f, "{{control: {}, treatment: {}}}", self.control, self.treatment)
        }
    }
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
