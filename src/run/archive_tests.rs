use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};

use camino::{Utf8Path, Utf8PathBuf};

use super::sample_run::{Place, SLUG, Sample, make};
use super::trial_manifest::trial_manifest;
use super::*;
use tar::EntryType as Kind;

fn archived(place: &Place, run_id: &str) -> (ArchivePlan, WrittenArchive) {
    let plan =
        plan_archive(&place.store, &place.experiments, &place.record(run_id), ArchiveOptions::default()).unwrap();
    assert!(!plan.path.exists(), "a plan writes nothing");
    let written = write_archive(&place.store, &plan).unwrap();
    (plan, written)
}

/// Unpacks an archive into (header, bytes) pairs.
fn entries(path: &Utf8Path) -> Vec<(tar::Header, Vec<u8>)> {
    let mut tar = tar::Archive::new(zstd::Decoder::new(fs::File::open(path).unwrap()).unwrap());
    let mut all = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        all.push((entry.header().clone(), bytes));
    }
    all
}

fn name(header: &tar::Header) -> String {
    String::from_utf8(header.path_bytes().into_owned()).unwrap()
}

/// Packs entries as they are given, whatever they are.
fn pack(path: &Utf8Path, entries: &[(tar::Header, Vec<u8>)]) {
    let mut out = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for (header, bytes) in entries {
        let mut header = header.clone();
        header.set_cksum();
        out.write_all(header.as_bytes()).unwrap();
        out.write_all(bytes).unwrap();
        out.write_all(&vec![0; bytes.len().next_multiple_of(512) - bytes.len()]).unwrap();
    }
    out.write_all(&[0; 1024]).unwrap();
    fs::write(path, out.finish().unwrap()).unwrap();
}

fn header(name: &str, size: u64, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(size);
    header.set_entry_type(kind);
    header.set_mode(0o444);
    header
}

#[test]
fn an_archive_holds_the_whole_run_and_is_the_same_each_time() {
    let place = Place::new();
    let manifest = make(&place, &Sample::default());
    let (plan, written) = archived(&place, "r1");
    assert_eq!(
        (plan.name.as_str(), plan.state, plan.marked.clone(), plan.draws),
        ("t07_r1", RunState::Complete, None, 6)
    );
    assert!(!written.already);
    assert!(write_archive(&place.store, &plan).unwrap().already);
    let again = plan_archive(
        &place.store,
        &place.experiments,
        &place.record("r1"),
        ArchiveOptions { name: Some("other.tar.zst"), ..ArchiveOptions::default() },
    )
    .unwrap();
    assert_eq!(again.name, "other");
    // The note says the archive's own name; all else is equal.
    write_archive(&place.store, &again).unwrap();

    let all = entries(&plan.path);
    let names: Vec<String> = all.iter().map(|(header, _)| name(header)).collect();
    assert_eq!(names[..4], ["README.txt", "manifest.json", "run.json", "B3SUMS"]);
    let mut sorted = names[4..].to_vec();
    sorted.sort();
    assert_eq!(names[4..], sorted);
    for (header, _) in &all {
        assert_eq!(
            (header.mode().unwrap(), header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()),
            (0o444, 0, 0, 0)
        );
    }
    for ((one, a), (other, b)) in all.iter().zip(entries(&again.path)) {
        assert_eq!(name(one), name(&other));
        assert!(a == &b || ["README.txt", "B3SUMS"].contains(&name(one).as_str()), "{}", name(one));
    }
    // The records are those of the store, byte for byte.
    for (header, bytes) in all.iter().filter(|(header, _)| name(header).starts_with("actions/")) {
        let hex = name(header).strip_prefix("actions/").unwrap().to_owned();
        assert_eq!(*bytes, fs::read(place.store.dir().join("actions").join(&hex[..2]).join(&hex[2..])).unwrap());
    }
    // What `b3sum --check` would say.
    let sums = String::from_utf8(all[3].1.clone()).unwrap();
    let listed: BTreeSet<String> = sums.lines().map(str::to_owned).collect();
    let actual: BTreeSet<String> = all
        .iter()
        .filter(|(header, _)| name(header) != "B3SUMS")
        .map(|(header, bytes)| format!("{}  {}", crate::digest::Digest::of(bytes).to_hex(), name(header)))
        .collect();
    assert_eq!(listed, actual);

    let archive = ArchiveFile::open(&plan.path).unwrap();
    assert_eq!(archive.manifest(), &manifest);
    assert_eq!(archive.draw_count(), 6);
    assert_eq!(archive.read_blob(&manifest.config.blob).unwrap(), place.store.read(&manifest.config.blob).unwrap());
    let report = audit_archive(&plan.path, AuditOptions::default()).unwrap();
    assert_eq!(
        (report.findings, report.checked.actions, report.checked.draws, report.root),
        (vec![], 8, 6, manifest.root)
    );

    // Another file of that name is left alone.
    fs::remove_file(&again.path).unwrap();
    fs::write(&again.path, "mine").unwrap();
    assert!(matches!(write_archive(&place.store, &again), Err(RunError::Exists { .. })));
    assert_eq!(fs::read(&again.path).unwrap(), b"mine");
    let left: Vec<_> = fs::read_dir(place.experiments.join(ARCHIVES)).unwrap().collect();
    assert_eq!(left.len(), 2, "nothing is left beside");

    let listed = list_archives(&place.experiments).unwrap();
    assert_eq!(
        listed.iter().map(|entry| (entry.name.as_str(), entry.run.is_ok())).collect::<Vec<_>>(),
        [("other", false), ("t07_r1", true)]
    );
    let path = Some(plan.path.clone());
    for name in ["t07_r1", "t07_r1.tar.zst", "r1", "t07", plan.path.as_str()] {
        assert_eq!(find_archive(&place.experiments, name).unwrap(), path, "{name}");
    }
    assert_eq!(find_archive(&place.experiments, "r2").unwrap(), None);
}

