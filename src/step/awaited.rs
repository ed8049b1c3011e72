use super::infer::{Demand, RedrawnItem, put_outputs};
use super::{Outputs, StepError};
use crate::request::{Answer, DrawAddress, FailureCode};

/// Is an `infer` action while its draws are asked for: what it takes to write its outputs, without what is asked, which goes
/// as soon as it is answered.
#[derive(Clone, Debug, Default)]
pub struct Awaited {
    draws: Vec<(String, DrawAddress)>,
    redrawn: Option<Vec<RedrawnItem>>,
}

impl From<Demand> for Awaited {
    fn from(demand: Demand) -> Self {
        let draws = demand.wanted.into_iter().map(|wanted| (wanted.item, wanted.address)).collect();
        Self { draws, redrawn: demand.redrawn }
    }
}

impl Awaited {
    /// Counts the draws.
    pub fn count(&self) -> u64 {
        self.draws.len() as u64
    }

    /// Writes the outputs of the action, given what became of its draws, and counts those without an answer.
    pub fn collect(
        &self,
        settled: impl Fn(&DrawAddress) -> Option<Result<Answer, FailureCode>>,
        outputs: &mut dyn Outputs,
    ) -> Result<u64, StepError> {
        let draws = self.draws.iter().map(|(item, address)| (item.as_str(), address));
        put_outputs(draws, self.redrawn.as_deref(), settled, outputs)
    }
}
