//! What the store promises as a whole: nothing is lost, nothing wrong is served, nothing is asked for twice.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::value::RawValue;

use super::line::tests::{address, draw};
use super::*;
use crate::digest::{ActionKey, BlobId, Digest};
use crate::request::{Circumstances, DrawAddress, FailureCode};

pub(super) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self) -> Utf8PathBuf {
        Utf8Path::from_path(self.dir.path()).unwrap().join("store")
    }

    pub(super) fn open(&self) -> Store {
        Store::open(&self.path(), Access::ReadWrite).unwrap()
    }

    pub(super) fn read_only(&self) -> Store {
        Store::open(&self.path(), Access::ReadOnly).unwrap()
    }

    pub(super) fn file(&self, name: &str) -> Utf8PathBuf {
        self.path().join(name)
    }

    /// Lists every file with its content, to see that nothing was written.
    pub(super) fn everything(&self) -> Vec<(String, Digest)> {
        fn walk(dir: &Utf8Path, out: &mut Vec<(String, Digest)>) {
            for entry in dir.read_dir_utf8().unwrap() {
                let path = entry.unwrap().path().to_owned();
                if path.is_dir() {
                    out.push((path.to_string(), Digest::of(b"directory")));
                    walk(&path, out);
                } else {
                    out.push((path.to_string(), Digest::of(&fs::read(&path).unwrap())));
                }
            }
        }
        let mut out = Vec::new();
        walk(&self.path(), &mut out);
        // What a session relies on is its own business.
        out.retain(|(path, _)| !path.contains("/sessions/"));
        out.sort();
        out
    }

    pub(super) fn segments(&self) -> Vec<Utf8PathBuf> {
        let mut found: Vec<_> =
            self.file("draws").read_dir_utf8().unwrap().map(|entry| entry.unwrap().path().to_owned()).collect();
        found.sort();
        found
    }

    fn sets_aside(&self) -> usize {
        let names = self.path().read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned());
        names.filter(|name| name.starts_with("index.sqlite.bad-") && !name.ends_with("-wal")).count()
    }
}

pub(super) fn key(n: u32) -> ActionKey {
    ActionKey::new(Digest::of(&n.to_le_bytes()))
}

fn record(n: u32, outputs: &[BlobRef]) -> ActionRecord {
    ActionRecord {
        key: key(n),
        step: "score".into(),
        spec: RawValue::from_string(format!("{{\"n\":{n}}}")).unwrap(),
        outputs: outputs.iter().map(|blob| NamedBlob { name: "out".into(), blob: blob.id, size: blob.size }).collect(),
        state: ActionState::Complete,
        draws: 0,
        failures: 0,
        tool: "exp".into(),
        recorded_at: "2026-11-23T00:00:00Z".into(),
        duration_ms: 0,
    }
}

pub(super) fn text(n: u32) -> String {
    format!("output {n}")
}

fn commit_of(session: &Session, n: u32) -> Commit {
    let staged = session.stage(text(n).as_bytes()).unwrap();
    Commit { record: Some(record(n, &[staged.blob()])), blobs: vec![staged] }
}

pub(super) fn addresses(n: u32) -> Vec<DrawAddress> {
    (0..n).map(address).collect()
}

/// Fills a store with three actions and four draws, and ends the session in order.
pub(super) fn filled() -> Place {
    let place = Place::new();
    let session = place.open().session().unwrap();
    session.commit((0..3).map(|n| commit_of(&session, n)).collect()).unwrap();
    session.claim(&addresses(4)).unwrap();
    let draws: Vec<LoggedDraw> = (0..4).map(|n| draw(n, &text(n))).collect();
    assert_eq!(session.log_draws(&draws).unwrap(), 0);
    session.write_run("r1", "{}").unwrap();
    place
}

/// Checks that all of it is known and is what it was.
pub(super) fn assert_whole(store: &Store) {
    for expected in [0, 100] {
        let table = store.actions(expected).unwrap();
        for n in 0..3 {
            let row = table.get(&key(n)).unwrap();
            assert_eq!(row.outputs[0].blob, BlobId::of(text(n).as_bytes()));
            assert_eq!(store.present(&[(row.outputs[0].blob, row.outputs[0].size)]), [Presence::Present]);
        }
        assert!(table.get(&key(3)).is_none());
    }
    let draws = store.draws(&addresses(5)).unwrap();
    for n in 0..4 {
        assert_eq!(draws[n as usize].as_ref(), Some(&draw(n, &text(n))));
    }
    assert_eq!(draws[4], None);
    assert_eq!(store.runs().unwrap(), [StoredRun { id: "r1".into(), text: "{}".into() }]);
}

