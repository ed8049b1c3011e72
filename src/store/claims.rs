//! How a session claims draws, logs their answers, and lets go of those that failed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::digest::DrawId;
use crate::request::DrawAddress;

use super::draw_log::Appended;
use super::line::{put_claim, put_draw, put_failure, put_intent, put_release};
use super::{Claim, LoggedDraw, LoggedFailure, Session, StoreError, Written, catalogue, session};

type Result<T> = std::result::Result<T, StoreError>;

impl Session {
    /// Asks to be the one who asks for these draws: decided for all of them at once, against every other process.
    ///
    /// Before `Mine` is returned a line of the draw log says so, durably. The claim holds until the answer is logged, the
    /// draw is released, or the session ends; that of a batch until the batch is over. An answer that the log has (`Recorded`) and that [`super::Store::draws`]
    /// nevertheless does not give is damaged: it was paid for, and is not bought again without being told to.
    pub fn claim(&self, addresses: &[DrawAddress]) -> Result<Vec<Claim>> {
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<DrawId> = addresses.iter().map(DrawAddress::id).collect();
        let index = &self.store.opened()?.index;
        let mut own = self.claims();
        let (claims, mine) = index.write(|tx| {
            let failed = index.failed("write to");
            if !index.is_verified() {
                catalogue::verify(tx).map_err(&failed)?;
                index.set_verified();
            }
            let others = self.others(tx)?;
            // After the sessions: one that prepared a batch and died since has its batch in the folder by now.
            let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner).claimed(&self.layout)?;
            let recorded = catalogue::locate_many(tx, &ids).map_err(&failed)?;
            let mut claims = Vec::with_capacity(ids.len());
            let mut mine = HashMap::new();
            for ((id, address), recorded) in ids.iter().zip(addresses).zip(recorded) {
                claims.push(if recorded.is_some() {
                    Claim::Recorded
                } else if own.number_of.contains_key(id) || mine.contains_key(id) {
                    Claim::Elsewhere { session: self.id.clone() }
                } else if let Some((batch, _)) = batches.iter().find(|(_, ids)| ids.binary_search(id).is_ok()) {
                    Claim::InBatch { batch: batch.clone() }
                } else if let Some((session, _)) = others.iter().find(|(_, theirs)| theirs.binary_search(id).is_ok()) {
                    Claim::Elsewhere { session: session.clone() }
                } else {
                    mine.insert(*id, *address);
                    Claim::Mine
                });
            }
            if !mine.is_empty() {
                let wanted: Vec<DrawAddress> = addresses
                    .iter()
                    .zip(&claims)
                    .filter_map(|(address, claim)| (*claim == Claim::Mine).then_some(*address))
                    .collect();
                let mut line = Vec::new();
                put_claim(&mut line, own.next, &wanted);
                let appended = self.log.append(&line, true)?;
                catalogue::put_claim(tx, &self.id, own.next, mine.keys().copied().collect()).map_err(&failed)?;
                catalogue::add_draws(tx, &appended.segment, &mut [], appended.end).map_err(&failed)?;
            }
            Ok((claims, mine))
        })?;
        if !mine.is_empty() {
            let number = own.next;
            own.next += 1;
            own.left.insert(number, mine.len());
            own.number_of.extend(mine.into_keys().map(|id| (id, number)));
        }
        Ok(claims)
    }

    /// Returns the claims of other sessions that live; those of dead ones are void and are removed.
    fn others(&self, tx: &rusqlite::Transaction<'_>) -> Result<Vec<(String, Vec<DrawId>)>> {
        let index = &self.store.opened()?.index;
        let failed = index.failed("read");
        let mut alive: HashMap<String, bool> = HashMap::new();
        let mut others = Vec::new();
        for (session, ids) in catalogue::claims(tx, &self.id).map_err(&failed)? {
            if !alive.contains_key(&session) {
                let lives = session::is_alive(&self.layout, &session)?;
                if !lives {
                    catalogue::drop_claims(tx, &session).map_err(&failed)?;
                }
                alive.insert(session.clone(), lives);
            }
            if alive.get(&session) == Some(&true) {
                others.push((session, ids));
            }
        }
        Ok(others)
    }

    /// Lets go of claimed draws that got no answer, so that anyone may ask for them again.
    pub fn release(&self, addresses: &[DrawAddress]) -> Result<()> {
        let mut own = self.claims();
        let held: Vec<DrawAddress> =
            addresses.iter().filter(|address| own.number_of.contains_key(&address.id())).copied().collect();
        if held.is_empty() {
            return Ok(());
        }
        let ids: HashSet<DrawId> = held.iter().map(DrawAddress::id).collect();
        let mut rest: HashMap<u32, Vec<DrawId>> =
            ids.iter().filter_map(|id| Some((*own.number_of.get(id)?, Vec::new()))).collect();
        for (id, number) in &own.number_of {
            if let Some(rest) = rest.get_mut(number)
                && !ids.contains(id)
            {
                rest.push(*id);
            }
        }
        let index = &self.store.opened()?.index;
        let mut line = Vec::new();
        put_release(&mut line, &held);
        // Not made durable: it says something only while the session lives.
        let appended = self.log.append(&line, false)?;
        index.write(|tx| {
            let write = || {
                for (number, rest) in &rest {
                    catalogue::put_claim(tx, &self.id, *number, rest.clone())?;
                }
                catalogue::add_draws(tx, &appended.segment, &mut [], appended.end).map(|_| ())
            };
            write().map_err(index.failed("write to"))
        })?;
        for id in &ids {
            own.number_of.remove(id);
        }
        for (number, rest) in rest {
            own.left.insert(number, rest.len());
        }
        Ok(())
    }

    /// Appends answers to the draw log, makes them durable, and then makes them known: when this returns they are never
    /// asked for again. Larger groups cost less for each.
    ///
    /// Returns how many of them had an answer already: their lines are kept as surplus and never served. On an error the
    /// answers may nevertheless be in the log; the next session finds them there.
    pub fn log_draws(&self, draws: &[LoggedDraw]) -> Result<u64> {
        if draws.is_empty() {
            return Ok(0);
        }
        let ids: Vec<DrawId> = draws.iter().map(|draw| draw.address.id()).collect();
        let index = &self.store.opened()?.index;
        let mut own = self.claims();
        let done = own.numbers(&ids);
        let mut logged: Option<Logged> = None;
        let written = index.write(|tx| {
            let failed = index.failed("write to");
            if logged.is_none() {
                let mut seen = HashSet::with_capacity(ids.len());
                let mut surplus = Vec::with_capacity(ids.len());
                for id in &ids {
                    // What this session has claimed nobody else can have logged.
                    let known =
                        !own.number_of.contains_key(id) && catalogue::locate(tx, id).map_err(&failed)?.is_some();
                    surplus.push(!seen.insert(*id) || known);
                }
                logged = Some(self.append_draws(draws, &ids, &surplus)?);
            }
            let Some(logged) = &mut logged else { return Ok(0) };
            let Logged { at, lines, surplus } = logged;
            let more = catalogue::add_draws(tx, &at.segment, lines, at.end).map_err(&failed)?;
            for (number, count) in &done {
                if own.left.get(number) == Some(count) {
                    catalogue::put_claim(tx, &self.id, *number, Vec::new()).map_err(&failed)?;
                }
            }
            Ok(*surplus + more)
        });
        if written.is_err() && logged.is_none() {
            // An answer is worth more than its row: the log gets it even when the index is locked or its disk is full.
            self.append_draws(draws, &ids, &vec![false; ids.len()])?;
        }
        let surplus = written?;
        own.settle(&ids, done);
        Ok(surplus)
    }

    /// Appends the answer to a draw that this session has claimed to the draw log, at once and for nobody to wait for: from
    /// here on the death of the process does not lose it. It counts when [`Session::settle_draws`] has returned.
    ///
    /// The same write notes, as [`Session::log_intents`] does, that `next` is handed to the wire after it.
    pub fn write_draw(&self, draw: &LoggedDraw, next: Option<&DrawAddress>) -> Result<Written> {
        let mut lines = Vec::with_capacity(1024);
        put_draw(&mut lines, draw, false);
        let length = lines.len() as u64 - 1;
        if let Some(next) = next {
            put_intent(&mut lines, self.intents.fetch_add(1, Ordering::Relaxed), std::slice::from_ref(next));
        }
        let Appended { segment, start, .. } = self.log.append_unknown(&lines)?;
        Ok(Written { id: draw.address.id(), segment, start, length })
    }

    /// Makes written answers durable, and then known, as [`Session::log_draws`] does; returns how many of them had an answer
    /// already.
    pub fn settle_draws(&self, written: &[Written]) -> Result<u64> {
        let mut segments: BTreeMap<&str, Lines> = BTreeMap::new();
        for Written { id, segment, start, length } in written {
            let (starts, lines, end) = segments.entry(segment).or_default();
            starts.insert(*start);
            lines.push((*id, *start, *length));
            *end = (*end).max(start + length + 1);
        }
        for segment in segments.keys() {
            self.log.sync_unknown(segment)?;
        }
        if segments.is_empty() {
            return Ok(0);
        }
        let ids: Vec<DrawId> = written.iter().map(|written| written.id).collect();
        let index = &self.store.opened()?.index;
        let mut own = self.claims();
        let done = own.numbers(&ids);
        let surplus = index.write(|tx| {
            let failed = index.failed("write to");
            let mut surplus = 0;
            for (segment, (starts, lines, end)) in &mut segments {
                let known = self.log.known_after(segment, starts, *end);
                surplus += catalogue::add_draws(tx, segment, lines, known).map_err(&failed)?;
            }
            for (number, count) in &done {
                if own.left.get(number) == Some(count) {
                    catalogue::put_claim(tx, &self.id, *number, Vec::new()).map_err(&failed)?;
                }
            }
            Ok(surplus)
        })?;
        for (segment, (starts, ..)) in &segments {
            self.log.make_known(segment, starts);
        }
        own.settle(&ids, done);
        Ok(surplus)
    }

    fn append_draws(&self, draws: &[LoggedDraw], ids: &[DrawId], surplus: &[bool]) -> Result<Logged> {
        let mut text = Vec::with_capacity(draws.len() * 256);
        let mut lines = Vec::with_capacity(draws.len());
        for ((draw, id), surplus) in draws.iter().zip(ids).zip(surplus) {
            let start = text.len() as u64;
            put_draw(&mut text, draw, *surplus);
            if !surplus {
                lines.push((*id, start, text.len() as u64 - start - 1));
            }
        }
        let at = self.log.append(&text, true)?;
        for (_, start, _) in &mut lines {
            *start += at.start;
        }
        let surplus = surplus.iter().filter(|surplus| **surplus).count() as u64;
        Ok(Logged { at, lines, surplus })
    }

    /// Notes in the draw log that these draws are handed to the wire now, once for each attempt. Where the process dies before
    /// it notes how an attempt ended, the note is what tells that it may have been paid for.
    ///
    /// The note is written, not made durable, and waits for nobody who makes lines durable: it survives the death of the
    /// process, and not that of the machine. The index is not told; nothing is looked up by it.
    pub fn log_intents(&self, addresses: &[DrawAddress]) -> Result<()> {
        if addresses.is_empty() {
            return Ok(());
        }
        let mut line = Vec::with_capacity(addresses.len() * 80);
        put_intent(&mut line, self.intents.fetch_add(1, Ordering::Relaxed), addresses);
        self.log.append(&line, false).map(|_| ())
    }

    /// Appends attempts that gave no answer to the draw log, durably. The claims stand until they are released.
    pub fn log_failures(&self, failures: &[LoggedFailure]) -> Result<()> {
        if failures.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::with_capacity(failures.len() * 256);
        for failure in failures {
            put_failure(&mut lines, failure);
        }
        let appended = self.log.append(&lines, true)?;
        let index = &self.store.opened()?.index;
        index.write(|tx| {
            catalogue::add_draws(tx, &appended.segment, &mut [], appended.end)
                .map(|_| ())
                .map_err(index.failed("write to"))
        })
    }
}

/// Are answers of one segment: where each starts, each with its length, and where the last of them ends.
type Lines = (BTreeSet<u64>, Vec<(DrawId, u64, u64)>, u64);

/// Is what was appended: where, the answers' lines, and how many were surplus.
struct Logged {
    at: Appended,
    lines: Vec<(DrawId, u64, u64)>,
    surplus: u64,
}
