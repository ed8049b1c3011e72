//! What happened can be explained at any later time, and damage is found where it is and nowhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Output, Project, run_dir};

const CONFIG: &str = "\
version: 1
models: [{name: reader, provider: lexical, price: {input: 1, output: 2}}]
datasets:
  mill:
    path: data/mill.jsonl
    fields: {id: id, question: question, answers: answers, context: context}
    scorers: [qa, {exact: {ignore_case: false}}]
control: prompts/control.txt
prompt_sets:
  plain: prompts/plain.txt
  rules: prompts/rules.txt
decoding: {temperature: 0, max_output_tokens: 64}
parts_per_dataset: 2
";

const ITEMS: &str = r#"{"id":"m1","question":"Who built the mill at Varn?","answers":["ada pell"],"context":"The mill at Varn was built by Ada Pell in 1801. It burned in 1850."}
{"id":"m2","question":"When did the mill burn?","answers":["1850"],"context":"The mill at Varn was built by Ada Pell in 1801. It burned in 1850."}
{"id":"m3","question":"How many cows does the barn hold?","answers":["40"],"context":"The barn stands by the river Oss. It holds 40 cows."}
{"id":"m4","question":"Where does the barn stand?","answers":["by the river Oss"],"context":"The barn stands by the river Oss. It holds 40 cows."}
"#;

const PLAIN: &str = "Copy the exact span.\nNothing else.\n";
const RULES: &str = "If the answer is not in the passage, say: I don't know.\n";

fn project() -> Project {
    let project = Project::in_memory();
    project.config(CONFIG).file("data/mill.jsonl", ITEMS).file("prompts/control.txt", "You answer questions.\n");
    project.file("prompts/plain.txt", PLAIN).file("prompts/rules.txt", RULES);
    project
}

/// Replaces one text by another in a file, and expects it to be there once.
#[track_caller]
fn edit(project: &Project, name: &str, from: &str, to: &str) {
    let text = project.read(name);
    assert_eq!(text.matches(from).count(), 1, "{name}: {from}");
    project.file(name, text.replace(from, to));
}

fn run_id(built: &Value) -> &str {
    built["run_id"].as_str().unwrap()
}

/// The path of a blob in the project's store.
fn blob_path(project: &Project, blob: &str) -> PathBuf {
    let hex = blob.strip_prefix("blake3:").unwrap();
    project.path("store/blobs").join(&hex[..2]).join(&hex[2..])
}

/// The name of the blob that an action of a run made.
#[track_caller]
fn output(project: &Project, built: &Value, label: &str, name: &str) -> String {
    let manifest = project.manifest(built);
    let action = manifest["actions"].as_array().unwrap().iter().find(|action| action["label"] == label).unwrap();
    let output = action["outputs"].as_array().unwrap().iter().find(|output| output["name"] == name).unwrap();
    output["blob"].as_str().unwrap().to_owned()
}

/// Changes one byte of a sealed file in its place, and seals it again.
#[track_caller]
fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o444)).unwrap();
}

/// What `exp audit --json` names, sorted.
#[track_caller]
fn subjects(output: &Output) -> Vec<String> {
    let document = output.json();
    let findings = document["report"]["findings"].as_array().unwrap();
    assert_eq!(document["sound"], findings.is_empty());
    for finding in findings {
        for field in ["expected", "actual", "remedy"] {
            assert_ne!(finding[field].as_str().unwrap(), "", "{finding:#}");
        }
    }
    let mut subjects: Vec<String> = findings.iter().map(|f| f["subject"].as_str().unwrap().to_owned()).collect();
    subjects.sort();
    subjects
}

/// Expects both forms of `exp audit` to name exactly these, each by the beginning of its subject, and to exit 3.
#[track_caller]
fn names_exactly(project: &Project, expected: &[&str]) {
    let found = subjects(&project.exp(&["audit", "--json"]).expect_code(3));
    let mut expected: Vec<&str> = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found.len(), expected.len(), "{found:#?}\nexpected {expected:#?}");
    for (found, expected) in found.iter().zip(&expected) {
        assert!(found.starts_with(expected), "{found}\nexpected {expected}");
    }
    let text = project.exp(&["audit"]).expect_code(3).stdout;
    let lines = text.lines().filter(|line| !line.starts_with([' ', 'n']));
    let mut named: Vec<&str> = lines.collect();
    let summary = named.pop().unwrap();
    let count = if expected.len() == 1 { "1 finding".to_owned() } else { format!("{} findings", expected.len()) };
    assert!(summary.contains(&count), "{summary}");
    named.sort_unstable();
    assert_eq!(named, found);
}

