use std::io::{self, Read};

use super::lines::{MAX_ROW, check};
use super::{Origin, Problems};

/// Walks one JSON document of any size and hands out the values that rows are made of, one at a time.
///
/// It looks at brackets, quotes and commas only; what a value holds is the business of the parser that takes it.
pub struct JsonStream<R: Read> {
    source: R,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    /// Where `at` stands: line from 1, characters before it on the line, and the first bytes of the line.
    line: u64,
    before: u64,
    head: Vec<u8>,
    value: Vec<u8>,
    value_head: String,
}

/// Says why a walk ended early.
#[derive(Debug)]
pub enum StreamFault {
    /// The file could not be read.
    Io(io::Error),
    /// The document is not what it should be; the problem has been noted.
    Noted,
}

impl From<io::Error> for StreamFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn count(bytes: &[u8], counted: impl Fn(u8) -> bool) -> u64 {
    bytes.iter().map(|&b| u64::from(counted(b))).sum()
}

/// How many bytes of a line are kept to show what stands before a value.
const HEAD: usize = 240;

impl<R: Read> JsonStream<R> {
    /// Starts at the beginning of a document; a byte order mark is dropped.
    pub fn new(source: R) -> io::Result<Self> {
        let mut stream = Self {
            source,
            buffer: vec![0; 64 << 10].into_boxed_slice(),
            at: 0,
            end: 0,
            line: 1,
            before: 0,
            head: Vec::new(),
            value: Vec::new(),
            value_head: String::new(),
        };
        // A read may give fewer than three bytes.
        while stream.end < 3 {
            let read = stream.source.read(&mut stream.buffer[stream.end..])?;
            if read == 0 {
                break;
            }
            stream.end += read;
        }
        if stream.buffer[..stream.end].starts_with(b"\xEF\xBB\xBF") {
            stream.at = 3;
        }
        Ok(stream)
    }

    fn fill(&mut self) -> io::Result<bool> {
        if self.at == self.end {
            self.at = 0;
            self.end = self.source.read(&mut self.buffer)?;
        }
        Ok(self.end > 0)
    }

    /// Steps over bytes of the buffer and keeps count of where that leads.
    fn advance(&mut self, to: usize) {
        let mut passed = &self.buffer[self.at..to];
        if let Some(newline) = passed.iter().rposition(|&b| b == b'\n') {
            self.line += count(passed, |b| b == b'\n');
            self.before = 0;
            self.head.clear();
            passed = &passed[newline + 1..];
        }
        // Bytes that continue a character are not counted.
        self.before += count(passed, |b| b & 0xC0 != 0x80);
        let room = HEAD.saturating_sub(self.head.len()).min(passed.len());
        self.head.extend_from_slice(&passed[..room]);
        self.at = to;
    }

    /// Returns the next byte that is not white space, without taking it.
    pub fn peek(&mut self) -> io::Result<Option<u8>> {
        while self.fill()? {
            let rest = &self.buffer[self.at..self.end];
            match rest.iter().position(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
                Some(skip) => {
                    self.advance(self.at + skip);
                    return Ok(Some(self.buffer[self.at]));
                }
                None => self.advance(self.end),
            }
        }
        Ok(None)
    }

    /// Notes a problem at the current place.
    pub fn note(&self, problems: &mut Problems, message: &str, remedy: &str) -> StreamFault {
        let head = String::from_utf8_lossy(&self.head);
        let whole = head.chars().count() as u64 == self.before;
        let shown = &self.buffer[self.at..self.end];
        let shown = &shown[..shown.iter().position(|&b| b == b'\n').unwrap_or(shown.len()).min(HEAD)];
        let line = format!("{}{}", if whole { &head } else { "…" }, String::from_utf8_lossy(shown));
        problems.line(self.line, Some(self.before + 1), line.as_bytes(), message, remedy);
        StreamFault::Noted
    }

    /// Takes one byte that must come next.
    pub fn expect(&mut self, byte: u8, problems: &mut Problems, remedy: &str) -> Result<(), StreamFault> {
        match self.peek()? {
            Some(found) if found == byte => {
                self.advance(self.at + 1);
                Ok(())
            }
            Some(found) => {
                let message = format!("expected `{}`, found `{}`", char::from(byte), char::from(found).escape_debug());
                Err(self.note(problems, &message, remedy))
            }
            None => {
                let message = format!("the file ends where `{}` should stand", char::from(byte));
                Err(self.note(problems, &message, "is the file complete?"))
            }
        }
    }

