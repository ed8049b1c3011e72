//! A draw is sent once: for all trials, parts, runs and processes that want it.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where what it reads is not as it should be.
#![allow(clippy::format_push_string, clippy::format_collect)] // It is not in a hurry.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::process::{Child, Stdio};

use serde_json::Value;
use support::{Project, run_dir, slugs};

/// The prompts of the nine treatments: enough words of difference that answers differ too.
const PROMPTS: [&str; 9] = [
    "Answer in one word.",
    "Copy the exact span and nothing else.",
    "Answer only if you are certain. When in doubt, reply \"I don't know.\"",
    "Answer in at most three words.",
    "Answer in a full sentence.",
    "You like the sea.",
    "You like the hills, and all that grows there.",
    "Be quick.",
    "If the passage does not contain the answer, reply \"I don't know.\"",
];

const ITEMS: usize = 14;

/// Says what a config is made of.
struct Setup {
    sets: usize,
    draws: u32,
    parts: u32,
    salt: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { sets: 8, draws: 3, parts: 6, salt: false }
    }
}

impl Setup {
    fn config(&self) -> String {
        let mut sets = String::new();
        for n in 0..self.sets {
            sets.push_str(&format!("  s{n}: prompts/{n}.txt\n"));
        }
        if self.salt {
            sets.push_str("  aa: {treatment: {system: prompts/control.txt, draw_salt: aa}}\n");
        }
        format!(
            "version: 1\n\
             models: [{{name: m, provider: lexical}}]\n\
             datasets:\n  d:\n    path: data/d.jsonl\n    \
             fields: {{id: id, question: question, answers: answers, context: context}}\n\
             control: prompts/control.txt\n\
             prompt_sets:\n{sets}\
             decoding: {{temperature: 0.7, max_output_tokens: 30}}\n\
             draws: {}\n\
             analysis: {{bootstrap_samples: 50, permutation_samples: 50}}\n\
             parts_per_dataset: {}\n",
            self.draws, self.parts
        )
    }
}

fn row(n: usize) -> String {
    format!(
        "{{\"id\":\"i{n}\",\"question\":\"Who opened the bridge number {n}?\",\"answers\":[\"Ada Pell\"],\
         \"context\":\"The bridge number {n} was opened by Ada Pell in {}. Jon Abel drew it. It is {} metres long, and \
         Mina Holt paid for it.\"}}\n",
        1800 + n,
        10 + n
    )
}

fn project(items: usize) -> Project {
    let project = Project::in_memory();
    project.file("data/d.jsonl", (0..items).map(row).collect::<String>());
    project.file("prompts/control.txt", "You answer questions.\n");
    for (n, text) in PROMPTS.iter().enumerate() {
        project.file(&format!("prompts/{n}.txt"), format!("{text}\n"));
    }
    project
}

fn build(project: &Project, setup: &Setup, args: &[&str]) -> Value {
    project.config(&setup.config());
    let built = project.json(&[&["build"], args].concat());
    assert_eq!(built["state"], "complete", "{built:#}");
    built
}

fn requests(built: &Value, what: &str) -> u64 {
    built["requests"][what].as_u64().unwrap()
}

/// The addresses of all draws in the log, in its order. Fails where there is a second value for one.
#[track_caller]
fn log(project: &Project) -> Vec<String> {
    let mut addresses = Vec::new();
    for entry in std::fs::read_dir(project.path("store/draws")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines() {
            let (_, json) = line.split_once(' ').unwrap();
            let line: Value = serde_json::from_str(json).unwrap();
            assert!(line.get("surplus").is_none(), "sent twice: {json}");
            assert!(line.get("failure").is_none(), "failed: {json}");
            addresses.extend(line["draw"].as_str().map(str::to_owned));
        }
    }
    let distinct: BTreeSet<&String> = addresses.iter().collect();
    assert_eq!(distinct.len(), addresses.len(), "an address stands twice in the log");
    addresses
}

