//! The life of a run: killed, stopped, narrowed, shown again, never changed once complete.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::{Output, Project, csv_rows, run_dir, slugs};

/// Draws of the long project: 3,000 items, four arms, two draws.
const LONG: u64 = 24_000;

/// A project whose build takes a second or more, most of it asking.
fn long_project() -> Project {
    let project = Project::in_memory();
    let item = |n: u32| {
        let context = format!("The mill number {n} at Varn was built by Ada Pell{n} in {n}. It burned later.");
        let question = format!("Who built mill number {n}?");
        json!({"id": format!("q{n}"), "question": question, "answers": [format!("Ada Pell{n}")], "context": context})
            .to_string()
            + "\n"
    };
    project.file("data/mills.jsonl", (0..3000).map(item).collect::<String>());
    for name in ["control", "a", "b", "c"] {
        project.file(&format!("prompts/{name}.txt"), format!("You answer questions as {name} does.\n"));
    }
    project.config(
        "\
version: 1
models: [{name: reader, provider: lexical}]
datasets:
  mills:
    path: data/mills.jsonl
    fields: {id: id, question: question, answers: answers, context: context}
    scorers: [qa]
control: prompts/control.txt
prompt_sets: {a: prompts/a.txt, b: prompts/b.txt, c: prompts/c.txt}
decoding: {max_output_tokens: 64}
sweep: {decoding: [{name: warm, temperature: 0.5, draws: 2}]}
parts_per_dataset: 16
analysis: {bootstrap_samples: 100, permutation_samples: 100}
",
    );
    project
}

/// The root of an undisturbed build of the long project, and its files below each trial.
fn undisturbed() -> &'static (String, BTreeMap<String, Vec<u8>>) {
    static BUILT: OnceLock<(String, BTreeMap<String, Vec<u8>>)> = OnceLock::new();
    BUILT.get_or_init(|| {
        let project = long_project();
        let built = project.build();
        assert_eq!(built["requests"], json!({"total": LONG, "reused": 0, "sent": LONG, "failed": 0}));
        (built["root"].as_str().unwrap().to_owned(), results(&built))
    })
}

/// The files of a run that are in its root.
fn results(built: &Value) -> BTreeMap<String, Vec<u8>> {
    let names = ["predictions.csv", "per_item_scores.csv", "significance.json", "costs.json"];
    let paths = slugs(built).into_iter().flat_map(|slug| names.map(|name| format!("{slug}/results/{name}")));
    paths.map(|path| (path.clone(), std::fs::read(run_dir(built).join(path)).unwrap())).collect()
}

/// The lines of the draw log: addresses of answers, and how many are surplus.
fn logged(project: &Project) -> (Vec<String>, usize) {
    let (mut draws, mut surplus) = (Vec::new(), 0);
    for entry in std::fs::read_dir(project.path("store/draws")).into_iter().flatten() {
        let text = String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned();
        // A line that was cut off by the kill is no line yet.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let Some((_, document)) = line.split_once(' ') else { continue };
            surplus += usize::from(document.starts_with("{\"surplus\""));
            if let Some(rest) = document.strip_prefix("{\"draw\":\"") {
                draws.push(rest.split('"').next().unwrap().to_owned());
            }
        }
    }
    (draws, surplus)
}

/// The directories of runs.
fn runs_shown(project: &Project) -> BTreeSet<String> {
    let entries = std::fs::read_dir(project.path("experiments")).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("run_")).collect()
}

