//! A build with nothing to do says so without looking every action up, and never when there is something to do.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where what it reads is not as it should be.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::{Output, Project, run, run_dir, slugs};

const CONFIG: &str = "version: 1
models:
  - {name: reader, provider: lexical}
datasets:
  mill:
    path: data/mill.jsonl
    fields: {id: id, question: question, answers: answers, context: context}
control: prompts/control.txt
prompt_sets: {plain: prompts/plain.txt, rules: prompts/rules.txt}
decoding: {temperature: 0, max_output_tokens: 16}
analysis: {bootstrap_samples: 100, permutation_samples: 100}
parts_per_dataset: 2
";

fn project() -> Project {
    let project = Project::in_memory();
    let items = [
        ("m1", "Who built the mill at Varn?", "Ada Pell", "The mill at Varn was built by Ada Pell in 1801."),
        ("m2", "When did the mill burn?", "1850", "The mill at Varn burned in 1850. Nobody was hurt."),
        ("m3", "Where does the barn stand?", "by the river Oss", "The barn stands by the river Oss."),
    ];
    let lines = items.map(|(id, question, answer, context)| {
        json!({"id": id, "question": question, "answers": [answer], "context": context}).to_string() + "\n"
    });
    project.config(CONFIG).file("data/mill.jsonl", lines.concat());
    project.file("prompts/control.txt", "You answer questions.\n").file("prompts/plain.txt", "Copy the exact span.\n");
    project.file("prompts/rules.txt", "If the answer is not in the passage, say: I don't know.\n");
    project
}

/// Builds, and builds again, so that the index holds a conclusion.
fn concluded() -> (Project, Value) {
    let project = project();
    let built = project.build();
    assert_eq!(built["up_to_date"], false);
    assert_eq!(project.conclusions(), 0);
    let again = project.build();
    assert_eq!(again["up_to_date"], true);
    assert_eq!(project.conclusions(), 1);
    (project, again)
}

/// Takes away all that a look at every action would need: only a conclusion can still say that there is nothing to do.
fn hide_actions(project: &Project) {
    let conn = rusqlite::Connection::open(project.path("store/index.sqlite")).unwrap();
    conn.execute_batch("DROP TRIGGER action_removed; DELETE FROM actions;").unwrap();
    std::fs::rename(project.path("store/actions"), project.path("hidden")).unwrap();
    std::fs::create_dir(project.path("store/actions")).unwrap();
}

fn without_duration(mut built: Value) -> Value {
    assert!(built.as_object_mut().unwrap().remove("duration_ms").is_some());
    built
}

/// The path of an output's blob, by the label of its action.
fn output(project: &Project, built: &Value, label: &str) -> PathBuf {
    let manifest = project.manifest(built);
    let action = manifest["actions"].as_array().unwrap().iter().find(|action| action["label"] == label).unwrap();
    let blob = action["outputs"][0]["blob"].as_str().unwrap().strip_prefix("blake3:").unwrap().to_owned();
    project.path(&format!("store/blobs/{}/{}", &blob[..2], &blob[2..]))
}

fn ran(output: &Output) -> u64 {
    output.json()["actions"]["executed"].as_u64().unwrap()
}

#[test]
fn what_was_concluded_is_said_again_word_for_word() {
    let (project, slow) = concluded();
    let text = |output: Output| {
        let cut = |text: &str| text.split(" · ").filter(|part| !part.ends_with('s')).collect::<Vec<_>>().join(" · ");
        (cut(&output.stdout), output.stderr)
    };
    // The slow way once more, for its words, without a conclusion to go by.
    let conn = rusqlite::Connection::open(project.path("store/index.sqlite")).unwrap();
    conn.execute_batch("DELETE FROM conclusions").unwrap();
    drop(conn);
    let slow_text = text(project.exp(&["build"]));
    hide_actions(&project);
    assert_eq!(text(project.exp(&["build"])), slow_text);
    assert!(slow_text.0.contains("up to date: "), "{slow_text:?}");
    assert_eq!(without_duration(project.build()), without_duration(slow));
}

#[test]
fn inputs_hashed_anew_are_concluded_from_and_force_concludes_nothing() {
    let (project, _) = concluded();
    for _ in 0..2 {
        assert_eq!(project.json(&["build", "--no-stat-cache"])["up_to_date"], true);
    }
    // The program is looked at byte for byte then, and so has another name.
    assert_eq!(project.conclusions(), 2);
    assert_ne!(project.json(&["build", "--force"])["actions"]["executed"], 0);
    let (project, _) = concluded();
    project.json(&["build", "--no-stat-cache"]);
    hide_actions(&project);
    assert_eq!(project.json(&["build", "--no-stat-cache"])["up_to_date"], true);
    project.file("prompts/plain.txt", "Copy the exact span!\n");
    assert_ne!(ran(&project.exp(&["build", "--no-stat-cache", "--json"]).expect_code(0)), 0);
}

