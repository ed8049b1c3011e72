use std::fmt::Write;

/// Writes a text as a YAML scalar that reads back as exactly this text, on one line.
///
/// A text that cannot be taken for anything else stays as it is; every other is put in double quotes, with the escapes
/// that JSON and YAML share.
pub fn write_yaml_string(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let starts_as_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    // Words that some reader of YAML takes for a truth value or null.
    let reserved = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if starts_as_word && text.chars().all(safe) && !reserved.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return text.to_owned();
    }
    let mut written = String::with_capacity(text.len() + 2);
    written.push('"');
    for c in text.chars() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(written, "\\u{:04x}", u32::from(c)); // Writing to a string does not fail.
            }
            c => written.push(c),
        }
    }
    written.push('"');
    written
}

#[cfg(test)]
mod tests {
    use super::write_yaml_string;
    use proptest::prelude::*;

    #[test]
    fn plain_where_it_can_be() {
        assert_eq!(write_yaml_string("data/items.jsonl"), "data/items.jsonl");
        assert_eq!(write_yaml_string("No"), "\"No\"");
        assert_eq!(write_yaml_string("1.10"), "\"1.10\"");
        assert_eq!(write_yaml_string(""), "\"\"");
        assert_eq!(write_yaml_string("a: \"b\"\n"), "\"a: \\\"b\\\"\\n\"");
    }

    proptest! {
        #[test]
        fn reads_back(text in any::<String>()) {
            let yaml = format!("k: {}\n", write_yaml_string(&text));
            let (root, found) = super::super::tree::parse(&yaml);
            prop_assert!(found.is_empty(), "{yaml}");
            let root = root.unwrap();
            let same = matches!(&root.entries()[0].value.kind, super::super::tree::Kind::Scalar { text: read, .. } if **read == *text);
            prop_assert!(same, "{yaml}");
            let other: std::collections::BTreeMap<String, String> = serde_yaml::from_str(&yaml).unwrap();
            prop_assert_eq!(&other["k"], &text);
        }
    }
}
