//! One config and one set of answers make one root, wherever, whenever and however they are built; and a plan is only
//! looked at.
//!
//! `EXP_DETERMINISM` says how many builds there are in [`one_root_whoever_builds_it_and_wherever`] (8 unless set).

#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where what it reads is not as it should be.
#![allow(clippy::format_push_string, clippy::format_collect)] // It is not in a hurry.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{Project, run};

const CONFIG: &str = r"version: 1
providers:
  reader: {kind: lexical, corpus: data/corpus.jsonl}
models:
  - {name: m, provider: reader, price: {input: 1, output: 2}}
datasets:
  open:
    path: data/open.jsonl
    fields: {id: id, question: question, answers: answers, context: context, group: group}
    scorers: [qa, includes, {exact: {ignore_case: true}}]
  closed:
    path: data/closed.jsonl
    fields: {id: id, question: question, answers: answers, group: group}
control: prompts/control.txt
prompt_sets:
  a: prompts/a.txt
  b: {treatment: {system: prompts/b.txt, prefill: prompts/prefill.txt}}
sweep:
  decoding:
    - {name: t0, temperature: 0}
    - {name: t1, temperature: 1, draws: 3, seed: per_draw}
analysis: {bootstrap_samples: 300, permutation_samples: 300, cluster: group}
parts_per_dataset: 5
";

/// Names with letters that locales treat in their own ways.
const PEOPLE: [&str; 6] = ["Iris Işık", "Ada Pell", "Özlem Ilgaz", "Jon Åbel", "Zoë Straße", "Mina Holt"];

fn fill(project: &Project) {
    let (mut open, mut closed, mut corpus) = (String::new(), String::new(), String::new());
    for n in 0..30 {
        let (who, group) = (PEOPLE[n % PEOPLE.len()], n % 7);
        let text = format!("The INN of İzel {n} was opened by {who} in {}. It has {} rooms.", 1700 + n, 3 + n);
        let question = format!("Who opened the inn of İzel {n}?");
        let row = serde_json::json!({"id": format!("Ï{n}"), "question": question, "answers": [who], "group": format!("g{group}")});
        closed.push_str(&format!("{row}\n"));
        let mut row = row;
        row["context"] = text.clone().into();
        open.push_str(&format!("{row}\n"));
        corpus.push_str(&format!("{}\n", serde_json::json!({"title": format!("İzel {n}"), "text": text})));
    }
    project.file("data/open.jsonl", open).file("data/closed.jsonl", closed).file("data/corpus.jsonl", corpus);
    project.file("prompts/control.txt", "You answer questions.\n").file("prompts/a.txt", "Answer in one word.\n");
    project.file("prompts/b.txt", "Copy the exact span.\n").file("prompts/prefill.txt", "It was \n");
    project.config(CONFIG);
}

/// What a build made: its root, and the keys of its actions.
#[track_caller]
fn made(project: &Project, built: &Value) -> (Value, BTreeMap<String, String>) {
    assert_eq!(built["state"], "complete", "{built:#}");
    assert_eq!(built["requests"]["reused"], 0, "a fresh store has no answers");
    let keys = project.actions(built).into_iter().map(|(label, action)| (label, action.key)).collect();
    (built["root"].clone(), keys)
}

#[test]
fn one_root_whatever_the_threads_locale_time_zone_and_directory() {
    let project = Project::in_memory();
    fill(&project);
    let expected = made(&project, &project.build());
    let surroundings: [&[(&str, &str)]; 6] = [
        &[("RAYON_NUM_THREADS", "1"), ("EXP_MAX_CONCURRENT_JOBS", "1")],
        &[("RAYON_NUM_THREADS", "7"), ("EXP_MAX_CONCURRENT_JOBS", "50")],
        &[("TZ", "Pacific/Kiritimati"), ("LC_ALL", "C")],
        &[("TZ", "America/St_Johns"), ("LANG", "tr_TR.UTF-8"), ("LC_ALL", "tr_TR.UTF-8")],
        &[("LC_NUMERIC", "de_DE.UTF-8"), ("LC_COLLATE", "sv_SE.UTF-8")],
        &[("SOURCE_DATE_EPOCH", "0"), ("USER", "somebody"), ("HOSTNAME", "elsewhere")],
    ];
    for environment in surroundings {
        let project = Project::in_memory();
        fill(&project);
        let mut command = project.command(&["build", "--json"]);
        command.envs(environment.iter().copied());
        let built = run(&mut command).expect_code(0).json();
        assert_eq!(made(&project, &built), expected, "{environment:?}");
    }
}

