use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::export_draw::item_scores;
use super::{ExportDraw, ExportFile, ExportRun};

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
                let items = by_item(&draws);
                let mut scores = Map::from_iter([
                    ("name".to_owned(), json!(task)),
                    ("alias".to_owned(), json!(task)),
                    ("sample_len".to_owned(), json!(items.len())),
                ]);
                let mut highers = Map::new();
                for (metric, values) in item_scores(&draws) {
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
                    json!({"task": task, "output_type": "generate_until", "num_fewshot": 0, "repeats": items.iter().map(Vec::len).max()}),
                );
                versions.insert(task.clone(), json!(1.0));
                shots.insert(task.clone(), json!(0));
                counts.insert(task.clone(), json!({"original": items.len(), "effective": items.len()}));
                let mut lines = Vec::new();
                for (at, draws) in items.iter().enumerate() {
                    lines.extend_from_slice(sample(at, draws).to_string().as_bytes());
                    lines.push(b'\n');
                }
                files.push((format!("{dir}/samples_{}_{time}.jsonl", file_name(&task)), lines));
            }
            let whole = json!({
                "results": results, "group_subtasks": {}, "configs": configs, "versions": versions, "n-shot": shots,
                "higher_is_better": better, "n-samples": counts,
                "config": {"model": trial.model, "model_args": "", "gen_kwargs": trial.decoding, "limit": null},
                "model_source": "exp", "model_name": trial.model,
                "model_name_sanitized": file_name(&trial.model), "exp": {"run_id": run.run_id, "trial": trial.slug, "condition": condition},
            });
            files.push((format!("{dir}/results_{time}.json"), format!("{whole:#}\n").into_bytes()));
        }
    }
    files
}

/// Puts the draws of each item together, the items in the order in which they come.
fn by_item<'d>(draws: &[&'d ExportDraw]) -> Vec<Vec<&'d ExportDraw>> {
    let mut places = std::collections::HashMap::new();
    let mut items: Vec<Vec<&ExportDraw>> = Vec::new();
    for draw in draws {
        let place = *places.entry(draw.item.as_str()).or_insert(items.len());
        match items.get_mut(place) {
            Some(item) => item.push(draw),
            None => items.push(vec![draw]),
        }
    }
    items
}

/// Makes the line of one item. Its draws are the repeats of one request; of them the first is what a filter takes.
fn sample(at: usize, draws: &[&ExportDraw]) -> Value {
    let Some(first) = draws.first() else { return Value::Null };
    let doc = json!({"id": first.item, "question": first.question, "answers": first.targets});
    let prompt = first.question.as_deref().unwrap_or_default();
    let target = first.targets.first().map_or("", String::as_str);
    let mut line = json!({
        "doc_id": at,
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": {}}},
        "resps": [draws.iter().map(|draw| &draw.text).collect::<Vec<_>>()],
        "filtered_resps": [first.answer],
        "filter": "none",
        "metrics": first.scores.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "doc_hash": sha256(&format!("{doc:#}")),
        "prompt_hash": sha256(prompt),
        "target_hash": sha256(target),
        "doc": doc,
    });
    for (metric, value) in &first.scores {
        line[metric] = json!(value);
    }
    line
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Makes a text fit to be part of a file's name.
pub(super) fn file_name(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = text.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}
