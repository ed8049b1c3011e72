use std::collections::BTreeMap;

use jiff::Timestamp;

use super::address::Address;
use super::http::{Call, Client, ClientSettings, Reply};
use super::reading::{Complaint, Reading, Unread};
use super::verdict::{Verdict, Whom, of_failure, of_late_complaint, of_malformed, of_status};
use super::wire::{Protocol, WireSettings, texts_of, wire_body};
use super::{
    Advice, Given, Line, LookError, Provider, RateLimits, Redaction, Secret, Served, anthropic, json, look, ollama,
    openai, responses,
};
use crate::flow::Clock;
use crate::request::{Circumstances, DrawAddress, Outcome, ProviderIdentity, Request};

/// Says whom an [`Online`] provider asks, and how.
#[derive(Clone, Debug)]
pub struct OnlineSettings {
    /// The identity that its requests carry.
    pub identity: ProviderIdentity,
    /// The provider's name in the config, for sentences.
    pub name: String,
    /// The address that paths are added to.
    pub base_url: String,
    /// How requests are written.
    pub wire: WireSettings,
    /// The key, if the provider takes one.
    pub key: Option<Secret>,
    /// The name of the variable that holds the key, for sentences.
    pub key_env: Option<String>,
    /// Headers that are not in the identity of requests.
    pub headers: BTreeMap<String, String>,
    /// Parameters of the address that are not in the identity of requests.
    pub query: BTreeMap<String, String>,
    /// The version of the protocol that Anthropic is told.
    pub anthropic_version: String,
    /// Whether the server is somebody's own: asked what it serves, since nobody else can know.
    pub is_own_server: bool,
    /// Whether it may be llama.cpp's server, which says more of itself than others.
    pub is_llama_cpp: bool,
    /// How requests are sent.
    pub client: ClientSettings,
}

/// Asks a server, one request after another on each thread.
#[derive(Clone)]
pub struct Online {
    settings: OnlineSettings,
    endpoint: String,
    redaction: Redaction,
    clock: Clock,
}

impl Online {
    /// Makes the provider; nothing is sent before it is asked. The error is one sentence: the address cannot be used.
    pub fn new(settings: OnlineSettings, clock: Clock) -> Result<Self, String> {
        let address = Address::read(&settings.base_url)
            .ok_or_else(|| format!("`{}` is no http address", Redaction::default().sentence(&settings.base_url)))?;
        let redaction = Redaction::new(&settings.key);
        Ok(Self { endpoint: address.endpoint(), redaction, clock, settings })
    }

    /// Returns the settings.
    pub(super) fn settings(&self) -> &OnlineSettings {
        &self.settings
    }

    /// Returns what takes keys out of texts.
    pub(super) fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// Reads a response that somebody else got for us, as if it had come over the network: nothing is sent.
    ///
    /// `status` is the HTTP status that is stated for it. Keys of ours do not stay in what is kept.
    pub fn delivered(&self, model: &str, status: u16, body: Vec<u8>) -> Given {
        let url = self.url();
        let body = self.redaction.keys(body, false);
        let reply = Reply { status, headers: BTreeMap::new(), body };
        let (verdict, mut circumstances) = self.judge(&reply, self.whom(&url, model));
        let verdict = self.cleaned(verdict);
        circumstances.note = verdict.note;
        circumstances.billed = verdict.billed;
        circumstances.http_status = Some(status);
        let limits = RateLimits::default();
        Given { outcome: verdict.outcome, circumstances, raw: reply.body, advice: verdict.advice, limits }
    }

    /// Returns the address of the call that answers.
    fn url(&self) -> String {
        let base = &self.settings.base_url;
        match self.settings.wire.protocol {
            Protocol::Chat => format!("{base}/chat/completions"),
            Protocol::Responses => format!("{base}/responses"),
            Protocol::Messages => format!("{}/v1/messages", base.strip_suffix("/v1").unwrap_or(base)),
            Protocol::Ollama => format!("{base}/api/chat"),
        }
    }

