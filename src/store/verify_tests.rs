//! What a look at the whole store finds: every bit.

use std::fs;

use camino::Utf8PathBuf;

use super::tests::{Place, addresses, assert_whole, filled, key, overwrite, text};
use super::*;
use crate::digest::BlobId;

fn flaws(store: &Store) -> Vec<String> {
    store.verify().unwrap().flaws.into_iter().map(|flaw| format!("{}: {}", flaw.subject, flaw.actual)).collect()
}

/// Says which bits are flipped: one in so many as `EXP_EVERY_BIT` says (1 is every one).
fn chosen(bits: usize, one_in: usize) -> impl Iterator<Item = usize> {
    let step = std::env::var("EXP_EVERY_BIT").ok().and_then(|text| text.parse().ok()).unwrap_or(one_in);
    (0..bits).step_by(step)
}

fn put(path: &Utf8PathBuf, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    overwrite(path, bytes);
}

/// Makes a store in memory where there is such a place, with everything that a store has.
fn whole() -> Place {
    let place = filled();
    let session = place.open().session().unwrap();
    let head = BatchHead { provider: "p".into(), models: vec!["m".into()], ..BatchHead::default() };
    let prepared = BatchStep::new(BatchState::Prepared, "t0".into());
    let draws = (20..29).map(line::tests::address).collect();
    let mut held = session.begin_batch(head, draws, |name| format!("salted {name}"), prepared).unwrap();
    let mut uploaded = BatchStep::new(BatchState::Uploaded, "t1".into());
    uploaded.files = vec!["file-1".into()];
    held.step(uploaded).unwrap();
    drop((held, session));
    // Hundreds of empty directories would be listed for each bit.
    for tree in ["blobs", "actions"] {
        for shard in place.file(tree).read_dir_utf8().unwrap() {
            drop(fs::remove_dir(shard.unwrap().path()));
        }
    }
    assert_eq!(flaws(&place.read_only()), Vec::<String>::new());
    place
}