    /// After one element of a list or object: `true` if another follows, `false` at the closing bracket.
    pub fn more(&mut self, close: u8, problems: &mut Problems) -> Result<bool, StreamFault> {
        match self.peek()? {
            Some(b',') => {
                self.advance(self.at + 1);
                Ok(true)
            }
            Some(found) if found == close => {
                self.advance(self.at + 1);
                Ok(false)
            }
            Some(_) => {
                let message = format!("expected `,` or `{}`", char::from(close));
                Err(self.note(problems, &message, "correct the JSON here"))
            }
            None => {
                let message = format!("the file ends where `,` or `{}` should stand", char::from(close));
                Err(self.note(problems, &message, "is the file complete?"))
            }
        }
    }

    /// Notes anything but white space that is left.
    pub fn finish(&mut self, problems: &mut Problems) -> Result<(), StreamFault> {
        if self.peek()?.is_none() {
            return Ok(());
        }
        let remedy = "the file must hold one JSON value; one object a line is `format: jsonl`";
        Err(self.note(problems, "text stands after the end of the JSON", remedy))
    }

    /// Steps over the next value, however long.
    pub fn skip(&mut self, problems: &mut Problems) -> Result<(), StreamFault> {
        self.walk(None, problems)
    }

    /// Takes the next value, at most `limit` bytes; the text is valid until the next call.
    pub fn take(&mut self, limit: usize, problems: &mut Problems) -> Result<Option<Origin<'_>>, StreamFault> {
        self.peek()?;
        self.value_head = String::from_utf8_lossy(&self.head).into_owned();
        let (line, before) = (self.line, self.before);
        self.walk(Some(limit), problems)?;
        match check(&self.value) {
            Ok(text) => Ok(Some(Origin { text, line, head: &self.value_head, before })),
            Err(fault) => {
                let message = format!("{} in the value that begins here", fault.message);
                problems.line(line, Some(before + 1), &self.value, message, fault.remedy);
                Ok(None)
            }
        }
    }

    /// Takes a key and the colon after it; the text is valid until the next call, quotes and escapes included.
    pub fn key(&mut self, problems: &mut Problems) -> Result<Option<Origin<'_>>, StreamFault> {
        if self.peek()? != Some(b'"') {
            return Err(self.note(problems, "expected a key in quotes", "correct the JSON here"));
        }
        let (line, before) = (self.line, self.before);
        self.value_head = String::from_utf8_lossy(&self.head).into_owned();
        self.walk(Some(MAX_ROW), problems)?;
        self.expect(b':', problems, "correct the JSON here")?;
        Ok(check(&self.value).ok().map(|text| Origin { text, line, head: &self.value_head, before }))
    }

    /// Walks over one value, and keeps it where a limit is given.
    fn walk(&mut self, limit: Option<usize>, problems: &mut Problems) -> Result<(), StreamFault> {
        self.value.clear();
        let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
        match self.peek()? {
            Some(b',' | b':' | b']' | b'}') => {
                return Err(self.note(problems, "expected a value", "correct the JSON here"));
            }
            None => {
                return Err(self.note(problems, "the file ends where a value should stand", "is the file complete?"));
            }
            Some(_) => {}
        }
        let started = (self.line, self.before);
        loop {
            if !self.fill()? {
                // A number or word may end with the file; anything open may not.
                if depth == 0 && !quoted {
                    return Ok(());
                }
                let (line, before) = started;
                let message = "the value that begins here is not closed before the end of the file";
                problems.line(line, Some(before + 1), &self.value, message, "close it, or complete the file");
                return Err(StreamFault::Noted);
            }
            let rest = &self.buffer[self.at..self.end];
            let mut used = rest.len();
            let mut done = false;
            for (n, &byte) in rest.iter().enumerate() {
                if quoted {
                    match byte {
                        _ if escaped => escaped = false,
                        b'\\' => escaped = true,
                        b'"' => {
                            quoted = false;
                            done = depth == 0;
                        }
                        _ => {}
                    }
                } else {
                    match byte {
                        b'"' => quoted = true,
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' if depth > 0 => {
                            depth -= 1;
                            done = depth == 0;
                        }
                        // The end of a number or word, which belongs to what is around it.
                        b',' | b':' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => {
                            used = n;
                            done = true;
                            break;
                        }
                        _ => {}
                    }
                }
                if done {
                    used = n + 1;
                    break;
                }
            }
            if let Some(limit) = limit {
                if self.value.len() + used > limit {
                    let message = format!("one value is longer than {} MiB", limit >> 20);
                    return Err(self.note(problems, &message, "divide it into smaller rows"));
                }
                self.value.extend_from_slice(&rest[..used]);
            }
            self.advance(self.at + used);
            if done {
                return Ok(());
            }
        }
    }
}
