use std::io::{self, Write};

use super::MAX_RESPONSE;

/// Takes bytes as they come and hands on whole lines, so that no more than one of them is held. What is longer than a response
/// may be is cut there.
pub(super) struct Lines<'l> {
    buffer: Vec<u8>,
    take: &'l mut dyn FnMut(&[u8]) -> io::Result<()>,
}

impl<'l> Lines<'l> {
    /// Hands each line, without its end, to `take`; empty ones are left out.
    pub fn new(take: &'l mut dyn FnMut(&[u8]) -> io::Result<()>) -> Self {
        Self { buffer: Vec::new(), take }
    }

    /// Hands on what came after the last end of a line.
    pub fn end(mut self) -> io::Result<()> {
        self.hand_on()
    }

    fn hand_on(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.buffer);
        let line_ends = line.strip_suffix(b"\r").unwrap_or(&line);
        if line_ends.iter().all(u8::is_ascii_whitespace) { Ok(()) } else { (self.take)(line_ends) }
    }
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = (MAX_RESPONSE as usize).saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&piece[..piece.len().min(room)]);
            if pieces.peek().is_some() {
                self.hand_on()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_come_whole_however_they_were_cut(text in "[ab\n\r]{0,60}", cuts in prop::collection::vec(1usize..9, 0..40)) {
            let mut found: Vec<String> = Vec::new();
            let mut take = |line: &[u8]| { found.push(String::from_utf8(line.to_vec()).unwrap()); Ok(()) };
            let mut lines = Lines::new(&mut take);
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                lines.write_all(piece).unwrap();
                rest = after;
            }
            lines.write_all(rest).unwrap();
            lines.end().unwrap();
            let expected: Vec<String> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line))
                .filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