    /// Makes a call with the provider's headers, its key, and what the request adds to headers and address.
    pub(super) fn call(&self, url: &str, request: Option<&Request>, body: Option<String>) -> Call {
        let mut headers = BTreeMap::new();
        if body.is_some() {
            headers.insert("content-type".to_owned(), "application/json".to_owned());
        }
        headers.insert("accept".to_owned(), "application/json".to_owned());
        if self.settings.wire.protocol == Protocol::Messages {
            headers.insert("anthropic-version".to_owned(), self.settings.anthropic_version.clone());
        }
        let own = |part: &str| request.map(|request| texts_of(request, part)).unwrap_or_default();
        for (name, value) in own("headers").into_iter().chain(self.settings.headers.clone()) {
            headers.insert(name.to_ascii_lowercase(), value);
        }
        let query: Vec<String> = own("query")
            .into_iter()
            .chain(self.settings.query.clone())
            .map(|(name, value)| format!("{}={}", encoded(&name), encoded(&value)))
            .collect();
        let url = if query.is_empty() { url.to_owned() } else { format!("{url}?{}", query.join("&")) };
        let is_azure = [".openai.azure.com:", ".cognitiveservices.azure.com:", ".services.ai.azure.com:"];
        let key = self.settings.key.clone().map(|key| match self.settings.wire.protocol {
            Protocol::Messages => ("x-api-key", "", key),
            _ if is_azure.iter().any(|host| self.endpoint.contains(host)) => ("api-key", "", key),
            _ => ("authorization", "Bearer ", key),
        });
        // A header that the config gives for the same purpose would be sent twice.
        if let Some((name, ..)) = &key {
            headers.remove(*name);
        }
        Call { url, headers, key, body: body.map(String::into_bytes), is_delete: false }
    }

    /// Returns the client of a line.
    pub(super) fn client<'l>(&self, line: &'l mut Line) -> &'l mut Client {
        line.client(|| Client::new(self.settings.client.clone()))
    }

    /// Names whom a sentence is about.
    pub(super) fn whom<'w>(&'w self, url: &'w str, model: &'w str) -> Whom<'w> {
        Whom { provider: &self.settings.name, url, model, key_env: self.settings.key_env.as_deref() }
    }

    pub(super) fn now(&self) -> Option<Timestamp> {
        self.clock.now().parse().ok()
    }

    /// Reads a reply into a verdict and what else it tells.
    pub(super) fn judge(&self, reply: &Reply, whom: Whom<'_>) -> (Verdict, Circumstances) {
        let now = self.now();
        let nothing = Circumstances::default();
        if !(200..300).contains(&reply.status) {
            let complaint = complaint_of(&reply.body);
            return (of_status(reply.status, &complaint, reply, whom, now), nothing);
        }
        if reply.body.iter().all(u8::is_ascii_whitespace) {
            return (of_malformed("the body is empty", true), nothing);
        }
        let kind = reply.header("content-type").unwrap_or_default().to_ascii_lowercase();
        if !kind.is_empty() && !kind.contains("json") {
            let why = format!("the content type is `{}`", kind.split(';').next().unwrap_or_default().trim());
            return (of_malformed(&why, false), nothing);
        }
        let (value, replaced) = match json::parse(&reply.body) {
            Ok(parsed) => parsed,
            Err(error) if error.is_eof() => return (of_malformed("the body is cut off", true), nothing),
            Err(error) => return (of_malformed(&format!("the body is no JSON: {error}"), false), nothing),
        };
        let read = match self.settings.wire.protocol {
            Protocol::Chat => openai::read(&value),
            Protocol::Responses => responses::read(&value),
            Protocol::Messages => anthropic::read(&value),
            Protocol::Ollama => ollama::read(&value),
        };
        match read {
            Ok(Reading { answer, circumstances }) => {
                let surrogates = match replaced {
                    0 => None,
                    1 => Some("an unpaired surrogate became U+FFFD".to_owned()),
                    many => Some(format!("{many} unpaired surrogates became U+FFFD")),
                };
                let notes: Vec<String> = circumstances.note.clone().into_iter().chain(surrogates).collect();
                let note = (!notes.is_empty()).then(|| notes.join("; "));
                let verdict = Verdict { outcome: Outcome::Answer(answer), billed: None, advice: Advice::Keep, note };
                (verdict, circumstances)
            }
            Err(Unread::Complaint(complaint)) => (of_late_complaint(&complaint, reply, whom, now), nothing),
            Err(Unread::Malformed(why)) => (of_malformed(&why, false), nothing),
        }
    }

    /// Redacts what a provider made a sentence of.
    pub(super) fn cleaned(&self, verdict: Verdict) -> Verdict {
        let advice = match verdict.advice {
            Advice::StopProvider { why } => Advice::StopProvider { why: self.redaction.sentence(&why) },
            advice => advice,
        };
        Verdict { advice, note: verdict.note.map(|note| self.redaction.sentence(&note)), ..verdict }
    }
}

