//! The two halves of infer: which draws are wanted, and what they gave. The asking in between is not a step's business.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use super::StepError;
use super::answers::{AnswerLine, AnswersReader};
use super::requests::RequestsReader;
use crate::plan::InferParams;
use crate::request::{Answer, DrawAddress, FailureCode, Request};

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

/// Lists the draws that a `requests` blob wants: items in its order, and the draws of each by number.
pub fn demand(requests: impl Read, params: &InferParams) -> Result<Vec<Wanted>, StepError> {
    let mut wanted = Vec::new();
    for line in RequestsReader::new(requests)? {
        let line = line?;
        let request = Arc::new(line.request);
        wanted.extend((0..params.draws).map(|number| Wanted {
            item: line.item.clone(),
            request: Arc::clone(&request),
            address: DrawAddress { request: line.key, generation: params.generation, number },
        }));
    }
    Ok(wanted)
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
    let mut out = Vec::new();
    let mut failures = 0;
    for Wanted { item, address, .. } in wanted {
        let (answer, failure) = match settled(address) {
            Some(Ok(answer)) => (Some(answer), None),
            Some(Err(code)) => (None, Some(code)),
            None => (None, Some(FailureCode::NotSent)),
        };
        failures += u64::from(failure.is_some());
        let line = AnswerLine { item: item.clone(), n: address.number, answer, failure };
        serde_json::to_writer(&mut out, &line)
            .map_err(|source| StepError::Write { output: "answers".to_owned(), source: source.into() })?;
        out.push(b'\n');
    }
    Ok((out, failures))
}
