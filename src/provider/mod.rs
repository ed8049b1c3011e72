//! Who answers: one file per protocol. Only this module opens sockets.

mod address;
mod fetch;
mod http;
pub mod lexical;
mod line;
#[allow(clippy::module_inception)] // The module is named for its principal type.
mod provider;
mod proxies;
mod redaction;
mod replay;
mod secret;
mod send_failure;

pub use fetch::{FetchError, fetch_pinned};
pub use http::{ClientSettings, MAX_RESPONSE, Timeouts, Trusted};
pub use lexical::{Corpus, CorpusError, CorpusLoader, Lexical, LexicalSettings};
pub use line::Line;
pub use provider::{Advice, Given, Provider, RateLimits, Served};
pub use proxies::Proxies;
pub use redaction::Redaction;
pub use replay::Replay;
pub use secret::Secret;
pub use send_failure::{SendFailure, Trouble};
