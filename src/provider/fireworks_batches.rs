//! Fireworks' batch inference jobs: a dataset goes in, another comes out, and the names of both and of the job are ours.

use std::io::{Read, Write};
use std::sync::OnceLock;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::batch_calls::{Calls, Place, seconds, text};
use super::batch_service::{
    BatchComplaint, BatchLimits, BatchResult, BatchService, BatchTicket, BatchTrouble, BatchTroubleKind, Framing,
    Recognition, RemoteBatch, RemotePhase, unfit_for_batch,
};
use super::{Line, Online, Protocol, wire_body};
use crate::request::{Decoding, DrawAddress, FailureCode, Request};

/// Takes batches as Fireworks does.
pub struct FireworksBatches {
    calls: Calls,
    /// The account that jobs and datasets are in; where nobody says which, the only one that the key opens.
    account: OnceLock<String>,
}

/// Begins the names of our datasets and jobs.
const OURS: &str = "exp-";
/// Ends the name of a job's output.
const OUT: &str = "-out";
/// Is how many digits of the hash of a batch's draws its name has.
const DIGITS: usize = 24;

impl FireworksBatches {
    /// Takes batches where these requests would be asked one by one, in an account.
    pub fn new(online: Online, account: Option<String>) -> Self {
        Self { calls: Calls::new(online), account: account.map(OnceLock::from).unwrap_or_default() }
    }

    /// Returns the address that jobs and datasets are below: it is not where requests are sent.
    fn root(&self) -> &str {
        let base = &self.calls.online().settings().base_url;
        base.strip_suffix("/inference/v1").or_else(|| base.strip_suffix("/v1")).unwrap_or(base)
    }

    fn account_id(&self, line: &mut Line) -> Result<&str, BatchTrouble> {
        if let Some(account) = self.account.get() {
            return Ok(account);
        }
        let url = format!("{}/v1/accounts?pageSize=200", self.root());
        let value = self.calls.get(line, &url)?;
        let listed = value.get("accounts").and_then(Value::as_array).into_iter().flatten();
        let mut names: Vec<String> = listed.filter_map(|account| last_of(account, "name")).collect();
        match (names.pop(), names.is_empty()) {
            (Some(only), true) => Ok(self.account.get_or_init(|| only)),
            (found, _) => {
                let many = if found.is_none() { "no account" } else { "several accounts" };
                Err(BatchTrouble {
                    kind: BatchTroubleKind::Stopped,
                    may_have_arrived: false,
                    after: None,
                    why: format!(
                        "`{}`: the key opens {many}: set {ACCOUNT_VARIABLE} to the id of the one that batches are to be in",
                        self.calls.online().settings().name
                    ),
                })
            }
        }
    }

    fn url(&self, line: &mut Line, path: &str) -> Result<String, BatchTrouble> {
        let account = self.account_id(line)?;
        Ok(format!("{}/v1/accounts/{account}/{path}", self.root()))
    }

    fn get(&self, line: &mut Line, path: &str) -> Result<(String, Value), BatchTrouble> {
        let url = self.url(line, path)?;
        let value = self.calls.get(line, &url)?;
        Ok((url, value))
    }

    /// Names a batch by what it holds, and by how many there were here of the same before.
    fn name_of(ticket: &BatchTicket<'_>) -> String {
        format!("{OURS}{}-{}", &ticket.key[..DIGITS], ticket.ordinal)
    }

    fn remote(value: &Value) -> Option<RemoteBatch> {
        let id = last_of(value, "name")?;
        let status = text(value, "state")?.trim_start_matches("JOB_STATE_").to_ascii_lowercase();
        let phase = match status.as_str() {
            "completed" | "failed" | "expired" | "cancelled" | "early_stopped" => RemotePhase::Ended,
            "running" | "writing_results" | "re_queueing" | "cancelling" | "deleting" | "deleting_cleaning_up" => {
                RemotePhase::Running
            }
            _ => RemotePhase::Waiting,
        };
        let progress = value.get("jobProgress").unwrap_or(&Value::Null);
        let count = |name: &str| progress.get(name).and_then(Value::as_u64);
        let said = value.get("status").and_then(|status| text(status, "message")).filter(|text| !text.is_empty());
        Some(RemoteBatch {
            tag: text(value, "displayName").filter(|name| id.starts_with(OURS) && !name.is_empty()),
            id,
            phase,
            input: last_of(value, "inputDatasetId"),
            outputs: last_of(value, "outputDatasetId").into_iter().collect(),
            requests: count("totalInputRequests").filter(|total| *total > 0),
            finished: count("totalProcessedRequests"),
            created_at: seconds(value.get("createTime")),
            expires_at: seconds(value.get("expireTime")).filter(|_| phase != RemotePhase::Ended),
            complaints: said.filter(|_| status == "failed").map(complaint).into_iter().collect(),
            status,
        })
    }

    fn job(&self, url: &str, value: &Value) -> Result<RemoteBatch, BatchTrouble> {
        Self::remote(value).ok_or_else(|| self.calls.unreadable(url, "no job"))
    }