/// Starts a build and waits until its run is shown and answers are being logged.
fn start(project: &Project, args: &[&str]) -> (Child, String) {
    let mut command = project.command(&[&["build", "--json"], args].concat());
    let before = logged(project).0.len();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < Duration::from_secs(30), "nothing was logged");
        assert!(child.try_wait().unwrap().is_none(), "the build ended before it could be disturbed");
        if logged(project).0.len() > before + 100
            && let Some(run) = runs_shown(project).pop_last()
        {
            return (child, run.strip_prefix("run_").unwrap().to_owned());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for a build to end.
fn end(mut child: Child) -> Output {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    Output { code: child.wait().unwrap().code().unwrap_or(-1), stdout, stderr }
}

fn state_of(project: &Project, run: &str) -> String {
    let list = project.json(&["list"]);
    let entry = list["runs"].as_array().unwrap().iter().find(|entry| entry["run_id"] == run);
    entry.unwrap_or_else(|| panic!("{run} is not in {list:#}"))["state"].as_str().unwrap().to_owned()
}

/// Builds a run that was disturbed to its end: under its own id, each draw sent once over both, the same results.
#[track_caller]
fn goes_on(project: &Project, run: &str) -> Value {
    let (before, _) = logged(project);
    let built = project.build();
    assert_eq!(built["run_id"], run);
    assert_eq!(runs_shown(project), BTreeSet::from([format!("run_{run}")]));
    let sent = built["requests"]["sent"].as_u64().unwrap();
    assert_eq!(built["requests"], json!({"total": LONG, "reused": LONG - sent, "sent": sent, "failed": 0}));
    assert!(sent < LONG, "nothing was kept");
    assert_eq!(before.len() as u64 + sent, LONG, "each draw is sent once");
    let (draws, surplus) = logged(project);
    assert_eq!((draws.len() as u64, surplus), (LONG, 0));
    assert_eq!(draws.iter().collect::<BTreeSet<_>>().len() as u64, LONG);

    let (root, files) = undisturbed();
    assert_eq!(built["root"], root.as_str());
    assert_eq!(&results(&built), files);
    project.exp(&["audit"]).expect_code(0);
    assert_eq!(state_of(project, run), "complete");
    let again = project.build();
    assert_eq!((&again["up_to_date"], &again["run_id"]), (&true.into(), &built["run_id"]));
    built
}

#[test]
fn a_killed_build_goes_on_under_its_id() {
    let project = long_project();
    let (mut child, run) = start(&project, &[]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(state_of(&project, &run), "interrupted");
    let draws = logged(&project).0.len() as u64;
    assert!(0 < draws && draws < LONG, "{draws}");
    assert!(!project.path("experiments/latest").exists());
    // The directory says what is known so far.
    let manifest = project.read(&format!("experiments/run_{run}/multi_trial_manifest.json"));
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!((&manifest["run_id"], &manifest["state"]), (&run.as_str().into(), &"running".into()));
    // And once more, further on.
    let (mut child, second) = start(&project, &[]);
    assert_eq!(second, run);
    child.kill().unwrap();
    child.wait().unwrap();
    goes_on(&project, &run);
}

#[test]
fn an_interrupt_stops_and_the_next_build_goes_on() {
    let project = long_project();
    let (child, run) = start(&project, &[]);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let stopped = end(child).expect_code(4);
    let document = stopped.json();
    assert_eq!((&document["run_id"], &document["state"]), (&run.as_str().into(), &"stopped".into()));
    assert_eq!(document["root"], Value::Null);
    assert!(stopped.stderr.contains("stopped; `exp build` goes on with this run"), "{}", stopped.stderr);
    assert_eq!(state_of(&project, &run), "stopped");
    assert!(!project.path("experiments/latest").exists());
    let manifest = project.manifest(&document);
    assert_eq!(manifest["state"], "stopped");
    // What was logged before the stop is what the build says it sent.
    assert_eq!(document["requests"]["sent"], logged(&project).0.len());
    // A stopped run is whole as far as it goes.
    project.exp(&["audit", &run]).expect_code(0);
    goes_on(&project, &run);
}

#[test]
fn exp_stop_and_a_stop_file_are_honoured() {
    let project = long_project();
    let none = project.exp(&["stop"]).expect_code(2);
    assert!(none.stderr.starts_with("error: no run is at work"), "{}", none.stderr);

    let (child, run) = start(&project, &[]);
    let asked = project.exp(&["stop"]).expect_code(0).stdout;
    assert_eq!(asked, format!("run {run} will stop between actions; `exp build` goes on with it\n"));
    assert_eq!(end(child).expect_code(4).json()["state"], "stopped");
    let refused = project.exp(&["stop", &run]).expect_code(2).stderr;
    assert!(refused.starts_with(&format!("error: run `{run}` is not at work: it is stopped")), "{refused}");

    let (child, second) = start(&project, &[]);
    assert_eq!(second, run);
    let file = project.path(&format!("experiments/run_{run}/STOP_REQUESTED"));
    assert!(!file.exists(), "the file of the build before was removed");
    std::fs::write(&file, "").unwrap();
    let stopped = end(child).expect_code(4);
    assert_eq!(stopped.json()["run_id"], run.as_str());
    assert!(file.exists());

    // The file counted for the build that it found; the next one says that it was there.
    let (before, _) = logged(&project);
    let again = project.exp(&["build", "--json"]).expect_code(0);
    assert!(
        again.stderr.contains("a STOP file of an earlier build of this run was found and removed"),
        "{}",
        again.stderr
    );
    let built = again.json();
    assert_eq!((&built["run_id"], &built["state"]), (&run.as_str().into(), &"complete".into()));
    assert_eq!(before.len() as u64 + built["requests"]["sent"].as_u64().unwrap(), LONG);
    assert!(!file.exists());
    assert_eq!(built["root"], undisturbed().0.as_str());
}

#[test]
fn a_stop_file_can_be_ignored() {
    let project = long_project();
    let (child, run) = start(&project, &["--ignore-stop"]);
    std::fs::write(project.path(&format!("experiments/run_{run}/STOP_REQUESTED")), "").unwrap();
    let built = end(child).expect_code(0).json();
    assert_eq!((&built["run_id"], &built["state"]), (&run.as_str().into(), &"complete".into()));
}

const SMALL: &str = "\
version: 1
models: [{name: reader, provider: lexical}, {name: other, provider: lexical}]
datasets:
  mill:
    path: data/mill.jsonl
    fields: {id: id, question: question, answers: answers, context: context}
    scorers: [qa]
control: prompts/control.txt
prompt_sets: {plain: prompts/plain.txt, rules: prompts/rules.txt}
decoding: {max_output_tokens: 64}
sweep: {decoding: [{name: cold, temperature: 0}, {name: warm, temperature: 0.5, draws: 3}]}
parts_per_dataset: 2
analysis: {bootstrap_samples: 100, permutation_samples: 100}
";

/// Draws of the small project: 4 items, 3 arms, 2 models, 1 + 3 draws.
const ALL: u64 = 96;

fn small_project() -> Project {
    let project = Project::in_memory();
    let items = [
        ("m1", "Who built the mill at Varn?", "Ada Pell", "The mill at Varn was built by Ada Pell in 1801."),
        ("m2", "When did the mill burn?", "1850", "The mill at Varn burned in 1850. Nobody was hurt."),
        ("m3", "How many cows does the barn hold?", "40", "The barn stands by the river Oss. It holds 40 cows."),
        ("m4", "Where does the barn stand?", "by the river Oss", "The barn stands by the river Oss."),
    ];
    let lines = items.map(|(id, question, answer, context)| {
        json!({"id": id, "question": question, "answers": [answer], "context": context}).to_string() + "\n"
    });
    project.config(SMALL).file("data/mill.jsonl", lines.concat());
    project.file("prompts/control.txt", "You answer questions.\n").file("prompts/plain.txt", "Copy the exact span.\n");
    project.file("prompts/rules.txt", "If the answer is not in the passage, say: I don't know.\n");
    project
}

#[test]
fn a_narrowed_build_is_partial_and_never_the_latest() {
    let narrowed: [(&[&str], u64); 8] = [
        (&["--condition", "control"], 32),
        (&["--condition=treatment"], 64),
        (&["--models", "reader"], 48),
        (&["--limit-items", "1"], 24),
        (&["--prompt-sets", "rules"], 64),
        (&["--temps", "0.5"], 72),
        (&["reader-plain-mx64-64-cold"], 8),
        (&["--to-step", "score"], ALL),
    ];
    let completes = "partial: `exp build` without the flags that narrow it builds the whole experiment";
    // After everything is built, to have something to be narrower than.
    let whole = small_project();
    let complete = whole.build();
    assert_eq!(complete["requests"]["sent"], ALL);
    let latest = std::fs::read_link(whole.path("experiments/latest")).unwrap();

    for (flags, sent) in narrowed {
        let args = [&["build"], flags].concat();
        let project = small_project();
        let text = project.exp(&args).expect_code(0);
        assert!(text.stderr.contains(completes), "{flags:?}: {}", text.stderr);
        assert!(text.stdout.lines().last().unwrap().starts_with("partial: "), "{flags:?}: {}", text.stdout);
        assert!(!project.path("experiments/latest").exists(), "{flags:?}");
        let list = project.json(&["list"]);
        assert_eq!(list["runs"].as_array().unwrap().len(), 1);
        assert_eq!((&list["runs"][0]["state"], &list["runs"][0]["latest"]), (&"partial".into(), &false.into()));
        let partial = list["runs"][0]["run_id"].as_str().unwrap();
        let manifest = project.read(&format!("experiments/run_{partial}/multi_trial_manifest.json"));
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["requests"]["sent"], sent, "{flags:?}");
        assert!(manifest["narrowed"].as_str().unwrap().starts_with("`exp build` without"), "{flags:?}");
        project.exp(&["audit", partial]).expect_code(0);

        let built = project.build();
        assert_ne!(built["run_id"], partial, "{flags:?}");
        assert_eq!(built["requests"]["sent"], ALL - sent, "{flags:?}");
        assert_eq!(built["root"], complete["root"], "{flags:?}");
        let shown = std::fs::read_link(project.path("experiments/latest")).unwrap();
        assert_eq!(shown, Path::new(&format!("run_{}", built["run_id"].as_str().unwrap())), "{flags:?}");
        if flags[0] == "--to-step" {
            let ran = project.ran(&built);
            assert!(ran.iter().all(|label| label.starts_with(['m', 's', 'c', 'r', 'a'])), "{ran:?}");
            assert!(!ran.iter().any(|label| label.starts_with("score")), "{ran:?}");
        }

        // Narrowed afterwards: all of it is there, and the whole run stays the latest.
        let after = whole.json(&args);
        assert_eq!((&after["state"], &after["requests"]["sent"]), (&"partial".into(), &0.into()), "{flags:?}");
        assert_eq!(std::fs::read_link(whole.path("experiments/latest")).unwrap(), latest, "{flags:?}");
        assert_eq!(whole.json(&args)["up_to_date"], true, "{flags:?}");
    }
}

/// All files and links below a directory, links with their targets.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_dir() {
                left.push(path);
            } else if meta.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                found.insert(path, target.into_os_string().into_encoded_bytes());
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(path, bytes);
            }
        }
    }
    found
}

