//! Who answers: one file per protocol. Only this module opens sockets.

mod fetch;
pub mod lexical;
mod line;
#[allow(clippy::module_inception)] // The module is named for its principal type.
mod provider;
mod replay;

pub use fetch::{FetchError, fetch_pinned};
pub use lexical::{Corpus, CorpusError, CorpusLoader, Lexical, LexicalSettings};
pub use line::Line;
pub use provider::{Advice, Given, Provider, RateLimits, Served};
pub use replay::Replay;