fn files(place: &Place, dir: &str) -> Vec<Utf8PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![place.file(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in dir.read_dir_utf8().unwrap() {
            let path = entry.unwrap().path().to_owned();
            if path.is_dir() { dirs.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

#[test]
fn a_sound_store_is_counted_and_nothing_is_written() {
    let place = whole();
    let before = place.everything();
    let verified = place.read_only().verify().unwrap();
    assert_eq!((verified.blobs, verified.records, verified.answers, verified.batches, verified.runs), (3, 3, 4, 1, 1));
    assert!(verified.rows >= 7 && verified.lines >= 6, "{verified:?}");
    assert_eq!(verified.notes, Vec::<String>::new());
    assert_eq!(place.everything(), before);
    // One that is at work is no flaw either, nor is a store that is not there.
    let session = place.open().session().unwrap();
    session.claim(&addresses(9)).unwrap();
    assert_eq!(flaws(&place.read_only()), Vec::<String>::new());
    assert_eq!(Place::new().read_only().verify().unwrap(), Verified::default());
}

#[test]
fn every_flipped_bit_of_blobs_records_logs_and_runs_is_found_and_none_is_served() {
    let place = whole();
    for dir in ["blobs", "actions", "draws", "batches", "runs"] {
        for path in files(&place, dir) {
            let good = fs::read(&path).unwrap();
            for bit in chosen(good.len() * 8, 61) {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                overwrite(&path, &bad);
                let store = place.read_only();
                let found = flaws(&store);
                assert!(!found.is_empty(), "{path}: bit {bit}");
                let name = path.strip_prefix(place.path()).unwrap().as_str();
                assert!(
                    found.iter().all(|flaw| flaw.starts_with(name) || flaw.contains("index.sqlite")),
                    "{name} {bit}: {found:?}"
                );
                for n in 0..3 {
                    let blob = store.read(&BlobId::of(text(n).as_bytes()));
                    assert!(blob.is_err() || blob.unwrap() == text(n).as_bytes(), "{path}: bit {bit}");
                    let record = store.record(&key(n)).unwrap();
                    assert!(record.is_none_or(|record| record.outputs[0].blob == BlobId::of(text(n).as_bytes())));
                }
                for (n, draw) in store.draws(&addresses(4)).unwrap().into_iter().enumerate() {
                    assert!(
                        draw.is_none_or(|draw| draw == line::tests::draw(n as u32, &text(n as u32))),
                        "{path}: {bit}"
                    );
                }
            }
            overwrite(&path, &good);
        }
    }
    assert_whole(&place.read_only());
}

#[test]
fn every_flipped_bit_of_the_index_is_found_or_means_nothing() {
    let place = whole();
    let index = place.file("index.sqlite");
    let good = fs::read(&index).unwrap();
    let (mut found, mut silent) = (0, 0);
    for bit in chosen(good.len() * 8, 2003) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(&index, &bad).unwrap();
        let store = place.read_only();
        let is_found = store.verify().map_or(true, |verified| !verified.flaws.is_empty() || !verified.notes.is_empty());
        // Found or not: whoever asks is told what is true.
        assert_whole(&store);
        if is_found {
            found += 1;
        } else {
            silent += 1;
        }
        assert_eq!(fs::read(&index).unwrap(), bad, "bit {bit}");
    }
    fs::write(&index, &good).unwrap();
    eprintln!("{found} bits of the index found, {silent} that mean nothing");
    assert!(found > 0);
}

#[test]
fn a_page_that_has_lost_its_rows_hides_no_answer() {
    let place = whole();
    let index = place.file("index.sqlite");
    let conn = rusqlite::Connection::open(&index).unwrap();
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap() as usize;
    let page = number("SELECT rootpage FROM sqlite_schema WHERE name = 'draws'");
    let size = number("PRAGMA page_size");
    drop(conn);
    // How many cells a page has stands in the third and fourth byte of its header.
    let mut bytes = fs::read(&index).unwrap();
    let count = &mut bytes[(page - 1) * size + 3..][..2];
    assert_eq!(count, [0, 4]);
    count[1] = 0;
    fs::write(&index, &bytes).unwrap();
    assert!(!flaws(&place.read_only()).is_empty());
    assert_whole(&place.read_only());
    assert_whole(&place.open());
}

#[test]
fn what_is_missing_moved_or_strange_is_found() {
    let place = whole();
    let store = place.read_only();
    let blob = |n| store.blob_path(&BlobId::of(text(n).as_bytes()));
    // Two blobs that were swapped are both named for something else.
    let (one, two) = (fs::read(blob(0)).unwrap(), fs::read(blob(1)).unwrap());
    overwrite(&blob(0), &two);
    overwrite(&blob(1), &one);
    assert_eq!(flaws(&store).len(), 2);
    overwrite(&blob(0), &one);
    overwrite(&blob(1), &two);
    fs::remove_file(blob(2)).unwrap();
    let found = flaws(&store);
    assert!(found.len() == 1 && found[0].contains("output `out`: missing"), "{found:?}");
    put(&blob(2), text(2).as_bytes());
    fs::create_dir_all(place.file("blobs/00")).unwrap();
    fs::create_dir_all(place.file("actions/ff")).unwrap();
    for stray in ["blobs/00/x", "actions/ff/README", "draws/notes.txt", "runs/-rf"] {
        fs::write(place.file(stray), "x").unwrap();
        assert_eq!(flaws(&store), [format!("{stray}: a file that is none of the store's")]);
        fs::remove_file(place.file(stray)).unwrap();
    }
    // A record without a row is no flaw; a row without a record is.
    let hex = key(1).digest().to_hex();
    let record = place.file("actions").join(&hex[..2]).join(&hex[2..]);
    let good = fs::read(&record).unwrap();
    fs::remove_file(&record).unwrap();
    let found = flaws(&store);
    assert!(found.len() == 1 && found[0].contains("there is no such record"), "{found:?}");
    put(&record, &good);
    fs::remove_file(place.file("index.sqlite")).unwrap();
    let verified = store.verify().unwrap();
    assert!(verified.flaws.is_empty() && verified.notes.len() == 1, "{verified:?}");
}

#[test]
fn what_is_put_right_is_kept_aside_and_the_rest_is_made_again() {
    let place = whole();
    let blob = place.open().blob_path(&BlobId::of(text(0).as_bytes()));
    overwrite(&blob, b"OUTPUT 0");
    let hex = key(1).digest().to_hex();
    overwrite(&place.file("actions").join(&hex[..2]).join(&hex[2..]), b"{");
    overwrite(&place.file("runs/r1"), b"{");
    let mut index = fs::read(place.file("index.sqlite")).unwrap();
    index[63] ^= 1;
    fs::write(place.file("index.sqlite"), index).unwrap();
    let before = place.read_only().verify().unwrap();
    assert_eq!(before.flaws.len(), 4, "{before:?}");
    let session = place.open().session().unwrap();
    for flaw in &before.flaws {
        session.put_right(flaw).unwrap();
    }
    drop(session);
    let kept: Vec<String> =
        files(&place, "quarantine").iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(kept.len(), 3, "{kept:?}");
    let after = place.read_only().verify().unwrap();
    // The output of a record is missing until it is made again.
    assert_eq!(after.flaws.len(), 1, "{after:?}");
    assert!(matches!(after.flaws[0].part, FlawPart::MissingBlob(_)));
}

#[test]
fn a_damaged_answer_is_asked_for_again_only_once_it_is_given_up() {
    let place = whole();
    let segment = place.segments()[0].clone();
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(8).position(|window| window == b"output 1").unwrap();
    bytes[at] ^= 1;
    overwrite(&segment, &bytes);
    let verified = place.read_only().verify().unwrap();
    let [Flaw { part: FlawPart::DrawLog { draws, segment: name, start }, .. }] = verified.flaws.as_slice() else {
        panic!("{verified:?}")
    };
    assert_eq!(draws.len(), 1);
    let session = place.open().session().unwrap();
    assert_eq!(session.claim(&addresses(4)).unwrap(), vec![Claim::Recorded; 4]);
    assert_eq!(session.give_up_draws(draws).unwrap(), 1);
    assert_eq!(session.give_up_draws(draws).unwrap(), 0);
    let claims = session.claim(&addresses(4)).unwrap();
    assert_eq!(claims.iter().filter(|claim| **claim == Claim::Mine).count(), 1);
    session.log_draws(&[line::tests::draw(1, &text(1))]).unwrap();
    let store = place.open();
    assert!(store.set_lines_aside(&[].into()).is_err(), "somebody is at work");
    drop(session);
    assert_whole(&store);
    // The line stays until it is set aside, and what stood around it is there whether or not the index is.
    assert_eq!(store.set_lines_aside(&[(name.clone(), *start)].into()).unwrap(), 0);
    assert_eq!(flaws(&store).len(), 1);
    assert_eq!(store.set_lines_aside(&[].into()).unwrap(), 1);
    assert_eq!(flaws(&store), Vec::<String>::new());
    assert_whole(&store);
    fs::remove_file(place.file("index.sqlite")).unwrap();
    assert_whole(&place.open());
}

#[test]
fn a_damaged_last_newline_is_mended() {
    let place = whole();
    let segment = place.segments()[0].clone();
    let mut bytes = fs::read(&segment).unwrap();
    *bytes.last_mut().unwrap() ^= 4;
    overwrite(&segment, &bytes);
    let found = place.read_only().verify().unwrap().flaws;
    // Its row says that a line ends there.
    assert!(
        matches!(found[..], [Flaw { part: FlawPart::Tail(_), .. }, Flaw { part: FlawPart::Index, .. }]),
        "{found:?}"
    );
    let session = place.open().session().unwrap();
    assert!(found.iter().all(|flaw| session.put_right(flaw).unwrap()));
    drop(session);
    assert_eq!(flaws(&place.read_only()), Vec::<String>::new());
    assert_whole(&place.open());
}

#[test]
fn a_damaged_answer_is_restored_from_what_was_made_of_it() {
    let place = whole();
    let segment = place.segments()[0].clone();
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(8).position(|window| window == b"output 1").unwrap();
    bytes[at] ^= 1;
    overwrite(&segment, &bytes);
    let session = place.open().session().unwrap();
    session.restore_draws(&[line::tests::draw(1, &text(1))]).unwrap();
    assert_eq!(session.claim(&addresses(4)).unwrap(), vec![Claim::Recorded; 4]);
    drop(session);
    assert_whole(&place.open());
    assert_eq!(place.open().set_lines_aside(&[].into()).unwrap(), 1);
    assert_eq!(flaws(&place.read_only()), Vec::<String>::new());
    assert_whole(&place.open());
}
