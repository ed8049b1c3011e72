//! A build system for LLM evaluation experiments on a content-addressed store.
//!
//! The layers, and who may import whom, are drawn in `docs/architecture.md`; a test holds the code to it.

pub mod ask;
pub mod cli;
pub mod config;
pub mod digest;
pub mod engine;
pub mod flow;
pub mod plan;
pub mod provider;
pub mod report;
pub mod request;
pub mod run;
pub mod scoring;
pub mod stats;
pub mod step;
pub mod store;

#[cfg(test)]
#[path = "../fuzz/mutations.rs"]
mod mutations;
