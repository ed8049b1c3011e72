//! Anthropic's messages.

use serde_json::Value;

use super::body::{Body, quoted};
use super::json::{count_at, joined, text_at};
use super::openai::turns;
use super::reading::{Complaint, Reading, Unread, answer};
use super::wire::PromptCaching;
use crate::request::{Circumstances, Request, Role, Usage};

/// Writes the conversation: system messages stand at the top, the others in their order.
///
/// One system message is a text. Several, or one that is to be kept, are blocks; the mark stands on the last of them, so that
/// all are kept.
pub(super) fn messages(body: &mut Body, request: &Request, caching: PromptCaching) {
    let (system, rest): (Vec<_>, Vec<_>) = request.messages.iter().partition(|message| message.role == Role::System);
    let mark = match caching {
        PromptCaching::Off => "",
        PromptCaching::FiveMinutes => ",\"cache_control\":{\"type\":\"ephemeral\"}",
        PromptCaching::OneHour => ",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}",
    };
    match system.as_slice() {
        [] => {}
        [only] if mark.is_empty() => body.set_text("system", &only.content),
        several => {
            let last = several.len() - 1;
            let blocks: Vec<String> = several
                .iter()
                .enumerate()
                .map(|(n, message)| {
                    let mark = if n == last { mark } else { "" };
                    format!("{{\"type\":\"text\",\"text\":{}{mark}}}", quoted(&message.content))
                })
                .collect();
            body.set("system", format!("[{}]", blocks.join(",")));
        }
    }
    body.set("messages", turns(rest));
}

/// Reads a message.
///
/// The provider's `input_tokens` leaves out what it read from or wrote to its prompt cache; the value's holds all three, so
/// that it is the length of what was asked, however it was bought.
pub(super) fn read(value: &Value) -> Result<Reading, Unread> {
    if let Some(complaint) = Complaint::find(value) {
        return Err(Unread::Complaint(complaint));
    }
    let Some(content) = value.get("content").and_then(Value::as_array) else {
        return Err(Unread::Malformed("the response has no `content`".to_owned()));
    };
    let finish = text_at(value, &["stop_reason"]);
    let text = joined(content, &["text"], "text").unwrap_or_default();
    let usage = value.get("usage").unwrap_or(&Value::Null);
    let written = count_at(usage, &["cache_creation_input_tokens"]);
    let kept = count_at(usage, &["cache_read_input_tokens"]);
    let used = Usage {
        input_tokens: count_at(usage, &["input_tokens"])
            .map(|fresh| fresh + written.unwrap_or_default() + kept.unwrap_or_default()),
        output_tokens: count_at(usage, &["output_tokens"]),
        reasoning_tokens: count_at(usage, &["output_tokens_details", "thinking_tokens"]),
    };
    let calls = content.iter().any(|block| text_at(block, &["type"]).is_some_and(|kind| kind.ends_with("tool_use")));
    let note = (text.is_empty() && calls).then(|| "the model called tools and said nothing".to_owned());
    let reasoning = joined(content, &["thinking"], "thinking");
    Ok(Reading {
        answer: answer(finish, None, text, reasoning, text_at(value, &["model"]), used),
        circumstances: Circumstances {
            request_id: text_at(value, &["id"]).map(str::to_owned),
            cached_tokens: kept,
            cache_write_tokens: written,
            service_tier: text_at(usage, &["service_tier"]).map(str::to_owned),
            note,
            ..Circumstances::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::AnswerStatus;
    use serde_json::json;

    /// Is a response as Anthropic documents it, with thinking and a prompt cache.
    fn documented() -> Value {
        json!({
            "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF", "type": "message", "role": "assistant", "model": "claude-opus-4-7",
            "content": [{"type": "thinking", "thinking": "A greeting.", "signature": "x"},
                        {"type": "redacted_thinking", "data": "y"},
                        {"type": "text", "text": "Hi! "}, {"type": "text", "text": "My name is Claude."}],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 5, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 2000,
                      "output_tokens": 503, "service_tier": "standard"}
        })
    }

    fn changed(path: &str, value: Value) -> Value {
        let mut changed = documented();
        *changed.pointer_mut(path).unwrap() = value;
        changed
    }

    #[test]
    fn a_message_is_read() {
        let Reading { answer, circumstances } = read(&documented()).unwrap();
        assert_eq!((answer.status, &*answer.text), (AnswerStatus::Stop, "Hi! My name is Claude."));
        assert_eq!(answer.reasoning.as_deref(), Some("A greeting."));
        let usage = Usage { input_tokens: Some(2105), output_tokens: Some(503), reasoning_tokens: None };
        assert_eq!(answer.usage, usage);
        assert_eq!((circumstances.cached_tokens, circumstances.cache_write_tokens), (Some(2000), Some(100)));
        assert_eq!(circumstances.service_tier.as_deref(), Some("standard"));
    }

    #[test]
    fn each_end_has_its_status() {
        let status = |reason: &str| read(&changed("/stop_reason", json!(reason))).unwrap().answer.status;
        assert_eq!(status("max_tokens"), AnswerStatus::Length);
        assert_eq!(status("model_context_window_exceeded"), AnswerStatus::Length);
        assert_eq!(status("refusal"), AnswerStatus::Refusal);
        assert_eq!(status("stop_sequence"), AnswerStatus::Stop);
        assert_eq!(read(&changed("/content", json!([]))).unwrap().answer.status, AnswerStatus::Empty);
        let calls = read(&changed("/content", json!([{"type": "tool_use", "id": "t", "input": {}}]))).unwrap();
        assert_eq!(calls.answer.status, AnswerStatus::Empty);
        assert!(calls.circumstances.note.is_some());
    }

    #[test]
    fn what_is_no_answer_is_said_so() {
        let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        assert!(matches!(read(&error), Err(Unread::Complaint(_))));
        for broken in [json!({}), changed("/content", json!("text")), changed("/content", json!(null))] {
            assert!(matches!(read(&broken), Err(Unread::Malformed(_))), "{broken}");
        }
    }
}
