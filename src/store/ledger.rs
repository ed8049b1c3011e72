//! What the draw log says of money: the answers, failures and intents of given sessions.

use super::StoreError;
use super::draw_log::session_of;
use super::layout::Layout;
use super::line::{checked, read_address};
use super::notices::Notices;
use super::segment::scan;
use crate::request::{Circumstances, DrawAddress, FailureCode, Usage};

type Result<T> = std::result::Result<T, StoreError>;

/// Is one line of the draw log that says something of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerLine {
    /// An answer.
    Answer {
        /// Which draw it is of.
        address: DrawAddress,
        /// The tokens that the provider counted.
        usage: Usage,
        /// What happened on the way.
        circumstances: Circumstances,
        /// Whether it is a second answer: paid for, and never served.
        is_surplus: bool,
    },
    /// An attempt that gave no answer.
    Failure {
        /// Which draw was wanted.
        address: DrawAddress,
        /// Why there is no answer.
        code: FailureCode,
        /// What happened on the way, and whether it was billed.
        circumstances: Circumstances,
    },
    /// These draws were handed to the wire, once for each time that they are named. The line of an attempt's end comes later,
    /// if the process lived to write it.
    Intent(Vec<DrawAddress>),
}

/// Is an answer's line without its text and raw body, which are most of it.
#[derive(serde::Deserialize)]
struct AnswerWire<'a> {
    #[serde(alias = "surplus")]
    draw: &'a str,
    answer: UsageWire,
    circumstances: Circumstances,
}

#[derive(serde::Deserialize)]
struct UsageWire {
    #[serde(default)]
    usage: Usage,
}

#[derive(serde::Deserialize)]
struct FailureWire<'a> {
    failure: &'a str,
    code: FailureCode,
    circumstances: Circumstances,
}

#[derive(serde::Deserialize)]
struct IntentWire<'a> {
    #[serde(borrow)]
    addresses: Vec<&'a str>,
}

impl LedgerLine {
    /// Reads a line whose checksum holds; `Ok(None)` for the kinds that say nothing of money, `Err` for what cannot be read.
    fn parse(json: &[u8]) -> std::result::Result<Option<Self>, ()> {
        let is = |start: &str| json.starts_with(start.as_bytes());
        if is("{\"draw\":") || is("{\"surplus\":") {
            let wire: AnswerWire<'_> = serde_json::from_slice(json).map_err(drop)?;
            let address = read_address(wire.draw).ok_or(())?;
            let (usage, circumstances) = (wire.answer.usage, wire.circumstances);
            Ok(Some(Self::Answer { address, usage, circumstances, is_surplus: is("{\"surplus\":") }))
        } else if is("{\"failure\":") {
            let wire: FailureWire<'_> = serde_json::from_slice(json).map_err(drop)?;
            let address = read_address(wire.failure).ok_or(())?;
            Ok(Some(Self::Failure { address, code: wire.code, circumstances: wire.circumstances }))
        } else if is("{\"intent\":") {
            let wire: IntentWire<'_> = serde_json::from_slice(json).map_err(drop)?;
            let addresses = wire.addresses.iter().map(|text| read_address(text)).collect::<Option<_>>().ok_or(())?;
            Ok(Some(Self::Intent(addresses)))
        } else {
            Ok(None)
        }
    }
}

