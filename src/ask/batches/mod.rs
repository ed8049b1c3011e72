//! Draws bought in batches: packed, sent, waited for, found again after any crash, and harvested.
//!
//! A batch is a second kind of lane beside the online one. Its life stands in a state log in the store, each state durable
//! before the next call, and its draws are claimed by it and not by the process: whoever comes next takes it up where it is. No
//! batch is created by anybody but the process that prepared it; whoever finds one of which it cannot be known whether it was
//! created looks for it at the provider, and only when it is not there are its draws free again.

mod adopting;
mod batching;
mod driving;
mod finding;
mod harvest;
mod lane;
mod looking;
mod packing;
mod submitting;
mod tending;
mod under_way;

pub use batching::{BatchPolicy, Batching};
pub use tending::Tending;

pub(super) use lane::BatchLane;
