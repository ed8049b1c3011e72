//! The server's batch inference jobs, as Fireworks has them: datasets in and out, and names that the client chooses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Dialect;
use super::batches::{
    BatchCall, BatchOptions, Batches, CallFault, Created, Fate, Line, ResultFault, ended_of, form_of, is_over,
    query_of, unix,
};
use super::wire::{Incoming, Outgoing};

/// The only account there is.
const ACCOUNT: &str = "accounts/ours";
const SIGNATURE: &str = "X-Goog-Signature=0123";

fn refused(status: u16, code: u16, words: &str) -> Outgoing {
    Outgoing::json(status, &json!({"code": code, "message": words, "details": []}))
}

fn absent() -> Outgoing {
    refused(404, 5, "resource not found")
}

impl Batches {
    /// Serves a call about datasets and jobs; `None`: it is none.
    pub fn serve_jobs(&mut self, options: &BatchOptions, incoming: &Incoming) -> Option<(Outgoing, bool)> {
        let path = incoming.path.split('?').next()?;
        if let Some(file) = path.strip_prefix("/signed/") {
            return Some((self.signed(options, file, incoming), false));
        }
        let path = path.strip_prefix("/v1/accounts")?;
        if path.is_empty() {
            return Some((Outgoing::json(200, &json!({"accounts": [{"name": ACCOUNT}], "totalSize": 1})), false));
        }
        let path = path.strip_prefix("/ours/")?;
        let (collection, id) = path.split_once('/').unwrap_or((path, ""));
        let (id, verb) = id.split_once(':').unwrap_or((id, ""));
        let kind = match (incoming.method.as_str(), collection, id, verb) {
            ("POST", "datasets", "", "") => "dataset",
            ("POST", "datasets", _, "upload") => "upload",
            ("GET", "datasets", _, "getDownloadEndpoint") => "content",
            ("GET", "datasets", _, "") => "dataset_look",
            ("DELETE", "datasets", ..) => "delete",
            ("POST", "batchInferenceJobs", "", "") => "create",
            ("GET", "batchInferenceJobs", "", "") => "list",
            ("GET", "batchInferenceJobs", _, "") => "look",
            ("DELETE", "batchInferenceJobs", ..) => "cancel",
            _ => return Some((absent(), false)),
        };
        let nth = self.calls.entry(kind).or_default();
        let call = BatchCall { kind, nth: *nth };
        *nth += 1;
        let fault = (options.calls)(&call);
        match fault {
            Some(CallFault::Status(code)) => return Some((refused(code, 13, "not now"), false)),
            Some(CallFault::Says(code, _, words)) => return Some((refused(code, 13, words), false)),
            Some(CallFault::Reset) => return Some((refused(500, 13, ""), true)),
            Some(CallFault::ServedAndReset) | None => {}
        }
        let key = incoming.headers.get("authorization").cloned().unwrap_or_default();
        let outgoing = match kind {
            "dataset" => self.create_dataset(incoming),
            "upload" => self.upload_dataset(options, id, incoming),
            "content" => self.addresses(options, id, incoming),
            "dataset_look" => self.look_at_dataset(options, id),
            "delete" => {
                self.removed.push(id.to_owned());
                if self.files.remove(id).is_some() { Outgoing::json(200, &json!({})) } else { absent() }
            }
            "create" => self.create_job(options, incoming, &key),
            "list" => self.list_jobs(options, &incoming.path, &key),
            _ => {
                let found =
                    self.created.iter_mut().find(|job| job.id == id && job.key == key && !is_deleted(job, options));
                match found {
                    None => absent(),
                    Some(job) if kind == "cancel" => {
                        job.cancelled.get_or_insert_with(Instant::now);
                        Outgoing::json(200, &json!({}))
                    }
                    Some(job) => Outgoing::json(200, &show(&job.clone(), options)),
                }
            }
        };
        Some((outgoing, matches!(fault, Some(CallFault::ServedAndReset))))
    }