/// Visits the lines of the given sessions.
pub(super) fn read(
    layout: &Layout,
    notices: &Notices,
    sessions: &[String],
    visit: &mut dyn FnMut(LedgerLine),
) -> Result<()> {
    let draws = match layout.draws() {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    let names = draws.names()?;
    for session in sessions {
        let mut segments: Vec<(u64, &String)> = names
            .iter()
            .filter(|name| session_of(name) == Some(session))
            .filter_map(|name| Some((name[session.len() + 1..].strip_suffix(".log")?.parse().ok()?, name)))
            .collect();
        segments.sort_unstable();
        for (_, name) in segments {
            let (file, _) = draws.open(name)?;
            let mut damaged = 0u64;
            scan(&file, 0, &draws.path().join(name), |found| {
                let json = if found.good { checked(found.line) } else { None };
                match json.map_or(Err(()), LedgerLine::parse) {
                    Ok(Some(line)) => visit(line),
                    Ok(None) => {}
                    Err(()) => damaged += 1,
                }
            })?;
            if damaged > 0 {
                notices.add(format!("draw log {name} has {damaged} damaged lines; what they cost is not counted"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Billed;
    use crate::store::line::tests::{address, draw};
    use crate::store::{Access, LoggedFailure, Store};

    fn store(dir: &tempfile::TempDir) -> Store {
        let path = camino::Utf8Path::from_path(dir.path()).unwrap().join("store");
        Store::open(&path, Access::ReadWrite).unwrap()
    }

    fn ledger(store: &Store, sessions: &[&str]) -> Vec<LedgerLine> {
        let sessions: Vec<String> = sessions.iter().map(|id| (*id).to_owned()).collect();
        let mut lines = Vec::new();
        store.ledger(&sessions, |line| lines.push(line)).unwrap();
        lines
    }

    fn answer(n: u32, is_surplus: bool) -> LedgerLine {
        let draw = draw(n, "text");
        let (address, usage) = (draw.address, draw.answer.usage);
        LedgerLine::Answer { address, usage, circumstances: draw.circumstances, is_surplus }
    }

    #[test]
    fn a_sessions_lines_come_in_order_and_others_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let (store, other) = (store(&dir), store(&dir).session().unwrap());
        let session = store.session().unwrap();
        let id = session.id().to_owned();
        let circumstances = Circumstances { billed: Some(Billed::Uncertain), ..Circumstances::default() };
        let failure = LoggedFailure {
            address: address(2),
            code: FailureCode::Timeout,
            circumstances: circumstances.clone(),
            raw: vec![0xff],
        };
        session.claim(&[address(1), address(2)]).unwrap();
        session.log_intents(&[address(1), address(2)]).unwrap();
        session.log_intents(&[]).unwrap();
        session.log_failures(&[failure]).unwrap();
        session.log_intents(&[address(2)]).unwrap();
        session.log_draws(&[draw(1, "text")]).unwrap();
        session.log_draws(&[draw(1, "text")]).unwrap();
        session.release(&[address(2)]).unwrap();
        other.log_draws(&[draw(9, "text")]).unwrap();
        let expected = [
            LedgerLine::Intent(vec![address(1), address(2)]),
            LedgerLine::Failure { address: address(2), code: FailureCode::Timeout, circumstances },
            LedgerLine::Intent(vec![address(2)]),
            answer(1, false),
            answer(1, true),
        ];
        assert_eq!(ledger(&store, &[&id]), expected);
        assert_eq!(ledger(&store, &[other.id(), "sffffffffffffffff"]), [answer(9, false)]);
        // The same once the session has ended, and to one that only reads.
        drop(session);
        assert_eq!(ledger(&store, &[&id]), expected);
        let path = camino::Utf8Path::from_path(dir.path()).unwrap().join("store");
        assert_eq!(ledger(&Store::open(&path, Access::ReadOnly).unwrap(), &[&id]), expected);
        assert!(ledger(&Store::open(&path.join("none"), Access::ReadOnly).unwrap(), &[&id]).is_empty());
    }

    #[test]
    fn a_damaged_line_is_told_and_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let session = store.session().unwrap();
        let id = session.id().to_owned();
        session.log_intents(&[address(1)]).unwrap();
        session.log_draws(&[draw(1, "text")]).unwrap();
        drop(session);
        let path = dir.path().join("store/draws").join(format!("{id}-0.log"));
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.len() - 20;
        bytes[at] ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(ledger(&store, &[&id]), [LedgerLine::Intent(vec![address(1)])]);
        let notice = format!("draw log {id}-0.log has 1 damaged lines; what they cost is not counted");
        assert_eq!(store.take_notices(), [notice]);
    }

    /// An intent is written while another thread makes answers durable, over and over; nothing is lost or torn, and the
    /// answers are found by the index although intents stand between them.
    #[test]
    fn intents_and_answers_are_written_side_by_side() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let session = store.session().unwrap();
        let addresses: Vec<DrawAddress> = (0..400).map(address).collect();
        session.claim(&addresses).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| addresses.iter().for_each(|address| session.log_intents(&[*address]).unwrap()));
            for chunk in (0..400).collect::<Vec<u32>>().chunks(20) {
                let draws: Vec<_> = chunk.iter().map(|n| draw(*n, "text")).collect();
                session.log_draws(&draws).unwrap();
            }
        });
        let lines = ledger(&store, &[session.id()]);
        let intents = lines.iter().filter(|line| matches!(line, LedgerLine::Intent(_))).count();
        assert_eq!((lines.len(), intents), (800, 400));
        drop(session);
        let found = store.draws(&addresses).unwrap();
        assert!((0..400).all(|n| found[n as usize] == Some(draw(n, "text"))));
        assert!(store.take_notices().is_empty());
    }

    /// What an unclean end leaves: intents without an end, the last of them torn.
    #[test]
    fn an_intent_outlives_a_session_that_dies() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let session = store.session().unwrap();
        let id = session.id().to_owned();
        session.log_intents(&[address(1)]).unwrap();
        session.log_intents(&[address(2)]).unwrap();
        std::mem::forget(session);
        let path = dir.path().join("store/draws").join(format!("{id}-0.log"));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert_eq!(ledger(&store, &[&id]), [LedgerLine::Intent(vec![address(1)])]);
    }
}
