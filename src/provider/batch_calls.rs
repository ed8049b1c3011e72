use std::fmt::Write as _;
use std::io::{self, Read, Write};

use serde_json::Value;

use super::batch_service::{BatchTicket, BatchTrouble, BatchTroubleKind};
use super::http::{Call, Reply};
use super::lines::Lines;
use super::online::complaint_of;
use super::verdict::{of_failure, of_status};
use super::{Advice, Given, Line, Online, RateLimits, Redaction, SendFailure, Trouble, json};
use crate::request::{Billed, Circumstances, FailureCode, Outcome};

/// Makes calls about batches with the key, headers and timeouts of who answers, and says what their troubles mean.
pub(super) struct Calls {
    online: Online,
}

/// Says where a file can be fetched.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'u> {
    /// At the provider's own address, with the key.
    Own(&'u str),
    /// At an address that lets anybody in for a while, whoever's it is: it is told no key, and is not shown whole.
    Signed(&'u str),
}

impl Place<'_> {
    /// Returns the address as it may be shown.
    fn shown(&self) -> &str {
        match self {
            Self::Own(url) => url,
            Self::Signed(url) => url.split('?').next().unwrap_or_default(),
        }
    }
}

/// Returns a member that is a text.
pub(super) fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

/// Returns the `id` of a thing.
pub(super) fn id_in(value: &Value) -> Option<String> {
    text(value, "id").filter(|id| !id.is_empty())
}

/// Reads a time, a number or RFC 3339, as seconds since 1970.
pub(super) fn seconds(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64)),
        Value::String(text) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second),
        _ => None,
    }
}