    fn create_dataset(&mut self, incoming: &Incoming) -> Outgoing {
        let body: Value = serde_json::from_slice(&incoming.body).unwrap_or_default();
        let id = body["datasetId"].as_str().unwrap_or_default().to_owned();
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let count = body["dataset"]["exampleCount"].as_str().and_then(|count| count.parse::<u64>().ok());
        if !(1..=63).contains(&id.len())
            || !id.bytes().all(letters)
            || !body["dataset"]["userUploaded"].is_object()
            || count.is_none()
        {
            return refused(400, 3, "invalid dataset");
        }
        if self.files.contains_key(&id) {
            return refused(409, 6, "the dataset already exists");
        }
        self.files.insert(id.clone(), ("UPLOADING".to_owned(), Arc::default()));
        Outgoing::json(200, &dataset(&id, "UPLOADING"))
    }

    fn upload_dataset(&mut self, options: &BatchOptions, id: &str, incoming: &Incoming) -> Outgoing {
        let Some((state, bytes)) = self.files.get_mut(id) else { return absent() };
        if state != "UPLOADING" {
            return refused(400, 9, "the dataset is already uploaded");
        }
        let Some(file) = form_of(incoming).and_then(|parts| parts.into_iter().find(|(name, _)| name == "file")) else {
            return refused(400, 3, "no file");
        };
        if file.1.len() > options.bytes {
            return refused(413, 3, "the file is too large");
        }
        *bytes = Arc::new(file.1);
        "READY".clone_into(state);
        self.uploaded.insert(id.to_owned(), Instant::now());
        let size = bytes.len();
        Outgoing::json(
            200,
            &json!({"id": format!("{ACCOUNT}/datasets/{id}"), "object": "file", "bytes": size, "purpose": "dataset"}),
        )
    }

    /// Shows a dataset: one that was uploaded is ready a little later.
    fn look_at_dataset(&self, options: &BatchOptions, id: &str) -> Outgoing {
        let Some((state, _)) = self.files.get(id) else { return absent() };
        let is_early =
            self.uploaded.get(id).is_some_and(|at| at.elapsed() < options.list_lag.min(Duration::from_millis(30)));
        Outgoing::json(200, &dataset(id, if is_early { "UPLOADING" } else { state }))
    }

    fn addresses(&self, options: &BatchOptions, id: &str, incoming: &Incoming) -> Outgoing {
        let host = incoming.headers.get("host").cloned().unwrap_or_default();
        let address = |file: &str| format!("http://{host}/signed/{id}/{file}?{SIGNATURE}");
        let files = if self.files.contains_key(id) {
            vec!["input.jsonl"]
        } else if self.output(options, id).is_some() {
            vec!["BIJOutputSet.jsonl", "error-data"]
        } else {
            return absent();
        };
        let files: serde_json::Map<String, Value> =
            files.into_iter().map(|file| (format!("dataset/{id}/{file}"), address(file).into())).collect();
        Outgoing::json(200, &json!({"filenameToSignedUrls": files}))
    }

    /// The job whose output a dataset is, once there is some.
    fn output(&self, options: &BatchOptions, id: &str) -> Option<&Created> {
        let job = self.created.iter().find(|job| job.metadata["output"] == *id)?;
        (is_over(job, options) && !job.is_gone && !matches!(job.fate, Fate::Failed(..))).then_some(job)
    }

    fn signed(&self, options: &BatchOptions, file: &str, incoming: &Incoming) -> Outgoing {
        if incoming.headers.contains_key("authorization") || !incoming.path.contains(SIGNATURE) {
            return refused(400, 3, "a key, or no signature");
        }
        let (id, file) = file.split_once('/').unwrap_or((file, ""));
        if let Some((_, bytes)) = self.files.get(id) {
            return Outgoing::of(200, "application/octet-stream", bytes.to_vec());
        }
        let Some(job) = self.output(options, id) else { return absent() };
        let (answers, errors) = results(job, options);
        let lines = if file == "error-data" { errors } else { answers };
        let bytes = lines.into_iter().flat_map(|line| (line + "\n").into_bytes()).collect();
        Outgoing::of(200, "application/octet-stream", bytes)
    }

