use std::collections::BTreeMap;
use std::sync::Arc;

use serde::ser::SerializeMap as _;

use super::{Decoding, Message, Usage};
use crate::digest::{Digest, RequestKey, Value};

/// Names who answers, for the purpose of reuse: two providers with one identity serve each other's answers.
///
/// It is the API family and normalised address by default, or what the config states; for the embedded providers it is
/// their revision and settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ProviderIdentity(pub String);

/// Is one answer as it was recorded elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedAnswer {
    /// The text.
    pub text: String,
    /// Tokens, where the recording has them.
    #[serde(default)]
    pub usage: Usage,
}

/// Is what `replay` answers from: the recordings of one item under one arm, in the order of the draws.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The dataset's name.
    pub dataset: String,
    /// The item's id.
    pub item: String,
    /// The arm: `control`, or the prompt set's name.
    pub arm: String,
    /// The recorded answers; empty when there is none for this item.
    pub answers: Vec<RecordedAnswer>,
}

impl Recording {
    /// Returns the digest of the recorded answers alone.
    pub fn digest(&self) -> Digest {
        let answers = self.answers.iter().map(|answer| {
            let count = |n: Option<u64>| n.map(|n| Value::Int(n as i64));
            Value::map([
                ("text", Some(Value::text(&*answer.text))),
                ("input_tokens", count(answer.usage.input_tokens)),
                ("output_tokens", count(answer.usage.output_tokens)),
                ("reasoning_tokens", count(answer.usage.reasoning_tokens)),
            ])
        });
        Value::List(answers.collect()).digest("exp 2026-11 recording")
    }
}

/// Is who is asked and how: what all requests of a part under one arm share.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Who answers.
    pub provider: ProviderIdentity,
    /// The model's id as the provider takes it.
    pub model: String,
    /// A stated revision of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What the sampler is told.
    #[serde(default)]
    pub decoding: Decoding,
    /// Further fields of the body (`response_format`, tools, `extra_body`), and headers under `headers`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, serde_json::Value>,
    /// Asks for draws of its own, apart from equal requests (A/A tests).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw_salt: Option<String>,
}

impl Terms {
    /// Asks a model with nothing stated beyond its name.
    pub fn new(provider: ProviderIdentity, model: impl Into<String>) -> Self {
        Self {
            provider,
            model: model.into(),
            revision: None,
            decoding: Decoding::default(),
            extra: BTreeMap::new(),
            draw_salt: None,
        }
    }
}

/// Is one resolved call: all that decides what is asked, and nothing else.
///
/// Its terms are read as if they were its own fields. They are in memory once for all requests that share them, since all
/// that a run asks can be in memory at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who is asked, and how.
    pub terms: Arc<Terms>,
    /// The conversation, in order.
    pub messages: Vec<Message>,
    /// What `replay` answers from; absent for every other provider.
    pub recording: Option<Box<Recording>>,
}

impl std::ops::Deref for Request {
    type Target = Terms;

    fn deref(&self) -> &Terms {
        &self.terms
    }
}

/// Writes it whole, its terms among its other fields.
impl serde::Serialize for Request {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Terms { provider, model, revision, decoding, extra, draw_salt } = &*self.terms;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("provider", provider)?;
        map.serialize_entry("model", model)?;
        if let Some(revision) = revision {
            map.serialize_entry("revision", revision)?;
        }
        map.serialize_entry("messages", &self.messages)?;
        map.serialize_entry("decoding", decoding)?;
        if !extra.is_empty() {
            map.serialize_entry("extra", extra)?;
        }
        if let Some(recording) = &self.recording {
            map.serialize_entry("recording", recording)?;
        }
        if let Some(salt) = draw_salt {
            map.serialize_entry("draw_salt", salt)?;
        }
        map.end()
    }
}

impl Request {
    /// Returns its terms to be changed, for this request alone.
    pub fn terms_mut(&mut self) -> &mut Terms {
        Arc::make_mut(&mut self.terms)
    }

