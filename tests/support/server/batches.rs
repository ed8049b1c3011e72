//! The batch half of the server: files and batches as OpenAI has them, with its limits, states and delays; what is created here
//! is counted by the bodies it holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::dialect::{Ending, Made};
use super::model_server::{answer_to, tag_of, words};
use super::wire::{Incoming, Outgoing};
use super::{Bill, Dialect};

/// Is a call about batches, as a script sees it before it is served.
#[derive(Clone, Debug)]
pub struct BatchCall {
    /// `upload`, `create`, `look`, `list`, `content`, `cancel`, `delete`.
    pub kind: &'static str,
    /// Which call of this kind it is, from 0.
    pub nth: usize,
}

/// Says what is done to a call about batches.
#[derive(Clone, Debug)]
pub enum CallFault {
    /// It is not served, and gets this status.
    Status(u16),
    /// It is not served, and gets this status and words.
    Says(u16, &'static str, &'static str),
    /// It is served, and the connection is reset before the answer.
    ServedAndReset,
    /// It is not served, and the connection is reset.
    Reset,
}

/// Says what becomes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Completed,
    /// It ends when its time is over, with so many results.
    Expired(usize),
    /// Its input is refused: code, message, the line.
    Failed(&'static str, &'static str, Option<u64>),
    /// It never begins.
    NeverBegins,
}

/// Is one request of a batch, as a script sees it when its result is written.
#[derive(Clone, Debug)]
pub struct Item {
    /// The text between `<<` and `>>`.
    pub tag: String,
    /// Which batch of the server it is in, from 0.
    pub batch: usize,
    /// Whether the first text says that it is of the control.
    pub is_control: bool,
}

/// Says what is done to a result.
#[derive(Clone, Debug)]
pub enum ResultFault {
    Missing,
    Twice,
    TwiceDifferently,
    /// It has another custom_id.
    Unknown,
    /// It has this status, in the error file.
    Status(u16),
    /// It has this status, in the error file, and `error` is null as with an answer.
    StatusWithoutError(u16),
    /// The provider did not come to it before the batch expired.
    Expired,
    /// Its line is no JSON.
    NoJson,
}

/// Says what is done to a call.
pub type CallScript = dyn Fn(&BatchCall) -> Option<CallFault> + Send + Sync;
/// Says what is done to a result.
pub type ResultScript = dyn Fn(&Item) -> Option<ResultFault> + Send + Sync;

/// Says how batches are served.
// Each is a quirk by itself.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone)]
pub struct BatchOptions {
    /// How long a batch takes.
    pub takes: Duration,
    /// For how long the list does not show a new one.
    pub list_lag: Duration,
    /// Requests in one batch.
    pub requests: usize,
    /// Bytes in one file.
    pub bytes: usize,
    /// Requests of all unfinished batches together.
    pub enqueued: usize,
    /// Ids of files that are not there are empty texts, and so on.
    pub is_azure: bool,
    /// The address of results is on another host.
    pub results_are_elsewhere: bool,
    /// Every batch gets the same id.
    pub repeats_ids: bool,
    /// All calls and answers are kept.
    pub is_recorded: bool,
    pub calls: Arc<CallScript>,
    pub fates: Arc<dyn Fn(usize) -> Fate + Send + Sync>,
    pub results: Arc<ResultScript>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            takes: Duration::from_millis(50),
            list_lag: Duration::ZERO,
            requests: 50_000,
            bytes: 200_000_000,
            enqueued: usize::MAX,
            is_azure: false,
            results_are_elsewhere: false,
            repeats_ids: false,
            is_recorded: false,
            calls: Arc::new(|_| None),
            fates: Arc::new(|_| Fate::Completed),
            results: Arc::new(|_| None),
        }
    }
}

/// Is one request of an input.
#[derive(Clone, Debug)]
pub struct Line {
    pub custom_id: String,
    /// The bytes of its body.
    pub body: Vec<u8>,
}

