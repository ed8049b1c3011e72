//! Whether the index says what records and log say.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::index::Index;
use super::layout::Layout;
use super::verify_logs::LogLines;
use super::{ActionRow, Flaw, FlawPart, StoreError, Verified, catalogue, conclusion, inputs, records, schema};
use crate::digest::{ActionKey, Digest, DrawId};

type Result<T> = std::result::Result<T, StoreError>;

const FILE: &str = "index.sqlite";
const REBUILT: &str =
    "`exp verify --repair`, or deleting the file, has it built again; nothing is asked again because of that";

/// Compares the index with what it was derived from.
pub(super) fn check(
    layout: &Layout,
    index: &Index,
    (records, lines): (&HashMap<ActionKey, ActionRow>, &LogLines),
    verified: &mut Verified,
) -> Result<()> {
    let mut found = Vec::new();
    let mut seen = Seen::default();
    let looked = index.examine(|conn| look(conn, (records, lines), &mut found, &mut seen));
    match looked {
        Ok(Some(())) => {}
        Ok(None) => {
            verified.notes.push("there is no index that can be read as it stands; the next build makes it".to_owned());
            return Ok(());
        }
        Err(StoreError::Index { source, .. }) if schema::is_damage(&source) => {
            found.push(("the file".to_owned(), "a sound index".to_owned(), source.to_string()));
        }
        Err(error) => return Err(error),
    }
    verified.rows += seen.rows;
    // What a build adds or a collection removes while this is read is no flaw: a row's record is asked again.
    for (key, row) in seen.doubtful {
        let notices = super::Notices::default();
        let now = records::read(layout, &notices, &key)?.as_ref().map(ActionRow::from);
        if now.as_ref() != Some(&row) && index.row(&key)?.is_some() {
            let actual = if now.is_none() { "there is no such record" } else { "the record says something else" };
            found.push((format!("the row of action {key}"), "what its record says".to_owned(), actual.to_owned()));
        }
    }
    for (what, expected, actual) in found {
        verified.flaws.push(Flaw::new(FlawPart::Index, format!("{FILE}: {what}"), expected, actual, REBUILT));
    }
    // Answers whose lines are damaged are known by their rows.
    for flaw in &mut verified.flaws {
        if let FlawPart::DrawLog { draws, .. } = &mut flaw.part
            && let Some(damaged) = seen.damaged.get(&flaw.subject)
        {
            draws.extend(damaged);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Seen {
    rows: u64,
    /// Are rows that do not say what was read of the records a moment ago.
    doubtful: Vec<(ActionKey, ActionRow)>,
    /// Are draws that stand in damaged lines, by what the flaw is called.
    damaged: HashMap<String, Vec<DrawId>>,
}

type Found = Vec<(String, String, String)>;

fn look(
    conn: &Connection,
    (records, lines): (&HashMap<ActionKey, ActionRow>, &LogLines),
    found: &mut Found,
    seen: &mut Seen,
) -> rusqlite::Result<()> {
    let verdict: String = conn.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
    if verdict != "ok" {
        found.push(("the file".to_owned(), "a sound database".to_owned(), verdict));
        return Ok(());
    }
    if !schema::is_as_made(conn)? {
        let expected = "the tables that this exp makes".to_owned();
        found.push(("the schema".to_owned(), expected, "another".to_owned()));
    }
    let sums = "a row whose checksum holds".to_owned();
    let mut actions = conn.prepare("SELECT key, body FROM actions")?;
    let mut rows = actions.query([])?;
    while let Some(row) = rows.next()? {
        seen.rows += 1;
        let (key, body) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
        let key = <[u8; 32]>::try_from(key).ok().map(|key| ActionKey::new(Digest::from_bytes(key)));
        match key.and_then(|key| ActionRow::from_bytes(&key, body).map(|row| (key, row))) {
            Some((key, row)) if records.get(&key) != Some(&row) => seen.doubtful.push((key, row)),
            Some(_) => {}
            None => found.push(("a row of an action".to_owned(), sums.clone(), "it does not".to_owned())),
        }
    }
    look_at_draws(conn, lines, found, seen)?;
    for bad in [inputs::check_rows(conn)?, conclusion::check_rows(conn)?] {
        seen.rows += bad.0;
        for what in bad.1 {
            found.push((what.to_owned(), sums.clone(), "it does not".to_owned()));
        }
    }
    Ok(())
}

fn look_at_draws(conn: &Connection, lines: &LogLines, found: &mut Found, seen: &mut Seen) -> rusqlite::Result<()> {
    // Sums, counts and totals first: what they find, the rest would only find again.
    if let Err(error) = catalogue::verify(conn).and_then(|()| catalogue::claims(conn, "").map(drop)) {
        if !schema::is_damage(&error) {
            return Err(error);
        }
        found.push(("the rows about draws".to_owned(), "rows that hold together".to_owned(), error.to_string()));
        return Ok(());
    }
    let mut known: HashSet<DrawId> = HashSet::new();
    let (names, marks) = (catalogue::names(conn)?, catalogue::indexed(conn)?);
    catalogue::each_draw(conn, |id, location, _| {
        seen.rows += 1;
        known.insert(id);
        let name = names.get(&location.segment).cloned().unwrap_or_default();
        let start = location.start;
        let line = (name, start);
        match lines.answers.get(&line) {
            Some(there) if *there == (id, location.length) => {}
            _ if lines.live.contains(&line.0) => {}
            _ if lines.damaged.get(&line.0).is_some_and(|starts| starts.contains(&start)) => {
                seen.damaged.entry(format!("draws/{} at byte {start}", line.0)).or_default().push(id);
            }
            _ => {
                let actual = format!("nothing of that kind at byte {start} of `draws/{}`", line.0);
                found.push((format!("the row of draw {id}"), "where the answer stands".to_owned(), actual));
            }
        }
    })?;
    for ((name, start), (id, _)) in &lines.answers {
        let is_marked = marks.get(name).is_some_and(|mark| *mark as u64 > *start);
        if is_marked && !known.contains(id) && !lines.live.contains(name) {
            let actual = "no row, although the log was read beyond it".to_owned();
            found.push((format!("draw {id}"), format!("a row for the answer in `draws/{name}`"), actual));
        }
    }
    Ok(())
}
