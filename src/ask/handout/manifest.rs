use std::fmt::Write as _;

use camino::Utf8Path;

use super::HandoutError;
use crate::digest::{Digest, Value};
use crate::request::DrawAddress;

/// Names the manifest's file in a handout.
pub const MANIFEST_NAME: &str = "manifest.json";
const FORMAT: &str = "exp-handout/1";
const SEAL: &str = "\"manifest_digest\":";

/// Is one file of requests: of one provider and one model, since engines load one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// The file's name in the handout.
    pub file: String,
    /// Who is to answer: the identity that the requests carry.
    pub identity: String,
    /// The model's id, as it stands in each body.
    pub model: String,
    /// The path of the call, as it stands in each line.
    pub url: String,
    /// How many lines.
    pub lines: u64,
    /// How many bytes.
    pub bytes: u64,
    /// The hash of the file.
    pub blake3: Digest,
}

/// Is one line of a shard: which draw it asks for, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedDraw {
    /// Where the answer will stand.
    pub draw: DrawAddress,
    /// The line's `custom_id`; derived from the address.
    pub custom_id: String,
    /// The line's shard, counted from 0 in the order of the list.
    pub shard: u32,
    /// The hash of the line's body.
    pub body: Digest,
}

/// Says what a handout asks: every shard, every line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandoutManifest {
    /// The files.
    pub shards: Vec<Shard>,
    /// The lines, in the order of the shards.
    pub draws: Vec<HandedDraw>,
}

#[derive(serde::Deserialize)]
struct Format {
    format: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(rename = "format")]
    _format: String,
    shards: Vec<Shard>,
    draws: Vec<HandedDraw>,
    manifest_digest: Digest,
}

/// Hashes a body as the value it is: another order of members, other white space, `1.0` for `1` are the same body.
pub fn body_hash(body: &serde_json::Value) -> Digest {
    Value::from_json(body).digest("exp 2026-11 request body")
}

impl HandoutManifest {
    /// Writes the manifest: one entry a line, and last the hash of all before that line.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut text = format!("{{\n\"format\":\"{FORMAT}\",\n");
        list(&mut text, "shards", &self.shards)?;
        list(&mut text, "draws", &self.draws)?;
        let digest = Digest::of(text.as_bytes());
        let _ = writeln!(text, "{SEAL}\"{digest}\"\n}}");
        Ok(text)
    }

    /// Reads a manifest, and checks that it is as it was written: `path` is for the error.
    pub fn parse(path: &Utf8Path, text: &str) -> Result<Self, HandoutError> {
        let wrong = |why: String| HandoutError::Manifest { path: path.to_owned(), why };
        let format: Format =
            serde_json::from_str(text).map_err(|error| wrong(format!("this is no manifest of a handout: {error}")))?;
        if format.format != FORMAT {
            return Err(wrong(format!("its format is `{}`, and this version reads `{FORMAT}`", format.format)));
        }
        let whole: Whole = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let sealed = text.rfind(SEAL).map(|at| Digest::of(&text.as_bytes()[..at]));
        if sealed != Some(whole.manifest_digest) {
            return Err(wrong("it was changed after it was written: its own hash does not fit".to_owned()));
        }
        for draw in &whole.draws {
            if draw.custom_id != draw.draw.custom_id() {
                return Err(wrong(format!("`{}` is not the name of its draw", draw.custom_id)));
            }
            if draw.shard as usize >= whole.shards.len() {
                return Err(wrong(format!("`{}` stands in a shard that is not there", draw.custom_id)));
            }
        }
        Ok(Self { shards: whole.shards, draws: whole.draws })
    }
}

fn list<T: serde::Serialize>(text: &mut String, name: &str, entries: &[T]) -> Result<(), serde_json::Error> {
    let _ = write!(text, "\"{name}\":[");
    for (at, entry) in entries.iter().enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&serde_json::to_string(entry)?);
    }
    text.push_str("\n],\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::RequestKey;
    use serde_json::json;

    fn manifest() -> HandoutManifest {
        let draw = DrawAddress { request: RequestKey::new(Digest::of(b"r")), generation: 0, number: 1 };
        let shard = Shard {
            file: "shard-0000.jsonl".into(),
            identity: "openai ours".into(),
            model: "m".into(),
            url: "/v1/chat/completions".into(),
            lines: 1,
            bytes: 7,
            blake3: Digest::of(b"s"),
        };
        let handed = HandedDraw { draw, custom_id: draw.custom_id(), shard: 0, body: body_hash(&json!({"a": 1})) };
        HandoutManifest { shards: vec![shard], draws: vec![handed] }
    }

    #[test]
    fn it_reads_back_and_no_change_goes_unseen() {
        let text = manifest().to_text().unwrap();
        let path = Utf8Path::new("manifest.json");
        assert_eq!(HandoutManifest::parse(path, &text).unwrap(), manifest());
        for (from, to) in [("ours", "theirs"), ("\"shard\":0", "\"shard\":1"), ("exp-handout/1", "exp-handout/2")] {
            assert!(text.contains(from));
            assert!(HandoutManifest::parse(path, &text.replacen(from, to, 1)).is_err(), "{from}");
        }
        let cut = HandoutManifest::parse(path, &text[..text.len() - 4]).unwrap_err();
        assert!(cut.to_string().contains("no manifest"), "{cut}");
    }

    /// Manifests elsewhere hold these hashes.
    #[test]
    fn a_body_is_hashed_as_a_value() {
        let hash = |text: &str| body_hash(&serde_json::from_str(text).unwrap());
        assert_eq!(hash(r#"{"a":1,"b":[0.70]}"#), hash(r#"{ "b": [0.7], "a": 1.0 }"#));
        assert_ne!(hash(r#"{"a":1}"#), hash(r#"{"a":"1"}"#));
        assert_ne!(hash(r#"{"a":[1,2]}"#), hash(r#"{"a":[2,1]}"#));
    }
}
