use super::{Engine, NodeFailure};
use crate::plan::{ExternalParams, NodeIndex, ParamsDoc};
use crate::step::{self, Inputs, Outputs};

/// Has an executable score: it is told of the answers of a part, and what it says becomes their scores.
pub(super) fn score_by_process(
    engine: &Engine<'_>,
    node: NodeIndex,
    (params, inputs): (&ParamsDoc, &Inputs<'_>),
    outputs: &mut dyn Outputs,
) -> Result<(), NodeFailure> {
    let params: ExternalParams = params.read()?;
    let told = step::external::told(&params, inputs)?;
    let said = (engine.external)(node, told.clone())?;
    Ok(step::external::scores(&params, inputs, (&told, &said), outputs)?)
}
