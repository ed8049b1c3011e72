use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::ops::ControlFlow;

use super::lines::MAX_ROW;
use super::{Json, Line, Lines, Member, Origin, Problems, Row};

/// Is one value of a record and where it stands in the record's text.
type Cell<'a> = (usize, Cow<'a, str>);

/// Reads comma- or tab-separated values with a header; each row is an object of texts.
///
/// RFC 4180, and strict where silence would lose rows: a quote that is never closed, text after a closing quote and a
/// row of another length are problems. (The csv crate repairs the first two without a word.) Lines without a value are
/// skipped.
pub fn each_delimited(
    source: &mut dyn Read,
    delimiter: u8,
    problems: &mut Problems,
    visit: &mut dyn FnMut(Row<'_>, &mut Problems) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut lines = Lines::new(source);
    let mut record = String::new();
    let mut header: Option<Vec<String>> = None;
    while !problems.is_full() {
        let Some(line) = next_record(&mut lines, &mut record, delimiter, problems)? else { break };
        let text = record.strip_suffix('\n').unwrap_or(&record);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            continue;
        }
        let origin = Origin::line(text, line);
        let cells = match split(text, delimiter) {
            Ok(cells) => cells,
            Err(at) => {
                let remedy = "write a quote inside a quoted value twice (`\"\"`)";
                problems.at(&origin, at, "text stands after a closing quote", remedy);
                continue;
            }
        };
        let Some(names) = &header else {
            let mut seen = BTreeSet::new();
            for (at, name) in &cells {
                if !seen.insert(name.as_ref()) {
                    let message = format!("the header names the column `{name}` twice");
                    problems.at(&origin, *at, message, "give each column a name of its own");
                }
            }
            if !problems.is_empty() {
                return Ok(());
            }
            header = Some(cells.into_iter().map(|(_, name)| name.into_owned()).collect());
            continue;
        };
        if cells.len() != names.len() {
            let message = format!("the row has {} values, the header {} columns", cells.len(), names.len());
            problems.row(&origin, 0, message, "quote values that hold the separator, a quote or a line break");
            continue;
        }
        let members = names
            .iter()
            .zip(cells)
            .map(|(name, (at, cell))| Member { name: Cow::Borrowed(name), at, value: Json::Text(cell) })
            .collect();
        if visit(Row { origin, at: 0, line: origin.line, key: None, value: Json::Object(members) }, problems).is_break()
        {
            return Ok(());
        }
    }
    if header.is_none() && problems.is_empty() {
        problems.file("the file has no header line", "begin it with the names of its columns");
    }
    Ok(())
}

/// Reads the lines of one record into `record` and returns the number of its first; `None` is the end of the file, or
/// a record that cannot end.
fn next_record<R: Read>(
    lines: &mut Lines<R>,
    record: &mut String,
    delimiter: u8,
    problems: &mut Problems,
) -> io::Result<Option<u64>> {
    record.clear();
    let mut state = State::Start;
    let mut first = 0;
    let mut opened = 0;
    while let Some(line) = lines.next(problems)? {
        let text = match line {
            Line::Text(text) => text,
            // The line may have opened or closed a quote: what follows cannot be told.
            Line::Unusable if state == State::Quoted => return Ok(None),
            Line::Unusable => "",
        };
        if record.len() + text.len() > MAX_ROW {
            break;
        }
        for (at, byte) in text.bytes().enumerate() {
            let before = state;
            state = state.after(byte, delimiter);
            if state == State::Quoted && before == State::Start {
                opened = record.len() + at;
            }
        }
        record.push_str(text);
        let number = lines.number();
        first = if first == 0 { number } else { first };
        if state != State::Quoted {
            return Ok(Some(first));
        }
    }
    if state == State::Quoted {
        let message = "a quoted value is not closed within 16 MiB or the end of the file";
        problems.at(&Origin::line(record, first), opened, message, "close it with `\"`");
    }
    Ok(None)
}

/// Is where a reader of separated values stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// After a quote inside a quoted value: its end, or the first half of `""`.
    Closed,
}

