//! Reading JSON that a server sent: strict, but for unpaired surrogates, which models do write.

use std::borrow::Cow;

use serde_json::Value;

/// Parses a document; returns it with the number of unpaired surrogates in it, each of which became U+FFFD.
pub(super) fn parse(bytes: &[u8]) -> Result<(Value, usize), serde_json::Error> {
    let (bytes, replaced) = paired(bytes);
    Ok((serde_json::from_slice(&bytes)?, replaced))
}

/// Replaces each `\uD800`-`\uDFFF` escape that has no partner by `\uFFFD`.
fn paired(bytes: &[u8]) -> (Cow<'_, [u8]>, usize) {
    let mut out: Option<Vec<u8>> = None;
    let (mut at, mut replaced) = (0, 0);
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        let Some(unit) = escape(bytes, at) else {
            // Some other escape: what follows the backslash is no beginning of one.
            at += 2;
            continue;
        };
        match unit {
            0xD800..=0xDBFF if matches!(escape(bytes, at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            0xD800..=0xDFFF => {
                out.get_or_insert_with(|| bytes.to_vec())[at + 2..at + 6].copy_from_slice(b"FFFD");
                replaced += 1;
                at += 6;
            }
            _ => at += 6,
        }
    }
    (out.map_or(Cow::Borrowed(bytes), Cow::Owned), replaced)
}

/// Reads the `\uXXXX` at a place.
fn escape(bytes: &[u8], at: usize) -> Option<u16> {
    let six = bytes.get(at..at + 6)?;
    let digits = six.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |value: u16, digit| Some(value << 4 | char::from(*digit).to_digit(16)? as u16))
}

/// Returns the text at a path of members.
pub(super) fn text_at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    at(value, path)?.as_str()
}

/// Returns the number of tokens at a path; what cannot be one (negative, a fraction, over 10^12) is absent.
pub(super) fn count_at(value: &Value, path: &[&str]) -> Option<u64> {
    at(value, path)?.as_u64().filter(|count| *count <= 1_000_000_000_000)
}

/// Returns the value at a path of members.
pub(super) fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

/// Joins the texts under `member` of those items whose `type` is one of `kinds`; `None` where there is none.
pub(super) fn joined(items: &[Value], kinds: &[&str], member: &str) -> Option<String> {
    let texts: Vec<&str> = items
        .iter()
        .filter(|item| text_at(item, &["type"]).is_some_and(|kind| kinds.contains(&kind)))
        .filter_map(|item| text_at(item, &[member]))
        .collect();
    (!texts.is_empty()).then(|| texts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpaired_surrogates_are_replaced_and_counted() {
        let cases = [
            (r#""a\ud800b""#, "a\u{fffd}b", 1),
            (r#""\udc00\ud800""#, "\u{fffd}\u{fffd}", 2),
            (r#""\ud83d\ude00""#, "😀", 0),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀", 1),
            (r#""\\ud800""#, "\\ud800", 0),
            (r#""\\\ud800""#, "\\\u{fffd}", 1),
            (r#""\uD83Dx\uDe00""#, "\u{fffd}x\u{fffd}", 2),
        ];
        for (json, text, replaced) in cases {
            assert_eq!(parse(json.as_bytes()).unwrap(), (Value::String(text.into()), replaced), "{json}");
        }
        for bad in ["\"\\u12\"", "\"\\", "", "{", "\"\\ud8", "\"\\ud800\\u\""] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(&vec![b'['; 100_000]).is_err(), "depth is bounded");
    }

    #[test]
    fn absurd_counts_are_absent() {
        let usage =
            serde_json::json!({"a": -1, "b": 1.5, "c": 1e13, "d": 2_000_000_000_000_u64, "e": "7", "f": 7, "g": null});
        for absurd in ["a", "b", "c", "d", "e", "g", "h"] {
            assert_eq!(count_at(&usage, &[absurd]), None, "{absurd}");
        }
        assert_eq!(count_at(&usage, &["f"]), Some(7));
    }

    proptest::proptest! {
        #[test]
        fn any_json_text_survives(text in ".*") {
            let json = serde_json::to_vec(&text).unwrap();
            proptest::prop_assert_eq!(parse(&json).unwrap(), (Value::String(text), 0));
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            drop(parse(&bytes));
        }

        #[test]
        fn escapes_never_panic(text in r#""(\\u[dD][89a-fA-F][0-9a-f]{2}|\\u|\\\\|[a-z]){0,8}""#) {
            drop(parse(text.as_bytes()));
        }
    }
}
