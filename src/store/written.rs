use crate::digest::DrawId;

/// Is an answer whose line stands in the draw log: it survives the death of the process, and is neither durable nor known to
/// the index until [`Session::settle_draws`](super::Session::settle_draws).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub(super) id: DrawId,
    /// The segment's file name.
    pub(super) segment: String,
    /// Where the line starts.
    pub(super) start: u64,
    /// Its length in bytes, without the newline.
    pub(super) length: u64,
}
