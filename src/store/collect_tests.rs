//! What a garbage collection leaves and takes.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::line::tests::{address, draw};
use super::*;
use crate::digest::{ActionKey, BlobId, Digest};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn open(&self) -> Store {
        let path = camino::Utf8Path::from_path(self.dir.path()).unwrap().join("store");
        Store::open(&path, Access::ReadWrite).unwrap()
    }
}

fn text(n: u32) -> String {
    format!("output {n}")
}

fn key(n: u32) -> ActionKey {
    ActionKey::new(Digest::of(&n.to_le_bytes()))
}

/// Commits one action with one output, and returns what a hit would know of it.
fn act(session: &Session, n: u32) -> ActionRow {
    let staged = session.stage(text(n).as_bytes()).unwrap();
    let blob = staged.blob();
    let record = ActionRecord {
        key: key(n),
        step: "score".into(),
        spec: RawValue::from_string("{}".into()).unwrap(),
        outputs: vec![NamedBlob { name: "out".into(), blob: blob.id, size: blob.size }],
        state: ActionState::Complete,
        draws: 0,
        failures: 0,
        tool: "exp".into(),
        recorded_at: "2026-11-23T00:00:00Z".into(),
        duration_ms: 0,
    };
    let row = ActionRow::from(&record);
    session.commit(vec![Commit { record: Some(record), blobs: vec![staged] }]).unwrap();
    row
}

fn find(store: &Store, grace: u64, roots: &Roots) -> Garbage {
    store.search_garbage(grace).unwrap().find(roots, true).unwrap()
}

fn is_there(store: &Store, row: &ActionRow) -> [bool; 3] {
    let blob = &row.outputs[0];
    let present = store.present(&[(blob.blob, blob.size)]) == [Presence::Present];
    [present, store.record(&row.key).unwrap().is_some(), store.indexed_row(&row.key).is_some()]
}

#[test]
fn what_is_rooted_stays_and_the_rest_goes_with_its_rows() {
    let place = Place::new();
    let store = place.open();
    let session = store.session().unwrap();
    let rows = [act(&session, 0), act(&session, 1), act(&session, 2)];
    drop(session);
    let roots = Roots {
        blobs: HashSet::from([rows[0].outputs[0].blob, rows[2].outputs[0].blob]),
        actions: HashSet::from([rows[0].key]),
        ..Roots::default()
    };
    let garbage = find(&store, 0, &roots);
    assert_eq!((garbage.blobs.len(), garbage.actions.len(), garbage.young), (1, 2, 0));
    let done = store.collect(garbage).unwrap();
    assert_eq!((done.blobs, done.actions, done.kept), (1, 2, 0));
    assert_eq!(is_there(&store, &rows[0]), [true; 3]);
    assert_eq!(is_there(&store, &rows[1]), [false; 3]);
    assert_eq!(is_there(&store, &rows[2]), [true, false, false]);
    assert!(find(&store, 0, &roots).is_empty());
    // What went can be made again.
    let session = store.session().unwrap();
    act(&session, 1);
    assert_eq!(is_there(&store, &rows[1]), [true; 3]);
}

#[test]
fn what_a_session_made_outlives_it_for_two_collections_whatever_the_clock_says() {
    let place = Place::new();
    let store = place.open();
    let row = act(&store.session().unwrap(), 0);
    let blob = store.blob_path(&row.outputs[0].blob);
    let file = std::fs::File::open(&blob).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    for _ in 0..2 {
        let garbage = find(&store, 2, &Roots::default());
        assert!(garbage.is_empty() && garbage.young == 2, "{garbage:?}");
        store.collect(garbage).unwrap();
        assert_eq!(is_there(&store, &row), [true; 3]);
    }
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_hours(100)).unwrap();
    let garbage = find(&store, 2, &Roots::default());
    assert_eq!((garbage.blobs.len(), garbage.actions.len(), garbage.young), (1, 1, 0));
    store.collect(garbage).unwrap();
    assert_eq!(is_there(&store, &row), [false; 3]);
    assert_eq!(std::fs::read_dir(place.dir.path().join("store/grace")).unwrap().count(), 0);
}

#[test]
fn what_a_live_session_made_or_holds_stays_even_if_the_plan_is_older() {
    let place = Place::new();
    let store = place.open();
    let rows = {
        let session = store.session().unwrap();
        [act(&session, 0), act(&session, 1), act(&session, 2)]
    };
    let working = place.open().session().unwrap();
    let fresh = act(&working, 9);
    let garbage = find(&store, 0, &Roots::default());
    // What the living session made is no garbage; the rest would go.
    assert_eq!((garbage.blobs.len(), garbage.actions.len()), (3, 3));
    // Between the plan and its execution a build comes to rely on one, makes another again, and ends.
    assert_eq!(working.hold_actions(&[&rows[0]]).unwrap(), [true]);
    let ending = place.open().session().unwrap();
    act(&ending, 1);
    drop(ending);
    let done = store.collect(garbage).unwrap();
    assert_eq!((done.blobs, done.actions, done.kept), (1, 1, 4));
    assert_eq!(is_there(&store, &rows[0]), [true; 3]);
    assert_eq!(is_there(&store, &rows[1]), [true; 3]);
    assert_eq!(is_there(&store, &fresh), [true; 3]);
    // Whoever comes after the collection is told that it is gone.
    assert_eq!(working.hold_actions(&[&rows[2], &rows[0]]).unwrap(), [false, true]);
    // One that dies leaves what it holds to the grace, like one that ends.
    std::mem::forget(working);
}