    /// Lists the addresses that a dataset's files can be fetched from for a while, without a key.
    fn files(&self, line: &mut Line, dataset: &str) -> Result<Vec<String>, BatchTrouble> {
        let (url, value) = self.get(line, &format!("datasets/{dataset}:getDownloadEndpoint"))?;
        let Some(files) = value.get("filenameToSignedUrls").and_then(Value::as_object) else {
            return Err(self.calls.unreadable(&url, "no addresses of files"));
        };
        Ok(files.values().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Says whether a dataset can be used; `None`: there is none of that name.
    fn is_ready(&self, line: &mut Line, id: &str) -> Result<Option<bool>, BatchTrouble> {
        match self.get(line, &format!("datasets/{id}")) {
            Ok((_, value)) => Ok(Some(text(&value, "state").as_deref() == Some("READY"))),
            Err(BatchTrouble { kind: BatchTroubleKind::Absent, .. }) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }
}

/// Is the variable that names the account, as with the predecessor.
pub const ACCOUNT_VARIABLE: &str = "FIREWORKS_ACCOUNT_ID";

/// Returns the last part of a resource's name.
fn last_of(value: &Value, name: &str) -> Option<String> {
    let name = text(value, name)?;
    name.rsplit('/').next().filter(|last| !last.is_empty()).map(str::to_owned)
}

/// Reads why a job was refused, which names a line as `….jsonl:LINE:`.
fn complaint(message: String) -> BatchComplaint {
    let after = message.split_once(".jsonl:").map(|(_, rest)| rest);
    let line = after.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    BatchComplaint { code: "failed".to_owned(), message, line }
}

/// Writes what a job is told of the sampler, as it stands in the lines too.
fn parameters(decoding: &Decoding) -> Value {
    let mut parameters = serde_json::Map::new();
    let number = |decimal: crate::digest::Decimal| serde_json::from_str::<Value>(&decimal.to_string()).ok();
    let known = [
        ("maxTokens", decoding.max_output_tokens.map(Value::from)),
        ("temperature", decoding.temperature.and_then(number)),
        ("topP", decoding.top_p.and_then(number)),
        ("topK", decoding.top_k.map(Value::from)),
    ];
    parameters.extend(known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    if !decoding.stop.is_empty() {
        parameters.insert("extraBody".to_owned(), json!({"stop": decoding.stop}).to_string().into());
    }
    Value::Object(parameters)
}

/// Is a line of results, or of errors.
#[derive(serde::Deserialize)]
struct ResultWire<'a> {
    custom_id: String,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Value>,
}

impl BatchService for FireworksBatches {
    fn online(&self) -> &Online {
        self.calls.online()
    }

    fn name(&self) -> &'static str {
        "fireworks"
    }

    /// A dataset may have 500 MB; what is sent in one call may have 150 MiB.
    fn limits(&self) -> BatchLimits {
        BatchLimits { requests: 1_000_000, bytes: 150 << 20, one_model: true, one_decoding: true }
    }

    fn recognition(&self) -> Recognition {
        Recognition::Name
    }

    fn framing(&self) -> Framing {
        Framing { before: "", between: "\n", after: "\n" }
    }

    fn line(&self, request: &Request, draw: &DrawAddress) -> Result<String, String> {
        if let Some(why) = unfit_for_batch(Protocol::Chat, request) {
            return Err(why);
        }
        let body = wire_body(&self.calls.online().settings().wire, request, draw);
        Ok(format!("{{\"custom_id\":\"{}\",\"body\":{body}}}", draw.custom_id()))
    }

    /// Makes the dataset, unless it is there already: the same name stands for the same requests. A job that goes on with another
    /// needs none.
    fn upload(
        &self,
        line: &mut Line,
        ticket: BatchTicket<'_>,
        input: &mut dyn Read,
    ) -> Result<Option<String>, BatchTrouble> {
        let id = Self::name_of(&ticket);
        if ticket.continues.is_some() {
            return Ok(Some(id));
        }
        let mut ready = self.is_ready(line, &id)?;
        if ready.is_none() {
            let dataset = json!({"displayName": id, "exampleCount": ticket.requests.to_string(), "userUploaded": {}});
            let url = self.url(line, "datasets")?;
            self.calls.post(line, &url, &json!({"datasetId": id, "dataset": dataset}))?;
            ready = Some(false);
        }
        if ready == Some(false) {
            let url = self.url(line, &format!("datasets/{id}:upload"))?;
            self.calls.send_file(line, &url, ticket, &[], &format!("{id}.jsonl"), input)?;
            if self.is_ready(line, &id)? != Some(true) {
                let why = format!("the dataset {id} is not ready yet");
                return Err(BatchTrouble {
                    kind: BatchTroubleKind::Passing,
                    may_have_arrived: false,
                    after: None,
                    why,
                });
            }
        }
        Ok(Some(id))
    }

    fn create(
        &self,
        line: &mut Line,
        ticket: BatchTicket<'_>,
        _: Option<&str>,
        _: &mut dyn Read,
    ) -> Result<RemoteBatch, BatchTrouble> {
        let id = Self::name_of(&ticket);
        let url = self.url(line, &format!("batchInferenceJobs?batchInferenceJobId={id}"))?;
        let account = self.account_id(line)?.to_owned();
        let dataset = |id: &str| format!("accounts/{account}/datasets/{id}");
        let mut body = json!({
            "model": ticket.sample.model, "displayName": ticket.name, "outputDatasetId": dataset(&format!("{id}{OUT}")),
            "inferenceParameters": parameters(&ticket.sample.decoding),
        });
        match ticket.continues {
            Some(job) => body["continuedFromJobName"] = format!("accounts/{account}/batchInferenceJobs/{job}").into(),
            None => body["inputDatasetId"] = dataset(&id).into(),
        }
        match self.calls.post(line, &url, &body) {
            Ok(value) => self.job(&url, &value),
            // One of that name is this one: it was created by a call whose answer never came.
            Err(trouble) => self.look(line, &id).map_err(|_| trouble),
        }
    }

    fn list(&self, line: &mut Line, since: i64) -> Result<Vec<RemoteBatch>, BatchTrouble> {
        let mut batches = Vec::new();
        let mut token = String::new();
        loop {
            let page = if token.is_empty() { String::new() } else { format!("&pageToken={token}") };
            let (_, value) = self.get(line, &format!("batchInferenceJobs?pageSize=200{page}"))?;
            let jobs = value.get("batchInferenceJobs").and_then(Value::as_array).into_iter().flatten();
            let jobs = jobs.filter_map(Self::remote);
            batches.extend(jobs.filter(|job| job.created_at.is_none_or(|at| at >= since)));
            match text(&value, "nextPageToken").filter(|next| !next.is_empty() && *next != token) {
                Some(next) => token = next,
                None => return Ok(batches),
            }
        }
    }

    fn look(&self, line: &mut Line, id: &str) -> Result<RemoteBatch, BatchTrouble> {
        let (url, value) = self.get(line, &format!("batchInferenceJobs/{id}"))?;
        self.job(&url, &value)
    }

    /// Deletes the job: there is no other way to end one.
    fn cancel(&self, line: &mut Line, id: &str) -> Result<(), BatchTrouble> {
        let url = self.url(line, &format!("batchInferenceJobs/{id}"))?;
        self.calls.delete(line, &url)
    }

    fn left_by_cancelling(&self, id: &str) -> Option<RemoteBatch> {
        Some(RemoteBatch {
            id: id.to_owned(),
            phase: RemotePhase::Ended,
            status: "cancelled".to_owned(),
            tag: None,
            input: None,
            outputs: vec![format!("{id}{OUT}")],
            requests: None,
            finished: None,
            created_at: None,
            expires_at: None,
            complaints: Vec::new(),
        })
    }

    fn goes_on_with_expired(&self) -> bool {
        true
    }

    fn contents(
        &self,
        line: &mut Line,
        batch: &RemoteBatch,
        visit: &mut dyn FnMut(&str),
    ) -> Result<bool, BatchTrouble> {
        let Some(input) = &batch.input else { return Ok(false) };
        let files = match self.files(line, input) {
            Ok(files) => files,
            Err(BatchTrouble { kind: BatchTroubleKind::Absent | BatchTroubleKind::Refused, .. }) => return Ok(false),
            Err(trouble) => return Err(trouble),
        };
        for file in files {
            self.calls.visit_custom_ids(line, Place::Signed(&file), visit)?;
        }
        Ok(true)
    }

    fn fetch(&self, line: &mut Line, batch: &RemoteBatch, into: &mut dyn Write) -> Result<(), BatchTrouble> {
        for dataset in &batch.outputs {
            let files = match self.files(line, dataset) {
                // What failed or was cancelled before it began has no output.
                Err(BatchTrouble { kind: BatchTroubleKind::Absent, .. }) if batch.status != "completed" => continue,
                files => files?,
            };
            for file in files {
                self.calls.fetch_lines(line, Place::Signed(&file), into)?;
            }
        }
        Ok(())
    }

    fn read(&self, line: &[u8]) -> Result<BatchResult, String> {
        let wire: ResultWire<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let error = wire.error.filter(|error| !error.is_null());
        let given = match (wire.response, error) {
            (_, Some(Value::String(message))) => self.calls.complained(&json!({"message": message})),
            (_, Some(error)) if text(&error, "code").is_some_and(|code| code.contains("expired")) => {
                self.calls.unanswered(FailureCode::Timeout, &error, line)
            }
            (_, Some(error)) => {
                match error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()) {
                    Some(code @ 400..=599) => self.calls.given(code, json!({"error": error}).to_string().as_bytes()),
                    _ => self.calls.complained(&error),
                }
            }
            (Some(response), None) => self.calls.given(200, response.get().as_bytes()),
            (None, None) => return Err("it holds neither a response nor an error".to_owned()),
        };
        Ok(BatchResult { custom_id: wire.custom_id, given })
    }

    fn remove(&self, line: &mut Line, file: &str) -> Result<(), BatchTrouble> {
        let url = self.url(line, &format!("datasets/{file}"))?;
        self.calls.delete(line, &url)
    }
}
