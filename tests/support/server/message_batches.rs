//! The server's message batches, as Anthropic has them: the requests are in the call, whose they are only the results say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Dialect;
use super::batches::{
    BatchCall, BatchOptions, Batches, CallFault, Created, Line, ResultFault, ended_of, is_over, query_of, unix,
};
use super::wire::{Incoming, Outgoing};

fn refused(code: u16, kind: &str, words: &str) -> Outgoing {
    Outgoing::json(code, &Dialect::Messages.error(kind, words))
}

impl Batches {
    /// Serves a call about message batches; `None`: it is none.
    pub fn serve_messages(&mut self, options: &BatchOptions, incoming: &Incoming) -> Option<(Outgoing, bool)> {
        let path = incoming.path.split('?').next()?.strip_prefix("/v1/messages/batches")?;
        let path = path.strip_prefix('/').unwrap_or(path);
        let (kind, id) = match (incoming.method.as_str(), path.split_once('/')) {
            ("POST", None) if path.is_empty() => ("create", ""),
            ("GET", None) if path.is_empty() => ("list", ""),
            ("GET", None) => ("look", path),
            ("DELETE", None) => ("delete", path),
            ("GET", Some((id, "results"))) => ("content", id),
            ("POST", Some((id, "cancel"))) => ("cancel", id),
            _ => return None,
        };
        let nth = self.calls.entry(kind).or_default();
        let call = BatchCall { kind, nth: *nth };
        *nth += 1;
        let fault = (options.calls)(&call);
        match fault {
            Some(CallFault::Status(code)) => return Some((refused(code, "api_error", "not now"), false)),
            Some(CallFault::Says(code, kind, words)) => return Some((refused(code, kind, words), false)),
            Some(CallFault::Reset) => return Some((refused(500, "", ""), true)),
            Some(CallFault::ServedAndReset) | None => {}
        }
        // The address of results is the provider's to choose; no key may be sent to another than the one that is configured.
        let host = incoming.headers.get("host").filter(|_| !options.results_are_elsewhere).cloned();
        self.host = host.unwrap_or_else(|| "elsewhere.example".to_owned());
        let host = self.host.clone();
        let key = incoming.headers.get("x-api-key").cloned().unwrap_or_default();
        let outgoing = match kind {
            "create" => self.create_messages(options, incoming, &key),
            "list" => self.list_messages(options, &incoming.path, &key),
            _ => {
                let found = self.created.iter_mut().find(|batch| batch.id == id && batch.key == key);
                match found {
                    None => refused(404, "not_found_error", "no such batch"),
                    Some(batch) => {
                        if kind == "cancel" && !is_over(batch, options) {
                            batch.cancelled.get_or_insert_with(Instant::now);
                        }
                        let batch = batch.clone();
                        match kind {
                            "content" if batch.is_gone || !is_over(&batch, options) => {
                                refused(404, "not_found_error", "there are no results")
                            }
                            "content" => {
                                let lines =
                                    results(&batch, options).into_iter().flat_map(|line| (line + "\n").into_bytes());
                                Outgoing::of(200, "application/x-jsonl", lines.collect())
                            }
                            "delete" => {
                                self.removed.push(id.to_owned());
                                Outgoing::json(200, &json!({"id": id, "type": "message_batch_deleted"}))
                            }
                            _ => Outgoing::json(200, &show(&batch, options, &host)),
                        }
                    }
                }
            }
        };
        Some((outgoing, matches!(fault, Some(CallFault::ServedAndReset))))
    }

