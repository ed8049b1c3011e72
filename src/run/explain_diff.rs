use serde_json::Value;
use similar::TextDiff;

use super::on_disk;
use crate::digest::BlobId;
use crate::store::Store;

/// Is the size up to which the difference of two texts is shown: 64 KiB.
const SHOWN: usize = 64 << 10;

/// Lists where two parameter documents differ: path, then, now.
pub(super) fn param_changes(old: &Value, new: &Value) -> Vec<(String, Option<Value>, Option<Value>)> {
    let mut changes = Vec::new();
    collect(String::new(), Some(old), Some(new), &mut changes);
    changes
}

type ParamChange = (String, Option<Value>, Option<Value>);

fn collect(path: String, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<ParamChange>) {
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(path, old.get(name), new.get(name), changes);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for at in 0..old.len().max(new.len()) {
                collect(format!("{path}[{at}]"), old.get(at), new.get(at), changes);
            }
        }
        (old, new) if old != new => changes.push((path, old.cloned(), new.cloned())),
        _ => {}
    }
}

/// Writes a unified diff of two blobs; `Err` says why there is none.
pub(super) fn text_change(
    store: &Store,
    old: &BlobId,
    new: &BlobId,
    old_path: &str,
    new_path: &str,
) -> Result<String, String> {
    let [old, new] = [("earlier", old), ("present", new)].map(|(which, blob)| {
        let path = store.blob_path(blob);
        let size =
            std::fs::symlink_metadata(&path).map_err(|_| format!("the {which} content is no longer in the store"))?;
        if size.len() > SHOWN as u64 {
            return Err(format!("the {which} content is {} bytes: too long to show", size.len()));
        }
        let bytes = on_disk::read(&path).map_err(|error| format!("the {which} content: {error}"))?;
        if BlobId::of(&bytes) != *blob {
            return Err(format!("the {which} content is damaged in the store"));
        }
        String::from_utf8(bytes).map_err(|_| format!("the {which} content is not text"))
    });
    let (old, new) = (old?, new?);
    let diff = TextDiff::from_lines(old.as_str(), new.as_str());
    Ok(diff.unified_diff().context_radius(2).header(old_path, new_path).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_found_by_path() {
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let old = value(r#"{"a":{"b":1,"c":[1,2]},"d":"x","e":null}"#);
        let new = value(r#"{"a":{"b":2,"c":[1,3,4]},"d":"x","f":true}"#);
        let changes = param_changes(&old, &new);
        let paths: Vec<&str> = changes.iter().map(|(path, ..)| path.as_str()).collect();
        assert_eq!(paths, ["a.b", "a.c[1]", "a.c[2]", "e", "f"]);
        assert_eq!(changes[0], ("a.b".into(), Some(1.into()), Some(2.into())));
        assert_eq!(changes[2], ("a.c[2]".into(), None, Some(4.into())));
        assert!(param_changes(&old, &old).is_empty());
    }
}