/// The trials' files: what each shows, and where it points to.
fn files(built: &Value, slugs: &[String]) -> BTreeMap<String, (Vec<u8>, std::path::PathBuf)> {
    let mut files = BTreeMap::new();
    for slug in slugs {
        for folder in ["results", "reports"] {
            let dir = run_dir(built).join(slug).join(folder);
            for entry in std::fs::read_dir(&dir).unwrap() {
                let path = entry.unwrap().path();
                // These name the run.
                let is_result =
                    !["trial_manifest.json", "provenance.md"].map(OsStr::new).contains(&path.file_name().unwrap());
                if is_result {
                    let name = format!("{slug}/{folder}/{}", path.file_name().unwrap().to_str().unwrap());
                    files.insert(name, (std::fs::read(&path).unwrap(), path.canonicalize().unwrap()));
                }
            }
        }
    }
    files
}

#[test]
fn eight_prompt_sets_ask_their_control_once_and_a_ninth_asks_for_itself_alone() {
    let project = project(ITEMS);
    let eight = build(&project, &Setup::default(), &[]);
    let each = (ITEMS * 3) as u64;
    assert_eq!(requests(&eight, "sent"), (8 + 1) * each);
    assert_eq!(requests(&eight, "reused"), 0);
    assert_eq!(log(&project).len() as u64, (8 + 1) * each);
    let controls: Vec<String> =
        project.ran(&eight).into_iter().filter(|label| label.starts_with("infer/m/t07/d/control/")).collect();
    let inferred = project.ran(&eight).into_iter().filter(|label| label.starts_with("infer/")).count();
    assert_eq!(inferred, controls.len() * 9, "one control for eight treatments");
    let trials = slugs(&eight);
    assert_eq!(trials.len(), 8);
    let before = files(&eight, &trials);
    assert_eq!(before.len(), 8 * 9);

    let nine = build(&project, &Setup { sets: 9, ..Setup::default() }, &[]);
    assert_eq!(requests(&nine, "sent"), each);
    assert_eq!(requests(&nine, "reused"), 9 * each);
    assert_eq!(log(&project).len() as u64, 10 * each);
    assert_ne!(nine["run_id"], eight["run_id"]);
    assert_ne!(nine["root"], eight["root"]);
    assert_eq!(files(&nine, &trials), before, "the eight trials' files are as they were, and the same blobs");
    for label in project.ran(&nine) {
        let is_ninth = label.contains("/s8/") || label.contains("-s8-") || label == "aggregate";
        assert!(is_ninth, "{label}");
    }
}

#[test]
fn more_draws_send_what_is_missing() {
    let project = project(ITEMS);
    let setup = Setup { sets: 2, ..Setup::default() };
    let three = build(&project, &setup, &[]);
    assert_eq!(requests(&three, "sent"), (ITEMS * 3 * 3) as u64);
    let before: BTreeSet<String> = log(&project).into_iter().collect();
    let five = build(&project, &Setup { draws: 5, ..setup }, &[]);
    assert_eq!(requests(&five, "sent"), (ITEMS * 3 * 2) as u64);
    assert_eq!(requests(&five, "reused"), (ITEMS * 3 * 3) as u64);
    let new: Vec<String> = log(&project).into_iter().filter(|address| !before.contains(address)).collect();
    let numbers: BTreeSet<&str> = new.iter().map(|address| address.rsplit('/').next().unwrap()).collect();
    assert_eq!(numbers, BTreeSet::from(["3", "4"]));
    // And back: all is there.
    let again = build(&project, &Setup { sets: 2, ..Setup::default() }, &[]);
    assert_eq!((requests(&again, "sent"), &again["root"]), (0, &three["root"]));
}