#[test]
fn one_root_however_deep_the_directory_and_wherever_the_store() {
    let project = Project::in_memory();
    fill(&project);
    let expected = made(&project, &project.build());

    let deep = Project::in_memory();
    fill(&deep);
    let place = deep.dir().join("a b/c'd/é/f/g/h");
    std::fs::create_dir_all(&place).unwrap();
    for name in ["config", "data", "prompts"] {
        std::fs::rename(deep.path(name), place.join(name)).unwrap();
    }
    let built = run(deep.command(&["build", "--json"]).current_dir(&place)).expect_code(0).json();
    assert_eq!(made(&deep, &built), expected);

    let apart = Project::in_memory();
    fill(&apart);
    let store = apart.dir().with_file_name("elsewhere/store");
    let runs = apart.dir().with_file_name("elsewhere/runs");
    let flags = ["--store", store.to_str().unwrap(), "--experiments-dir", runs.to_str().unwrap()];
    let built = apart.json(&[&["build"], &flags[..]].concat());
    assert_eq!(made(&apart, &built), expected);
    assert!(!apart.path("store").exists() && !apart.path("experiments").exists());

    let outside = Project::in_memory();
    fill(&outside);
    let dir = outside.dir();
    let mut command = outside.command(&["-C", dir.to_str().unwrap(), "build", "--json", "--run-id", "named"]);
    let built = run(command.current_dir("/")).expect_code(0).json();
    assert_eq!(made(&outside, &built), expected);
}

#[test]
fn one_root_in_whatever_order_the_work_is_done() {
    let project = Project::in_memory();
    fill(&project);
    let (root, _) = made(&project, &project.build());

    // Piece by piece, and the whole at the end.
    let pieces = Project::in_memory();
    fill(&pieces);
    for flags in [
        &["--condition", "treatment", "--prompt-sets", "b"][..],
        &["--limit-items", "3"],
        &["--to-step", "infer", "--temps", "1"],
        &["--parts-per-dataset", "2", "--condition", "control"],
    ] {
        let built = pieces.json(&[&["build"], flags].concat());
        assert_eq!(built["state"], "partial", "{flags:?}");
    }
    assert_eq!(pieces.build()["root"], root);

    // In other parts from the start.
    let parts = Project::in_memory();
    fill(&parts);
    assert_eq!(parts.json(&["build", "--lines-per-part", "4"])["root"], root);

    // With trials, datasets and keys in another order.
    let order = Project::in_memory();
    fill(&order);
    let (head, rest) = CONFIG.split_once("  a: prompts/a.txt\n").unwrap();
    let (b, rest) = rest.split_once('\n').unwrap();
    let (t0, rest) = rest.split_once("    - {name: t0").unwrap();
    let (zero, rest) = rest.split_once('\n').unwrap();
    let (one, tail) = rest.split_once('\n').unwrap();
    order.config(&format!("{head}{b}\n  a: prompts/a.txt\n{t0}{one}\n    - {{name: t0{zero}\n{tail}"));
    assert_ne!(order.read("config/eval_config.yaml"), CONFIG);
    assert_eq!(order.build()["root"], root);

    // Everything again, in the same store.
    let forced = project.json(&["build", "--force", "--run-id", "again"]);
    assert_eq!((&forced["root"], &forced["requests"]["sent"]), (&root, &0.into()));
    assert_ne!(forced["actions"]["executed"], 0);
}

