//! OpenAI's chat completions, and what others made of them.

use std::fmt::Write as _;

use serde_json::Value;

use super::body::{Body, quoted};
use super::json::{at, count_at, joined, text_at};
use super::reading::{Complaint, Reading, Unread, answer};
use crate::request::{Circumstances, Message, Request, Usage};

/// Writes the conversation.
pub(super) fn messages(body: &mut Body, request: &Request) {
    body.set("messages", turns(&request.messages));
}

/// Writes turns as `[{"role", "content"}, …]`.
pub(super) fn turns<'m>(messages: impl IntoIterator<Item = &'m Message>) -> String {
    let mut out = String::from("[");
    for message in messages {
        let comma = if out.len() > 1 { "," } else { "" };
        let (role, content) = (message.role.as_str(), quoted(&message.content));
        out.reserve(content.len() + 40);
        // Writing to a string cannot fail.
        let _ = write!(out, "{comma}{{\"role\":\"{role}\",\"content\":{content}}}");
    }
    out.push(']');
    out
}

/// Reads a completion.
///
/// Of several choices the first counts, since none but one is asked for. Null content is an empty answer, whether the model
/// called tools or said nothing.
pub(super) fn read(value: &Value) -> Result<Reading, Unread> {
    if let Some(complaint) = Complaint::find(value) {
        return Err(Unread::Complaint(complaint));
    }
    let malformed = |why: &str| Err(Unread::Malformed(why.to_owned()));
    let Some(choices) = value.get("choices").and_then(Value::as_array) else {
        return malformed("the response has no `choices`");
    };
    let first = choices.iter().find(|choice| choice.get("index").and_then(Value::as_u64) == Some(0));
    let Some(choice) = first.or_else(|| choices.first()) else {
        return malformed("the response has no choice");
    };
    if let Some(complaint) = Complaint::find(choice) {
        return Err(Unread::Complaint(complaint));
    }
    let Some(message) = choice.get("message").filter(|message| message.is_object()) else {
        return malformed("the first choice has no `message`");
    };
    let finish = text_at(choice, &["finish_reason"]);
    if matches!(finish, Some("error" | "abort")) {
        return malformed("the server broke off");
    }
    let mut refusal = text_at(message, &["refusal"]).filter(|text| !text.is_empty()).map(str::to_owned);
    let own = ["reasoning_content", "reasoning"].iter().find_map(|name| text_at(message, &[name]));
    let mut reasoning = own.map(str::to_owned);
    let text = match message.get("content") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            refusal = refusal.or_else(|| joined(parts, &["refusal"], "refusal"));
            reasoning = reasoning.or_else(|| thinking(parts));
            joined(parts, &["text", "output_text"], "text").unwrap_or_default()
        }
        Some(_) => return malformed("`content` is neither a text nor a list of parts"),
    };
    let mut notes = Vec::new();
    if choices.len() > 1 {
        notes.push(format!("{} choices came; the first counts", choices.len()));
    }
    let calls = message.get("tool_calls").and_then(Value::as_array).is_some_and(|calls| !calls.is_empty());
    if text.is_empty() && (calls || message.get("function_call").is_some_and(Value::is_object)) {
        notes.push("the model called tools and said nothing".to_owned());
    }
    let usage = value.get("usage").unwrap_or(&Value::Null);
    let model = text_at(value, &["model"]);
    Ok(Reading {
        answer: answer(finish, refusal.as_deref(), text, reasoning, model, usage_of(usage)),
        circumstances: Circumstances {
            request_id: text_at(value, &["id"]).map(str::to_owned),
            fingerprint: text_at(value, &["system_fingerprint"]).filter(|text| !text.is_empty()).map(str::to_owned),
            cached_tokens: count_at(usage, &["prompt_tokens_details", "cached_tokens"])
                .or_else(|| count_at(usage, &["prompt_cache_hit_tokens"])),
            cache_write_tokens: count_at(usage, &["prompt_tokens_details", "cache_write_tokens"]),
            service_tier: text_at(value, &["service_tier"]).map(str::to_owned),
            upstream: text_at(value, &["provider"]).map(str::to_owned),
            note: (!notes.is_empty()).then(|| notes.join("; ")),
            ..Circumstances::default()
        },
    })
}

/// Reads what was used. Output includes reasoning: a server that counts it apart, as its total shows, is understood so.
fn usage_of(usage: &Value) -> Usage {
    let input_tokens = count_at(usage, &["prompt_tokens"]);
    let mut output_tokens = count_at(usage, &["completion_tokens"]);
    let reasoning_tokens = count_at(usage, &["completion_tokens_details", "reasoning_tokens"])
        .or_else(|| count_at(usage, &["reasoning_tokens"]));
    if let (Some(input), Some(output), Some(reasoning)) = (input_tokens, output_tokens, reasoning_tokens)
        && reasoning > 0
        && count_at(usage, &["total_tokens"]) == Some(input + output + reasoning)
    {
        output_tokens = Some(output + reasoning);
    }
    Usage { input_tokens, output_tokens, reasoning_tokens }
}

