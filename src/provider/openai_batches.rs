//! OpenAI's batches: a file of requests, a batch that names it, files of results. Others made theirs after it.

use std::io::{Read, Write};

use serde_json::Value;
use serde_json::value::RawValue;

use super::batch_calls::{Calls, Place, id_in, seconds, text};
use super::batch_service::{
    BatchComplaint, BatchLimits, BatchResult, BatchService, BatchTicket, BatchTrouble, BatchTroubleKind, Framing,
    Recognition, RemoteBatch, RemotePhase, unfit_for_batch,
};
use super::body::quoted;
use super::{Given, Line, Online, Protocol, wire_body};
use crate::request::{DrawAddress, FailureCode, Request};

/// Says how a service differs from OpenAI's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quirks {
    /// The path that files are sent to.
    upload: &'static str,
    /// The word for what the file is for.
    purpose: &'static str,
    /// What comes before the path of the call in `url` and `endpoint`.
    before_path: &'static str,
    /// Whether a batch carries metadata, by which it is found again.
    has_metadata: bool,
    /// Requests in one batch.
    requests: u64,
    /// Bytes of one file.
    bytes: u64,
}

const OPENAI: Quirks = Quirks {
    upload: "/files",
    purpose: "batch",
    before_path: "/v1",
    has_metadata: true,
    requests: 50_000,
    bytes: 200_000_000,
};

/// Lists what is known of others, by a part of their address (November 2026).
const CLONES: [(&str, Quirks); 3] = [
    // Its files and batches are those of one resource; the path of the call stands without a version.
    (".azure.com", Quirks { before_path: "", requests: 100_000, ..OPENAI }),
    // Files have an address of their own to be sent to; batches carry no metadata and are found by their file.
    (
        "api.together.",
        Quirks { upload: "/files/upload", purpose: "batch-api", has_metadata: false, bytes: 100_000_000, ..OPENAI },
    ),
    ("api.groq.com", Quirks { has_metadata: false, ..OPENAI }),
];

/// Takes batches as OpenAI does.
pub struct OpenAiBatches {
    calls: Calls,
    quirks: Quirks,
}

/// Are the names under which a batch carries what it is found by.
const KEY: &str = "exp_batch";
const NONCE: &str = "exp_nonce";