/// Is a batch that was created.
#[derive(Clone, Debug)]
pub struct Created {
    pub id: String,
    pub input: String,
    pub lines: Arc<Vec<Line>>,
    pub metadata: Value,
    pub fate: Fate,
    pub cancelled: Option<Instant>,
    pub at: Instant,
    pub key: String,
    /// How many results a cancelled one has.
    pub ordinal: usize,
    /// Whether its results are not given out any more.
    pub is_gone: bool,
}

/// Is all that the server has of batches.
#[derive(Default)]
pub struct Batches {
    pub files: BTreeMap<String, (String, Arc<Vec<u8>>)>,
    pub created: Vec<Created>,
    pub calls: BTreeMap<&'static str, usize>,
    pub removed: Vec<String>,
    /// Every call and its answer, as JSON, where they are recorded.
    pub traffic: Vec<Value>,
    /// Where the server was last called.
    pub host: String,
    /// When datasets were uploaded.
    pub uploaded: BTreeMap<String, Instant>,
}

impl Batches {
    /// How many times each body was put into a batch.
    pub fn submitted(&self) -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        for line in self.created.iter().flat_map(|batch| batch.lines.iter()) {
            *count.entry(blake3::hash(&line.body).to_hex()[..16].to_owned()).or_default() += 1;
        }
        count
    }

    /// Serves a call; `None`: it is none about batches.
    pub fn serve(&mut self, options: &BatchOptions, incoming: &Incoming) -> Option<(Outgoing, bool)> {
        let path = incoming.path.split('?').next()?;
        let (kind, id) = kind_of(&incoming.method, path)?;
        let nth = self.calls.entry(kind).or_default();
        let call = BatchCall { kind, nth: *nth };
        *nth += 1;
        let fault = (options.calls)(&call);
        match fault {
            Some(CallFault::Status(code)) => return Some((refused(code, "server_error", "not now"), false)),
            Some(CallFault::Says(code, kind, words)) => return Some((refused(code, kind, words), false)),
            Some(CallFault::Reset) => return Some((refused(500, "", ""), true)),
            Some(CallFault::ServedAndReset) | None => {}
        }
        let key = incoming.headers.get("authorization").cloned().unwrap_or_default();
        let outgoing = match kind {
            "upload" => self.upload(options, incoming),
            "create" => self.create(options, incoming, &key),
            "list" => self.list(options, &incoming.path, &key),
            "look" => self.look(options, id, &key),
            "cancel" => self.cancel(options, id, &key),
            "content" => self.content(options, id),
            _ => self.remove(id),
        };
        Some((outgoing, matches!(fault, Some(CallFault::ServedAndReset))))
    }

    fn upload(&mut self, options: &BatchOptions, incoming: &Incoming) -> Outgoing {
        let Some(parts) = form_of(incoming) else { return refused(400, "invalid_request_error", "no form") };
        let part = |name: &str| parts.iter().find(|(known, _)| known == name).map(|(_, bytes)| bytes.clone());
        if part("purpose").as_deref() != Some(b"batch") {
            return refused(400, "invalid_request_error", "`purpose` is not `batch`");
        }
        let Some(bytes) = part("file") else { return refused(400, "invalid_request_error", "no file") };
        if bytes.len() > options.bytes {
            return refused(413, "file_too_large", "the file is too large");
        }
        let id = format!("file-{}", self.files.len());
        let size = bytes.len();
        self.files.insert(id.clone(), ("batch".to_owned(), Arc::new(bytes)));
        Outgoing::json(
            200,
            &json!({
                "id": id, "object": "file", "bytes": size, "created_at": unix(Instant::now()), "filename": "input.jsonl",
                "purpose": "batch", "status": "processed",
            }),
        )
    }

    fn create(&mut self, options: &BatchOptions, incoming: &Incoming, key: &str) -> Outgoing {
        let body: Value = serde_json::from_slice(&incoming.body).unwrap_or_default();
        let input = body["input_file_id"].as_str().unwrap_or_default().to_owned();
        let Some((_, bytes)) = self.files.get(&input) else {
            return refused(404, "not_found", "No such File object");
        };
        if body["completion_window"] != "24h"
            || !body["endpoint"].as_str().unwrap_or_default().contains("/chat/completions")
        {
            return refused(400, "invalid_request_error", "window or endpoint");
        }
        let (lines, complaint) = lines_of(bytes, options, body["endpoint"].as_str().unwrap_or_default());
        let ordinal = self.created.len();
        let waiting: usize =
            self.created.iter().filter(|batch| !is_over(batch, options)).map(|batch| batch.lines.len()).sum();
        let fate = match complaint {
            Some((code, line)) => Fate::Failed(code, "the input is not valid", line),
            None if waiting + lines.len() > options.enqueued => {
                Fate::Failed("token_limit_exceeded", "Enqueued token limit reached for this model.", None)
            }
            None => (options.fates)(ordinal),
        };
        let lines = if matches!(fate, Fate::Failed(..)) { Vec::new() } else { lines };
        let batch = Created {
            id: if options.repeats_ids { "batch_0".to_owned() } else { format!("batch_{ordinal}") },
            input,
            lines: Arc::new(lines),
            metadata: body["metadata"].clone(),
            fate,
            cancelled: None,
            at: Instant::now(),
            key: key.to_owned(),
            ordinal,
            is_gone: false,
        };
        let shown = Self::show(&batch, options);
        self.created.push(batch);
        Outgoing::json(200, &shown)
    }

    fn list(&self, options: &BatchOptions, path: &str, key: &str) -> Outgoing {
        let limit: usize = query_of(path, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(20).min(100);
        let mut seen: Vec<&Created> = self
            .created
            .iter()
            .filter(|batch| batch.at.elapsed() >= options.list_lag && batch.key == key)
            .rev()
            .collect();
        if let Some(after) = query_of(path, "after") {
            let at = seen.iter().position(|batch| batch.id == after).map_or(seen.len(), |at| at + 1);
            seen.drain(..at);
        }
        let has_more = seen.len() > limit;
        seen.truncate(limit);
        let ids: Vec<&str> = seen.iter().map(|batch| batch.id.as_str()).collect();
        let data: Vec<Value> = seen.iter().map(|batch| Self::show(batch, options)).collect();
        Outgoing::json(
            200,
            &json!({
                "object": "list", "data": data, "has_more": has_more, "first_id": ids.first(), "last_id": ids.last(),
            }),
        )
    }

    fn find(&mut self, id: &str, key: &str) -> Option<&mut Created> {
        self.created.iter_mut().find(|batch| batch.id == id && batch.key == key)
    }

    fn look(&mut self, options: &BatchOptions, id: &str, key: &str) -> Outgoing {
        let Some(batch) = self.find(id, key).cloned() else { return refused(404, "not_found", "No batch found") };
        Outgoing::json(200, &Self::show(&batch, options))
    }

    fn cancel(&mut self, options: &BatchOptions, id: &str, key: &str) -> Outgoing {
        let Some(batch) = self.find(id, key) else { return refused(404, "not_found", "No batch found") };
        if !is_over(batch, options) {
            batch.cancelled.get_or_insert_with(Instant::now);
        }
        let batch = batch.clone();
        Outgoing::json(200, &Self::show(&batch, options))
    }

    fn remove(&mut self, id: &str) -> Outgoing {
        self.removed.push(id.to_owned());
        Outgoing::json(200, &json!({"id": id, "object": "file", "deleted": true}))
    }

    fn content(&self, options: &BatchOptions, id: &str) -> Outgoing {
        if let Some((_, bytes)) = self.files.get(id) {
            return Outgoing::of(200, "application/octet-stream", bytes.to_vec());
        }
        let found =
            self.created.iter().find(|batch| id == format!("{}-out", batch.id) || id == format!("{}-err", batch.id));
        let Some(batch) = found.filter(|batch| !batch.is_gone) else {
            return refused(404, "not_found", "No such File object");
        };
        let (answers, errors) = results(batch, options);
        let lines = if id.ends_with("-out") { answers } else { errors };
        Outgoing::of(
            200,
            "application/octet-stream",
            lines.into_iter().flat_map(|line| (line + "\n").into_bytes()).collect(),
        )
    }

    fn show(batch: &Created, options: &BatchOptions) -> Value {
        let status = status(batch, options);
        let is_over = is_over(batch, options);
        let (answers, errors) = if is_over { results(batch, options) } else { (Vec::new(), Vec::new()) };
        let file = |lines: &[String], end: &str| match (lines.is_empty(), options.is_azure) {
            (false, _) => json!(format!("{}-{end}", batch.id)),
            (true, true) => json!(""),
            (true, false) => Value::Null,
        };
        let created = unix(batch.at);
        let complaints = match &batch.fate {
            Fate::Failed(code, message, line) => json!({"object": "list", "data": [
                {"code": code, "message": message, "line": line, "param": null}
            ]}),
            _ => Value::Null,
        };
        json!({
            "id": batch.id, "object": "batch", "endpoint": "/v1/chat/completions", "errors": complaints,
            "input_file_id": batch.input, "completion_window": "24h", "status": status,
            "output_file_id": file(&answers, "out"), "error_file_id": file(&errors, "err"),
            "created_at": created, "in_progress_at": created, "expires_at": created + 86_400,
            "finalizing_at": null, "completed_at": null, "failed_at": null, "expired_at": null,
            "cancelling_at": null, "cancelled_at": null,
            "request_counts": {"total": batch.lines.len(), "completed": answers.len(), "failed": errors.len()},
            "metadata": batch.metadata,
        })
    }
}

