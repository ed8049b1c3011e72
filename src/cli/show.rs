use super::args::Global;
use super::failure::{Exit, Failure};
use super::online::wire_of;
use super::output::Output;
use super::p_value::p_text;
use super::project::Home;
use super::records::Records;
use super::show_args::ShowArgs;
use super::show_verdicts::{JudgedItem, compared_under, judges_of, verdicts};
use super::text_table::TextTable;
use crate::config::Config;
use crate::digest::{BlobId, RequestKey};
use crate::plan::{InferParams, StepKind};
use crate::provider::wire_body;
use crate::request::{DrawAddress, Redraws};
use crate::run::{Catalog, Manifest};
use crate::step::{PairwiseResults, RequestsReader, Significance};
use crate::store::{Access, Store};

/// Shows one run: its results, where its arms disagree, or the exact body of one request.
pub fn show(global: &Global, args: &ShowArgs, out: &Output) -> Result<Exit, Failure> {
    let home = Home::find(global)?;
    let store = home.open_store(Access::ReadOnly, out)?;
    let catalog = Catalog::read(&store)?;
    let entry = catalog.find(&args.run)?;
    let manifest = Catalog::manifest(&store, &entry.record)?;
    if args.request.is_some() || args.items {
        super::predecessor::refuse(&manifest, "has no requests and items that could be shown")?;
    }
    if manifest.is_predecessors() {
        return super::predecessor::show(&store, &manifest, out);
    }
    if let Some(request) = &args.request
        && let [item, arm] = request.as_slice()
    {
        let config = Home::config(global);
        return request_body(&store, &manifest, config.as_ref(), &Wanted { item, arm, exact: args.exact }, out);
    }
    if args.items {
        return super::show_items::items(&store, &manifest, args, out);
    }
    out.line(&format!("run {} · {} · {}", manifest.run_id, entry.state_words(), manifest.created_utc));
    if let Some(root) = manifest.root {
        out.line(&format!("root {root}"));
    }
    let mut trials = Vec::new();
    for trial in &manifest.trials {
        let Some(bytes) = view(&store, &manifest, &trial.slug, "results/significance.json")? else { continue };
        let results: Significance = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::new(Exit::Damage, format!("significance.json of {}: {error}", trial.slug)))?;
        out.line("");
        out.line(&trial.slug);
        let mut table =
            TextTable::new(&["dataset", "metric", ">n", ">control", ">treatment", ">delta", "95 % interval", ">p"]);
        let mut rows = Vec::new();
        for (_, block) in results.results.iter() {
            for (dataset, block) in block.datasets.iter() {
                for (metric, values) in block.metrics.iter() {
                    let interval =
                        values.ci_95.map_or_else(|| "–".to_owned(), |[low, high]| format!("[{low:+.4}, {high:+.4}]"));
                    let p = values.test.as_ref().map(|test| test.p_value);
                    table.row([
                        dataset.to_owned(),
                        metric.to_owned(),
                        values.n_items.to_string(),
                        number(values.control_mean),
                        number(values.treatment_mean),
                        values.delta_mean.map_or_else(|| "–".to_owned(), |delta| format!("{delta:+.4}")),
                        interval,
                        p.map_or_else(|| "–".to_owned(), p_text),
                    ]);
                    rows.push(serde_json::json!({
                        "dataset": dataset, "metric": metric, "n_items": values.n_items,
                        "control": values.control_mean, "treatment": values.treatment_mean,
                        "delta": values.delta_mean, "ci_95": values.ci_95, "p_value": p,
                    }));
                }
            }
        }
        table.print(out);
        let mut document = serde_json::json!({"slug": trial.slug, "metrics": rows});
        if let Some(bytes) = view(&store, &manifest, &trial.slug, "results/pairwise.json")? {
            document["pairwise"] = pairwise(&trial.slug, &bytes, out)?;
        }
        trials.push(document);
    }
    out.document(&serde_json::json!({
        "run_id": manifest.run_id, "state": entry.state_words(), "root": manifest.root,
        "requests": manifest.requests, "trials": trials,
    }));
    Ok(Exit::Done)
}

/// Prints which arm's answers models prefer in a trial, and returns that as a document.
fn pairwise(slug: &str, bytes: &[u8], out: &Output) -> Result<serde_json::Value, Failure> {
    let damaged = |error| Failure::new(Exit::Damage, format!("pairwise.json of {slug}: {error}"));
    let results: PairwiseResults = serde_json::from_slice(bytes).map_err(damaged)?;
    let mut table = TextTable::new(&[
        "dataset",
        "preferred by",
        ">wins",
        ">ties",
        ">losses",
        ">win rate",
        "95 % interval",
        ">p",
        ">equal lengths",
        ">orders agree",
    ]);
    for (dataset, blocks) in &results.datasets {
        for (name, block) in blocks.iter() {
            let rate = &block.win_rate;
            let interval = rate.ci_95.map_or_else(|| "–".to_owned(), |[low, high]| format!("[{low:.4}, {high:.4}]"));
            let position = &block.position;
            let consistency =
                position.consistency.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0));
            table.row([
                dataset.to_owned(),
                name.to_owned(),
                block.wins.to_string(),
                block.ties.to_string(),
                block.losses.to_string(),
                number(rate.mean),
                interval,
                block.sign_test.p_value.map_or_else(|| "–".to_owned(), p_text),
                number(block.length.win_rate),
                consistency,
            ]);
        }
    }
    table.print(out);
    serde_json::from_slice(bytes).map_err(damaged)
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
}

