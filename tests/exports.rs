//! Exports, read by the tools that they are for. `tests/exports/setup.sh` puts these into a venv below the target directory; what
//! is not there is skipped, and said to be.

// A test may stop where it finds what it does not expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// It is not in a hurry.
#![allow(clippy::format_collect)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::{Project, csv_rows};

/// Two arms that answer from the passage, one item with hostile text; `lexical` asks nobody.
fn project() -> Project {
    let project = Project::new();
    let rows = [
        json!({"id": "q1", "question": "Who built the mill?", "context": "Ada Lorne built the mill in 1702.", "answers": ["Ada Lorne"]}),
        json!({"id": "q2/<&>", "question": "=1+1 \"when\"?", "context": "It was built in 1702.", "answers": ["1702"]}),
        json!({"id": "-q3", "question": "Where is the mill?", "context": "The mill is in Aldermoor.", "answers": ["London"]}),
    ];
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    project
        .file("data/d.jsonl", text)
        .file("prompts/control.txt", "Answer.")
        .file("prompts/a_b.txt", "Answer in one word.");
    project.config(
        "version: 1\nmodels: [{name: base, provider: lexical, model: lexical-baseline}]\nproviders: {lexical: {kind: lexical}}\n\
         datasets: {d: {path: data/d.jsonl, fields: {id: id, question: question, context: context, answers: answers}}}\n\
         control: prompts/control.txt\nprompt_sets: {a_b: prompts/a_b.txt}\n",
    );
    project.build();
    project
}

#[track_caller]
fn export(project: &Project, format: &str, out: &str, more: &[&str]) -> Vec<PathBuf> {
    let args = [&["export", "--format", format, "--out", out][..], more].concat();
    let files = project.json(&args);
    let files = files["files"].as_array().unwrap().iter();
    files.map(|file| project.path(file["path"].as_str().unwrap())).collect()
}

/// Runs a script in the venv of the tools; `None`, and a word about it, where it is not there.
fn python(script: &str, args: &[&Path]) -> Option<String> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let python = target.join("venv-exports/bin/python");
    if !target.join("venv-exports/finished").exists() {
        eprintln!("skipped: {} is not set up", python.display());
        return None;
    }
    let output = Command::new(python).arg("-c").arg(script).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn tables_hold_what_predictions_hold() {
    let project = project();
    let csv = export(&project, "csv", "out.csv", &[]);
    let rows = csv_rows(&std::fs::read_to_string(&csv[0]).unwrap());
    assert_eq!(rows.len(), 6);
    assert!(rows.iter().any(|row| row["question"] == "=1+1 \"when\"?" && row["item_id"] == "q2/<&>"));
    assert!(rows.iter().all(|row| row["f1"].parse::<f64>().is_ok()), "{rows:?}");
    let safe = export(&project, "csv", "safe.csv", &["--spreadsheet-safe"]);
    let safe = csv_rows(&std::fs::read_to_string(&safe[0]).unwrap());
    assert!(
        safe.iter().any(|row| row["question"] == "'=1+1 \"when\"?") && safe.iter().any(|row| row["item_id"] == "'-q3")
    );
    let lines = export(&project, "jsonl", "out.jsonl", &[]);
    let lines = std::fs::read_to_string(&lines[0]).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (line, row) in lines.iter().zip(&rows) {
        assert_eq!((&line["item_id"], &line["response_text"]), (&json!(row["item_id"]), &json!(row["response_text"])));
        assert!(line["scores"].as_object().unwrap().values().all(Value::is_number));
    }
    let parquet = export(&project, "parquet", "out.parquet", &[]);
    let script = "
import json, sys
import pyarrow.parquet as pq
table = pq.read_table(sys.argv[1])
print(json.dumps({'schema': {f.name: str(f.type) for f in table.schema}, 'rows': table.to_pylist(), 'groups': pq.ParquetFile(sys.argv[1]).metadata.num_row_groups}))
";
    if let Some(read) = python(script, &[&parquet[0]]) {
        let read: Value = serde_json::from_str(&read).unwrap();
        assert_eq!(read["schema"]["targets"], "list<element: string not null>", "{:#}", read["schema"]);
        assert_eq!((&read["schema"]["score_f1"], &read["schema"]["draw"]), (&json!("double"), &json!("int64")));
        let table = read["rows"].as_array().unwrap();
        assert_eq!((table.len(), &read["groups"]), (6, &json!(1)));
        for (row, line) in table.iter().zip(&lines) {
            for (name, value) in line.as_object().unwrap() {
                match name.as_str() {
                    "scores" => {
                        for (metric, score) in value.as_object().unwrap() {
                            assert_eq!(&row[format!("score_{metric}")], score, "{metric}");
                        }
                    }
                    name => assert_eq!(&row[name], value, "{name}"),
                }
            }
        }
    }
    let refused = project.exp(&["export", "--format", "csv", "--out", "out.csv"]).expect_code(2);
    assert!(refused.stderr.contains("is there already"), "{}", refused.stderr);
    project.exp(&["export", "--format", "jsonl", "--spreadsheet-safe"]).expect_code(2);
    let piped = project.exp(&["export", "--format", "latex", "--out", "-"]).expect_code(0);
    assert!(piped.stdout.contains("\\toprule") && piped.stdout.contains("a\\_b"), "{}", piped.stdout);
}

