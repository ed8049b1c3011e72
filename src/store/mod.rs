//! The store: everything that was ever made or answered, on disk, and the only code that touches it.
//!
//! What counts is in files that are written once: blobs, one record for each action, the draw log. Each is checked by
//! content whenever it is read. The index is derived from them and can be thrown away at any time. The order in which
//! things become durable is fixed (draw log → blobs → records → rows): a crash or a power cut leaves temporary files, blobs
//! that nothing names, or records that the index does not know yet, and never the reverse.
//!
//! A [`Store`] reads; a [`Session`] writes. Nothing here reads a clock or the environment, and no link under the store is
//! followed.

mod batch;
mod batches;
mod blob;
mod blob_reader;
mod blob_store;
mod catalogue;
mod claim;
mod claims;
mod collect;
#[cfg(test)]
mod collect_tests;
mod commit;
mod conclusion;
#[cfg(test)]
mod conclusion_tests;
mod draw_log;
mod error;
mod flaw;
mod folder;
mod forget;
mod format;
mod garbage;
mod generation;
mod grace;
mod holds;
mod index;
mod inputs;
mod layout;
mod ledger;
mod line;
mod machine;
mod memory;
mod migrate;
mod notices;
mod opening;
mod pinned;
mod place;
mod rebuild;
mod record;
mod records;
mod repair;
mod rewrite;
mod roots;
mod row;
mod runs;
mod schema;
mod segment;
mod served;
mod session;
mod sharing;
mod staged;
#[allow(clippy::module_inception)] // The module is named for its principal type.
mod store;
mod sweep;
mod table;
#[cfg(test)]
mod tests;
mod verify;
mod verify_index;
mod verify_logs;
#[cfg(test)]
mod verify_tests;
mod whole_sync;
mod written;

pub use batch::{BatchHead, BatchState, BatchStep, Brought, StoredBatch};
pub use batches::HeldBatch;
pub use blob::{BlobRef, NamedBlob, Presence};
pub use blob_reader::BlobReader;
pub use blob_store::BlobStore;
pub use claim::Claim;
pub use collect::Collected;
pub use commit::Commit;
pub use conclusion::Conclusion;
pub use error::StoreError;
pub use flaw::{Flaw, FlawPart, Verified};
pub use forget::Forgotten;
pub use garbage::{Garbage, GarbageSearch, Leftover, UnusedSegment};
pub use generation::Generation;
pub use layout::Access;
pub use ledger::LedgerLine;
pub use line::{LoggedDraw, LoggedFailure};
pub use memory::MemoryBlobs;
pub use opening::Opening;
pub use place::{FileSystem, Place, look_at_place, sqlite_version};
pub use record::{ActionRecord, ActionState};
pub use roots::Roots;
pub use row::ActionRow;
pub use runs::StoredRun;
pub use session::Session;
pub use sharing::Sharing;
pub use staged::{StagedBlob, StagingWriter};
pub use store::Store;
pub use table::ActionTable;
pub use written::Written;

use format::Format;
use notices::Notices;