#[test]
fn deleted_views_come_back_and_nothing_runs() {
    let project = small_project();
    let built = project.build();
    let before = tree(&project.path("experiments"));
    assert!(before.len() > 40, "{:?}", before.keys());
    std::fs::remove_dir_all(project.path("experiments")).unwrap();
    let text = project.exp(&["build", "--json"]).expect_code(0);
    let again = text.json();
    assert_eq!((&again["up_to_date"], &again["run_id"]), (&true.into(), &built["run_id"]));
    assert_eq!((&again["root"], &again["state"]), (&built["root"], &"complete".into()));
    assert_eq!((&again["actions"]["executed"], &again["requests"]["sent"]), (&0.into(), &0.into()));
    assert!(text.stderr.contains("were put back"), "{}", text.stderr);
    assert_eq!(tree(&project.path("experiments")), before);
    project.exp(&["audit"]).expect_code(0);

    // One file only.
    let slug = &slugs(&built)[0];
    std::fs::remove_file(run_dir(&built).join(slug).join("results/costs.json")).unwrap();
    std::fs::remove_file(project.path("experiments/latest")).unwrap();
    assert_eq!(project.build()["up_to_date"], true);
    assert_eq!(tree(&project.path("experiments")), before);
}

#[test]
fn a_complete_run_is_never_changed() {
    let project = small_project();
    let built = project.json(&["build", "--run-id", "mine"]);
    assert_eq!((&built["run_id"], &built["state"]), (&"mine".into(), &"complete".into()));
    let before = tree(&project.path("experiments"));
    // The same plan: it is there.
    let same = project.json(&["build", "--run_id=mine"]);
    assert_eq!((&same["up_to_date"], &same["run_id"]), (&true.into(), &"mine".into()));

    let refusal = "error: run `mine` is there already, with another plan\n  hint: a finished run is never changed: choose another --run-id\n";
    let refused = project.exp(&["build", "--run-id", "mine", "--condition", "control"]).expect_code(2);
    assert_eq!(refused.stderr, refusal);
    project.file("prompts/plain.txt", "Copy the shortest span.\n");
    let refused = project.exp(&["build", "--run-id", "mine"]).expect_code(2);
    assert_eq!(refused.stderr, refusal);
    assert_eq!(tree(&project.path("experiments")), before);
    assert_eq!(project.json(&["list"])["runs"].as_array().unwrap().len(), 1);
    assert_eq!(logged(&project).0.len() as u64, ALL, "nothing was sent");

    let edited = project.json(&["build", "--run-id", "mine-2"]);
    assert_eq!((&edited["run_id"], &edited["requests"]["sent"]), (&"mine-2".into(), &32.into()));
    let name = project.exp(&["build", "--run-id", "../mine"]).expect_code(2);
    assert!(name.stderr.starts_with("error: "), "{}", name.stderr);
}

