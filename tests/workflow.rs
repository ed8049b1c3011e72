//! The workflow of the predecessor's guide in our spelling, typed as it stands; and the first minutes of a new project.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use support::{Output, Project, run_dir, slugs};

/// Copies the bundled example's `config/` into a fresh project.
fn example() -> Project {
    let project = Project::in_memory();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config"), &project.path("config"));
    project
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::write(target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// Types a line at the project's root: `exp` and words without quotes.
#[track_caller]
fn typed(project: &Project, line: &str) -> Output {
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[0], "exp");
    project.exp(&words[1..]).expect_code(0)
}

/// The archives that `exp list` shows, by name, with their runs and states.
#[track_caller]
fn archives(project: &Project) -> Vec<(String, String, String)> {
    let list = project.json(&["list"]);
    let archives = list["archives"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{list:#}")).to_owned();
    archives.map(|a| (text(&a["name"]), text(&a["run"]["Ok"]["run_id"]), text(&a["run"]["Ok"]["state"]))).collect()
}

/// The last line of a build.
#[track_caller]
fn last_line(output: &Output) -> &str {
    output.stdout.lines().last().unwrap()
}

/// The run that a build's last line names.
#[track_caller]
fn run_of(output: &Output) -> String {
    let word = last_line(output).split(" · ").find_map(|part| part.strip_prefix("run_"));
    word.unwrap_or_else(|| panic!("{}", output.stdout)).to_owned()
}

const TREATMENT_ONLY: &str = "exp build --config config/eval_config.yaml --condition=treatment --parts_per_dataset=24 \
                              --max_concurrent_jobs=4 --resume --archive";

#[test]
fn every_command_of_the_guide_as_it_stands() {
    let project = example();
    // Clean workspace.
    for line in ["exp clean --dry_run", "exp clean"] {
        let text = typed(&project, line).stdout;
        assert_eq!(text, "nothing to clean: finished runs, archives and answers are kept\n");
    }

    // Run experiment.
    let built = typed(&project, "exp build --config config/eval_config.yaml --archive");
    let line = last_line(&built);
    assert!(
        line.starts_with("complete: 0 of 115 actions reused, 115 ran · 3,480 requests: 0 reused, 3,480 sent · "),
        "{line}"
    );
    let first = run_of(&built);
    assert!(
        built.stderr.contains(&format!("archive written: experiments/archives/t0-07_{first}.tar.zst")),
        "{}",
        built.stderr
    );
    let treatment = typed(&project, TREATMENT_ONLY);
    let line = last_line(&treatment);
    assert!(line.starts_with("partial: ") && line.contains(" · 2,784 requests: 2,784 reused, 0 sent · "), "{line}");
    let second = run_of(&treatment);

    // List all experiments.
    let short = typed(&project, "exp list").stdout;
    let long = typed(&project, "exp list -v").stdout;
    for run in [&first, &second] {
        assert!(short.contains(run.as_str()) && long.contains(run.as_str()), "{short}");
    }
    assert!(short.lines().any(|line| line.starts_with(&first) && line.ends_with("latest")), "{short}");
    assert!(long.contains("lexical-baseline-operational_only-mx64-64-t07") && long.len() > short.len(), "{long}");

    // Custom run ID, and skipped steps.
    let custom = typed(&project, "exp build --run_id my_custom_run --archive");
    assert_eq!(run_of(&custom), "my_custom_run");
    let skipped = typed(&project, "exp build --skip_prepare --skip_build --archive");
    assert!(last_line(&skipped).starts_with("up to date: 115 of 115 actions reused, 0 ran · "), "{}", skipped.stdout);

    // Manual archiving.
    let would = typed(&project, "exp archive --experiment_name t15_custom_experiment --dry_run").stdout;
    assert!(would.starts_with("would write experiments/archives/t15_custom_experiment.tar.zst: run "), "{would}");
    assert_eq!(archives(&project).len(), 3);
    typed(&project, "exp archive --experiment_name t15_custom_experiment");
    let names = archives(&project);
    let expected = [
        ("t0-07_my_custom_run".to_owned(), "my_custom_run".to_owned(), "complete".to_owned()),
        (format!("t0-07_{first}"), first.clone(), "complete".to_owned()),
        (format!("t0-07_{second}"), second.clone(), "partial".to_owned()),
        ("t15_custom_experiment".to_owned(), run_of(&skipped), "complete".to_owned()),
    ];
    assert_eq!(names.iter().collect::<BTreeSet<_>>(), expected.iter().collect::<BTreeSet<_>>());
    let text = typed(&project, "exp list").stdout;
    assert!(names.iter().all(|(name, ..)| text.contains(name.as_str())), "{text}");

    // Compare experiments, by the names of archives, and with the run itself.
    let line = format!("exp compare --run1 t0-07_{first} --run2 t15_custom_experiment");
    let text = typed(&project, &line).stdout;
    assert!(text.starts_with(&format!("A  t0-07_{first}  run {first} · complete · ")), "{text}");
    assert!(
        text.contains("\nB  t15_custom_experiment  run ") && text.contains("both show the very same files"),
        "{text}"
    );
    let text = typed(&project, &format!("exp compare --run1 t15_custom_experiment --run2 t0-07_{second}")).stdout;
    assert!(text.contains(" · partial · ") && text.contains("items in both: 116;"), "{text}");
    typed(&project, &format!("exp compare {first} t15_custom_experiment"));

    // Clean.
    let experiments = archives(&project);
    typed(&project, "exp clean --clean_prepared --dry_run");
    typed(&project, "exp clean --clean_prepared");
    typed(&project, "exp clean");
    assert_eq!(archives(&project), experiments);
    let again = typed(&project, "exp build");
    assert!(last_line(&again).starts_with("up to date: "), "{}", again.stdout);
    assert!(last_line(&again).contains(" 0 sent · "), "{}", again.stdout);
    // Archives are there although the runs' directories are not.
    let moved = project.path("moved.tar.zst");
    std::fs::rename(project.path("experiments/archives/t15_custom_experiment.tar.zst"), &moved).unwrap();
    std::fs::remove_dir_all(project.path("experiments")).unwrap();
    std::fs::create_dir_all(project.path("experiments/archives")).unwrap();
    std::fs::rename(&moved, project.path("experiments/archives/t15_custom_experiment.tar.zst")).unwrap();
    typed(&project, &format!("exp compare --run1 {first} --run2 t15_custom_experiment"));
    typed(&project, "exp audit t15_custom_experiment");
}

#[test]
fn the_guides_treatment_build_needs_no_earlier_run() {
    let project = example();
    let built = typed(&project, TREATMENT_ONLY);
    let line = last_line(&built);
    assert!(line.starts_with("partial: ") && line.contains(" · 2,784 requests: 0 reused, 2,784 sent · "), "{line}");
    let run = run_of(&built);
    assert!(built.stderr.contains("archive written: "), "{}", built.stderr);
    assert_eq!(archives(&project), [(format!("t0-07_{run}"), run.clone(), "partial".to_owned())]);
    let manifest: Value =
        serde_json::from_str(&project.read(&format!("experiments/run_{run}/multi_trial_manifest.json"))).unwrap();
    let labels: Vec<&str> =
        manifest["actions"].as_array().unwrap().iter().map(|action| action["label"].as_str().unwrap()).collect();
    assert!(!labels.iter().any(|label| label.contains("/control/")));
    let parts = labels.iter().filter(|label| label.starts_with("infer/lexical-baseline/t0/open_book/cautious/"));
    assert!((20..=24).contains(&parts.count()), "72 items in 24 parts leave few of them empty");

    // What it asked is not asked again.
    let whole = project.build();
    assert_eq!(whole["requests"], json!({"total": 3480, "reused": 2784, "sent": 696, "failed": 0}));
    // Comparing what both have: only the treatments.
    let line = format!("exp compare --run1 t0-07_{run} --run2 {}", whole["run_id"].as_str().unwrap());
    let text = typed(&project, &line).stdout;
    assert!(text.contains("items in both: 116; changed: 0; only in A: 0; only in B: 0"), "{text}");
    assert!(text.contains("answers in A, treatment: ") && !text.contains("answers in A, control: "), "{text}");
    assert!(text.contains("answers in B, control: "), "{text}");
}

#[test]
fn a_clean_removes_what_an_unfinished_run_left() {
    let project = example();
    project.build();
    let list = project.json(&["list"]);
    // Recordings of nobody: a run that fails and stays unfinished.
    project.file("t.csv", "id,text\nnobody,nothing\n").file(
        "config/tape.yaml",
        "\
providers: {tape: {kind: replay}}
models:
  - name: tape
    provider: tape
    recordings:
      closed_book:
        control: {path: t.csv, fields: {key: id, text: text}}
        cautious: {path: t.csv, fields: {key: id, text: text}}
datasets:
  closed_book:
    path: config/data/closed_book.jsonl
    fields: {id: id, question: question, answers: answers}
control: config/prompts/control_system.txt
prompt_sets: {cautious: config/prompts/cautious_system.md}
",
    );
    let failed = project.exp(&["build", "--config", "config/tape.yaml", "--json"]);
    assert_eq!(failed.code, 1, "{}{}", failed.stdout, failed.stderr);
    let run = failed.json()["run_id"].as_str().unwrap().to_owned();
    let dir = run_dir(&failed.json());
    let text = typed(&project, "exp clean --dry_run").stdout;
    assert!(text.starts_with(&format!("would remove run {run} (failed): ")), "{text}");
    assert!(dir.exists());
    let text = typed(&project, "exp clean").stdout;
    assert!(text.contains(&format!("removes run {run} (failed): ")) && text.contains("removed 1 runs and "), "{text}");
    assert!(!dir.exists());
    assert_eq!(project.json(&["list"])["runs"], list["runs"]);
    assert_eq!(project.build()["up_to_date"], true);
}

#[test]
fn an_imported_archive_is_shown_and_serves_only_where_it_is_trusted() {
    let there = example();
    let original = there.build();
    there.exp(&["archive", "--experiment-name", "travels"]).expect_code(0);
    let file = there.path("experiments/archives/travels.tar.zst");
    let file = file.to_str().unwrap();
    let run = original["run_id"].as_str().unwrap();

    let here = example();
    here.exp(&["audit", file]).expect_code(0);
    let text = here.exp(&["import", file]).expect_code(0).stdout;
    assert!(text.starts_with(&format!("run {run} imported: ")) && text.contains("; unverified: "), "{text}");
    let list = here.json(&["list"]);
    assert_eq!((&list["runs"][0]["run_id"], &list["runs"][0]["imported"]), (&run.into(), &"unverified".into()));
    let [shown, known] = [&here, &there].map(|project| project.json(&["show", run]));
    assert_eq!((&shown["trials"], &shown["root"]), (&known["trials"], &original["root"]));
    let [shown, known] = [&here, &there].map(|project| project.json(&["show", run, "--items"]));
    assert_eq!(shown, known);
    // What no run names is collected; what an imported one is shown by is named by it.
    here.exp(&["gc", "--yes", "--keep-last", "10", "--grace", "0"]).expect_code(0);
    assert_eq!(here.json(&["show", run, "--items"]), known);
    here.exp(&["report", run]).expect_code(0);
    assert_eq!(here.json(&["audit", run])["sound"], true);
    for slug in slugs(&original) {
        let name = format!("experiments/run_{run}/{slug}/results/predictions.csv");
        assert_eq!(here.read(&name), there.read(&name));
    }
    // It serves nothing: all is asked and made here, and what comes of it is a run of this place.
    let plan = here.json(&["plan"]);
    assert_eq!((&plan["actions"]["hit"], &plan["requests"]["to_send"]), (&0.into(), &3480.into()));
    let built = here.build();
    assert_eq!(built["requests"], json!({"total": 3480, "reused": 0, "sent": 3480, "failed": 0}));
    assert_eq!((&built["actions"]["hit"], &built["up_to_date"]), (&0.into(), &false.into()), "{built:#}");
    assert_ne!(built["run_id"], run);
    assert_eq!(built["root"], original["root"]);
    assert_eq!(here.json(&["show"])["run_id"], built["run_id"]);
    here.exp(&["audit"]).expect_code(0);
    let text = here.exp(&["compare", run, built["run_id"].as_str().unwrap()]).expect_code(0).stdout;
    assert!(text.contains("both show the very same files"), "{text}");

    // Trusted, it serves all.
    let trusting = example();
    let text = trusting.exp(&["import", "--trust", file]).expect_code(0).stdout;
    assert!(text.contains("115 actions and 3,480 answers serve from now on"), "{text}");
    let plan = trusting.json(&["plan"]);
    assert_eq!((&plan["actions"]["hit"], &plan["requests"]["to_send"]), (&115.into(), &0.into()));
    assert_eq!(trusting.json(&["status"])["up_to_date"], true);
    let built = trusting.build();
    assert_eq!(built["requests"], json!({"total": 3480, "reused": 3480, "sent": 0, "failed": 0}));
    assert_eq!((&built["actions"]["executed"], &built["root"]), (&0.into(), &original["root"]));
    assert_eq!(trusting.json(&["show"])["run_id"], built["run_id"]);
    let again = trusting.build();
    assert_eq!((&again["up_to_date"], &again["run_id"]), (&true.into(), &built["run_id"]));
    trusting.exp(&["audit", "--rerun"]).expect_code(0);
}

#[test]
fn a_new_project_builds_at_once_and_then_is_up_to_date() {
    let project = Project::in_memory();
    let text = project.exp(&["init", "mine"]).expect_code(0).stdout;
    assert!(text.contains("wrote mine/config/eval_config.yaml\n"), "{text}");
    assert_eq!(text.lines().last().unwrap(), "next: cd mine && exp build");
    let exp = |args: &[&str]| project.exp(&[&["-C", "mine"], args].concat()).expect_code(0);

    let first = exp(&["build"]);
    let line = last_line(&first);
    let start = "complete: 0 of 115 actions reused, 115 ran · 3,480 requests: 0 reused, 3,480 sent · $0.00 spent, $0.00 saved · ";
    assert!(line.starts_with(start), "{line}");
    let run = run_of(&first);
    let root = line.rsplit_once(" · root ").unwrap().1;
    assert!(root.len() == 12 && root.bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
    assert!(first.stdout.starts_with(&format!("report: experiments/run_{run}/report.html\n")), "{}", first.stdout);
    let data = "your own data: `exp init my-project --from data.jsonl`, then `exp build` there\n";
    assert!(first.stderr.ends_with(data), "{}", first.stderr);
    let second = exp(&["build"]);
    let line = last_line(&second);
    let start = "up to date: 115 of 115 actions reused, 0 ran · 3,480 requests: 3,480 reused, 0 sent · ";
    assert!(line.starts_with(start) && line.ends_with(&format!(" · run_{run} · root {root}")), "{line}");

    // What has no results says so, and judges nothing.
    let begun = exp(&["build", "--to-step", "parse", "--run-id", "begun"]);
    assert!(begun.stdout.contains("report: experiments/run_begun/report.html"), "{}", begun.stdout);
    let page = project.read("mine/experiments/run_begun/report.html");
    let says = "<strong>This run was asked for a part of the experiment only: it is not complete.</strong> <code>exp build</code>";
    assert!(page.contains(says) && page.contains("No trial of this run has results yet"), "{page}");
    for wrong in ["answers ended by themselves", "<h2>Numbers</h2>", "has a prompt of its own", "For a methods section"]
    {
        assert!(!page.contains(wrong), "{wrong}");
    }
    let none = project.exp(&["-C", "mine", "report", "begun", "--methods"]).expect_code(2);
    assert!(none.stderr.starts_with("error: no trial of run begun has results yet"), "{}", none.stderr);

    // It writes over nothing.
    let refused = project.exp(&["init", "mine"]).expect_code(2).stderr;
    assert!(refused.starts_with("error: already there, and left alone: config/eval_config.yaml, "), "{refused}");
}

#[test]
fn what_is_shown_agrees_with_the_build() {
    let project = example();
    let plan = project.json(&["plan"]);
    let text = project.exp(&["plan"]).expect_code(0).stdout;
    let last = text.lines().last().unwrap();
    let sends = " · 3,480 requests: 0 reused, 3,480 to send · $0.00: nothing here is asked over a network";
    assert!(last.starts_with("0 of ") && last.ends_with(sends), "{text}");
    let status = project.exp(&["status"]).expect_code(0).stdout;
    assert!(status.starts_with("no run yet\n") && status.contains("; 3480 requests would be sent"), "{status}");
    assert!(!project.path("store").exists() && !project.path("experiments").exists(), "looking writes nothing");

    let built = project.build();
    assert_eq!(
        plan["requests"],
        json!({"total": 3480, "reused": 0, "in_batches": 0, "to_send": built["requests"]["sent"]})
    );
    assert_eq!(plan["actions"]["total"], built["actions"]["total"]);
    let labels = |list: &Value| -> BTreeSet<String> {
        list.as_array().unwrap().iter().map(|action| action["label"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(labels(&plan["nodes"]), labels(&project.manifest(&built)["actions"]));
    assert_eq!(plan["trials"], json!(slugs(&built)));
    let text = project.exp(&["plan"]).expect_code(0).stdout;
    assert!(
        text.lines().last().unwrap().starts_with("115 of 115 actions reused · 3,480 requests: 3,480 reused, 0 to send"),
        "{text}"
    );
    let run = built["run_id"].as_str().unwrap();
    let status = project.exp(&["status"]).expect_code(0).stdout;
    assert_eq!(status, format!("newest run: {run} (complete)\nup to date: nothing would run\n"));
    project.file("config/prompts/cautious_system.md", "Answer only if you are certain.\n");
    let status = project.exp(&["status"]).expect_code(0).stdout;
    assert!(status.contains("\n  modified: config/prompts/cautious_system.md\n"), "{status}");

    // What is shown of a run is what its files say.
    let shown = project.json(&["show"]);
    assert_eq!((&shown["run_id"], &shown["root"]), (&built["run_id"], &built["root"]));
    assert_eq!(shown["trials"].as_array().unwrap().len(), 8);
    let mut compared = 0;
    for trial in shown["trials"].as_array().unwrap() {
        let slug = trial["slug"].as_str().unwrap();
        let significance: Value =
            serde_json::from_str(&project.run_file(&built, &format!("{slug}/results/significance.json"))).unwrap();
        for row in trial["metrics"].as_array().unwrap() {
            let found = find_metric(
                &significance["results"],
                row["dataset"].as_str().unwrap(),
                row["metric"].as_str().unwrap(),
            );
            let found = found.unwrap_or_else(|| panic!("{row} is not in {slug}"));
            for (ours, theirs) in [
                ("control", "control_mean"),
                ("treatment", "treatment_mean"),
                ("n_items", "n_items"),
                ("delta", "delta_mean"),
            ] {
                assert_eq!(row[ours], found[theirs], "{slug} {row}");
            }
            compared += 1;
        }
    }
    assert!(compared >= 8 * 10, "{compared}");
    let text = project.exp(&["show"]).expect_code(0).stdout;
    assert!(text.starts_with(&format!("run {run} · complete · ")), "{text}");
    assert!(slugs(&built).iter().all(|slug| text.contains(slug.as_str())), "{text}");

    // Where the arms disagree.
    let items = project.json(&["show", "--items", "--limit", "1000"]);
    let items = items.as_array().unwrap();
    assert!(items.len() > 100);
    for item in items {
        let [control, treatment] = ["control", "treatment"].map(|arm| item[arm]["scores"]["em"].as_f64().unwrap());
        match item["flip"].as_str().unwrap() {
            "up" => assert!(treatment > control, "{item:#}"),
            "down" => assert!(treatment < control, "{item:#}"),
            _ => assert!(treatment.to_bits() == control.to_bits() && item["control"] != item["treatment"], "{item:#}"),
        }
        let key = format!("{}|{}", item["dataset"].as_str().unwrap(), item["item"].as_str().unwrap());
        let slug = item["trial"].as_str().unwrap();
        let rows = support::csv_rows(&project.run_file(&built, &format!("{slug}/results/per_item_scores.csv")));
        let row = rows.iter().find(|row| row["item_key"] == key && row["condition"] == "treatment").unwrap();
        assert_eq!(row["em"].parse::<f64>().unwrap().to_bits(), treatment.to_bits(), "{item:#}");
    }
    let text = project.exp(&["show", "--items", "--limit", "1"]).expect_code(0).stdout;
    assert!(text.contains(": the arms differ on ") && text.contains("(--limit N shows more)"), "{text}");

    for (wrong, says) in [
        (
            ["--dataset", "open_bok"],
            "no item of this run is of `open_bok`\n  hint: its datasets are closed_book, open_book",
        ),
        (["--status", "stopped"], "there is no status `stopped`\n  hint: an answer ends with stop, "),
    ] {
        let refused = project.exp(&[&["show", "--items"][..], &wrong].concat()).expect_code(2).stderr;
        assert!(refused.contains(says), "{refused}");
    }
    let few = project.exp(&["show", "--items", "--status", "failed:timeout"]).expect_code(0).stdout;
    assert!(few.contains(": the arms differ on 0 of "), "{few}");

    // The exact body, of both sides.
    let body = project.json(&["show", "--request", "abbey_library-1", "cautious"]);
    assert_eq!(body.as_array().unwrap().len(), 2, "one for each decoding: {body:#}");
    let messages = body[0]["body"]["messages"].to_string();
    let question = project.read("config/data/open_book.jsonl");
    let question: Value = question
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .find(|l: &Value| l["id"] == "abbey_library-1")
        .unwrap();
    assert!(messages.contains(question["question"].as_str().unwrap()), "{messages}");
    let other = project.exp(&["show", "--request", "abbey_library-1", "control"]).expect_code(0).stdout;
    assert!(other.contains("You") && !other.is_empty(), "{other}");
    let refused = project.exp(&["show", "--request", "nobody", "control"]).expect_code(2).stderr;
    assert!(
        refused.starts_with(&format!("error: run `{run}` asks nothing of item `nobody` under `control`\n")),
        "{refused}"
    );
    let refused = project.exp(&["show", "--request", "abbey_library-1", "bold"]).expect_code(2).stderr;
    assert!(refused.contains("has no arm `bold`; its arms are "), "{refused}");
}

/// Finds the block of a metric anywhere below `results`, under its dataset.
fn find_metric<'v>(results: &'v Value, dataset: &str, metric: &str) -> Option<&'v Value> {
    results.as_object()?.values().find_map(|group| group["datasets"].get(dataset)?["metrics"].get(metric))
}

/// A file's name and text, the fields to be guessed, what stands beside one of them, and how many requests are sent.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, u64);

#[test]
fn a_project_from_a_data_file_builds_at_once() {
    let jsonl = r#"{"uuid":"a","query":"Who built the mill?","gold":["Ada Pell","Pell"],"passage":"The mill was built by Ada Pell."}
{"uuid":"b","query":"When did it burn?","gold":["1850"],"passage":"It burned in 1850."}
"#;
    let csv = "id,question,answer\n1,Who sang?,Lee|Ann Lee\n2,Who ran?,Bob\n2,Who sat?,\"Cy, the old\"\n";
    let tsv = "qid\tprompt\ttarget\tcustomer\n1\tWho sang?\tLee\tx\n2\tWho ran?\tBob\ty\n";
    let cases: [Case<'_>; 3] = [
        (
            "d.jsonl",
            jsonl,
            &[("id", "uuid"), ("question", "query"), ("answers", "gold"), ("context", "passage")],
            "uuid             a",
            4,
        ),
        (
            "d.csv",
            csv,
            &[("id", "id"), ("question", "question"), ("answers", "answer")],
            "answer           Lee|Ann Lee",
            6,
        ),
        (
            "d.tsv",
            tsv,
            &[("id", "qid"), ("question", "prompt"), ("answers", "target"), ("group", "customer")],
            "customer         x",
            4,
        ),
    ];
    for (name, data, fields, example, sent) in cases {
        let project = Project::in_memory();
        project.file(name, data);
        let text = project.exp(&["init", "mine", "--from", name]).expect_code(0).stdout;
        assert!(text.contains("\nguessed fields:\n"), "{text}");
        for (part, field) in fields {
            assert!(text.contains(&format!("\n  {part:<13} <- {field:<16} ")), "{name}: {text}");
        }
        assert!(text.contains(example), "{name}: {text}");
        assert!(text.contains("\nnot what you meant? correct `fields:` in mine/config/eval_config.yaml\n"), "{text}");
        let config = project.read("mine/config/eval_config.yaml");
        for (part, field) in fields {
            assert!(config.contains(&format!("      {part}: {field}\n")), "{name}: {config}");
        }
        let built = project.json(&["-C", "mine", "build"]);
        assert_eq!((&built["state"], &built["requests"]["sent"]), (&"complete".into(), &sent.into()), "{name}");
        let report = project.run_file(&built, "aggregate_report.md");
        assert!(report.contains("lexical"), "{report}");
        assert_eq!(project.json(&["-C", "mine", "build"])["up_to_date"], true);
    }
    what_a_guess_says_of_odd_files();
    // As a document, and where there is nothing to guess.
    let project = Project::in_memory();
    project.file("d.csv", csv).file("e.csv", "left,right\n1,2\n").file("d.txt", "a\n");
    let document = project.json(&["init", "mine", "--from", "d.csv"]);
    assert_eq!(document["fields"], json!([["id", "id"], ["question", "question"], ["answers", "answer"]]));
    let refused = project.exp(&["init", "other", "--from", "e.csv"]).expect_code(2).stderr;
    assert!(
        refused.starts_with(
            "error: --from: `e.csv` has no field that looks like the question; its fields are: left, right\n"
        ),
        "{refused}"
    );
    let hint = "\n  hint: say which it is: `--fields question=FIELD`";
    assert!(refused.contains(hint), "{refused}");
    let typed = ["init", "other", "--from", "e.csv", "--fields"];
    for (fields, error) in [
        ("question", "error: --fields: `question` is not PART=FIELD, such as question=prompt\n"),
        (
            "query=left",
            "error: --fields: `query` is no part of an item; its parts are: id, question, answers, context, group, unanswerable\n",
        ),
        ("question=up", "error: --from: `e.csv` has no field `up`; its fields are: left, right\n"),
    ] {
        assert_eq!(project.exp(&[&typed[..], &[fields]].concat()).expect_code(2).stderr, error);
    }
    let stated = project.json(&["init", "stated", "--from", "e.csv", "--fields", "question=left,answers=right"]);
    assert_eq!(stated["fields"], json!([["question", "left"], ["answers", "right"]]));
    assert_eq!(project.json(&["-C", "stated", "build"])["state"], "complete");
    let refused = project.exp(&["init", "other", "--from", "d.txt"]).expect_code(2).stderr;
    assert!(refused.starts_with("error: --from: `d.txt` is not JSONL, CSV or TSV by its name\n"), "{refused}");
    let refused = project.exp(&["init", "other", "--from", "nowhere.csv"]).expect_code(2).stderr;
    assert!(refused.starts_with("error: --from: cannot read `nowhere.csv`"), "{refused}");
    assert!(!project.path("other").exists());
}

/// Answers inside an object, ids that are numbers and occur twice (the second time far down), answers to be split, a
/// header with a name twice.
fn what_a_guess_says_of_odd_files() {
    let project = Project::in_memory();
    let line = |n: u32, question: &str| {
        format!("{{\"id\":{n},\"question\":\"{question}\",\"answers\":{{\"text\":[\"x\"],\"answer_start\":[1]}}}}\n")
    };
    let mut nested: Vec<String> = (0..1500).map(|n| line(n, &format!("Q{n}?"))).collect();
    nested.push(line(7, "R?"));
    project.file("n.jsonl", nested.concat()).file("s.csv", "\u{feff}question,answer\r\nA?,b;c\r\n");
    project.file("t.csv", "question,answer,question\n1,2,3\n");
    let text = project.exp(&["init", "nested", "--from", "n.jsonl"]).expect_code(0).stdout;
    assert!(text.contains("\n  answers       <- answers.text     [\"x\"]\n"), "{text}");
    assert!(text.contains("\nsome ids occur more than once: the second of `x` is `x-2`"), "{text}");
    let built = project.json(&["-C", "nested", "build", "--limit-items", "3"]);
    assert_eq!(built["requests"]["sent"], 6);
    let text = project.exp(&["init", "split", "--from", "s.csv"]).expect_code(0).stdout;
    assert!(text.contains("\nan answer with `;` is several answers; if that is wrong, take out `split:`\n"), "{text}");
    let refused = project.exp(&["init", "twice", "--from", "t.csv"]).expect_code(2).stderr;
    assert_eq!(
        refused,
        "error: --from: `t.csv` names the column `question` twice in its header: give each a name of its own\n"
    );
}
