use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use super::StepError;
use crate::digest::RequestKey;
use crate::request::{Decoding, Message, ProviderIdentity, Recording, Request};

/// Names the format in the first line of a `requests` blob.
pub const REQUESTS_FORMAT: &str = "exp-requests/1";

/// Is the first line of a `requests` blob: what all its requests share.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    request: Shared,
    prefix: Vec<Message>,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Shared {
    provider: ProviderIdentity,
    model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    #[serde(default)]
    decoding: Decoding,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    draw_salt: Option<String>,
}

/// Is every further line: what is an item's own.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<S, M> {
    item: S,
    key: RequestKey,
    messages: M,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recording: Option<Recording>,
}

/// Is one request of a `requests` blob, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemRequest {
    /// The item's id.
    pub item: String,
    /// The request's identity, as build computed it.
    pub key: RequestKey,
    /// What is asked.
    pub request: Request,
}

/// Writes a `requests` blob: a header with what all requests share, then a line for each item.
pub struct RequestsWriter {
    out: Vec<u8>,
    request: Request,
    prefix: usize,
}

impl RequestsWriter {
    /// Starts a blob; the messages of `shared` are those that every request begins with.
    pub fn new(shared: Request) -> Result<Self, StepError> {
        let Request { provider, model, revision, messages, decoding, extra, draw_salt, .. } = shared.clone();
        let request = Shared { provider, model, revision, decoding, extra, draw_salt };
        let prefix = messages.len();
        let mut writer = Self { out: Vec::new(), request: shared, prefix };
        writer.line(&Header { format: REQUESTS_FORMAT.to_owned(), request, prefix: messages })?;
        Ok(writer)
    }

    /// Appends the request of an item: its messages after the shared ones, and its recording if it is replayed.
    pub fn push(&mut self, item: &str, rest: Vec<Message>, recording: Option<Recording>) -> Result<(), StepError> {
        self.request.messages.truncate(self.prefix);
        self.request.messages.extend(rest);
        self.request.recording = recording;
        let key = self.request.key();
        let recording = self.request.recording.take();
        let messages = self.request.messages.split_off(self.prefix);
        self.line(&Line { item, key, messages, recording })
    }

    /// Returns the blob.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    fn line(&mut self, line: &impl serde::Serialize) -> Result<(), StepError> {
        serde_json::to_writer(&mut self.out, line)
            .map_err(|source| StepError::Write { output: "requests".to_owned(), source: source.into() })?;
        self.out.push(b'\n');
        Ok(())
    }
}

/// Reads a `requests` blob one request at a time, in the order of the items.
pub struct RequestsReader<R: Read> {
    source: BufReader<R>,
    shared: Request,
    line: String,
}

fn unexpected(why: impl std::fmt::Display) -> StepError {
    StepError::Unexpected { blob: "requests".to_owned(), why: why.to_string() }
}

impl<R: Read> RequestsReader<R> {
    /// Reads the header.
    pub fn new(source: R) -> Result<Self, StepError> {
        let mut source = BufReader::new(source);
        let mut line = String::new();
        next_line(&mut source, &mut line)?;
        let header: Header = serde_json::from_str(&line).map_err(unexpected)?;
        if header.format != REQUESTS_FORMAT {
            return Err(unexpected(format!("its format is `{}`", header.format)));
        }
        let Shared { provider, model, revision, decoding, extra, draw_salt } = header.request;
        let messages = header.prefix;
        let shared = Request { provider, model, revision, messages, decoding, extra, recording: None, draw_salt };
        Ok(Self { source, shared, line })
    }

    /// Returns what all the requests share: who is asked, and the messages that each begins with.
    pub fn shared(&self) -> &Request {
        &self.shared
    }
}

fn next_line(source: &mut impl BufRead, line: &mut String) -> Result<usize, StepError> {
    line.clear();
    source.read_line(line).map_err(|source| StepError::Read { input: "requests".to_owned(), source: source.into() })
}

impl<R: Read> Iterator for RequestsReader<R> {
    type Item = Result<ItemRequest, StepError>;

    fn next(&mut self) -> Option<Self::Item> {
        match next_line(&mut self.source, &mut self.line) {
            Err(error) => Some(Err(error)),
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&self.line).map_err(unexpected).map(
                |Line { item, key, messages, recording }: Line<String, Vec<Message>>| {
                    // With no room to grow: all that a run asks can be in memory at once.
                    let mut whole = Vec::with_capacity(self.shared.messages.len() + messages.len());
                    whole.extend_from_slice(&self.shared.messages);
                    whole.extend(messages);
                    let request = Request { messages: whole, recording, ..self.shared.clone() };
                    ItemRequest { item, key, request }
                },
            )),
        }
    }
}
