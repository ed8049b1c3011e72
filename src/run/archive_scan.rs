use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader, Read};
use std::ops::ControlFlow;

use camino::Utf8Path;

use super::archive_file::KEPT;
use super::archive_signatures::signatures_beside;
use super::archive_walk::{EntryName, Visit, walk_archive};
use super::archived_draw::{ArchivedDraw, WithheldDraw, digest_of};
use super::audit::{check_record, check_root};
use super::audit_actions::{ActionChecks, check_actions, is_done};
use super::audit_signatures::check_signatures;
use super::audit_views::check_made;
use super::infer_draws::{answers, wanted};
use super::named_blobs::named_blobs;
use super::{AuditOptions, AuditReport, Manifest, RunError, RunRecord};
use crate::digest::{ActionKey, BlobId, Digest, StreamHasher};
use crate::plan::{ActionSpec, InferParams, StepKind};
use crate::request::DrawAddress;
use crate::store::ActionRecord;

/// Is all that reading an archive once gives.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) record: Option<RunRecord>,
    pub(super) manifest: Option<(Manifest, String)>,
    pub(super) actions: BTreeMap<ActionKey, ActionRecord>,
    pub(super) blobs: BTreeMap<BlobId, u64>,
    pub(super) kept: Option<HashMap<BlobId, Vec<u8>>>,
    pub(super) draws: u64,
    /// Blobs that are named and were left out, with their sizes; `None` where nothing was to be left out.
    pub(super) withheld: Option<BTreeMap<BlobId, u64>>,
    /// Records that were.
    pub(super) withheld_records: BTreeSet<ActionKey>,
}

const REMEDY: &str = "take another copy of the file";

/// Reads an archive from the first byte to the last and checks it; `Err` where it cannot be read as one at all.
pub(super) fn scan(path: &Utf8Path, options: AuditOptions<'_>) -> Result<(Scan, AuditReport), RunError> {
    scan_walked(path, options, |visit| walk_archive(path, visit))
}

/// Checks what a walk over an archive's entries visits.
fn scan_walked(
    path: &Utf8Path,
    options: AuditOptions<'_>,
    walk: impl FnOnce(&mut Visit<'_>) -> Result<(), RunError>,
) -> Result<(Scan, AuditReport), RunError> {
    let mut reading = Reading {
        path,
        scan: Scan { kept: Some(HashMap::new()), ..Scan::default() },
        report: AuditReport::new(""),
        sums: None,
        hashes: HashMap::new(),
        kept: 0,
        infer: InferBlobs::default(),
        logged: HashMap::new(),
    };
    walk(&mut |name, size, reader| reading.entry(name, size, reader).map(ControlFlow::Continue))?;
    reading.finish(options)
}

struct Reading<'p> {
    path: &'p Utf8Path,
    scan: Scan,
    report: AuditReport,
    sums: Option<String>,
    hashes: HashMap<String, Digest>,
    kept: u64,
    infer: InferBlobs,
    /// The digest of each logged answer.
    logged: HashMap<DrawAddress, Digest>,
}

/// Is what has to be kept of requests and answers to compare the draws with them.
#[derive(Default)]
struct InferBlobs {
    /// The requests, and the files of redraws.
    requests: BTreeSet<BlobId>,
    answers: BTreeSet<BlobId>,
    bytes: HashMap<BlobId, Vec<u8>>,
}