/// Reads a view of a run from the store.
pub fn view(store: &Store, manifest: &Manifest, slug: &str, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    let found = manifest.views.iter().find(|view| view.slug == slug && view.name == name);
    Ok(found.map(|view| store.read(&view.blob)).transpose()?)
}

/// Names a request that is to be shown.
struct Wanted<'w> {
    item: &'w str,
    arm: &'w str,
    /// Whether the bytes are wanted as they are.
    exact: bool,
}

/// Prints the body that was, or would be, sent for an item under an arm: the first draw's, where each has a seed of its own.
///
/// Of a provider that is embedded here nothing is sent: its request is shown.
fn request_body(
    store: &Store,
    manifest: &Manifest,
    config: Option<&Config>,
    wanted: &Wanted<'_>,
    out: &Output,
) -> Result<Exit, Failure> {
    let Wanted { item, arm, exact } = *wanted;
    let mut seen: Vec<BlobId> = Vec::new();
    let mut found = Vec::new();
    let mut arms: Vec<String> = Vec::new();
    for action in &manifest.actions {
        let segments: Vec<&str> = action.label.split('/').collect();
        if segments.first() != Some(&StepKind::Build.as_str()) || segments.len() < 3 {
            continue;
        }
        let name = segments[segments.len() - 2];
        if !arms.iter().any(|known| known == name) {
            arms.push(name.to_owned());
        }
        if name != arm {
            continue;
        }
        for output in action.outputs.iter().filter(|output| output.name == "requests") {
            if seen.contains(&output.blob) {
                continue;
            }
            seen.push(output.blob);
            for line in RequestsReader::new(store.open_blob(&output.blob)?)? {
                let line = line?;
                if line.item == item {
                    found.push((action.label.clone(), line));
                }
            }
        }
    }
    if let (false, Some((arm, judge))) = (arms.iter().any(|known| known == arm), arm.rsplit_once('/'))
        && judges_of(manifest, arm).contains(judge)
    {
        verdicts(store, manifest, config, &JudgedItem { item, arm, judge }, exact, out)?;
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        let message = if arms.iter().any(|known| known == arm) {
            format!("run `{}` asks nothing of item `{item}` under `{arm}`", manifest.run_id)
        } else {
            format!("run `{}` has no arm `{arm}`; its arms are {}", manifest.run_id, arms.join(", "))
        };
        let pair =
            arm.rsplit_once('/').and_then(|(_, judge)| Some((judge, compared_under(manifest, judge).pop_first()?)));
        return Err(Failure::usage(message).hint(match pair {
            Some((judge, set)) => format!("a pair of answers is named by its prompt set, as in `{set}/{judge}`"),
            None => "ids stand in the column item_id of predictions.csv".to_owned(),
        }));
    }
    let mut documents = Vec::new();
    for (label, line) in &found {
        let address = first_draw(store, manifest, label, &line.key)?;
        let sent = wire_of(config, &line.request).map(|wire| wire_body(&wire, &line.request, &address));
        let document = match &sent {
            // Read back, so that it can be laid out; its bytes stand beside it.
            Some(sent) => serde_json::json!({
                "action": label, "key": line.key, "exact": sent,
                "body": serde_json::from_str::<serde_json::Value>(sent).unwrap_or_default(),
            }),
            None => serde_json::json!({"action": label, "key": line.key, "body": line.request}),
        };
        match sent {
            Some(sent) if exact => out.line(&sent),
            None if exact => out.line(&serde_json::to_string(&line.request).unwrap_or_default()),
            _ => {
                let shown = serde_json::json!({"action": label, "key": line.key, "body": document["body"]});
                out.line(&serde_json::to_string_pretty(&shown).unwrap_or_default());
            }
        }
        documents.push(document);
    }
    for judge in judges_of(manifest, arm) {
        out.note(&format!(
            "`{judge}` judges what came of it: `--request {item} {arm}/{judge}` shows what it was asked, and said"
        ));
    }
    out.document(&serde_json::json!(documents));
    Ok(Exit::Done)
}

/// Returns the address of a request's first draw as the run asked for it; `label` is that of the `build` action.
fn first_draw(store: &Store, manifest: &Manifest, label: &str, key: &RequestKey) -> Result<DrawAddress, Failure> {
    let label = label.replacen(StepKind::Build.as_str(), StepKind::Infer.as_str(), 1);
    let asked = match manifest.actions.iter().find(|action| action.label == label) {
        Some(action) => Records::open(store, manifest)?.of(action)?,
        None => None,
    };
    let Some(asked) = asked else { return Ok(DrawAddress { request: *key, generation: 0, number: 0 }) };
    let redraws = match asked.spec.inputs.get("redraws") {
        Some(blob) => Redraws::parse(&store.read(blob)?).unwrap_or_default(),
        None => Redraws::default(),
    };
    Ok(redraws.address(*key, asked.params.read::<InferParams>()?.generation, 0))
}
