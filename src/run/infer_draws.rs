//! Reading which draws an `infer` action wanted, and what it made of them.

use std::collections::HashMap;

use crate::digest::RequestKey;
use crate::plan::InferParams;
use crate::request::{Answer, DrawAddress, Redraws};

#[derive(serde::Deserialize)]
struct RequestLine {
    item: String,
    key: RequestKey,
}

/// Is one draw that was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WantedDraw {
    /// The item.
    pub(super) item: String,
    /// Where the draw stands.
    pub(super) address: DrawAddress,
}

/// Lists the draws that a `requests` blob wants: its first line is a header, every further line has an item and a key.
///
/// `redraws` is the file of redraws that the action read, if it did.
pub(super) fn wanted(requests: &[u8], redraws: Option<&[u8]>, params: &InferParams) -> Result<Vec<WantedDraw>, String> {
    let redraws = redraws.map(Redraws::parse).transpose().map_err(|error| format!("the redraws: {error}"))?;
    let redraws = redraws.unwrap_or_default();
    let text = str::from_utf8(requests).map_err(|_| "the requests are not UTF-8".to_owned())?;
    let mut draws = Vec::new();
    for line in text.lines().skip(1) {
        let line: RequestLine = serde_json::from_str(line).map_err(|error| format!("the requests: {error}"))?;
        draws.extend((0..params.draws).map(|number| WantedDraw {
            item: line.item.clone(),
            address: redraws.address(line.key, params.generation, number),
        }));
    }
    Ok(draws)
}

#[derive(serde::Deserialize)]
struct AnswerLine {
    item: String,
    n: u32,
    #[serde(default)]
    answer: Option<Answer>,
}

/// Reads an `answers` blob: the answer of each item's draw; `None` where the draw failed.
pub(super) fn answers(blob: &[u8]) -> Result<HashMap<(String, u32), Option<Answer>>, String> {
    let text = str::from_utf8(blob).map_err(|_| "the answers are not UTF-8".to_owned())?;
    let mut found = HashMap::new();
    for line in text.lines() {
        let line: AnswerLine = serde_json::from_str(line).map_err(|error| format!("the answers: {error}"))?;
        found.insert((line.item, line.n), line.answer);
    }
    Ok(found)
}