/// Ends a session as a crash does: its file stays, its lock goes, nothing is sealed.
fn crash(session: Session) {
    let sessions = session.layout.dir().join("sessions");
    let id = session.id().to_owned();
    let segments: Vec<_> = session
        .layout
        .dir()
        .join("draws")
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().path().to_owned())
        .filter(|path| path.file_name().unwrap().starts_with(&id))
        .collect();
    drop(session);
    fs::write(sessions.join(&id), "").unwrap();
    for segment in segments {
        set_mode(&segment, 0o600);
    }
}

fn set_mode(path: &Utf8Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Utf8Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub(super) fn overwrite(path: &Utf8Path, bytes: &[u8]) {
    set_mode(path, 0o600);
    fs::write(path, bytes).unwrap();
    set_mode(path, 0o444);
}

#[test]
fn what_is_committed_is_there() {
    let place = filled();
    assert_whole(&place.open());
    assert_whole(&place.read_only());
    assert_eq!(mode(&place.open().blob_path(&BlobId::of(text(0).as_bytes()))), 0o444);
    assert_eq!(mode(&place.file("blobs")), 0o700);
    assert_eq!(mode(&place.segments()[0]), 0o444);
    assert!(place.file("tmp").read_dir_utf8().unwrap().next().is_none());
    assert!(place.file("sessions").read_dir_utf8().unwrap().next().is_none());
    assert_eq!(place.open().take_notices(), Vec::<String>::new());
}

#[test]
fn looking_writes_nothing() {
    let place = filled();
    let before = place.everything();
    assert_whole(&place.read_only());
    assert_whole(&place.open());
    place.read_only().hash_file(&place.file("FORMAT"), true).unwrap();
    assert_eq!(place.everything(), before);
    // Nor when the index is gone, damaged, or has a log beside it that nobody owns.
    fs::write(place.file("index.sqlite"), "garbage").unwrap();
    let before = place.everything();
    let store = place.read_only();
    assert_whole(&store);
    assert_eq!(store.take_notices().len(), 1);
    assert_eq!(place.everything(), before);
    fs::remove_file(place.file("index.sqlite")).unwrap();
    let before = place.everything();
    assert_whole(&place.read_only());
    assert_eq!(place.everything(), before);
    assert!(place.read_only().session().is_err());
}

#[test]
fn a_store_that_is_not_there_is_empty_and_stays_so() {
    let place = Place::new();
    let store = place.read_only();
    assert!(!store.exists());
    assert!(store.actions(1).unwrap().get(&key(0)).is_none());
    assert_eq!(store.draws(&addresses(1)).unwrap(), [None]);
    assert_eq!(store.present(&[(BlobId::of(b""), 0)]), [Presence::Missing]);
    assert!(store.runs().unwrap().is_empty());
    assert!(store.session().is_err());
    assert!(!place.path().exists());
}

#[test]
fn a_newer_store_is_read_but_not_written_or_not_read() {
    let place = filled();
    overwrite(&place.file("FORMAT"), b"{\"min_reader\":1,\"min_writer\":3,\"more\":0}\n");
    assert_whole(&place.read_only());
    let error = Store::open(&place.path(), Access::ReadWrite).unwrap_err();
    assert!(matches!(error, StoreError::Newer { needs: 3, purpose: "write", .. }));
    overwrite(&place.file("FORMAT"), b"{\"min_reader\":3,\"min_writer\":3}\n");
    let error = Store::open(&place.path(), Access::ReadOnly).unwrap_err();
    assert!(matches!(error, StoreError::Newer { needs: 3, purpose: "read", .. }));
    // What is damaged is never taken for another format that would do.
    let good = Format::CURRENT.to_bytes();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        overwrite(&place.file("FORMAT"), &bad);
        let opened = Store::open(&place.path(), Access::ReadWrite);
        let is_found = matches!(opened, Err(StoreError::Corrupt { .. } | StoreError::Newer { .. }));
        assert!(is_found, "bit {bit}: {opened:?}");
    }
    overwrite(&place.file("FORMAT"), b"{");
    assert!(matches!(Store::open(&place.path(), Access::ReadOnly), Err(StoreError::Corrupt { .. })));
}