    fn create_job(&mut self, options: &BatchOptions, incoming: &Incoming, key: &str) -> Outgoing {
        let body: Value = serde_json::from_slice(&incoming.body).unwrap_or_default();
        let id = query_of(&incoming.path, "batchInferenceJobId").unwrap_or_default();
        if id.is_empty() || body["model"].as_str().is_none() {
            return refused(400, 3, "no name or model");
        }
        if self.created.iter().any(|job| job.id == id) {
            return refused(409, 6, "the job already exists");
        }
        let last =
            |name: &str| body[name].as_str().and_then(|name| name.rsplit('/').next()).unwrap_or_default().to_owned();
        let (input, output, continued) =
            (last("inputDatasetId"), last("outputDatasetId"), last("continuedFromJobName"));
        let (lines, complaint) = if continued.is_empty() {
            match self.files.get(&input) {
                Some((state, bytes)) if state == "READY" => lines_of(bytes, &body),
                _ => return refused(400, 9, "the dataset is not ready"),
            }
        } else {
            let before = self.created.iter().find(|job| job.id == continued);
            match before.map(|job| (job.fate.clone(), job)) {
                Some((Fate::Expired(done), job)) if is_over(job, options) => (left_by(job, done), None),
                _ => return refused(400, 9, "that job has not expired"),
            }
        };
        let ordinal = self.created.len();
        let fate =
            complaint.map_or_else(|| (options.fates)(ordinal), |(words, line)| Fate::Failed("", words, Some(line)));
        let lines = if matches!(fate, Fate::Failed(..)) { Vec::new() } else { lines };
        let job = Created {
            id,
            input,
            lines: Arc::new(lines),
            metadata: json!({"job": body, "output": output}),
            fate,
            cancelled: None,
            at: Instant::now(),
            key: key.to_owned(),
            ordinal,
            is_gone: false,
        };
        let shown = show(&job, options);
        self.created.push(job);
        Outgoing::json(200, &shown)
    }

    fn list_jobs(&self, options: &BatchOptions, path: &str, key: &str) -> Outgoing {
        let number = |name: &str| query_of(path, name).and_then(|text| text.parse::<usize>().ok());
        // Pages are short, whatever is asked for.
        let (after, size) = (number("pageToken").unwrap_or(0), number("pageSize").unwrap_or(50).min(2));
        let seen: Vec<&Created> = self
            .created
            .iter()
            .filter(|job| job.at.elapsed() >= options.list_lag && job.key == key && !is_deleted(job, options))
            .rev()
            .collect();
        let page: Vec<Value> = seen.iter().skip(after).take(size).map(|job| show(job, options)).collect();
        let next = if seen.len() > after + size { (after + size).to_string() } else { String::new() };
        Outgoing::json(200, &json!({"batchInferenceJobs": page, "nextPageToken": next, "totalSize": seen.len()}))
    }
}

/// Says whether a job that was deleted is not shown any more.
fn is_deleted(job: &Created, options: &BatchOptions) -> bool {
    job.cancelled.is_some() && is_over(job, options)
}

fn dataset(id: &str, state: &str) -> Value {
    json!({
        "name": format!("{ACCOUNT}/datasets/{id}"), "state": state, "userUploaded": {}, "format": "FORMAT_UNSPECIFIED",
        "status": {"code": "OK", "message": ""},
    })
}

