use serde_json::{Map, Value, json};

use super::{ExportFile, ExportRun, item_scores};

/// Writes a run as lm-evaluation-harness does: a directory for each trial and condition, in it `results_<time>.json` and, for
/// each dataset, `samples_<dataset>_<time>.jsonl`.
pub fn lm_eval_files(run: &ExportRun) -> Vec<ExportFile> {
    let time = run.created.replace(':', "-").trim_end_matches('Z').to_owned();
    let mut files = Vec::new();
    for trial in &run.trials {
        for condition in ["control", "treatment"] {
            let groups: Vec<_> = trial.groups().into_iter().filter(|((_, of), _)| of == condition).collect();
            if groups.is_empty() {
                continue;
            }
            let dir = format!("{}__{condition}", file_name(&trial.slug));
            let [mut results, mut configs, mut versions, mut shots, mut better, mut counts] =
                [(); 6].map(|()| Map::new());
            for ((task, _), draws) in groups {
                let mut scores = Map::from_iter([("alias".to_owned(), json!(task))]);
                let mut highers = Map::new();
                let mut items = 0;
                for (metric, values) in item_scores(&draws) {
                    items = items.max(values.len());
                    let n = values.len() as f64;
                    let mean = values.iter().sum::<f64>() / n;
                    let spread = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
                    let error = if n > 1.0 { json!((spread / (n - 1.0) / n).sqrt()) } else { json!("N/A") };
                    scores.insert(format!("{metric},none"), json!(mean));
                    scores.insert(format!("{metric}_stderr,none"), error);
                    let is_rate_of_error = metric.ends_with("abstain_rate")
                        || metric.contains("false_answer")
                        || metric.contains("unsupported");
                    highers.insert(metric, json!(!is_rate_of_error));
                }
                results.insert(task.clone(), Value::Object(scores));
                better.insert(task.clone(), Value::Object(highers));
                configs.insert(
                    task.clone(),
                    json!({"task": task, "output_type": "generate_until", "num_fewshot": 0, "repeats": 1}),
                );
                versions.insert(task.clone(), json!(1.0));
                shots.insert(task.clone(), json!(0));
                counts.insert(task.clone(), json!({"original": items, "effective": items}));
                let mut lines = Vec::new();
                for (at, draw) in draws.iter().enumerate() {
                    let mut line = json!({
                        "doc_id": at,
                        "doc": {"id": draw.item, "question": draw.question, "answers": draw.targets},
                        "target": draw.targets.first(),
                        "arguments": {"gen_args_0": {"arg_0": draw.question, "arg_1": {}}},
                        "resps": [[draw.text]],
                        "filtered_resps": [draw.answer],
                        "filter": "none",
                        "metrics": draw.scores.iter().map(|(name, _)| name).collect::<Vec<_>>(),
                    });
                    for (metric, value) in &draw.scores {
                        line[metric] = json!(value);
                    }
                    lines.extend_from_slice(line.to_string().as_bytes());
                    lines.push(b'\n');
                }
                files.push((format!("{dir}/samples_{}_{time}.jsonl", file_name(&task)), lines));
            }
            let whole = json!({
                "results": results, "group_subtasks": {}, "configs": configs, "versions": versions, "n-shot": shots,
                "higher_is_better": better, "n-samples": counts,
                "config": {"model": trial.model, "model_args": "", "gen_kwargs": trial.decoding, "limit": null},
                "git_hash": null, "date": null, "model_source": "exp", "model_name": trial.model,
                "model_name_sanitized": file_name(&trial.model), "exp": {"run_id": run.run_id, "trial": trial.slug, "condition": condition},
            });
            files.push((format!("{dir}/results_{time}.json"), format!("{whole:#}\n").into_bytes()));
        }
    }
    files
}

/// Makes a text fit to be part of a file's name.
pub(super) fn file_name(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = text.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}