#[test]
fn a_hold_is_written_before_anything_is_looked_at() {
    let place = Place::new();
    let store = place.open();
    let row = act(&store.session().unwrap(), 0);
    let session = place.open().session().unwrap();
    let garbage = find(&store, 0, &Roots::default());
    let gate = holds::Gate::open(&store.opened().unwrap().layout).unwrap();
    let closed = gate.close().unwrap();
    std::thread::scope(|scope| {
        // As long as somebody deletes, nobody is told that a thing is there.
        let holding = scope.spawn(|| session.hold_actions(&[&row]).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!holding.is_finished());
        drop(closed);
        assert_eq!(holding.join().unwrap(), [true]);
    });
    assert_eq!(store.collect(garbage).unwrap().kept, 2);
    assert_eq!(is_there(&store, &row), [true; 3]);
}

#[test]
fn leftovers_of_the_dead_go_and_files_of_the_living_do_not() {
    let place = Place::new();
    let store = place.open();
    let session = store.session().unwrap();
    let staged = session.stage(b"at work").unwrap();
    let at = |name: &str| place.dir.path().join("store").join(name);
    for name in ["tmp/sdead-1", "tmp/index-sx", "trash/ab", "index.sqlite.bad-0"] {
        std::fs::write(at(name), "left").unwrap();
    }
    let garbage = find(&store, 2, &Roots::default());
    let mut found: Vec<&str> = garbage.leftovers.iter().map(|leftover| leftover.path.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, ["index.sqlite.bad-0", "tmp/index-sx", "tmp/sdead-1", "trash/ab"]);
    assert_eq!(garbage.bytes(), 16);
    store.collect(garbage).unwrap();
    assert!(!at("tmp/sdead-1").exists());
    session.commit(vec![Commit { record: None, blobs: vec![staged] }]).unwrap();
    assert_eq!(store.read(&BlobId::of(b"at work")).unwrap(), b"at work");
}

#[test]
fn answers_go_only_where_no_root_uses_one_and_nobody_is_at_work() {
    let place = Place::new();
    let store = place.open();
    let mut ids = Vec::new();
    for n in 0..3 {
        let session = store.session().unwrap();
        session.claim(&[address(2 * n), address(2 * n + 1)]).unwrap();
        session.log_draws(&[draw(2 * n, "a"), draw(2 * n + 1, "b")]).unwrap();
        ids.push(session.id().to_owned());
    }
    // The first is used by a draw, the second by what a run's costs are read from.
    let roots =
        Roots { draws: HashSet::from([address(1)]), sessions: HashSet::from([ids[1].clone()]), ..Roots::default() };
    let search = || store.search_garbage(0).unwrap();
    assert!(search().find(&roots, false).unwrap().segments.is_empty());
    let garbage = search().find(&roots, true).unwrap();
    let names: Vec<_> = garbage.segments.iter().map(|unused| (unused.name.clone(), unused.draws)).collect();
    assert_eq!(names, [(format!("{}-0.log", ids[2]), 2)]);
    let working = place.open().session().unwrap();
    let done = store.collect(garbage).unwrap();
    assert!(done.segments_kept && done.segments == 0);
    drop(working);
    let done = store.collect(search().find(&roots, true).unwrap()).unwrap();
    assert_eq!((done.segments, done.draws, done.segments_kept), (1, 2, false));
    let addresses: Vec<_> = (0..6).map(address).collect();
    let session = place.open().session().unwrap();
    let claims = session.claim(&addresses).unwrap();
    assert_eq!(claims[..4], vec![Claim::Recorded; 4]);
    assert_eq!(claims[4..], vec![Claim::Mine; 2]);
    assert_eq!(session.store().draws(&addresses[..4]).unwrap().iter().flatten().count(), 4);
}

#[test]
fn a_run_stays_pinned_until_it_is_unpinned() {
    let place = Place::new();
    let store = place.open();
    assert!(store.pin_run("r1").unwrap() && !store.pin_run("r1").unwrap());
    assert!(store.pin_run("../r1").is_err());
    assert_eq!(place.open().pinned_runs().unwrap(), ["r1"]);
    assert!(store.unpin_run("r1").unwrap() && !store.unpin_run("r1").unwrap());
    assert!(place.open().pinned_runs().unwrap().is_empty());
}

#[test]
fn hashes_in_logs_of_batches_are_roots() {
    let place = Place::new();
    let store = place.open();
    let row = act(&store.session().unwrap(), 0);
    let blob = row.outputs[0].blob;
    std::fs::write(place.dir.path().join("store/batches/b1.log"), format!("x {{\"input\":\"{blob}\"}}\n")).unwrap();
    let roots =
        Roots { blobs: store.named_by_batches().unwrap().into_iter().map(BlobId::new).collect(), ..Roots::default() };
    let garbage = find(&store, 0, &roots);
    assert_eq!((garbage.blobs.len(), garbage.actions.len()), (0, 1));
}
