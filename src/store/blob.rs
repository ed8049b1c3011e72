use crate::digest::BlobId;

/// Names a blob together with its size, so that a look at the size alone finds most damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    /// The hash of the bytes.
    pub id: BlobId,
    /// Their number.
    pub size: u64,
}

impl BlobRef {
    /// Refers to the given bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { id: BlobId::of(bytes), size: bytes.len() as u64 }
    }
}

/// Is one output of an action: a blob under the name that the step gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedBlob {
    /// The name of the output.
    pub name: String,
    /// The hash of its bytes.
    pub blob: BlobId,
    /// Their number.
    pub size: u64,
}

/// Says whether a blob stands in the store, as far as its size tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there, with the size it should have.
    Present,
    /// It is not there.
    Missing,
    /// Something is there that cannot be it.
    WrongSize,
}