#[test]
fn plain_files_are_the_views_and_no_links() {
    let project = project();
    let run = project.read("experiments/latest/multi_trial_manifest.json");
    let files = export(&project, "dir", "files", &[]);
    assert!(files.len() > 5 && files.iter().all(|file| file.symlink_metadata().unwrap().is_file()));
    assert_eq!(project.read("files/multi_trial_manifest.json"), run);
    let name = files.iter().find(|file| file.ends_with("results/predictions.csv")).unwrap();
    let inside = name.strip_prefix(project.path("files")).unwrap();
    let latest = project.path("experiments/latest").join(inside);
    assert_eq!(std::fs::read(name).unwrap(), std::fs::read(latest).unwrap());
    project.exp(&["export", "--format", "dir", "--out", "files"]).expect_code(2);
    let zip = export(&project, "zip", "a.zip", &[]);
    let again = export(&project, "zip", "b.zip", &[]);
    assert!(std::fs::read(&zip[0]).unwrap() == std::fs::read(&again[0]).unwrap(), "equal runs, equal bytes");
    let script =
        "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\nprint(len(z.namelist()))";
    if let Some(names) = python(script, &[&zip[0]]) {
        assert_eq!(names.trim(), files.len().to_string());
    }
}

#[test]
fn what_cannot_be_written_whole_is_not_left_half_written() {
    let project = project();
    let whole = std::fs::read(&export(&project, "csv", "whole.csv", &[])[0]).unwrap();
    assert!(whole.len() > 1024);
    let said = project.limited("ulimit -f 1", &["export", "--format", "csv", "--out", "a.csv"]).expect_code(7);
    assert!(said.stderr.contains("cannot write `a.csv`: File too large"), "{}", said.stderr);
    assert!(!project.path("a.csv").exists());
    assert_eq!(std::fs::read(&export(&project, "csv", "a.csv", &[])[0]).unwrap(), whole);
    let said = project.exp(&["export", "--format", "csv", "--out", "nowhere/a.csv"]).expect_code(7);
    assert!(said.stderr.contains("cannot write `nowhere/a.csv`: No such file"), "{}", said.stderr);
}

#[test]
fn inspect_shows_the_scores() {
    let project = project();
    let logs = export(&project, "inspect", "inspect", &[]);
    assert_eq!(logs.len(), 2, "two arms of one dataset");
    let script = "
import json, sys
from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries, list_eval_logs
found = {}
for path in sys.argv[1:]:
    log = read_eval_log(path)
    assert log.status == 'success', log.status
    assert read_eval_log(path, header_only=True).results == log.results
    assert len(read_eval_log_sample_summaries(path)) == len(log.samples) == 3
    found[log.eval.task] = {
        'scores': {score.name: score.metrics['mean'].value for score in log.results.scores},
        'samples': {s.id: [s.input, s.target, s.output.completion, {k: v.value for k, v in s.scores.items()}] for s in log.samples},
    }
print(json.dumps(found))
";
    let Some(shown) = python(script, &[&logs[0], &logs[1]]) else { return };
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let lines = export(&project, "jsonl", "out.jsonl", &[]);
    for line in std::fs::read_to_string(&lines[0]).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let task = &shown[format!("d_{}", line["condition"].as_str().unwrap())];
        let sample = &task["samples"][line["item_id"].as_str().unwrap()];
        assert_eq!(sample, &json!([line["question"], line["targets"], line["response_text"], line["scores"]]));
        for metric in line["scores"].as_object().unwrap().keys() {
            assert!(task["scores"][metric].is_number(), "{metric}: {task:#}");
        }
    }
}