/// Are the surroundings that are mixed: a build gets one of each.
const THREADS: [(&str, &str); 8] =
    [("1", "1"), ("2", "1"), ("3", "8"), ("4", "2"), ("5", "50"), ("6", "3"), ("8", "4"), ("16", "16")];
const ZONES: [&str; 7] = [
    "UTC",
    "Pacific/Kiritimati",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Europe/Dublin",
    ":/nowhere",
    "EST5EDT,M3.2.0,M11.1.0",
];
const LOCALES: [&str; 8] =
    ["C", "POSIX", "C.UTF-8", "tr_TR.UTF-8", "de_DE.UTF-8", "sv_SE.UTF-8", "ja_JP.eucJP", "ar_EG.UTF-8"];
const UMASKS: [&str; 5] = ["022", "077", "000", "002", "027"];
const PLACES: [&str; 6] = ["p", "a b/c'd/é", "-x/..y", "İ/ı/ß", "d/d/d/d/d/d/d/d/d/d/d/d", "100%/$HOME/~"];
/// Are the users that builds run as, where this process may become another one.
const USERS: [u32; 5] = [0, 65_534, 1_000, 4_000_000, 31_337];

/// Picks one of several by the number of the build and by what is picked, so that all meet each other.
fn pick<T: Copy>(of: &[T], build: usize, what: &str) -> T {
    let digest = exp::digest::Digest::of(format!("{what} {build}").as_bytes());
    of[usize::from(digest.as_bytes()[0]) % of.len()]
}

/// Copies the binary to where every user may run it.
fn for_everybody() -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exp");
    std::fs::copy(env!("CARGO_BIN_EXE_exp"), &path).unwrap();
    for path in [dir.path(), &path] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    (dir, path)
}

/// Many builds, no two in the same surroundings: threads, time zone, locale, umask, directory, user, one processor or all of
/// them, order in which the inputs were written.
#[test]
fn one_root_whoever_builds_it_and_wherever() {
    let builds: usize = std::env::var("EXP_DETERMINISM").ok().map_or(8, |text| text.parse().unwrap());
    let (_dir, binary) = for_everybody();
    let has = |tool: &str| Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    let is_root = rustix::process::getuid().is_root();
    let may_be_others = is_root && has("setpriv");
    if !may_be_others {
        println!("skipped: user ids: this is not root, or setpriv is not here");
    }
    let users: &[u32] = if may_be_others { &USERS } else { &USERS[..1] };
    let mut seen: BTreeMap<&str, std::collections::BTreeSet<String>> = BTreeMap::new();
    let mut expected = None;
    for build in 0..builds {
        let (rayon, jobs) = pick(&THREADS, build, "threads");
        let (zone, locale) = (pick(&ZONES, build, "zone"), pick(&LOCALES, build, "locale"));
        let (umask, place) = (pick(&UMASKS, build, "umask"), pick(&PLACES, build, "place"));
        let user = pick(users, build, "user");
        let project = Project::in_memory();
        if build % 2 == 1 {
            // Written once, and then again: other inodes and times, and another order in the directory.
            fill(&project);
            for name in ["prompts", "data"] {
                std::fs::remove_dir_all(project.path(name)).unwrap();
            }
        }
        fill(&project);
        let place = project.dir().join("somewhere").join(place);
        std::fs::create_dir_all(&place).unwrap();
        for name in ["config", "data", "prompts"] {
            std::fs::rename(project.path(name), place.join(name)).unwrap();
        }
        let base = project.command(&[]);
        let mut command = Vec::new();
        if user != 0 && may_be_others {
            let owned =
                Command::new("chown").arg("-R").arg(user.to_string()).arg(project.dir().parent().unwrap()).status();
            assert!(owned.unwrap().success());
            let id = user.to_string();
            command.extend(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"].map(str::to_owned));
        }
        if build % 3 == 0 && has("taskset") {
            command.extend(["taskset", "-c", "0"].map(str::to_owned));
        }
        command.extend(["sh", "-c", "umask \"$0\" && exec \"$@\"", umask].map(str::to_owned));
        command.extend([binary.to_str().unwrap(), "build", "--json"].map(str::to_owned));
        let mut wrapped = Command::new(&command[0]);
        wrapped.args(&command[1..]).current_dir(&place).env_clear();
        wrapped.envs(base.get_envs().filter_map(|(name, value)| Some((name, value?))));
        wrapped.envs([("RAYON_NUM_THREADS", rayon), ("EXP_MAX_CONCURRENT_JOBS", jobs), ("TZ", zone)]);
        wrapped.envs([("LANG", locale), ("LC_ALL", locale), ("USER", "somebody")]);
        let surroundings = format!("{rayon}/{jobs} {zone} {locale} {umask} {} {user}", place.display());
        let built = run(&mut wrapped).expect_code(0).json();
        let made = made(&project, &built);
        for (what, value) in [
            ("thread counts", rayon.to_owned()),
            ("zones", zone.to_owned()),
            ("locales", locale.to_owned()),
            ("umasks", umask.to_owned()),
            ("directories", place.strip_prefix(project.dir()).unwrap().display().to_string()),
            ("users", user.to_string()),
        ] {
            seen.entry(what).or_default().insert(value);
        }
        let expected = expected.get_or_insert_with(|| made.clone());
        assert_eq!(&made, expected, "build {build}: {surroundings}");
    }
    let counts: Vec<String> = seen.iter().map(|(what, values)| format!("{} {what}", values.len())).collect();
    println!("{builds} builds, one root: {}", counts.join(", "));
    // The control: one byte of one prompt, and it is another root.
    let other = Project::in_memory();
    fill(&other);
    other.file("prompts/a.txt", "Answer in one word!\n");
    let other = made(&other, &other.build());
    assert_ne!(Some(other.0), expected.map(|(root, _)| root));
}

/// Every path below a directory, with its content and the time of its last change.
fn snapshot(dir: &Path) -> BTreeMap<std::path::PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let data = path.symlink_metadata().unwrap();
            let content = if data.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            if data.is_dir() {
                open.push(path.clone());
            }
            found.insert(path, (content, data.modified().unwrap()));
        }
    }
    found
}

