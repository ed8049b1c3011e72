use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::request::{AnswerStatus, FailureCode};

/// Says what became of a draw, once its text has been taken apart.
///
/// The text form is the status' own name, `no_answer`, or `failed:` and the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DrawStatus {
    /// The model completed a response that ended so.
    Answered(AnswerStatus),
    /// The model stopped by itself, but the extraction found no answer in its text.
    NoAnswer,
    /// Nothing was completed.
    Failed(FailureCode),
}

/// Stands before the code of a failure.
const FAILED: &str = "failed:";

impl DrawStatus {
    /// Says whether nothing was completed.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

impl fmt::Display for DrawStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => f.write_str(status.as_str()),
            Self::NoAnswer => f.write_str("no_answer"),
            Self::Failed(code) => write!(f, "{FAILED}{}", code.as_str()),
        }
    }
}

impl serde::Serialize for DrawStatus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Answered(status) => serializer.serialize_str(status.as_str()),
            Self::NoAnswer => serializer.serialize_str("no_answer"),
            Self::Failed(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for DrawStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Statuses;

        impl Visitor<'_> for Statuses {
            type Value = DrawStatus;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the status of a draw")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<DrawStatus, E> {
                if text == "no_answer" {
                    return Ok(DrawStatus::NoAnswer);
                }
                match text.strip_prefix(FAILED) {
                    Some(code) => FailureCode::deserialize(StrDeserializer::new(code)).map(DrawStatus::Failed),
                    None => AnswerStatus::deserialize(StrDeserializer::new(text)).map(DrawStatus::Answered),
                }
            }
        }

        deserializer.deserialize_str(Statuses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_reads_back() {
        let answered = AnswerStatus::ALL.map(DrawStatus::Answered);
        let others = [
            DrawStatus::NoAnswer,
            DrawStatus::Failed(FailureCode::NoRecording),
            DrawStatus::Failed(FailureCode::NotSent),
        ];
        for status in answered.into_iter().chain(others) {
            let text = serde_json::to_string(&status).unwrap();
            assert_eq!(text, format!("\"{status}\""));
            assert_eq!(serde_json::from_str::<DrawStatus>(&text).unwrap(), status);
        }
        for text in ["\"done\"", "\"failed:\"", "\"failed:stop\"", "1"] {
            assert!(serde_json::from_str::<DrawStatus>(text).is_err(), "{text}");
        }
    }
}