#[test]
fn other_parts_send_nothing_and_show_the_same() {
    let project = project(40);
    let setup = Setup { sets: 2, ..Setup::default() };
    let six = build(&project, &setup, &[]);
    assert_eq!(requests(&six, "sent"), 40 * 3 * 3);
    for flags in [["--parts-per-dataset", "24"], ["--parts_per_dataset", "1"], ["--lines-per-part", "7"]] {
        let other = build(&project, &setup, &[&flags[..], &["--run-id", flags[1]]].concat());
        assert_eq!(requests(&other, "sent"), 0, "{flags:?}");
        assert_eq!(requests(&other, "reused"), 40 * 3 * 3, "{flags:?}");
        assert_eq!(other["root"], six["root"], "{flags:?}");
        let ran = project.ran(&other);
        let is_below_parts = |label: &String| label.matches('/').count() < 2 && !label.starts_with("prepare/");
        let reported: Vec<&String> = ran.iter().filter(|label| is_below_parts(label)).collect();
        // Merge reads other blobs, and makes the same tables of them.
        assert!(reported.iter().all(|label| label.starts_with("merge/")), "{reported:?}");
    }
    assert_eq!(log(&project).len(), 40 * 3 * 3);
}

#[test]
fn one_more_row_asks_for_one_part() {
    let project = project(ITEMS);
    let setup = Setup { sets: 1, ..Setup::default() };
    build(&project, &setup, &[]);
    for n in ITEMS..ITEMS + 5 {
        project.file("data/d.jsonl", (0..=n).map(row).collect::<String>());
        let built = build(&project, &setup, &[]);
        assert_eq!(requests(&built, "sent"), 2 * 3, "row {n}");
        let ran = project.ran(&built);
        let parts = |step: &str| -> BTreeSet<String> {
            let labels = ran.iter().filter(|label| label.starts_with(step));
            labels.map(|label| label.rsplit('/').next().unwrap().to_owned()).collect()
        };
        for step in ["build/", "infer/", "parse/", "score/"] {
            assert_eq!(parts(step), parts("build/"), "row {n}: {step}");
            assert_eq!(ran.iter().filter(|label| label.starts_with(step)).count(), 2, "row {n}: {step}");
        }
        assert_eq!(parts("infer/").len(), 1, "row {n}");
    }
    log(&project);
}

#[test]
fn equal_requests_share_draws_and_a_salt_asks_for_its_own() {
    let project = project(ITEMS);
    let each = (ITEMS * 3) as u64;
    // Without a salt, a treatment that is the control's own prompt is the control.
    project.file("prompts/0.txt", "You answer questions.\n");
    let shared = build(&project, &Setup { sets: 1, ..Setup::default() }, &[]);
    assert_eq!(requests(&shared, "sent"), each);
    let scores = |built: &Value, slug: &str| -> BTreeMap<String, Vec<String>> {
        let text = project.run_file(built, &format!("{slug}/results/predictions.csv"));
        let mut arms: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for mut row in support::csv_rows(&text) {
            let arm = row.remove("condition").unwrap();
            row.remove("custom_id");
            arms.entry(arm).or_default().push(format!("{row:?}"));
        }
        arms
    };
    let arms = scores(&shared, &slugs(&shared)[0]);
    assert_eq!(arms["control"].len() as u64, each);
    assert_eq!(arms["control"], arms["treatment"]);

    let salted = build(&project, &Setup { sets: 1, salt: true, ..Setup::default() }, &[]);
    assert_eq!(requests(&salted, "sent"), each);
    let slug = slugs(&salted).into_iter().find(|slug| slug.contains("-aa-")).unwrap();
    let arms = scores(&salted, &slug);
    assert_ne!(arms["control"], arms["treatment"], "at this temperature, draws of one's own differ");
    assert_eq!(log(&project).len() as u64, 2 * each);
}