#[test]
fn a_plan_writes_nothing() {
    let project = Project::in_memory();
    fill(&project);
    let root = project.dir().parent().unwrap().to_owned();
    let before = snapshot(&root);
    let looks = [&["plan"][..], &["build", "--dry-run"], &["plan", "--parts-per-dataset", "3"], &["status"], &["list"]];
    for args in looks {
        project.json(args);
        assert_eq!(snapshot(&root), before, "{args:?}");
    }
    assert!(!project.path("store").exists() && !project.path("experiments").exists());

    // What it foretells on a fresh project is what is sent.
    let plan = project.json(&["plan"]);
    let built = project.build();
    assert_eq!(plan["requests"]["to_send"], built["requests"]["sent"]);
    assert_eq!(plan["actions"]["total"], built["actions"]["total"]);
    let keys = project.actions(&built);
    let known = plan["nodes"].as_array().unwrap().iter().filter(|node| node["key"].is_string());
    for node in known {
        assert_eq!(node["key"], keys[node["label"].as_str().unwrap()].key, "{node}");
    }

    // With everything built, and with something to do.
    for change in
        [None, Some(("prompts/a.txt", "Answer in two words.\n")), Some(("data/corpus.jsonl", "A plain text.\n"))]
    {
        if let Some((path, text)) = change {
            project.file(path, text);
        }
        let before = snapshot(&root);
        for args in looks {
            project.json(args);
            let after = snapshot(&root);
            let differs: Vec<_> = after.iter().filter(|(path, seen)| before.get(*path) != Some(seen)).collect();
            assert!(
                after.len() == before.len() && differs.is_empty(),
                "{args:?}: {:?}",
                differs.iter().map(|d| d.0).collect::<Vec<_>>()
            );
        }
        let plan = project.json(&["plan"]);
        let built = project.build();
        assert_eq!(plan["requests"]["to_send"], built["requests"]["sent"], "{change:?}");
    }
}
