//! One line of an output file, in the shapes that engines, batch APIs and the predecessor give it.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// Is what a line says of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    /// The request's name.
    pub custom_id: String,
    /// The body of the request, where the engine gives it back.
    pub asked: Option<serde_json::Value>,
    /// What came of it.
    pub end: Delivered,
}

/// Is what came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// A response.
    Response {
        /// The HTTP status that is stated; 200 where none is.
        status: u16,
        /// The provider's id of the request, if it is stated.
        request_id: Option<String>,
        /// The response's body, as it stands in the line.
        body: Vec<u8>,
    },
    /// An error; one sentence.
    Error(String),
}

#[derive(serde::Deserialize)]
struct Line<'a> {
    custom_id: String,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    request: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Response<'a> {
    status_code: Option<u16>,
    request_id: Option<String>,
    id: Option<String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// Holds those members of a body that show that a response is one.
#[derive(serde::Deserialize)]
struct Bare {
    choices: Option<IgnoredAny>,
    content: Option<IgnoredAny>,
    output: Option<IgnoredAny>,
    message: Option<IgnoredAny>,
}

#[derive(serde::Deserialize)]
struct BatchResult<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Holds the body of a request that is given back with its line.
#[derive(serde::Deserialize)]
struct Asked {
    body: Option<serde_json::Value>,
}

/// Reads one line; the error says in words why it cannot be read.
///
/// Known are OpenAI's batch output (`response.status_code`, `response.body`, `error`), which vLLM and others write too; the
/// body directly under `response` (Fireworks, the predecessor); usage beside the body (the predecessor); and Anthropic's
/// `result`.
pub(super) fn read(line: &str) -> Result<Delivery, serde_json::Error> {
    let Line { custom_id, response, error, result, request, body } = serde_json::from_str(line)?;
    let asked = match (request, body) {
        (Some(request), _) => serde_json::from_str::<Asked>(request.get()).ok().and_then(|asked| asked.body),
        (None, Some(body)) if response.is_some() => serde_json::from_str(body.get()).ok(),
        _ => None,
    };
    let end = match (result, response) {
        (Some(result), _) => of_result(result)?,
        (None, Some(response)) => of_response(response, error)?,
        (None, None) => Delivered::Error(said(error)),
    };
    Ok(Delivery { custom_id, asked, end })
}

fn said(error: Option<&RawValue>) -> String {
    let Some(error) = error else { return "there is neither a response nor an error".to_owned() };
    let value: serde_json::Value = serde_json::from_str(error.get()).unwrap_or_default();
    let message = value.get("message").or_else(|| value.pointer("/error/message")).unwrap_or(&value);
    let text = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
    text.chars().take(200).collect()
}

fn of_result(result: &RawValue) -> Result<Delivered, serde_json::Error> {
    let BatchResult { kind, message, error } = serde_json::from_str(result.get())?;
    Ok(match message {
        Some(message) if kind == "succeeded" => {
            Delivered::Response { status: 200, request_id: None, body: message.get().as_bytes().to_vec() }
        }
        _ if error.is_some() => Delivered::Error(format!("{kind}: {}", said(error))),
        _ => Delivered::Error(kind),
    })
}

fn of_response(response: &RawValue, error: Option<&RawValue>) -> Result<Delivered, serde_json::Error> {
    let Response { status_code, request_id, id, body, usage } = serde_json::from_str(response.get())?;
    let status = status_code.unwrap_or(200);
    let bare = || {
        let bare: Bare = serde_json::from_str(response.get()).ok()?;
        let is_body =
            bare.choices.is_some() || bare.content.is_some() || bare.output.is_some() || bare.message.is_some();
        is_body.then(|| response.get().as_bytes().to_vec())
    };
    let body = match body {
        Some(body) => Some(with_usage(body, usage)),
        None => bare(),
    };
    Ok(match body {
        Some(body) if !is_empty_object(&body) || error.is_none() => {
            Delivered::Response { status, request_id: request_id.or(id), body }
        }
        _ => Delivered::Error(said(error)),
    })
}

/// Says whether JSON is an object without members, however it is spaced.
fn is_empty_object(json: &[u8]) -> bool {
    json.strip_suffix(b"}").is_some_and(|open| open.trim_ascii_end() == b"{")
}

