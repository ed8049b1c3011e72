use serde::de::DeserializeOwned;

use super::{Inputs, Outputs, StepError};
use crate::plan::{ParamsDoc, StepKind};

fn read<T: DeserializeOwned>(params: &ParamsDoc) -> Result<T, StepError> {
    params.read().map_err(|error| StepError::Unexpected { blob: "the parameters".to_owned(), why: error.to_string() })
}

/// Runs a step that is one function. `fetch`, `infer`, `judge_infer` and `external` are not: what they need is brought by the engine.
pub fn run(
    kind: StepKind,
    params: &ParamsDoc,
    inputs: &Inputs<'_>,
    outputs: &mut dyn Outputs,
) -> Result<(), StepError> {
    match kind {
        StepKind::Prepare => super::prepare::run(&read(params)?, inputs, outputs),
        StepKind::Build => super::build::run(&read(params)?, inputs, outputs),
        StepKind::Parse => super::parse::run(&read(params)?, inputs, outputs),
        StepKind::Labels => super::labels::run(&read(params)?, inputs, outputs),
        StepKind::JudgeBuild => super::judge_build::run(&read(params)?, inputs, outputs),
        StepKind::PairwiseBuild => super::pairwise_build::run(&read(params)?, inputs, outputs),
        StepKind::Judge => super::judge::run(&read(params)?, inputs, outputs),
        StepKind::Score => super::score::run(&read(params)?, inputs, outputs),
        StepKind::Merge => super::merge::run(&read(params)?, inputs, outputs),
        StepKind::Stats => super::stats::run(&read(params)?, inputs, outputs),
        StepKind::Costs => super::costs::run(&read(params)?, inputs, outputs),
        StepKind::Pairwise => super::pairwise::run(&read(params)?, inputs, outputs),
        StepKind::Report => super::report::run(&read(params)?, inputs, outputs),
        StepKind::Aggregate => super::aggregate::run(&read(params)?, inputs, outputs),
        StepKind::Fetch | StepKind::Infer | StepKind::JudgeInfer | StepKind::External => {
            Err(StepError::Unexpected { blob: kind.as_str().to_owned(), why: "it is no function of blobs".to_owned() })
        }
    }
}
