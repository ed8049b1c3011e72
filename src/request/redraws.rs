use std::collections::BTreeMap;

use super::DrawAddress;
use crate::digest::RequestKey;

/// Is one line of a file of redraws: a request whose recorded draws are set aside for new ones.
///
/// Only `request` and `times` decide which draws are used; `status` is counted in reports; the rest is for people.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redraw {
    /// The request.
    pub request: RequestKey,
    /// How many times it has been redrawn, this time included; at least 1.
    pub times: u32,
    /// The statuses for which its item was redrawn, as in `predictions.csv`.
    pub status: Vec<String>,
    /// The model, the decoding and the dataset, as in labels of actions.
    #[serde(default)]
    pub scope: String,
    /// The arm.
    #[serde(default)]
    pub arm: String,
    /// The item's id.
    #[serde(default)]
    pub item: String,
}

/// Says which requests have been redrawn, and how often: what `--redraw-status` has written down.
///
/// Of several lines about a request the one with the most `times` holds, so that a line that is there twice (a merge of
/// two branches) changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redraws(BTreeMap<RequestKey, Redraw>);

/// Says which line of a file of redraws cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct RedrawsError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl Redraws {
    /// Reads JSON lines; blank lines are passed over.
    pub fn parse(bytes: &[u8]) -> Result<Self, RedrawsError> {
        let mut redraws = Self::default();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let fail = |why: String| RedrawsError { line: at + 1, why };
            let redraw: Redraw = serde_json::from_slice(line).map_err(|error| fail(error.to_string()))?;
            if redraw.times == 0 {
                return Err(fail("`times` is at least 1".to_owned()));
            }
            redraws.add(redraw);
        }
        Ok(redraws)
    }

    /// Adds a line; says whether it changes which draws are used.
    pub fn add(&mut self, redraw: Redraw) -> bool {
        let changes = redraw.times > self.times(&redraw.request);
        if changes {
            self.0.insert(redraw.request, redraw);
        }
        changes
    }

    /// Finds what is said of a request.
    pub fn get(&self, request: &RequestKey) -> Option<&Redraw> {
        self.0.get(request)
    }

    /// Returns how often a request has been redrawn.
    pub fn times(&self, request: &RequestKey) -> u32 {
        self.get(request).map_or(0, |redraw| redraw.times)
    }

    /// Returns where a draw stands: each redraw is one generation after that of the request's side.
    pub fn address(&self, request: RequestKey, generation: u32, number: u32) -> DrawAddress {
        DrawAddress { request, generation: generation.saturating_add(self.times(&request)), number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn key(text: &str) -> RequestKey {
        RequestKey::new(Digest::of(text.as_bytes()))
    }

    fn redraw(request: &str, times: u32) -> Redraw {
        let (scope, arm, item) = (String::new(), String::new(), String::new());
        Redraw { request: key(request), times, status: vec!["refusal".to_owned()], scope, arm, item }
    }

    #[test]
    fn the_most_times_hold_whatever_the_order_and_the_doubles() {
        let lines = [redraw("a", 1), redraw("b", 1), redraw("a", 2), redraw("a", 1)];
        let mut text: Vec<String> = lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
        text.insert(2, "  ".to_owned());
        let read = Redraws::parse(text.join("\r\n").as_bytes()).unwrap();
        text.reverse();
        assert_eq!(Redraws::parse(text.join("\n").as_bytes()).unwrap(), read);
        assert_eq!([read.times(&key("a")), read.times(&key("b")), read.times(&key("c"))], [2, 1, 0]);
        assert_eq!(read.address(key("a"), 5, 3), DrawAddress { request: key("a"), generation: 7, number: 3 });
        assert_eq!(read.address(key("c"), 5, 0).generation, 5);
    }

    #[test]
    fn a_line_that_cannot_be_used_is_named() {
        let good = serde_json::to_string(&redraw("a", 1)).unwrap();
        for bad in ["{}", "x", &good.replace("\"times\":1", "\"times\":0"), &good.replace("times", "time")] {
            let error = Redraws::parse(format!("{good}\n\n{bad}\n").as_bytes()).unwrap_err();
            assert_eq!(error.line, 3, "{bad}");
        }
    }
}
