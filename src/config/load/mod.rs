//! From the tree to the meaning: references, files, decoding points, trials, and every legacy spelling.

mod analysis;
mod arms;
mod asking;
mod axes;
mod base;
mod datasets;
mod decoding;
mod entry;
mod externals;
mod judges;
mod legacy;
mod limits;
mod loader;
mod models;
mod pairwise;
mod providers;
mod read;
mod recordings;
mod resolve;
mod scorers;
mod secrets;
mod template;
mod trials;

pub use entry::{ConfigFile, Loaded, load, project_root};
use loader::Loader;