#[test]
fn a_step_alone_needs_what_is_before_it() {
    let project = small_project();
    let refused = project.exp(&["build", "--only-step", "stats"]).expect_code(2);
    assert_eq!(
        refused.stderr,
        "error: 1 actions have to be done already, and are not:\n  prepare/mill\n  \
         hint: build without the step limits, or with limits that include these steps\n"
    );
    assert_eq!(logged(&project).0.len(), 0);
    assert!(runs_shown(&project).is_empty());
    for flag in ["--skip-prepare", "--skip_prepare"] {
        assert_eq!(project.exp(&["build", flag]).expect_code(2).stderr, refused.stderr);
    }

    project.json(&["build", "--to-step", "parse"]);
    let refused = project.exp(&["build", "--only-step", "stats"]).expect_code(2).stderr;
    assert!(refused.contains("actions have to be done already, and are not:\n  score/"), "{refused}");
    assert!(refused.contains("  … and "), "{refused}");
    project.json(&["build", "--from-step", "score", "--to-step", "merge"]);
    let stats = project.json(&["build", "--only-step", "stats"]);
    assert_eq!((&stats["state"], &stats["requests"]["sent"]), (&"partial".into(), &0.into()));
    assert!(!project.ran(&stats).is_empty());
    assert!(project.ran(&stats).iter().all(|label| label.starts_with("stats/")), "{:?}", project.ran(&stats));
    let built = project.build();
    assert_eq!(built["requests"]["sent"], 0);
    assert!(project.ran(&built).iter().all(|label| !label.starts_with("stats/")), "{:?}", project.ran(&built));
}

