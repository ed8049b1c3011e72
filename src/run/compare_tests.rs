use super::sample_run::{Place, SLUG, Sample, make};
use super::*;

#[test]
fn two_runs_are_compared_from_store_and_archive_alike() {
    let place = Place::new();
    let a = make(&place, &Sample { run_id: "r1", ..Sample::default() });
    let b = make(&place, &Sample { run_id: "r2", margin: 2, em: [1.0, 1.0, 0.0], ..Sample::default() });
    let plan = plan_archive(&place.store, &place.experiments, &place.record("r2"), ArchiveOptions::default()).unwrap();
    write_archive(&place.store, &plan).unwrap();
    let archive = ArchiveFile::open(&plan.path).unwrap();
    let blobs = RunBlobs::Store(&place.store);
    let side = |name, manifest, blobs, trial| RunSide { name, manifest, blobs, trial };
    let from_store = compare(&side("r1", &a, blobs, None), &side("r2", &b, blobs, None)).unwrap();
    let archived = side("r2", archive.manifest(), RunBlobs::Archive(&archive), Some(SLUG));
    let from_archive = compare(&side("r1", &a, blobs, Some(SLUG)), &archived).unwrap();
    let json = |comparison: &Comparison| serde_json::to_string(comparison).unwrap();
    assert_eq!(json(&from_store), json(&from_archive));

    assert!(!from_store.same_root);
    let config: Vec<(char, &str)> = from_store.config.iter().map(|line| (line.sign, line.text.as_str())).collect();
    assert_eq!(config, [(' ', "version: 1"), ('-', "margin: 1"), ('+', "margin: 2"), (' ', "same: yes")]);
    let [trial] = from_store.trials.as_slice() else { panic!() };
    // The sample's parts hold no gold answers: nothing says that an id stands for the same thing.
    assert_eq!((trial.items.by_id_alone, trial.notes.len()), (3, 2), "{:?}", trial.notes);
    assert_eq!(trial.settings, [Difference { name: "top_k".into(), a: Some(1.into()), b: Some(2.into()) }]);
    assert_eq!((trial.items.matched, &trial.items.only_in_a, &trial.items.only_in_b), (3, &vec![], &vec![]));
    let [em] = trial.metrics.as_slice() else { panic!() };
    let flips = em.flips.as_ref().unwrap();
    assert_eq!(
        (em.change.delta, flips.up_items.as_slice(), flips.down_items.as_slice()),
        (0.0, &["quiz|2".into()][..], &["quiz|3".into()][..])
    );
    let names: Vec<&str> = trial.costs.iter().map(|pair| pair.name.as_str()).collect();
    assert_eq!(names, ["arms.control.usd", "usd"]);
    let effect = &trial.significance[0];
    assert_eq!((effect.scope.as_str(), effect.metric.as_str()), ("quiz", "em"));
    assert_eq!(effect.a.as_ref().unwrap().p_value, Some(0.5));

    let same = compare(&side("r1", &a, blobs, None), &side("r1", &a, blobs, None)).unwrap();
    assert!(same.same_root && same.config.is_empty() && same.trials[0].settings.is_empty());
    assert_eq!((same.trials[0].metrics[0].change.delta, same.trials[0].metrics[0].change.p_value), (0.0, Some(1.0)));
}

fn side<'a>(name: &'a str, manifest: &'a Manifest, trial: Option<&'a str>, blobs: RunBlobs<'a>) -> RunSide<'a> {
    RunSide { name, manifest, blobs, trial }
}

#[test]
fn what_cannot_be_read_is_said_and_trials_without_a_match_are_listed() {
    let place = Place::new();
    let a = make(&place, &Sample { run_id: "r1", ..Sample::default() });
    let mut b = make(&place, &Sample { run_id: "r2", margin: 2, ..Sample::default() });
    let blobs = RunBlobs::Store(&place.store);
    b.views.retain(|view| !view.name.ends_with("costs.json"));
    let compared = compare(&side("r1", &a, None, blobs), &side("r2", &b, None, blobs)).unwrap();
    let notes = &compared.trials[0].notes;
    assert_eq!((notes.len(), compared.trials[0].costs.len()), (3, 0));
    assert!(notes[0].starts_with("`results/costs.json` of r2: "), "{notes:?}");
    let mut other = b.trials[0].clone();
    other.slug = "zeta".to_owned();
    b.trials.push(other);
    // Two trials of one run are not the same files, though the run is one; a trial may be named by its beginning.
    let two = compare(&side("r2", &b, Some("zeta"), blobs), &side("r2", &b, Some(&SLUG[..4]), blobs)).unwrap();
    assert!(!two.same_root && two.trials[0].slug_b == SLUG);
    assert!(compare(&side("r2", &b, Some("zeta"), blobs), &side("r2", &b, Some("ze"), blobs)).unwrap().same_root);
    let compared = compare(&side("r1", &a, None, blobs), &side("r2", &b, None, blobs)).unwrap();
    assert_eq!((compared.trials.len(), compared.only_in_a.len(), compared.only_in_b), (1, 0, vec!["zeta".to_owned()]));
    assert!(matches!(
        compare(&side("r1", &a, Some("none"), blobs), &side("r2", &b, None, blobs)),
        Err(RunError::NoTrial { what: "no trial", .. })
    ));
}