/// Joins the parts of content that are reasoning (Mistral).
fn thinking(parts: &[Value]) -> Option<String> {
    let texts: Vec<String> = parts
        .iter()
        .filter(|part| matches!(text_at(part, &["type"]), Some("thinking" | "reasoning")))
        .filter_map(|part| match at(part, &["thinking"]).or_else(|| at(part, &["text"]))? {
            Value::String(text) => Some(text.clone()),
            Value::Array(parts) => joined(parts, &["text"], "text"),
            _ => None,
        })
        .collect();
    (!texts.is_empty()).then(|| texts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::AnswerStatus;
    use serde_json::json;

    /// Is a response as OpenAI documents it.
    fn documented() -> Value {
        json!({
            "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion", "created": 1_741_569_952,
            "model": "gpt-4.1-2025-04-14",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!", "refusal": null, "annotations": []},
                         "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
                      "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
                      "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0}},
            "service_tier": "default", "system_fingerprint": "fp_1"
        })
    }

    fn changed(path: &str, value: Value) -> Value {
        let mut changed = documented();
        *changed.pointer_mut(path).unwrap() = value;
        changed
    }

    #[test]
    fn a_completion_is_read() {
        let Reading { answer, circumstances } = read(&documented()).unwrap();
        assert_eq!((answer.status, &*answer.text), (AnswerStatus::Stop, "Hello!"));
        assert_eq!(answer.served_model.as_deref(), Some("gpt-4.1-2025-04-14"));
        let usage = Usage { input_tokens: Some(19), output_tokens: Some(10), reasoning_tokens: Some(3) };
        assert_eq!((answer.finish_reason.as_deref(), answer.usage), (Some("stop"), usage));
        let expected = Circumstances {
            request_id: Some("chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT".into()),
            fingerprint: Some("fp_1".into()),
            cached_tokens: Some(4),
            service_tier: Some("default".into()),
            ..Circumstances::default()
        };
        assert_eq!(circumstances, expected);
    }

    #[test]
    fn each_end_has_its_status() {
        let status = |path, value| read(&changed(path, value)).unwrap().answer.status;
        assert_eq!(status("/choices/0/finish_reason", json!("length")), AnswerStatus::Length);
        assert_eq!(status("/choices/0/finish_reason", json!("content_filter")), AnswerStatus::ContentFilter);
        assert_eq!(status("/choices/0/finish_reason", json!(null)), AnswerStatus::Stop);
        assert_eq!(status("/choices/0/message/content", json!("")), AnswerStatus::Empty);
        assert_eq!(status("/choices/0/message/content", json!(null)), AnswerStatus::Empty);
        assert_eq!(status("/choices/0/message/refusal", json!("I cannot.")), AnswerStatus::Refusal);
    }

    #[test]
    fn a_refusal_alone_is_the_text() {
        let message = json!({"role": "assistant", "content": null, "refusal": "I cannot."});
        let answer = read(&changed("/choices/0/message", message)).unwrap().answer;
        assert_eq!((answer.status, &*answer.text), (AnswerStatus::Refusal, "I cannot."));
    }

    #[test]
    fn tool_calls_alone_are_an_empty_answer() {
        let message = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function"}]});
        let reading = read(&changed("/choices/0/message", message)).unwrap();
        assert_eq!(reading.answer.status, AnswerStatus::Empty);
        assert_eq!(reading.circumstances.note.as_deref(), Some("the model called tools and said nothing"));
    }

    #[test]
    fn parts_and_reasoning_are_kept_apart() {
        let parts = json!([
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}
        ]);
        let answer = read(&changed("/choices/0/message/content", parts)).unwrap().answer;
        assert_eq!((&*answer.text, answer.reasoning.as_deref()), ("ab", Some("hm")));
        for name in ["reasoning_content", "reasoning"] {
            let message = json!({"content": "a", name: "hm"});
            let answer = read(&changed("/choices/0/message", message)).unwrap().answer;
            assert_eq!((&*answer.text, answer.reasoning.as_deref()), ("a", Some("hm")));
        }
    }

    #[test]
    fn usage_that_cannot_be_is_absent() {
        let usage = |usage| read(&changed("/usage", usage)).unwrap().answer.usage;
        assert_eq!(usage(json!(null)), Usage::default());
        assert_eq!(usage(json!({"prompt_tokens": -5, "completion_tokens": 1e20})), Usage::default());
        let apart = json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 17,
                           "completion_tokens_details": {"reasoning_tokens": 10}});
        assert_eq!(usage(apart).output_tokens, Some(12));
    }

    #[test]
    fn the_first_of_several_choices_counts() {
        let choices = json!([{"index": 1, "message": {"content": "b"}}, {"index": 0, "message": {"content": "a"}}]);
        let reading = read(&changed("/choices", choices)).unwrap();
        assert_eq!(reading.answer.text, "a");
        assert_eq!(reading.circumstances.note.as_deref(), Some("2 choices came; the first counts"));
    }

    #[test]
    fn what_is_no_answer_is_said_so() {
        for broken in [
            changed("/choices", json!([])),
            changed("/choices", json!(null)),
            changed("/choices/0", json!({"index": 0})),
            changed("/choices/0/message/content", json!(7)),
            changed("/choices/0/finish_reason", json!("error")),
            json!([]),
            json!("text"),
        ] {
            assert!(matches!(read(&broken), Err(Unread::Malformed(_))), "{broken}");
        }
        let error = json!({"error": {"message": "Provider returned error", "code": 502}});
        let Err(Unread::Complaint(complaint)) = read(&error) else { panic!("no complaint") };
        assert_eq!(complaint.code.as_deref(), Some("502"));
    }
}