impl Provider for Online {
    fn identity(&self) -> &ProviderIdentity {
        &self.settings.identity
    }

    fn endpoint(&self) -> Option<&str> {
        Some(&self.endpoint)
    }

    fn open(&self) -> Line {
        Line::new(Client::new(self.settings.client.clone()))
    }

    fn look(&self, line: &mut Line, model: &str) -> Result<Option<Served>, LookError> {
        look::look(self, line, model).map_err(|error| LookError { why: self.redaction.sentence(&error.why), ..error })
    }

    fn answer(&self, line: &mut Line, request: &Request, draw: &DrawAddress) -> Given {
        let url = self.url();
        let whom = self.whom(&url, &request.model);
        let call = self.call(&url, Some(request), Some(wire_body(&self.settings.wire, request, draw)));
        let began = self.clock.monotonic();
        let sent = self.client(line).send(&call);
        let latency = self.clock.monotonic().saturating_sub(began);
        let (verdict, mut circumstances, raw, limits) = match sent {
            Ok(mut reply) => {
                let is_good = (200..300).contains(&reply.status);
                // Nobody but this line sees the body with a key in it; the answer is read from what is kept.
                let body = std::mem::take(&mut reply.body);
                reply.body = if is_good { self.redaction.keys(body, false) } else { self.redaction.all(body, false) };
                let (verdict, mut circumstances) = self.judge(&reply, whom);
                circumstances.http_status = Some(reply.status);
                let header = reply.header("x-request-id").or_else(|| reply.header("request-id"));
                if let Some(id) = header.filter(|id| id.len() <= 200) {
                    circumstances.request_id = Some(self.redaction.sentence(id));
                }
                let limits = RateLimits::read(&reply, self.now());
                let is_answer = matches!(verdict.outcome, Outcome::Answer(_));
                let raw = if is_answer || !is_good { reply.body } else { self.redaction.all(reply.body, false) };
                (verdict, circumstances, raw, limits)
            }
            Err(failure) => {
                let verdict = of_failure(&failure, whom);
                let circumstances = Circumstances { http_status: failure.status, ..Circumstances::default() };
                (verdict, circumstances, self.redaction.all(failure.partial, true), RateLimits::default())
            }
        };
        let verdict = self.cleaned(verdict);
        circumstances.note = verdict.note;
        circumstances.billed = verdict.billed;
        circumstances.latency_ms = Some(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX));
        circumstances.bought = Some("online".to_owned());
        Given { outcome: verdict.outcome, circumstances, raw, advice: verdict.advice, limits }
    }
}

/// Finds what a provider complains of in a body that may be anything.
pub(super) fn complaint_of(body: &[u8]) -> Complaint {
    let parsed = json::parse(body).ok().and_then(|(value, _)| {
        let message = json::text_at(&value, &["message"]).map(str::to_owned);
        Complaint::find(&value).or_else(|| Some(Complaint { message: message?, ..Complaint::default() }))
    });
    parsed.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(&body[..body.len().min(2000)]).into_owned();
        let is_page = text.trim_start().starts_with('<');
        Complaint { message: if is_page { "a page of HTML".to_owned() } else { text }, ..Complaint::default() }
    })
}

/// Writes a text for a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests;
