use std::collections::BTreeMap;

use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};

use super::{Decimal, Digest};

/// A typed value inside a key: what is present, in sorted order, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Is a truth value.
    Bool(bool),
    /// Is a whole number.
    Int(i64),
    /// Is a decimal number as written.
    Decimal(Decimal),
    /// Is text, byte for byte.
    Text(String),
    /// Is another identity.
    Digest(Digest),
    /// Is a sequence whose order counts.
    List(Vec<Value>),
    /// Is a set of named values; absent ones are not there at all.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// Builds a map from the pairs whose value is present.
    pub fn map<'a>(fields: impl IntoIterator<Item = (&'a str, Option<Self>)>) -> Self {
        Self::Map(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }

    /// Wraps text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Hashes the value under a domain; the same value under another domain has another digest.
    pub fn digest(&self, domain: &'static str) -> Digest {
        let mut encoder = Encoder::new(domain);
        encoder.value(self);
        encoder.finish()
    }

    /// Converts parsed JSON; `null` inside a map is dropped, elsewhere it is an empty list.
    ///
    /// Numbers beyond 18 significant digits keep their text.
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::List(Vec::new()),
            serde_json::Value::Bool(b) => Self::Bool(*b),
            serde_json::Value::Number(n) => {
                let text = n.to_string();
                text.parse().map_or(Self::Text(text), Self::Decimal)
            }
            serde_json::Value::String(s) => Self::Text(s.clone()),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::from_json).collect()),
            serde_json::Value::Object(map) => Self::Map(
                map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), Self::from_json(v))).collect(),
            ),
        }
    }
}

/// Encodes typed values, length-prefixed and tagged, and hashes the encoding.
///
/// The encoding (`docs/formats.md`, "Canonical encoding", version 1) is never changed, only added to: each value is one
/// tag byte and a body; lengths and counts are 8 bytes, little endian. No two different values share an encoding.
pub struct Encoder {
    context: ContextKey,
    bytes: Vec<u8>,
}

const TAG_BOOL: u8 = 1;
const TAG_INT: u8 = 2;
const TAG_DECIMAL: u8 = 3;
const TAG_TEXT: u8 = 4;
const TAG_DIGEST: u8 = 5;
const TAG_LIST: u8 = 6;
const TAG_MAP: u8 = 7;

impl Encoder {
    /// Starts an encoding under a domain, a constant text that no other kind of key uses.
    pub fn new(domain: &'static str) -> Self {
        Self { context: hash_derive_key_context(domain), bytes: Vec::with_capacity(512) }
    }

    /// Starts over in the same memory, for one key after another.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Appends any value.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(b) => self.tagged(TAG_BOOL, &[u8::from(*b)]),
            Value::Int(i) => self.int(*i),
            Value::Decimal(d) => self.decimal(d),
            Value::Text(t) => self.text(t),
            Value::Digest(d) => self.digest(d),
            Value::List(items) => {
                self.list(items.len());
                for item in items {
                    self.value(item);
                }
            }
            Value::Map(map) => {
                self.map(map.len());
                for (name, item) in map {
                    self.text(name);
                    self.value(item);
                }
            }
        }
    }

    /// Appends a whole number.
    pub fn int(&mut self, value: i64) {
        self.tagged(TAG_INT, &value.to_le_bytes());
    }

    /// Appends a decimal: digits, then the power of ten.
    pub fn decimal(&mut self, value: &Decimal) {
        let mut body = [0u8; 12];
        body[..8].copy_from_slice(&value.digits().to_le_bytes());
        body[8..].copy_from_slice(&value.exponent().to_le_bytes());
        self.tagged(TAG_DECIMAL, &body);
    }

    /// Appends text: its length in bytes, then the bytes.
    pub fn text(&mut self, text: &str) {
        self.head(TAG_TEXT, text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Appends another identity.
    pub fn digest(&mut self, digest: &Digest) {
        self.tagged(TAG_DIGEST, digest.as_bytes());
    }

    /// Opens a list of `len` values, which the caller appends next.
    pub fn list(&mut self, len: usize) {
        self.head(TAG_LIST, len);
    }

    /// Opens a map of `len` pairs; the caller appends each name as text, in byte order, and then its value.
    pub fn map(&mut self, len: usize) {
        self.head(TAG_MAP, len);
    }

    /// Returns the digest of all that was appended.
    pub fn finish(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_from_context_key(&self.context);
        hasher.update(&self.bytes);
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }

    fn tagged(&mut self, tag: u8, body: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(body);
    }

    fn head(&mut self, tag: u8, len: usize) {
        self.tagged(tag, &(len as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            (-3i64..3).prop_map(Value::Int),
            (-3i64..30).prop_map(|i| Value::Decimal(Decimal::new(i, -1))),
            "[ab]{0,3}".prop_map(Value::Text),
            (0u8..3).prop_map(|b| Value::Digest(Digest::from_bytes([b; 32]))),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
                prop::collection::btree_map("[ab]{0,2}", inner, 0..3).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn different_values_have_different_digests(a in values(), b in values()) {
            prop_assert_eq!(a == b, a.digest("test") == b.digest("test"));
        }
    }

    #[test]
    fn the_domain_counts() {
        assert_ne!(Value::Int(1).digest("one"), Value::Int(1).digest("two"));
    }

    #[test]
    fn an_absent_field_leaves_the_key_as_it_was() {
        let old = Value::map([("a", Some(Value::Int(1)))]);
        let new = Value::map([("a", Some(Value::Int(1))), ("b", None)]);
        assert_eq!(old.digest("test"), new.digest("test"));
    }

    #[test]
    fn golden_vectors_stand() {
        let value = Value::map([
            ("text", Some(Value::text("ä"))),
            ("n", Some(Value::Int(-1))),
            ("t", Some(Value::Decimal(Decimal::new(70, -2)))),
            ("list", Some(Value::List(vec![Value::Bool(true), Value::Digest(Digest::of(b""))]))),
        ]);
        assert_eq!(
            value.digest("exp test 1").to_string(),
            "blake3:b9fc0a82ee653a7a67d1185c953f80bda4660fa0322ce410216089e52f92091c"
        );
    }
}
