//! What people said of answers, through the real binary; agreement on real verdicts against Python.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may stop where the reference is not as expected.

use std::process::Command;

use serde_json::Value;

mod support;

use support::{Project, run_dir, shared, slugs};

const NQ: &str = "data/evouna/NQ.json";

const CONFIG: &str = "\
models:
  - name: tape
    provider: replay
    recordings:
      nq:
        control: {path: data/control.jsonl, fields: {key: id, text: text}}
        gpt35: {path: data/gpt35.jsonl, fields: {key: id, text: text}}
        chatgpt: {path: data/chatgpt.jsonl, fields: {key: id, text: text}}
        gpt4: {path: data/gpt4.jsonl, fields: {key: id, text: text}}
        newbing: {path: data/newbing.jsonl, fields: {key: id, text: text}}
datasets:
  nq:
    path: data/nq.jsonl
    fields: {id: id, question: question, answers: answers}
    scorers:
      - squad
      - includes
      - labels: {name: people, path: data/people.csv, values: {correct: 1, incorrect: 0}}
      - labels: {name: script, path: data/script.csv, values: {correct: 1, incorrect: 0}}
control: null
prompt_sets:
  gpt35: {treatment: {system: prompts/x.txt, draw_salt: a}}
  chatgpt: {treatment: {system: prompts/x.txt, draw_salt: b}}
  gpt4: {treatment: {system: prompts/x.txt, draw_salt: c}}
  newbing: {treatment: {system: prompts/x.txt, draw_salt: d}}
decoding: {temperature: 0}
analysis: {bootstrap_samples: 100, permutation_samples: 100}
";

fn python(args: &[&str]) -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/agreement.py");
    let output = match Command::new("python3").arg(script).args(args).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: python3: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn five_systems_their_raters_and_three_scorers_agree_as_python_says() {
    let Some(data) = shared(NQ) else { return };
    let data = data.to_str().unwrap();
    let project = Project::new();
    project.file("prompts/x.txt", "You answer questions.\n").file("data/.keep", "").config(CONFIG);
    if python(&["prepare", data, project.dir().to_str().unwrap()]).is_none() {
        return;
    }
    let built = project.build();
    assert_eq!(slugs(&built).len(), 4);
    let path = |slug: &str, name: &str| run_dir(&built).join(slug).join("results").join(name);
    let slug = |arm: &str| {
        let of = |slug: &String| slug.split('-').any(|part| part == if arm == "control" { "gpt4" } else { arm });
        slugs(&built).into_iter().find(of).unwrap()
    };
    let arms = ["control", "gpt35", "chatgpt", "gpt4", "newbing"];
    let tables: Vec<String> =
        arms.iter().map(|arm| format!("{arm}={}", path(&slug(arm), "per_item_scores.csv").display())).collect();
    let mut args = vec!["reference", data];
    args.extend(tables.iter().map(String::as_str));
    let expected: Value = serde_json::from_str(&python(&args).unwrap()).unwrap();
    for arm in arms {
        let text = std::fs::read_to_string(path(&slug(arm), "agreement.json")).unwrap();
        let found: Value = serde_json::from_str(&text).unwrap();
        let side = if arm == "control" { "control" } else { "treatment" };
        let block = &found["datasets"]["nq"]["people"]["arms"][side];
        assert_eq!(block["raters"]["people"], block["rated"], "{arm}");
        for metric in ["squad_em", "includes", "script"] {
            let scorers = block["scorers"].as_array().unwrap();
            let row = scorers.iter().find(|row| row["metric"] == metric && row["rater"].is_null()).unwrap();
            let reference = &expected[arm][metric];
            assert_eq!(row["draws"], reference["draws"], "{arm} {metric}");
            for name in ["agreement", "kappa", "metric_mean", "rater_mean"] {
                let (found, expected) = (row[name].as_f64().unwrap(), reference[name].as_f64().unwrap());
                assert!((found - expected).abs() < 1e-12, "{arm} {metric} {name}: {found} is not {expected}");
            }
        }
        let report = project.run_file(&built, &format!("{}/reports/report.md", slug(arm)));
        assert!(report.contains("### Agreement with raters: `people` on `nq`"), "{report}");
    }
    // Five systems on 3,020 questions; one answer has no verdict.
    let rated: u64 = arms.iter().map(|arm| expected[*arm]["script"]["draws"].as_u64().unwrap()).sum();
    assert_eq!(rated, 5 * 3_020 - 1);

    // A verdict that is corrected runs what reads it, and asks nothing.
    let verdicts = project.read("data/people.csv");
    project.file("data/people.csv", verdicts.replacen("q0,gpt4,people,correct", "q0,gpt4,people,incorrect", 1));
    let again = project.build();
    let ran = project.ran(&again);
    assert!(ran.iter().any(|label| label.starts_with("labels/") && label.ends_with("/gpt4/people/00000")), "{ran:?}");
    let asking = ["fetch/", "prepare/", "build/", "infer/", "parse/"];
    assert!(!ran.iter().any(|label| asking.iter().any(|step| label.starts_with(step))), "{ran:?}");
    assert_eq!(again["requests"]["sent"], 0);
}

