//! Runs that the predecessor made are taken in as they are: listed, compared and audited, and never served.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Project, copy, shared};

/// Writes a run as the predecessor left it below a directory: `experiments/run_<ID>/<slug>/{results,reports}`.
fn tree(project: &Project, dir: &str, id: &str, em: [f64; 3]) {
    let slug = "demo-20b-default-tp095-tk40-mx64-128";
    let trial = json!({
        "id": null, "model_id": "demo-20b", "prompt_set": "default", "temps": [0.7], "top_p": 0.95, "top_k": 40,
        "max_new_tokens": {"closed_book": 64, "open_book": 128},
    });
    let manifest = json!({
        "created_utc": "2025-08-21T08:06:49.428143Z", "run_id": id, "num_trials": 1,
        "trials": [{"trial": trial, "results_dir": format!("/elsewhere/experiments/run_{id}/{slug}/results")}],
    });
    project.file(&format!("{dir}/multi_trial_manifest.json"), manifest.to_string());
    project.file(&format!("{dir}/run_state.json"), json!({"run_id": id, "schema_version": 1}).to_string());
    project.file(
        &format!("{dir}/effective_config.yaml"),
        format!("model_id: demo-20b\nsamples_per_item: {{'0.7': 3}}\n# {id}\n"),
    );
    project.file(&format!("{dir}/aggregate_report.md"), "# All\n");
    project.file(&format!("{dir}/batch_inputs/t0_default_control.jsonl"), "{\"custom_id\": \"x\"}\n");
    results(project, &format!("{dir}/{slug}/results"), em);
    let own = json!({"trial": trial, "temps": [0.7], "samples_per_item": {"0.7": 3}});
    project.file(&format!("{dir}/{slug}/results/trial_manifest.json"), own.to_string());
    project.file(&format!("{dir}/{slug}/reports/report.md"), format!("# {id}\n"));
}

fn results(project: &Project, dir: &str, em: [f64; 3]) {
    let mut scores = String::from("condition,em,em_std,item_key,temp,type\n");
    for (n, em) in em.iter().enumerate() {
        for (condition, em) in [("control", 0.0), ("treatment", *em)] {
            scores.push_str(
                &[condition, &format!("{em:.1}"), "0.0", &format!("squad_v2|{n}"), "0.7", "open\n"].join(","),
            );
        }
    }
    project.file(&format!("{dir}/per_item_scores.csv"), scores);
    project.file(&format!("{dir}/predictions.csv"), "custom_id,response_text\nx,Aldermoor\n");
    project.file(&format!("{dir}/costs.json"), json!({"usd": em[0], "total_tokens": 100}).to_string());
    let metric = json!({"n_items": 3, "delta_mean": em.iter().sum::<f64>() / 3.0, "ci_95": [0.0, 1.0]});
    let block = json!({"n_items": 3, "metrics": {"em": metric}});
    let significance = json!({"schema_version": 2, "temps": [0.7], "results": {"0.7": {"open": block}}});
    project.file(&format!("{dir}/significance.json"), significance.to_string());
}

/// Every file below a directory, with its content.
fn snapshot(dir: &Path) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn run<'v>(listed: &'v Value, id: &str) -> &'v Value {
    let runs = listed["runs"].as_array().unwrap();
    runs.iter().find(|run| run["run_id"] == id).unwrap_or_else(|| panic!("no {id} in {listed:#}"))
}

