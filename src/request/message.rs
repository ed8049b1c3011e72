use std::sync::Arc;

use crate::digest::Value;

/// Says who speaks a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructs the model.
    System,
    /// Asks.
    User,
    /// Is the model's own turn: an example's answer, or the start of the answer (prefill).
    Assistant,
}

impl Role {
    /// Returns the name on the wire and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// Is one turn of a conversation: text only (images and tools are out of scope and refused by the config).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, exactly as it will be sent. Requests that begin alike share it: a long prompt is in memory once.
    #[serde(with = "shared")]
    pub content: Arc<str>,
}

/// Writes and reads a shared text as any text.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(deserializer).map(Arc::from)
    }
}

impl Message {
    /// Makes a message.
    pub fn new(role: Role, content: impl Into<Arc<str>>) -> Self {
        Self { role, content: content.into() }
    }

    /// Returns the value that enters a request key; parts are typed so that others can join text later.
    pub(super) fn to_value(&self) -> Value {
        let part = Value::map([("text", Some(Value::text(&*self.content)))]);
        Value::map([("role", Some(Value::text(self.role.as_str()))), ("parts", Some(Value::List(vec![part])))])
    }
}