impl Reading<'_> {
    fn bad(&self, why: impl Into<String>) -> RunError {
        RunError::BadArchive { path: self.path.to_owned(), why: why.into() }
    }

    fn entry(&mut self, name: EntryName, size: u64, reader: &mut dyn Read) -> Result<(), RunError> {
        let digest = match name {
            EntryName::Draws => self.draws(reader)?,
            EntryName::Blob(blob) => self.blob(&blob, size, reader)?,
            _ => {
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes).map_err(|error| self.bad(format!("it cannot be unpacked: {error}")))?;
                let digest = Digest::of(&bytes);
                self.text(&name, &String::from_utf8_lossy(&bytes));
                digest
            }
        };
        self.hashes.insert(name.text(), digest);
        Ok(())
    }

    fn text(&mut self, name: &EntryName, text: &str) {
        let subject = name.text();
        match name {
            EntryName::Manifest => match Manifest::parse(&subject, text) {
                Ok((manifest, digest)) => {
                    self.report.run_id.clone_from(&manifest.run_id);
                    self.report.manifest_digest = Some(digest);
                    self.scan.manifest = Some((manifest, text.to_owned()));
                }
                Err(error) => self.report.find(subject, "a manifest whose digest holds", error.to_string(), REMEDY),
            },
            EntryName::Run => match RunRecord::parse(&subject, text) {
                Ok(record) => self.scan.record = Some(record),
                Err(error) => self.report.find(subject, "the record of a run", error.to_string(), REMEDY),
            },
            EntryName::Sums => self.sums = Some(text.to_owned()),
            EntryName::Withheld => {
                let mut withheld = BTreeMap::new();
                for line in text.lines() {
                    match withheld_line(line) {
                        Some((Withheld::Blob(blob), size)) => drop(withheld.insert(blob, size)),
                        Some((Withheld::Record(key), _)) => drop(self.scan.withheld_records.insert(key)),
                        None => self.report.find(
                            subject.as_str(),
                            "lines of a hash and a size",
                            format!("`{line}`"),
                            REMEDY,
                        ),
                    }
                }
                self.scan.withheld = Some(withheld);
            }
            EntryName::Action(key) => {
                if let Some(record) = ActionRecord::from_bytes(text.as_bytes(), key) {
                    self.infer.note(&record);
                    self.scan.actions.insert(*key, record);
                } else {
                    let why = "its own hash does not match, or it is another action's";
                    self.report.find(subject, "a record whose hash holds", why, REMEDY);
                }
            }
            EntryName::Readme | EntryName::Blob(_) | EntryName::Draws => {}
        }
    }

    fn blob(&mut self, blob: &BlobId, size: u64, reader: &mut dyn Read) -> Result<Digest, RunError> {
        self.scan.blobs.insert(*blob, size);
        self.kept = self.kept.saturating_add(size);
        if self.kept > KEPT {
            self.scan.kept = None;
        }
        let compared = self.infer.requests.contains(blob) || self.infer.answers.contains(blob);
        let unread = |error: std::io::Error| RunError::BadArchive {
            path: self.path.to_owned(),
            why: format!("it cannot be unpacked: {error}"),
        };
        let digest = if self.scan.kept.is_some() || compared {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map_err(unread)?;
            let digest = Digest::of(&bytes);
            if compared {
                self.infer.bytes.insert(*blob, bytes.clone());
            }
            if let Some(kept) = &mut self.scan.kept {
                kept.insert(*blob, bytes);
            }
            digest
        } else {
            StreamHasher::read_all(reader).map_err(unread)?.0
        };
        self.report.checked.blobs += 1;
        self.report.checked.bytes += size;
        if digest != *blob.digest() {
            let subject = EntryName::Blob(*blob).text();
            self.report.find(subject, "bytes with the hash that it is named by", digest.to_string(), REMEDY);
        }
        Ok(digest)
    }

    fn draws(&mut self, reader: &mut dyn Read) -> Result<Digest, RunError> {
        let mut hasher = StreamHasher::new();
        let mut lines = BufReader::new(reader);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line);
            if read.map_err(|error| self.bad(format!("it cannot be unpacked: {error}")))? == 0 {
                return Ok(hasher.finish().0);
            }
            hasher.update(&line);
            self.scan.draws += 1;
            let subject = format!("draws.jsonl, line {}", self.scan.draws);
            let whole = serde_json::from_slice::<ArchivedDraw>(&line).ok().and_then(ArchivedDraw::into_logged);
            let draw = match whole {
                Some(draw) => Some((draw.address, digest_of(&draw.answer))),
                None if self.scan.withheld.is_some() => {
                    self.report.withheld.answers += 1;
                    serde_json::from_slice::<WithheldDraw>(&line).ok().map(|draw| draw.parts())
                }
                None => None,
            };
            match draw {
                Some((address, digest)) if self.logged.insert(address, digest).is_some() => {
                    self.report.find(subject, "each draw once", "a second value of a draw", REMEDY);
                }
                Some(_) => {}
                None => self.report.find(subject, "a draw", "a line that does not read as one", REMEDY),
            }
        }
    }

    fn finish(mut self, options: AuditOptions<'_>) -> Result<(Scan, AuditReport), RunError> {
        self.check_sums();
        let Some((manifest, text)) = self.scan.manifest.take() else {
            if !self.hashes.contains_key("manifest.json") {
                self.report.find("manifest.json", "the run's manifest", "missing", REMEDY);
            }
            return Ok((self.scan, self.report));
        };
        self.report.anonymous_of = manifest.anonymous_of;
        let beside = signatures_beside(self.path)?;
        match &mut self.scan.record {
            Some(record) => {
                let new: Vec<String> = beside.into_iter().filter(|text| !record.signatures.contains(text)).collect();
                record.signatures.extend(new);
                check_record(record, &manifest, &mut self.report);
                if let Some(digest) = self.report.manifest_digest {
                    check_signatures(record, &digest, options.signed_by, &mut self.report);
                }
                let id = BlobId::of(text.as_bytes());
                if record.manifest != Some(id) {
                    let actual = record.manifest.map_or("none".to_owned(), |blob| blob.to_string());
                    self.report.find("manifest in run.json", id.to_string(), actual, REMEDY);
                }
            }
            None if self.hashes.contains_key("run.json") => {}
            None => self.report.find("run.json", "the run's record", "missing", REMEDY),
        }
        check_root(&manifest, &mut self.report);
        check_made(&manifest, &mut self.report);
        self.check_blobs(&manifest);
        self.check_actions(&manifest)?;
        self.check_draws(&manifest);
        let withheld = self.report.withheld;
        if let Some(original) = &manifest.anonymous_of {
            self.report.notes.push(format!("anonymous: the original manifest has the digest {original}"));
        }
        if self.scan.withheld.is_some() {
            self.report.notes.push(format!(
                "withheld: {} blobs ({} bytes), {} records and the text of {} answers; their hashes are here, and the root is \
                 made of hashes",
                withheld.blobs, withheld.bytes, withheld.records, withheld.answers
            ));
        }
        if let Some(narrowed) = &manifest.narrowed {
            self.report.notes.push(format!("the run is {}: {narrowed}", manifest.state));
        }
        self.scan.manifest = Some((manifest, text));
        Ok((self.scan, self.report))
    }

    /// Compares every file with its line in `B3SUMS`.
    fn check_sums(&mut self) {
        let Some(sums) = self.sums.take() else {
            self.report.find("B3SUMS", "the hash of every file", "missing", REMEDY);
            return;
        };
        let mut unlisted: BTreeSet<&str> = self.hashes.keys().map(String::as_str).collect();
        unlisted.remove("B3SUMS");
        let mut found = Vec::new();
        for line in sums.lines() {
            let Some((hash, name)) = line.split_once("  ") else {
                found.push(("B3SUMS", "lines of a hash and a name".to_owned(), format!("`{line}`")));
                continue;
            };
            unlisted.remove(name);
            match self.hashes.get(name) {
                Some(digest) if digest.to_hex() == hash => {}
                // A blob that does not have its own hash has a finding already.
                Some(digest) if name.strip_prefix("blobs/") == Some(hash) => drop(digest.to_hex()),
                Some(digest) => found.push((name, format!("the hash {hash}, as in B3SUMS"), digest.to_hex())),
                None => found.push((name, "a file, as in B3SUMS".to_owned(), "missing".to_owned())),
            }
        }
        for (name, expected, actual) in found {
            self.report.find(name, expected, actual, REMEDY);
        }
        for name in unlisted {
            self.report.findings.push(super::Finding::new(name, "nothing: B3SUMS does not list it", "a file", REMEDY));
        }
    }

    fn check_blobs(&mut self, manifest: &Manifest) {
        let named = named_blobs(manifest);
        let none = BTreeMap::new();
        let withheld = self.scan.withheld.as_ref().unwrap_or(&none);
        for (blob, named) in &named {
            let subject = format!("blob {blob} ({})", named.words());
            let found = match (self.scan.blobs.get(blob), withheld.get(blob)) {
                (Some(_), Some(_)) => {
                    self.report.find(subject, "to be withheld, as `WITHHELD` says", "in the archive", REMEDY);
                    continue;
                }
                (None, Some(size)) => {
                    self.report.withheld.blobs += 1;
                    self.report.withheld.bytes += size;
                    Some(size)
                }
                (found, None) => found,
            };
            match found {
                None => self.report.find(subject, "to be in the archive", "missing", REMEDY),
                Some(size) if named.sizes.iter().any(|expected| expected != size) => {
                    let expected =
                        format!("{} bytes", named.sizes.iter().map(u64::to_string).collect::<Vec<_>>().join(" and "));
                    self.report.find(subject, expected, format!("{size} bytes"), REMEDY);
                }
                Some(_) => {}
            }
        }
        for blob in withheld.keys().filter(|blob| !named.contains_key(blob)) {
            let subject = format!("`WITHHELD`, blob {blob}");
            self.report.find(subject, "blobs that the manifest names", "one that it does not", REMEDY);
        }
        for blob in self.scan.blobs.keys().filter(|blob| !named.contains_key(blob)) {
            let subject = EntryName::Blob(*blob).text();
            self.report.find(subject, "nothing: the manifest does not name it", "a blob", REMEDY);
        }
    }

    fn check_actions(&mut self, manifest: &Manifest) -> Result<(), RunError> {
        let actions = &self.scan.actions;
        let record = |key: &ActionKey| Ok(actions.get(key).cloned());
        let left_out = &self.scan.withheld_records;
        let withheld = |key: &ActionKey| left_out.contains(key);
        let checks = ActionChecks { record: &record, read: &|_| None, withheld: &withheld, draws: None };
        check_actions(manifest, &checks, &mut self.report)?;
        let named: BTreeSet<ActionKey> =
            manifest.actions.iter().filter(|action| is_done(action)).filter_map(|action| action.key).collect();
        for key in self.scan.actions.keys().filter(|key| !named.contains(key)) {
            self.report.find(EntryName::Action(*key).text(), "nothing: no action of the manifest", "a record", REMEDY);
        }
        for key in left_out {
            self.report.withheld.records += 1;
            let subject = format!("`WITHHELD`, {}", EntryName::Action(*key).text());
            if !named.contains(key) {
                self.report.find(subject, "actions that the manifest names", "one that it does not", REMEDY);
            } else if self.scan.actions.contains_key(key) {
                self.report.find(subject, "to be withheld", "in the archive", REMEDY);
            }
        }
        Ok(())
    }

    /// Compares the draws with the answers that were made of them.
    fn check_draws(&mut self, manifest: &Manifest) {
        let mut expected: HashMap<DrawAddress, Option<Digest>> = HashMap::new();
        for action in manifest.actions.iter().filter(|action| is_done(action)) {
            let Some(record) = action.key.and_then(|key| self.scan.actions.get(&key)) else { continue };
            match self.infer.expected(record) {
                Ok(draws) => expected.extend(draws),
                Err(why) => {
                    let subject = format!("answers of `{}`", action.label);
                    self.report.find(subject, "requests and answers that read", why, REMEDY);
                }
            }
        }
        let (mut lost, mut other, mut extra) = (0u64, 0u64, 0u64);
        for (address, digest) in &expected {
            self.report.checked.draws += 1;
            match (digest, self.logged.get(address)) {
                (Some(_), None) => lost += 1,
                (Some(expected), Some(actual)) if expected != actual => other += 1,
                _ => {}
            }
        }
        // Which draws the run wanted stands in the requests, which may be withheld.
        if self.scan.withheld.is_none() {
            extra += self.logged.keys().filter(|address| !expected.contains_key(address)).count() as u64;
        }
        for (count, expected, actual) in [
            (lost, "each answer of the run", "are missing"),
            (other, "the answers that the run is made of", "are others"),
            (extra, "draws of the run only", "belong to no request of it"),
        ] {
            if count > 0 {
                self.report.find("draws.jsonl", expected, format!("{count} {actual}"), REMEDY);
            }
        }
    }
}