/// All that stands below a directory: kind, mode, length, times, and content or target.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut seen = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let meta = path.symlink_metadata().unwrap();
        let what = if meta.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            String::new()
        } else if meta.is_symlink() {
            std::fs::read_link(&path).unwrap().display().to_string()
        } else {
            blake3::hash(&std::fs::read(&path).unwrap()).to_string()
        };
        let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
        seen.insert(path, format!("{:o} {} {times:?} {what}", meta.mode(), meta.len()));
    }
    seen
}

#[test]
fn why_names_the_file_and_shows_the_text_runs_later_too() {
    let project = project();
    let first = project.build();
    edit(&project, "prompts/plain.txt", "exact span", "shortest span");
    let second = project.build();
    edit(&project, "prompts/rules.txt", "I don't know", "unknown");
    let third = project.build();
    edit(&project, "prompts/control.txt", "questions", "all questions");
    project.build();
    let [first, second, third] = [&first, &second, &third].map(run_id);

    let diff = "  file prompts/plain.txt (system): HASH -> HASH
    --- prompts/plain.txt
    +++ prompts/plain.txt
    @@ -1,2 +1,2 @@
    -Copy the exact span.
    +Copy the shortest span.
     Nothing else.
";
    let text = project.exp(&["why", "build", "--run", second]).expect_code(0).stdout;
    let expected = format!(
        "run {second}, compared with run {first}\n\
         4 of 6 actions were reused: their specifications were known\n\
         build/reader/t0/mill/plain/00000 ran (input changed: system)\n\
         {diff}\
         build/reader/t0/mill/plain/00001 ran (input changed: system)\n  for the same causes as above\n"
    );
    assert_eq!(without_hashes(&text), expected, "{text}");
    // What comes of it names the same file, by the way that it took.
    let text = project.exp(&["why", "infer", "--run", second]).expect_code(0).stdout;
    assert!(text.contains("(through build/reader/t0/mill/plain/00000)"), "{text}");
    assert!(text.contains("+Copy the shortest span."), "{text}");
    // The run as a whole.
    let text = project.exp(&["why", second]).expect_code(0).stdout;
    assert!(text.contains("+Copy the shortest span.") && !text.contains("unknown"), "{text}");
    // The next run's own edit, and over both at once.
    let text = project.exp(&["why", third]).expect_code(0).stdout;
    assert!(text.contains("file prompts/rules.txt (system)"), "{text}");
    assert!(text.contains("+If the answer is not in the passage, say: unknown."), "{text}");
    assert!(!text.contains("plain.txt"), "{text}");
    let text = project.exp(&["why", "build", "--run", third, "--against", first]).expect_code(0).stdout;
    assert!(text.contains("shortest") && text.contains("unknown") && !text.contains("all questions"), "{text}");
    // The newest, with nothing named.
    let text = project.exp(&["why", "build"]).expect_code(0).stdout;
    assert!(text.contains("+You answer all questions.") && !text.contains("shortest"), "{text}");

    let document = project.json(&["why", "build", "--run", second]);
    let actions = document["actions"].as_array().unwrap();
    let ran: Vec<&Value> = actions.iter().filter(|action| action["verdict"] == "ran").collect();
    assert_eq!(ran.len(), 2);
    for action in ran {
        let change = &action["causes"][0]["change"];
        assert_eq!((&change["kind"], &change["path"]), (&"file".into(), &"prompts/plain.txt".into()), "{action:#}");
        assert!(change["diff"].as_str().unwrap().contains("\n-Copy the exact span.\n+Copy the shortest span.\n"));
    }
}

/// Replaces the twelve digits of each hash in a line about a file.
fn without_hashes(text: &str) -> String {
    let line = |line: &str| -> String {
        let words = line.split(' ').map(|word| {
            let is_hash = word.len() == 12 && word.bytes().all(|b| b.is_ascii_hexdigit());
            if is_hash { "HASH" } else { word }
        });
        words.collect::<Vec<_>>().join(" ") + "\n"
    };
    text.lines().map(line).collect()
}

