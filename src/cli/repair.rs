use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::again::{again, demand_of};
use super::failure::Failure;
use super::finish;
use super::output::Output;
use super::project::Home;
use crate::digest::{BlobId, DrawId};
use crate::plan::StepKind;
use crate::request::{Circumstances, DrawAddress};
use crate::run::{Catalog, MANIFEST_NAME, VerifyReport, ViewDir, sources};
use crate::step::AnswersReader;
use crate::store::{Commit, FlawPart, LoggedDraw, Session, Store, StoreError};

/// Is what a repair did.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Repaired {
    /// Damaged files that were set aside, and others that were put right where they stand.
    pub put_right: u64,
    /// Blobs that were made again.
    pub made: u64,
    /// Runs that were shown again.
    pub shown: u64,
    /// Damaged answers that were logged again from what was made of them.
    pub restored: u64,
    /// Damaged answers that may be asked for again.
    pub given_up: u64,
    /// Damaged lines of the draw log that were taken out of it.
    pub set_aside: u64,
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
    let mut kept = repair_draws(store, &session, report, spend, &mut done)?;
    let catalog = Catalog::read(store)?;
    for id in &report.unshown {
        let Some(entry) = catalog.entries().iter().find(|entry| entry.record.run_id == *id) else { continue };
        match finish::show(&ViewDir::new(&home.experiments, id), store, &entry.record) {
            Ok(_) => done.shown += 1,
            Err(failure) => out.note(&format!("run {id} cannot be shown: {}", failure.message)),
        }
    }
    drop(session);
    if report.store.flaws.iter().any(|flaw| matches!(flaw.part, FlawPart::DrawLog { .. })) {
        match store.set_lines_aside(&std::mem::take(&mut kept)) {
            Ok(count) => done.set_aside = count,
            Err(error @ StoreError::Unfit { .. }) => out.note(&format!("damaged lines stay in the draw log: {error}")),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

/// Logs damaged answers again from whole blobs that were made of them, and with `spend` gives up the rest. Returns the lines
/// whose answers are wanted still, by segment and start.
fn repair_draws(
    store: &Store,
    session: &Session,
    report: &VerifyReport,
    spend: bool,
    done: &mut Repaired,
) -> Result<HashSet<(String, u64)>, Failure> {
    let mut damaged: HashMap<DrawId, (String, u64)> = HashMap::new();
    for flaw in &report.store.flaws {
        if let FlawPart::DrawLog { segment, start, draws } = &flaw.part {
            damaged.extend(draws.iter().map(|id| (*id, (segment.clone(), *start))));
        }
    }
    let restored = if damaged.is_empty() { Vec::new() } else { answered(store, &damaged)? };
    session.restore_draws(&restored)?;
    done.restored = restored.len() as u64;
    for draw in &restored {
        damaged.remove(&draw.address.id());
    }
    if spend {
        done.given_up = session.give_up_draws(&damaged.keys().copied().collect::<Vec<_>>())?;
        damaged.clear();
    }
    Ok(damaged.into_values().collect())
}

/// Finds damaged answers in the blobs that were made of them.
fn answered(store: &Store, damaged: &HashMap<DrawId, (String, u64)>) -> Result<Vec<LoggedDraw>, Failure> {
    let mut found: BTreeMap<DrawAddress, LoggedDraw> = BTreeMap::new();
    for key in store.action_keys()? {
        let Some(record) =
            store.record(&key)?.filter(|record| StepKind::parse(&record.step).is_some_and(StepKind::asks))
        else {
            continue;
        };
        let Some(output) = record.outputs.iter().find(|output| output.name == "answers") else { continue };
        // What is damaged as well says nothing.
        let (Ok(demand), Ok(answers)) = (demand_of(store, &record), store.open_blob(&output.blob)) else { continue };
        let wanted: HashMap<(&str, u32), DrawAddress> = demand
            .wanted
            .iter()
            .map(|wanted| ((wanted.item.as_str(), wanted.address.number), wanted.address))
            .collect();
        for line in AnswersReader::new(answers) {
            let Ok(line) = line else { break };
            let address =
                wanted.get(&(line.item.as_str(), line.n)).filter(|address| damaged.contains_key(&address.id()));
            if let (Some(address), Some(answer)) = (address, line.answer) {
                let note = Some("restored from an answers blob".to_owned());
                let circumstances = Circumstances { note, ..Circumstances::default() };
                found.insert(*address, LoggedDraw { address: *address, answer, circumstances, raw: Vec::new() });
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Takes lost sources in again from where runs read them, and manifests from where they are shown, if they are there as they were.
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
    // A manifest stands in its run's directory as well.
    for entry in Catalog::read(store)?.entries() {
        let shown = ViewDir::new(&home.experiments, &entry.record.run_id).path().join(MANIFEST_NAME);
        if let Some(id) = entry.record.manifest.filter(|id| lost.contains(id))
            && let Ok(staged) = session.stage_file(&shown, &id)
        {
            lost.remove(&id);
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
