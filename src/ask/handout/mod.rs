//! Asking by other hands: missing draws are written as lines that any engine answers, and its answers are taken in.
//!
//! A *handout* is a directory of shards (OpenAI batch lines) and a manifest that says what each line asks. Whoever answers
//! puts output files beside the shards; each answer is checked against the manifest before it becomes a draw.

mod delivery;
mod error;
mod ingest;
mod manifest;
mod pack;

pub use error::HandoutError;
pub use ingest::{Expectations, Ingest, Ingested};
pub use manifest::{HandedDraw, HandoutManifest, MANIFEST_NAME, Shard, body_hash};
pub use pack::{PackedShard, pack, put_line};
