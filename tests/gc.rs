//! Garbage collection as people meet it: what it says, what it takes, and what a full disk does not hinder.
#![allow(clippy::unwrap_used)] // A test may stop where it finds what it does not expect.

mod support;

use std::path::Path;
use std::process::Command;

use support::{Output, Project, run};

const CONFIG: &str = "\
version: 1
providers: {local: {kind: lexical}}
models: [{name: base, provider: local, model: lexical-baseline}]
datasets:
  quiz: {path: data/quiz.jsonl, fields: {id: id, question: q, answers: a, context: c}, scorers: [exact]}
control: prompts/control.txt
prompt_sets: {short: prompts/short.txt}
";

fn project() -> Project {
    fill(Project::new())
}

fn fill(project: Project) -> Project {
    let line = |n| format!("{{\"id\":\"{n}\",\"q\":\"what is {n}?\",\"a\":[\"{n}\"],\"c\":\"it is {n}\"}}\n");
    let lines = (0..20).map(line).collect::<Vec<_>>().concat();
    project.config(CONFIG).file("data/quiz.jsonl", lines);
    project.file("prompts/control.txt", "Answer.\n").file("prompts/short.txt", "Answer briefly.\n");
    project
}

#[test]
fn nothing_goes_without_a_word_on_what_may_go() {
    let project = project();
    let shown = project.exp(&["gc"]).expect_code(0);
    assert!(shown.stdout.contains("nothing to collect"), "{}", shown.stdout);
    project.build();
    let refused = project.exp(&["gc", "--yes"]).expect_code(2);
    assert!(refused.stderr.contains("--unreferenced"), "{}", refused.stderr);
    for bad in [["--keep-last", "0"], ["--older-than", "7"], ["--max-size", "7x"], ["--max-size", "-1"]] {
        project.exp(&[&["gc"], bad.as_slice()].concat()).expect_code(2);
    }
    let before = project.json(&["gc", "--grace", "0"]);
    assert!(before["plan"]["bytes"].as_u64().unwrap() > 0 && before["collected"].is_null(), "{before:#}");
    assert_eq!(project.json(&["gc", "--grace", "0"])["plan"], before["plan"]);
    let done = project.json(&["gc", "--grace", "0", "--yes", "--unreferenced"]);
    assert_eq!(done["collected"]["bytes"], before["plan"]["bytes"]);
    project.exp(&["audit"]).expect_code(0);
    // All that is left is what the run is made of: the build is still up to date.
    let again = project.json(&["build"]);
    assert_eq!((&again["up_to_date"], &again["requests"]["sent"]), (&true.into(), &0.into()));
}

#[test]
fn an_older_run_goes_and_comes_back_without_asking() {
    let project = project();
    let first = project.build();
    project.file("prompts/short.txt", "Answer in one word.\n");
    let second = project.build();
    assert_eq!(project.exp(&["pin", first["run_id"].as_str().unwrap()]).expect_code(0).code, 0);
    let kept = project.exp(&["gc", "--keep-last", "1"]).expect_code(0);
    assert!(kept.stdout.contains("it is pinned"), "{}", kept.stdout);
    project.exp(&["unpin", first["run_id"].as_str().unwrap()]).expect_code(0);
    let done = project.json(&["gc", "--keep-last", "1", "--yes"]);
    assert_eq!(done["plan"]["runs"][0]["run_id"], first["run_id"]);
    assert!(!Path::new(first["run_dir"].as_str().unwrap()).exists());
    let listed = project.json(&["list"]);
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1);
    project.exp(&["audit", second["run_id"].as_str().unwrap()]).expect_code(0);
    project.file("prompts/short.txt", "Answer briefly.\n");
    let back = project.build();
    assert_eq!((&back["root"], &back["requests"]["sent"]), (&first["root"], &0.into()));
}

/// Runs `gc` in a mount of its own of 3 MB, or says why not.
#[test]
fn it_works_on_a_full_disk() {
    let project = project();
    // The mount lives as long as the shell, and nobody else sees it.
    let script = r#"
        set -e
        mount -t tmpfs -o size=3m,mode=700 none store
        "$EXP" build >&2
        root=$("$EXP" build --json | sed -n 's/.*"root": "\(.*\)".*/\1/p')
        echo 'Answer in one word.' > prompts/short.txt
        "$EXP" build >&2
        head -c 8m /dev/zero > store/tmp/sdead-1 2>/dev/null || true
        head -c 8m /dev/zero > store/fill 2>/dev/null || true
        head -c 64k /dev/zero > store/proof 2>/dev/null && [ "$(stat -c %s store/proof)" = 65536 ] && { echo "not full" >&2; exit 9; }
        rm -f store/proof
        # Full again, to the last byte, with nothing that could be swept.
        rm store/tmp/sdead-1; cat /dev/zero > store/fill2 2>/dev/null || true
        "$EXP" build --run-id full >&2 && { echo "a build found room" >&2; exit 8; } || echo "build: $?"
        "$EXP" gc --yes --keep-last 1 --grace 0
        rm store/fill store/fill2
        "$EXP" audit
        echo 'Answer briefly.' > prompts/short.txt
        "$EXP" build --json | grep -q "$root" && echo "same root"
    "#;
    let Some(Output { stdout, .. }) = mounting(&project, script) else { return };
    assert!(stdout.contains("build: 7"), "{stdout}");
    assert!(stdout.contains("removed") && stdout.contains("sound") && stdout.contains("same root"), "{stdout}");
}

/// Runs a script that may mount a file system at `store`, which nobody else sees; `None`, said so, where it may not.
#[allow(clippy::unwrap_used)] // A test may stop where nothing can be set up.
fn mounting(project: &Project, script: &str) -> Option<Output> {
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script]).current_dir(project.dir()).env("EXP", env!("CARGO_BIN_EXE_exp"));
    std::fs::create_dir(project.path("store")).unwrap();
    let mounted = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no mount can be made here");
        return None;
    }
    Some(run(&mut command).expect_code(0))
}

#[test]
fn it_works_where_no_inode_is_left() {
    let project = project();
    let script = r#"
        set -e
        mount -t tmpfs -o size=64m,nr_inodes=1200,mode=700 none store
        "$EXP" build >&2
        root=$("$EXP" build --json | sed -n 's/.*"root": "\(.*\)".*/\1/p')
        echo 'Answer in one word.' > prompts/short.txt
        "$EXP" build >&2
        i=0; while touch store/fill-$i 2>/dev/null; do i=$((i + 1)); done
        [ "$i" -gt 100 ] && [ "$i" -lt 1200 ] || { echo "filled with $i" >&2; exit 9; }
        echo 'Answer in two words.' > prompts/short.txt
        "$EXP" build --run-id full >&2 && { echo "a build found room" >&2; exit 8; } || echo "build: $?"
        "$EXP" gc --yes --keep-last 1 --grace 0
        "$EXP" build --run-id full >&2 && echo "room again"
        rm store/fill-*
        "$EXP" audit
        echo 'Answer briefly.' > prompts/short.txt
        "$EXP" build --json | grep -q "$root" && echo "same root"
    "#;
    let Some(Output { stdout, .. }) = mounting(&project, script) else { return };
    assert!(stdout.contains("build: 7"), "{stdout}");
    assert!(stdout.contains("removed") && stdout.contains("room again"), "{stdout}");
    assert!(stdout.contains("sound") && stdout.contains("same root"), "{stdout}");
}
