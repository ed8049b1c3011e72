use super::dataset::{Problems, check};
use super::{InputProblem, Inputs, StepError};

/// Reads an input that is one text; `None` if the step has no such input, or if what is wrong was added to `found`.
///
/// A byte order mark is dropped.
pub fn read_text(inputs: &Inputs<'_>, name: &str, found: &mut Vec<InputProblem>) -> Result<Option<String>, StepError> {
    let Some(input) = inputs.find(name) else { return Ok(None) };
    let bytes = inputs.read(name)?;
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let mut problems = Problems::new(input.label.clone());
    for (number, line) in bytes.split(|&b| b == b'\n').enumerate() {
        if let Err(fault) = check(line) {
            problems.line(number as u64 + 1, Some(fault.column), line, fault.message, fault.remedy);
            break;
        }
    }
    if problems.is_empty() {
        return Ok(Some(String::from_utf8_lossy(bytes).into_owned()));
    }
    problems.append_to(found);
    Ok(None)
}

/// Drops white space at both ends, by the rule of Python's `strip`: Unicode white space and U+001C to U+001F.
pub fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

/// Drops one line break at the end, which editors add.
pub fn without_final_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}
