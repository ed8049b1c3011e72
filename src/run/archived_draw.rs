use crate::digest::{Digest, RequestKey, hex};
use crate::request::{Answer, Circumstances, DrawAddress};
use crate::store::LoggedDraw;

/// Is a draw as it stands in an archive: one line of `draws.jsonl`.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ArchivedDraw {
    request: RequestKey,
    generation: u32,
    number: u32,
    answer: Answer,
    circumstances: Circumstances,
    /// The body of the response as received, where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
    /// The same in hexadecimal, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw_hex: Option<String>,
}

/// Is a draw in an archive without items: what it is, and the hash of what it says.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WithheldDraw {
    request: RequestKey,
    generation: u32,
    number: u32,
    /// The digest of the answer as an archive with items writes it.
    withheld: Digest,
    circumstances: Circumstances,
}

impl WithheldDraw {
    pub(super) fn new(draw: LoggedDraw) -> Self {
        let DrawAddress { request, generation, number } = draw.address;
        Self { request, generation, number, withheld: digest_of(&draw.answer), circumstances: draw.circumstances }
    }

    /// Returns the address, and the digest of the answer.
    pub(super) fn parts(&self) -> (DrawAddress, Digest) {
        let address = DrawAddress { request: self.request, generation: self.generation, number: self.number };
        (address, self.withheld)
    }
}

/// Returns the digest of an answer's JSON.
pub(super) fn digest_of(answer: &Answer) -> Digest {
    // An answer is text and numbers: writing it cannot fail.
    Digest::of(&serde_json::to_vec(answer).unwrap_or_default())
}

impl From<LoggedDraw> for ArchivedDraw {
    fn from(draw: LoggedDraw) -> Self {
        let LoggedDraw { address, answer, circumstances, raw } = draw;
        let (raw, raw_hex) = match String::from_utf8(raw) {
            Ok(text) => (Some(text).filter(|text| !text.is_empty()), None),
            Err(error) => (None, Some(hex(error.as_bytes()))),
        };
        let DrawAddress { request, generation, number } = address;
        Self { request, generation, number, answer, circumstances, raw, raw_hex }
    }
}

impl ArchivedDraw {
    /// Returns the draw; `None` where its raw body does not read.
    pub(super) fn into_logged(self) -> Option<LoggedDraw> {
        let raw = match self.raw_hex {
            Some(hex) => unhex(&hex)?,
            None => self.raw.unwrap_or_default().into_bytes(),
        };
        let address = DrawAddress { request: self.request, generation: self.generation, number: self.number };
        Some(LoggedDraw { address, answer: self.answer, circumstances: self.circumstances, raw })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |c: u8| char::from(c).to_digit(16).map(|digit| digit as u8);
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::request::{AnswerStatus, Usage};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_draw_reads_back(text in ".*", raw in prop::collection::vec(any::<u8>(), 0..30), number in any::<u32>()) {
            let answer = Answer {
                status: AnswerStatus::Stop, text, reasoning: None, finish_reason: None, served_model: None,
                usage: Usage::default(),
            };
            let address = DrawAddress { request: RequestKey::new(Digest::of(b"r")), generation: 1, number };
            let draw = LoggedDraw { address, answer, circumstances: Circumstances::default(), raw };
            let line = serde_json::to_string(&ArchivedDraw::from(draw.clone())).unwrap();
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<ArchivedDraw>(&line).unwrap().into_logged(), Some(draw));
        }
    }
}