/// Puts a usage that stands beside the body into it, where it has none.
fn with_usage(body: &RawValue, usage: Option<&RawValue>) -> Vec<u8> {
    #[derive(serde::Deserialize)]
    struct Known {
        usage: Option<IgnoredAny>,
    }
    let text = body.get();
    let has_usage = serde_json::from_str::<Known>(text).is_ok_and(|known| known.usage.is_some());
    match (usage, text.strip_suffix('}')) {
        (Some(usage), Some(open)) if !has_usage && !is_empty_object(text.as_bytes()) => {
            format!("{open},\"usage\":{}}}", usage.get()).into_bytes()
        }
        _ => text.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn end(value: &serde_json::Value) -> Delivered {
        read(&value.to_string()).unwrap().end
    }

    fn body(value: &serde_json::Value) -> (u16, serde_json::Value) {
        match end(value) {
            Delivered::Response { status, body, .. } => (status, serde_json::from_slice(&body).unwrap()),
            Delivered::Error(why) => panic!("{why}"),
        }
    }

    #[test]
    fn every_shape_gives_its_body() {
        let answer = json!({"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": 1}});
        let shapes = [
            json!({"id": "b", "custom_id": "x", "response": {"status_code": 200, "request_id": "r", "body": answer}, "error": null}),
            json!({"custom_id": "x", "response": {"body": answer}}),
            json!({"custom_id": "x", "response": answer}),
            json!({"custom_id": "x", "response": {"body": {"choices": answer["choices"]}, "usage": answer["usage"], "id": "r"}}),
            json!({"custom_id": "x", "result": {"type": "succeeded", "message": answer}}),
        ];
        for shape in shapes {
            assert_eq!(body(&shape), (200, answer.clone()), "{shape}");
        }
        let refused = json!({"custom_id": "x", "response": {"status_code": 400, "body": {"error": {"message": "m"}}}, "error": null});
        assert_eq!(body(&refused).0, 400);
    }

    #[test]
    fn errors_say_why() {
        let cases = [
            (json!({"custom_id": "x", "response": null, "error": {"code": "c", "message": "too long"}}), "too long"),
            (json!({"custom_id": "x", "error": "gone"}), "gone"),
            (json!({"custom_id": "x"}), "there is neither a response nor an error"),
            (json!({"custom_id": "x", "result": {"type": "expired"}}), "expired"),
            (
                json!({"custom_id": "x", "result": {"type": "errored", "error": {"error": {"message": "m"}}}}),
                "errored: m",
            ),
            (json!({"custom_id": "x", "response": {"status_code": 500}, "error": {"message": "died"}}), "died"),
        ];
        for (line, why) in cases {
            assert_eq!(end(&line), Delivered::Error(why.to_owned()), "{line}");
        }
        for broken in ["", "{", "[]", r#"{"custom_id": 7}"#, r#"{"response": {}}"#, r#"{"custom_id":"x","response":7}"#]
        {
            assert!(read(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_request_that_is_given_back_is_seen() {
        let asked = json!({"model": "m"});
        for line in [
            json!({"custom_id": "x", "request": {"body": asked}, "response": {"body": {}}}),
            json!({"custom_id": "x", "body": asked, "response": {"body": {}}}),
        ] {
            assert_eq!(read(&line.to_string()).unwrap().asked, Some(asked.clone()));
        }
    }

    #[test]
    fn unpaired_surrogates_pass() {
        let line = r#"{"custom_id":"x","response":{"body":{"choices":[{"message":{"content":"\ud800"}}]}}}"#;
        assert!(matches!(read(line).unwrap().end, Delivered::Response { status: 200, .. }));
    }

    #[test]
    fn an_empty_body_is_empty_however_it_is_spaced() {
        for empty in ["{}", "{ }", "{\t }"] {
            let line = format!(r#"{{"custom_id":"x","response":{{"body":{empty},"usage":{{"input":1}}}}}}"#);
            let Delivered::Response { body, .. } = read(&line).unwrap().end else { panic!("{line}") };
            assert_eq!(body, empty.as_bytes());
            let failed = format!(r#"{{"custom_id":"x","response":{{"body":{empty}}},"error":{{"message":"late"}}}}"#);
            assert_eq!(read(&failed).unwrap().end, Delivered::Error("late".to_owned()));
        }
    }

    /// Whatever a line says, the body of a response that it brings is JSON, as it is in the line.
    #[test]
    fn fuzzed() {
        crate::mutations::fuzz("delivery", 1, |bytes| {
            if let Ok(Delivery { end: Delivered::Response { body, .. }, .. }) = read(&String::from_utf8_lossy(bytes)) {
                let text = String::from_utf8(body).unwrap();
                serde_json::from_str::<&RawValue>(&text).unwrap();
            }
        });
    }
}
