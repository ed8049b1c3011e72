use serde_json::value::RawValue;

use super::{NamedBlob, StoreError};
use crate::digest::{ActionKey, Digest};

/// Says whether an action did all of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionState {
    /// All of it: the record is a hit.
    Complete,
    /// Some draws failed: auditable, a root, never a hit.
    Partial,
}

/// Is the record of one executed action: the truth from which the index is derived.
///
/// The file is one line of JSON: the fields below in this order, then `self`, the BLAKE3 hash of the line as it would
/// stand without that last field and without the newline. It is checked as bytes, before anything is parsed.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionRecord {
    /// The hash of the spec.
    pub key: ActionKey,
    /// The step kind.
    pub step: String,
    /// All that decided the output, as JSON.
    pub spec: Box<RawValue>,
    /// What it made, sorted as the step gave it.
    pub outputs: Vec<NamedBlob>,
    /// Whether it did all of its work.
    pub state: ActionState,
    /// How many draws it holds; 0 for every step but `infer`.
    pub draws: u64,
    /// How many draws failed.
    pub failures: u64,
    /// The program and version that executed it.
    pub tool: String,
    /// When it was recorded: UTC, RFC 3339.
    pub recorded_at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

const SELF_OPEN: &str = ",\"self\":\"";
const SELF_CLOSE: &str = "\"}\n";
/// Is the length of `,"self":"blake3:<64 hex>"}` and a newline.
const SELF_LEN: usize = SELF_OPEN.len() + 7 + 64 + SELF_CLOSE.len();

impl ActionRecord {
    /// Returns the bytes of the record's file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        let unfit = |source: serde_json::Error| StoreError::Unfit { why: format!("record {}: {source}", self.key) };
        let mut bytes = serde_json::to_vec(self).map_err(unfit)?;
        let hash = Digest::of(&bytes);
        bytes.pop();
        bytes.extend_from_slice(format!("{SELF_OPEN}{hash}{SELF_CLOSE}").as_bytes());
        Ok(bytes)
    }

    /// Reads the bytes of a record's file; `None` unless its hash holds and it is the record of `key`.
    pub fn from_bytes(bytes: &[u8], key: &ActionKey) -> Option<Self> {
        let at = bytes.len().checked_sub(SELF_LEN)?;
        let (body, tail) = bytes.split_at(at);
        let mut whole = Vec::with_capacity(at + 1);
        whole.extend_from_slice(body);
        whole.push(b'}');
        let expected = format!("{SELF_OPEN}{}{SELF_CLOSE}", Digest::of(&whole));
        if tail != expected.as_bytes() {
            return None;
        }
        serde_json::from_slice::<Self>(&whole).ok().filter(|record| record.key == *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::BlobId;
    use proptest::prelude::*;

    fn record(step: String, spec: &str, names: &[String]) -> ActionRecord {
        ActionRecord {
            key: ActionKey::new(Digest::of(spec.as_bytes())),
            step,
            spec: RawValue::from_string(spec.to_owned()).unwrap(),
            outputs: names
                .iter()
                .map(|name| NamedBlob { name: name.clone(), blob: BlobId::of(name.as_bytes()), size: 3 })
                .collect(),
            state: ActionState::Partial,
            draws: 3,
            failures: 2,
            tool: "exp 0".into(),
            recorded_at: "2026-11-23T00:00:00Z".into(),
            duration_ms: 7,
        }
    }

    proptest! {
        #[test]
        fn a_record_reads_back(step in ".*", names in prop::collection::vec(".*", 0..4), n in any::<u64>()) {
            let written = record(step, &format!("{{\"n\": {n}}}"), &names);
            let bytes = written.to_bytes().unwrap();
            let read = ActionRecord::from_bytes(&bytes, &written.key).unwrap();
            prop_assert_eq!(read.to_bytes().unwrap(), bytes);
            prop_assert_eq!(read.outputs, written.outputs);
            prop_assert_eq!(read.spec.get(), written.spec.get());
        }

        #[test]
        fn any_bytes_are_no_record(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(ActionRecord::from_bytes(&bytes, &ActionKey::new(Digest::of(b""))).is_none());
        }
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_found() {
        let record = record("score".into(), "{}", &["scores".into()]);
        let good = record.to_bytes().unwrap();
        for at in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert!(ActionRecord::from_bytes(&bad, &record.key).is_none(), "bit {at}");
        }
        for len in 0..good.len() {
            assert!(ActionRecord::from_bytes(&good[..len], &record.key).is_none(), "length {len}");
        }
    }

    #[test]
    fn a_record_under_another_name_is_refused() {
        let record = record("score".into(), "{}", &[]);
        let other = ActionKey::new(Digest::of(b"other"));
        assert!(ActionRecord::from_bytes(&record.to_bytes().unwrap(), &other).is_none());
    }
}
