use serde_json::{Value, json};

use super::Bill;

/// Is the protocol of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// OpenAI's chat completions, and all that copy it.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Ollama's own chat.
    Ollama,
}

/// Says how an answer ends, whatever the protocol calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Stop,
    Length,
    ContentFilter,
    Refusal,
    ToolCalls,
    Null,
    ManyChoices,
}

/// Is what an answer is made of.
#[derive(Clone, Debug)]
pub struct Made {
    pub id: String,
    pub model: String,
    pub text: String,
    pub ending: Ending,
    pub usage: Option<Bill>,
}

impl Dialect {
    /// The protocol that a path belongs to.
    pub fn of(path: &str) -> Option<Self> {
        let path = path.split('?').next().unwrap_or(path);
        [
            ("/chat/completions", Self::Chat),
            ("/responses", Self::Responses),
            ("/messages", Self::Messages),
            ("/api/chat", Self::Ollama),
        ]
        .into_iter()
        .find_map(|(end, dialect)| path.ends_with(end).then_some(dialect))
    }

    /// The texts that a body asks with, in order.
    pub fn texts(self, body: &Value) -> Vec<String> {
        let mut texts = Vec::new();
        for alone in ["system", "instructions"] {
            push_texts(&body[alone], &mut texts);
        }
        let messages = if self == Self::Responses { &body["input"] } else { &body["messages"] };
        match messages {
            Value::Array(messages) => messages.iter().for_each(|message| push_texts(&message["content"], &mut texts)),
            other => push_texts(other, &mut texts),
        }
        texts
    }

    /// The body of an answer.
    pub fn answer(self, made: &Made) -> Value {
        match self {
            Self::Chat => chat(made),
            Self::Responses => responses(made),
            Self::Messages => messages(made),
            Self::Ollama => ollama(made),
        }
    }

    /// The body of an error.
    pub fn error(self, kind: &str, message: &str) -> Value {
        match self {
            Self::Chat | Self::Responses => {
                json!({"error": {"message": message, "type": kind, "param": null, "code": kind}})
            }
            Self::Messages => {
                json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_ours"})
            }
            Self::Ollama => json!({"error": message}),
        }
    }

    /// An answer that holds nothing: no choice, no output, no content, no message.
    pub fn nothing(self, made: &Made) -> Value {
        let mut body = self.answer(made);
        match self {
            Self::Chat => body["choices"] = json!([]),
            Self::Responses => body["output"] = Value::Null,
            Self::Messages => body["content"] = Value::Null,
            Self::Ollama => {
                body.as_object_mut().unwrap().remove("message");
            }
        }
        body
    }
}

fn push_texts(content: &Value, texts: &mut Vec<String>) {
    match content {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(parts) => {
            texts.extend(parts.iter().filter_map(|part| part["text"].as_str()).map(str::to_owned));
        }
        _ => {}
    }
}

const TOOL: &str = "look_up";

fn chat(made: &Made) -> Value {
    let text = match made.ending {
        Ending::Null | Ending::Refusal | Ending::ToolCalls => Value::Null,
        _ => Value::from(made.text.as_str()),
    };
    let mut message = json!({"role": "assistant", "content": text, "refusal": null});
    let finish = match made.ending {
        Ending::Length => "length",
        Ending::ContentFilter => "content_filter",
        Ending::ToolCalls => {
            message["tool_calls"] =
                json!([{"id": "call_1", "type": "function", "function": {"name": TOOL, "arguments": "{}"}}]);
            "tool_calls"
        }
        Ending::Refusal => {
            message["refusal"] = json!("I cannot help with that.");
            "stop"
        }
        _ => "stop",
    };
    let mut choices = vec![json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish})];
    if made.ending == Ending::ManyChoices {
        let second = json!({"role": "assistant", "content": "A second choice.", "refusal": null});
        choices.push(json!({"index": 1, "message": second, "logprobs": null, "finish_reason": "stop"}));
    }
    let mut body = json!({
        "id": format!("chatcmpl-{}", made.id), "object": "chat.completion", "created": 1_764_000_000,
        "model": made.model, "choices": choices, "system_fingerprint": "fp_ours", "service_tier": "default",
    });
    if let Some(Bill { input, output }) = made.usage {
        body["usage"] = json!({
            "prompt_tokens": input, "completion_tokens": output, "total_tokens": input.saturating_add(output),
            "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0},
        });
    }
    body
}

fn responses(made: &Made) -> Value {
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let (status, reason) = match made.ending {
        Ending::Length => ("incomplete", json!({"reason": "max_output_tokens"})),
        Ending::ContentFilter => ("incomplete", json!({"reason": "content_filter"})),
        _ => ("completed", Value::Null),
    };
    let content = match made.ending {
        Ending::Null => json!([]),
        Ending::Refusal => json!([{"type": "refusal", "refusal": "I cannot help with that."}]),
        Ending::ManyChoices => json!([part(&made.text), part(" A second part.")]),
        _ => json!([part(&made.text)]),
    };
    let output = if made.ending == Ending::ToolCalls {
        json!([{"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": TOOL, "arguments": "{}", "status": "completed"}])
    } else {
        json!([{"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": content}])
    };
    let mut body = json!({
        "id": format!("resp_{}", made.id), "object": "response", "created_at": 1_764_000_000, "status": status,
        "error": null, "incomplete_details": reason, "model": made.model, "output": output, "store": false,
    });
    if let Some(Bill { input, output }) = made.usage {
        body["usage"] = json!({
            "input_tokens": input, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input.saturating_add(output),
        });
    }
    body
}

fn messages(made: &Made) -> Value {
    let text = json!({"type": "text", "text": made.text, "citations": null});
    let (content, reason) = match made.ending {
        Ending::Stop => (json!([text]), "end_turn"),
        Ending::Length => (json!([text]), "max_tokens"),
        Ending::ContentFilter => (json!([text]), "refusal"),
        Ending::Refusal => (json!([]), "refusal"),
        Ending::Null => (json!([]), "end_turn"),
        Ending::ToolCalls => (json!([{"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": {}}]), "tool_use"),
        Ending::ManyChoices => {
            (json!([text, {"type": "text", "text": " A second part.", "citations": null}]), "end_turn")
        }
    };
    let mut body = json!({
        "id": format!("msg_{}", made.id), "type": "message", "role": "assistant", "model": made.model,
        "content": content, "stop_reason": reason, "stop_sequence": null, "stop_details": null, "container": null,
    });
    if let Some(Bill { input, output }) = made.usage {
        body["usage"] = json!({
            "input_tokens": input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": null,
            "output_tokens": output, "output_tokens_details": null, "server_tool_use": null, "inference_geo": null,
            "service_tier": "standard",
        });
    }
    body
}

fn ollama(made: &Made) -> Value {
    let text = if matches!(made.ending, Ending::Null | Ending::Refusal | Ending::ToolCalls) { "" } else { &made.text };
    let mut message = json!({"role": "assistant", "content": text});
    if made.ending == Ending::ToolCalls {
        message["tool_calls"] = json!([{"function": {"name": TOOL, "arguments": {}}}]);
    }
    let mut body = json!({
        "model": made.model, "created_at": "2026-11-23T00:00:00.000000Z", "message": message, "done": true,
        "done_reason": if made.ending == Ending::Length { "length" } else { "stop" },
        "total_duration": 5_000_000, "load_duration": 1_000_000, "prompt_eval_duration": 1_000_000, "eval_duration": 3_000_000,
    });
    if let Some(Bill { input, output }) = made.usage {
        body["prompt_eval_count"] = json!(input);
        body["eval_count"] = json!(output);
    }
    body
}
