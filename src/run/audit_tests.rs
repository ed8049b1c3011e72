use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use camino::Utf8Path;

use super::sample_run::{Place, SLUG, Sample, make, publish};
use super::*;
use crate::digest::BlobId;

fn run(place: &Place) -> AuditReport {
    audit(&place.store, &place.experiments, &place.record("r1"), AuditOptions::default()).unwrap()
}

fn subjects(report: &AuditReport) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.subject.as_str()).collect()
}

/// Makes a file writable, changes it, and makes it read-only again.
fn change(path: &Utf8Path, by: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    by(&mut bytes);
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
}

/// Lists every file below a directory with its bytes or its target.
fn state(root: &Utf8Path) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = audit_views::walk(root)
        .unwrap()
        .into_iter()
        .map(|found| {
            let path = root.join(&found.path);
            let what = match &found.what {
                on_disk::OnDisk::File(meta) => {
                    format!("{:?} {:?}", meta.modified().unwrap(), on_disk::hash(&path).unwrap())
                }
                other => other.words(),
            };
            (found.path.to_string(), what)
        })
        // The index is derived, and SQLite's own.
        .filter(|(path, _)| !path.starts_with("index.sqlite"))
        .collect();
    all.sort();
    all
}

#[test]
fn a_run_as_it_was_made_is_sound_and_nothing_is_written() {
    let place = Place::new();
    let manifest = make(&place, &Sample::default());
    let before = (state(place.store.dir()), state(&place.experiments));
    let report = run(&place);
    assert_eq!(report.findings, []);
    assert_eq!(report.notes, Vec::<String>::new());
    assert_eq!(report.root, manifest.root);
    let counts = report.checked;
    assert_eq!((counts.views, counts.actions, counts.draws), (6, 8, 6));
    let blobs: std::collections::BTreeSet<BlobId> = named_blobs::named_blobs(&manifest).into_keys().collect();
    assert_eq!(counts.blobs, blobs.len() as u64);
    assert_eq!((state(place.store.dir()), state(&place.experiments)), before);
}

#[test]
fn every_flipped_byte_of_every_blob_is_found_and_named_alone() {
    let place = Place::new();
    let manifest = make(&place, &Sample::default());
    for (blob, named) in named_blobs::named_blobs(&manifest) {
        let path = place.store.blob_path(&blob);
        let good = fs::read(&path).unwrap();
        for at in [0, good.len() / 2, good.len() - 1] {
            change(&path, |bytes| bytes[at] ^= 1);
            let report = run(&place);
            assert_eq!(subjects(&report), [format!("blob {blob} ({})", named.words())], "byte {at}");
            assert!(path.exists(), "an audit moves nothing");
        }
        change(&path, |bytes| *bytes = good.clone());
    }
    assert!(run(&place).is_sound());
}

