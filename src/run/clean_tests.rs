use std::fs;
use std::os::unix::fs::symlink;

use super::sample_run::{Place, SLUG, Sample, make};
use super::*;

const ALL: CleanOptions = CleanOptions { prepared: true };

#[test]
fn only_unfinished_runs_that_nobody_works_on_go() {
    let place = Place::new();
    let states = [
        ("done", RunState::Complete, "a"),
        ("part", RunState::Partial, "b"),
        ("wait", RunState::Pending, "c"),
        ("died", RunState::Running, "d"),
        ("halt", RunState::Stopped, "e"),
        ("fail", RunState::Failed, "a"),
    ];
    for (run_id, state, prompt) in states {
        make(&place, &Sample { run_id, prompt, state, ..Sample::default() });
    }
    let (plan, mark) = (
        plan_archive(&place.store, &place.experiments, &place.record("done"), ArchiveOptions::default()).unwrap(),
        "kept",
    );
    write_archive(&place.store, &plan).unwrap();
    fs::write(place.run_dir("halt").join("notes.txt"), mark).unwrap();
    let before = fs::read(place.run_dir("done").join(MANIFEST_NAME)).unwrap();

    // A run at work is not listed.
    let session = place.store.session().unwrap();
    let mut record = place.record("fail");
    session.id().clone_into(&mut record.session);
    session.write_run("fail", &record.to_text().unwrap()).unwrap();
    let listed = |plan: &CleanPlan| {
        let mut runs: Vec<_> = plan.runs.iter().map(|run| format!("{} {}", run.run_id, run.state)).collect();
        runs.sort();
        runs
    };
    let plan = plan_clean(&place.store, &place.experiments, ALL).unwrap();
    assert_eq!(listed(&plan), ["died interrupted", "halt stopped"]);
    // `prepare` is shared with runs that stay; `build` of two runs that go is not.
    assert_eq!((plan.prepared.len(), plan.prepared_kept), (2, 4));
    assert_eq!(plan.runs.iter().find(|run| run.run_id == "halt").unwrap().extra, ["notes.txt"]);
    assert!(place.run_dir("died").exists(), "a plan removes nothing");

    // A run that somebody took up since stays.
    let mut record = place.record("died");
    record.updated_at = "2026-11-24T00:00:00Z".to_owned();
    session.write_run("died", &record.to_text().unwrap()).unwrap();
    let cleaned = apply_clean(&session, &place.experiments, &plan).unwrap();
    assert_eq!((cleaned.runs, cleaned.skipped), (1, 1));
    assert!(place.run_dir("died").join(MANIFEST_NAME).exists());
    assert!(place.store.run("halt").unwrap().is_none());
    assert_eq!(fs::read_to_string(place.run_dir("halt").join("notes.txt")).unwrap(), mark);
    assert_eq!(fs::read_dir(place.run_dir("halt")).unwrap().count(), 1);

    drop(session);
    let plan = plan_clean(&place.store, &place.experiments, CleanOptions::default()).unwrap();
    assert_eq!(listed(&plan), ["died interrupted", "fail failed"]);
    apply_clean(&place.store.session().unwrap(), &place.experiments, &plan).unwrap();
    assert!(!place.run_dir("died").exists() && !place.run_dir("fail").exists());
    assert!(plan_clean(&place.store, &place.experiments, CleanOptions::default()).unwrap().is_empty());
    for run_id in ["done", "part", "wait"] {
        let report = audit(&place.store, &place.experiments, &place.record(run_id), AuditOptions::default()).unwrap();
        assert_eq!(report.findings, [], "{run_id}");
    }
    assert_eq!(fs::read(place.run_dir("done").join(MANIFEST_NAME)).unwrap(), before);
    assert_eq!(list_archives(&place.experiments).unwrap().len(), 1);
}

#[test]
fn no_link_is_followed_and_no_foreign_directory_goes() {
    let place = Place::new();
    let outside = place.root.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "x").unwrap();
    for run_id in ["a", "b", "c", "d"] {
        make(&place, &Sample { run_id, prompt: run_id, state: RunState::Failed, ..Sample::default() });
    }
    // The whole directory is a link.
    fs::rename(place.run_dir("a"), outside.join("run_a")).unwrap();
    symlink(outside.join("run_a"), place.run_dir("a")).unwrap();
    // It holds somebody else's manifest, or none.
    fs::copy(place.run_dir("c").join(MANIFEST_NAME), place.run_dir("b").join(MANIFEST_NAME)).unwrap();
    fs::remove_file(place.run_dir("d").join(MANIFEST_NAME)).unwrap();
    // A trial's results are a link to a place with files of the same names.
    let results = place.run_dir("c").join(SLUG).join("results");
    fs::rename(&results, outside.join("results")).unwrap();
    symlink(outside.join("results"), &results).unwrap();

    let plan = plan_clean(&place.store, &place.experiments, CleanOptions::default()).unwrap();
    let alone: Vec<&str> = plan.left_alone.iter().map(|(dir, _)| dir.as_str()).collect();
    assert_eq!(alone, ["run_a", "run_b", "run_d"]);
    apply_clean(&place.store.session().unwrap(), &place.experiments, &plan).unwrap();
    for kept in ["precious", "run_a/multi_trial_manifest.json", "results/costs.json", "results/trial_manifest.json"] {
        assert!(fs::symlink_metadata(outside.join(kept)).is_ok(), "{kept}");
    }
    assert!(fs::symlink_metadata(&results).is_ok(), "a link that is not ours stays");
    assert!(place.run_dir("b").join(SLUG).join("results/costs.json").exists());
}

#[test]
fn half_written_archives_go_unless_somebody_writes_them() {
    let place = Place::new();
    let dir = place.experiments.join(ARCHIVES);
    fs::create_dir_all(&dir).unwrap();
    let (left, live) = (dir.join(".archive-a.new"), dir.join(".archive-b.new"));
    fs::write(&left, "x").unwrap();
    fs::write(dir.join("mine.txt"), "x").unwrap();
    let held = fs::File::create(&live).unwrap();
    held.lock().unwrap();
    let plan = plan_clean(&place.store, &place.experiments, CleanOptions::default()).unwrap();
    assert_eq!(plan.leftovers.iter().map(|left| &left.path).collect::<Vec<_>>(), [&left]);
    apply_clean(&place.store.session().unwrap(), &place.experiments, &plan).unwrap();
    assert!(!left.exists() && live.exists() && dir.join("mine.txt").exists());
}