/// Is what a line of `WITHHELD` names.
enum Withheld {
    Blob(BlobId),
    Record(ActionKey),
}

/// Reads a line of `WITHHELD`: the hash of a blob, or `actions/` and an action's key; two spaces; a size.
fn withheld_line(line: &str) -> Option<(Withheld, u64)> {
    let (name, size) = line.split_once("  ")?;
    let what = match name.strip_prefix("actions/") {
        Some(key) => Withheld::Record(ActionKey::new(Digest::parse(key).ok()?)),
        None => Withheld::Blob(BlobId::parse(name).ok()?),
    };
    Some((what, size.parse().ok()?))
}

impl InferBlobs {
    /// Notes which blobs are the requests and the answers of an `infer`.
    fn note(&mut self, record: &ActionRecord) {
        if StepKind::parse(&record.step).is_some_and(StepKind::asks)
            && let Ok(spec) = serde_json::from_str::<ActionSpec>(record.spec.get())
        {
            self.requests.extend(spec.inputs.get("requests"));
            self.requests.extend(spec.inputs.get("redraws"));
            self.answers
                .extend(record.outputs.iter().filter(|output| output.name == "answers").map(|output| output.blob));
        }
    }

    /// Lists the draws of an `infer` with the digest of each answer; `None` where there is none.
    fn expected(&self, record: &ActionRecord) -> Result<Vec<(DrawAddress, Option<Digest>)>, String> {
        let text = |error: serde_json::Error| error.to_string();
        if !StepKind::parse(&record.step).is_some_and(StepKind::asks) {
            return Ok(Vec::new());
        }
        let spec: ActionSpec = serde_json::from_str(record.spec.get()).map_err(text)?;
        let params: InferParams = serde_json::from_value(spec.params).map_err(text)?;
        let output = record.outputs.iter().find(|output| output.name == "answers");
        let blobs = spec.inputs.get("requests").zip(output);
        let bytes = blobs.and_then(|(r, a)| Some((self.bytes.get(r)?, self.bytes.get(&a.blob)?)));
        // A blob that is missing has its own finding.
        let Some((requests, answered)) = bytes else { return Ok(Vec::new()) };
        let redraws = match spec.inputs.get("redraws").map(|blob| self.bytes.get(blob)) {
            Some(None) => return Ok(Vec::new()),
            Some(Some(bytes)) => Some(bytes.as_slice()),
            None => None,
        };
        let mut answers = answers(answered)?;
        let draws = wanted(requests, redraws, &params)?.into_iter().map(|draw| {
            let answer = answers.remove(&(draw.item, draw.address.number)).flatten();
            (draw.address, answer.as_ref().map(digest_of))
        });
        Ok(draws.collect())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::super::archive_walk::walk_tar;
    use super::*;

    /// Whatever a tar file holds, it is read or refused, and nothing is sound but what says the same as a seed.
    #[test]
    fn fuzzed() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("a.tar.zst");
        let seeds = 2;
        let sound = RefCell::new(BTreeSet::new());
        crate::mutations::fuzz("archive", 40, |bytes| {
            let packed = Cell::new(bytes.len() as u64);
            let scanned = scan_walked(&path, AuditOptions::default(), |visit| walk_tar(&path, bytes, &packed, visit));
            match scanned {
                Ok((scan, report)) if report.findings.is_empty() => {
                    let (_, text) = scan.manifest.unwrap();
                    assert_eq!(report.manifest_digest, Manifest::parse("m", &text).ok().map(|(_, digest)| digest));
                    // The seeds come first. What names every byte by its hash names the same bytes.
                    let mut sound = sound.borrow_mut();
                    let said = (text, scan.actions.into_keys().collect::<Vec<_>>(), scan.blobs, scan.withheld);
                    assert!(sound.contains(&said) || sound.len() < seeds, "another archive is sound");
                    sound.insert(said);
                }
                Ok(_) => assert_eq!(sound.borrow().len(), seeds, "a seed is not sound"),
                Err(RunError::BadArchive { .. }) => assert_eq!(sound.borrow().len(), seeds, "a seed is not read"),
                Err(error) => panic!("{error}"),
            }
        });
    }
}