/// Says whether the server does nothing more for a batch.
pub fn is_over(batch: &Created, options: &BatchOptions) -> bool {
    if let Some(at) = batch.cancelled {
        return at.elapsed() >= options.takes / 4;
    }
    match batch.fate {
        Fate::Failed(..) => batch.at.elapsed() >= options.takes / 4,
        Fate::NeverBegins => false,
        _ => batch.at.elapsed() >= options.takes,
    }
}

fn status(batch: &Created, options: &BatchOptions) -> &'static str {
    let share = batch.at.elapsed().as_secs_f64() / options.takes.as_secs_f64().max(1e-9);
    match (&batch.cancelled, &batch.fate, is_over(batch, options)) {
        (Some(_), _, true) => "cancelled",
        (Some(_), _, false) => "cancelling",
        (None, Fate::Failed(..), true) => "failed",
        (None, Fate::Expired(_), true) => "expired",
        (None, _, true) => "completed",
        (None, Fate::NeverBegins, false) => "validating",
        (None, _, false) if share < 0.25 => "validating",
        (None, _, false) if share < 0.75 => "in_progress",
        (None, _, false) => "finalizing",
    }
}

/// Is what came of one line of a batch.
pub(super) struct Ended<'b> {
    pub custom_id: &'b str,
    pub hash: String,
    pub model: String,
    pub text: String,
    pub bill: Bill,
    pub fault: Option<ResultFault>,
}