#[test]
fn force_runs_free_steps_again_and_sends_nothing() {
    let project = small_project();
    let built = project.build();
    let infer = project.actions(&built).keys().filter(|label| label.starts_with("infer/")).count() as u64;
    let forced = project.json(&["build", "--force"]);
    assert_eq!((&forced["state"], &forced["root"]), (&"complete".into(), &built["root"]));
    assert_eq!((&forced["requests"]["sent"], &forced["requests"]["reused"]), (&0.into(), &ALL.into()));
    assert_eq!((&forced["up_to_date"], &forced["run_id"]), (&true.into(), &built["run_id"]));
    let distinct: BTreeSet<String> = project.actions(&built).into_values().map(|action| action.key).collect();
    let executed = forced["actions"]["executed"].as_u64().unwrap();
    assert_eq!(executed, distinct.len() as u64 - infer, "{forced:#}");
    assert_eq!(runs_shown(&project).len(), 1);
    assert_eq!(logged(&project).0.len() as u64, ALL);
    project.exp(&["audit"]).expect_code(0);
}

const RECORDED: &str = "\
version: 1
providers: {replay: {kind: replay}}
models:
  - name: tape
    provider: replay
    recordings:
      mill:
        control: {path: data/control.csv, fields: {key: id, text: text}}
        plain: {path: data/plain.csv, fields: {key: id, text: text}}