#[test]
fn a_blob_that_is_gone_cut_linked_or_writable_is_found() {
    let place = Place::new();
    let manifest = make(&place, &Sample::default());
    let view = &manifest.views[2];
    let path = place.store.blob_path(&view.blob);
    let good = fs::read(&path).unwrap();
    let subject = |report: &AuditReport| {
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
        let finding = report.findings[0].clone();
        assert!(finding.subject.contains(&view.blob.to_string()) && finding.subject.contains("results/costs.json"));
        assert!(finding.subject.contains(&format!("costs/{SLUG}")));
        finding
    };

    fs::remove_file(&path).unwrap();
    assert_eq!(subject(&run(&place)).actual, "missing");

    symlink("/dev/zero", &path).unwrap();
    assert_eq!(subject(&run(&place)).actual, "a link to `/dev/zero`");
    fs::remove_file(&path).unwrap();

    fs::write(&path, &good[..3]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    assert!(subject(&run(&place)).actual.starts_with("3 bytes"));
    change(&path, |bytes| *bytes = good.clone());
    assert!(run(&place).is_sound());

    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    assert_eq!(subject(&run(&place)).actual, "mode 0664");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();

    fs::hard_link(&path, place.root.join("elsewhere")).unwrap();
    let report = run(&place);
    assert!(report.is_sound() && report.notes.len() == 1, "{report:?}");
}

#[test]
fn views_that_are_not_what_the_manifest_lists_are_found() {
    let place = Place::new();
    let manifest = make(&place, &Sample::default());
    let dir = place.run_dir("r1");
    let results = dir.join(SLUG).join("results");
    let [costs, scores] = ["costs.json", "per_item_scores.csv"].map(|name| results.join(name));
    let shown = |name: &str| format!("run_r1/{SLUG}/results/{name}");

    // A swapped link.
    let target = fs::read_link(&scores).unwrap();
    let right = fs::read_link(&costs).unwrap();
    fs::remove_file(&costs).unwrap();
    symlink(&target, &costs).unwrap();
    let report = run(&place);
    assert_eq!(subjects(&report), [shown("costs.json")]);
    assert!(report.findings[0].actual.contains(target.to_str().unwrap()));

    // A plain file with other bytes, and then with the right ones.
    fs::remove_file(&costs).unwrap();
    fs::write(&costs, "{}").unwrap();
    assert_eq!(subjects(&run(&place)), [shown("costs.json")]);
    let bytes = fs::read(place.store.blob_path(&manifest.views[2].blob)).unwrap();
    fs::write(&costs, bytes).unwrap();
    assert!(run(&place).is_sound(), "a copy is as good as a link");

    // Missing.
    fs::remove_file(&costs).unwrap();
    assert_eq!(run(&place).findings[0].actual, "missing");

    // The right blob by another way is right.
    let blob = place.store.blob_path(&manifest.views[2].blob);
    symlink(&blob, &costs).unwrap();
    assert!(run(&place).is_sound());
    fs::remove_file(&costs).unwrap();
    symlink(right, &costs).unwrap();
    assert!(run(&place).is_sound());

    // What is not listed; what is known is not.
    fs::write(dir.join(STOP_NAME), "").unwrap();
    assert!(run(&place).is_sound());
    fs::write(results.join("notes.txt"), "x").unwrap();
    fs::create_dir(dir.join("other")).unwrap();
    symlink("/etc", dir.join("planted")).unwrap();
    assert_eq!(subjects(&run(&place)), [shown("notes.txt").as_str(), "run_r1/other", "run_r1/planted"]);
    fs::remove_file(results.join("notes.txt")).unwrap();
    fs::remove_dir(dir.join("other")).unwrap();
    fs::remove_file(dir.join("planted")).unwrap();

    // A trial's manifest, edited.
    let trial = results.join("trial_manifest.json");
    let text = fs::read_to_string(&trial).unwrap();
    fs::write(&trial, text.replace("mini-1", "mini-2")).unwrap();
    assert_eq!(subjects(&run(&place)), [shown("trial_manifest.json")]);
    fs::write(&trial, text).unwrap();

    // No directory at all is one finding.
    fs::remove_dir_all(&place.experiments).unwrap();
    let report = run(&place);
    assert_eq!(subjects(&report), ["`run_r1`"]);
    assert!(report.findings[0].remedy.contains("exp build"));
}

#[test]
fn an_edited_manifest_is_found_byte_by_byte() {
    let place = Place::new();
    make(&place, &Sample::default());
    let path = place.run_dir("r1").join(MANIFEST_NAME);
    let good = fs::read(&path).unwrap();
    for at in (0..good.len()).step_by(97) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        assert_eq!(subjects(&run(&place)), [format!("run_r1/{MANIFEST_NAME}")], "byte {at}");
    }
    // Another sound manifest is not this one.
    let text = String::from_utf8(good.clone()).unwrap();
    let (mut other, _) = Manifest::parse("m", &text).unwrap();
    other.cost_usd.spent = 7.0;
    fs::write(&path, other.to_text().unwrap()).unwrap();
    let report = run(&place);
    assert_eq!(subjects(&report), [format!("run_r1/{MANIFEST_NAME}")]);
    assert!(report.findings[0].actual.contains("another manifest"));

    // The store's own is gone: the directory's still says all the rest.
    fs::write(&path, good).unwrap();
    let blob = place.record("r1").manifest.unwrap();
    fs::remove_file(place.store.blob_path(&blob)).unwrap();
    let report = run(&place);
    assert_eq!(report.findings.len(), 1);
    assert!(report.findings[0].subject.contains("the manifest of run `r1`"));
    assert_eq!(report.checked.actions, 8);
}

