use std::fs;

use super::sample_run::{Place, Sample, make};
use super::*;

const AT_ONCE: GcOptions = GcOptions { keep_last: None, older_than: None, max_size: None, paid: false, grace: 0 };

fn three() -> Place {
    let place = Place::new();
    for (run_id, prompt, created) in
        [("r1", "one", "2026-11-21"), ("r2", "two", "2026-11-22"), ("r3", "three", "2026-11-23")]
    {
        make(&place, &Sample { run_id, prompt, created: &format!("{created}T00:00:00Z"), ..Sample::default() });
    }
    place
}

fn plan(place: &Place, options: &GcOptions) -> GcPlan {
    plan_gc(&place.store, &place.experiments, options).unwrap()
}

fn leaving(plan: &GcPlan) -> Vec<&str> {
    plan.runs.iter().map(|run| run.run_id.as_str()).collect()
}

fn is_sound(place: &Place, run: &str) -> bool {
    audit(&place.store, &place.experiments, &place.record(run), AuditOptions::default()).unwrap().is_sound()
}

#[test]
fn runs_are_roots_and_what_nothing_names_is_not() {
    let place = three();
    assert!(plan(&place, &AT_ONCE).is_empty());
    // A run that is cleaned away leaves what no other run is made of.
    place.store.remove_run("r2").unwrap();
    let garbage = plan(&place, &AT_ONCE);
    assert!(garbage.runs.is_empty() && !garbage.garbage.blobs.is_empty() && !garbage.garbage.actions.is_empty());
    apply_gc(&place.store, &place.experiments, garbage).unwrap();
    assert!(is_sound(&place, "r1") && is_sound(&place, "r3"));
    assert!(plan(&place, &AT_ONCE).is_empty());
}

#[test]
fn conditions_let_old_runs_go_and_all_have_to_be_met() {
    let place = three();
    let last = |n| GcOptions { keep_last: Some(n), ..AT_ONCE };
    assert_eq!(leaving(&plan(&place, &last(3))), Vec::<&str>::new());
    assert_eq!(leaving(&plan(&place, &last(2))), ["r1"]);
    assert_eq!(leaving(&plan(&place, &last(1))), ["r1", "r2"]);
    let older = GcOptions { older_than: Some("2026-11-21T12:00:00Z".into()), ..last(1) };
    assert_eq!(leaving(&plan(&place, &older)), ["r1"]);
    let newest = GcOptions { older_than: Some("2027-01-01T00:00:00Z".into()), ..AT_ONCE };
    let all = plan(&place, &newest);
    assert_eq!(leaving(&all), ["r1", "r2"]);
    assert_eq!(all.kept, [("r3".to_owned(), "it is the latest complete run".to_owned())]);
    // By size, the oldest first, and no more than need be.
    let size = |bytes| GcOptions { max_size: Some(bytes), ..AT_ONCE };
    assert_eq!(leaving(&plan(&place, &size(1 << 40))), Vec::<&str>::new());
    let draws = place.store.draw_bytes().unwrap();
    let mut blobs = std::collections::BTreeMap::new();
    for run in ["r2", "r3"] {
        let manifest = Catalog::manifest(&place.store, &place.record(run)).unwrap();
        blobs
            .extend(super::named_blobs::named_blobs(&manifest).into_iter().map(|(blob, named)| (blob, named.sizes[0])));
    }
    let two = draws + blobs.values().sum::<u64>();
    assert_eq!(leaving(&plan(&place, &size(two))), ["r1"]);
    assert_eq!(leaving(&plan(&place, &size(two - 1))), ["r1", "r2"]);
}

#[test]
fn a_run_that_is_let_go_frees_its_bytes_at_once_and_leaves_the_others_sound() {
    let place = three();
    let options = GcOptions { keep_last: Some(1), grace: GcOptions::GRACE, ..AT_ONCE };
    let now = plan(&place, &options);
    let (blobs, young) = (now.garbage.blobs.len(), now.garbage.young);
    // The samples share their sessions' grace with no run that stays.
    assert!(blobs > 0 && young == 0, "{blobs} {young}");
    apply_gc(&place.store, &place.experiments, now).unwrap();
    assert!(!place.run_dir("r1").exists() && !place.run_dir("r2").exists() && place.run_dir("r3").exists());
    assert_eq!(place.store.run_names().unwrap(), ["r3"]);
    assert!(is_sound(&place, "r3"));
    // Its answers are kept: they were paid for.
    let session = place.store.session().unwrap();
    drop(session);
    let paid = GcOptions { paid: true, ..AT_ONCE };
    let unpaid = plan(&place, &AT_ONCE);
    assert!(unpaid.garbage.segments.is_empty());
    let paid = plan(&place, &paid);
    assert_eq!(paid.garbage.segments.len(), 2);
    apply_gc(&place.store, &place.experiments, paid).unwrap();
    assert!(is_sound(&place, "r3"));
}