/// Hashes the key that somebody is asked with, and what names an organisation or project, with a salt.
pub(super) fn account(online: &Online, salt: &str) -> String {
    let settings = online.settings();
    let mut hasher = blake3::Hasher::new_derive_key("exp 2026-11 account");
    let names = ["openai-organization", "openai-project", "anthropic-workspace"];
    let headers = settings.headers.iter().filter(|(name, _)| names.contains(&name.to_ascii_lowercase().as_str()));
    let key = settings.key.as_ref().map(super::Secret::expose).unwrap_or_default();
    for part in [salt, key].into_iter().chain(headers.flat_map(|(name, value)| [name.as_str(), value.as_str()])) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

type Result<T> = std::result::Result<T, BatchTrouble>;

impl Calls {
    pub fn new(online: Online) -> Self {
        Self { online }
    }

    pub fn online(&self) -> &Online {
        &self.online
    }

    pub fn get(&self, line: &mut Line, url: &str) -> Result<Value> {
        let call = self.online.call(url, None, None);
        let sent = self.online.client(line).send(&call);
        self.value(url, sent)
    }

    pub fn post(&self, line: &mut Line, url: &str, body: &Value) -> Result<Value> {
        let call = self.online.call(url, None, Some(body.to_string()));
        let sent = self.online.client(line).send(&call);
        self.value(url, sent)
    }

    /// Sends a body from a reader.
    pub fn post_from(&self, line: &mut Line, url: &str, kind: &str, size: u64, body: &mut dyn Read) -> Result<Value> {
        let mut call = self.online.call(url, None, None);
        call.headers.insert("content-type".to_owned(), kind.to_owned());
        let sent = self.online.client(line).send_from(&call, size, body);
        self.value(url, sent)
    }

    pub fn post_nothing(&self, line: &mut Line, url: &str) -> Result<Value> {
        let call = Call { body: Some(Vec::new()), ..self.online.call(url, None, None) };
        let sent = self.online.client(line).send(&call);
        self.value(url, sent)
    }

    pub fn delete(&self, line: &mut Line, url: &str) -> Result<()> {
        let call = Call { is_delete: true, ..self.online.call(url, None, None) };
        let sent = self.online.client(line).send(&call);
        match self.reply(url, sent) {
            Err(trouble) if trouble.kind == BatchTroubleKind::Absent => Ok(()),
            other => other.map(drop),
        }
    }

    /// Sends a file as a form (RFC 7578).
    pub fn send_file(
        &self,
        line: &mut Line,
        url: &str,
        ticket: BatchTicket<'_>,
        fields: &[(&str, &str)],
        file_name: &str,
        input: &mut dyn Read,
    ) -> Result<Value> {
        // The name is random: it stands in no prompt.
        let boundary = format!("exp-{}-{}", ticket.name, &ticket.key[..16]);
        let mut before = String::new();
        for (name, value) in fields {
            // Writing to a string cannot fail.
            let _ =
                write!(before, "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        let _ = write!(
            before,
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file_name}\"\r\n\
             Content-Type: application/jsonl\r\n\r\n"
        );
        let after = format!("\r\n--{boundary}--\r\n");
        let size = before.len() as u64 + ticket.size + after.len() as u64;
        let mut body = before.as_bytes().chain(input).chain(after.as_bytes());
        self.post_from(line, url, &format!("multipart/form-data; boundary={boundary}"), size, &mut body)
    }

    /// Writes the lines of a file at the provider, without the keys in them.
    pub fn fetch_lines(&self, line: &mut Line, file: Place<'_>, into: &mut dyn Write) -> Result<()> {
        let redaction = self.redaction().clone();
        let mut failed = None;
        let fetched = self.visit_lines(line, file, &mut |text| {
            let mut text = redaction.keys(text.to_vec(), false);
            text.push(b'\n');
            into.write_all(&text).inspect_err(|error| failed = Some(error.to_string()))
        });
        match failed {
            Some(why) => Err(BatchTrouble {
                kind: BatchTroubleKind::Stopped,
                may_have_arrived: false,
                after: None,
                why: format!("the results cannot be kept: {why}"),
            }),
            None => fetched,
        }
    }

    /// Visits the `custom_id`s of a file at the provider.
    pub fn visit_custom_ids(&self, line: &mut Line, file: Place<'_>, visit: &mut dyn FnMut(&str)) -> Result<()> {
        #[derive(serde::Deserialize)]
        struct Wire {
            custom_id: String,
        }
        self.visit_lines(line, file, &mut |text| {
            if let Ok(Wire { custom_id }) = serde_json::from_slice(text) {
                visit(&custom_id);
            }
            Ok(())
        })
    }

    fn visit_lines(
        &self,
        line: &mut Line,
        file: Place<'_>,
        visit: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<()> {
        let call = match file {
            Place::Own(url) => self.online.call(url, None, None),
            Place::Signed(url) => Call { url: url.to_owned(), ..Call::default() },
        };
        let mut lines = Lines::new(visit);
        let sent = self.online.client(line).send_into(&call, &mut lines);
        self.reply(file.shown(), sent)?;
        lines.end().map_err(|error| self.unreadable(file.shown(), &error.to_string()))
    }

    fn value(&self, url: &str, sent: std::result::Result<Reply, SendFailure>) -> Result<Value> {
        let reply = self.reply(url, sent)?;
        json::parse(&reply.body).map(|(value, _)| value).map_err(|_| self.unreadable(url, "no JSON"))
    }

    /// Says what a call came to.
    fn reply(&self, url: &str, sent: std::result::Result<Reply, SendFailure>) -> Result<Reply> {
        let trouble = |kind, may_have_arrived, after, why: &str| {
            let why = self.redaction().sentence(why);
            BatchTrouble { kind, may_have_arrived, after, why }
        };
        let whom = self.online.whom(url, "");
        let name = whom.provider;
        match sent {
            Ok(reply) if (200..300).contains(&reply.status) => Ok(reply),
            Ok(reply) => {
                let complaint = complaint_of(&reply.body);
                let verdict = of_status(reply.status, &complaint, &reply, whom, self.online.now());
                let note = verdict.note.unwrap_or_default();
                let why = format!("`{name}`: {url}: {note}");
                let said = super::batch_service::BatchComplaint {
                    code: complaint.code.clone().unwrap_or_default(),
                    message: complaint.message.clone(),
                    line: None,
                };
                Err(match verdict.advice {
                    _ if matches!(reply.status, 403 | 404 | 410) => {
                        trouble(BatchTroubleKind::Absent, false, None, &why)
                    }
                    Advice::StopProvider { why } => trouble(BatchTroubleKind::Stopped, false, None, &why),
                    _ if said.is_about_quota() && reply.status != 429 => {
                        trouble(BatchTroubleKind::Quota, false, None, &why)
                    }
                    Advice::Retry { after, .. } => {
                        let is_uncertain = verdict.billed == Some(Billed::Uncertain);
                        let kind = if said.is_about_quota() && complaint.says(&["enqueued"]) {
                            BatchTroubleKind::Quota
                        } else {
                            BatchTroubleKind::Passing
                        };
                        trouble(kind, is_uncertain, after, &why)
                    }
                    Advice::Keep => trouble(BatchTroubleKind::Refused, false, None, &why),
                })
            }
            Err(failure) => {
                let arrived = failure.may_have_arrived;
                let why = format!("`{name}`: {url}: {}", failure.why);
                Err(match of_failure(&failure, whom).advice {
                    Advice::StopProvider { why } => trouble(BatchTroubleKind::Stopped, arrived, None, &why),
                    _ if failure.trouble == Trouble::TooLarge => {
                        trouble(BatchTroubleKind::Refused, arrived, None, &why)
                    }
                    _ => trouble(BatchTroubleKind::Passing, arrived, None, &why),
                })
            }
        }
    }

    /// Makes the trouble of a good response that does not hold what it should: the call may have done its work.
    pub fn unreadable(&self, url: &str, what: &str) -> BatchTrouble {
        let name = &self.online.settings().name;
        let why = format!("`{name}`: {url} answered with what cannot be read: {what}");
        BatchTrouble { kind: BatchTroubleKind::Passing, may_have_arrived: true, after: None, why }
    }

    fn redaction(&self) -> &Redaction {
        self.online.redaction()
    }

    /// Reads a response that stood in the results: what it would have meant had it come by itself.
    pub fn given(&self, status: u16, body: &[u8]) -> Given {
        let mut given = self.online.delivered("", status, body.to_vec());
        given.circumstances.bought = Some("batch".to_owned());
        if matches!(given.outcome, Outcome::Failure(_)) {
            given.raw = self.redaction().all(given.raw, false);
        }
        given
    }

    /// Makes what became of a request that the provider never came to: it was not charged, and may be asked again.
    pub fn unanswered(&self, code: FailureCode, said: &Value, line: &[u8]) -> Given {
        let note = said.get("message").and_then(Value::as_str).unwrap_or("the batch ended before it was answered");
        let circumstances = Circumstances {
            billed: Some(Billed::No),
            bought: Some("batch".to_owned()),
            note: Some(self.redaction().sentence(note)),
            ..Circumstances::default()
        };
        let advice = Advice::Retry { after: None, overloaded: false };
        let raw = self.redaction().all(line.to_vec(), false);
        Given { outcome: Outcome::Failure(code), circumstances, raw, advice, limits: RateLimits::default() }
    }

    /// Reads the report of an error that stood in the results without a status: as the status that its word stands for.
    pub fn complained(&self, error: &Value) -> Given {
        let word = text(error, "type").or_else(|| text(error, "code")).unwrap_or_default();
        let status = match word.as_str() {
            "invalid_request_error" | "invalid_request" => 400,
            "authentication_error" => 401,
            "billing_error" => 402,
            "permission_error" => 403,
            "not_found_error" => 404,
            "request_too_large" => 413,
            "rate_limit_error" | "rate_limit_exceeded" => 429,
            "timeout_error" => 504,
            "overloaded_error" => 529,
            _ => 500,
        };
        self.given(status, serde_json::json!({"error": error}).to_string().as_bytes())
    }
}
