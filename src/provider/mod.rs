//! Who answers: one file per protocol. Only this module opens sockets.

mod fetch;
pub mod lexical;
#[allow(clippy::module_inception)] // The module is named for its principal type.
mod provider;
mod replay;

pub use fetch::{FetchError, fetch_pinned};
pub use lexical::{Corpus, CorpusError, CorpusLoader, Lexical, LexicalSettings};
pub use provider::{Given, Provider};
pub use replay::Replay;
