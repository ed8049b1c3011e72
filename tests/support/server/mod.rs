//! A model server of ours on loopback that fails as it is told, and knows what it was asked and what that cost.
//!
//! It speaks OpenAI's chat completions and responses, Anthropic's messages and Ollama's chat, over HTTP/1.1 with one thread
//! a connection. The same body gets the same answer. It runs inside the test's process, so that a test reads what was asked
//! while `exp` runs, is killed, and runs again.

// Each test binary compiles this anew and needs its own part of it.
#![allow(dead_code, unused_imports)]
// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(missing_docs)]
// A table of faults has a line for each.
#![allow(clippy::match_same_arms)]

mod asked;
mod batches;
mod dialect;
mod fault;
mod generator;
mod inference_jobs;
mod message_batches;
mod model_server;
mod play;
mod wire;

pub use asked::{Asked, Bill, Book};
pub use batches::{BatchCall, BatchOptions, Batches, CallFault, Created, Fate, Item, ResultFault};
pub use dialect::Dialect;
pub use fault::{Fault, Kind};
pub use generator::Generator;
pub use model_server::{ModelServer, Options, Says, Script};