#[test]
fn without_a_conclusion_hidden_actions_run_again() {
    let project = project();
    project.build();
    hide_actions(&project);
    assert_ne!(ran(&project.exp(&["build", "--json"]).expect_code(0)), 0);
}

#[test]
fn an_output_that_is_gone_or_cut_short_is_made_again() {
    for (what, damage) in [
        ("deleted", (|path: &Path| std::fs::remove_file(path).unwrap()) as fn(&Path)),
        ("cut short", |path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::remove_file(path).unwrap();
            std::fs::write(path, &bytes[1..]).unwrap();
        }),
    ] {
        for label in ["prepare/mill", "parse/reader/t0/mill/plain/00000", "aggregate"] {
            let (project, built) = concluded();
            let path = output(&project, &built, label);
            let bytes = std::fs::read(&path).unwrap();
            damage(&path);
            let mended = project.build();
            assert_ne!(mended["actions"]["executed"], 0, "{label} {what}");
            assert_eq!(mended["root"], built["root"], "{label} {what}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{label} {what}");
            assert_eq!(project.build()["up_to_date"], true, "{label} {what}");
        }
    }
}

#[test]
fn views_and_latest_are_put_back() {
    let (project, built) = concluded();
    hide_actions(&project);
    let costs = run_dir(&built).join(&slugs(&built)[0]).join("results/costs.json");
    let latest = project.path("experiments/latest");
    let target = std::fs::read_link(&latest).unwrap();
    std::fs::remove_file(&costs).unwrap();
    assert_eq!(project.build()["up_to_date"], true);
    assert!(costs.exists());
    std::fs::remove_dir_all(run_dir(&built)).unwrap();
    assert_eq!(project.build()["up_to_date"], true);
    assert!(costs.exists());
    std::fs::remove_file(&latest).unwrap();
    std::os::unix::fs::symlink("elsewhere", &latest).unwrap();
    assert_eq!(project.build()["up_to_date"], true);
    assert_eq!(std::fs::read_link(&latest).unwrap(), target);
}

#[test]
fn a_run_that_is_gone_is_not_named() {
    let (project, built) = concluded();
    let id = built["run_id"].as_str().unwrap();
    std::fs::remove_file(project.path(&format!("store/runs/{id}"))).unwrap();
    std::fs::remove_dir_all(run_dir(&built)).unwrap();
    let next = project.build();
    assert_eq!((&next["up_to_date"], &next["root"]), (&false.into(), &built["root"]));
    // The newest run that shows it is named, whichever it was when it was concluded.
    assert_eq!(project.build()["run_id"], next["run_id"]);
    let named = project.json(&["build", "--run-id", "mine"]);
    assert_eq!((&named["run_id"], &named["up_to_date"]), (&"mine".into(), &false.into()));
    assert_eq!(project.build()["run_id"], "mine");
    assert_eq!(project.json(&["build", "--run-id", "mine"])["up_to_date"], true);
}

#[test]
fn two_selections_in_turn_have_a_conclusion_each() {
    let (project, _) = concluded();
    let narrow = ["build", "--prompt-sets", "plain", "--json"];
    let partial = project.exp(&narrow).expect_code(0).json();
    assert_eq!(partial["state"], "partial");
    // The partial run has an aggregate of its own: what was concluded before is void.
    for _ in 0..2 {
        assert_eq!(project.build()["up_to_date"], true);
        assert_eq!(project.exp(&narrow).expect_code(0).json()["up_to_date"], true);
    }
    assert_eq!(project.conclusions(), 2);
    hide_actions(&project);
    for _ in 0..2 {
        let whole = project.build();
        assert_eq!((&whole["up_to_date"], &whole["state"]), (&true.into(), &"complete".into()));
        let narrowed = project.exp(&narrow).expect_code(0).json();
        assert_eq!((&narrowed["up_to_date"], &narrowed["state"]), (&true.into(), &"partial".into()));
        assert_eq!(narrowed["run_id"], partial["run_id"]);
    }
}

#[test]
fn flags_that_say_the_same_share_and_others_do_not() {
    let (project, _) = concluded();
    hide_actions(&project);
    let same: [&[&str]; 4] =
        [&["--resume"], &["--max-concurrent-jobs", "1"], &["--keep-going"], &["--offline", "--ignore-stop"]];
    for flags in same {
        assert_eq!(project.json(&[&["build"], flags].concat())["up_to_date"], true, "{flags:?}");
    }
    let other: [&[&str]; 9] = [
        &["--parts-per-dataset", "3"],
        &["--lines-per-part", "1"],
        &["--limit-items", "2"],
        &["--condition", "control"],
        &["--models", "reader"],
        &["--prompt-sets", "plain,rules"],
        &["--temps", "0"],
        &["--no-sweep"],
        &["--to-step", "score"],
    ];
    for flags in other {
        let (project, _) = concluded();
        hide_actions(&project);
        assert_ne!(ran(&project.exp(&[&["build", "--json"], flags].concat()).expect_code(0)), 0, "{flags:?}");
    }
    let (project, _) = concluded();
    hide_actions(&project);
    for flags in [["--skip-prepare"], ["--skip-build"]] {
        // What may not run and is not done: that is an error, and no conclusion hides it.
        assert_ne!(project.exp(&[&["build", "--json"][..], &flags].concat()).code, 0, "{flags:?}");
    }
}