    fn create_messages(&mut self, options: &BatchOptions, incoming: &Incoming, key: &str) -> Outgoing {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire<'a> {
            #[serde(borrow)]
            requests: Vec<Request<'a>>,
        }
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Request<'a> {
            custom_id: String,
            #[serde(borrow)]
            params: &'a RawValue,
        }
        if incoming.body.len() > options.bytes {
            return refused(413, "request_too_large", "the batch is too large");
        }
        let Ok(wire) = serde_json::from_slice::<Wire<'_>>(&incoming.body) else {
            return refused(400, "invalid_request_error", "this is no batch");
        };
        let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let mut ids = std::collections::BTreeSet::new();
        let mut lines = Vec::new();
        for request in wire.requests {
            let is_good = (1..=64).contains(&request.custom_id.len()) && request.custom_id.bytes().all(letters);
            if !is_good || !ids.insert(request.custom_id.clone()) {
                return refused(400, "invalid_request_error", "a custom_id is bad, or there twice");
            }
            let body = request.params.get().as_bytes().to_vec();
            let params: Value = serde_json::from_slice(&body).unwrap();
            if params["max_tokens"].as_u64().is_none_or(|most| most == 0) || !params["stream"].is_null() {
                return refused(400, "invalid_request_error", "this cannot be in a batch");
            }
            lines.push(Line { custom_id: request.custom_id, body });
        }
        if lines.is_empty() || lines.len() > options.requests {
            return refused(400, "invalid_request_error", "too few or too many requests");
        }
        let ordinal = self.created.len();
        let batch = Created {
            id: format!("msgbatch_{ordinal}"),
            input: String::new(),
            lines: Arc::new(lines),
            metadata: Value::Null,
            fate: (options.fates)(ordinal),
            cancelled: None,
            at: Instant::now(),
            key: key.to_owned(),
            ordinal,
            is_gone: false,
        };
        let shown = show(&batch, options, &self.host);
        self.created.push(batch);
        Outgoing::json(200, &shown)
    }

    fn list_messages(&self, options: &BatchOptions, path: &str, key: &str) -> Outgoing {
        let after = query_of(path, "after_id");
        let limit = query_of(path, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(20).min(100);
        let mut seen: Vec<&Created> = self
            .created
            .iter()
            .filter(|batch| batch.at.elapsed() >= options.list_lag && batch.key == key)
            .rev()
            .collect();
        if let Some(after) = after {
            let at = seen.iter().position(|batch| batch.id == after).map_or(seen.len(), |at| at + 1);
            seen.drain(..at);
        }
        let has_more = seen.len() > limit;
        seen.truncate(limit);
        let data: Vec<Value> = seen.iter().map(|batch| show(batch, options, &self.host)).collect();
        let ids: Vec<&str> = seen.iter().map(|batch| batch.id.as_str()).collect();
        Outgoing::json(
            200,
            &json!({"data": data, "has_more": has_more, "first_id": ids.first(), "last_id": ids.last()}),
        )
    }
}

fn show(batch: &Created, options: &BatchOptions, host: &str) -> Value {
    let is_over = is_over(batch, options);
    let status = match (is_over, batch.cancelled) {
        (true, _) => "ended",
        (false, Some(_)) => "canceling",
        (false, None) => "in_progress",
    };
    let time = |seconds: i64| jiff::Timestamp::from_second(seconds).unwrap().to_string();
    let created = unix(batch.at);
    let mut counts =
        BTreeMap::from([("processing", 0), ("succeeded", 0), ("errored", 0), ("canceled", 0), ("expired", 0)]);
    if is_over {
        for ended in ended_of(batch, options, Dialect::Messages) {
            let kind = match ended.fault {
                Some(ResultFault::Expired) if batch.cancelled.is_some() => "canceled",
                Some(ResultFault::Expired) => "expired",
                Some(ResultFault::Status(_) | ResultFault::StatusWithoutError(_)) => "errored",
                _ => "succeeded",
            };
            *counts.entry(kind).or_default() += 1;
        }
    } else {
        counts.insert("processing", batch.lines.len());
    }
    json!({
        "id": batch.id, "type": "message_batch", "processing_status": status,
        "request_counts": counts,
        "created_at": time(created), "expires_at": time(created + 86_400), "archived_at": null,
        "ended_at": if is_over { json!(time(created)) } else { Value::Null },
        "cancel_initiated_at": if batch.cancelled.is_some() { json!(time(created)) } else { Value::Null },
        "results_url": if is_over { json!(format!("http://{host}/v1/messages/batches/{}/results", batch.id)) } else { Value::Null },
    })
}

/// The results: one stream in no order, with what the script does to them.
fn results(batch: &Created, options: &BatchOptions) -> Vec<String> {
    let dialect = Dialect::Messages;
    let mut lines = Vec::new();
    for ended in ended_of(batch, options, dialect) {
        let succeeded = |custom_id: &str, text: &str| {
            let message = dialect.answer(&ended.made(text));
            json!({"custom_id": custom_id, "result": {"type": "succeeded", "message": message}}).to_string()
        };
        let other = |result: Value| json!({"custom_id": ended.custom_id, "result": result}).to_string();
        let good = succeeded(ended.custom_id, &ended.text);
        match &ended.fault {
            None => lines.push(good),
            Some(ResultFault::Missing) => {}
            Some(ResultFault::Twice) => lines.extend([good.clone(), good]),
            Some(ResultFault::TwiceDifferently) => {
                lines.extend([good, succeeded(ended.custom_id, &format!("{} or not", ended.text))]);
            }
            Some(ResultFault::Unknown) => lines.push(succeeded("somebody-elses", &ended.text)),
            Some(ResultFault::Status(code) | ResultFault::StatusWithoutError(code)) => {
                let kind = if *code < 500 { "invalid_request_error" } else { "api_error" };
                lines.push(other(json!({"type": "errored", "error": dialect.error(kind, "it went wrong")})));
            }
            Some(ResultFault::NoJson) => lines.push(good[..good.len() / 2].to_owned()),
            Some(ResultFault::Expired) => {
                lines.push(other(json!({"type": if batch.cancelled.is_some() { "canceled" } else { "expired" }})));
            }
        }
    }
    lines
}