/// A sheet that raters filled in is read as it stands, and says of each draw what they said of its text.
#[test]
fn a_sheet_for_raters_becomes_labels() {
    let project = project();
    let sheet = export(&project, "labels", "sheet.csv", &["--sample", "2", "--blind"]);
    let rows = csv_rows(&std::fs::read_to_string(&sheet[0]).unwrap());
    let ids: std::collections::BTreeSet<&str> = rows.iter().map(|row| &*row["item"]).collect();
    assert_eq!(ids.len(), 2, "{rows:?}");
    assert!(
        rows.iter().all(|row| !row.contains_key("from") && row["verdict"].is_empty() && !row["passage"].is_empty())
    );
    let open = export(&project, "labels", "open.csv", &[]);
    let open = csv_rows(&std::fs::read_to_string(&open[0]).unwrap());
    assert!(open.len() > rows.len() && open.iter().any(|row| row["from"].contains(":control")), "{open:?}");
    project.exp(&["export", "--format", "csv", "--blind"]).expect_code(2);
    // Somebody fills it in: what they rate right is where the item is.
    let filled = std::fs::read_to_string(&sheet[0]).unwrap().replace(",,\r\n", ",ann,1\r\n");
    project.file("data/rated.csv", filled);
    let config = project.read("config/eval_config.yaml");
    project.config(
        &config.replace("answers: answers}}", "answers: answers}, scorers: [qa, {labels: {path: data/rated.csv}}]}"),
    );
    let built = project.build();
    let slug = &support::slugs(&built)[0];
    let scores = csv_rows(&project.run_file(&built, &format!("{slug}/results/per_item_scores.csv")));
    let rated: Vec<&str> = scores.iter().map(|row| &*row["labels"]).collect();
    assert_eq!(rated.iter().filter(|score| **score == "1.0").count(), 4, "two items under two arms: {scores:?}");
}

/// What another tool's log holds becomes recordings: our own export read back, and a log that Inspect itself wrote.
#[test]
fn logs_of_inspect_become_recordings() {
    let project = project();
    let logs = export(&project, "inspect", "inspect", &[]);
    let lines = export(&project, "jsonl", "out.jsonl", &[]);
    let lines = std::fs::read_to_string(&lines[0]).unwrap();
    let said: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["condition"] == "control")
        .collect();
    let control = logs.iter().find(|log| log.to_str().unwrap().ends_with("_control.eval")).unwrap();
    let recordings = |log: &Path, out: &str| -> Vec<Value> {
        let args = ["import", log.to_str().unwrap(), "--out", out, "--dataset", "d", "--arm", "control"];
        let imported = project.json(&args);
        assert!(
            imported["config"].as_str().unwrap().starts_with("recordings: {\"d\": {\"control\": {path: "),
            "{imported}"
        );
        project.read(out).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let back = recordings(control, "own.jsonl");
    assert_eq!(back.len(), 3);
    for (answer, line) in back.iter().zip(&said) {
        assert_eq!((&answer["item"], &answer["text"]), (&line["item_id"], &line["response_text"]));
    }
    let damaged = std::fs::read(control).unwrap();
    project.file("cut.eval", &damaged[..damaged.len() / 2]);
    let refused = project.exp(&["import", "cut.eval"]).expect_code(2);
    assert!(refused.stderr.contains("the zip file cannot be read"), "{}", refused.stderr);
    let script = "
import sys
from inspect_ai.log import read_eval_log, write_eval_log
log = read_eval_log(sys.argv[1])
for sample in log.samples:
    sample.output.choices[0].message.content = 'said: ' + sample.output.completion + ' ' + 'long ' * 500
    sample.output.completion = sample.output.choices[0].message.content
write_eval_log(log, sys.argv[2])
";
    let written = project.path("theirs.eval");
    if python(script, &[control, &written]).is_none() {
        return;
    }
    // Inspect puts its samples into an order of its own.
    let theirs = recordings(&written, "theirs.jsonl");
    assert_eq!(theirs.len(), 3);
    for line in &said {
        let answer = theirs.iter().find(|answer| answer["item"] == line["item_id"]).unwrap();
        let expected = format!("said: {} {}", line["response_text"].as_str().unwrap(), "long ".repeat(500));
        assert_eq!((&answer["item"], answer["text"].as_str().unwrap()), (&line["item_id"], &*expected));
    }
}

