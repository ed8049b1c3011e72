//! The embedded reader: a small deterministic extractive baseline, and **no language model**.
//!
//! It sees only the request: the messages, the decoding, the address of the draw. It takes the conversation apart
//! (instructions, examples, passage, question, prefill), weighs every span of the passage by how much of the question its
//! sentence shares (idf), how near it stands to the shared words, and whether it looks like what who, when, where, how many
//! ask for, and writes the best one, or its sentence, or that it does not know. Without a passage it first retrieves one
//! from its corpus by BM25. [`CUES`] lists all that it understands in instructions. Numbers of tokens are numbers of words,
//! as white space parts them. `frequency_penalty`, `presence_penalty` and `effort` have no effect on it.
//!
//! Whoever changes what it answers must raise [`REVISION`].

mod conversation;
mod corpus;
mod cue;
#[allow(clippy::module_inception)] // The module is named for its principal type.
mod lexical;
mod manner;
mod memo;
mod passage;
mod question;
mod random;
mod reader;
mod sampler;
mod settings;
mod span;
mod token;
mod words;
mod writer;

pub use corpus::{Corpus, CorpusError};
pub use cue::{CUES, Cue};
pub use lexical::{CorpusLoader, Lexical};
pub use settings::{CAUTION, DEFAULT_THRESHOLD, LexicalSettings};

/// The version of what the reader answers; it is part of its identity.
pub const REVISION: u32 = 1;

/// What the reader is called wherever its results are shown.
pub const LABEL: &str = "lexical baseline (extractive reader, not a language model)";