#[test]
fn why_names_an_item_a_decoding_value_and_a_scorer_setting() {
    let project = project();
    project.build();
    edit(&project, "data/mill.jsonl", "\"answers\":[\"40\"]", "\"answers\":[\"forty\"]");
    let item = project.build();
    edit(&project, "config/eval_config.yaml", "max_output_tokens: 64", "max_output_tokens: 32");
    let decoding = project.build();
    edit(&project, "config/eval_config.yaml", "ignore_case: false", "ignore_case: true");
    let scorer = project.build();

    let text = project.exp(&["why", "prepare", "--run", run_id(&item)]).expect_code(0).stdout;
    assert!(text.contains("prepare/mill ran (input changed: source)\n  file data/mill.jsonl (source): "), "{text}");
    let changed: Vec<&str> =
        text.lines().filter(|line| line.starts_with("    -{") || line.starts_with("    +{")).collect();
    assert_eq!(changed.len(), 2, "{text}");
    assert!(changed[0].contains(r#""answers":["40"]"#) && changed[1].contains(r#""answers":["forty"]"#), "{text}");
    let text = project.exp(&["why", "score", "--run", run_id(&item)]).expect_code(0).stdout;
    assert!(text.contains("file data/mill.jsonl (source)") && text.contains("(through prepare/mill)"), "{text}");

    let text = project.exp(&["why", "infer", "--run", run_id(&decoding)]).expect_code(0).stdout;
    assert!(text.contains("  parameter decoding.max_output_tokens: 64 -> 32 (through build/"), "{text}");
    assert!(!text.contains("file "), "{text}");

    let text = project.exp(&["why", "score", "--run", run_id(&scorer)]).expect_code(0).stdout;
    assert!(text.contains("  parameter scorers[1].scorer.settings.exact.ignore_case: false -> true\n"), "{text}");
    let text = project.exp(&["why", "parse", "--run", run_id(&scorer)]).expect_code(0).stdout;
    assert!(text.contains("6 of 6 actions were reused"), "{text}");
}

#[test]
fn an_audit_passes_and_writes_nothing() {
    let project = project();
    let built = project.build();
    let before = snapshot(&project.dir());
    let text = project.exp(&["audit"]).expect_code(0).stdout;
    assert!(text.starts_with(&format!("{}: sound · 23 views, ", run_id(&built))), "{text}");
    assert!(text.contains(" 34 actions, 12 answers checked · root "), "{text}");
    let document = project.json(&["audit", run_id(&built)]);
    assert_eq!((&document["sound"], &document["report"]["root"]), (&true.into(), &built["root"]));
    assert_eq!(document["report"]["findings"], Value::Array(vec![]));
    let text = project.exp(&["audit", "--rerun"]).expect_code(0).stdout;
    let distinct: std::collections::BTreeSet<String> = project.actions(&built).into_values().map(|a| a.key).collect();
    assert!(text.contains(&format!("note: {} actions were executed again", distinct.len())), "{text}");
    project.exp(&["audit", "--inputs"]).expect_code(0);
    assert_eq!(snapshot(&project.dir()), before);

    edit(&project, "prompts/rules.txt", "passage", "text");
    let before = snapshot(&project.dir());
    let text = project.exp(&["audit", "--inputs"]).expect_code(3).stdout;
    let changed: Vec<&str> = text.lines().filter(|line| line.starts_with("changed since: ")).collect();
    assert_eq!(changed.len(), 1, "{text}");
    assert!(changed[0].starts_with("changed since: prompts/rules.txt: "), "{text}");
    let document = project.exp(&["audit", "--inputs", "--json"]).expect_code(3).json();
    assert_eq!((&document["sound"], document["inputs_changed"].as_array().unwrap().len()), (&true.into(), 1));
    // Without the question the edit is no damage: the run is what it was.
    project.exp(&["audit"]).expect_code(0);
    std::fs::remove_file(project.path("prompts/rules.txt")).unwrap();
    let text = project.exp(&["audit", "--inputs"]).expect_code(3).stdout;
    assert!(text.contains("prompts/rules.txt") && text.contains("cannot be read now"), "{text}");
    project.file("prompts/rules.txt", RULES.replace("passage", "text"));
    let after = snapshot(&project.dir());
    let below = |snapshot: &BTreeMap<PathBuf, String>, name: &str| -> BTreeMap<PathBuf, String> {
        let within = |path: &PathBuf| path.starts_with(project.path(name));
        snapshot.iter().filter(|(path, _)| within(path)).map(|(path, text)| (path.clone(), text.clone())).collect()
    };
    for name in ["store", "experiments", "config", "data"] {
        assert_eq!(below(&after, name), below(&before, name), "{name}");
    }
}

#[test]
fn a_flipped_byte_in_a_blob_is_named_alone() {
    let project = project();
    let built = project.build();
    for (label, name) in [
        ("prepare/mill", "items/00000"),
        ("build/reader/t0/mill/control/00000", "requests"),
        ("infer/reader/t0/mill/rules/00001", "answers"),
        ("merge/reader-plain-mx64-64", "predictions.csv"),
        ("aggregate", "aggregate_report.md"),
    ] {
        let blob = output(&project, &built, label, name);
        let path = blob_path(&project, &blob);
        for at in [0, path.metadata().unwrap().len() as usize - 1] {
            flip(&path, at);
            let before = snapshot(&project.dir());
            names_exactly(&project, &[&format!("blob {blob}")]);
            assert_eq!(snapshot(&project.dir()), before, "an audit of damage writes nothing");
            flip(&path, at);
            project.exp(&["audit"]).expect_code(0);
        }
    }
}

#[test]
fn each_kind_of_damage_is_named_and_nothing_else() {
    let project = project();
    let built = project.build();
    let dir = run_dir(&built);
    let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
    let slug = "reader-plain-mx64-64";

    // A link to another blob; and two links, exchanged.
    let costs = dir.join(slug).join("results/costs.json");
    let other = dir.join("reader-rules-mx64-64/results/costs.json");
    let [target, other_target] = [&costs, &other].map(|path| std::fs::read_link(path).unwrap());
    let link = |path: &Path, target: &Path| {
        std::fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    };
    link(&costs, &other_target);
    names_exactly(&project, &[&format!("{name}/{slug}/results/costs.json")]);
    link(&other, &target);
    let other_name = format!("{name}/reader-rules-mx64-64/results/costs.json");
    names_exactly(&project, &[&format!("{name}/{slug}/results/costs.json"), &other_name]);
    link(&costs, &target);
    link(&other, &other_target);
    project.exp(&["audit"]).expect_code(0);

    // An edited manifest: one digit of one count.
    let manifest = dir.join("multi_trial_manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("\"num_trials\": 2"), "{text}");
    std::fs::write(&manifest, text.replace("\"num_trials\": 2", "\"num_trials\": 3")).unwrap();
    names_exactly(&project, &[&format!("{name}/multi_trial_manifest.json")]);
    std::fs::write(&manifest, &text).unwrap();

    // An edited manifest of one trial.
    let trial = dir.join(slug).join("results/trial_manifest.json");
    let trial_text = std::fs::read_to_string(&trial).unwrap();
    std::fs::write(&trial, trial_text.replace("lexical", "language model")).unwrap();
    assert_ne!(std::fs::read_to_string(&trial).unwrap(), trial_text);
    names_exactly(&project, &[&format!("{name}/{slug}/results/trial_manifest.json")]);
    std::fs::write(&trial, &trial_text).unwrap();

    // A deleted blob.
    let blob = output(&project, &built, "score/reader/t0/mill/plain/00000", "scores");
    let path = blob_path(&project, &blob);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    names_exactly(&project, &[&format!("blob {blob}")]);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();

    // A file that nobody made; in a directory of its own, both.
    std::fs::write(dir.join(slug).join("notes.txt"), "mine\n").unwrap();
    names_exactly(&project, &[&format!("{name}/{slug}/notes.txt")]);
    std::fs::remove_file(dir.join(slug).join("notes.txt")).unwrap();

    // A view that is gone, and one that is a file of its own.
    let report = dir.join(slug).join("reports/report.md");
    let target = std::fs::read_link(&report).unwrap();
    let bytes = std::fs::read(&report).unwrap();
    std::fs::remove_file(&report).unwrap();
    names_exactly(&project, &[&format!("{name}/{slug}/reports/report.md")]);
    std::fs::write(&report, [&bytes[..], b"better\n"].concat()).unwrap();
    names_exactly(&project, &[&format!("{name}/{slug}/reports/report.md")]);
    link(&report, &target);

    // One byte of an action's record, and one answer of the draw log.
    let key = project.actions(&built)[&format!("stats/{slug}")].key.clone();
    let hex = key.strip_prefix("blake3:").unwrap();
    let record = project.path("store/actions").join(&hex[..2]).join(&hex[2..]);
    flip(&record, 300);
    names_exactly(&project, &[&format!("record of action {key}")]);
    flip(&record, 300);
    project.exp(&["audit"]).expect_code(0);

    // Everything at once.
    flip(&path, 10);
    link(&costs, &other_target);
    std::fs::write(&manifest, text.replace("\"num_trials\": 2", "\"num_trials\": 3")).unwrap();
    std::fs::write(dir.join("extra.csv"), "a,b\n").unwrap();
    let gone = output(&project, &built, "prepare/mill", "gold/00001");
    std::fs::remove_file(blob_path(&project, &gone)).unwrap();
    names_exactly(
        &project,
        &[
            &format!("blob {blob}"),
            &format!("blob {gone}"),
            &format!("{name}/multi_trial_manifest.json"),
            &format!("{name}/extra.csv"),
            &format!("{name}/{slug}/results/costs.json"),
        ],
    );
    let text = project.exp(&["audit", "--rerun"]).expect_code(3).stdout;
    assert!(text.contains("note: not executed again: what is stored is damaged"), "{text}");
}

#[test]
fn a_changed_answer_in_the_draw_log_is_named() {
    let project = project();
    let built = project.build();
    let draws = project.path("store/draws");
    let segment = std::fs::read_dir(&draws).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&segment).unwrap();
    let at = text.lines().position(|line| line.contains("\"draw\":")).unwrap();
    let line_start: usize = text.lines().take(at).map(|line| line.len() + 1).sum();
    let answer = line_start + text.lines().nth(at).unwrap().find("\"text\":\"").unwrap() + 8;
    flip(&segment, answer);
    let found = subjects(&project.exp(&["audit", "--json", run_id(&built)]).expect_code(3));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("answers of `infer/reader/t0/mill/"), "{found:#?}");
}