#[test]
fn other_tools_accept_their_files() {
    let project = project();
    let xml = export(&project, "junit", "out.xml", &[]);
    let script = "
import sys
from lxml import etree
schema = etree.XMLSchema(etree.parse(sys.argv[2]))
tree = etree.parse(sys.argv[1])
schema.assertValid(tree)
cases = tree.findall('.//testcase')
assert len(cases) == 6, len(cases)
assert {case.get('name') for case in cases} == {'q1', 'q2/<&>', '-q3'}
assert int(tree.getroot().get('failures')) == len(tree.findall('.//failure')) >= 1
";
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exports/junit.xsd");
    python(script, &[&xml[0], &schema]);
    let tex = export(&project, "latex", "out.tex", &[]);
    let script = "
import sys
from pylatexenc.latexwalker import LatexWalker, LatexEnvironmentNode
nodes, _, _ = LatexWalker(open(sys.argv[1]).read(), tolerant_parsing=False).get_latex_nodes()
tables = [n for n in nodes if isinstance(n, LatexEnvironmentNode)]
assert [n.environmentname for n in tables] == ['tabular'], tables
";
    python(script, &[&tex[0]]);
    let files = export(&project, "lm-eval", "lm", &[]);
    assert_eq!(files.len(), 4, "results and samples of two arms");
    let script = "
import json, sys
from pydantic import TypeAdapter
from lm_eval.result_schema import EvalResults, SampleResult
from lm_eval.utils import get_results_filenames, get_sample_results_filenames, get_file_task_name, hash_string, make_table
files = sys.argv[1:]
results = get_results_filenames(files)
assert len(results) == 2, results
for path in results:
    whole = json.load(open(path))
    TypeAdapter(EvalResults).validate_python(whole)
    assert '|d ' in make_table(whole), make_table(whole)
samples = get_sample_results_filenames(files)
assert len(samples) == 2, samples
for path in samples:
    assert get_file_task_name(path.rsplit('/', 1)[1]) == 'd', path
    for line in open(path):
        sample = json.loads(line)
        TypeAdapter(SampleResult).validate_python(sample)
        assert sample['doc_hash'] == hash_string(json.dumps(sample['doc'], indent=2, ensure_ascii=False))
        assert sample['target_hash'] == hash_string(sample['target'])
";
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    python(script, &paths);
    for file in files.iter().filter(|file| file.to_str().unwrap().contains("/results_")) {
        let whole: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        for key in
            ["results", "group_subtasks", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "config"]
        {
            assert!(whole[key].is_object(), "{key}");
        }
        let (task, scores) = whole["results"].as_object().unwrap().iter().next().unwrap();
        assert_eq!((task.as_str(), &whole["n-samples"][task]["effective"]), ("d", &json!(3)));
        let samples = std::fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        let samples = samples.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("samples_d_"));
        let samples: Vec<Value> = samples
            .flat_map(|path| {
                std::fs::read_to_string(path)
                    .unwrap()
                    .lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect::<Vec<Value>>()
            })
            .collect();
        assert_eq!(samples.len(), 3);
        for metric in samples[0]["metrics"].as_array().unwrap() {
            let metric = metric.as_str().unwrap();
            let values: Vec<f64> = samples.iter().filter_map(|sample| sample[metric].as_f64()).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            assert!((scores[&format!("{metric},none")].as_f64().unwrap() - mean).abs() < 1e-12, "{metric}");
        }
    }
}
