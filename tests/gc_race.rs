//! Eight builds at once on one store, and collections without any grace all the while: nothing that a build relies on goes,
//! and each request is sent once. `EXP_GC_ROUNDS` says how often (2 unless set).

mod support;

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use support::Project;

const CONFIG: &str = "\
version: 1
providers: {local: {kind: lexical}}
models: [{name: base, provider: local, model: lexical-baseline}]
datasets:
  quiz: {path: data/quiz.jsonl, fields: {id: id, question: q, answers: a, context: c}, scorers: [exact]}
control: prompts/control.txt
prompt_sets: {one: prompts/one.txt, two: prompts/two.txt}
";
const ITEMS: u64 = 24;
const BUILDS: usize = 8;

fn lines(project: &Project, kind: &str) -> usize {
    let segments = std::fs::read_dir(project.path("store/draws")).unwrap().map(|entry| entry.unwrap().path());
    segments.map(|path| std::fs::read_to_string(path).unwrap().matches(kind).count()).sum()
}

fn build(project: &Project) -> Child {
    let mut command = project.command(&["build", "--json", "--parts-per-dataset", "4"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn builds_and_collections_do_not_get_in_each_others_way() {
    let rounds: u64 = std::env::var("EXP_GC_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let project = Project::in_memory();
    let line = |n| format!("{{\"id\":\"{n}\",\"q\":\"what is {n}?\",\"a\":[\"{n}\"],\"c\":\"it is {n}\"}}\n");
    project.config(CONFIG).file("data/quiz.jsonl", (0..ITEMS).map(line).collect::<Vec<_>>().concat());
    project.file("prompts/control.txt", "Answer.\n");
    let (mut expected, mut sent) = (ITEMS, 0);
    for round in 0..rounds {
        // What earlier rounds made is garbage as far as this one's runs are let go.
        project.file("prompts/one.txt", format!("Answer briefly, {round}.\n"));
        project.file("prompts/two.txt", format!("Answer at length, {round}.\n"));
        expected += 2 * ITEMS;
        let (ended, collections) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let collected = project.exp(&["gc", "--yes", "--keep-last", "1", "--grace", "0", "--json"]);
                    // A run may change between the plan and its execution: then nothing of it goes.
                    let is_done = collected.code == 0 || collected.stderr.contains("changed meanwhile");
                    assert!(is_done, "{}\n{}", collected.stdout, collected.stderr);
                    collections.fetch_add(1, Ordering::Relaxed);
                }
            });
            let builds: Vec<Child> = (0..BUILDS).map(|_| build(&project)).collect();
            let outputs: Vec<_> = builds.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
            ended.store(true, Ordering::Relaxed);
            for output in outputs {
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(0), "round {round}: {stderr}");
                let built: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                assert_eq!(built["state"], "complete", "{built:#}");
                sent += built["requests"]["sent"].as_u64().unwrap();
            }
        });
        assert_eq!(
            (sent, lines(&project, "{\"draw\":") as u64, lines(&project, "{\"surplus\":")),
            (expected, expected, 0)
        );
        project.exp(&["audit"]).expect_code(0);
        eprintln!("round {round}: {} collections", collections.load(Ordering::Relaxed));
    }
    // The negative control: without a run that names them, all of it goes.
    let before = project.json(&["gc", "--grace", "0"]);
    for entry in std::fs::read_dir(project.path("store/runs")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let after = project.json(&["gc", "--grace", "0"]);
    assert!(after["plan"]["blobs"]["count"].as_u64() > before["plan"]["blobs"]["count"].as_u64().map(|n| n + 20));
}