#[test]
fn records_roots_and_draws_that_do_not_hold_are_found() {
    let place = Place::new();
    let good = make(&place, &Sample::default());
    let session = place.store.session().unwrap();

    // A view that the root was not made of, and that no action made.
    let mut manifest = good.clone();
    manifest.views[0].blob = manifest.config.blob;
    manifest.views[0].size = manifest.config.size;
    publish(&place, &session, &manifest);
    let report = run(&place);
    let found = subjects(&report);
    assert!(found[0].starts_with("root of run") && found[1].starts_with("view `aggregate_report.md`"), "{found:?}");
    assert_eq!(found.len(), 2);

    // An output that is not what the record says, a source that is left out.
    let mut manifest = good.clone();
    let swapped = manifest.actions[5].outputs[0].clone();
    manifest.actions[0].outputs[0].blob = swapped.blob;
    manifest.actions[0].outputs[0].size = swapped.size;
    publish(&place, &session, &manifest);
    let report = run(&place);
    let found = subjects(&report);
    assert!(found[0].starts_with("outputs of action") && found[0].contains("prepare/quiz"), "{found:?}");
    assert!(found[1].starts_with("input `items` of `build/"), "{found:?}");
    assert_eq!(found.len(), 2);

    // A record that is gone.
    publish(&place, &session, &good);
    let key = good.actions[2].key.unwrap().digest().to_hex();
    let path = place.store.dir().join("actions").join(&key[..2]).join(&key[2..]);
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let report = run(&place);
    assert_eq!(subjects(&report).len(), 1);
    assert!(report.findings[0].subject.contains("infer/"));
    // One with a flipped bit.
    fs::write(&path, &bytes).unwrap();
    change(&path, |bytes| bytes[40] ^= 1);
    assert_eq!(subjects(&run(&place)).len(), 1);
    change(&path, |at| *at = bytes);
    assert!(run(&place).is_sound());

    // Draws that are gone.
    drop(session);
    fs::remove_dir_all(place.store.dir().join("draws")).unwrap();
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        drop(fs::remove_file(place.store.dir().join(name)));
    }
    let store = crate::store::Store::open(place.store.dir(), crate::store::Access::ReadOnly).unwrap();
    let report = audit(&store, &place.experiments, &place.record("r1"), AuditOptions::default()).unwrap();
    assert_eq!(subjects(&report), ["answers of `infer/mini/t07/quiz/base/00000`"]);
    assert!(report.findings[0].actual.contains("draw 0 of item `1`"));
    let options = AuditOptions { without_draws: true, ..AuditOptions::default() };
    assert!(audit(&store, &place.experiments, &place.record("r1"), options).unwrap().is_sound());
}

#[test]
fn drift_names_the_files_that_changed_or_went() {
    let place = Place::new();
    let manifest = make(&place, &Sample::default());
    let record = place.record("r1");
    let recorded = |path: &str| {
        std::iter::once(&manifest.config).chain(&manifest.sources).find(|source| source.path == path).map(|s| s.blob)
    };
    assert_eq!(drift(&place.store, &record, &recorded).unwrap(), []);
    let now = |path: &str| match path {
        "prompts/base.md" => Some(BlobId::of(b"edited")),
        "data/items.jsonl" => None,
        _ => recorded(path),
    };
    let found = drift(&place.store, &record, &now).unwrap();
    let found: Vec<_> = found.iter().map(|drift| (drift.path.as_str(), drift.now)).collect();
    assert_eq!(found, [("prompts/base.md", Some(BlobId::of(b"edited"))), ("data/items.jsonl", None)]);
}