impl Ended<'_> {
    /// What an answer of this text is made of.
    pub fn made(&self, text: &str) -> Made {
        Made {
            id: format!("{}-0", self.hash),
            model: self.model.clone(),
            text: text.to_owned(),
            ending: Ending::Stop,
            usage: Some(self.bill),
        }
    }
}

/// What came of the lines of a batch: in no order, and with what the script does to them.
pub(super) fn ended_of<'b>(
    batch: &'b Created,
    options: &'b BatchOptions,
    dialect: Dialect,
) -> impl Iterator<Item = Ended<'b>> {
    let done = match (&batch.fate, batch.cancelled) {
        (Fate::Failed(..), _) => 0,
        (_, Some(_)) => batch.lines.len() / 2,
        (Fate::Expired(done), _) => *done,
        _ => batch.lines.len(),
    };
    let mut order: Vec<&Line> = batch.lines.iter().collect();
    order.sort_by_cached_key(|line| blake3::hash(line.body.as_slice()).to_hex().to_string());
    order.into_iter().enumerate().map(move |(n, line)| {
        let hash = blake3::hash(&line.body).to_hex()[..16].to_owned();
        let body: Value = serde_json::from_slice(&line.body).unwrap();
        let texts = dialect.texts(&body);
        let tag = texts.last().map(|text| tag_of(text)).unwrap_or_default();
        let item = Item { tag, batch: batch.ordinal, is_control: texts.first().is_some_and(|text| text == "Answer.") };
        let fault = if n >= done { Some(ResultFault::Expired) } else { (options.results)(&item) };
        let text = answer_to(&texts, &hash);
        let bill =
            Bill { input: words(&texts) + 3 * texts.len() as u64, output: words(std::slice::from_ref(&text)) + 1 };
        let model = body["model"].as_str().unwrap_or("unknown").to_owned();
        Ended { custom_id: &line.custom_id, hash, model, text, bill, fault }
    })
}