#[test]
fn a_lost_or_damaged_index_is_rebuilt_and_nothing_is_asked_again() {
    let good = fs::read(filled().file("index.sqlite")).unwrap();
    let damages: [(&str, Option<Vec<u8>>); 6] = [
        ("deleted", None),
        ("empty", Some(Vec::new())),
        ("garbage", Some(vec![0x5a; 9_000])),
        ("short", Some(good[..good.len() / 2].to_vec())),
        ("another version", {
            let mut bytes = good.clone();
            bytes[63] ^= 0xff; // user_version
            Some(bytes)
        }),
        ("another application", {
            let mut bytes = good.clone();
            bytes[68] ^= 0xff; // application_id
            Some(bytes)
        }),
    ];
    for (what, damage) in damages {
        let place = filled();
        let index = place.file("index.sqlite");
        match &damage {
            None => fs::remove_file(&index).unwrap(),
            Some(bytes) => fs::write(&index, bytes).unwrap(),
        }
        assert_whole(&place.read_only());
        let session = place.open().session().unwrap();
        assert_eq!(session.claim(&addresses(4)).unwrap(), vec![Claim::Recorded; 4], "{what}");
        assert_whole(session.store());
        assert_eq!(place.sets_aside(), usize::from(damage.is_some()), "{what}");
    }
}

#[test]
fn an_old_copy_of_the_index_is_brought_up_to_date() {
    let place = filled();
    let old = fs::read(place.file("index.sqlite")).unwrap();
    let session = place.open().session().unwrap();
    session.commit(vec![commit_of(&session, 7)]).unwrap();
    session.claim(&[address(7)]).unwrap();
    session.log_draws(&[draw(7, "seven")]).unwrap();
    drop(session);
    fs::write(place.file("index.sqlite"), old).unwrap();
    let session = place.open().session().unwrap();
    assert_eq!(session.claim(&[address(7), address(8)]).unwrap(), [Claim::Recorded, Claim::Mine]);
    let store = session.store();
    let indexed = store.indexed_row(&key(7));
    assert!(indexed.is_some());
    assert_eq!(place.sets_aside(), 0);
}

#[test]
fn every_byte_of_the_index_may_be_damaged() {
    let place = filled();
    let index = place.file("index.sqlite");
    let good = fs::read(&index).unwrap();
    let mut rebuilt = 0;
    // Every page's header and cells are hit; free space is passed over. (Every bit is another campaign's.)
    for at in (0..good.len()).filter(|at| good[*at] != 0 && at % 5 == 0) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&index, &bad).unwrap();
        assert_whole(&place.read_only());
        if at % 3 == 0 {
            let session = place.open().session().unwrap();
            assert_eq!(session.claim(&addresses(4)).unwrap(), vec![Claim::Recorded; 4], "byte {at}");
            assert_whole(session.store());
            drop(session);
            for name in ["index.sqlite-wal", "index.sqlite-shm"] {
                let _ = fs::remove_file(place.file(name));
            }
            rebuilt = place.sets_aside();
        }
    }
    assert!(rebuilt > 0);
}

#[test]
fn an_index_removed_under_a_session_is_rebuilt() {
    let place = filled();
    let session = place.open().session().unwrap();
    session.claim(&[address(9)]).unwrap();
    fs::remove_file(place.file("index.sqlite")).unwrap();
    session.commit(vec![commit_of(&session, 5)]).unwrap();
    let other = place.open().session().unwrap();
    assert_eq!(other.claim(&[address(9)]).unwrap(), [Claim::Elsewhere { session: session.id().into() }]);
    drop((session, other));
    assert_whole(&place.open());
    assert!(place.open().actions(10).unwrap().get(&key(5)).is_some());
}

