//! Anthropic's message batches: the requests are in the call that creates one, and nothing of ours but them.

use std::io::{Read, Write};

use serde_json::Value;
use serde_json::value::RawValue;

use super::batch_calls::{Calls, Place, id_in, seconds, text};
use super::batch_service::{
    BatchLimits, BatchResult, BatchService, BatchTicket, BatchTrouble, Framing, Recognition, RemoteBatch, RemotePhase,
    unfit_for_batch,
};
use super::{Line, Online, Protocol, wire_body};
use crate::request::{Billed, DrawAddress, FailureCode, Request};

/// Takes batches as Anthropic does.
pub struct AnthropicBatches {
    calls: Calls,
}

/// Is for how long results are kept after a batch was created, in seconds: 29 days.
const KEPT: i64 = 29 * 86_400;

impl AnthropicBatches {
    /// Takes batches where these requests would be asked one by one.
    pub fn new(online: Online) -> Self {
        Self { calls: Calls::new(online) }
    }

    fn url(&self, path: &str) -> String {
        let base = &self.calls.online().settings().base_url;
        format!("{}/v1/messages/batches{path}", base.strip_suffix("/v1").unwrap_or(base))
    }

    fn remote(value: &Value) -> Option<RemoteBatch> {
        let status = text(value, "processing_status")?;
        let is_over = status == "ended";
        let counts = value.get("request_counts").and_then(Value::as_object);
        let count = |name: &str| counts.and_then(|counts| counts.get(name)?.as_u64());
        let total = counts.map(|counts| counts.values().filter_map(Value::as_u64).sum());
        let created_at = seconds(value.get("created_at"));
        let was_cancelled = value.get("cancel_initiated_at").is_some_and(|at| !at.is_null());
        Some(RemoteBatch {
            id: id_in(value)?,
            phase: if is_over { RemotePhase::Ended } else { RemotePhase::Running },
            status: if is_over && was_cancelled { "canceled".to_owned() } else { status },
            tag: None,
            input: None,
            // The address that the provider gives is not followed: the key goes to nobody but `base_url`.
            outputs: if is_over { vec![id_in(value)?] } else { Vec::new() },
            requests: total,
            finished: total.zip(count("processing")).map(|(total, left)| total - left.min(total)),
            created_at,
            expires_at: if is_over { created_at.map(|at| at + KEPT) } else { seconds(value.get("expires_at")) },
            complaints: Vec::new(),
        })
    }

    fn batch(&self, url: &str, value: &Value) -> Result<RemoteBatch, BatchTrouble> {
        Self::remote(value).ok_or_else(|| self.calls.unreadable(url, "no batch"))
    }
}

/// Is a line of results.
#[derive(serde::Deserialize)]
struct ResultWire<'a> {
    custom_id: String,
    #[serde(borrow)]
    result: OneResult<'a>,
}

#[derive(serde::Deserialize)]
struct OneResult<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Value>,
}

impl BatchService for AnthropicBatches {
    fn online(&self) -> &Online {
        self.calls.online()
    }

    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn limits(&self) -> BatchLimits {
        BatchLimits { requests: 100_000, bytes: 256_000_000, one_model: false, one_decoding: false }
    }

    fn recognition(&self) -> Recognition {
        Recognition::Results
    }

    fn framing(&self) -> Framing {
        Framing { before: "{\"requests\":[", between: ",", after: "]}" }
    }

    fn line(&self, request: &Request, draw: &DrawAddress) -> Result<String, String> {
        if let Some(why) = unfit_for_batch(Protocol::Messages, request) {
            return Err(why);
        }
        let body = wire_body(&self.calls.online().settings().wire, request, draw);
        Ok(format!("{{\"custom_id\":\"{}\",\"params\":{body}}}", draw.custom_id()))
    }

    /// Sends nothing: the requests are in the call that creates the batch.
    fn upload(&self, _: &mut Line, _: BatchTicket<'_>, _: &mut dyn Read) -> Result<Option<String>, BatchTrouble> {
        Ok(None)
    }

    fn create(
        &self,
        line: &mut Line,
        ticket: BatchTicket<'_>,
        _: Option<&str>,
        input: &mut dyn Read,
    ) -> Result<RemoteBatch, BatchTrouble> {
        let url = self.url("");
        let value = self.calls.post_from(line, &url, "application/json", ticket.size, input)?;
        self.batch(&url, &value)
    }

    fn list(&self, line: &mut Line, since: i64) -> Result<Vec<RemoteBatch>, BatchTrouble> {
        let mut batches = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = after.as_ref().map(|id| format!("&after_id={id}")).unwrap_or_default();
            let url = self.url(&format!("?limit=100{page}"));
            let value = self.calls.get(line, &url)?;
            let Some(items) = value.get("data").and_then(Value::as_array) else {
                return Err(self.calls.unreadable(&url, "no list of batches"));
            };
            let page: Vec<RemoteBatch> = items.iter().filter_map(Self::remote).collect();
            let is_old = page.iter().any(|batch| batch.created_at.is_some_and(|at| at < since));
            let last = page.last().map(|batch| batch.id.clone());
            batches.extend(page.into_iter().filter(|batch| batch.created_at.is_none_or(|at| at >= since)));
            let has_more = value.get("has_more").and_then(Value::as_bool) == Some(true);
            if !has_more || is_old || last.is_none() || last == after {
                return Ok(batches);
            }
            after = last;
        }
    }

    fn look(&self, line: &mut Line, id: &str) -> Result<RemoteBatch, BatchTrouble> {
        let url = self.url(&format!("/{id}"));
        let value = self.calls.get(line, &url)?;
        self.batch(&url, &value)
    }

    fn cancel(&self, line: &mut Line, id: &str) -> Result<(), BatchTrouble> {
        self.calls.post_nothing(line, &self.url(&format!("/{id}/cancel"))).map(drop)
    }

    fn contents(&self, _: &mut Line, _: &RemoteBatch, _: &mut dyn FnMut(&str)) -> Result<bool, BatchTrouble> {
        Ok(false)
    }

    fn fetch(&self, line: &mut Line, batch: &RemoteBatch, into: &mut dyn Write) -> Result<(), BatchTrouble> {
        self.calls.fetch_lines(line, Place::Own(&self.url(&format!("/{}/results", batch.id))), into)
    }

    fn read(&self, line: &[u8]) -> Result<BatchResult, String> {
        let ResultWire { custom_id, result } = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let nothing = Value::Null;
        let given = match (result.kind.as_str(), result.message, result.error) {
            ("succeeded", Some(message), _) => self.calls.given(200, message.get().as_bytes()),
            ("errored", _, Some(error)) => {
                let mut given = self.calls.complained(error.get("error").unwrap_or(&error));
                // Errored requests are not charged.
                given.circumstances.billed = given.circumstances.billed.map(|_| Billed::No);
                given
            }
            ("canceled", ..) => self.calls.unanswered(FailureCode::NotSent, &nothing, line),
            ("expired", ..) => self.calls.unanswered(FailureCode::Timeout, &nothing, line),
            (kind, ..) => return Err(format!("a result of the kind `{kind}` holds nothing that is known")),
        };
        Ok(BatchResult { custom_id, given })
    }

    /// Removes the batch itself: it is the only thing there.
    fn remove(&self, line: &mut Line, file: &str) -> Result<(), BatchTrouble> {
        self.calls.delete(line, &self.url(&format!("/{file}")))
    }
}
