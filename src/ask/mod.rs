//! Asking: draws wanted by any number of actions are de-duplicated, claimed, answered, logged durably, and handed back.
//!
//! An action never asks; it says which draws it wants (a [`Ticket`]) and gets them all at once when each is settled. A
//! draw that the store has is reused; one that another build holds is waited for; only the rest is sent.

mod asker;
mod batches;
mod embedded;
mod error;
mod expected;
mod handout;
mod lane;
mod lane_state;
mod logger;
mod pace;
mod policy;
mod providers;
mod rates;
mod sending;
mod tariff;
#[cfg(test)]
mod tests;
mod ticket;
mod waiting;

pub use asker::{Asker, Counts};
pub use batches::{BatchPolicy, Batching, Tending};
pub use error::AskError;
pub use expected::{Expected, ExpectedRevision};
pub use handout::{
    Expectations, HandedDraw, HandoutError, HandoutManifest, Ingest, Ingested, MANIFEST_NAME, PackedShard, Shard,
    body_hash, pack, put_line,
};
pub use policy::{Policies, Policy};
pub use providers::Providers;
pub use rates::{LongPrompt, Rates};
pub use tariff::{Ceiling, Tariff, Tariffs};
pub use ticket::{Inbox, Settled, Settlement, Ticket, Tickets, WantedDraw};
