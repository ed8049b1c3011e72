use super::{InputProblem, Inputs, StepError};
use crate::plan::AnalysisPlan;

/// Reads the input `plan`, where a plan is sealed.
pub(super) fn sealed_plan(inputs: &Inputs<'_>) -> Result<Option<AnalysisPlan>, StepError> {
    let Some(input) = inputs.find("plan") else { return Ok(None) };
    let problem = |message: String| {
        StepError::Inputs(vec![InputProblem {
            file: input.label.clone(),
            line: None,
            column: None,
            source_line: None,
            message,
            remedy: "`exp seal` writes this file; it is not meant to be edited".to_owned(),
        }])
    };
    let plan: AnalysisPlan = serde_json::from_slice(&inputs.read("plan")?)
        .map_err(|error| problem(format!("it is no sealed plan: {error}")))?;
    if plan.version != AnalysisPlan::VERSION {
        return Err(problem(format!("it has version {}; this program reads {}", plan.version, AnalysisPlan::VERSION)));
    }
    Ok(Some(plan))
}