/// The lines of both files of a batch.
fn results(batch: &Created, options: &BatchOptions) -> (Vec<String>, Vec<String>) {
    let (mut answers, mut errors) = (Vec::new(), Vec::new());
    let dialect = Dialect::Chat;
    for ended in ended_of(batch, options, dialect) {
        let (custom_id, hash) = (ended.custom_id, &ended.hash);
        let answered = |custom_id: &str, text: &str| {
            json!({
                "id": format!("batch_req_{hash}"), "custom_id": custom_id, "error": null,
                "response": {
                    "status_code": 200, "request_id": format!("req-{hash}"), "body": dialect.answer(&ended.made(text)),
                },
            })
            .to_string()
        };
        let status = |code: u16, error: Value| {
            let said = dialect.error("invalid_request_error", "This request is not taken.");
            let response = json!({"status_code": code, "request_id": "", "body": said});
            json!({"id": "", "custom_id": custom_id, "response": response, "error": error}).to_string()
        };
        let good = answered(custom_id, &ended.text);
        match &ended.fault {
            None => answers.push(good),
            Some(ResultFault::Missing) => {}
            Some(ResultFault::Twice) => answers.extend([good.clone(), good]),
            Some(ResultFault::TwiceDifferently) => {
                answers.extend([good, answered(custom_id, &format!("{} or not", ended.text))]);
            }
            Some(ResultFault::Unknown) => answers.push(answered("somebody-elses", &ended.text)),
            Some(ResultFault::Status(code)) => {
                errors.push(status(*code, json!({"code": "x", "message": "it went wrong"})));
            }
            Some(ResultFault::StatusWithoutError(code)) => errors.push(status(*code, Value::Null)),
            Some(ResultFault::NoJson) => answers.push(good[..good.len() / 2].to_owned()),
            Some(ResultFault::Expired) => {
                let code = if batch.cancelled.is_some() { "batch_cancelled" } else { "batch_expired" };
                let error =
                    json!({"code": code, "message": "This request could not be executed before the batch ended."});
                // Those that a cancelled or failed batch never came to are in neither file.
                if batch.cancelled.is_none() {
                    errors
                        .push(json!({"id": "", "custom_id": custom_id, "response": null, "error": error}).to_string());
                }
            }
        }
    }
    (answers, errors)
}