#[test]
fn a_run_that_lacks_something_is_not_archived_and_a_partial_one_is_marked() {
    let place = Place::new();
    let manifest = make(&place, &Sample { state: RunState::Partial, ..Sample::default() });
    let (plan, _) = archived(&place, "r1");
    assert!(plan.marked.as_ref().unwrap().contains("partial"));
    assert!(String::from_utf8(entries(&plan.path)[0].1.clone()).unwrap().contains("this run is partial, not complete"));
    fs::remove_file(&plan.path).unwrap();
    fs::remove_file(place.store.blob_path(&manifest.views[0].blob)).unwrap();
    let plan = plan_archive(&place.store, &place.experiments, &place.record("r1"), ArchiveOptions::default()).unwrap();
    assert_eq!(plan.missing.len(), 1);
    assert!(matches!(write_archive(&place.store, &plan), Err(RunError::Incomplete { .. })));
    assert!(matches!(
        plan_archive(
            &place.store,
            &place.experiments,
            &place.record("r1"),
            ArchiveOptions { name: Some("../x"), ..ArchiveOptions::default() }
        ),
        Err(RunError::BadId { .. })
    ));
}

#[test]
fn every_changed_entry_is_named() {
    let place = Place::new();
    make(&place, &Sample::default());
    let (plan, _) = archived(&place, "r1");
    let good = entries(&plan.path);
    let bad: Utf8PathBuf = place.root.join("bad.tar.zst");
    for at in 0..good.len() {
        let which = name(&good[at].0);
        // A flipped bit.
        let mut changed = good.clone();
        let middle = changed[at].1.len() / 2;
        changed[at].1[middle] ^= 1;
        pack(&bad, &changed);
        let report = audit_archive(&bad, AuditOptions::default()).unwrap();
        let named = report.findings.iter().any(|finding| finding.subject.contains(&which) || which == "B3SUMS");
        assert!(named, "{which}: {:?}", report.findings);
        assert!(matches!(ArchiveFile::open(&bad), Err(RunError::BadArchive { .. })), "{which}");
        // Left out.
        let mut without = good.clone();
        without.remove(at);
        pack(&bad, &without);
        let report = audit_archive(&bad, AuditOptions::default()).unwrap();
        assert!(
            report.findings.iter().any(|finding| finding.subject.contains(&which)),
            "{which}: {:?}",
            report.findings
        );
    }
    // A draw with another value, sums and all mended: the answers know better.
    let mut changed = good.clone();
    let at = good.len() - 1;
    changed[at].1 = String::from_utf8(changed[at].1.clone()).unwrap().replacen("\"1.0 ", "\"9.0 ", 1).into_bytes();
    assert_ne!(changed[at].1, good[at].1);
    let sums = String::from_utf8(good[3].1.clone()).unwrap();
    let hash = |bytes: &[u8]| crate::digest::Digest::of(bytes).to_hex();
    changed[3].1 = sums.replace(&hash(&good[at].1), &hash(&changed[at].1)).into_bytes();
    pack(&bad, &changed);
    let report = audit_archive(&bad, AuditOptions::default()).unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(report.findings[0].actual, "1 are others");
    // As it was, it is sound: the test's own packing is not what is found.
    pack(&bad, &good);
    assert_eq!(audit_archive(&bad, AuditOptions::default()).unwrap().findings, []);
}

