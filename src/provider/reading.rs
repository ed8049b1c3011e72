use serde_json::Value;

use super::json;
use crate::request::{Answer, AnswerStatus, Circumstances, Usage};

/// Is what the body of a successful response says: an answer, and what else is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub answer: Answer,
    pub circumstances: Circumstances,
}

/// Says why the body of a successful response holds no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is the report of an error after all.
    Complaint(Complaint),
    /// It is not what it should be; one sentence.
    Malformed(String),
}

/// Is an error as a provider reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    /// The provider's code, or, where that is a number, its text.
    pub code: Option<String>,
    /// The provider's word for the kind of error.
    pub kind: Option<String>,
    /// What it says to people.
    pub message: String,
}

impl Complaint {
    /// Finds the report of an error in any of the shapes that servers give it.
    pub fn find(value: &Value) -> Option<Self> {
        // Google's servers wrap it in a list.
        let value = value.as_array().and_then(|items| items.first()).unwrap_or(value);
        let text = |value: &Value| match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let of = |value: &Value, name: &str| value.get(name).and_then(text);
        match value.get("error") {
            Some(Value::String(message)) if !message.is_empty() => {
                return Some(Self { code: of(value, "code"), kind: None, message: message.clone() });
            }
            Some(error @ Value::Object(members)) if !members.is_empty() => {
                let inner = json::text_at(error, &["innererror", "code"]).map(str::to_owned);
                let code = of(error, "code").or_else(|| of(error, "status"));
                // Azure says `content_filter` outside and the reason inside; of the two the known word counts.
                let code = if code.is_some() { code } else { inner };
                return Some(Self { code, kind: of(error, "type"), message: of(error, "message").unwrap_or_default() });
            }
            _ => {}
        }
        if value.get("object").and_then(Value::as_str) == Some("error") {
            let message = of(value, "message").unwrap_or_default();
            return Some(Self { code: of(value, "code"), kind: of(value, "type"), message });
        }
        let detail = value.get("detail")?;
        Some(Self { message: text(detail).unwrap_or_else(|| detail.to_string()), ..Self::default() })
    }

    /// Says whether a word stands in its code or its kind.
    pub fn is(&self, words: &[&str]) -> bool {
        [&self.code, &self.kind].into_iter().flatten().any(|known| words.contains(&known.as_str()))
    }

    /// Says whether one of these stands in what it says, in any case.
    pub fn says(&self, phrases: &[&str]) -> bool {
        let message = self.message.to_ascii_lowercase();
        phrases.iter().any(|phrase| message.contains(phrase))
    }
}

/// Makes an answer's status from how it ended: a filter and a refusal count before a limit, and a limit before emptiness.
pub(super) fn status(finish: Option<&str>, is_refusal: bool, text: &str) -> AnswerStatus {
    match finish {
        Some("content_filter" | "content_filtered" | "safety" | "SAFETY") => AnswerStatus::ContentFilter,
        _ if is_refusal => AnswerStatus::Refusal,
        Some("refusal") => AnswerStatus::Refusal,
        Some("length" | "max_tokens" | "max_output_tokens" | "model_length" | "model_context_window_exceeded") => {
            AnswerStatus::Length
        }
        _ if text.is_empty() => AnswerStatus::Empty,
        _ => AnswerStatus::Stop,
    }
}

/// Takes an answer together.
pub(super) fn answer(
    finish: Option<&str>,
    refusal: Option<&str>,
    text: String,
    reasoning: Option<String>,
    model: Option<&str>,
    usage: Usage,
) -> Answer {
    let status = status(finish, refusal.is_some(), &text);
    // Where the model's words are a refusal and nothing else, they are the text.
    let text = if text.is_empty() { refusal.unwrap_or_default().to_owned() } else { text };
    let non_empty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Answer {
        status,
        text,
        reasoning: reasoning.filter(|reasoning| !reasoning.is_empty()),
        finish_reason: finish.and_then(non_empty),
        served_model: model.and_then(non_empty),
        usage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_are_found_in_every_shape() {
        let cases = [
            (json!({"error": {"message": "m", "type": "t", "param": null, "code": "c"}}), (Some("c"), Some("t"), "m")),
            (
                json!({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}),
                (None, Some("overloaded_error"), "m"),
            ),
            (json!([{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}]), (Some("400"), None, "m")),
            (json!({"error": "model 'x' not found"}), (None, None, "model 'x' not found")),
            (
                json!({"object": "error", "message": "m", "type": "NotFoundError", "code": 404}),
                (Some("404"), Some("NotFoundError"), "m"),
            ),
            (json!({"detail": "Not Found"}), (None, None, "Not Found")),
            (json!({"detail": [{"msg": "x"}]}), (None, None, r#"[{"msg":"x"}]"#)),
        ];
        for (value, (code, kind, message)) in cases {
            let found = Complaint::find(&value).unwrap();
            assert_eq!((found.code.as_deref(), found.kind.as_deref(), &*found.message), (code, kind, message));
        }
        for none in [json!({"error": null, "id": 1}), json!([]), json!("x"), json!({"message": {"content": "x"}})] {
            assert_eq!(Complaint::find(&none), None, "{none}");
        }
    }

    #[test]
    fn the_graver_end_counts() {
        assert_eq!(status(Some("content_filter"), true, ""), AnswerStatus::ContentFilter);
        assert_eq!(status(Some("length"), true, "x"), AnswerStatus::Refusal);
        assert_eq!(status(Some("length"), false, ""), AnswerStatus::Length);
        assert_eq!(status(Some("stop"), false, ""), AnswerStatus::Empty);
        assert_eq!(status(None, false, " "), AnswerStatus::Stop);
    }
}
