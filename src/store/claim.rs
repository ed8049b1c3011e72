/// Says what came of asking to be the one who asks for a draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The draw log has an answer already.
    Recorded,
    /// The caller's session asks; nobody else will until it logs, releases or ends.
    Mine,
    /// A session that is alive is asking already (it may be the caller's own, by an earlier claim).
    Elsewhere {
        /// Which one.
        session: String,
    },
    /// A batch that is not over asks for it: nobody else does, whether or not a process is at work on the batch.
    InBatch {
        /// The batch's name.
        batch: String,
    },
}
