use std::collections::HashSet;
use std::io::{self, Read};
use std::ops::ControlFlow;

use super::json_stream::{JsonStream, StreamFault};
use super::lines::{Line, Lines, MAX_ROW};
use super::{Json, Origin, Problems, Surrogates, each_delimited, parse_json_with};

/// Says how rows stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One JSON object a line.
    Lines,
    /// Values with a header, separated by this byte.
    Delimited(u8),
    /// A JSON array of objects.
    Array,
    /// A JSON object with such an array under this key.
    ArrayUnder(&'static str),
    /// A JSON object: each key with its value is a row.
    Entries,
}

/// Is one row of a file.
#[derive(Debug)]
pub struct Row<'a> {
    /// Its text and where that is.
    pub origin: Origin<'a>,
    /// Where in that text the row begins, where the text holds several.
    pub at: usize,
    /// The line of that place, from 1.
    pub line: u64,
    /// Its key, in [`Layout::Entries`] alone.
    pub key: Option<String>,
    /// Its fields: an object, but in [`Layout::Entries`].
    pub value: Json<'a>,
}

/// How long the text of one article of SQuAD may be: it is the unit that is held in memory.
const MAX_ELEMENT_UNDER: usize = 64 << 20;

/// Is what is done with each row.
pub type Visit<'v> = &'v mut dyn FnMut(Row<'_>, &mut Problems) -> ControlFlow<()>;

/// Reads rows one at a time, until the end, a break, or enough problems. Only one row is held in memory.
///
/// What is wrong in the file is noted in `problems`; only a failure to read is an error.
pub fn each_row(
    source: &mut dyn Read,
    layout: Layout,
    surrogates: Surrogates,
    problems: &mut Problems,
    visit: Visit<'_>,
) -> io::Result<()> {
    match layout {
        Layout::Lines => each_line(source, surrogates, problems, visit),
        Layout::Delimited(delimiter) => each_delimited(source, delimiter, problems, visit),
        Layout::Array | Layout::ArrayUnder(_) | Layout::Entries => {
            let mut stream = JsonStream::new(source)?;
            let walked = match layout {
                Layout::ArrayUnder(key) => each_element_under(&mut stream, key, surrogates, problems, visit),
                Layout::Entries => each_entry(&mut stream, surrogates, problems, visit),
                _ => each_element(&mut stream, MAX_ROW, surrogates, problems, visit)
                    .and_then(|flow| if flow.is_break() { Ok(()) } else { stream.finish(problems) }),
            };
            match walked {
                Err(StreamFault::Io(error)) => Err(error),
                Ok(()) | Err(StreamFault::Noted) => Ok(()),
            }
        }
    }
}

fn each_line(
    source: &mut dyn Read,
    surrogates: Surrogates,
    problems: &mut Problems,
    visit: Visit<'_>,
) -> io::Result<()> {
    let mut lines = Lines::new(source);
    while !problems.is_full() {
        let number = lines.number() + 1;
        let Some(line) = lines.next(problems)? else { break };
        let Line::Text(text) = line else { continue };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.trim_ascii().is_empty() {
            continue;
        }
        let origin = Origin::line(text, number);
        let remedy = "write one JSON object a line; an array of objects is `format: json`";
        if let Some(row) = object(origin, surrogates, remedy, problems)
            && visit(row, problems).is_break()
        {
            break;
        }
    }
    Ok(())
}

/// Parses a row that must be an object.
fn object<'a>(origin: Origin<'a>, surrogates: Surrogates, remedy: &str, problems: &mut Problems) -> Option<Row<'a>> {
    match parse_json_with(origin.text, surrogates) {
        Ok(value @ Json::Object(_)) => Some(Row { origin, at: 0, line: origin.line, key: None, value }),
        Ok(value) => {
            problems.row(&origin, 0, format!("the row is {}, not an object", value.kind()), remedy);
            None
        }
        Err(problem) => {
            problems.json(&origin, problem);
            None
        }
    }
}

fn each_element<R: Read>(
    stream: &mut JsonStream<R>,
    limit: usize,
    surrogates: Surrogates,
    problems: &mut Problems,
    visit: Visit<'_>,
) -> Result<ControlFlow<()>, StreamFault> {
    stream.expect(b'[', problems, "the rows stand in a list; one object a line is `format: jsonl`")?;
    if stream.peek()? == Some(b']') {
        stream.more(b']', problems)?;
        return Ok(ControlFlow::Continue(()));
    }
    loop {
        if let Some(origin) = stream.take(limit, problems)?
            && let Some(row) = object(origin, surrogates, "write an object with named fields", problems)
            && visit(row, problems).is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        if problems.is_full() {
            return Ok(ControlFlow::Break(()));
        }
        if !stream.more(b']', problems)? {
            return Ok(ControlFlow::Continue(()));
        }
    }
}

fn each_element_under<R: Read>(
    stream: &mut JsonStream<R>,
    key: &str,
    surrogates: Surrogates,
    problems: &mut Problems,
    visit: Visit<'_>,
) -> Result<(), StreamFault> {
    stream.expect(b'{', problems, "the rows stand in an object; an array of objects is `format: json`")?;
    let quoted = format!("\"{key}\"");
    let mut seen = false;
    let mut more = stream.peek()? != Some(b'}') || stream.more(b'}', problems)?;
    while more {
        if stream.key(problems)?.is_none_or(|origin| origin.text != quoted) {
            stream.skip(problems)?;
        } else if seen {
            let message = format!("the key `{key}` stands twice in one object");
            return Err(stream.note(problems, &message, "remove one of the two"));
        } else {
            seen = true;
            if each_element(stream, MAX_ELEMENT_UNDER, surrogates, problems, visit)?.is_break() {
                return Ok(());
            }
        }
        more = stream.more(b'}', problems)?;
    }
    if !seen {
        let remedy = "check `format`; a plain array of objects is `format: json`, one object a line `format: jsonl`";
        problems.file(format!("the file has no list `{key}`"), remedy);
    }
    stream.finish(problems)
}

fn each_entry<R: Read>(
    stream: &mut JsonStream<R>,
    surrogates: Surrogates,
    problems: &mut Problems,
    visit: Visit<'_>,
) -> Result<(), StreamFault> {
    stream.expect(b'{', problems, "the recordings stand in one object, key and text")?;
    let mut seen: HashSet<String> = HashSet::new();
    if stream.peek()? == Some(b'}') {
        stream.more(b'}', problems)?;
        return stream.finish(problems);
    }
    loop {
        let key = match stream.key(problems)? {
            None => None,
            Some(origin) => match parse_json_with(origin.text, surrogates) {
                Ok(key) => {
                    let key = key.to_text().into_owned();
                    if !seen.insert(key.clone()) {
                        let message = format!("the key `{key}` stands twice in one object");
                        problems.at(&origin, 0, message, "remove one of the two");
                    }
                    Some(key)
                }
                Err(problem) => {
                    problems.json(&origin, problem);
                    None
                }
            },
        };
        if let Some(origin) = stream.take(MAX_ROW, problems)? {
            match parse_json_with(origin.text, surrogates) {
                Ok(value) => {
                    if visit(Row { origin, at: 0, line: origin.line, key, value }, problems).is_break() {
                        return Ok(());
                    }
                }
                Err(problem) => problems.json(&origin, problem),
            }
        }
        if problems.is_full() {
            return Ok(());
        }
        if !stream.more(b'}', problems)? {
            return stream.finish(problems);
        }
    }
}