/// Reads an input, and finds what OpenAI would complain of.
fn lines_of(bytes: &[u8], options: &BatchOptions, endpoint: &str) -> (Vec<Line>, Option<(&'static str, Option<u64>)>) {
    #[derive(serde::Deserialize)]
    struct Wire<'a> {
        custom_id: String,
        method: String,
        url: String,
        #[serde(borrow)]
        body: &'a RawValue,
    }
    let (mut lines, mut ids, mut models) =
        (Vec::new(), std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for (n, line) in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        let at = Some(n as u64 + 1);
        let Ok(wire) = serde_json::from_slice::<Wire<'_>>(line) else {
            return (lines, Some(("invalid_json_line", at)));
        };
        let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if wire.custom_id.is_empty() || wire.custom_id.len() > 64 || !wire.custom_id.bytes().all(letters) {
            return (lines, Some(("invalid_custom_id", at)));
        }
        if wire.method != "POST" || wire.url != endpoint {
            return (lines, Some(("invalid_url", at)));
        }
        if !ids.insert(wire.custom_id.clone()) {
            return (lines, Some(("duplicate_custom_id", at)));
        }
        let body: Value = serde_json::from_str(wire.body.get()).unwrap();
        models.insert(body["model"].to_string());
        if models.len() > 1 {
            return (lines, Some(("mismatched_model", at)));
        }
        lines.push(Line { custom_id: wire.custom_id, body: wire.body.get().as_bytes().to_vec() });
    }
    if lines.is_empty() {
        return (lines, Some(("empty_file", None)));
    }
    if lines.len() > options.requests {
        return (lines, Some(("too_many_requests", None)));
    }
    (lines, None)
}

/// What a call is, and what it is about.
fn kind_of<'p>(method: &str, path: &'p str) -> Option<(&'static str, &'p str)> {
    let path = path.strip_prefix("/v1")?;
    let rest = |start: &str| path.strip_prefix(start);
    Some(match (method, path) {
        ("POST", "/files") => ("upload", ""),
        ("POST", "/batches") => ("create", ""),
        ("GET", "/batches") => ("list", ""),
        ("POST", _) => ("cancel", rest("/batches/")?.strip_suffix("/cancel")?),
        ("GET", _) if path.starts_with("/files/") => ("content", rest("/files/")?.strip_suffix("/content")?),
        ("GET", _) => ("look", rest("/batches/")?),
        ("DELETE", _) => ("delete", rest("/files/")?),
        _ => return None,
    })
}

/// A parameter of an address.
pub(super) fn query_of(path: &str, name: &str) -> Option<String> {
    let pairs = path.split_once('?').map(|(_, query)| query).unwrap_or_default().split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

/// The parts of the form that a call sends: name and bytes.
pub(super) fn form_of(incoming: &Incoming) -> Option<Vec<(String, Vec<u8>)>> {
    let kind = incoming.headers.get("content-type")?;
    let (_, boundary) = kind.split_once("multipart/form-data; boundary=")?;
    Some(form(&incoming.body, boundary))
}

/// The parts of a form: name and bytes.
fn form(body: &[u8], boundary: &str) -> Vec<(String, Vec<u8>)> {
    let mark = format!("--{boundary}").into_bytes();
    let find = |from: usize, what: &[u8]| {
        body[from..].windows(what.len()).position(|window| window == what).map(|at| from + at)
    };
    let mut parts = Vec::new();
    let Some(mut start) = find(0, &mark) else { return parts };
    loop {
        start += mark.len();
        if body[start..].starts_with(b"--") {
            return parts;
        }
        let (Some(head), Some(end)) = (find(start, b"\r\n\r\n"), find(start, &mark)) else { return parts };
        let text = String::from_utf8_lossy(&body[start..head]).into_owned();
        let name = text.split("name=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned();
        parts.push((name, body[head + 4..end - 2].to_vec()));
        start = end;
    }
}

fn refused(code: u16, kind: &str, words: &str) -> Outgoing {
    Outgoing::json(code, &json!({"error": {"message": words, "type": kind, "param": null, "code": kind}}))
}

pub(super) fn unix(at: Instant) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs() as i64 - at.elapsed().as_secs() as i64
}
