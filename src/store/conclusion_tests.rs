//! A conclusion answers only while every row it was drawn from is as it was, and only for its key.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::digest::{ActionKey, BlobId, ConclusionKey, Digest};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// Fills a store with actions 0 to 2.
    fn filled() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        place.commit(&[0, 1, 2], "");
        place
    }

    fn path(&self) -> Utf8PathBuf {
        Utf8Path::from_path(self.dir.path()).unwrap().join("store")
    }

    fn open(&self) -> Store {
        Store::open(&self.path(), Access::ReadWrite).unwrap()
    }

    fn commit(&self, numbers: &[u32], more: &str) {
        let session = self.open().session().unwrap();
        let commits = numbers.iter().map(|n| {
            let staged = session.stage(format!("{}{more}", text(*n)).as_bytes()).unwrap();
            Commit { record: Some(record(*n, staged.blob())), blobs: vec![staged] }
        });
        session.commit(commits.collect()).unwrap();
    }

    /// Looks actions up as a build does, and keeps what it found.
    fn conclude(&self, at: &ConclusionKey) -> bool {
        let store = self.open();
        let (conclusion, generation) = look(&store);
        generation.is_some_and(|generation| store.keep_conclusion(at, &conclusion, &generation).unwrap())
    }

    fn found(&self, at: &ConclusionKey) -> Option<Conclusion> {
        self.open().conclusion(at).unwrap()
    }

    fn sql(&self, text: &str) {
        rusqlite::Connection::open(self.path().join("index.sqlite")).unwrap().execute_batch(text).unwrap();
    }
}

fn look(store: &Store) -> (Conclusion, Option<Generation>) {
    let table = store.actions(3).unwrap();
    let rows = (0..3).filter_map(|n| table.get(&key(n)));
    let outputs = rows.map(|row| (row.outputs[0].blob, row.outputs[0].size)).collect();
    (Conclusion::new("facts".into(), outputs), table.basis().cloned())
}

fn key(n: u32) -> ActionKey {
    ActionKey::new(Digest::of(&n.to_le_bytes()))
}

fn at(name: &str) -> ConclusionKey {
    ConclusionKey::new(Digest::of(name.as_bytes()))
}

fn text(n: u32) -> String {
    format!("output {n}")
}

fn blob(n: u32) -> BlobId {
    BlobId::of(text(n).as_bytes())
}

fn record(n: u32, output: BlobRef) -> ActionRecord {
    ActionRecord {
        key: key(n),
        step: "score".into(),
        spec: RawValue::from_string(format!("{{\"n\":{n}}}")).unwrap(),
        outputs: vec![NamedBlob { name: "out".into(), blob: output.id, size: output.size }],
        state: ActionState::Complete,
        draws: 0,
        failures: 0,
        tool: "exp".into(),
        recorded_at: "2026-11-23T00:00:00Z".into(),
        duration_ms: 0,
    }
}

#[test]
fn a_conclusion_is_found_under_its_key_and_leaves_no_log_beside_the_index() {
    let place = Place::filled();
    assert_eq!(place.found(&at("a")), None);
    assert!(place.conclude(&at("a")));
    let found = place.found(&at("a")).unwrap();
    assert_eq!(found.facts, "facts");
    assert!(place.open().holds_all(&found));
    assert_eq!(place.found(&at("b")), None);
    assert!(!place.path().join("index.sqlite-wal").exists());
    assert_eq!(Store::open(&place.path(), Access::ReadOnly).unwrap().conclusion(&at("a")).unwrap(), Some(found));
    // Another selection has its own, and both stand.
    assert!(place.conclude(&at("b")));
    assert!(place.found(&at("a")).is_some() && place.found(&at("b")).is_some());
}

type Event<'a> = (&'a str, &'a dyn Fn(&Place));