#[test]
fn a_run_of_the_predecessor_is_listed_shown_compared_and_audited_and_its_directory_is_left_alone() {
    let project = Project::in_memory();
    tree(&project, "old/experiments/run_a", "a", [1.0, 0.0, 1.0]);
    tree(&project, "old/experiments/run_b", "b", [1.0, 1.0, 1.0]);
    let before = snapshot(&project.path("old"));
    let imported = project.json(&["import", "old"]);
    assert_eq!(imported["runs"].as_array().unwrap().len(), 2, "{imported:#}");
    assert_eq!(snapshot(&project.path("old")), before);

    let listed = project.json(&["list"]);
    let a = run(&listed, "a");
    assert_eq!((&a["state"], &a["imported"], &a["latest"]), (&json!("complete"), &json!("unverified"), &json!(false)));
    assert_eq!(a["created_at"], "2025-08-21T08:06:49.428Z");
    let text = project.exp(&["list", "-v"]).expect_code(0).stdout;
    assert!(text.contains("imported") && text.contains("demo-20b-default-tp095-tk40-mx64-128"), "{text}");
    // The files are there under the names that they had.
    let dir = "experiments/run_a/demo-20b-default-tp095-tk40-mx64-128";
    assert_eq!(project.read(&format!("{dir}/reports/report.md")), "# a\n");
    assert!(project.read(&format!("{dir}/results/per_item_scores.csv")).contains("squad_v2|2"));
    assert!(!project.path("experiments/run_a/report.html").exists() && !project.path("experiments/latest").exists());

    let shown = project.exp(&["show", "a"]).expect_code(0).stdout;
    assert!(shown.contains("imported, unverified") && shown.contains("+0.6667"), "{shown}");
    let compared = project.json(&["compare", "a", "b"]);
    let trial = &compared["trials"][0];
    assert_eq!(
        (&trial["items"]["matched"], &trial["items"]["by_id_alone"], &trial["items"]["only_in_a"]),
        (&json!(3), &json!(3), &json!([])),
        "{compared:#}"
    );
    let em = trial["metrics"].as_array().unwrap().iter().find(|metric| metric["condition"] == "treatment").unwrap();
    assert_eq!((&em["metric"], &em["flips"]["up"]), (&json!("em"), &json!(1)));
    assert!(compared["config"].as_array().unwrap().iter().any(|line| line["text"] == "# b"), "{compared:#}");

    for id in ["a", "b"] {
        let report = project.json(&["audit", id]);
        assert_eq!((&report["sound"], &report["report"]["checked"]["views"]), (&json!(true), &json!(6)), "{report:#}");
        let said = project.exp(&["audit", id]).expect_code(0).stdout;
        assert!(said.contains("note: imported, unverified: a run of the predecessor's"), "{said}");
    }
    project.exp(&["verify"]).expect_code(0);
    // The control: an edited file is found.
    let path = project.path(&format!("{dir}/reports/report.md"));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "# better\n").unwrap();
    let said = project.exp(&["audit", "a"]).expect_code(3).stdout;
    assert!(said.contains("reports/report.md\n  expected: the bytes of"), "{said}");

    // Once more is no other run.
    let again = project.json(&["import", "old/experiments/run_b"]);
    assert_eq!((&again["runs"][0]["run_id"], &again["runs"][0]["already"]), (&json!("b"), &json!(true)));
    // What it has nothing for says so.
    for args in [
        &["report", "a"][..],
        &["show", "a", "--items"],
        &["export", "a", "--format", "csv"],
        &["audit", "a", "--rerun"],
    ] {
        let said = project.exp(args).expect_code(2).stderr;
        assert!(said.contains("is the predecessor's"), "{args:?}: {said}");
    }
    let said = project.exp(&["import", "old", "--trust"]).expect_code(2).stderr;
    assert!(said.contains("not about a directory of the predecessor's"), "{said}");
    let said = project.exp(&["archive", "b", "--anonymous"]).expect_code(2).stderr;
    assert!(said.contains("run `b` cannot be archived: its files are the predecessor's"), "{said}");
    // It travels like any other run.
    project.exp(&["archive", "b"]).expect_code(0);
    project.exp(&["audit", "experiments/archives/t07_b.tar.zst"]).expect_code(0);
}

#[test]
fn an_archive_of_the_predecessor_is_taken_in_whole_or_in_part() {
    let project = Project::in_memory();
    let about = |id: &str, files: Value| {
        json!({
            "experiment_id": id, "description": "…", "archived_date": "2025-08-21", "run_id": "r20250821", "files": files,
            "config": {"temperature": 1.0, "model_id": "demo-20b", "samples_per_item": 2}, "status": "archived", "notes": "",
        })
        .to_string()
    };
    // One with everything, one with inputs alone, one that lacks what its manifest lists.
    results(&project, "experiments/archives/t1_r20250821/results", [0.0, 1.0, 1.0]);
    project.file("experiments/archives/t1_r20250821/reports/report.md", "# t1\n");
    let names = json!({"results": ["costs.json", "predictions.csv"], "reports": ["report.md"]});
    project.file("experiments/archives/t1_r20250821/archive_manifest.json", about("t1_r20250821", names));
    project.file("experiments/archives/t0_r20250818/batch_inputs/t0_control.jsonl", "{}\n");
    let names = json!({"batch_inputs": ["t0_control.jsonl"]});
    project.file("experiments/archives/t0_r20250818/archive_manifest.json", about("t0_r20250818", names));
    results(&project, "experiments/archives/lost/results", [0.0, 1.0, 1.0]);
    project.file("experiments/archives/lost/archive_manifest.json", about("lost", json!({"results": ["gone.csv"]})));

    let imported = project.json(&["import", "."]);
    let runs = imported["runs"].as_array().unwrap();
    let of = |id: &str| runs.iter().find(|run| run["run_id"] == id).unwrap_or_else(|| panic!("{imported:#}"));
    assert_eq!((&of("t1_r20250821")["state"], &of("t1_r20250821")["trials"]), (&json!("complete"), &json!(1)));
    assert_eq!((&of("t0_r20250818")["state"], &of("t0_r20250818")["trials"]), (&json!("partial"), &json!(0)));
    let missing = of("lost")["missing"].to_string();
    assert!(missing.contains("results/gone.csv: archive_manifest.json lists it"), "{missing}");
    assert!(missing.contains("lost/reports/report.md: it is not there"), "{missing}");
    let listed = project.json(&["list"]);
    for id in ["t1_r20250821", "t0_r20250818", "lost"] {
        assert_eq!(run(&listed, id)["imported"], "unverified");
        project.exp(&["audit", id]).expect_code(0);
    }
    let manifest: Value =
        serde_json::from_str(&project.read("experiments/run_t1_r20250821/multi_trial_manifest.json")).unwrap();
    let trial = &manifest["trials"][0]["trial"];
    assert_eq!(
        (&trial["model_id"], &trial["draws"], &trial["temps"]),
        (&json!("demo-20b"), &json!(2), &json!([1])),
        "{trial}"
    );
    let compared = project.json(&["compare", "t1_r20250821", "lost"]);
    assert_eq!(compared["trials"][0]["items"]["matched"], 3, "{compared:#}");
}

