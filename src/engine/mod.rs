//! Resolving and running a plan: which actions are done, and doing the rest.
//!
//! [`resolve`] only looks; [`Engine::run`] does. An `infer` is suspended between its halves without holding a thread: its
//! demand goes to `ask/`, and its collection is scheduled when the draws are settled. No draw is asked before every
//! request of the plan is known.

mod blobs;
mod crew;
#[allow(clippy::module_inception)] // The module is named for its principal type.
mod engine;
mod error;
mod external;
mod limits;
mod resolve;
mod running;
mod staging;
mod window;

pub use blobs::StoreBlobs;
pub use engine::{Engine, External, Fetch, NodeDone, Ran, RangeResult};
pub use error::{EngineError, NodeFailure};
pub use limits::StepLimits;
pub use resolve::{MissReason, OfKind, Resolution, Verdict, key_of, output_of, resolve, spec_of};
