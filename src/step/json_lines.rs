use serde::{Deserialize, Serialize};

use super::StepError;

/// Reads a blob of JSON lines that an earlier step wrote; blank lines are passed over.
///
/// `name` is the input's name, for the error of a line that does not read.
pub(super) fn read_lines<'a, T: Deserialize<'a>>(
    name: &'a str,
    text: &'a str,
) -> impl Iterator<Item = Result<T, StepError>> + 'a {
    // Only a line feed ends a line: U+2028 and the like may stand within a text.
    text.split('\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty()).map(move |(at, line)| {
        serde_json::from_str(line).map_err(|source| unexpected(name, format_args!("line {}: {source}", at + 1)))
    })
}

/// Appends a value as one JSON line.
pub(super) fn write_line<T: Serialize>(name: &str, out: &mut Vec<u8>, value: &T) -> Result<(), StepError> {
    serde_json::to_writer(&mut *out, value)
        .map_err(|source| StepError::Write { output: name.to_owned(), source: source.into() })?;
    out.push(b'\n');
    Ok(())
}

/// Writes a value as a JSON document: two spaces of indentation and a line feed at the end.
pub(super) fn write_document<T: Serialize>(name: &str, value: &T) -> Result<Vec<u8>, StepError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|source| StepError::Write { output: name.to_owned(), source: source.into() })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Says that a blob is not what the step before should have written.
pub(super) fn unexpected(name: &str, why: impl std::fmt::Display) -> StepError {
    StepError::Unexpected { blob: name.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_and_read_back() {
        let mut out = Vec::new();
        for text in ["a\nb", "\u{2028}", ""] {
            write_line("texts", &mut out, &text).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        let back: Vec<String> = read_lines("texts", &text).collect::<Result<_, _>>().unwrap();
        assert_eq!(back, ["a\nb", "\u{2028}", ""]);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = read_lines::<u32>("counts", "1\n\n-2\n").nth(1).unwrap().unwrap_err();
        assert!(error.to_string().starts_with("counts is not what its step should have written: line 3: "), "{error}");
    }

    #[test]
    fn a_document_ends_with_a_line_feed() {
        assert_eq!(write_document("x", &[1]).unwrap(), b"[\n  1\n]\n");
    }
}
