//! Names made of bytes: digests, the typed identities built on them, and the canonical encoding they are computed from.
//!
//! Nothing here knows what is being named. Every identity is the BLAKE3 hash of a length-prefixed, domain-tagged encoding
//! ([`Encoder`]), never of YAML, JSON or a float's text; numbers are [`Decimal`]s taken from the text that was written.

mod canonical;
mod decimal;
#[allow(clippy::module_inception)] // The module is named for its principal type.
mod digest;
mod ids;

pub use canonical::{Encoder, Value};
pub use decimal::{Decimal, DecimalError};
pub use digest::{Digest, DigestError, StreamHasher, hex};
pub use ids::{ActionKey, BlobId, ConclusionKey, DrawId, ItemId, PlanId, RequestKey, RootId};
