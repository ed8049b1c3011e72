//! Changing one key of `reuse:` in the text of a config, everything else left as it stands, comments included.

use super::Span;
use super::tree::{self, Entry, Kind, Node};

/// Returns the text of a config with one key of `reuse:` set to `value`, written as YAML; everything else stays as it was.
///
/// `None` where the text is written in a way in which that cannot be done surely (anchors, unusual layouts): what is
/// returned has been read back, and differs in that one value only.
pub fn with_reuse(text: &str, key: &str, value: &str) -> Option<String> {
    let root = tree::parse(text).0?;
    let edited = edited(text, &root, key, value)?;
    let (read, found) = tree::parse(&edited);
    let read = read.filter(|_| found.is_empty())?;
    let wanted = {
        let mut whole = root.json();
        let fields = whole.as_object_mut()?;
        let reuse = fields.entry("reuse").or_insert_with(|| serde_json::json!({}));
        let value = tree::parse(value).0?.json();
        reuse.as_object_mut()?.insert(key.to_owned(), value);
        whole
    };
    (read.json() == wanted).then_some(edited)
}

fn edited(text: &str, root: &Node, key: &str, value: &str) -> Option<String> {
    let end_of_line = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let find = |node: &Node, key: &str| node.entries().iter().find(|entry| &*entry.key == key).cloned();
    let Some(reuse) = find(root, "reuse") else {
        let break_before = if text.ends_with('\n') || text.is_empty() { "" } else { end_of_line };
        return Some(format!("{text}{break_before}reuse: {{{key}: {value}}}{end_of_line}"));
    };
    let entries = reuse.value.entries();
    if let Some(Entry { value: old, .. }) = find(&reuse.value, key) {
        let start = offset(text, old.span)?;
        let end = start + length(text.get(start..)?, &old)?;
        return Some(format!("{}{value}{}", text.get(..start)?, text.get(end..)?));
    }
    let start = offset(text, reuse.value.span)?;
    if text.get(start..)?.starts_with('{') {
        let rest = text.get(start + 1..)?;
        let comma = if entries.is_empty() { "" } else { ", " };
        return Some(format!("{}{key}: {value}{comma}{rest}", text.get(..=start)?));
    }
    let first = entries.first()?.span;
    let indent = " ".repeat(first.at.column.saturating_sub(1) as usize);
    let start = offset(text, Span::new(first.at.line, 1, 0))?;
    Some(format!("{}{indent}{key}: {value}{end_of_line}{}", text.get(..start)?, text.get(start..)?))
}

/// Returns where a span starts, in bytes.
fn offset(text: &str, span: Span) -> Option<usize> {
    let mut start = 0;
    for _ in 1..span.at.line {
        start += text.get(start..)?.find('\n')? + 1;
    }
    let line = text.get(start..)?;
    let column = (span.at.column.checked_sub(1)?) as usize;
    line.char_indices().map(|(at, _)| at).chain([line.len()]).nth(column).map(|at| start + at)
}

/// Returns how many bytes a value covers, given the text from its start: a scalar of one line, or a mapping in braces.
fn length(text: &str, value: &Node) -> Option<usize> {
    match &value.kind {
        Kind::Scalar { .. } => {
            let characters = value.span.length as usize;
            text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(characters)
        }
        Kind::Mapping(_) if text.starts_with('{') => Some(text.find('}')? + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::with_reuse;

    #[test]
    fn one_value_changes_and_nothing_else() {
        let cases = [
            ("a: 1 # x\n", "a: 1 # x\nreuse: {generation: 3}\n"),
            ("a: 1", "a: 1\nreuse: {generation: 3}\n"),
            ("a: 1\r\n", "a: 1\r\nreuse: {generation: 3}\r\n"),
            ("reuse: {generation: 12} # why\nb: [ü]\n", "reuse: {generation: 3} # why\nb: [ü]\n"),
            ("reuse: {generation: {control: 1, treatment: 0}, x: 1}\n", "reuse: {generation: 3, x: 1}\n"),
            ("reuse: {ü: \"é\", generation: 1}\n", "reuse: {ü: \"é\", generation: 3}\n"),
            ("reuse: {x: 1}\n", "reuse: {generation: 3, x: 1}\n"),
            ("reuse: {}\n", "reuse: {generation: 3}\n"),
            ("reuse:\n  # first\n  x: 1 # one\n", "reuse:\n  # first\n  generation: 3\n  x: 1 # one\n"),
            ("reuse:\n  x: 1\n  generation: 7   # seven\nb: 2\n", "reuse:\n  x: 1\n  generation: 3   # seven\nb: 2\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(with_reuse(text, "generation", "3").as_deref(), Some(expected), "{text}");
        }
        let sides = "{control: 1, treatment: 0}";
        assert_eq!(
            with_reuse("a: 1\n", "generation", sides).unwrap(),
            format!("a: 1\nreuse: {{generation: {sides}}}\n")
        );
    }

    #[test]
    fn what_cannot_be_done_surely_is_not_done() {
        let texts = [
            "{a: 1}\n",
            "reuse:\n",
            "reuse:\n  generation:\n    control: 1\n",
            "b: &x {generation: 1}\nreuse: *x\n",
            "a: 1\n...\n",
            "reuse: 5\n",
        ];
        for text in texts {
            assert_eq!(with_reuse(text, "generation", "3"), None, "{text}");
        }
    }
}
