use std::collections::BTreeSet;

use super::again::again;
use super::failure::Failure;
use super::finish;
use super::output::Output;
use super::project::Home;
use crate::digest::BlobId;
use crate::run::{Catalog, VerifyReport, ViewDir, sources};
use crate::store::{Commit, FlawPart, Session, Store};

/// Is what a repair did.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Repaired {
    /// Damaged files that were set aside, and others that were put right where they stand.
    pub put_right: u64,
    /// Blobs that were made again.
    pub made: u64,
    /// Runs that were shown again.
    pub shown: u64,
    /// Damaged answers that may be asked for again.
    pub given_up: u64,
}

/// Repairs what a look at the store found, as far as that costs nothing; with `spend` gives up damaged answers too.
pub fn repair(
    home: &Home,
    store: &Store,
    report: &VerifyReport,
    spend: bool,
    out: &Output,
) -> Result<Repaired, Failure> {
    // A session first cleans up after those that died: ends of logs are mended here.
    let session = store.session()?;
    let mut done = Repaired::default();
    let mut has_index = false;
    for flaw in &report.store.flaws {
        // The index is built again once, whatever was found in it, and last.
        if flaw.part == FlawPart::Index {
            has_index = true;
        } else {
            done.put_right += u64::from(session.put_right(flaw)?);
        }
    }
    let index = report.store.flaws.iter().find(|flaw| flaw.part == FlawPart::Index).filter(|_| has_index);
    if let Some(flaw) = index {
        done.put_right += u64::from(session.put_right(flaw)?);
    }
    let mut lost: BTreeSet<BlobId> = report.lost_blobs().into_iter().collect();
    done.made = bring_back(home, store, &session, &mut lost)? + make(store, &session, &mut lost, out)?;
    if spend {
        let draws = report.store.flaws.iter().filter_map(|flaw| match &flaw.part {
            FlawPart::DrawLog(draws) => Some(draws),
            _ => None,
        });
        done.given_up = session.give_up_draws(&draws.flatten().copied().collect::<Vec<_>>())?;
    }
    let catalog = Catalog::read(store)?;
    for id in &report.unshown {
        let Some(entry) = catalog.entries().iter().find(|entry| entry.record.run_id == *id) else { continue };
        match finish::show(&ViewDir::new(&home.experiments, id), store, &entry.record) {
            Ok(_) => done.shown += 1,
            Err(failure) => out.note(&format!("run {id} cannot be shown: {}", failure.message)),
        }
    }
    Ok(done)
}

/// Takes lost sources in again from where runs read them, if they are there as they were.
fn bring_back(home: &Home, store: &Store, session: &Session, lost: &mut BTreeSet<BlobId>) -> Result<u64, Failure> {
    let mut blobs = Vec::new();
    for (blob, path) in sources(store, &home.experiments)? {
        if lost.contains(&blob)
            && let Ok(staged) = session.stage_file(&home.root.join(path), &blob)
        {
            lost.remove(&blob);
            blobs.push(staged);
        }
    }
    let count = blobs.len() as u64;
    session.commit(vec![Commit { record: None, blobs }])?;
    Ok(count)
}

/// Executes the actions again that made lost blobs: those first whose inputs are there.
fn make(store: &Store, session: &Session, lost: &mut BTreeSet<BlobId>, out: &Output) -> Result<u64, Failure> {
    let mut made = 0;
    let mut keys = if lost.is_empty() { Vec::new() } else { store.action_keys()? };
    let mut before = usize::MAX;
    while !lost.is_empty() && lost.len() < before {
        before = lost.len();
        let mut later = Vec::new();
        for key in keys {
            let Some(record) = store.record(&key)? else { continue };
            if !record.outputs.iter().any(|output| lost.contains(&output.blob)) {
                continue;
            }
            // What cannot be made now may be once its own inputs are back.
            let outputs = match again(store, &record) {
                Ok(Some(outputs)) => outputs,
                Ok(None) => continue,
                Err(failure) => {
                    if out.is_verbose() {
                        out.note(&format!("{} of {key}: {}", record.step, failure.message));
                    }
                    later.push(key);
                    continue;
                }
            };
            let mut blobs = Vec::new();
            for bytes in outputs.values().filter(|bytes| lost.contains(&BlobId::of(bytes))) {
                blobs.push(session.stage(bytes)?);
            }
            for staged in &blobs {
                lost.remove(&staged.blob().id);
                made += 1;
            }
            session.commit(vec![Commit { record: None, blobs }])?;
        }
        keys = later;
    }
    Ok(made)
}
