use crate::digest::{ActionKey, BlobId, DrawId};

/// Is one thing in a store that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What it is of.
    pub part: FlawPart,
    /// Which thing: a path below the store, with words.
    pub subject: String,
    /// How it should be.
    pub expected: String,
    /// How it is.
    pub actual: String,
    /// What to do about it.
    pub remedy: String,
}

/// Says what a flaw is of, as far as a repair has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlawPart {
    /// A blob that is damaged, or has another mode.
    Blob(BlobId),
    /// A blob that a record names and that is not there.
    MissingBlob(BlobId),
    /// The record of an action.
    Record(ActionKey),
    /// A line of the draw log.
    DrawLog {
        /// The segment's file name.
        segment: String,
        /// Where the line starts.
        start: u64,
        /// The answer that stood there, where the index knows which it was.
        draws: Vec<DrawId>,
    },
    /// The unfinished end of a segment of the draw log, which every session mends.
    Tail,
    /// The state log of a batch.
    Batch,
    /// The record of a run.
    Run(String),
    /// The index, which is derived.
    Index,
    /// A file that has no business in the store.
    Stray,
}

/// Is what is expected of the mode of blobs and records.
pub(super) const MODE: &str = "mode 0444";

impl Flaw {
    pub(super) fn new(
        part: FlawPart,
        subject: impl Into<String>,
        expected: impl Into<String>,
        actual: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (subject, expected) = (subject.into(), expected.into());
        Self { part, subject, expected, actual: actual.into(), remedy: remedy.into() }
    }

    /// Tells whether only a mode is not what it should be.
    pub fn is_of_mode(&self) -> bool {
        self.expected == MODE
    }
}

/// Is what a look at a whole store came to: nothing in `flaws` means that all is as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Blobs hashed.
    pub blobs: u64,
    /// Their bytes, and those of all else that was read.
    pub bytes: u64,
    /// Records of actions checked.
    pub records: u64,
    /// Lines of the draw log checked.
    pub lines: u64,
    /// Answers among them.
    pub answers: u64,
    /// Logs of batches checked.
    pub batches: u64,
    /// Records of runs checked.
    pub runs: u64,
    /// Rows of the index compared.
    pub rows: u64,
    /// What is damaged, missing or out of place.
    pub flaws: Vec<Flaw>,
    /// What is no damage and still worth knowing.
    pub notes: Vec<String>,
}
