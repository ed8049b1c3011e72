use serde_json::Value;

/// Are the words that Python writes for numbers that JSON has not; the longer one first.
const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// Reads JSON in which `NaN` and `Infinity` may stand, as the predecessor wrote it; each of them is null.
pub fn loose_json(bytes: &[u8]) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Some(value);
    }
    let (mut out, mut at, mut in_text) = (Vec::with_capacity(bytes.len()), 0, false);
    while let Some(&byte) = bytes.get(at) {
        let word = if in_text { None } else { WORDS.iter().find(|word| bytes[at..].starts_with(word)) };
        if let Some(word) = word {
            out.extend_from_slice(b"null");
            at += word.len();
            continue;
        }
        // An escape is two bytes: a quote after it ends no text.
        let taken = if in_text && byte == b'\\' { 2 } else { 1 };
        in_text ^= byte == b'"';
        let end = bytes.len().min(at + taken);
        out.extend_from_slice(&bytes[at..end]);
        at = end;
    }
    serde_json::from_slice(&out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_number_is_null_and_text_stays() {
        let text = br#"{"a": NaN, "b": [Infinity, -Infinity, 1], "NaN \" NaN": "Infinity\\", "c": -1}"#;
        let expected = json!({"a": null, "b": [null, null, 1], "NaN \" NaN": "Infinity\\", "c": -1});
        assert_eq!(loose_json(text), Some(expected));
        assert_eq!(loose_json(b"{\"a\": NaN"), None);
        assert_eq!(loose_json(b"\"\\"), None);
    }
}
