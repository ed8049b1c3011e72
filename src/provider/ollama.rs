//! Ollama's own chat.

use serde_json::Value;

use super::body::Body;
use super::json::{count_at, text_at};
use super::openai::turns;
use super::reading::{Complaint, Reading, Unread, answer};
use crate::request::{Circumstances, Request, Usage};

/// Writes the conversation.
pub(super) fn messages(body: &mut Body, request: &Request) {
    body.set("messages", turns(&request.messages));
    body.set("stream", "false");
}

/// Reads a chat response.
pub(super) fn read(value: &Value) -> Result<Reading, Unread> {
    if let Some(complaint) = Complaint::find(value) {
        return Err(Unread::Complaint(complaint));
    }
    let malformed = |why: &str| Err(Unread::Malformed(why.to_owned()));
    let Some(message) = value.get("message").filter(|message| message.is_object()) else {
        return malformed("the response has no `message`");
    };
    if value.get("done").and_then(Value::as_bool) != Some(true) {
        return malformed("the response is not the last of its stream");
    }
    let text = match message.get("content") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return malformed("`content` is no text"),
    };
    let used = Usage {
        input_tokens: count_at(value, &["prompt_eval_count"]),
        output_tokens: count_at(value, &["eval_count"]),
        reasoning_tokens: None,
    };
    let calls = message.get("tool_calls").and_then(Value::as_array).is_some_and(|calls| !calls.is_empty());
    let note = (text.is_empty() && calls).then(|| "the model called tools and said nothing".to_owned());
    let finish = text_at(value, &["done_reason"]);
    let reasoning = text_at(message, &["thinking"]).map(str::to_owned);
    Ok(Reading {
        answer: answer(finish, None, text, reasoning, text_at(value, &["model"]), used),
        circumstances: Circumstances { note, ..Circumstances::default() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::AnswerStatus;
    use serde_json::json;

    /// Is a response as Ollama documents it.
    fn documented() -> Value {
        json!({
            "model": "llama3.2", "created_at": "2023-12-12T14:13:43.416799Z",
            "message": {"role": "assistant", "content": "Hello!", "thinking": "A greeting."},
            "done": true, "done_reason": "stop", "total_duration": 5_191_566_416_u64, "load_duration": 2_154_458,
            "prompt_eval_count": 26, "prompt_eval_duration": 383_809_000, "eval_count": 298, "eval_duration": 4_799_921_000_u64
        })
    }

    #[test]
    fn a_chat_response_is_read() {
        let Reading { answer, circumstances } = read(&documented()).unwrap();
        assert_eq!((answer.status, &*answer.text), (AnswerStatus::Stop, "Hello!"));
        assert_eq!(answer.reasoning.as_deref(), Some("A greeting."));
        assert_eq!(answer.served_model.as_deref(), Some("llama3.2"));
        assert_eq!(answer.usage, Usage { input_tokens: Some(26), output_tokens: Some(298), reasoning_tokens: None });
        assert_eq!(circumstances, Circumstances::default());
        let mut cut = documented();
        cut["done_reason"] = json!("length");
        assert_eq!(read(&cut).unwrap().answer.status, AnswerStatus::Length);
        cut["message"] = json!({"role": "assistant", "content": ""});
        cut["done_reason"] = json!("load");
        assert_eq!(read(&cut).unwrap().answer.status, AnswerStatus::Empty);
    }

    #[test]
    fn what_is_no_answer_is_said_so() {
        let mut streaming = documented();
        streaming["done"] = json!(false);
        for broken in [streaming, json!({"done": true}), json!({"done": true, "message": {"content": [1]}})] {
            assert!(matches!(read(&broken), Err(Unread::Malformed(_))), "{broken}");
        }
        assert!(matches!(read(&json!({"error": "out of memory"})), Err(Unread::Complaint(_))));
    }
}