    /// Returns the identity of what is asked.
    pub fn key(&self) -> RequestKey {
        let text = |t: &Option<String>| t.as_deref().map(Value::text);
        let recording = self.recording.as_ref().map(|r| {
            Value::map([
                ("dataset", Some(Value::text(&*r.dataset))),
                ("item", Some(Value::text(&*r.item))),
                ("arm", Some(Value::text(&*r.arm))),
                ("answers", Some(Value::Digest(r.digest()))),
            ])
        });
        let decoding = self.decoding.fields();
        let extra: BTreeMap<String, Value> =
            self.extra.iter().map(|(name, json)| (name.clone(), Value::from_json(json))).collect();
        let value = Value::map([
            ("provider", Some(Value::text(&*self.provider.0))),
            ("model", Some(Value::text(&*self.model))),
            ("revision", text(&self.revision)),
            ("messages", Some(Value::List(self.messages.iter().map(Message::to_value).collect()))),
            ("decoding", (!decoding.is_empty()).then_some(Value::Map(decoding))),
            ("extra", (!extra.is_empty()).then_some(Value::Map(extra))),
            ("recording", recording),
            ("draw_salt", text(&self.draw_salt)),
        ]);
        RequestKey::new(value.digest("exp 2026-11 request"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{DrawAddress, Role, SeedPolicy};

    fn request() -> Request {
        let terms = Terms::new(ProviderIdentity("openai https://api.example/v1".into()), "m");
        let messages = vec![Message::new(Role::System, "S"), Message::new(Role::User, "U")];
        Request { terms: terms.into(), messages, recording: None }
    }

    /// Every field, changed alone, changes the key; and no two changes agree.
    #[test]
    fn every_field_counts() {
        type Change = fn(&mut Request);
        let changes: [Change; 22] = [
            |_| {},
            |r| r.terms_mut().provider.0.push('x'),
            |r| r.terms_mut().model.push('x'),
            |r| r.terms_mut().revision = Some("1".into()),
            |r| r.messages[0].content = "S ".into(),
            |r| r.messages[1].role = Role::Assistant,
            |r| r.messages.swap(0, 1),
            |r| r.terms_mut().decoding.temperature = Some(crate::digest::Decimal::ZERO),
            |r| r.terms_mut().decoding.top_p = Some(crate::digest::Decimal::ZERO),
            |r| r.terms_mut().decoding.top_k = Some(0),
            |r| r.terms_mut().decoding.min_p = Some(crate::digest::Decimal::ZERO),
            |r| r.terms_mut().decoding.max_output_tokens = Some(0),
            |r| r.terms_mut().decoding.frequency_penalty = Some(crate::digest::Decimal::ZERO),
            |r| r.terms_mut().decoding.presence_penalty = Some(crate::digest::Decimal::ZERO),
            |r| r.terms_mut().decoding.effort = Some("low".into()),
            |r| r.terms_mut().decoding.stop = vec!["a".into()],
            |r| r.terms_mut().decoding.seed = Some(SeedPolicy::PerDraw),
            |r| r.terms_mut().decoding.seed = Some(SeedPolicy::Fixed(1)),
            |r| drop(r.terms_mut().extra.insert("n".into(), 1.into())),
            |r| r.terms_mut().draw_salt = Some("a".into()),
            |r| {
                r.recording = Some(Box::new(Recording {
                    dataset: "d".into(),
                    item: "i".into(),
                    arm: "control".into(),
                    answers: vec![],
                }));
            },
            |r| {
                let answers = vec![RecordedAnswer { text: String::new(), usage: Usage::default() }];
                r.recording =
                    Some(Box::new(Recording { dataset: "d".into(), item: "i".into(), arm: "control".into(), answers }));
            },
        ];
        let keys: std::collections::BTreeSet<_> = changes
            .iter()
            .map(|change| {
                let mut changed = request();
                change(&mut changed);
                changed.key()
            })
            .collect();
        assert_eq!(keys.len(), changes.len());
    }

    /// A released key is never retired: these texts may be added to, not changed.
    #[test]
    fn golden_vectors_stand() {
        let mut full = request();
        full.terms_mut().revision = Some("2026-11".into());
        full.terms_mut().decoding.temperature = Some("0.70".parse().unwrap());
        full.terms_mut().decoding.stop = vec!["\n".into()];
        full.terms_mut()
            .extra
            .insert("response_format".into(), serde_json::json!({"type": "json_object", "strict": null}));
        assert_eq!(
            request().key().to_string(),
            "blake3:cc8dc8aa34f552092805385d7e37e60384a04e14af434c9f80ea27dc550cd1ee"
        );
        assert_eq!(full.key().to_string(), "blake3:d70834bbecbc34d402f23cb9480ef0f308d325dda923fc64037cd99cd8c0939f");
        let address = DrawAddress { request: full.key(), generation: 1, number: 4 };
        assert_eq!(address.id().to_string(), "blake3:e70d4331cad3cb2582c920a6634bda21891eeb2e5773bc89b30a8aabbf35fd9e");
    }
}