#[test]
fn a_run_that_stands_where_it_would_be_shown_keeps_its_place() {
    let project = Project::in_memory();
    tree(&project, "experiments/run_a", "a", [1.0, 0.0, 1.0]);
    let before = snapshot(&project.path("experiments/run_a"));
    let imported = project.json(&["import", "experiments/run_a"]);
    assert_eq!(imported["runs"][0]["run_id"], "a-imported");
    assert_eq!(snapshot(&project.path("experiments/run_a")), before);
    project.exp(&["audit", "a-imported"]).expect_code(0);
    assert_eq!(project.json(&["import", "experiments/run_a"])["runs"][0]["already"], true);
    // One of ours is none of the predecessor's.
    let said = project.exp(&["import", "experiments/run_a-imported"]).expect_code(2).stderr;
    assert!(said.contains("holds no run and no archive of the predecessor's"), "{said}");
}

#[test]
fn what_is_no_file_of_it_is_left_out_and_what_does_not_read_is_an_error() {
    let project = Project::in_memory();
    tree(&project, "old/run_a", "a", [1.0, 0.0, 1.0]);
    project.file("secret", "nobody's business\n");
    std::os::unix::fs::symlink(project.path("secret"), project.path("old/run_a/link")).unwrap();
    let imported = project.json(&["import", "old/run_a"]);
    assert_eq!(imported["runs"][0]["left_out"], json!(["link"]));
    let shown = project.read("experiments/run_a/multi_trial_manifest.json");
    assert!(!shown.contains("\"link\""), "{shown}");

    project.file("bad/run_c/multi_trial_manifest.json", "{\"run_id\": ");
    let said = project.exp(&["import", "bad"]).expect_code(2).stderr;
    assert!(said.contains("bad/run_c/multi_trial_manifest.json` cannot be read"), "{said}");
    // A name that would lead elsewhere is a name like any other.
    tree(&project, "evil/run_x", "../../outside", [1.0, 0.0, 1.0]);
    let id = project.json(&["import", "evil"])["runs"][0]["run_id"].as_str().unwrap().to_owned();
    assert!(!id.contains('/') && project.path(&format!("experiments/run_{id}")).is_dir(), "{id}");
    assert!(!project.dir().parent().unwrap().join("outside").exists());
}

/// The predecessor's own: a run of two trials and all its parts.
#[test]
fn the_real_one_is_taken_in_and_serves_nothing() {
    let Some(golden) = shared("golden/pipeline") else { return };
    let project = Project::in_memory();
    let imported = project.json(&["import", golden.to_str().unwrap()]);
    let run = &imported["runs"][0];
    assert_eq!(
        (&run["run_id"], &run["state"], &run["trials"]),
        (&json!("gold1"), &json!("complete"), &json!(2)),
        "{run:#}"
    );
    assert_eq!(run["files"], snapshot(&golden.join("experiments/run_gold1")).len());
    project.exp(&["audit", "gold1"]).expect_code(0);
    project.exp(&["verify"]).expect_code(0);
    let shown = project.json(&["show", "gold1"]);
    assert!(shown["trials"][0]["metrics"].as_array().unwrap().len() >= 5, "{shown:#}");
    let (a, b) = ("gold1:demo-20b-default", "gold1:demo-20b-operational_only");
    let compared = project.json(&["compare", a, b]);
    assert!(compared["trials"][0]["items"]["matched"].as_u64().unwrap() > 25, "{compared:#}");
    let notes = compared["trials"][0]["notes"].as_array().unwrap();
    assert!(notes.iter().all(|note| note.as_str().unwrap().contains(": it ")), "{notes:#?}");

    // The same experiment, in the same store: every step runs, as it does in a store without it.
    let fresh = Project::in_memory();
    for place in [&project, &fresh] {
        copy(&golden.join("prepared"), &place.path("prepared"));
        place.file("prompts/control.txt", "Answer.\n").file("prompts/a.txt", "Answer briefly.\n");
        place.file("data/d.jsonl", "{\"id\": \"1\", \"question\": \"Who?\", \"answers\": [\"Ada\"]}\n");
        place.config(
            "version: 1\nmodels: [{name: reader, provider: lexical}]\ndatasets: {d: {path: data/d.jsonl, fields: {id: id, question: question, answers: answers}}}\ncontrol: prompts/control.txt\nprompt_sets: {a: prompts/a.txt}\n",
        );
    }
    let (with, without) = (project.build(), fresh.build());
    assert_eq!((&with["actions"], &with["root"]), (&without["actions"], &without["root"]));
    assert_eq!(with["requests"]["reused"], 0);
}
