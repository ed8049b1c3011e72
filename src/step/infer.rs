//! The two halves of infer: which draws are wanted, and what they gave. The asking in between is not a step's business.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use super::StepError;
use super::answers::{AnswerLine, AnswersReader};
use super::json_lines::write_line;
use super::requests::RequestsReader;
use super::{InputProblem, Inputs, Outputs};
use crate::plan::InferParams;
use crate::request::{Answer, DrawAddress, FailureCode, Redraws, Request};

/// Is one draw that is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The item it belongs to.
    pub item: String,
    /// What is asked; the draws of one item share it.
    pub request: Arc<Request>,
    /// Where the draw stands.
    pub address: DrawAddress,
}

/// Is one line of a `redraws` blob: an item whose draws were set aside for new ones.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedrawnItem {
    /// The item's id.
    pub item: String,
    /// How many times.
    pub times: u32,
    /// For which statuses.
    pub status: Vec<String>,
}

/// Is all that an `infer` action wants.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    /// The draws: items in the order of the requests, and the draws of each by number.
    pub wanted: Vec<Wanted>,
    /// The items that have been redrawn; absent where the config names no file of redraws.
    pub redrawn: Option<Vec<RedrawnItem>>,
}

impl Demand {
    /// Writes the outputs of the action, given what became of its draws, and counts those without an answer.
    pub fn collect(
        &self,
        settled: impl Fn(&DrawAddress) -> Option<Result<Answer, FailureCode>>,
        outputs: &mut dyn Outputs,
    ) -> Result<u64, StepError> {
        let draws = self.wanted.iter().map(|wanted| (wanted.item.as_str(), &wanted.address));
        put_outputs(draws, self.redrawn.as_deref(), settled, outputs)
    }
}

/// Writes the outputs of an `infer` action, given its items and draws and what became of these.
pub(super) fn put_outputs<'d>(
    draws: impl Iterator<Item = (&'d str, &'d DrawAddress)>,
    redrawn: Option<&[RedrawnItem]>,
    settled: impl Fn(&DrawAddress) -> Option<Result<Answer, FailureCode>>,
    outputs: &mut dyn Outputs,
) -> Result<u64, StepError> {
    let (answers, failures) = answers_of(draws, settled)?;
    outputs.put("answers", answers)?;
    if let Some(redrawn) = redrawn {
        let mut out = Vec::new();
        for line in redrawn {
            write_line("redraws", &mut out, line)?;
        }
        outputs.put("redraws", out)?;
    }
    Ok(failures)
}

/// Reads the file of redraws among an action's inputs, if it has one.
///
/// Errors: [`StepError::Inputs`] names the line that cannot be used.
pub fn redraws(inputs: &Inputs<'_>) -> Result<Option<Redraws>, StepError> {
    let Some(input) = inputs.find("redraws") else { return Ok(None) };
    let bytes = inputs.read("redraws")?;
    match Redraws::parse(&bytes) {
        Ok(redraws) => Ok(Some(redraws)),
        Err(error) => Err(StepError::Inputs(vec![InputProblem {
            file: input.label.clone(),
            line: Some(error.line as u64),
            column: None,
            source_line: None,
            message: error.why,
            remedy: "mend the line as `exp build --redraw-status` wrote it, or take it out".to_owned(),
        }])),
    }
}

/// Lists the draws that a `requests` blob wants, given which of its requests have been redrawn.
pub fn demand(requests: impl Read, redraws: Option<&Redraws>, params: &InferParams) -> Result<Demand, StepError> {
    let mut wanted = Vec::new();
    let redrawn = each_wanted(requests, redraws, params, |draw| wanted.push(draw))?;
    Ok(Demand { wanted, redrawn })
}

/// Tells of the draws that a `requests` blob wants, one after the other, and returns the items that have been redrawn.
pub fn each_wanted(
    requests: impl Read,
    redraws: Option<&Redraws>,
    params: &InferParams,
    mut each: impl FnMut(Wanted),
) -> Result<Option<Vec<RedrawnItem>>, StepError> {
    let mut redrawn = redraws.map(|_| Vec::new());
    let none = Redraws::default();
    let known = redraws.unwrap_or(&none);
    for line in RequestsReader::new(requests)? {
        let line = line?;
        let request = Arc::new(line.request);
        for number in 0..params.draws {
            each(Wanted {
                item: line.item.clone(),
                request: Arc::clone(&request),
                address: known.address(line.key, params.generation, number),
            });
        }
        if let Some((redraw, redrawn)) = known.get(&line.key).zip(redrawn.as_mut()) {
            redrawn.push(RedrawnItem { item: line.item, times: redraw.times, status: redraw.status.clone() });
        }
    }
    Ok(redrawn)
}

/// Lists the draws, by item and number, that the provider rejected as they stand: asking the same again is in vain.
pub fn rejected(answers: impl Read) -> Result<HashSet<(String, u32)>, StepError> {
    let mut rejected = HashSet::new();
    for line in AnswersReader::new(answers) {
        let line = line?;
        if line.failure == Some(FailureCode::Rejected) {
            rejected.insert((line.item, line.n));
        }
    }
    Ok(rejected)
}

/// Makes the `answers` blob of the draws wanted, and counts those without an answer.
///
/// What `settled` does not know was not sent. The blob holds values and failure codes only: no key, address, time or
/// word of a provider that would differ between equal answers.
pub fn collect(
    wanted: &[Wanted],
    settled: impl Fn(&DrawAddress) -> Option<Result<Answer, FailureCode>>,
) -> Result<(Vec<u8>, u64), StepError> {
    answers_of(wanted.iter().map(|wanted| (wanted.item.as_str(), &wanted.address)), settled)
}

fn answers_of<'d>(
    draws: impl Iterator<Item = (&'d str, &'d DrawAddress)>,
    settled: impl Fn(&DrawAddress) -> Option<Result<Answer, FailureCode>>,
) -> Result<(Vec<u8>, u64), StepError> {
    let mut out = Vec::new();
    let mut failures = 0;
    for (item, address) in draws {
        let (answer, failure) = match settled(address) {
            Some(Ok(answer)) => (Some(answer), None),
            Some(Err(code)) => (None, Some(code)),
            None => (None, Some(FailureCode::NotSent)),
        };
        failures += u64::from(failure.is_some());
        let line = AnswerLine { item: item.to_owned(), n: address.number, answer, failure };
        serde_json::to_writer(&mut out, &line)
            .map_err(|source| StepError::Write { output: "answers".to_owned(), source: source.into() })?;
        out.push(b'\n');
    }
    Ok((out, failures))
}