#[test]
fn a_crash_loses_nothing_that_was_logged_and_cuts_only_the_torn_end() {
    let place = filled();
    let session = place.open().session().unwrap();
    let id = session.id().to_owned();
    session.claim(&[address(10), address(11), address(12)]).unwrap();
    session.log_draws(&[draw(10, "ten")]).unwrap();
    let temp = session.temp_name();
    crash(session);
    // Lines that reached the log and not the index, and half a line.
    let segment = place.file("draws").join(format!("{id}-0.log"));
    let mut bytes = fs::read(&segment).unwrap();
    line::put_draw(&mut bytes, &draw(11, "eleven"), false);
    let whole = bytes.len();
    line::put_draw(&mut bytes, &draw(12, "twelve"), false);
    bytes.truncate(whole + 40);
    fs::write(&segment, &bytes).unwrap();
    fs::write(place.file("tmp").join(&temp), "half").unwrap();
    // A record without a row.
    let lost = record(20, &[]);
    let hex = lost.key.digest().to_hex();
    fs::write(place.file("actions").join(&hex[..2]).join(&hex[2..]), lost.to_bytes().unwrap()).unwrap();

    assert!(place.read_only().actions(1).unwrap().get(&key(20)).is_some());
    assert_eq!(place.read_only().draws(&[address(11)]).unwrap(), [Some(draw(11, "eleven"))]);
    let session = place.open().session().unwrap();
    let claims = session.claim(&[address(10), address(11), address(12)]).unwrap();
    assert_eq!(claims, [Claim::Recorded, Claim::Recorded, Claim::Mine]);
    assert_eq!(session.store().draws(&[address(11)]).unwrap(), [Some(draw(11, "eleven"))]);
    assert!(session.store().indexed_row(&key(20)).is_some());
    assert_eq!(fs::read(&segment).unwrap(), bytes[..whole]);
    assert_eq!(mode(&segment), 0o444);
    let kept = place.file("quarantine").join(format!("tail-{id}-0.log-0"));
    assert_eq!(fs::read(kept).unwrap(), bytes[whole..]);
    assert!(!place.file("tmp").join(&temp).exists());
    assert!(!session.store().session_alive(&id) && session.store().session_alive(session.id()));
    assert!(!place.file("sessions").join(&id).exists());
    assert_whole(session.store());
}

#[test]
fn a_last_line_that_lacks_its_newline_is_kept() {
    for flipped in [false, true] {
        let place = filled();
        let session = place.open().session().unwrap();
        let id = session.id().to_owned();
        session.claim(&[address(10)]).unwrap();
        crash(session);
        let segment = place.file("draws").join(format!("{id}-0.log"));
        let mut bytes = fs::read(&segment).unwrap();
        line::put_draw(&mut bytes, &draw(10, "ten"), false);
        let whole = bytes.clone();
        bytes.pop();
        if flipped {
            bytes.push(b'\n' ^ 4);
        }
        fs::write(&segment, &bytes).unwrap();
        let session = place.open().session().unwrap();
        assert_eq!(session.claim(&[address(10)]).unwrap(), [Claim::Recorded]);
        assert_eq!(fs::read(&segment).unwrap(), whole);
    }
}

#[test]
fn a_damaged_line_stays_is_reported_and_is_neither_served_nor_bought_again() {
    let place = filled();
    let segment = place.segments()[0].clone();
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(8).position(|window| window == b"output 1").unwrap();
    bytes[at] ^= 1;
    overwrite(&segment, &bytes);
    let store = place.open();
    let draws = store.draws(&addresses(4)).unwrap();
    assert_eq!(draws.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, true]);
    assert_eq!(store.take_notices().len(), 1);
    let session = store.session().unwrap();
    assert_eq!(session.claim(&addresses(4)).unwrap(), vec![Claim::Recorded; 4]);
    drop(session);
    fs::remove_file(place.file("index.sqlite")).unwrap();
    let store = place.open();
    let draws = store.draws(&addresses(4)).unwrap();
    assert_eq!(draws.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, true]);
    assert!(store.take_notices().iter().any(|notice| notice.contains("damaged lines")));
    assert_eq!(fs::read(&segment).unwrap(), bytes);
}

#[test]
fn a_lost_segment_is_reported_and_its_answers_are_not_bought_again() {
    let place = filled();
    fs::remove_file(&place.segments()[0]).unwrap();
    let session = place.open().session().unwrap();
    assert_eq!(session.store().draws(&addresses(4)).unwrap(), vec![None; 4]);
    assert_eq!(session.claim(&addresses(4)).unwrap(), vec![Claim::Recorded; 4]);
    assert!(session.store().take_notices()[0].contains("is gone"));
}

