//! How answers are read back from the draw log.

use std::collections::BTreeMap;
use std::fs::File;

use super::catalogue::{self, Location};
use super::folder::read_at;
use super::index::Index;
use super::layout::Layout;
use super::line::Line;
use super::notices::Notices;
use super::{LoggedDraw, StoreError};
use crate::digest::DrawId;
use crate::request::DrawAddress;

type Result<T> = std::result::Result<T, StoreError>;

/// Is how much of a segment is read at once, at most, unless one line is longer.
const CHUNK: u64 = 4 << 20;
/// Is the gap between two wanted lines that is rather read than jumped over.
const GAP: u64 = 64 << 10;

/// Reads the answers at the given addresses; `None` for each that has none, or whose line is damaged (reported).
pub(super) fn read(
    layout: &Layout,
    index: &Index,
    notices: &Notices,
    addresses: &[DrawAddress],
) -> Result<Vec<Option<LoggedDraw>>> {
    let ids: Vec<DrawId> = addresses.iter().map(DrawAddress::id).collect();
    let (locations, names) =
        index.read("read", |conn| Ok((catalogue::locate_many(conn, &ids)?, catalogue::names(conn)?)))?;
    let mut by_segment: BTreeMap<i64, Vec<(Location, usize)>> = BTreeMap::new();
    for (i, location) in locations.into_iter().enumerate() {
        if let Some(location) = location {
            by_segment.entry(location.segment).or_default().push((location, i));
        }
    }
    let mut found: Vec<Option<LoggedDraw>> = vec![None; addresses.len()];
    for (segment, mut wanted) in by_segment {
        let Some(name) = names.get(&segment) else {
            notices.add(format!("the index names a draw log segment {segment} that it does not list"));
            continue;
        };
        let draws = layout.draws()?;
        let file = match draws.open(name) {
            Ok((file, _)) => file,
            Err(error) if error.is_not_found() => {
                notices.add(format!("draw log {name} is gone, with {} answers that are wanted", wanted.len()));
                continue;
            }
            Err(error) => return Err(error),
        };
        wanted.sort_unstable_by_key(|(location, _)| location.start);
        let path = draws.path().join(name);
        read_segment(&file, &path, &wanted, |bytes, i| match Line::parse(bytes) {
            Some(Line::Draw(draw)) if draw.address == addresses[i] => found[i] = Some(*draw),
            _ => notices.add(format!("draw log {name}: the answer to {} is damaged; it is not served", ids[i])),
        })?;
    }
    Ok(found)
}

/// Reads the wanted lines, sorted by where they start, in pieces that hold many of them.
fn read_segment(
    file: &File,
    path: &camino::Utf8Path,
    wanted: &[(Location, usize)],
    mut visit: impl FnMut(&[u8], usize),
) -> Result<()> {
    let mut buffer = Vec::new();
    let mut rest = wanted;
    while let Some(((first, _), _)) = rest.split_first() {
        let mut end = first.start + first.length;
        let mut count = 1;
        for (next, _) in &rest[1..] {
            let next_end = next.start + next.length;
            if next.start > end + GAP || next_end - first.start > CHUNK {
                break;
            }
            end = end.max(next_end);
            count += 1;
        }
        buffer.resize((end - first.start) as usize, 0);
        let n = read_at(file, &mut buffer, first.start, path)?;
        for (location, i) in &rest[..count] {
            let at = (location.start - first.start) as usize;
            // A line beyond the end of the file is damaged, like any other whose bytes are not what they were.
            visit(buffer[..n].get(at..at + location.length as usize).unwrap_or_default(), *i);
        }
        rest = &rest[count..];
    }
    Ok(())
}
