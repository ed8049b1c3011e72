//! OpenAI's responses.

use serde_json::Value;

use super::body::Body;
use super::json::{count_at, joined, text_at};
use super::openai::turns;
use super::reading::{Complaint, Reading, Unread, answer};
use crate::request::{Circumstances, Request, Usage};

/// Writes the conversation.
pub(super) fn messages(body: &mut Body, request: &Request) {
    body.set("input", turns(&request.messages));
}

/// Reads a response: the texts of all its messages; reasoning is in items of its own.
pub(super) fn read(value: &Value) -> Result<Reading, Unread> {
    if let Some(complaint) = Complaint::find(value) {
        return Err(Unread::Complaint(complaint));
    }
    let malformed = |why: &str| Err(Unread::Malformed(why.to_owned()));
    let finish = match text_at(value, &["status"]) {
        Some("completed") => Some("completed"),
        Some("incomplete") => text_at(value, &["incomplete_details", "reason"]).or(Some("incomplete")),
        Some(_) => return malformed("the response was not completed"),
        None => return malformed("the response has no `status`"),
    };
    let Some(output) = value.get("output").and_then(Value::as_array) else {
        return malformed("the response has no `output`");
    };
    let parts = |kind: &str, member: &str| -> Vec<Value> {
        let items = output.iter().filter(|item| text_at(item, &["type"]) == Some(kind));
        items.filter_map(|item| item.get(member)?.as_array().cloned()).flatten().collect()
    };
    let said = parts("message", "content");
    let text = joined(&said, &["output_text", "text"], "text").unwrap_or_default();
    let refusal = joined(&said, &["refusal"], "refusal");
    let reasoning = joined(&parts("reasoning", "content"), &["reasoning_text"], "text")
        .or_else(|| joined(&parts("reasoning", "summary"), &["summary_text"], "text"));
    let calls = output.iter().any(|item| text_at(item, &["type"]).is_some_and(|kind| kind.ends_with("_call")));
    let usage = value.get("usage").unwrap_or(&Value::Null);
    let used = Usage {
        input_tokens: count_at(usage, &["input_tokens"]),
        output_tokens: count_at(usage, &["output_tokens"]),
        reasoning_tokens: count_at(usage, &["output_tokens_details", "reasoning_tokens"]),
    };
    let note = (text.is_empty() && calls).then(|| "the model called tools and said nothing".to_owned());
    Ok(Reading {
        answer: answer(finish, refusal.as_deref(), text, reasoning, text_at(value, &["model"]), used),
        circumstances: Circumstances {
            request_id: text_at(value, &["id"]).map(str::to_owned),
            cached_tokens: count_at(usage, &["input_tokens_details", "cached_tokens"]),
            service_tier: text_at(value, &["service_tier"]).map(str::to_owned),
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

    /// Is a response as OpenAI documents it, with a reasoning item.
    fn documented() -> Value {
        json!({
            "id": "resp_67ccd2bed1ec8190", "object": "response", "created_at": 1_741_476_542, "status": "completed",
            "error": null, "incomplete_details": null, "model": "gpt-5-2025-08-07",
            "output": [
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "It is a greeting."}]},
                {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                 "content": [{"type": "output_text", "text": "Hello", "annotations": []},
                             {"type": "output_text", "text": "!", "annotations": []}]}
            ],
            "service_tier": "default", "store": false,
            "usage": {"input_tokens": 36, "input_tokens_details": {"cached_tokens": 7}, "output_tokens": 87,
                      "output_tokens_details": {"reasoning_tokens": 64}, "total_tokens": 123}
        })
    }

    fn changed(path: &str, value: Value) -> Value {
        let mut changed = documented();
        *changed.pointer_mut(path).unwrap() = value;
        changed
    }

    #[test]
    fn a_response_is_read() {
        let Reading { answer, circumstances } = read(&documented()).unwrap();
        assert_eq!((answer.status, &*answer.text), (AnswerStatus::Stop, "Hello!"));
        assert_eq!(answer.reasoning.as_deref(), Some("It is a greeting."));
        let usage = Usage { input_tokens: Some(36), output_tokens: Some(87), reasoning_tokens: Some(64) };
        assert_eq!((answer.usage, circumstances.cached_tokens), (usage, Some(7)));
    }

    #[test]
    fn each_end_has_its_status() {
        let mut cut = changed("/status", json!("incomplete"));
        cut["incomplete_details"] = json!({"reason": "max_output_tokens"});
        assert_eq!(read(&cut).unwrap().answer.status, AnswerStatus::Length);
        cut["incomplete_details"] = json!({"reason": "content_filter"});
        assert_eq!(read(&cut).unwrap().answer.status, AnswerStatus::ContentFilter);
        let refusal = json!([{"type": "refusal", "refusal": "No."}]);
        let refused = read(&changed("/output/1/content", refusal)).unwrap().answer;
        assert_eq!((refused.status, &*refused.text), (AnswerStatus::Refusal, "No."));
        let silent = read(&changed("/output", json!([{"type": "function_call", "name": "f"}]))).unwrap();
        assert_eq!(silent.answer.status, AnswerStatus::Empty);
        assert!(silent.circumstances.note.is_some());
    }

    #[test]
    fn what_is_no_answer_is_said_so() {
        let mut failed = changed("/status", json!("failed"));
        assert!(matches!(read(&failed), Err(Unread::Malformed(_))));
        failed["error"] = json!({"code": "server_error", "message": "m"});
        assert!(matches!(read(&failed), Err(Unread::Complaint(_))));
        for broken in [changed("/status", json!("in_progress")), changed("/output", json!(null)), json!({})] {
            assert!(matches!(read(&broken), Err(Unread::Malformed(_))), "{broken}");
        }
    }
}