fn start(project: &Project, parts: &str) -> Child {
    let mut command = project.command(&["build", "--json", "--parts-per-dataset", parts]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn end(child: Child) -> Value {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let built: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(built["state"], "complete", "{built:#}");
    built
}

#[test]
fn two_builds_at_once_send_each_draw_once() {
    const MANY: usize = 120;
    let mut shared = 0;
    for round in 0..10 {
        let project = project(MANY);
        project.config(&Setup { sets: 2, ..Setup::default() }.config());
        let (six, twenty_four) = (start(&project, "6"), start(&project, "24"));
        let built = [end(six), end(twenty_four)];
        let sent: Vec<u64> = built.iter().map(|built| requests(built, "sent")).collect();
        let wanted = (MANY * 3 * 3) as u64;
        assert_eq!(sent.iter().sum::<u64>(), wanted, "round {round}: {sent:?}");
        assert_eq!(log(&project).len() as u64, wanted, "round {round}");
        for built in &built {
            assert_eq!(requests(built, "sent") + requests(built, "reused"), wanted, "round {round}");
        }
        assert_eq!(built[0]["root"], built[1]["root"], "round {round}");
        shared += usize::from(sent.iter().all(|sent| *sent > 0));
        // Nothing is left over that a later build would stumble on.
        let again = project.json(&["build", "--parts-per-dataset", "24"]);
        assert_eq!((requests(&again, "sent"), &again["root"]), (0, &built[0]["root"]), "round {round}");
        project.exp(&["audit"]).expect_code(0);
    }
    // Not a demand: on a slow machine one may be done before the other starts.
    println!("in {shared} of 10 rounds both builds sent some of the draws");
}

#[test]
fn builds_of_one_or_two_configs_at_once_end_in_runs_of_their_own() {
    for round in 0..20 {
        let project = project(ITEMS);
        let second = 1 + round % 2;
        project.file("config/one.yaml", Setup { sets: 1, ..Setup::default() }.config());
        project.file("config/two.yaml", Setup { sets: second, ..Setup::default() }.config());
        let start = |config: &str| {
            let mut command = project.command(&["build", "--json", "--config", config]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let (one, two) = (start("config/one.yaml"), start("config/two.yaml"));
        let built = [end(one), end(two)];
        if second == 2 {
            assert_ne!(built[0]["run_id"], built[1]["run_id"], "round {round}");
        } else {
            assert_eq!(built[0]["root"], built[1]["root"], "round {round}");
        }
        for (built, trials) in built.iter().zip([1, second]) {
            let manifest = project.manifest(built);
            assert_eq!((&manifest["run_id"], &manifest["root"]), (&built["run_id"], &built["root"]), "round {round}");
            assert_eq!(manifest["trials"].as_array().unwrap().len(), trials, "round {round}");
            let id = built["run_id"].as_str().unwrap();
            project.exp(&["audit", id]).expect_code(0);
        }
        assert_eq!(log(&project).len(), ITEMS * 3 * (1 + second), "round {round}");
        let left: Vec<String> = std::fs::read_dir(project.path("experiments"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with('.'))
            .collect();
        assert!(left.is_empty(), "round {round}: {left:?}");
        assert!(project.path("experiments/latest").exists(), "round {round}");
    }
}

/// What differs in a field that no label shows is still told apart.
#[test]
fn every_action_has_a_label_of_its_own() {
    let project = project(2);
    let points = "{top_p: 0.9}, {top_p: 0.8}, {top_k: 3}, {name: t07, top_k: 4}, {name: x}";
    let config = Setup { sets: 2, ..Setup::default() }
        .config()
        .replace("m, provider: lexical", "m, provider: ollama, num_ctx: 512");
    project.config(&format!("{config}sweep: {{decoding: [{points}]}}\n"));
    let plan = project.json(&["plan"]);
    let mut keys: BTreeMap<String, Value> = BTreeMap::new();
    for node in plan["nodes"].as_array().unwrap() {
        let label = node["label"].as_str().unwrap().to_owned();
        assert!(keys.insert(label, node["key"].clone()).is_none(), "two actions are called {}", node["label"]);
    }
    let plain = keys.keys().filter(|label| label.starts_with("infer/m/t07-")).count();
    assert_eq!(plain % 4, 0, "four points are told apart");
    assert_ne!(plain, 0);
}
