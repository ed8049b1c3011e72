//! Measures what the store promises of large things, each against its target and, where that is relative, against the other
//! way of doing it in the same run. Prints a line for each, and fails where a target is missed.
//!
//! Usage: `cargo bench --bench store_figures [-- NAME…]`; `EXP_FIGURES_DIR` says where (default: the directory for temporary
//! files), `EXP_FIGURES_SCALE` divides the counts (default: 1).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use exp::digest::{ActionKey, BlobId, Digest};
use exp::store::{Access, ActionRecord, ActionState, Commit, NamedBlob, Roots, Session, Store};
use serde_json::value::RawValue;

struct Figure {
    name: &'static str,
    measure: fn(&Utf8Path, usize) -> (String, bool),
}

const FIGURES: [Figure; 5] = [
    Figure { name: "rebuild", measure: rebuild },
    Figure { name: "verify", measure: verify },
    Figure { name: "large", measure: large },
    Figure { name: "many", measure: many },
    Figure { name: "gc", measure: gc },
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let scale = std::env::var("EXP_FIGURES_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut missed = 0;
    for figure in FIGURES.iter().filter(|figure| wanted.is_empty() || wanted.iter().any(|name| name == figure.name)) {
        let dir = match std::env::var_os("EXP_FIGURES_DIR") {
            Some(dir) => tempfile::tempdir_in(dir),
            None => tempfile::tempdir(),
        };
        let dir = dir.unwrap();
        let (words, is_met) = (figure.measure)(Utf8Path::from_path(dir.path()).unwrap(), scale);
        println!("{:<8} {words}: {}", figure.name, if is_met { "met" } else { "MISSED" });
        missed += i32::from(!is_met);
    }
    std::process::exit(missed.min(1));
}

fn open(dir: &Utf8Path) -> (Store, Utf8PathBuf) {
    let path = dir.join("store");
    (Store::open(&path, Access::ReadWrite).unwrap(), path)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let value = work();
    (value, started.elapsed())
}

fn place(dir: &Utf8Path, tree: &str, digest: &Digest) -> Utf8PathBuf {
    let hex = digest.to_hex();
    dir.join(tree).join(&hex[..2]).join(&hex[2..])
}

/// An index of 1,000,000 actions is built from their records.
fn rebuild(dir: &Utf8Path, scale: usize) -> (String, bool) {
    let count = 1_000_000 / scale;
    let (store, path) = open(dir);
    for n in 0..count {
        let key = ActionKey::new(Digest::of(&n.to_le_bytes()));
        let record = ActionRecord {
            key,
            step: "score".into(),
            spec: RawValue::from_string(format!(
                "{{\"step\":\"score\",\"revision\":1,\"params\":{{\"n\":{n}}},\"inputs\":{{}}}}"
            ))
            .unwrap(),
            outputs: vec![NamedBlob { name: "scores".into(), blob: BlobId::of(&n.to_be_bytes()), size: 8 }],
            state: ActionState::Complete,
            draws: 0,
            failures: 0,
            tool: "exp".into(),
            recorded_at: "2026-11-23T00:00:00.000Z".into(),
            duration_ms: 1,
        };
        fs::write(place(&path, "actions", key.digest()), record.to_bytes().unwrap()).unwrap();
    }
    let (table, took) = timed(|| store.actions(count).unwrap());
    assert!(table.get(&ActionKey::new(Digest::of(&7_usize.to_le_bytes()))).is_some());
    assert!(path.join("index.sqlite").exists());
    (format!("index of {count} actions built in {:.1} s (target: 60 s)", took.as_secs_f64()), took.as_secs() < 60)
}

/// Every byte of a store is read and hashed, warm.
fn verify(dir: &Utf8Path, scale: usize) -> (String, bool) {
    let (store, path) = open(dir);
    let mut bytes = vec![0; 4 << 20];
    for n in 0..512 / scale {
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        let file = place(&path, "blobs", BlobId::of(&bytes).digest());
        fs::write(&file, &bytes).unwrap();
        let mut permissions = fs::metadata(&file).unwrap().permissions();
        permissions.set_readonly(true);
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o444);
        fs::set_permissions(&file, permissions).unwrap();
    }
    store.verify().unwrap();
    let (verified, took) = timed(|| store.verify().unwrap());
    assert!(verified.flaws.is_empty(), "{:?}", verified.flaws);
    let rate = verified.bytes as f64 / took.as_secs_f64() / 1e9;
    (
        format!(
            "{:.2} GB in {:.2} s, {rate:.2} GB/s (target: 1 GB/s)",
            verified.bytes as f64 / 1e9,
            took.as_secs_f64()
        ),
        rate >= 1.0,
    )
}