#[test]
fn a_draw_is_claimed_once() {
    let place = Place::new();
    let (one, two) = (place.open().session().unwrap(), place.open().session().unwrap());
    let elsewhere = |session: &Session| Claim::Elsewhere { session: session.id().into() };
    assert_eq!(one.claim(&[address(1), address(2), address(1)]).unwrap(), [Claim::Mine, Claim::Mine, elsewhere(&one)]);
    assert_eq!(two.claim(&[address(2), address(3)]).unwrap(), [elsewhere(&one), Claim::Mine]);
    assert_eq!(one.claim(&[address(1), address(3)]).unwrap(), [elsewhere(&one), elsewhere(&two)]);
    // Each claim is a line of the log before it is granted.
    let log = fs::read_to_string(place.file("draws").join(format!("{}-0.log", two.id()))).unwrap();
    assert!(log.contains(&format!("\"addresses\":[\"{}/0/3\"]", address(3).request.digest().to_hex())));
    // What failed is let go of; what is answered is answered.
    let failure = LoggedFailure {
        address: address(2),
        code: FailureCode::Timeout,
        circumstances: Circumstances::default(),
        raw: Vec::new(),
    };
    one.log_failures(&[failure]).unwrap();
    assert_eq!(two.claim(&[address(2)]).unwrap(), [elsewhere(&one)]);
    one.release(&[address(2), address(3)]).unwrap();
    one.log_draws(&[draw(1, "one")]).unwrap();
    assert_eq!(two.claim(&addresses(4)[1..]).unwrap(), [Claim::Recorded, Claim::Mine, elsewhere(&two)]);
    // The claims of an index that was lost are those of the log.
    fs::remove_file(place.file("index.sqlite")).unwrap();
    assert_eq!(one.claim(&addresses(4)[1..]).unwrap(), [Claim::Recorded, elsewhere(&two), elsewhere(&two)]);
    // A session's end voids its claims.
    drop(two);
    assert_eq!(one.claim(&addresses(4)[1..]).unwrap(), [Claim::Recorded, Claim::Mine, Claim::Mine]);
}

#[test]
fn a_dead_sessions_claims_are_void_while_others_live() {
    let place = Place::new();
    let one = place.open().session().unwrap();
    let two = place.open().session().unwrap();
    two.claim(&addresses(3)).unwrap();
    crash(two);
    assert_eq!(one.claim(&addresses(3)).unwrap(), vec![Claim::Mine; 3]);
}

/// What was written counts for nobody until it is settled, and is lost by no mark that passes it.
#[test]
fn a_written_answer_outlives_whoever_wrote_it() {
    let place = Place::new();
    let one = place.open().session().unwrap();
    one.claim(&addresses(4)).unwrap();
    let first = one.write_draw(&draw(0, "zero")).unwrap();
    let second = one.write_draw(&draw(1, "one")).unwrap();
    assert_eq!(one.store().draws(&addresses(2)).unwrap().iter().flatten().count(), 0, "not durable, not known");
    // Lines after it move the marks of the index: a claim, a release, another answer.
    assert_eq!(one.claim(&[address(9)]).unwrap(), [Claim::Mine]);
    one.release(&[address(3)]).unwrap();
    assert_eq!(one.settle_draws(std::slice::from_ref(&second)).unwrap(), 0);
    assert_eq!(one.log_draws(&[draw(2, "two")]).unwrap(), 0);
    assert_eq!(one.store().draws(&addresses(4)).unwrap().iter().flatten().count(), 2);
    crash(one);
    let two = place.open().session().unwrap();
    let texts = two.store().draws(&addresses(4)).unwrap();
    let texts: Vec<String> = texts.into_iter().flatten().map(|draw| draw.answer.text).collect();
    assert_eq!(texts, ["zero", "one", "two"]);
    let claims = two.claim(&addresses(4)).unwrap();
    assert_eq!(claims, [Claim::Recorded, Claim::Recorded, Claim::Recorded, Claim::Mine]);
    let notices = two.store().take_notices();
    assert!(!notices.iter().any(|notice| notice.contains("second answers")), "{notices:?}");
    // Told of twice, it is still one answer.
    assert_eq!(two.settle_draws(&[first, second]).unwrap(), 0);
}

#[test]
fn threads_and_sessions_share_out_the_draws() {
    let place = Place::new();
    place.open();
    let wanted = addresses(200);
    let mine: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let session = place.open().session().unwrap();
                    let mut mine = 0;
                    for group in wanted.chunks(20) {
                        let claims = session.claim(group).unwrap();
                        let won: Vec<LoggedDraw> = group
                            .iter()
                            .zip(claims)
                            .filter(|(_, claim)| *claim == Claim::Mine)
                            .map(|(address, _)| draw(address.number, "x"))
                            .collect();
                        mine += won.len();
                        assert_eq!(session.log_draws(&won).unwrap(), 0);
                    }
                    mine
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(mine, 200);
    assert!(place.open().draws(&wanted).unwrap().iter().all(Option::is_some));
}

