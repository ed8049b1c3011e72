//! Makes the requests of one part under one arm.

use super::dataset::Item;
use super::recipe::Recipe;
use super::recordings::read_recordings;
use super::requests::RequestsWriter;
use super::{InputProblem, Inputs, Outputs, StepError};
use crate::plan::BuildParams;
use crate::request::{Recording, Request, Terms};

/// How many problems are worth showing at once.
const ENOUGH: usize = 20;

/// Reads the input `items` and what the arm is made of, and gives `requests`.
///
/// The arm is `messages`, or `system`, `examples` and a user turn from `user` or the built-in frame with
/// `instructions`; then `prefill`. With [`BuildParams::replay`] the input `recordings` is joined to the items. Errors:
/// [`StepError::Inputs`] at the place in the prompt, example or recording.
pub fn run(params: &BuildParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let recipe = Recipe::read(params.frame, inputs)?;
    let blob = inputs.text("items")?;
    let unexpected = |why: String| StepError::Unexpected { blob: "items".to_owned(), why };
    let items: Vec<Item<'_>> = blob
        .lines()
        .map(Item::read_question)
        .collect::<Result<_, _>>()
        .map_err(|problem| unexpected(problem.message))?;
    let mut recordings = match &params.replay {
        Some(replay) => read_recordings(&replay.mapping, inputs, &items)?.into_iter(),
        None => Vec::new().into_iter(),
    };
    let mut writer = RequestsWriter::new(Request {
        terms: Terms {
            provider: params.provider.clone(),
            model: params.model.clone(),
            revision: params.revision.clone(),
            decoding: params.decoding.clone(),
            extra: params.extra.clone(),
            draw_salt: params.draw_salt.clone(),
        }
        .into(),
        messages: recipe.prefix().to_vec(),
        recording: None,
    })?;
    let mut found: Vec<InputProblem> = Vec::new();
    for item in &items {
        let mut lacking = Vec::new();
        let rest = recipe.rest(item, &mut lacking);
        // One place in a template is shown once, for the first item that lacks the field.
        lacking.retain(|new| !found.iter().any(|old| same_place(old, new)));
        found.append(&mut lacking);
        if found.len() >= ENOUGH {
            break;
        }
        let recording = params.replay.as_ref().map(|replay| Recording {
            dataset: replay.dataset.clone(),
            item: item.id.to_string(),
            arm: replay.arm.clone(),
            answers: recordings.next().unwrap_or_default(),
        });
        writer.push(&item.id, rest, recording)?;
    }
    if !found.is_empty() {
        return Err(StepError::Inputs(found));
    }
    outputs.put("requests", writer.finish())
}

fn same_place(a: &InputProblem, b: &InputProblem) -> bool {
    (&a.file, a.line, a.column) == (&b.file, b.line, b.column)
}
