//! Which draws stand where in the log: the rows of `segments`, `draws` and `claims`, and how they are derived from segments.

use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::folder::Folder;
use super::layout::Layout;
use super::line::{Line, checked};
use super::notices::Notices;
use super::segment::{Scanned, scan};
use super::{StoreError, draw_log, schema, session};
use crate::digest::{Digest, DrawId};

type Result<T> = std::result::Result<T, StoreError>;

/// Says which lines are added to the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The unindexed ends of segments whose session is gone; sessions that live index their own.
    EndsOfDead,
    /// Every complete line, and the claims of sessions that live.
    Everything,
}

/// Is where an answer's line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) segment: i64,
    pub(super) start: u64,
    pub(super) length: u64,
}

impl Location {
    fn sum(self, id: &DrawId) -> i64 {
        let mut bytes = [0; 56];
        bytes[..32].copy_from_slice(id.digest().as_bytes());
        bytes[32..40].copy_from_slice(&self.segment.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.start.to_le_bytes());
        bytes[48..].copy_from_slice(&self.length.to_le_bytes());
        schema::sum_whole(&bytes)
    }
}

/// Is one row of `segments`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SegmentRow {
    n: i64,
    name: String,
    indexed: i64,
    draws: i64,
    /// Is the wrapping sum of the checksums of the segment's rows in `draws`: it finds rows that are gone.
    total: i64,
}

impl SegmentRow {
    fn sum(&self) -> i64 {
        let numbers = [self.n, self.indexed, self.draws, self.total].map(i64::to_le_bytes);
        schema::sum(std::iter::once(self.name.as_bytes()).chain(numbers.iter().map(<[u8; 8]>::as_slice)))
    }

    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let segment =
            Self { n: row.get(0)?, name: row.get(1)?, indexed: row.get(2)?, draws: row.get(3)?, total: row.get(4)? };
        if row.get::<_, i64>(5)? == segment.sum() {
            Ok(segment)
        } else {
            Err(schema::unusable("a segment's row is damaged"))
        }
    }

    fn write(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "INSERT OR REPLACE INTO segments (n, name, indexed, draws, total, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![self.n, self.name, self.indexed, self.draws, self.total, self.sum()])?;
        Ok(())
    }

    /// Finds a segment's row by its file name, or makes one that is not written yet.
    fn named(conn: &Connection, name: &str) -> rusqlite::Result<Self> {
        let mut find =
            conn.prepare_cached("SELECT n, name, indexed, draws, total, sum FROM segments WHERE name = ?1")?;
        if let Some(found) = find.query_row([name], Self::read).optional()? {
            return Ok(found);
        }
        let n = conn.query_row("SELECT coalesce(max(n), 0) + 1 FROM segments", [], |row| row.get(0))?;
        Ok(Self { n, name: name.to_owned(), indexed: 0, draws: 0, total: 0 })
    }
}