#[test]
fn a_second_answer_is_kept_and_never_served() {
    let place = filled();
    let session = place.open().session().unwrap();
    assert_eq!(session.log_draws(&[draw(1, "later"), draw(30, "a"), draw(30, "b")]).unwrap(), 2);
    assert_eq!(session.store().draws(&[address(30)]).unwrap(), [Some(draw(30, "a"))]);
    let log = fs::read_to_string(place.file("draws").join(format!("{}-0.log", session.id()))).unwrap();
    assert_eq!(log.matches("{\"surplus\":").count(), 2);
    drop(session);
    assert_whole(&place.open());
    fs::remove_file(place.file("index.sqlite")).unwrap();
    assert_whole(&place.open());
    assert_eq!(place.open().draws(&[address(30)]).unwrap(), [Some(draw(30, "a"))]);
}

#[test]
fn an_answer_is_logged_even_when_the_index_cannot_be_written() {
    let place = filled();
    let session = place.open().session().unwrap();
    session.claim(&[address(10)]).unwrap();
    // A directory where the file should be: neither opened nor set aside.
    fs::rename(place.file("locks"), place.file("locks-away")).unwrap();
    let inode = place.file("index.sqlite");
    fs::remove_file(&inode).unwrap();
    assert!(session.log_draws(&[draw(10, "ten")]).is_err());
    fs::rename(place.file("locks-away"), place.file("locks")).unwrap();
    drop(session);
    assert_eq!(place.open().draws(&[address(10)]).unwrap(), [Some(draw(10, "ten"))]);
}

#[test]
fn a_damaged_blob_is_found_by_whoever_reads_it() {
    for (what, damage) in [
        ("flipped", Box::new(|bytes: &mut Vec<u8>| bytes[3] ^= 1) as Box<dyn Fn(&mut Vec<u8>)>),
        ("swapped", Box::new(|bytes: &mut Vec<u8>| *bytes = text(1).into_bytes())),
        ("cut", Box::new(|bytes: &mut Vec<u8>| bytes.truncate(2))),
        ("emptied", Box::new(Vec::clear)),
    ] {
        for streamed in [false, true] {
            let place = filled();
            let id = BlobId::of(text(0).as_bytes());
            let path = place.open().blob_path(&id);
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            overwrite(&path, &bytes);
            let expected = if bytes.len() == text(0).len() { Presence::Present } else { Presence::WrongSize };
            assert_eq!(place.open().present(&[(id, text(0).len() as u64)]), [expected]);
            // Looking alone moves nothing.
            assert!(matches!(place.read_only().read(&id), Err(StoreError::Corrupt { .. })), "{what}");
            assert!(path.exists());
            let store = place.open();
            if streamed {
                let mut out = Vec::new();
                let error = std::io::Read::read_to_end(&mut store.open_blob(&id).unwrap(), &mut out).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{what}");
            } else {
                assert!(matches!(store.read(&id), Err(StoreError::Corrupt { .. })), "{what}");
            }
            assert!(!path.exists());
            assert!(matches!(store.read(&id), Err(StoreError::Missing { .. })));
            assert_eq!(store.take_notices().len(), 1);
            // Making it again heals it.
            let session = store.session().unwrap();
            session.commit(vec![commit_of(&session, 0)]).unwrap();
            assert_whole(&store);
        }
    }
}

#[test]
fn staging_replaces_a_damaged_blob_instead_of_trusting_it() {
    let place = filled();
    let id = BlobId::of(text(0).as_bytes());
    overwrite(&place.open().blob_path(&id), b"OUTPUT 0");
    let session = place.open().session().unwrap();
    session.commit(vec![commit_of(&session, 0)]).unwrap();
    assert_eq!(session.store().read(&id).unwrap(), text(0).as_bytes());
}

#[test]
fn staging_what_is_there_makes_no_file() {
    let place = filled();
    let session = place.open().session().unwrap();
    let staged = session.stage(text(0).as_bytes()).unwrap();
    assert!(staged.temp.is_none());
    let fresh = session.stage(b"new").unwrap();
    assert_eq!(place.file("tmp").read_dir_utf8().unwrap().count(), 1);
    drop(fresh);
    assert_eq!(place.file("tmp").read_dir_utf8().unwrap().count(), 0);
}

