//! Logs of other tools, read for the answers in them: Inspect's logs (`.eval` and JSON), lm-eval's `samples_*.jsonl`.

use serde_json::Value;

use super::eval_file::read_eval;

/// Is one answer that somebody else paid for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ForeignAnswer {
    /// The item's id, as the log has it.
    pub item: String,
    /// What the model said.
    pub text: String,
    /// Tokens read.
    pub input_tokens: Option<u64>,
    /// Tokens written.
    pub output_tokens: Option<u64>,
}

/// Is what a log of another tool holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignLog {
    /// Which tool wrote it.
    pub tool: &'static str,
    /// The model, where the log says it.
    pub model: Option<String>,
    /// The answers: the items in the order of the log, the draws of each by number.
    pub answers: Vec<ForeignAnswer>,
    /// Samples without an answer: errors, or choices by likelihood, where nothing was generated.
    pub without: u64,
}

/// Reads a log. `None`: it is no log that is known here. The error says in words what is wrong with one that is.
pub fn read_foreign(bytes: &[u8]) -> Option<Result<ForeignLog, String>> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Some(eval(bytes));
    }
    let first = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty())?;
    if let Ok(line) = serde_json::from_slice::<Value>(first)
        && line.get("doc_id").is_some()
        && line.get("resps").is_some()
    {
        return Some(lm_eval(bytes));
    }
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let whole: Value = serde_json::from_slice(bytes).ok()?;
    let samples = whole.get("samples")?.as_array()?;
    whole.get("eval")?;
    Some(Ok(inspect(&whole, samples.iter().map(Epoch::of).collect())))
}

/// Reads Inspect's `.eval`.
fn eval(bytes: &[u8]) -> Result<ForeignLog, String> {
    let mut epochs = Vec::new();
    let header = read_eval(bytes, |sample| epochs.push(Epoch::of(&sample)))?;
    Ok(inspect(&header, epochs))
}

/// Is what is wanted of one sample: an item's answer in one epoch; none where there is none.
struct Epoch {
    number: u64,
    answer: Option<ForeignAnswer>,
}

impl Epoch {
    fn of(sample: &Value) -> Self {
        let output = &sample["output"];
        let said = output.pointer("/choices/0/message/content").and_then(text_of);
        let said = said.or_else(|| output["completion"].as_str().map(str::to_owned));
        // A long text may stand among the sample's attachments, once.
        let said = said.map(|text| match text.strip_prefix("attachment://") {
            Some(name) => sample["attachments"][name].as_str().map_or_else(|| text.clone(), str::to_owned),
            None => text,
        });
        let is_error = sample.get("error").is_some_and(|error| !error.is_null());
        let tokens = |name: &str| output["usage"][name].as_u64();
        let answer = id_of(&sample["id"]).zip(said).filter(|_| !is_error).map(|(item, text)| ForeignAnswer {
            item,
            text,
            input_tokens: tokens("input_tokens"),
            output_tokens: tokens("output_tokens"),
        });
        Self { number: sample["epoch"].as_u64().unwrap_or(1), answer }
    }
}

fn inspect(header: &Value, mut epochs: Vec<Epoch>) -> ForeignLog {
    // The draws of an item are its epochs.
    epochs.sort_by_key(|epoch| epoch.number);
    let model = header.pointer("/eval/model").and_then(Value::as_str).map(str::to_owned);
    let without = epochs.iter().filter(|epoch| epoch.answer.is_none()).count() as u64;
    let answers = epochs.into_iter().filter_map(|epoch| epoch.answer).collect();
    ForeignLog { tool: "Inspect", model, answers, without }
}

fn lm_eval(bytes: &[u8]) -> Result<ForeignLog, String> {
    let mut log = ForeignLog { tool: "lm-eval", model: None, answers: Vec::new(), without: 0 };
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line: Value = serde_json::from_slice(line).map_err(|error| format!("line {}: {error}", at + 1))?;
        let item = id_of(&line["doc"]["id"]).or_else(|| id_of(&line["doc_id"]));
        let repeats = line["resps"].as_array().and_then(|resps| resps.first()).and_then(Value::as_array);
        let texts: Option<Vec<&str>> =
            repeats.map(|repeats| repeats.iter().map(Value::as_str).collect::<Option<_>>()).unwrap_or_default();
        match (item, texts) {
            (Some(item), Some(texts)) if !texts.is_empty() => {
                log.answers.extend(texts.into_iter().map(|text| ForeignAnswer {
                    item: item.clone(),
                    text: text.to_owned(),
                    input_tokens: None,
                    output_tokens: None,
                }));
            }
            _ => log.without += 1,
        }
    }
    Ok(log)
}

/// Reads an id: a text that is not empty, or a number.
fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Reads the content of a message: a text, or the texts among its parts; reasoning is none of it.
fn text_of(content: &Value) -> Option<String> {
    if let Some(text) = content.as_str() {
        return Some(text.to_owned());
    }
    let parts = content.as_array()?.iter();
    Some(parts.filter(|part| part["type"] == "text").filter_map(|part| part["text"].as_str()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(item: &str, text: &str) -> ForeignAnswer {
        ForeignAnswer { item: item.into(), text: text.into(), input_tokens: None, output_tokens: None }
    }

    #[test]
    fn lm_eval_samples_are_read() {
        let lines = [
            json!({"doc_id": 0, "doc": {"id": "a"}, "resps": [["x"]], "filtered_resps": ["x"]}),
            json!({"doc_id": 1, "doc": {"id": ""}, "resps": [["y", "z"]]}),
            json!({"doc_id": 2, "doc": {}, "resps": [[[-1.5, false]], [[-0.5, true]]]}),
        ];
        let text = lines.map(|line| format!("{line}\n")).concat();
        let log = read_foreign(text.as_bytes()).unwrap().unwrap();
        assert_eq!(log.answers, [answer("a", "x"), answer("1", "y"), answer("1", "z")]);
        assert_eq!((log.tool, log.without), ("lm-eval", 1));
        assert!(read_foreign(format!("{text}{{").as_bytes()).unwrap().unwrap_err().starts_with("line 4"));
    }

    #[test]
    fn an_inspect_json_log_is_read() {
        let sample = |id: Value, epoch: u64, content: Value| json!({"id": id, "epoch": epoch, "output": {"choices": [{"message": {"content": content}}]}});
        let mut failed = sample(json!("c"), 1, json!(""));
        failed["error"] = json!({"message": "m"});
        let parts = json!([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "y"}]);
        let samples = [
            sample(json!("a"), 2, json!("second")),
            sample(json!("a"), 1, json!("x")),
            sample(json!(7), 1, parts),
            sample(json!(""), 1, json!("nobody's")),
            failed,
        ];
        let log = json!({"version": 2, "eval": {"model": "m"}, "samples": samples});
        let log = read_foreign(log.to_string().as_bytes()).unwrap().unwrap();
        assert_eq!(log.answers, [answer("a", "x"), answer("7", "y"), answer("a", "second")]);
        assert_eq!((log.model.as_deref(), log.without), (Some("m"), 2));
    }

    #[test]
    fn other_files_are_not_taken_for_logs() {
        for other in [&b"\x28\xb5\x2f\xfd"[..], b"{\"a\": 1}", b"", b"[1]", b"x,y\n"] {
            assert!(read_foreign(other).is_none());
        }
        assert!(read_foreign(b"PK\x03\x04nothing").unwrap().is_err());
    }
}