/// Adds rows for answer lines of one segment and moves its mark; returns how many addresses had an answer already.
pub(super) fn add_draws(
    conn: &Connection,
    segment: &str,
    lines: &mut [(DrawId, u64, u64)],
    indexed: u64,
) -> rusqlite::Result<u64> {
    let mut row = SegmentRow::named(conn, segment)?;
    // In the order of the table, neighbours share pages.
    lines.sort_unstable();
    let mut insert = conn
        .prepare_cached("INSERT OR IGNORE INTO draws (id, segment, start, length, sum) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut surplus = 0;
    for (id, start, length) in lines.iter() {
        let location = Location { segment: row.n, start: *start, length: *length };
        let sum = location.sum(id);
        if insert.execute(params![id.digest().as_bytes(), row.n, *start as i64, *length as i64, sum])? == 1 {
            row.draws += 1;
            row.total = row.total.wrapping_add(sum);
        } else if locate(conn, id)?.as_ref() != Some(&location) {
            // The same line may be told of twice: by who wrote it, and by who read the segment's end.
            surplus += 1;
        }
    }
    row.indexed = row.indexed.max(indexed as i64);
    row.write(conn)?;
    Ok(surplus)
}

/// Finds where an answer stands.
pub(super) fn locate(conn: &Connection, id: &DrawId) -> rusqlite::Result<Option<Location>> {
    let mut find = conn.prepare_cached("SELECT segment, start, length, sum FROM draws WHERE id = ?1")?;
    let mut rows = find.query([id.digest().as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    read_location(id, row, 0).map(Some)
}

fn read_location(id: &DrawId, row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Location> {
    let number = |i: usize| row.get::<_, i64>(at + i);
    let location = Location { segment: number(0)?, start: number(1)? as u64, length: number(2)? as u64 };
    if location.sum(id) == number(3)? { Ok(location) } else { Err(schema::unusable("a draw's row is damaged")) }
}

/// Visits every answer's row in order, checking each.
pub(super) fn each_draw(conn: &Connection, mut visit: impl FnMut(DrawId, Location, i64)) -> rusqlite::Result<()> {
    let mut all = conn.prepare_cached("SELECT id, segment, start, length, sum FROM draws")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_blob()?.try_into().map_err(|_| schema::unusable("a draw's key is damaged"))?;
        let id = DrawId::new(Digest::from_bytes(bytes));
        visit(id, read_location(&id, row, 1)?, row.get(4)?);
    }
    Ok(())
}

/// Finds where many answers stand: one pass over the table when that is cheaper than looking each of them up. A pass tells
/// too whether rows are gone that were there.
pub(super) fn locate_many(conn: &Connection, ids: &[DrawId]) -> rusqlite::Result<Vec<Option<Location>>> {
    let total: i64 = conn.query_row("SELECT coalesce(sum(draws), 0) FROM segments", [], |row| row.get(0))?;
    let mut found = vec![None; ids.len()];
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_unstable_by_key(|i| ids[*i]);
    if total as u64 > ids.len() as u64 * 8 {
        for i in order {
            found[i] = locate(conn, &ids[i])?;
        }
        return Ok(found);
    }
    // The rows and what the segments say of them have to be of one moment.
    let _moment = if conn.is_autocommit() { Some(conn.unchecked_transaction()?) } else { None };
    let mut next = 0;
    let mut counted = Counted::default();
    each_draw(conn, |id, location, sum| {
        counted.add(location.segment, sum);
        while next < order.len() && ids[order[next]] < id {
            next += 1;
        }
        let mut same = next;
        while same < order.len() && ids[order[same]] == id {
            found[order[same]] = Some(location);
            same += 1;
        }
    })?;
    counted.check(conn)?;
    Ok(found)
}

/// Counts rows of draws and adds their sums up, by segment.
#[derive(Default)]
struct Counted(BTreeMap<i64, (i64, i64)>);

impl Counted {
    fn add(&mut self, segment: i64, sum: i64) {
        let entry = self.0.entry(segment).or_default();
        *entry = (entry.0 + 1, entry.1.wrapping_add(sum));
    }

    /// Fails unless these are the rows that the segments say there are.
    fn check(mut self, conn: &Connection) -> rusqlite::Result<()> {
        for row in rows(conn)? {
            if self.0.remove(&row.n).unwrap_or_default() != (row.draws, row.total) {
                return Err(schema::unusable("rows of draws are gone"));
            }
        }
        if self.0.is_empty() { Ok(()) } else { Err(schema::unusable("draws stand in a segment that has no row")) }
    }
}

/// Says of each segment how many answers the index finds there, and whether one of them is among the given ones.
pub(super) fn usage(conn: &Connection, used: &HashSet<DrawId>) -> rusqlite::Result<HashMap<String, (u64, bool)>> {
    let mut found: HashMap<i64, (u64, bool)> = HashMap::new();
    each_draw(conn, |id, location, _| {
        let entry = found.entry(location.segment).or_default();
        *entry = (entry.0 + 1, entry.1 || used.contains(&id));
    })?;
    Ok(rows(conn)?.into_iter().map(|row| (row.name, found.get(&row.n).copied().unwrap_or_default())).collect())
}

/// Removes the rows of answers, and counts their segments anew; returns how many there were.
pub(super) fn drop_draws(conn: &Connection, ids: &[DrawId]) -> rusqlite::Result<u64> {
    let mut dropped = 0;
    for id in ids {
        let Some(location) = locate(conn, id)? else { continue };
        conn.prepare_cached("DELETE FROM draws WHERE id = ?1")?.execute([id.digest().as_bytes()])?;
        let mut row = conn
            .prepare_cached("SELECT n, name, indexed, draws, total, sum FROM segments WHERE n = ?1")?
            .query_row([location.segment], SegmentRow::read)?;
        row.draws -= 1;
        row.total = row.total.wrapping_sub(location.sum(id));
        row.write(conn)?;
        dropped += 1;
    }
    Ok(dropped)
}

/// Removes a segment's row, and the rows of its answers; returns how many these were.
pub(super) fn drop_segment(conn: &Connection, name: &str) -> rusqlite::Result<u64> {
    let mut find = conn.prepare_cached("SELECT n FROM segments WHERE name = ?1")?;
    let Some(n) = find.query_row([name], |row| row.get::<_, i64>(0)).optional()? else { return Ok(0) };
    let removed = conn.prepare_cached("DELETE FROM draws WHERE segment = ?1")?.execute([n])?;
    conn.prepare_cached("DELETE FROM segments WHERE n = ?1")?.execute([n])?;
    Ok(removed as u64)
}

/// Returns the file names of segments by their numbers.
pub(super) fn names(conn: &Connection) -> rusqlite::Result<HashMap<i64, String>> {
    Ok(rows(conn)?.into_iter().map(|row| (row.n, row.name)).collect())
}

fn rows(conn: &Connection) -> rusqlite::Result<Vec<SegmentRow>> {
    conn.prepare_cached("SELECT n, name, indexed, draws, total, sum FROM segments")?
        .query_map([], SegmentRow::read)?
        .collect()
}

/// Checks every row about draws against its checksum, and their number and sum against the segments': no answer that was
/// indexed has been lost from the index. Done once before money is spent.
pub(super) fn verify(conn: &Connection) -> rusqlite::Result<()> {
    let mut counted = Counted::default();
    each_draw(conn, |_, location, sum| counted.add(location.segment, sum))?;
    counted.check(conn)
}

/// Tells whether a segment of a session that is gone has lines that the index does not know.
pub(super) fn lacks_lines(conn: &Connection, layout: &Layout) -> Result<bool> {
    let indexed = indexed(conn).map_err(failed(layout))?;
    let Some((folder, segments)) = segments(layout)? else { return Ok(false) };
    for name in segments {
        let size = folder.stat(&name)?.map_or(0, |stat| stat.st_size);
        if indexed.get(&name).is_none_or(|known| *known < size)
            && let Some(session) = draw_log::session_of(&name)
            && !session::is_alive(layout, session)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns how far each segment is indexed, by its file name.
pub(super) fn indexed(conn: &Connection) -> rusqlite::Result<HashMap<String, i64>> {
    Ok(rows(conn)?.into_iter().map(|row| (row.name, row.indexed)).collect())
}

fn segments(layout: &Layout) -> Result<Option<(&Folder, Vec<String>)>> {
    let folder = match layout.draws() {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let names = folder.names()?.into_iter().filter(|name| draw_log::session_of(name).is_some()).collect();
    Ok(Some((folder, names)))
}

/// Adds the lines of segments that the index does not know, mending the ends of those whose session is gone.
pub(super) fn add_segments(tx: &Transaction<'_>, layout: &Layout, notices: &Notices, scope: Scope) -> Result<()> {
    let failed = failed(layout);
    let indexed = indexed(tx).map_err(&failed)?;
    let Some((folder, segments)) = segments(layout)? else { return Ok(()) };
    let mut alive: HashMap<String, bool> = HashMap::new();
    let mut claims: BTreeMap<(String, u32), HashSet<DrawId>> = BTreeMap::new();
    for name in segments {
        let Some(session) = draw_log::session_of(&name) else { continue };
        let from = indexed.get(&name).copied().unwrap_or(0);
        let size = folder.stat(&name)?.map_or(0, |stat| stat.st_size);
        if size < from {
            notices.add(format!("draw log {name} has lost its end: {size} bytes of {from}"));
        }
        if size <= from && from > 0 {
            continue;
        }
        if !alive.contains_key(session) {
            alive.insert(session.to_owned(), session::is_alive(layout, session)?);
        }
        let live = alive.get(session).copied().unwrap_or(false);
        if live && scope == Scope::EndsOfDead {
            continue;
        }
        if live {
            // What is in the index must be durable in the log.
            let (file, _) = folder.open(&name)?;
            file.sync_data().map_err(StoreError::io("sync", folder.path().join(&name)))?;
        } else if layout.writable() {
            draw_log::mend(layout, notices, folder, &name, from as u64)?;
        }
        let mut lines = Vec::new();
        let scanned = read_lines(folder, &name, from as u64, &mut lines, |line| {
            if live {
                note_claims(&mut claims, session, line);
            }
        })?;
        if scanned.damaged > 0 {
            notices.add(format!("draw log {name} has {} damaged lines; they are not served", scanned.damaged));
        }
        let surplus = add_draws(tx, &name, &mut lines, scanned.complete).map_err(&failed)?;
        if surplus > 0 {
            notices.add(format!("draw log {name} has {surplus} second answers; the first ones are served"));
        }
    }
    for ((session, number), ids) in claims {
        put_claim(tx, &session, number, ids.into_iter().collect()).map_err(&failed)?;
    }
    Ok(())
}

/// Reads where the answers of a segment stand, from an offset on.
pub(super) fn read_lines(
    folder: &Folder,
    name: &str,
    from: u64,
    lines: &mut Vec<(DrawId, u64, u64)>,
    mut other: impl FnMut(&[u8]),
) -> Result<Scanned> {
    let (file, _) = folder.open(name)?;
    scan(&file, from, &folder.path().join(name), |found| {
        if !found.good {
            return;
        }
        match Line::draw_address(found.line) {
            Some(address) => lines.push((address.id(), found.start, found.line.len() as u64)),
            None => other(found.line),
        }
    })
}

fn note_claims(claims: &mut BTreeMap<(String, u32), HashSet<DrawId>>, session: &str, line: &[u8]) {
    let json = checked(line).unwrap_or_default();
    if !json.starts_with(b"{\"claim\"") && !json.starts_with(b"{\"release\"") {
        return;
    }
    match Line::parse(line) {
        Some(Line::Claim { number, addresses }) => {
            claims
                .insert((session.to_owned(), number), addresses.iter().map(crate::request::DrawAddress::id).collect());
        }
        Some(Line::Release(addresses)) => {
            let released: HashSet<DrawId> = addresses.iter().map(crate::request::DrawAddress::id).collect();
            for ((owner, _), ids) in claims.iter_mut() {
                if owner == session {
                    ids.retain(|id| !released.contains(id));
                }
            }
        }
        _ => {}
    }
}

/// Writes a claim's row: which draws a session is about to ask for, sorted. An empty claim has no row.
pub(super) fn put_claim(conn: &Connection, session: &str, number: u32, mut ids: Vec<DrawId>) -> rusqlite::Result<()> {
    if ids.is_empty() {
        conn.prepare_cached("DELETE FROM claims WHERE session = ?1 AND number = ?2")?
            .execute(params![session, number])?;
        return Ok(());
    }
    ids.sort_unstable();
    let bytes: Vec<u8> = ids.iter().flat_map(|id| *id.digest().as_bytes()).collect();
    let sum = claim_sum(session, number, &bytes);
    conn.prepare_cached("INSERT OR REPLACE INTO claims (session, number, ids, sum) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![session, number, bytes, sum])?;
    Ok(())
}

fn claim_sum(session: &str, number: u32, ids: &[u8]) -> i64 {
    schema::sum([session.as_bytes(), &number.to_le_bytes(), ids])
}

/// Reads the claims of all sessions but one: each claim's draws, sorted.
pub(super) fn claims(conn: &Connection, except: &str) -> rusqlite::Result<Vec<(String, Vec<DrawId>)>> {
    let mut all = conn.prepare_cached("SELECT session, number, ids, sum FROM claims WHERE session <> ?1")?;
    let mut rows = all.query([except])?;
    let mut claims = Vec::new();
    while let Some(row) = rows.next()? {
        let (session, number): (String, u32) = (row.get(0)?, row.get(1)?);
        let bytes = row.get_ref(2)?.as_blob()?;
        let (ids, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || claim_sum(&session, number, bytes) != row.get::<_, i64>(3)? {
            return Err(schema::unusable("a claim's row is damaged"));
        }
        claims.push((session, ids.iter().map(|id| DrawId::new(Digest::from_bytes(*id))).collect()));
    }
    Ok(claims)
}

/// Removes the claims of a session.
pub(super) fn drop_claims(conn: &Connection, session: &str) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM claims WHERE session = ?1")?.execute([session])?;
    Ok(())
}

fn failed(layout: &Layout) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
    move |source| StoreError::Index { op: "read", path: layout.index_path(), source }
}
