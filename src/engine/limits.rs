use crate::plan::StepKind;

/// Says which kinds of step may run; the others have to be done already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepLimits {
    may_run: Vec<StepKind>,
    last: StepKind,
}

impl Default for StepLimits {
    fn default() -> Self {
        Self { may_run: StepKind::ALL.to_vec(), last: StepKind::Aggregate }
    }
}

impl StepLimits {
    /// Lets the steps from `first` to `last` run, both included; what comes after `last` is left out.
    pub fn between(first: StepKind, last: StepKind) -> Self {
        let may_run = StepKind::ALL.into_iter().filter(|kind| (first..=last).contains(kind)).collect();
        Self { may_run, last }
    }

    /// Forbids one kind of step.
    #[must_use]
    pub fn without(mut self, kind: StepKind) -> Self {
        self.may_run.retain(|other| *other != kind);
        self
    }

    /// Says whether a kind may run.
    pub fn may_run(&self, kind: StepKind) -> bool {
        self.may_run.contains(&kind)
    }

    /// Says whether a kind is part of the build at all.
    pub fn is_wanted(&self, kind: StepKind) -> bool {
        kind <= self.last
    }

    /// Says whether the build leaves out steps, so that its run is partial.
    pub fn is_narrowed(&self) -> bool {
        self.last != StepKind::Aggregate
    }
}