#[test]
fn what_a_collection_left_empty_goes_with_the_next() {
    let place = three();
    let options = GcOptions { keep_last: Some(1), ..AT_ONCE };
    let before = leaving(&plan(&place, &options)).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert!(before.contains(&"r1".to_owned()));
    // As a kill leaves it before the directory itself goes.
    fs::remove_dir_all(place.run_dir("r1")).unwrap();
    fs::create_dir(place.run_dir("r1")).unwrap();
    let planned = plan(&place, &options);
    assert_eq!(leaving(&planned), before);
    apply_gc(&place.store, &place.experiments, planned).unwrap();
    assert!(!place.run_dir("r1").exists() && place.store.run("r1").unwrap().is_none());
}

#[test]
fn pinned_archived_unfinished_and_foreign_runs_stay() {
    let place = three();
    make(
        &place,
        &Sample { run_id: "r0", state: RunState::Stopped, created: "2026-11-20T00:00:00Z", ..Sample::default() },
    );
    make(&place, &Sample { run_id: "r00", prompt: "else", created: "2026-11-19T00:00:00Z", ..Sample::default() });
    fs::remove_dir_all(place.run_dir("r00")).unwrap();
    place.store.pin_run("r1").unwrap();
    let archive =
        plan_archive(&place.store, &place.experiments, &place.record("r2"), ArchiveOptions::default()).unwrap();
    write_archive(&place.store, &archive).unwrap();
    let options = GcOptions { keep_last: Some(1), ..AT_ONCE };
    let planned = plan(&place, &options);
    assert_eq!(leaving(&planned), Vec::<&str>::new());
    let why: Vec<_> = planned.kept.iter().map(|(run, why)| format!("{run}: {why}")).collect();
    assert_eq!(
        why,
        ["r00: it is shown nowhere here: it may be another project's", "r1: it is pinned", "r2: an archive holds it"]
    );
    // Nor does a clean take what is pinned.
    place.store.pin_run("r0").unwrap();
    assert!(plan_clean(&place.store, &place.experiments, CleanOptions::default()).unwrap().runs.is_empty());
    // An archive is a root even where the run's record is gone.
    place.store.remove_run("r2").unwrap();
    apply_gc(&place.store, &place.experiments, plan(&place, &AT_ONCE)).unwrap();
    let manifest = ArchiveFile::head(&archive.path).unwrap().manifest;
    for blob in super::named_blobs::named_blobs(&manifest).keys() {
        assert!(place.store.read(blob).is_ok());
    }
    fs::remove_file(&archive.path).unwrap();
    assert!(!plan(&place, &AT_ONCE).is_empty());
}

#[test]
fn nothing_goes_while_it_cannot_be_told_what_a_run_is_made_of() {
    let place = three();
    let record = place.store.dir().join("runs/r2");
    let good = fs::read(&record).unwrap();
    fs::write(&record, "{").unwrap();
    let error = plan_gc(&place.store, &place.experiments, &AT_ONCE).unwrap_err();
    assert!(error.to_string().contains("the record of run `r2`"), "{error}");
    fs::write(&record, good).unwrap();
    // A manifest that the store has lost is read from the run's directory; gone there too, nothing is collected.
    let manifest = place.store.blob_path(&place.record("r2").manifest.unwrap());
    fs::remove_file(&manifest).unwrap();
    assert!(plan(&place, &AT_ONCE).is_empty());
    fs::remove_file(place.run_dir("r2").join(MANIFEST_NAME)).unwrap();
    let error = plan_gc(&place.store, &place.experiments, &AT_ONCE).unwrap_err();
    assert!(error.to_string().contains("is not in the store"), "{error}");
}