#[test]
fn what_is_no_archive_of_ours_is_refused() {
    let place = Place::new();
    make(&place, &Sample::default());
    let (plan, _) = archived(&place, "r1");
    let good = entries(&plan.path);
    let bad: Utf8PathBuf = place.root.join("bad.tar.zst");
    let hex = "0".repeat(64);
    let blob = format!("blobs/{hex}");
    let planted = [
        ("/etc/passwd", Kind::Regular),
        ("../x", Kind::Regular),
        ("blobs/../../x", Kind::Regular),
        ("blobs/short", Kind::Regular),
        ("other.txt", Kind::Regular),
        ("", Kind::Regular),
        (blob.as_str(), Kind::Symlink),
        (blob.as_str(), Kind::Link),
        (blob.as_str(), Kind::Directory),
        (blob.as_str(), Kind::Char),
        (blob.as_str(), Kind::Fifo),
        (blob.as_str(), Kind::GNUSparse),
        (blob.as_str(), Kind::GNULongName),
        (blob.as_str(), Kind::XHeader),
        ("README.txt", Kind::Regular),
    ];
    for (planted, kind) in planted {
        let mut with = good.clone();
        with.push((header(planted, 0, kind), Vec::new()));
        pack(&bad, &with);
        assert!(matches!(ArchiveFile::open(&bad), Err(RunError::BadArchive { .. })), "{planted} {kind:?}");
        let report = audit_archive(&bad, AuditOptions::default()).unwrap();
        assert_eq!(report.findings.len(), 1);
        assert!(report.findings[0].actual.contains(planted), "{:?}", report.findings);
    }
    let bytes = fs::read(&plan.path).unwrap();
    for len in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&bad, &bytes[..len]).unwrap();
        assert!(!audit_archive(&bad, AuditOptions::default()).unwrap().is_sound(), "{len}");
    }
    for at in (0..bytes.len()).step_by(211) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        fs::write(&bad, flipped).unwrap();
        assert!(!audit_archive(&bad, AuditOptions::default()).unwrap().is_sound(), "byte {at}");
    }
    // Something after the end.
    let mut raw = zstd::decode_all(&bytes[..]).unwrap();
    raw.extend_from_slice(&[7; 600]);
    fs::write(&bad, zstd::encode_all(&raw[..], 1).unwrap()).unwrap();
    assert!(!audit_archive(&bad, AuditOptions::default()).unwrap().is_sound());
    // A bomb: 280 MiB of nothing in a few KiB.
    let mut out = zstd::Encoder::new(Vec::new(), 3).unwrap();
    let mut bomb = header(&blob, 280 << 20, Kind::Regular);
    bomb.set_cksum();
    out.write_all(bomb.as_bytes()).unwrap();
    for _ in 0..280 {
        out.write_all(&vec![0; 1 << 20]).unwrap();
    }
    fs::write(&bad, out.finish().unwrap()).unwrap();
    let report = audit_archive(&bad, AuditOptions::default()).unwrap();
    assert!(report.findings[0].actual.contains("proportion"), "{:?}", report.findings);
}

#[test]
fn an_import_without_trust_is_shown_and_audited_and_never_serves() {
    let place = Place::new();
    let manifest = make(&place, &Sample::default());
    let (plan, _) = archived(&place, "r1");
    let archive = ArchiveFile::open(&plan.path).unwrap();

    let there = Place::new();
    let session = there.store.session().unwrap();
    let imported = import(&session, &archive, false).unwrap();
    let blobs = named_blobs::named_blobs(&manifest).len() as u64;
    assert_eq!((imported.already, imported.blobs, imported.actions, imported.draws), (false, blobs, 0, 0));
    let record = there.record("r1");
    assert_eq!((record.state, record.imported), (RunState::Complete, Some(ImportTrust::Unverified)));
    assert!(manifest.actions.iter().all(|action| there.store.record(&action.key.unwrap()).unwrap().is_none()));
    assert_eq!(Catalog::manifest(&there.store, &record).unwrap(), manifest);
    let dir = ViewDir::new(&there.experiments, "r1");
    dir.write(MANIFEST_NAME, &manifest.to_text().unwrap()).unwrap();
    dir.write(&format!("{SLUG}/results/trial_manifest.json"), &trial_manifest(&manifest, &manifest.trials[0]).unwrap())
        .unwrap();
    dir.show(&manifest.views, &|view| there.store.blob_path(&view.blob)).unwrap();
    let report = audit(&there.store, &there.experiments, &record, AuditOptions::default()).unwrap();
    assert_eq!((report.findings, report.notes.len(), report.checked.actions), (vec![], 1, 0));

    // Believed later.
    let imported = import(&session, &archive, true).unwrap();
    assert_eq!(
        (imported.already, imported.blobs, imported.actions, imported.draws, imported.conflicts),
        (true, 0, 8, 6, 0)
    );
    let record = there.record("r1");
    assert_eq!(record.imported, Some(ImportTrust::Trusted));
    let report = audit(&there.store, &there.experiments, &record, AuditOptions::default()).unwrap();
    assert_eq!((report.findings, report.checked.draws), (vec![], 6));
    let address = crate::request::DrawAddress {
        request: crate::digest::RequestKey::new(crate::digest::Digest::of(b"Answer briefly.\nBe kind.\n1")),
        generation: 0,
        number: 1,
    };
    let draw = there.store.draws(&[address]).unwrap().remove(0).unwrap();
    assert_eq!((draw.circumstances.bought.as_deref(), draw.raw.as_slice()), (Some("online"), &[0xff, 1][..]));

    // And never less than that.
    import(&session, &archive, false).unwrap();
    assert_eq!(there.record("r1").imported, Some(ImportTrust::Trusted));
    // One's own run stays one's own; another run of that id is not replaced.
    let session = place.store.session().unwrap();
    assert!(import(&session, &archive, true).unwrap().already);
    assert_eq!(place.record("r1").imported, None);
    let other = Place::new();
    make(&other, &Sample { margin: 9, ..Sample::default() });
    assert!(matches!(import(&other.store.session().unwrap(), &archive, true), Err(RunError::Taken { .. })));
}