datasets:
  mill:
    path: data/mill.jsonl
    fields: {id: id, question: question, answers: answers, context: context}
    scorers: [qa]
control: prompts/control.txt
prompt_sets: {plain: prompts/plain.txt}
decoding: {temperature: 0}
";

#[test]
fn failed_draws_fail_the_run_unless_the_config_allows_them() {
    let project = small_project();
    project.config(RECORDED).file("data/control.csv", "id,text\nm1,Ada Pell\nm2,1850\nm3,40\nm4,Oss\n");
    project.file("data/plain.csv", "id,text\nm1,Ada Pell\nm2,1850\nm3,40\n");
    let failed = project.exp(&["build", "--json"]).expect_code(1);
    let document = failed.json();
    assert_eq!(document["state"], "failed", "{document:#}");
    assert_eq!(document["requests"], json!({"total": 8, "reused": 0, "sent": 7, "failed": 1}));
    let words = "incomplete: 1 request failed, and `max_failed` allows 0; \
                 `exp build` asks again and goes on with this run";
    assert!(failed.stderr.contains(words), "{}", failed.stderr);
    assert!(!project.path("experiments/latest").exists());
    assert_eq!(state_of(&project, document["run_id"].as_str().unwrap()), "failed");
    // The failure is visible in the row, and the report says that it is not all there.
    let predictions = project.run_file(&document, "tape-plain/results/predictions.csv");
    let missing: Vec<_> = csv_rows(&predictions).into_iter().filter(|row| row["status"] != "stop").collect();
    assert_eq!(missing.len(), 1, "{predictions}");
    assert_eq!((&*missing[0]["item_id"], &*missing[0]["condition"]), ("m4", "treatment"));

    // Only what failed is asked again, in the same run.
    let again = project.exp(&["build", "--json"]).expect_code(1).json();
    assert_eq!((&again["run_id"], &again["state"]), (&document["run_id"], &"failed".into()));
    assert_eq!(again["requests"], json!({"total": 8, "reused": 7, "sent": 0, "failed": 1}));

    // A run whose failures are allowed is complete.
    project.config(&format!("{RECORDED}max_failed: 1\n"));
    let allowed = project.exp(&["build", "--json"]).expect_code(0).json();
    assert_eq!((&allowed["run_id"], &allowed["state"]), (&document["run_id"], &"complete".into()));
    assert_eq!(allowed["requests"]["failed"], 1);
    assert_eq!(csv_rows(&project.run_file(&allowed, "tape-plain/results/predictions.csv")).len(), 8);

    // With the recording, that one request is sent.
    project.config(RECORDED).file("data/plain.csv", "id,text\nm1,Ada Pell\nm2,1850\nm3,40\nm4,by the river Oss\n");
    let whole = project.build();
    assert_eq!(whole["requests"], json!({"total": 8, "reused": 7, "sent": 1, "failed": 0}));
    assert_ne!(whole["root"], allowed["root"]);
    project.exp(&["audit"]).expect_code(0);
}