#[test]
fn whatever_changes_a_row_makes_it_void() {
    let catch_up = |place: &Place| {
        // A record that the index does not know, and an index that lost what came after it.
        let old = fs::read(place.path().join("index.sqlite")).unwrap();
        place.commit(&[7], "");
        fs::write(place.path().join("index.sqlite"), old).unwrap();
        let session = place.open().session().unwrap();
        session.store().opened().unwrap().index.reconcile().unwrap();
    };
    let events: [Event<'_>; 7] = [
        ("an action is recorded", &|place| place.commit(&[3], "")),
        ("an action is recorded again with the same output", &|place| place.commit(&[1], "")),
        ("an action is recorded again with another output", &|place| place.commit(&[1], " changed")),
        ("an action is forgotten", &|place| place.open().session().unwrap().forget_actions(&[key(1)]).unwrap()),
        ("the index is rebuilt", &|place| {
            fs::remove_file(place.path().join("index.sqlite")).unwrap();
            place.open().actions(3).unwrap();
        }),
        ("the index is brought up to date", &catch_up),
        ("a row is changed by another hand", &|place| place.sql("UPDATE actions SET body = x'00'")),
    ];
    for (what, event) in events {
        let place = Place::filled();
        assert!(place.conclude(&at("a")), "{what}");
        event(&place);
        assert_eq!(place.found(&at("a")), None, "{what}");
    }
}

#[test]
fn what_changes_no_row_leaves_it() {
    let place = Place::filled();
    assert!(place.conclude(&at("a")));
    let session = place.open().session().unwrap();
    session.write_run("r1", "{}").unwrap();
    session.remove_run("r1").unwrap();
    let staged = session.stage(b"an input").unwrap();
    session.commit(vec![Commit { record: None, blobs: vec![staged] }]).unwrap();
    session.flush_stat_cache().unwrap();
    session.forget_actions(&[key(9)]).unwrap();
    drop(session);
    assert!(place.found(&at("a")).is_some());
}

#[test]
fn nothing_is_kept_of_rows_that_changed_since_they_were_read() {
    let events: [&dyn Fn(&Place); 3] = [
        &|place| place.commit(&[3], ""),
        &|place| place.open().session().unwrap().forget_actions(&[key(1)]).unwrap(),
        &|place| fs::remove_file(place.path().join("index.sqlite")).unwrap(),
    ];
    for event in events {
        let place = Place::filled();
        let store = place.open();
        let (conclusion, generation) = look(&store);
        drop(store);
        event(&place);
        assert!(!place.open().keep_conclusion(&at("a"), &conclusion, &generation.unwrap()).unwrap());
        assert_eq!(place.found(&at("a")), None);
    }
}

#[test]
fn nothing_is_concluded_from_a_record_that_the_index_lacks() {
    let place = Place::filled();
    place.sql("DELETE FROM actions");
    // The answers are right, and come from records: nothing would tell if one of them went.
    let (conclusion, generation) = look(&place.open());
    assert!(place.open().holds_all(&conclusion));
    assert_eq!(generation, None);
    assert!(!place.conclude(&at("a")));
    let damaged = Place::filled();
    damaged.sql("UPDATE actions SET body = x'0102'");
    assert!(!damaged.conclude(&at("a")));
}

#[test]
fn nothing_is_kept_where_nothing_may_be_written() {
    let place = Place::filled();
    let (conclusion, generation) = look(&place.open());
    let store = Store::open(&place.path(), Access::ReadOnly).unwrap();
    let before = fs::read(place.path().join("index.sqlite")).unwrap();
    assert!(!store.keep_conclusion(&at("a"), &conclusion, &generation.unwrap()).unwrap());
    assert_eq!(fs::read(place.path().join("index.sqlite")).unwrap(), before);
}

#[test]
fn the_newest_few_are_kept() {
    let place = Place::filled();
    for n in 0..12 {
        assert!(place.conclude(&at(&n.to_string())));
    }
    let kept: Vec<u32> = (0..12).filter(|n| place.found(&at(&n.to_string())).is_some()).collect();
    assert_eq!(kept, (4..12).collect::<Vec<_>>());
    place.commit(&[3], "");
    assert!(place.conclude(&at("new")));
    let conn = rusqlite::Connection::open(place.path().join("index.sqlite")).unwrap();
    let rows: u32 = conn.query_row("SELECT count(*) FROM conclusions", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1, "void ones make room");
}

