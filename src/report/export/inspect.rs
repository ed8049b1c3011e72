use serde_json::{Value, json};

use super::export_draw::item_scores;
use super::lm_eval::file_name;
use super::{ExportDraw, ExportError, ExportFile, ExportRun, ExportTrial, zip_file};

/// Writes a run as logs of Inspect, one `.eval` file for each trial, condition and dataset: a zip file of `header.json`,
/// `summaries.json` and a file for each sample. A draw is an epoch; the scores of an epoch are the item's, over all its draws.
///
/// Errors: those of [`zip_file`].
pub fn inspect_logs(run: &ExportRun) -> Result<Vec<ExportFile>, ExportError> {
    let mut logs = Vec::new();
    for trial in &run.trials {
        for ((dataset, condition), draws) in trial.groups() {
            let name = format!("{}_{}_{condition}.eval", file_name(&trial.slug), file_name(&dataset));
            logs.push((name, log(run, trial, &dataset, &condition, &draws)?));
        }
    }
    Ok(logs)
}

fn log(
    run: &ExportRun,
    trial: &ExportTrial,
    dataset: &str,
    condition: &str,
    draws: &[&ExportDraw],
) -> Result<Vec<u8>, ExportError> {
    let items: std::collections::BTreeSet<&str> = draws.iter().map(|draw| draw.item.as_str()).collect();
    let epochs = draws.iter().map(|draw| draw.draw + 1).max().unwrap_or(1);
    let scores: Vec<Value> = item_scores(draws)
        .into_iter()
        .map(|(metric, values)| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            json!({
                "name": metric, "scorer": metric, "scored_samples": values.len(), "unscored_samples": items.len() - values.len(),
                "params": {}, "metrics": {"mean": {"name": "mean", "value": mean, "params": {}}},
            })
        })
        .collect();
    let sum = |of: fn(&ExportDraw) -> Option<u64>| draws.iter().filter_map(|draw| of(draw)).sum::<u64>();
    let (input, output) = (sum(|draw| draw.input_tokens), sum(|draw| draw.output_tokens));
    let usage = json!({&trial.model: {"input_tokens": input, "output_tokens": output, "total_tokens": input + output}});
    let task = format!("{dataset}_{condition}");
    let eval = json!({
        "run_id": run.run_id, "created": run.created, "task": task, "task_id": format!("{}_{task}", trial.slug),
        "task_version": 0, "task_args": {},
        "dataset": {"name": dataset, "samples": items.len(), "sample_ids": items, "shuffled": false},
        "model": trial.model, "model_args": {}, "config": {"epochs": epochs}, "packages": {},
        "metadata": {"exp": {"trial": trial.slug, "condition": condition, "prompt_set": trial.prompt_set, "decoding": trial.decoding, "tool": run.tool}},
    });
    let plan = json!({"name": "plan", "steps": [], "config": {}});
    let header = json!({
        "version": 2, "status": "success", "eval": eval, "plan": plan,
        "results": {"total_samples": draws.len(), "completed_samples": draws.len(), "scores": scores},
        "stats": {"started_at": run.created, "completed_at": run.created, "model_usage": usage},
    });
    let start = json!({"version": 2, "eval": eval, "plan": plan});
    let mut entries = vec![("_journal/start.json".to_owned(), start.to_string().into_bytes())];
    let mut summaries = Vec::new();
    for (at, draw) in draws.iter().enumerate() {
        let sample = sample(trial, draw);
        let summary = ["id", "epoch", "input", "target", "scores", "metadata"];
        let mut short: serde_json::Map<String, Value> =
            summary.iter().map(|name| ((*name).to_owned(), sample[*name].clone())).collect();
        short.insert("completed".to_owned(), json!(true));
        summaries.push(Value::Object(short));
        // The id is any text: the name of the file has the place instead, which nothing depends on.
        let name = format!("samples/{}-{at}_epoch_{}.json", file_name(&draw.item), draw.draw + 1);
        let name = if draw.item == file_name(&draw.item) && draw.item.len() < 200 {
            format!("samples/{}_epoch_{}.json", draw.item, draw.draw + 1)
        } else if name.len() < 250 {
            name
        } else {
            format!("samples/{at}_epoch_{}.json", draw.draw + 1)
        };
        entries.push((name, sample.to_string().into_bytes()));
    }
    entries.push(("summaries.json".to_owned(), Value::Array(summaries).to_string().into_bytes()));
    entries.push(("header.json".to_owned(), header.to_string().into_bytes()));
    zip_file(&entries)
}

fn sample(trial: &ExportTrial, draw: &ExportDraw) -> Value {
    let question = draw.question.clone().unwrap_or_default();
    let stop = match draw.status.as_str() {
        "length" => "max_tokens",
        "content_filter" | "refusal" => "content_filter",
        "stop" | "empty" | "no_answer" => "stop",
        _ => "unknown",
    };
    let scores: serde_json::Map<String, Value> = draw
        .scores
        .iter()
        .map(|(metric, value)| {
            (metric.clone(), json!({"value": value, "answer": draw.answer, "metadata": {"item_mean": true}}))
        })
        .collect();
    let (input, output) = (draw.input_tokens.unwrap_or(0), draw.output_tokens.unwrap_or(0));
    let usage = json!({"input_tokens": input, "output_tokens": output, "total_tokens": input + output});
    let message = json!({"role": "assistant", "content": draw.text, "source": "generate", "model": trial.model});
    json!({
        "id": draw.item, "epoch": draw.draw + 1, "input": question, "target": draw.targets,
        "messages": [{"role": "user", "content": question, "source": "input"}, message],
        "output": {
            "model": if draw.served_model.is_empty() { &trial.model } else { &draw.served_model },
            "choices": [{"message": message, "stop_reason": stop}], "usage": usage,
        },
        "scores": scores, "metadata": {"status": draw.status}, "store": {}, "events": [], "attachments": {},
        "model_usage": {&trial.model: usage},
    })
}
