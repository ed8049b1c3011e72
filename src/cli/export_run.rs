use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::failure::{Exit, Failure};
use super::show::view;
use crate::report::export::{ExportDraw, ExportRun, ExportTest, ExportTrial};
use crate::run::{Manifest, TrialEntry};
use crate::step::Significance;
use crate::store::Store;

/// Is a question and its accepted answers.
#[derive(Clone, Default)]
struct ItemText {
    question: Option<String>,
    context: Option<Arc<str>>,
    targets: Vec<String>,
}

/// Holds the items of a run's datasets.
#[derive(Default)]
struct Questions {
    by_name: HashMap<(String, String), ItemText>,
    /// By id alone, for rows that have a label of their own; none where several datasets have the id.
    by_id: HashMap<String, Option<ItemText>>,
}

impl Questions {
    fn read(store: &Store, manifest: &Manifest) -> Result<Self, Failure> {
        let mut found = Self::default();
        for action in &manifest.actions {
            let Some(dataset) = action.label.strip_prefix("prepare/") else { continue };
            let mut items: BTreeMap<String, ItemText> = BTreeMap::new();
            for output in &action.outputs {
                let is_gold = output.name.starts_with("gold/");
                if !is_gold && !output.name.starts_with("items/") {
                    continue;
                }
                for line in store.read(&output.blob)?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    let line: serde_json::Value = serde_json::from_slice(line)
                        .map_err(|error| Failure::new(Exit::Damage, format!("{}: {error}", action.label)))?;
                    let item = items.entry(line["id"].as_str().unwrap_or_default().to_owned()).or_default();
                    if is_gold {
                        let answers = line["answers"].as_array().into_iter().flatten();
                        item.targets = answers.filter_map(|answer| answer.as_str().map(str::to_owned)).collect();
                    } else {
                        item.question = line["question"].as_str().map(str::to_owned);
                        item.context = line["context"].as_str().map(Arc::from);
                    }
                }
            }
            for (id, question) in items {
                found
                    .by_id
                    .entry(id.clone())
                    .and_modify(|known| *known = None)
                    .or_insert_with(|| Some(question.clone()));
                found.by_name.insert((dataset.to_owned(), id), question);
            }
        }
        Ok(found)
    }

    fn of(&self, dataset: &str, item: &str) -> ItemText {
        let named = self.by_name.get(&(dataset.to_owned(), item.to_owned()));
        named.or_else(|| self.by_id.get(item)?.as_ref()).cloned().unwrap_or_default()
    }
}

/// Reads a run into what exports are made of.
pub fn export_run(store: &Store, manifest: &Manifest) -> Result<ExportRun, Failure> {
    let questions = Questions::read(store, manifest)?;
    let trials = manifest.trials.iter().map(|trial| export_trial(store, manifest, trial, &questions));
    Ok(ExportRun {
        run_id: manifest.run_id.clone(),
        created: manifest.created_utc.clone(),
        tool: manifest.tool.clone(),
        trials: trials.collect::<Result<_, _>>()?,
    })
}

/// Reads the rows of a table, by column.
fn rows(name: &str, bytes: &[u8]) -> Result<Vec<BTreeMap<String, String>>, Failure> {
    let damaged = |error: csv::Error| Failure::new(Exit::Damage, format!("{name} cannot be read: {error}"));
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers().map_err(damaged)?.clone();
    let row =
        |record: csv::StringRecord| header.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect();
    reader.records().map(|record| Ok(row(record.map_err(damaged)?))).collect()
}

/// Are the columns of per_item_scores.csv that are no metric.
const NO_METRIC: [&str; 6] = ["condition", "item_key", "temp", "type", "n_draws", "n_missing"];

fn export_trial(
    store: &Store,
    manifest: &Manifest,
    trial: &TrialEntry,
    questions: &Questions,
) -> Result<ExportTrial, Failure> {
    let mut export = ExportTrial {
        slug: trial.slug.clone(),
        model: trial.trial.model_id.clone(),
        prompt_set: trial.trial.prompt_set.clone(),
        decoding: trial.decoding.clone(),
        ..ExportTrial::default()
    };
    let mut primary: Vec<String> = Vec::new();
    if let Some(bytes) = view(store, manifest, &trial.slug, "results/significance.json")? {
        let results: Significance = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::new(Exit::Damage, format!("significance.json of {}: {error}", trial.slug)))?;
        export.correction = format!("{:?}", results.family.correction).to_lowercase();
        primary = results.family.tests.iter().map(|test| test.metric.clone()).collect();
        let families = [(&results.family, true), (&results.exploratory, false)];
        for (_, block) in results.results.iter() {
            for (dataset, block) in block.datasets.iter() {
                for (metric, values) in block.metrics.iter() {
                    let found = families.iter().find_map(|(family, is_confirmatory)| {
                        let test = family.tests.iter().find(|test| test.dataset == dataset && test.metric == metric)?;
                        Some((test, *is_confirmatory))
                    });
                    export.tests.push(ExportTest {
                        dataset: dataset.to_owned(),
                        metric: metric.to_owned(),
                        n: values.n_items,
                        control: values.control_mean,
                        treatment: values.treatment_mean,
                        delta: values.delta_mean,
                        ci_95: values.ci_95,
                        p: found.and_then(|(test, _)| test.p_value),
                        q: found.and_then(|(test, _)| test.q_value),
                        is_confirmatory: found.is_some_and(|(_, is_confirmatory)| is_confirmatory),
                    });
                }
            }
        }
    }
    let mut scores: HashMap<(String, String), Vec<(String, f64)>> = HashMap::new();
    if let Some(bytes) = view(store, manifest, &trial.slug, "results/per_item_scores.csv")? {
        for row in rows("per_item_scores.csv", &bytes)? {
            let mut found: Vec<(String, f64)> = row
                .iter()
                .filter(|(name, _)| !NO_METRIC.contains(&name.as_str()) && !name.ends_with("_std"))
                .filter_map(|(name, value)| Some((name.clone(), value.parse().ok()?)))
                .collect();
            // What the trial is about comes first.
            found.sort_by_key(|(name, _)| primary.iter().position(|metric| metric == name).unwrap_or(usize::MAX));
            scores.insert((row["item_key"].clone(), row["condition"].clone()), found);
        }
    }
    let Some(bytes) = view(store, manifest, &trial.slug, "results/predictions.csv")? else { return Ok(export) };
    for row in rows("predictions.csv", &bytes)? {
        let text = |name: &str| row.get(name).cloned().unwrap_or_default();
        let (dataset, item, condition) = (text("dataset"), text("item_id"), text("condition"));
        let ItemText { question, context, targets } = questions.of(&dataset, &item);
        let key = (format!("{dataset}|{item}"), condition.clone());
        export.draws.push(ExportDraw {
            temperature: text("temp"),
            draw: text("sample_index").parse().unwrap_or(0),
            kind: text("type"),
            question,
            context,
            targets,
            status: text("status"),
            finish_reason: text("finish_reason"),
            text: text("response_text"),
            answer: text("answer"),
            input_tokens: text("prompt_tokens").parse().ok(),
            output_tokens: text("completion_tokens").parse().ok(),
            served_model: text("served_model"),
            scores: scores.get(&key).cloned().unwrap_or_default(),
            dataset,
            item,
            condition,
        });
    }
    Ok(export)
}