#[test]
fn raters_disagree_and_a_faulty_file_says_where() {
    let project = Project::new();
    project.config(
        "models: [{name: reader, provider: lexical}]\n\
         datasets:\n  \
           d:\n    \
             path: data/d.jsonl\n    \
             fields: {id: id, question: question, answers: answers, context: passage}\n    \
             scorers: [exact, {labels: {path: data/v.csv}}]\n\
         control: null\n\
         prompt_sets: {brief: prompts/b.txt}\n",
    );
    project.file("prompts/b.txt", "Answer briefly.\n");
    project.file(
        "data/d.jsonl",
        "{\"id\":\"a\",\"question\":\"Who sang?\",\"answers\":[\"Lee\"],\"passage\":\"Lee sang.\"}\n\
         {\"id\":\"b\",\"question\":\"Who ran?\",\"answers\":[\"Ann\"],\"passage\":\"Ann ran.\"}\n",
    );
    project.file("data/v.csv", "item,rater,verdict\na,ann,1\na,bob,1\nb,ann,1\nb,bob,0\n");
    let built = project.build();
    let slug = &slugs(&built)[0];
    let found: Value =
        serde_json::from_str(&project.run_file(&built, &format!("{slug}/results/agreement.json"))).unwrap();
    let all = &found["datasets"]["d"]["labels"]["all"];
    assert_eq!((all["draws"].as_u64(), all["rated"].as_u64()), (Some(4), Some(4)));
    assert_eq!(all["pairs"][0]["agreement"], 0.5);
    assert_eq!(all["pairs"][0]["kappa"], 0.0);
    // Two arms, twice the same: three values of 1 and one of 0 each; 1 - 7 * 4 / (2 * 6 * 2).
    let alpha = all["alpha_nominal"].as_f64().unwrap();
    assert!((alpha - (1.0 - 7.0 * 4.0 / 24.0)).abs() < 1e-12, "{alpha}");

    // Every setting is an input of `labels`, and of nothing that asks.
    let config = project.read("config/eval_config.yaml");
    for setting in [
        "rule: mean",
        "values: {'1': 0.9, '0': 0.1}",
        "name: people",
        "format: tsv",
        "fields: {rater: who}",
        "fields: {draw: nth}",
        "fields: {answer: said}",
        "fields: {arm: side}",
        "fields: {model: of}",
    ] {
        project.config(&config.replace("path: data/v.csv", &format!("path: data/v.csv, {setting}")));
        let tabs = if setting.contains("tsv") { "\t" } else { "," };
        project.file("data/v.csv", "item,rater,verdict\na,ann,1\na,bob,1\nb,ann,1\nb,ann,1\n".replace(',', tabs));
        let changed = project.build();
        let ran = project.ran(&changed);
        assert_eq!(ran.iter().filter(|label| label.starts_with("labels/")).count(), 2, "{setting}: {ran:?}");
        assert!(!ran.iter().any(|label| label.starts_with("infer/") || label.starts_with("parse/")), "{ran:?}");
        assert_eq!(project.build()["up_to_date"], true);
    }
    project.config(&config);

    project.file("data/v.csv", "item,rater,verdict\na,ann,1\na,bob,perhaps\n");
    let output = project.exp(&["build"]).expect_code(1);
    assert!(
        output.stderr.contains("data/v.csv:3") && output.stderr.contains("`perhaps` is no verdict"),
        "{}",
        output.stderr
    );
}