#[test]
fn another_program_concludes_for_itself() {
    let (project, _) = concluded();
    let copy = project.path("exp-copy");
    std::fs::copy(env!("CARGO_BIN_EXE_exp"), &copy).unwrap();
    let by_copy = |args: &[&str]| run(Command::new(&copy).args(args).current_dir(project.dir()).env_clear());
    assert_eq!(by_copy(&["build", "--json"]).expect_code(0).json()["up_to_date"], true);
    assert_eq!(project.conclusions(), 2);
    hide_actions(&project);
    assert_eq!(by_copy(&["build", "--json"]).expect_code(0).json()["up_to_date"], true);
    assert_eq!(project.build()["up_to_date"], true);
    // The same name, other bytes: here only the file's times and one byte after the program's end.
    let mut bytes = std::fs::read(&copy).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let old = std::fs::metadata(&copy).unwrap().modified().unwrap();
    std::fs::write(&copy, bytes).unwrap();
    std::fs::File::options().append(true).open(&copy).unwrap().set_modified(old).unwrap();
    assert_ne!(ran(&by_copy(&["build", "--json"]).expect_code(0)), 0);
}

#[test]
fn a_program_that_another_one_runs_concludes_nothing() {
    // To the system the loader is what runs, whatever program it was given.
    let loader = Path::new("/lib64/ld-linux-x86-64.so.2");
    if !loader.exists() {
        return println!("skipped: no loader at {}", loader.display());
    }
    let (project, _) = concluded();
    let loaded = |args: &[&str]| {
        let mut command = Command::new(loader);
        run(command.arg(env!("CARGO_BIN_EXE_exp")).args(args).current_dir(project.dir()).env_clear())
    };
    for flags in [&["build", "--json"][..], &["build", "--json", "--no-stat-cache"]] {
        assert_eq!(loaded(flags).expect_code(0).json()["up_to_date"], true);
        assert_eq!(project.conclusions(), 1);
    }
    hide_actions(&project);
    assert_ne!(ran(&loaded(&["build", "--json"]).expect_code(0)), 0);
}

#[test]
fn a_second_project_in_one_store_concludes_for_itself() {
    let (project, built) = concluded();
    let other = Project::in_memory();
    for name in ["config/eval_config.yaml", "data/mill.jsonl", "prompts/control.txt", "prompts/plain.txt"] {
        other.file(name, project.read(name));
    }
    other.file("prompts/rules.txt", "Say nothing.\n");
    let store = project.path("store");
    let args = ["build", "--json", "--store", store.to_str().unwrap()];
    let first = other.exp(&args).expect_code(0).json();
    assert_eq!(first["up_to_date"], false);
    assert_ne!(first["root"], built["root"]);
    for _ in 0..2 {
        assert_eq!(other.exp(&args).expect_code(0).json()["root"], first["root"]);
        assert_eq!(project.build()["root"], built["root"]);
    }
    assert_eq!(project.conclusions(), 2);
    hide_actions(&project);
    let again = other.exp(&args).expect_code(0).json();
    assert_eq!((&again["up_to_date"], &again["root"]), (&true.into(), &first["root"]));
    let again = project.build();
    assert_eq!((&again["up_to_date"], &again["root"]), (&true.into(), &built["root"]));
}

#[test]
fn a_file_that_was_not_there_before_counts() {
    // The config does not name it: that it stands where it does is all that makes it an input.
    let (project, built) = concluded();
    project.file("config/task_instructions/open_book.txt", "Answer from the passage.\n");
    let next = project.build();
    assert_eq!(next["up_to_date"], false);
    assert_ne!(next["root"], built["root"]);
    std::fs::remove_file(project.path("config/task_instructions/open_book.txt")).unwrap();
    assert_eq!(project.build()["root"], built["root"]);
}

#[test]
fn hashes_of_touched_inputs_are_kept_as_well() {
    let (project, _) = concluded();
    let known = |project: &Project| -> u32 {
        let conn = rusqlite::Connection::open(project.path("store/index.sqlite")).unwrap();
        conn.query_row("SELECT count(*) FROM inputs", [], |row| row.get(0)).unwrap()
    };
    let before = known(&project);
    let text = project.read("prompts/plain.txt");
    std::fs::remove_file(project.path("prompts/plain.txt")).unwrap();
    project.file("prompts/other.txt", "in the place of the old inode").file("prompts/plain.txt", text);
    let settled = (0..50).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_eq!(project.build()["up_to_date"], true);
        known(&project) > before
    });
    assert!(settled);
}
