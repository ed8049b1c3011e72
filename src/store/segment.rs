use std::fs::File;

use camino::Utf8Path;

use super::StoreError;
use super::folder::read_at;
use super::line::{checked, looks_like_start};

/// Is one line found in a segment.
pub(super) struct Found<'a> {
    /// Where the line starts, in bytes from the start of the segment.
    pub(super) start: u64,
    /// The line without its newline.
    pub(super) line: &'a [u8],
    /// Whether its checksum holds.
    pub(super) good: bool,
    /// Whether the newline before it is damaged, so that it ran together with what stands there.
    pub(super) follows_damage: bool,
}

/// Is what a scan came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    /// The end of the last complete line.
    pub(super) complete: u64,
    /// The end of the file.
    pub(super) size: u64,
    /// How many complete lines were damaged.
    pub(super) damaged: u64,
}

/// Is how much is read at once; a longer line grows the buffer.
const CHUNK: usize = 1 << 20;

/// Visits every complete line of a segment from an offset (the start of a line) to the end.
///
/// A damaged line is visited as such and what follows is still read. Where the damage is in a newline, so that two lines
/// run together, each of them is found by its checksum.
pub(super) fn scan(
    file: &File,
    from: u64,
    path: &Utf8Path,
    mut visit: impl FnMut(Found<'_>),
) -> Result<Scanned, StoreError> {
    let mut damaged = 0;
    let mut buffer: Vec<u8> = Vec::new();
    let mut base = from;
    let mut searched = 0;
    loop {
        let filled = buffer.len();
        buffer.resize(filled + CHUNK, 0);
        let n = read_at(file, &mut buffer[filled..], base + filled as u64, path)?;
        buffer.truncate(filled + n);
        let mut start = 0;
        while let Some(at) = buffer[searched..].iter().position(|b| *b == b'\n') {
            let end = searched + at;
            resolve(&buffer[start..end], base + start as u64, &mut |found| {
                damaged += u64::from(!found.good);
                visit(found);
            });
            start = end + 1;
            searched = start;
        }
        searched = buffer.len() - start;
        buffer.drain(..start);
        base += start as u64;
        if n < CHUNK {
            return Ok(Scanned { complete: base, size: base + buffer.len() as u64, damaged });
        }
    }
}

/// Visits a line, or the lines that ran together in it.
fn resolve(bytes: &[u8], start: u64, visit: &mut impl FnMut(Found<'_>)) {
    if checked(bytes).is_some() {
        return visit(Found { start, line: bytes, good: true, follows_damage: false });
    }
    // A line's text cannot imitate another line: inside JSON strings every quote is escaped.
    let second = (1..bytes.len()).find(|at| looks_like_start(&bytes[*at..]) && checked(&bytes[*at..]).is_some());
    match second {
        Some(at) => {
            resolve(&bytes[..at - 1], start, visit);
            visit(Found { start: start + at as u64, line: &bytes[at..], good: true, follows_damage: true });
        }
        None => visit(Found { start, line: bytes, good: false, follows_damage: false }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::line::tests::draw;
    use crate::store::line::{Line, framed, put_claim, put_draw, put_failure, put_intent, put_release};

    fn segment(texts: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for (n, text) in texts.iter().enumerate() {
            put_draw(&mut out, &draw(n as u32, text), false);
        }
        out
    }

    fn scan_bytes(bytes: &[u8]) -> (Vec<Option<u32>>, Scanned) {
        use std::io::Write as _;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut found = Vec::new();
        let scanned = scan(&file, 0, Utf8Path::new("x"), |f| {
            assert_eq!(f.line, &bytes[f.start as usize..][..f.line.len()]);
            found.push(f.good.then(|| Line::draw_address(f.line).unwrap().number));
        })
        .unwrap();
        (found, scanned)
    }

    #[test]
    fn lines_longer_than_a_chunk_are_whole() {
        let long = "x".repeat(3 * CHUNK);
        let bytes = segment(&["a", &long, "b", &long]);
        let (found, scanned) = scan_bytes(&bytes);
        assert_eq!(found, [Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!(scanned, Scanned { complete: bytes.len() as u64, size: bytes.len() as u64, damaged: 0 });
    }

    #[test]
    fn a_torn_tail_is_not_a_line() {
        let bytes = segment(&["a", "b"]);
        let first = segment(&["a"]).len();
        for len in first..bytes.len() {
            let (found, scanned) = scan_bytes(&bytes[..len]);
            assert_eq!((found, scanned.complete), (vec![Some(0)], first as u64));
        }
        let (found, scanned) = scan_bytes(&[&bytes[..first], &[0; 100]].concat());
        assert_eq!((found.len(), scanned.complete, scanned.size), (1, first as u64, first as u64 + 100));
    }

    #[test]
    fn every_flipped_bit_costs_its_own_line_at_most() {
        let bytes = segment(&["one", "two", "three"]);
        let ends: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i] == b'\n').collect();
        for bit in 0..(ends[1] + 1) * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let hit = ends.iter().position(|end| bit / 8 <= *end).unwrap() as u32;
            let (found, _) = scan_bytes(&bad);
            let good: Vec<u32> = found.into_iter().flatten().collect();
            let newline = ends.contains(&(bit / 8));
            let expected: Vec<u32> = (0..3).filter(|n| newline || *n != hit).collect();
            assert_eq!(good, expected, "bit {bit}");
        }
    }

    /// Writes what was read of a line again; `None` for what is not read whole.
    fn again(line: &Line) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match line {
            Line::Claim { number, addresses } => put_claim(&mut out, *number, addresses),
            Line::Intent { number, addresses } => put_intent(&mut out, *number, addresses),
            Line::Release(addresses) => put_release(&mut out, addresses),
            Line::Draw(draw) => put_draw(&mut out, draw, false),
            Line::Surplus(draw) => put_draw(&mut out, draw, true),
            Line::Failure(failure) => put_failure(&mut out, failure),
            Line::Head { .. } | Line::Unknown => return None,
        }
        out.pop();
        Some(out)
    }

    /// Whatever a segment holds, its complete lines are visited one after another, and no byte of them twice; a line whose
    /// checksum is set right says the same once it was read and written again.
    #[test]
    fn fuzzed() {
        use std::os::unix::fs::FileExt as _;
        let file = File::from(rustix::fs::memfd_create("segment", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
        crate::mutations::fuzz("draw_log", 1, |bytes| {
            file.set_len(bytes.len() as u64).unwrap();
            file.write_all_at(bytes, 0).unwrap();
            let (mut end, mut damaged) = (0, 0);
            let scanned = scan(&file, 0, Utf8Path::new("x"), |found| {
                let start = found.start as usize;
                assert!(start >= end && &bytes[start..start + found.line.len()] == found.line);
                end = start + found.line.len();
                damaged += u64::from(!found.good);
                assert_eq!(found.good, checked(found.line).is_some());
                let mut right = Vec::new();
                framed(&mut right, |out| out.extend_from_slice(found.line.get(17..).unwrap_or_default()));
                let Some(read) = Line::parse(&right[..right.len() - 1]) else { return };
                if let Line::Draw(draw) = &read {
                    // What stands before the address may be written in other ways that mean the same.
                    let address = Line::draw_address(&right);
                    assert!(address.is_none_or(|address| address == draw.address));
                }
                if let Some(written) = again(&read) {
                    assert_eq!(Line::parse(&written), Some(read));
                }
            })
            .unwrap();
            let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            assert_eq!(scanned, Scanned { complete: complete as u64, size: bytes.len() as u64, damaged });
            assert!(end <= complete);
        });
    }
}
