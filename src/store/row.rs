use super::{ActionRecord, ActionState, NamedBlob};
use crate::digest::{ActionKey, BlobId, Digest};

/// Is what a hit needs to know of an action: a short copy of its record, kept in the index under a checksum of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRow {
    /// The action.
    pub key: ActionKey,
    /// What it made.
    pub outputs: Vec<NamedBlob>,
    /// Whether it did all of its work.
    pub state: ActionState,
    /// How many draws it holds; 0 for every step but `infer`.
    pub draws: u64,
    /// How many draws failed.
    pub failures: u64,
}

/// Is the length of a row's checksum: the first bytes of BLAKE3 over key and body.
const SUM_LEN: usize = 16;

impl From<&ActionRecord> for ActionRow {
    fn from(record: &ActionRecord) -> Self {
        let (key, state, draws, failures) = (record.key, record.state, record.draws, record.failures);
        Self { key, outputs: record.outputs.clone(), state, draws, failures }
    }
}

impl ActionRow {
    /// Encodes the row for the index.
    ///
    /// One byte for the state; draws, failures and the number of outputs as 8 bytes little endian; for each output the
    /// length of its name (8 bytes), the name, the hash (32), the size (8); then the checksum.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.outputs.len() * 64);
        bytes.push(match self.state {
            ActionState::Complete => 0,
            ActionState::Partial => 1,
        });
        put(&mut bytes, self.draws);
        put(&mut bytes, self.failures);
        put(&mut bytes, self.outputs.len() as u64);
        for output in &self.outputs {
            put(&mut bytes, output.name.len() as u64);
            bytes.extend_from_slice(output.name.as_bytes());
            bytes.extend_from_slice(output.blob.digest().as_bytes());
            put(&mut bytes, output.size);
        }
        let sum = checksum(self.key.digest().as_bytes(), &bytes);
        bytes.extend_from_slice(&sum);
        bytes
    }

    /// Decodes a row; `None` when the checksum does not hold.
    pub(super) fn from_bytes(key: &ActionKey, bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM_LEN)?)?;
        if sum != checksum(key.digest().as_bytes(), body) {
            return None;
        }
        Self::decode(key, body)
    }

    fn decode(key: &ActionKey, body: &[u8]) -> Option<Self> {
        let mut rest = body;
        let state = match take::<1>(&mut rest)? {
            [0] => ActionState::Complete,
            [1] => ActionState::Partial,
            _ => return None,
        };
        let draws = number(&mut rest)?;
        let failures = number(&mut rest)?;
        let count = number(&mut rest)?;
        let mut outputs = Vec::with_capacity(count.min(64) as usize);
        for _ in 0..count {
            let len = number(&mut rest)? as usize;
            let (name, after) = rest.split_at_checked(len)?;
            rest = after;
            let blob = BlobId::new(Digest::from_bytes(take::<32>(&mut rest)?));
            outputs.push(NamedBlob { name: str::from_utf8(name).ok()?.to_owned(), blob, size: number(&mut rest)? });
        }
        rest.is_empty().then_some(Self { key: *key, outputs, state, draws, failures })
    }
}

/// Returns the checksum of a row.
pub(super) fn checksum(key: &[u8], body: &[u8]) -> [u8; SUM_LEN] {
    // Hashing a short text in one piece takes a fraction of what a hasher that is fed twice takes.
    let mut short = [0; 512];
    let len = key.len() + body.len();
    let hash = if let Some(whole) = short.get_mut(..len) {
        whole[..key.len()].copy_from_slice(key);
        whole[key.len()..].copy_from_slice(body);
        blake3::hash(whole)
    } else {
        blake3::Hasher::new().update(key).update(body).finalize()
    };
    let mut sum = [0; SUM_LEN];
    sum.copy_from_slice(&hash.as_bytes()[..SUM_LEN]);
    sum
}

fn put(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    take::<8>(rest).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_row_reads_back_and_no_flip_does(names in prop::collection::vec((".{0,9}", any::<u64>()), 0..4),
                                            draws in any::<u64>(), failures in any::<u64>(), bit in any::<prop::sample::Index>()) {
            let outputs = names.iter().map(|(name, size)| {
                NamedBlob { name: name.clone(), blob: BlobId::of(name.as_bytes()), size: *size }
            });
            let key = ActionKey::new(Digest::of(b"k"));
            let row = ActionRow { key, outputs: outputs.collect(), state: ActionState::Complete, draws, failures };
            let mut bytes = row.to_bytes();
            prop_assert_eq!(ActionRow::from_bytes(&key, &bytes), Some(row));
            prop_assert_eq!(ActionRow::from_bytes(&ActionKey::new(Digest::of(b"l")), &bytes), None);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(ActionRow::from_bytes(&key, &bytes), None);
        }

        #[test]
        fn any_bytes_are_no_row(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(ActionRow::from_bytes(&ActionKey::new(Digest::of(b"k")), &bytes), None);
        }
    }
}