#[test]
fn a_group_with_a_record_that_cannot_stand_publishes_nothing() {
    let place = filled();
    let session = place.open().session().unwrap();
    let before = place.everything();
    let good = commit_of(&session, 40);
    let bad = Commit { record: Some(record(41, &[BlobRef::of(b"never staged")])), blobs: Vec::new() };
    assert!(matches!(session.commit(vec![good, bad]), Err(StoreError::Missing { .. })));
    assert_eq!(place.everything(), before);
    // Nor when the records' directory cannot be written.
    let hex = key(42).digest().to_hex();
    let shard = place.file("actions").join(&hex[..2]);
    fs::remove_dir_all(&shard).unwrap();
    fs::write(&shard, "in the way").unwrap();
    assert!(session.commit(vec![commit_of(&session, 42)]).is_err());
    assert!(session.store().actions(100).unwrap().get(&key(42)).is_none());
    assert!(session.store().indexed_row(&key(42)).is_none());
    assert_eq!(place.file("tmp").read_dir_utf8().unwrap().count(), 0);
}

#[test]
fn what_was_paid_for_is_read_back_before_it_is_published() {
    let place = filled();
    let session = place.open().session().unwrap();
    let staged = session.stage(b"paid").unwrap().read_back();
    let temp = place.file("tmp").read_dir_utf8().unwrap().next().unwrap().unwrap().path().to_owned();
    overwrite(&temp, b"liar");
    let id = staged.blob().id;
    assert!(matches!(
        session.commit(vec![Commit { record: None, blobs: vec![staged] }]),
        Err(StoreError::Corrupt { .. })
    ));
    assert!(matches!(session.store().read(&id), Err(StoreError::Missing { .. })));
}

#[test]
fn a_record_may_be_replaced_by_a_better_one() {
    let place = filled();
    let session = place.open().session().unwrap();
    let staged = session.stage(b"better").unwrap();
    let better = ActionRecord { draws: 9, ..record(0, &[staged.blob()]) };
    session.commit(vec![Commit { record: Some(better), blobs: vec![staged] }]).unwrap();
    let row = session.store().actions(9).unwrap().get(&key(0)).unwrap();
    assert_eq!((row.draws, row.outputs[0].blob), (9, BlobId::of(b"better")));
    // Had it ended between the record and its row, the record would answer.
    let index = &session.store().opened().unwrap().index;
    index.write(|tx| tx.execute("DELETE FROM actions", []).map(|_| ()).map_err(index.failed("write to"))).unwrap();
    let row = session.store().actions(9).unwrap().get(&key(0)).unwrap();
    assert_eq!((row.draws, row.outputs[0].blob), (9, BlobId::of(b"better")));
}

#[test]
fn a_damaged_record_is_a_miss_and_a_damaged_row_is_not() {
    let place = filled();
    let hex = key(0).digest().to_hex();
    let file = place.file("actions").join(&hex[..2]).join(&hex[2..]);
    let mut bytes = fs::read(&file).unwrap();
    bytes[20] ^= 1;
    overwrite(&file, &bytes);
    assert!(place.open().record(&key(0)).unwrap().is_none());
    assert!(place.open().actions(10).unwrap().get(&key(0)).is_some());
    fs::remove_file(place.file("index.sqlite")).unwrap();
    let store = place.open();
    assert!(store.actions(10).unwrap().get(&key(0)).is_none());
    assert!(!store.take_notices().is_empty());
    assert!(store.actions(10).unwrap().get(&key(1)).is_some());
}

#[test]
fn planted_links_in_the_store_lead_nowhere() {
    let place = filled();
    let outside = tempfile::tempdir().unwrap();
    let target = Utf8Path::from_path(outside.path()).unwrap();
    let id = BlobId::of(b"new");
    let hex = id.digest().to_hex();
    let shard = place.file("blobs").join(&hex[..2]);
    fs::remove_dir_all(&shard).unwrap();
    std::os::unix::fs::symlink(target, &shard).unwrap();
    fs::write(target.join(&hex[2..]), "new").unwrap();
    let store = place.open();
    assert!(store.read(&id).is_err());
    assert_eq!(store.present(&[(id, 3)]), [Presence::Missing]);
    let session = store.session().unwrap();
    assert!(session.stage(b"new").is_err());
    drop(session);
    fs::remove_dir_all(place.file("tmp")).unwrap();
    std::os::unix::fs::symlink(target, place.file("tmp")).unwrap();
    assert!(place.open().session().is_err());
    assert_eq!(fs::read_dir(target).unwrap().count(), 1);
}

