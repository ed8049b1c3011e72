use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use super::StepError;
use super::json_lines::{unexpected as unexpected_blob, write_line};
use crate::digest::RequestKey;
use crate::request::{Message, Recording, Request, Terms};

/// Names the format in the first line of a `requests` blob.
pub const REQUESTS_FORMAT: &str = "exp-requests/1";

/// Is the first line of a `requests` blob: what all its requests share.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<T, M> {
    format: String,
    request: T,
    prefix: M,
}

/// Is every further line: what is an item's own.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<S, M> {
    item: S,
    key: RequestKey,
    messages: M,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recording: Option<Box<Recording>>,
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
        let mut out = Vec::new();
        let header = Header { format: REQUESTS_FORMAT.to_owned(), request: &*shared.terms, prefix: &shared.messages };
        write_line("requests", &mut out, &header)?;
        let prefix = shared.messages.len();
        Ok(Self { out, request: shared, prefix })
    }

    /// Appends the request of an item: its messages after the shared ones, and its recording if it is replayed.
    pub fn push(&mut self, item: &str, rest: Vec<Message>, recording: Option<Recording>) -> Result<(), StepError> {
        self.request.messages.truncate(self.prefix);
        self.request.messages.extend(rest);
        self.request.recording = recording.map(Box::new);
        let key = self.request.key();
        let recording = self.request.recording.take();
        let messages = self.request.messages.split_off(self.prefix);
        write_line("requests", &mut self.out, &Line { item, key, messages, recording })
    }

    /// Returns the blob.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// Reads a `requests` blob one request at a time, in the order of the items.
pub struct RequestsReader<R: Read> {
    source: BufReader<R>,
    shared: Request,
    line: String,
}

fn unexpected(why: impl std::fmt::Display) -> StepError {
    unexpected_blob("requests", why)
}

impl<R: Read> RequestsReader<R> {
    /// Reads the header.
    pub fn new(source: R) -> Result<Self, StepError> {
        let mut source = BufReader::new(source);
        let mut line = String::new();
        next_line(&mut source, &mut line)?;
        let header: Header<Terms, Vec<Message>> = serde_json::from_str(&line).map_err(unexpected)?;
        if header.format != REQUESTS_FORMAT {
            return Err(unexpected(format!("its format is `{}`", header.format)));
        }
        let shared = Request { terms: Arc::new(header.request), messages: header.prefix, recording: None };
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
                    let terms = Arc::clone(&self.shared.terms);
                    let request = Request { terms, messages: whole, recording };
                    ItemRequest { item, key, request }
                },
            )),
        }
    }
}