/// One file of 1 GiB is stored, against `cp` and `sync` of it.
fn large(dir: &Utf8Path, scale: usize) -> (String, bool) {
    let source = dir.join("source");
    let mut file = File::create(&source).unwrap();
    let mut block = vec![0x5a; 1 << 20];
    for n in 0..(1 << 10) / scale {
        block[..8].copy_from_slice(&n.to_le_bytes());
        file.write_all(&block).unwrap();
    }
    file.sync_all().unwrap();
    let mut hasher = exp::digest::StreamHasher::new();
    let mut reader = File::open(&source).unwrap();
    while let Ok(n) = reader.read(&mut block)
        && n > 0
    {
        hasher.update(&block[..n]);
    }
    let id = BlobId::new(hasher.finish().0);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let ((), took) = timed(|| {
            let copy = dir.join("copy");
            assert!(Command::new("cp").args([&source, &copy]).status().unwrap().success());
            assert!(Command::new("sync").arg(&copy).status().unwrap().success());
        });
        theirs.push(took);
        fs::remove_file(dir.join("copy")).unwrap();
        let (store, path) = open(&dir.join(format!("round{round}")));
        let session = store.session().unwrap();
        let ((), took) = timed(|| {
            let staged = session.stage_file(&source, &id).unwrap();
            session.commit(vec![Commit { record: None, blobs: vec![staged] }]).unwrap();
        });
        ours.push(took);
        drop(session);
        fs::remove_dir_all(path).unwrap();
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    let words = format!(
        "stored in {:.2} s, cp and sync in {:.2} s, ratio {ratio:.2} (target: 1.3; medians of 3)",
        ours.as_secs_f64(),
        theirs.as_secs_f64()
    );
    (words, ratio <= 1.3)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn content(n: usize) -> Vec<u8> {
    let mut bytes = vec![0x33; 20_000];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    bytes
}

/// 10,000 blobs of 20 KB are committed, against one `fsync` of file and directory for each. (On an ext4 without a journal, files
/// that were deleted in the last five minutes, such as those of an earlier run, make both slower: it passes over their inodes.)
fn many(dir: &Utf8Path, scale: usize) -> (String, bool) {
    let count = 10_000 / scale;
    let (store, _) = open(dir);
    let session = store.session().unwrap();
    let commit = |session: &Session, range: std::ops::Range<usize>| {
        let blobs = range.map(|n| session.stage(&content(n)).unwrap()).collect();
        session.commit(vec![Commit { record: None, blobs }]).unwrap();
    };
    let ((), grouped) = timed(|| {
        for start in (0..count).step_by(1_000) {
            commit(&session, start..(start + 1_000).min(count));
        }
    });
    let alone = dir.join("alone");
    let tmp = dir.join("alone-tmp");
    (0..256).for_each(|n| fs::create_dir_all(alone.join(format!("{n:02x}"))).unwrap());
    fs::create_dir(&tmp).unwrap();
    let ((), one_by_one) = timed(|| (0..count).for_each(|n| store_alone(&tmp, &alone, &content(n))));
    let ratio = one_by_one.as_secs_f64() / grouped.as_secs_f64();
    let words = format!(
        "{count} blobs in {:.2} s, one by one in {:.2} s, {ratio:.1} times as fast (target: 4)",
        grouped.as_secs_f64(),
        one_by_one.as_secs_f64()
    );
    (words, ratio >= 4.0)
}

fn store_alone(tmp: &Utf8Path, to: &Utf8Path, bytes: &[u8]) {
    let hex = Digest::of(bytes).to_hex();
    let (aside, folder) = (tmp.join(&hex), to.join(&hex[..2]));
    let mut file = File::create(&aside).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
    fs::rename(&aside, folder.join(&hex[2..])).unwrap();
    File::open(Path::new(folder.as_str())).unwrap().sync_all().unwrap();
}

/// 1,000,000 blobs are collected, of which one in ten stays.
fn gc(dir: &Utf8Path, scale: usize) -> (String, bool) {
    let count = 1_000_000 / scale;
    let (store, path) = open(dir);
    let mut kept = HashSet::new();
    for n in 0..count {
        let bytes = n.to_le_bytes();
        let id = BlobId::of(&bytes);
        fs::write(place(&path, "blobs", id.digest()), bytes).unwrap();
        if n % 10 == 0 {
            kept.insert(id);
        }
    }
    let roots = Roots { blobs: kept, ..Roots::default() };
    let (collected, took) = timed(|| {
        let garbage = store.search_garbage(0).unwrap().find(&roots, false).unwrap();
        store.collect(garbage).unwrap()
    });
    assert_eq!(collected.blobs as usize, count - roots.blobs.len());
    (
        format!("{count} blobs looked at, {} removed in {:.1} s (target: 60 s)", collected.blobs, took.as_secs_f64()),
        took.as_secs() < 60,
    )
}
