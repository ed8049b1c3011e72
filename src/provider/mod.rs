//! Who answers: one file per protocol. Only this module opens sockets, and only `http` knows the library that does.

mod address;
mod anthropic;
mod anthropic_batches;
mod batch_calls;
mod batch_service;
mod body;
mod fetch;
mod fireworks_batches;
mod http;
mod json;
pub mod lexical;
mod line;
mod lines;
mod look;
mod look_error;
mod ollama;
mod online;
mod openai;
mod openai_batches;
#[allow(clippy::module_inception)] // The module is named for its principal type.
mod provider;
mod proxies;
mod rate_limits;
mod reach;
mod reading;
mod redaction;
mod replay;
mod responses;
mod retry_after;
mod secret;
mod send_failure;
mod verdict;
mod wire;

pub use anthropic_batches::AnthropicBatches;
pub use batch_service::{
    BatchComplaint, BatchLimits, BatchResult, BatchService, BatchTicket, BatchTrouble, BatchTroubleKind, Framing,
    Recognition, RemoteBatch, RemotePhase, unfit_for_batch,
};
pub use fetch::{FetchError, fetch_pinned};
pub use fireworks_batches::{ACCOUNT_VARIABLE, FireworksBatches};
pub use http::{ClientSettings, MAX_RESPONSE, Timeouts, Trusted};
pub use lexical::{Corpus, CorpusError, CorpusLoader, Lexical, LexicalSettings};
pub use line::Line;
pub use look_error::LookError;
pub use online::{Online, OnlineSettings};
pub use openai_batches::OpenAiBatches;
pub use provider::{Advice, Given, Provider, Served};
pub use proxies::Proxies;
pub use rate_limits::RateLimits;
pub use reach::Reached;
pub use redaction::Redaction;
pub use replay::Replay;
pub use secret::Secret;
pub use send_failure::{SendFailure, Trouble};
pub use wire::{ModelWire, PromptCaching, Protocol, WireSettings, seed_of, wire_body};