/// Damages a blob, edits what makes the next build read it, and expects one build to mend all of it without asking.
#[track_caller]
fn heals(label: &str, name: &str, at: usize, sent: u64, change: impl Fn(&Project)) {
    let project = project();
    let built = project.build();
    let blob = output(&project, &built, label, name);
    flip(&blob_path(&project, &blob), at);
    change(&project);
    let again = project.exp(&["build", "--json"]).expect_code(0);
    let document = again.json();
    assert_eq!((&document["state"], &document["requests"]["sent"]), (&"complete".into(), &sent.into()), "{document:#}");
    assert_eq!(document["actions"]["failed"], 0);
    assert!(again.stderr.contains(&format!("store: blob {blob} is damaged")), "{}", again.stderr);
    assert!(again.stderr.lines().any(|line| line == "1 damaged blob is made again"), "{}", again.stderr);
    assert!(project.ran(&document).contains(&label.to_owned()), "{:?}", project.ran(&document));
    project.exp(&["audit"]).expect_code(0);
    project.exp(&["audit", run_id(&built)]).expect_code(0);
    // Nothing of it is left to do.
    assert_eq!(project.build()["actions"]["executed"], 0);
}

#[test]
fn a_build_mends_a_damaged_blob_that_it_reads() {
    let prompt = |project: &Project| edit(project, "prompts/plain.txt", "exact", "shortest");
    let extract = |project: &Project| {
        edit(project, "config/eval_config.yaml", "    scorers:", "    answer: {extract: '(.*)'}\n    scorers:");
    };
    // In a text; and in what holds the text together, so that it cannot even be parsed.
    for at in [60, 0] {
        heals("prepare/mill", "items/00000", at, 4, prompt);
        heals("infer/reader/t0/mill/plain/00000", "answers", at, 0, extract);
    }
    heals("parse/reader/t0/mill/rules/00001", "parsed", 20, 0, |project| {
        edit(project, "config/eval_config.yaml", "ignore_case: false", "ignore_case: true");
    });
}

#[test]
fn a_build_mends_several_damaged_blobs_at_once() {
    let project = project();
    let built = project.build();
    for (label, name) in [("prepare/mill", "items/00001"), ("prepare/mill", "gold/00000")] {
        flip(&blob_path(&project, &output(&project, &built, label, name)), 10);
    }
    for part in ["00000", "00001"] {
        let label = format!("infer/reader/t0/mill/control/{part}");
        flip(&blob_path(&project, &output(&project, &built, &label, "answers")), 10);
        let label = format!("build/reader/t0/mill/control/{part}");
        flip(&blob_path(&project, &output(&project, &built, &label, "requests")), 10);
    }
    edit(&project, "config/eval_config.yaml", "    scorers:", "    answer: {extract: '(.*)'}\n    scorers:");
    edit(&project, "prompts/plain.txt", "exact", "shortest");
    let again = project.build();
    assert_eq!(again["requests"]["sent"], 4, "{again:#}");
    project.exp(&["audit"]).expect_code(0);
    project.exp(&["audit", run_id(&built)]).expect_code(0);
}