fn show(job: &Created, options: &BatchOptions) -> Value {
    let share = job.at.elapsed().as_secs_f64() / options.takes.as_secs_f64().max(1e-9);
    let state = match (&job.fate, job.cancelled.is_some(), is_over(job, options)) {
        (_, true, _) => "DELETING_CLEANING_UP",
        (Fate::Failed(..), _, true) => "FAILED",
        (Fate::Expired(_), _, true) => "EXPIRED",
        (_, _, true) => "COMPLETED",
        (Fate::NeverBegins, ..) => "PENDING",
        _ if share < 0.25 => "VALIDATING",
        _ if share < 0.5 => "PENDING",
        _ if share < 0.75 => "RUNNING",
        _ => "WRITING_RESULTS",
    };
    let status = match &job.fate {
        Fate::Failed(_, words, line) if state == "FAILED" => {
            let place = line.map(|line| format!(" on input.jsonl:{line}")).unwrap_or_default();
            json!({"code": "INVALID_ARGUMENT", "message": format!("Dataset has a syntax error: chat dataset validation failed{place}: {words}")})
        }
        _ => json!({"code": "OK", "message": ""}),
    };
    let time = |seconds: i64| jiff::Timestamp::from_second(seconds).unwrap().to_string();
    let created = unix(job.at);
    let done = if is_over(job, options) { job.lines.len() } else { 0 };
    let sent = &job.metadata["job"];
    json!({
        "name": format!("{ACCOUNT}/batchInferenceJobs/{}", job.id), "displayName": sent["displayName"], "state": format!("JOB_STATE_{state}"),
        "status": status, "model": sent["model"], "inputDatasetId": sent["inputDatasetId"], "outputDatasetId": sent["outputDatasetId"],
        "inferenceParameters": sent["inferenceParameters"], "continuedFromJobName": sent["continuedFromJobName"].as_str().unwrap_or_default(),
        "createTime": time(created), "expireTime": time(created + 86_400), "precision": "PRECISION_UNSPECIFIED",
        "jobProgress": {"totalInputRequests": job.lines.len(), "totalProcessedRequests": done},
    })
}

/// The lines that an expired job did not come to.
fn left_by(job: &Created, done: usize) -> Vec<Line> {
    let mut order: Vec<Line> = job.lines.to_vec();
    order.sort_by_key(|line| blake3::hash(line.body.as_slice()).to_hex().to_string());
    order.split_off(done.min(order.len()))
}

/// Reads a dataset, and finds what Fireworks would complain of: words and the line.
fn lines_of(bytes: &[u8], job: &Value) -> (Vec<Line>, Option<(&'static str, u64)>) {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wire<'a> {
        custom_id: String,
        #[serde(borrow)]
        body: &'a RawValue,
    }
    let (mut lines, mut ids) = (Vec::new(), BTreeSet::new());
    for (n, line) in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        let at = n as u64 + 1;
        let Ok(wire) = serde_json::from_slice::<Wire<'_>>(line) else { return (lines, Some(("no line", at))) };
        if !ids.insert(wire.custom_id.clone()) {
            return (lines, Some(("the custom_id is there twice", at)));
        }
        let body: Value = serde_json::from_str(wire.body.get()).unwrap();
        let told = &job["inferenceParameters"];
        if body["model"] != job["model"]
            || body["max_tokens"] != told["maxTokens"]
            || body["temperature"].as_f64() != told["temperature"].as_f64()
        {
            return (lines, Some(("it is not what the job says", at)));
        }
        lines.push(Line { custom_id: wire.custom_id, body: wire.body.get().as_bytes().to_vec() });
    }
    (lines, None)
}

/// The lines of the output and of the errors: in no order, and with what the script does to them.
fn results(job: &Created, options: &BatchOptions) -> (Vec<String>, Vec<String>) {
    let (mut answers, mut errors) = (Vec::new(), Vec::new());
    for ended in ended_of(job, options, Dialect::Chat) {
        let line = |custom_id: &str, text: &str| {
            json!({"custom_id": custom_id, "response": Dialect::Chat.answer(&ended.made(text))}).to_string()
        };
        let good = line(ended.custom_id, &ended.text);
        match &ended.fault {
            None => answers.push(good),
            // What it did not come to is in neither.
            Some(ResultFault::Missing | ResultFault::Expired) => {}
            Some(ResultFault::Twice) => answers.extend([good.clone(), good]),
            Some(ResultFault::TwiceDifferently) => {
                answers.extend([good, line(ended.custom_id, &format!("{} or not", ended.text))]);
            }
            Some(ResultFault::Unknown) => answers.push(line("somebody-elses", &ended.text)),
            Some(ResultFault::Status(code) | ResultFault::StatusWithoutError(code)) => {
                let error = json!({"code": code, "message": "it went wrong"});
                errors.push(json!({"custom_id": ended.custom_id, "error": error}).to_string());
            }
            Some(ResultFault::NoJson) => answers.push(good[..good.len() / 2].to_owned()),
        }
    }
    (answers, errors)
}
