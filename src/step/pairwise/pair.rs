use crate::plan::{PairOrder, Preferred};
use crate::step::draw_status::DrawStatus;

/// Says how a pair ends, as the treatment sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Loss,
    Tie,
    Win,
}

impl Outcome {
    /// Reads what a judge prefers that was shown the answers in an order.
    pub(super) fn of(preferred: Preferred, order: PairOrder) -> Self {
        match (preferred, order) {
            (Preferred::Tie, _) => Self::Tie,
            (Preferred::A, PairOrder::TreatmentFirst) | (Preferred::B, PairOrder::ControlFirst) => Self::Win,
            (Preferred::A, PairOrder::ControlFirst) | (Preferred::B, PairOrder::TreatmentFirst) => Self::Loss,
        }
    }

    /// Combines both orders: what they agree on, else a tie.
    pub(super) fn of_both(orders: [Self; 2]) -> Self {
        if orders[0] == orders[1] { orders[0] } else { Self::Tie }
    }

    /// Returns what it counts: 1, one half, or 0.
    pub(super) fn score(self) -> f64 {
        match self {
            Self::Loss => 0.0,
            Self::Tie => 0.5,
            Self::Win => 1.0,
        }
    }

    /// Returns the word in files.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Tie => "tie",
            Self::Win => "win",
        }
    }
}

/// Counts the verdicts on a pair in one order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Votes([u32; 3]);

impl Votes {
    /// Adds a verdict.
    pub(super) fn add(&mut self, preferred: Preferred) {
        self.0[preferred as usize] += 1;
    }

    /// Returns what most verdicts say, none without any; where as many say another thing, that is a tie.
    pub(super) fn majority(&self) -> Option<Preferred> {
        let most = self.0.into_iter().max().filter(|most| *most > 0)?;
        let all = [Preferred::A, Preferred::B, Preferred::Tie];
        let mut top = all.into_iter().filter(|preferred| self.0[*preferred as usize] == most);
        let first = top.next();
        if top.next().is_some() { Some(Preferred::Tie) } else { first }
    }
}

/// Says what became of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A rule decides about the control's draw, or the treatment's, by its status.
    Decided([bool; 2]),
    /// The judge would see no difference.
    Identical,
    /// It was asked about: what each order says.
    Asked([Option<Outcome>; 2]),
}

/// Is a pair of draws with the same item and number.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) item: String,
    pub(super) n: u32,
    /// What it depends on: its group, or its item.
    pub(super) cluster: String,
    /// Of control and treatment, as the next.
    pub(super) statuses: [DrawStatus; 2],
    pub(super) lengths: [u64; 2],
    pub(super) standing: Standing,
}

impl Pair {
    /// Returns how it ends; none where that is not known.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self.standing {
            Standing::Decided(_) => None,
            Standing::Identical => Some(Outcome::Tie),
            Standing::Asked(orders) => Some(Outcome::of_both([orders[0]?, orders[1]?])),
        }
    }

    /// Returns what each order says, where it was asked about and both say something.
    pub(super) fn orders(&self) -> Option<[Outcome; 2]> {
        match self.standing {
            Standing::Asked([Some(first), Some(second)]) => Some([first, second]),
            _ => None,
        }
    }

    /// Says why it has no outcome, or a tie without a verdict; empty where verdicts say it.
    pub(super) fn why(&self) -> String {
        match self.standing {
            Standing::Decided([true, false]) => format!("control:{}", self.statuses[0]),
            Standing::Decided([false, true]) => format!("treatment:{}", self.statuses[1]),
            Standing::Decided(_) => "both".to_owned(),
            Standing::Identical => "identical".to_owned(),
            Standing::Asked(_) if self.outcome().is_none() => "no_verdict".to_owned(),
            Standing::Asked(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use Preferred::{A, B, Tie};

    use super::*;

    #[test]
    fn the_treatment_wins_where_it_is_preferred_in_both_orders() {
        let of = |first, second| {
            let first = Outcome::of(first, PairOrder::ControlFirst);
            Outcome::of_both([first, Outcome::of(second, PairOrder::TreatmentFirst)])
        };
        assert_eq!(of(Preferred::B, Preferred::A), Outcome::Win);
        assert_eq!(of(Preferred::A, Preferred::B), Outcome::Loss);
        // The same place twice, or a tie on one side, says nothing of the answers.
        for (first, second) in [
            (Preferred::A, Preferred::A),
            (Preferred::B, Preferred::B),
            (Preferred::Tie, Preferred::A),
            (Preferred::A, Preferred::Tie),
            (Preferred::Tie, Preferred::Tie),
        ] {
            assert_eq!(of(first, second), Outcome::Tie, "{first:?} {second:?}");
        }
    }

    #[test]
    fn verdicts_come_to_a_majority() {
        let majority = |all: &[Preferred]| {
            let mut votes = Votes::default();
            for preferred in all {
                votes.add(*preferred);
            }
            votes.majority()
        };
        assert_eq!(majority(&[A, B, A]), Some(A));
        assert_eq!(majority(&[B, Tie, B]), Some(B));
        assert_eq!(majority(&[A, B]), Some(Tie));
        assert_eq!(majority(&[A, Tie]), Some(Tie));
        assert_eq!(majority(&[]), None);
    }
}
