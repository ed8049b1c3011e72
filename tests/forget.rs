//! `exp forget`: an item's text, requests and answers go for good, and nothing else does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::mills::mills;
use support::strace::all_below;
use support::{Project, run_dir};

/// Lists the files below the project, links left out, that hold a text; archives are compressed.
fn holding(project: &Project, text: &str) -> Vec<String> {
    let files = all_below(&project.path("store")).into_iter().chain(all_below(&project.path("experiments")));
    let is_file = |path: &std::path::PathBuf| std::fs::symlink_metadata(path).unwrap().is_file();
    let holds = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    files.filter(is_file).filter(holds).map(|path| path.to_str().unwrap().to_owned()).collect()
}

#[test]
fn an_item_goes_from_everywhere_and_an_audit_says_so() {
    let project = mills(Project::new(), 6, 3);
    let secret = "{\"id\":\"secret\",\"question\":\"Who is qxsecret?\",\"answers\":[\"qxanswer\"],\"context\":\"qxanswer is qxsecret.\"}\n";
    let rest = project.read("data/mills.jsonl");
    project.file("data/mills.jsonl", format!("{rest}{secret}"));
    let built = project.build();
    let run = built["run_id"].as_str().unwrap().to_owned();
    project.exp(&["archive", "--experiment-name", "before"]).expect_code(0);
    assert!(holding(&project, "qxsecret").len() >= 5, "{:?}", holding(&project, "qxsecret"));

    let shown = project.exp(&["forget", "--dataset", "mills", "--item", "secret"]).expect_code(0).stdout;
    assert!(shown.contains("2 requests, 2 answers") && shown.contains("nothing was changed"), "{shown}");
    assert!(shown.contains("before.tar.zst") && shown.contains("data/mills.jsonl") && shown.contains(&run), "{shown}");
    project.exp(&["audit"]).expect_code(0);
    let none = project.exp(&["forget", "--dataset", "mills", "--item", "secre", "--yes"]).expect_code(0).stdout;
    assert!(none.contains("nothing of item `secre`"), "{none}");
    project.exp(&["forget", "--dataset", "mills"]).expect_code(2);

    let done = project.json(&["forget", "--dataset", "mills", "--item", "secret", "--yes"]);
    assert_eq!((&done["forgotten"]["draws"], &done["plan"]["requests"]), (&2.into(), &2.into()));
    for text in ["qxsecret", "qxanswer"] {
        assert_eq!(holding(&project, text), Vec::<String>::new());
    }
    let audit = project.exp(&["audit", &run]).expect_code(0).stdout;
    assert!(audit.contains("note: forgotten: ") && audit.contains("sound"), "{audit}");
    project.exp(&["audit", &run, "--rerun"]).expect_code(0);
    project.exp(&["verify"]).expect_code(0);
    assert!(!run_dir(&built).join("report.html").exists());
    // It is done, and doing it again is no error.
    project.exp(&["forget", "--dataset", "mills", "--item", "secret", "--yes"]).expect_code(0);
    // What was archived stays as it is.
    project.exp(&["audit", "before"]).expect_code(0);

    // Without the item nothing is asked again; its other items' answers are there.
    project.file("data/mills.jsonl", rest);
    let again = project.build();
    assert_eq!((&again["requests"]["sent"], &again["requests"]["total"]), (&0.into(), &12.into()));
    assert_ne!(again["run_id"], run.as_str());
    assert_eq!(holding(&project, "qxsecret"), Vec::<String>::new());
    project.exp(&["audit", &run]).expect_code(0);
    // What is missing and was not forgotten is damage as before.
    let blob = std::fs::read_link(run_dir(&again).join("aggregate_report.md")).unwrap();
    std::fs::remove_file(run_dir(&again).join(blob)).unwrap();
    project.exp(&["audit"]).expect_code(3);
}

#[test]
fn what_a_lost_index_or_a_cut_leaves_is_forgotten_all_the_same() {
    let project = mills(Project::new(), 4, 1);
    project.build();
    let before = project.exp(&["forget", "--dataset", "mills", "--item", "2"]).expect_code(0).stdout;
    assert!(before.contains("2 requests"), "{before}");
    std::fs::remove_file(project.path("store/index.sqlite")).unwrap();
    project.exp(&["forget", "--dataset", "mills", "--item", "2", "--yes"]).expect_code(0);
    assert_eq!(holding(&project, "Who built mill 2?"), Vec::<String>::new());
    // While it is in the dataset a build asks about it again: that is what its owner is told.
    let again = project.json(&["build"]);
    assert_eq!((&again["state"], &again["requests"]["sent"]), (&"complete".into(), &2.into()));
    project.exp(&["audit"]).expect_code(0);
}
