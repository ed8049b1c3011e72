//! What is asked and what comes back: requests, answers, and the identities that decide whether an answer may be reused.
//!
//! A [`Request`] is one resolved call; its [`key`](Request::key) covers everything that decides what the model is asked and
//! nothing else (no API key, address, part, trial or name). A draw is one answer to a request at a [`DrawAddress`]. An
//! [`Answer`] is a value; what happened on the way is [`Circumstances`] and never enters a step's input.

mod address;
mod answer;
mod circumstances;
mod custom_id;
mod decoding;
mod message;
mod outcome;
mod redraws;
#[allow(clippy::module_inception)] // The module is named for its principal type.
mod request;

pub use address::DrawAddress;
pub use answer::{Answer, AnswerStatus, Usage};
pub use circumstances::{Billed, Circumstances};
pub use decoding::{Decoding, SeedPolicy};
pub use message::{Message, Role};
pub use outcome::{FailureCode, Outcome};
pub use redraws::{Redraw, Redraws, RedrawsError};
pub use request::{ProviderIdentity, RecordedAnswer, Recording, Request, Terms};
