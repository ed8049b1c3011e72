use std::io::Read;

use super::failure::Failure;
use super::origins::count_stated;
use super::records::{Recorded, Records};
use crate::digest::BlobId;
use crate::plan::{InferParams, MergeParams, StepKind};
use crate::request::{DrawAddress, Redraws};
use crate::run::{ActionEntry, ArmProvenance, Manifest, RunBlobs};
use crate::step::RequestsReader;

/// Is how many draws are looked up at once.
const DRAWS_AT_ONCE: usize = 2000;

/// Gathers, arm by arm, when and by whom a trial's answers were given.
pub fn arms_drawn(
    blobs: RunBlobs<'_>,
    records: &Records<'_>,
    manifest: &Manifest,
    slug: &str,
) -> Result<Vec<(String, ArmProvenance)>, Failure> {
    let Some(action) = find(manifest, &format!("{}/{slug}", StepKind::Merge)) else { return Ok(Vec::new()) };
    let Some(merge) = records.of(action)? else { return Ok(Vec::new()) };
    let params: MergeParams = merge.params.read()?;
    let model = manifest.trials.iter().find(|trial| trial.slug == slug).map(|trial| trial.trial.model.clone());
    let model = model.unwrap_or_default();
    let mut arms: Vec<(String, ArmProvenance)> = Vec::new();
    // An archive is read once, when all that is wanted of it is known.
    let mut wanted: Vec<(DrawAddress, usize)> = Vec::new();
    for side in &params.conditions {
        let mut gathered = ArmProvenance::default();
        for asked in asked_of_side(records, manifest, &merge, side, &model)? {
            let Some(requests) = asked.spec.inputs.get("requests") else { continue };
            match blobs {
                RunBlobs::Store(store) => {
                    let before = gathered.draws;
                    let reader = each_address(blobs, &asked, requests, |addresses| {
                        for draw in store.draws(addresses)?.iter().flatten() {
                            gathered.add(draw);
                        }
                        Ok(())
                    })?;
                    let shared = reader.shared();
                    let found = gathered.draws - before;
                    count_stated(&mut gathered, &shared.provider, &shared.model, shared.revision.as_deref(), found);
                }
                RunBlobs::Archive(_) => {
                    each_address(blobs, &asked, requests, |addresses| {
                        wanted.extend(addresses.iter().map(|address| (*address, arms.len())));
                        Ok(())
                    })?;
                }
            }
        }
        arms.push((side.clone(), gathered));
    }
    if let RunBlobs::Archive(archive) = blobs {
        wanted.sort_unstable();
        archive.each_draw(|draw| {
            let begins = wanted.partition_point(|(address, _)| *address < draw.address);
            for (_, arm) in wanted[begins..].iter().take_while(|(address, _)| *address == draw.address) {
                arms[*arm].1.add(&draw);
            }
            Ok(())
        })?;
    }
    Ok(arms)
}

fn find<'m>(manifest: &'m Manifest, label: &str) -> Option<&'m ActionEntry> {
    manifest.actions.iter().find(|action| action.label == label)
}

/// Lists the `infer` actions behind one side of a trial: those whose answers were parsed into what was merged.
fn asked_of_side(
    records: &Records<'_>,
    manifest: &Manifest,
    merge: &Recorded,
    side: &str,
    model: &str,
) -> Result<Vec<Recorded>, Failure> {
    let prefix = format!("parsed/{side}/");
    let mut all = Vec::new();
    for (name, blob) in &merge.spec.inputs {
        let Some((dataset, part)) = name.strip_prefix(prefix.as_str()).and_then(|rest| rest.rsplit_once('/')) else {
            continue;
        };
        let begins = format!("{}/{model}/", StepKind::Parse);
        let is_control = |arm: &str| arm == "control" || arm.ends_with(".control");
        let is_it = |action: &&ActionEntry| {
            let place =
                action.label.strip_prefix(begins.as_str()).and_then(|rest| rest.strip_suffix(part)?.strip_suffix('/'));
            let arm = place.and_then(|place| place.split_once(&format!("/{dataset}/"))).map(|(_, arm)| arm);
            arm.is_some_and(|arm| is_control(arm) == (side == "control"))
                && action.outputs.iter().any(|output| output.blob == *blob)
        };
        let Some(parse) = manifest.actions.iter().find(is_it) else { continue };
        let label = parse.label.replacen(StepKind::Parse.as_str(), StepKind::Infer.as_str(), 1);
        if let Some(action) = find(manifest, &label) {
            all.extend(records.of(action)?);
        }
    }
    Ok(all)
}

/// Passes on the addresses of the draws that an action wanted, some at a time; returns the reader of its requests, at its end.
fn each_address<'b>(
    blobs: RunBlobs<'b>,
    asked: &Recorded,
    requests: &BlobId,
    mut take: impl FnMut(&[DrawAddress]) -> Result<(), Failure>,
) -> Result<RequestsReader<Box<dyn Read + 'b>>, Failure> {
    let params: InferParams = asked.params.read()?;
    let redraws = match asked.spec.inputs.get("redraws") {
        Some(blob) => Redraws::parse(&blobs.read(blob)?).unwrap_or_default(),
        None => Redraws::default(),
    };
    let mut addresses: Vec<DrawAddress> = Vec::new();
    let mut reader = RequestsReader::new(blobs.open(requests)?)?;
    for line in reader.by_ref() {
        let key = line?.key;
        addresses.extend((0..params.draws).map(|number| redraws.address(key, params.generation, number)));
        if addresses.len() >= DRAWS_AT_ONCE {
            take(&addresses)?;
            addresses.clear();
        }
    }
    take(&addresses)?;
    Ok(reader)
}
