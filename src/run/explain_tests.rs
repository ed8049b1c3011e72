use super::sample_run::{Place, SLUG, Sample, make};
use super::*;

fn causes(place: &Place, newer: &Manifest, older: Option<&Manifest>, pattern: &str) -> Vec<Explanation> {
    explain(&place.store, newer, older, pattern).unwrap()
}

#[test]
fn an_edited_prompt_is_the_root_cause_of_all_that_depends_on_it() {
    let place = Place::new();
    let older = make(&place, &Sample { run_id: "r1", ..Sample::default() });
    for between in ["r2", "r3"] {
        make(&place, &Sample { run_id: between, prompt: "Another.\n", ..Sample::default() });
    }
    let newer = make(&place, &Sample { run_id: "r4", prompt: "Answer briefly.\nBe strict.\n", ..Sample::default() });
    for label in ["build/mini/t07/quiz/base/00000", "infer", &format!("merge/{SLUG}"), "base/0", SLUG] {
        let explained = causes(&place, &newer, Some(&older), label);
        assert!(!explained.is_empty(), "{label}");
        for explanation in &explained {
            // What scores are equal reads no prompt: only what reads it is affected.
            if ["stats", "costs"].contains(&explanation.label.split('/').next().unwrap()) {
                assert_eq!(explanation.causes, [], "{}", explanation.label);
                continue;
            }
            let [Cause { via, change: Change::File { path, old_path, diff, .. } }] = explanation.causes.as_slice()
            else {
                panic!("{explanation:?}")
            };
            assert_eq!((path.as_deref(), old_path.as_deref()), (Some("prompts/base.md"), None));
            let diff = diff.as_ref().unwrap();
            assert!(diff.contains("-Be kind.\n+Be strict.\n"), "{diff}");
            assert_eq!(via.first(), Some(&explanation.label));
        }
    }
    let merge = causes(&place, &newer, Some(&older), &format!("merge/{SLUG}")).remove(0);
    assert_eq!(
        merge.causes[0].via.iter().map(|label| label.split('/').next().unwrap()).collect::<Vec<_>>(),
        ["merge", "infer", "build"]
    );
    assert_eq!(merge.compared_with, Some(format!("merge/{SLUG}")));

    // Whose bytes are gone, is said.
    std::fs::remove_file(place.store.blob_path(&older.sources[0].blob)).unwrap();
    let build = causes(&place, &newer, Some(&older), "build").remove(0);
    assert!(
        matches!(&build.causes[0].change, Change::File { diff: None, note: Some(why), .. } if why.contains("no longer in the store"))
    );
}

#[test]
fn parameters_are_named_by_path_and_unchanged_actions_have_no_cause() {
    let place = Place::new();
    let older = make(&place, &Sample { run_id: "r1", ..Sample::default() });
    let newer = make(&place, &Sample { run_id: "r2", margin: 2, ..Sample::default() });
    let stats = causes(&place, &newer, Some(&older), "stats").remove(0);
    let change = Change::Parameter { path: "margin".into(), old: Some(1.into()), new: Some(2.into()) };
    assert_eq!(stats.causes, [Cause { via: vec![format!("stats/{SLUG}")], change }]);
    assert_eq!(causes(&place, &newer, Some(&older), "infer")[0].causes, []);
    let first = causes(&place, &older, None, "prepare").remove(0);
    assert_eq!((first.causes[0].change.clone(), first.reason.as_deref()), (Change::New, Some("never built")));
    assert_eq!(causes(&place, &newer, Some(&older), "nothing/like/it"), []);
}

#[test]
fn a_label_that_is_new_is_compared_with_the_nearest_and_lost_records_are_said() {
    let place = Place::new();
    let older = make(&place, &Sample { run_id: "r1", ..Sample::default() });
    let mut newer = make(&place, &Sample { run_id: "r2", prompt: "Other.\n", ..Sample::default() });
    let at = newer.actions.iter().position(|action| action.label.starts_with("build/")).unwrap();
    newer.actions[at].label = "build/mini/t07/quiz/new/00000".to_owned();
    let build = causes(&place, &newer, Some(&older), "new").remove(0);
    assert_eq!(build.compared_with.as_deref(), Some("build/mini/t07/quiz/base/00000"));
    assert!(matches!(&build.causes[0].change, Change::File { path: Some(path), .. } if path == "prompts/base.md"));
    let key = older.actions[at].key.unwrap();
    let hex = key.digest().to_hex();
    std::fs::remove_file(place.store.dir().join("actions").join(&hex[..2]).join(&hex[2..])).unwrap();
    assert_eq!(causes(&place, &newer, Some(&older), "new")[0].causes[0].change, Change::RecordGone { key });
}