impl OpenAiBatches {
    /// Takes batches where these requests would be asked one by one.
    pub fn new(online: Online) -> Self {
        let address = online.settings().base_url.to_ascii_lowercase();
        let known = CLONES.iter().find(|(part, _)| address.contains(part));
        Self { calls: Calls::new(online), quirks: known.map_or(OPENAI, |(_, quirks)| *quirks) }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.calls.online().settings().base_url)
    }

    /// Returns the path of the call that a request would be sent to.
    fn endpoint(&self) -> String {
        let path = match self.calls.online().settings().wire.protocol {
            Protocol::Responses => "/responses",
            _ => "/chat/completions",
        };
        format!("{}{path}", self.quirks.before_path)
    }

    fn remote(value: &Value) -> Option<RemoteBatch> {
        // Together's answer to a creation holds the batch inside.
        let value = value.get("job").unwrap_or(value);
        let status = text(value, "status")?.to_ascii_lowercase();
        let phase = match status.as_str() {
            "validating" | "pending" | "queued" | "created" => RemotePhase::Waiting,
            "completed" | "failed" | "expired" | "cancelled" | "canceled" => RemotePhase::Ended,
            // `in_progress`, `finalizing`, `cancelling`, and whatever comes to be: it is looked at again.
            _ => RemotePhase::Running,
        };
        // An id that is not there is `null` with some and an empty text with others.
        let id = |name: &str| text(value, name).filter(|id| !id.is_empty());
        let counts = value.get("request_counts").unwrap_or(&Value::Null);
        let count = |name: &str| counts.get(name).and_then(Value::as_u64);
        let complaint = |error: &Value| BatchComplaint {
            code: text(error, "code").unwrap_or_default(),
            message: text(error, "message").unwrap_or_default(),
            line: error.get("line").and_then(Value::as_u64),
        };
        let errors = value.get("errors").and_then(|errors| errors.get("data").unwrap_or(errors).as_array());
        Some(RemoteBatch {
            id: id("id")?,
            phase,
            status,
            tag: value.get("metadata").and_then(|metadata| text(metadata, NONCE)),
            input: id("input_file_id"),
            outputs: [id("output_file_id"), id("error_file_id")].into_iter().flatten().collect(),
            requests: count("total").filter(|total| *total > 0),
            finished: count("completed").map(|done| done + count("failed").unwrap_or_default()),
            created_at: seconds(value.get("created_at")),
            expires_at: seconds(value.get("expires_at")),
            complaints: errors.map(|errors| errors.iter().map(complaint).collect()).unwrap_or_default(),
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
    #[serde(borrow, default)]
    response: Option<ResponseWire<'a>>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(serde::Deserialize)]
struct ResponseWire<'a> {
    #[serde(default)]
    status_code: Option<u16>,
    #[serde(default)]
    request_id: Option<String>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

impl BatchService for OpenAiBatches {
    fn online(&self) -> &Online {
        self.calls.online()
    }

    fn name(&self) -> &'static str {
        "openai"
    }

    fn limits(&self) -> BatchLimits {
        let Quirks { requests, bytes, .. } = self.quirks;
        BatchLimits { requests, bytes, one_model: true, one_decoding: false }
    }

    fn recognition(&self) -> Recognition {
        Recognition::Tag
    }

    fn framing(&self) -> Framing {
        Framing { before: "", between: "\n", after: "\n" }
    }

    fn line(&self, request: &Request, draw: &DrawAddress) -> Result<String, String> {
        if let Some(why) = unfit_for_batch(Protocol::Chat, request) {
            return Err(why);
        }
        let body = wire_body(&self.calls.online().settings().wire, request, draw);
        Ok(format!(
            "{{\"custom_id\":\"{}\",\"method\":\"POST\",\"url\":{},\"body\":{body}}}",
            draw.custom_id(),
            quoted(&self.endpoint())
        ))
    }

    fn upload(
        &self,
        line: &mut Line,
        ticket: BatchTicket<'_>,
        input: &mut dyn Read,
    ) -> Result<Option<String>, BatchTrouble> {
        let url = self.url(self.quirks.upload);
        let file_name = format!("exp-{}.jsonl", ticket.name);
        let fields = [("purpose", self.quirks.purpose), ("file_name", file_name.as_str())];
        let fields = if self.quirks.upload == OPENAI.upload { &fields[..1] } else { &fields[..] };
        let value = self.calls.send_file(line, &url, ticket, fields, &file_name, input)?;
        id_in(&value).map(Some).ok_or_else(|| self.calls.unreadable(&url, "no id of the file"))
    }

    fn create(
        &self,
        line: &mut Line,
        ticket: BatchTicket<'_>,
        uploaded: Option<&str>,
        _: &mut dyn Read,
    ) -> Result<RemoteBatch, BatchTrouble> {
        let url = self.url("/batches");
        let mut body = serde_json::json!({
            "input_file_id": uploaded.unwrap_or_default(), "endpoint": self.endpoint(), "completion_window": "24h",
        });
        if self.quirks.has_metadata {
            body["metadata"] = serde_json::json!({KEY: ticket.key, NONCE: ticket.name});
        }
        let value = self.calls.post(line, &url, &body)?;
        self.batch(&url, &value)
    }

    fn list(&self, line: &mut Line, since: i64) -> Result<Vec<RemoteBatch>, BatchTrouble> {
        let mut batches = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = after.as_ref().map(|id| format!("&after={id}")).unwrap_or_default();
            let url = self.url(&format!("/batches?limit=100{page}"));
            let value = self.calls.get(line, &url)?;
            // Some wrap the list, some give it as it is.
            let Some(items) = value.get("data").unwrap_or(&value).as_array() else {
                return Err(self.calls.unreadable(&url, "no list of batches"));
            };
            let page: Vec<RemoteBatch> = items.iter().filter_map(Self::remote).collect();
            let is_old = page.iter().any(|batch| batch.created_at.is_some_and(|at| at < since));
            let last = page.last().map(|batch| batch.id.clone());
            batches.extend(page);
            let has_more = value.get("has_more").and_then(Value::as_bool) == Some(true);
            if !has_more || is_old || last.is_none() || last == after {
                return Ok(batches);
            }
            after = last;
        }
    }

    fn look(&self, line: &mut Line, id: &str) -> Result<RemoteBatch, BatchTrouble> {
        let url = self.url(&format!("/batches/{id}"));
        let value = self.calls.get(line, &url)?;
        self.batch(&url, &value)
    }

    fn cancel(&self, line: &mut Line, id: &str) -> Result<(), BatchTrouble> {
        self.calls.post_nothing(line, &self.url(&format!("/batches/{id}/cancel"))).map(drop)
    }

    fn contents(
        &self,
        line: &mut Line,
        batch: &RemoteBatch,
        visit: &mut dyn FnMut(&str),
    ) -> Result<bool, BatchTrouble> {
        let Some(input) = &batch.input else { return Ok(false) };
        let url = self.url(&format!("/files/{input}/content"));
        match self.calls.visit_custom_ids(line, Place::Own(&url), visit) {
            Ok(()) => Ok(true),
            // A file may be gone, or be kept from its owner: the results will say.
            Err(BatchTrouble { kind: BatchTroubleKind::Absent | BatchTroubleKind::Refused, .. }) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    fn fetch(&self, line: &mut Line, batch: &RemoteBatch, into: &mut dyn Write) -> Result<(), BatchTrouble> {
        for file in &batch.outputs {
            self.calls.fetch_lines(line, Place::Own(&self.url(&format!("/files/{file}/content"))), into)?;
        }
        Ok(())
    }

    fn read(&self, line: &[u8]) -> Result<BatchResult, String> {
        let wire: ResultWire<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let code = wire.error.as_ref().and_then(|error| text(error, "code")).unwrap_or_default();
        let given = match (wire.response, wire.error) {
            (_, Some(error)) if code.contains("expired") => self.calls.unanswered(FailureCode::Timeout, &error, line),
            (_, Some(error)) if code.contains("cancel") => self.calls.unanswered(FailureCode::NotSent, &error, line),
            (Some(response), error) if error.is_none() || response.body.is_some() => {
                let body = response.body.map(RawValue::get).unwrap_or_default();
                let mut given = self.calls.given(response.status_code.unwrap_or(200), body.as_bytes());
                if let Some(id) = response.request_id.filter(|id| !id.is_empty() && id.len() <= 200) {
                    given.circumstances.request_id = Some(id);
                }
                given
            }
            (_, Some(error)) => self.calls.complained(&error),
            (_, None) => return Err("it holds neither a response nor an error".to_owned()),
        };
        let given: Given = given;
        Ok(BatchResult { custom_id: wire.custom_id, given })
    }

    fn remove(&self, line: &mut Line, file: &str) -> Result<(), BatchTrouble> {
        self.calls.delete(line, &self.url(&format!("/files/{file}")))
    }
}
