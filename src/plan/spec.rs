use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{PlanError, StepKind};
use crate::digest::{ActionKey, BlobId, Digest, Encoder, Value};

/// Is the name of an input or output of a step.
pub type Name = Cow<'static, str>;

/// Is a step's parameters, written once and shared by all actions that have them.
#[derive(Debug, PartialEq, Eq)]
pub struct ParamsDoc {
    json: String,
    digest: Digest,
}

impl ParamsDoc {
    /// Writes parameters as JSON and hashes their canonical encoding.
    pub fn new<T: serde::Serialize>(params: &T) -> Result<Self, PlanError> {
        let fail = |source| PlanError::Params { source };
        let value = serde_json::to_value(params).map_err(fail)?;
        let json = serde_json::to_string(&value).map_err(fail)?;
        Ok(Self { json, digest: params_digest(&value) })
    }

    /// Returns the JSON text.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Returns the digest of the canonical encoding.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Reads the parameters back as their type.
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, PlanError> {
        serde_json::from_str(&self.json).map_err(|source| PlanError::Params { source })
    }
}

fn params_digest(value: &serde_json::Value) -> Digest {
    Value::from_json(value).digest("exp 2026-11 action parameters")
}

/// Hashes all that decides an action's output. `inputs` are sorted by name.
pub fn action_key<'a>(
    step: StepKind,
    revision: u32,
    params: &Digest,
    inputs: impl ExactSizeIterator<Item = (&'a str, &'a BlobId)>,
) -> ActionKey {
    let mut encoder = Encoder::new(ACTION_DOMAIN);
    encode_action(&mut encoder, step, revision, params, inputs)
}

/// Is the domain of action keys.
const ACTION_DOMAIN: &str = "exp 2026-11 action";

/// Hashes many actions, one after another, in the same memory.
pub struct ActionKeys(Encoder);

impl Default for ActionKeys {
    fn default() -> Self {
        Self(Encoder::new(ACTION_DOMAIN))
    }
}

impl ActionKeys {
    /// Hashes one action, as [`action_key`] does.
    pub fn key<'a>(
        &mut self,
        step: StepKind,
        revision: u32,
        params: &Digest,
        inputs: impl ExactSizeIterator<Item = (&'a str, &'a BlobId)>,
    ) -> ActionKey {
        self.0.clear();
        encode_action(&mut self.0, step, revision, params, inputs)
    }
}

fn encode_action<'a>(
    encoder: &mut Encoder,
    step: StepKind,
    revision: u32,
    params: &Digest,
    inputs: impl ExactSizeIterator<Item = (&'a str, &'a BlobId)>,
) -> ActionKey {
    encoder.map(4);
    encoder.text("inputs");
    encoder.map(inputs.len());
    for (name, blob) in inputs {
        encoder.text(name);
        encoder.digest(blob.digest());
    }
    encoder.text("params");
    encoder.digest(params);
    encoder.text("revision");
    encoder.int(i64::from(revision));
    encoder.text("step");
    encoder.text(step.as_str());
    ActionKey::new(encoder.finish())
}

/// Says all that decides an action's output, by content: kept in the action's record, so that `exp why` is a diff of two.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionSpec {
    /// The kind of step.
    pub step: StepKind,
    /// The revision of its code.
    pub revision: u32,
    /// Its parameters.
    pub params: serde_json::Value,
    /// Its inputs, by name.
    pub inputs: BTreeMap<String, BlobId>,
}

impl ActionSpec {
    /// Hashes the specification; equal to [`action_key`] of its parts.
    pub fn key(&self) -> ActionKey {
        let inputs = self.inputs.iter().map(|(name, blob)| (name.as_str(), blob));
        action_key(self.step, self.revision, &params_digest(&self.params), inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::InferParams;

    #[test]
    fn the_record_of_a_specification_has_the_key_of_its_parts() {
        let params = ParamsDoc::new(&InferParams { generation: 0, draws: 3 }).unwrap();
        let blob = BlobId::of(b"requests");
        let key = action_key(StepKind::Infer, 1, params.digest(), [("requests", &blob)].into_iter());
        let spec = ActionSpec {
            step: StepKind::Infer,
            revision: 1,
            params: serde_json::from_str(params.json()).unwrap(),
            inputs: BTreeMap::from([("requests".to_owned(), blob)]),
        };
        assert_eq!(spec.key(), key);
        let read: ActionSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(read.key(), key);
    }

    /// A released key is never retired.
    #[test]
    fn golden_vector_stands() {
        let params = ParamsDoc::new(&InferParams { generation: 0, draws: 3 }).unwrap();
        let key = action_key(StepKind::Infer, 1, params.digest(), [("requests", &BlobId::of(b"x"))].into_iter());
        assert_eq!(key.to_string(), "blake3:efea3312e8d114e5a5c8339d0de09fe0e17a32a318f1956eb07b60680c162ab5");
    }
}