impl State {
    fn after(self, byte: u8, delimiter: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::Closed,
            (Self::Quoted, _) | (Self::Start | Self::Closed, b'"') => Self::Quoted,
            (_, byte) if byte == delimiter => Self::Start,
            _ => Self::Plain,
        }
    }
}

/// Splits a record into its cells; the error is the offset of text after a closing quote.
fn split(text: &str, delimiter: u8) -> Result<Vec<Cell<'_>>, usize> {
    let bytes = text.as_bytes();
    let mut cells = Vec::new();
    let mut start = 0;
    loop {
        let end = if bytes.get(start) == Some(&b'"') {
            let (cell, end) = quoted(text, start + 1);
            cells.push((start, cell));
            if bytes.get(end).is_some_and(|&b| b != delimiter) {
                return Err(end);
            }
            end
        } else {
            let end = bytes[start..].iter().position(|&b| b == delimiter).map_or(text.len(), |at| start + at);
            cells.push((start, Cow::Borrowed(&text[start..end])));
            end
        };
        if end == text.len() {
            return Ok(cells);
        }
        start = end + 1;
    }
}

/// Reads a quoted value whose text begins at `from`; returns it and the offset after its closing quote.
fn quoted(text: &str, from: usize) -> (Cow<'_, str>, usize) {
    let mut owned: Option<String> = None;
    let mut piece = from;
    loop {
        let quote = text[piece..].find('"').map_or(text.len(), |at| piece + at);
        let part = &text[piece..quote];
        let doubled = text[quote..].starts_with("\"\"");
        match &mut owned {
            None if !doubled => return (Cow::Borrowed(part), (quote + 1).min(text.len())),
            None => owned = Some(format!("{part}\"")),
            Some(text) => {
                text.push_str(part);
                if doubled {
                    text.push('"');
                }
            }
        }
        if !doubled {
            return (Cow::Owned(owned.unwrap_or_default()), (quote + 1).min(text.len()));
        }
        piece = quote + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<(u64, Vec<String>)>, String> {
        let mut problems = Problems::new("t.csv");
        let mut rows = Vec::new();
        each_delimited(&mut text.as_bytes(), b',', &mut problems, &mut |row, _| {
            let line = row.origin.line;
            rows.push((line, row.value.members().iter().map(|m| m.value.to_text().into_owned()).collect()));
            ControlFlow::Continue(())
        })
        .unwrap();
        problems.finish().map_err(|error| error.to_string())?;
        Ok(rows)
    }

    #[test]
    fn quoted_values_may_hold_line_breaks() {
        let rows = read("a,b\r\n1,\"x\r\ny\"\r\n\r\n\"2\"\"\",z").unwrap();
        assert_eq!(rows, [(2, vec!["1".into(), "x\r\ny".into()]), (5, vec!["2\"".into(), "z".into()])]);
    }

    #[test]
    fn what_would_lose_rows_is_a_problem() {
        let fail = |text| read(text).unwrap_err();
        assert_eq!(
            fail("a,b\n1,\"x\n2,y\n"),
            "t.csv:2:3: a quoted value is not closed within 16 MiB or the end of the file"
        );
        assert_eq!(fail("a,b\n1,\"x\"y\n"), "t.csv:2:6: text stands after a closing quote");
        assert_eq!(fail("a,b\n1,2,3\n"), "t.csv:2: the row has 3 values, the header 2 columns");
        assert_eq!(fail("a,b\n\"1\n\",2\n1\n"), "t.csv:4: the row has 1 values, the header 2 columns");
        assert_eq!(fail("a,b,a\n"), "t.csv:1:5: the header names the column `a` twice");
        assert_eq!(fail(""), "t.csv: the file has no header line");
    }

    proptest! {
        /// What the csv crate writes is read as it was.
        #[test]
        fn reads_what_the_csv_crate_writes(rows in prop::collection::vec(prop::collection::vec("[a\",\r\n ]{0,4}", 3), 0..5)) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            writer.write_record(["x", "y", "z"]).unwrap();
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let read: Vec<_> = read(&text).unwrap().into_iter().map(|(_, cells)| cells).collect();
            prop_assert_eq!(read, rows);
        }
    }
}