#[test]
fn every_output_is_looked_at() {
    // More than one thread's share, in every directory.
    let many: Vec<(BlobId, u64)> = {
        let place = Place::filled();
        let session = place.open().session().unwrap();
        let blobs: Vec<StagedBlob> = (0..700).map(|n| session.stage(text(n).as_bytes()).unwrap()).collect();
        session.commit(vec![Commit { record: None, blobs }]).unwrap();
        drop(session);
        let outputs: Vec<_> = (0..700).map(|n| (blob(n), text(n).len() as u64)).collect();
        let conclusion = Conclusion::new(String::new(), outputs.clone());
        assert!(place.open().holds_all(&conclusion));
        for n in (0..700).step_by(23) {
            let path = place.open().blob_path(&blob(n));
            let aside = path.with_extension("aside");
            fs::rename(&path, &aside).unwrap();
            assert!(!place.open().holds_all(&conclusion), "{n} is gone");
            fs::write(&path, "short").unwrap();
            assert!(!place.open().holds_all(&conclusion), "{n} has another length");
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink(&aside, &path).unwrap();
            assert!(!place.open().holds_all(&conclusion), "{n} is a link");
            fs::remove_file(&path).unwrap();
            fs::rename(&aside, &path).unwrap();
        }
        assert!(place.open().holds_all(&conclusion));
        let shard = place.open().blob_path(&blob(5)).parent().unwrap().to_owned();
        fs::rename(&shard, shard.with_extension("aside")).unwrap();
        assert!(!place.open().holds_all(&conclusion));
        outputs
    };
    let elsewhere = Place::filled();
    assert!(!elsewhere.open().holds_all(&Conclusion::new(String::new(), many)));
    let no_store = Store::open(&elsewhere.path().join("none"), Access::ReadOnly).unwrap();
    assert!(!no_store.holds_all(&Conclusion::new(String::new(), Vec::new())));
}

#[test]
fn a_file_that_has_just_changed_is_not_settled() {
    let place = Place::filled();
    let path = place.path().join("program");
    fs::write(&path, "code").unwrap();
    let later = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        place.open().is_settled(&path).unwrap()
    });
    assert!(later);
    let before = place.open();
    assert!(before.is_settled(&path).unwrap());
    // The clock of this store stopped before the change.
    fs::write(&path, "more code").unwrap();
    assert!(!before.is_settled(&path).unwrap());
    assert!(before.is_settled(&place.path().join("absent")).is_err());
}

#[test]
fn no_flipped_bit_of_the_index_is_believed() {
    let place = Place::filled();
    assert!(place.conclude(&at("a")));
    let good = place.found(&at("a"));
    let conn = rusqlite::Connection::open(place.path().join("index.sqlite")).unwrap();
    let body: Vec<u8> = conn.query_row("SELECT body FROM conclusions", [], |row| row.get(0)).unwrap();
    for bit in 0..body.len() * 8 {
        let mut bad = body.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        conn.execute("UPDATE conclusions SET body = ?1", [&bad]).unwrap();
        assert_eq!(place.found(&at("a")), None, "bit {bit}");
    }
    conn.execute("UPDATE conclusions SET body = ?1", [&body]).unwrap();
    assert_eq!(place.found(&at("a")), good);
    // Nor under another key, nor for another state of the rows.
    conn.execute("UPDATE conclusions SET key = ?1", [at("b").digest().as_bytes()]).unwrap();
    assert_eq!(place.found(&at("b")), None);
    conn.execute("UPDATE conclusions SET key = ?1, changes = changes + 1", [at("a").digest().as_bytes()]).unwrap();
    conn.execute("UPDATE generation SET changes = changes + 1", []).unwrap();
    assert_eq!(place.found(&at("a")), None);
}

proptest! {
    #[test]
    fn outputs_are_the_same_in_any_order(mut numbers in prop::collection::vec((0u32..9, 0u64..3), 0..20)) {
        let pack = |numbers: &[(u32, u64)]| {
            Conclusion::new("f".into(), numbers.iter().map(|(n, size)| (blob(*n), *size)).collect())
        };
        let one = pack(&numbers);
        numbers.reverse();
        prop_assert_eq!(one, pack(&numbers));
    }
}