#[test]
fn runs_are_kept_by_name() {
    let place = Place::new();
    let session = place.open().session().unwrap();
    for id in ["../x", "", ".", "a/b", "-rf", "a b", &"x".repeat(121)] {
        assert!(matches!(session.write_run(id, "{}"), Err(StoreError::BadName { .. })), "{id}");
    }
    session.write_run("r2", "two\nlines").unwrap();
    session.write_run("r1", "one").unwrap();
    session.write_run("r1", "more").unwrap();
    let store = place.read_only();
    assert_eq!(store.runs().unwrap().iter().map(|run| &*run.text).collect::<Vec<_>>(), ["more", "two\nlines"]);
    session.remove_run("r1").unwrap();
    session.remove_run("r1").unwrap();
    assert_eq!(store.run("r1").unwrap(), None);
    fs::write(place.file("runs/r2"), "two").unwrap();
    assert!(matches!(store.run("r2"), Err(StoreError::Corrupt { .. })));
    assert!(store.runs().unwrap().is_empty());
    assert_eq!(store.take_notices().len(), 1);
}

#[test]
fn input_files_are_hashed_once_and_changes_are_seen() {
    let place = filled();
    let input = Utf8Path::from_path(place.dir.path()).unwrap().join("input");
    fs::write(&input, "one").unwrap();
    let hash = |place: &Place| {
        let store = place.open();
        let hashed = store.hash_file(&input, true).unwrap();
        (hashed, store)
    };
    // Changed just now, or later than now: another change might not show, so it is not remembered.
    let touch = |when| fs::File::options().write(true).open(&input).unwrap().set_modified(when).unwrap();
    let now = std::time::SystemTime::now();
    touch(now + std::time::Duration::from_hours(1));
    let ((id, size), store) = hash(&place);
    assert_eq!((id, size), (BlobId::of(b"one"), 3));
    let session = store.session().unwrap();
    let before = place.everything();
    session.flush_stat_cache().unwrap();
    assert_eq!(place.everything(), before);
    drop(session);
    drop(store);
    touch(now);
    std::thread::sleep(std::time::Duration::from_millis(30));
    let (_, store) = hash(&place);
    let session = store.session().unwrap();
    session.flush_stat_cache().unwrap();
    assert_ne!(place.everything(), before);
    drop(session);
    drop(store);
    // From now on it is known, and nothing is written.
    let before = place.everything();
    let ((id, _), store) = hash(&place);
    assert_eq!(id, BlobId::of(b"one"));
    assert_eq!(place.everything(), before);
    drop(store);
    // Another content of the same size, with the time of modification put back.
    let times = fs::metadata(&input).unwrap();
    fs::write(&input, "two").unwrap();
    fs::File::options().write(true).open(&input).unwrap().set_modified(times.modified().unwrap()).unwrap();
    assert_eq!(hash(&place).0.0, BlobId::of(b"two"));
}

#[test]
fn only_regular_files_are_inputs() {
    let place = Place::new();
    let store = place.open();
    let dir = Utf8Path::from_path(place.dir.path()).unwrap();
    let pipe = dir.join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, pipe.as_std_path(), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    let zero = Utf8Path::new("/dev/zero");
    for path in [dir, &pipe, zero] {
        assert!(matches!(store.hash_file(path, true), Err(StoreError::NotRegular { .. })), "{path}");
    }
    assert!(store.hash_file(&dir.join("absent"), false).unwrap_err().is_not_found());
    let session = store.session().unwrap();
    let input = dir.join("input");
    fs::write(&input, "now").unwrap();
    assert!(matches!(session.stage_file(&input, &BlobId::of(b"before")), Err(StoreError::ChangedWhileRead { .. })));
    assert_eq!(session.stage_file(&input, &BlobId::of(b"now")).unwrap().blob(), BlobRef::of(b"now"));
}

#[test]
fn sessions_have_names_of_their_own_and_can_all_write() {
    let place = Place::new();
    let sessions: Vec<Session> = (0..8).map(|_| place.open().session().unwrap()).collect();
    let ids: std::collections::BTreeSet<&str> = sessions.iter().map(Session::id).collect();
    assert_eq!(ids.len(), 8);
    std::thread::scope(|scope| {
        for session in &sessions {
            scope.spawn(|| session.commit((0..9).map(|n| commit_of(session, n)).collect()).unwrap());
        }
    });
    for id in ids {
        assert!(place.open().session_alive(id));
    }
    assert!(!place.open().session_alive("s0"));
    assert!(!place.open().session_alive("../FORMAT"));
    let table = place.open().actions(9).unwrap();
    assert!((0..9).all(|n| table.get(&key(n)).is_some()));
}
