//! Measures the two paths whose cost decides how a build feels: a null build's look at 10,000 actions, and 36,000 draws on
//! their way into the log and back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use camino::{Utf8Path, Utf8PathBuf};
use divan::Bencher;
use exp::digest::{ActionKey, BlobId, Digest, RequestKey};
use exp::request::{Answer, AnswerStatus, Circumstances, DrawAddress, Usage};
use exp::store::{Access, ActionRecord, ActionState, Claim, Commit, LoggedDraw, NamedBlob, Presence, Store};
use serde_json::value::RawValue;

const ACTIONS: usize = 10_000;
const DRAWS: u32 = 36_000;
const GROUP: usize = 2_000;

fn main() {
    divan::main();
}

fn fresh() -> (tempfile::TempDir, Utf8PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(dir.path()).unwrap().join("store");
    (dir, path)
}

fn key(n: usize) -> ActionKey {
    ActionKey::new(Digest::of(&n.to_le_bytes()))
}

fn action(n: usize, session: &exp::store::Session) -> Commit {
    let staged = session.stage(format!("the output of action {n}").as_bytes()).unwrap();
    let blob = staged.blob();
    let record = ActionRecord {
        key: key(n),
        step: "score".into(),
        spec: RawValue::from_string(format!("{{\"n\":{n}}}")).unwrap(),
        outputs: vec![NamedBlob { name: "scores".into(), blob: blob.id, size: blob.size }],
        state: ActionState::Complete,
        draws: 0,
        failures: 0,
        tool: "exp".into(),
        recorded_at: "2026-11-23T00:00:00Z".into(),
        duration_ms: 1,
    };
    Commit { record: Some(record), blobs: vec![staged] }
}

fn filled() -> (tempfile::TempDir, Utf8PathBuf) {
    let (dir, path) = fresh();
    let session = Store::open(&path, Access::ReadWrite).unwrap().session().unwrap();
    for start in (0..ACTIONS).step_by(1_000) {
        session.commit((start..start + 1_000).map(|n| action(n, &session)).collect()).unwrap();
    }
    drop(session);
    (dir, path)
}

/// Opens, reads all rows, looks each action up and looks at each output's size.
#[divan::bench]
fn null_build(bencher: Bencher<'_, '_>) {
    let (dir, path) = filled();
    bencher.bench_local(|| {
        let store = Store::open(&path, Access::ReadWrite).unwrap();
        let table = store.actions(ACTIONS).unwrap();
        let outputs: Vec<(BlobId, u64)> =
            (0..ACTIONS).flat_map(|n| table.get(&key(n)).unwrap().outputs.clone()).map(|o| (o.blob, o.size)).collect();
        assert!(store.present(&outputs).iter().all(|presence| *presence == Presence::Present));
    });
    drop(dir);
}

/// Opens and reads all rows, no more.
#[divan::bench]
fn open_and_scan(bencher: Bencher<'_, '_>) {
    let (dir, path) = filled();
    bencher.bench_local(|| Store::open(&path, Access::ReadWrite).unwrap().actions(ACTIONS).unwrap());
    drop(dir);
}

fn address(n: u32) -> DrawAddress {
    DrawAddress { request: RequestKey::new(Digest::of(&n.to_le_bytes())), generation: 0, number: 0 }
}

fn draw(n: u32) -> LoggedDraw {
    let usage = Usage { input_tokens: Some(120), output_tokens: Some(9), reasoning_tokens: None };
    let text = format!("the answer to question {n}");
    let answer =
        Answer { status: AnswerStatus::Stop, text, reasoning: None, finish_reason: None, served_model: None, usage };
    let circumstances = Circumstances { bought: Some("embedded".into()), ..Circumstances::default() };
    LoggedDraw { address: address(n), answer, circumstances, raw: Vec::new() }
}

/// Claims, logs and indexes 36,000 draws in groups, then reads them back.
#[divan::bench(sample_count = 5)]
fn log_and_read_draws(bencher: Bencher<'_, '_>) {
    let addresses: Vec<DrawAddress> = (0..DRAWS).map(address).collect();
    let draws: Vec<LoggedDraw> = (0..DRAWS).map(draw).collect();
    bencher
        .with_inputs(|| {
            let (dir, path) = fresh();
            (dir, Store::open(&path, Access::ReadWrite).unwrap().session().unwrap())
        })
        .bench_local_refs(|(_, session)| {
            for (addresses, draws) in addresses.chunks(GROUP).zip(draws.chunks(GROUP)) {
                assert!(session.claim(addresses).unwrap().iter().all(|claim| *claim == Claim::Mine));
                assert_eq!(session.log_draws(draws).unwrap(), 0);
            }
            let read = session.store().draws(&addresses).unwrap();
            assert!(read.iter().all(Option::is_some));
        });
}
