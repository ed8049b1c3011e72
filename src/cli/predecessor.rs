use serde_json::{Value, json};

use super::build::TOOL;
use super::export_args::ImportArgs;
use super::failure::{Exit, Failure};
use super::finish::{self, thousands};
use super::output::Output;
use super::project::Home;
use super::show::view;
use crate::flow::Clock;
use crate::run::{Catalog, ImportedTree, Manifest, ViewDir, import_predecessor, loose_json, predecessor_trees};
use crate::store::{Access, Store};

/// Takes in runs of the predecessor's from a directory: listed, compared and audited from then on, and never served.
pub fn import(home: &Home, args: &ImportArgs, out: &Output, clock: &Clock) -> Result<Exit, Failure> {
    if args.trust || args.out.is_some() || args.dataset.is_some() || args.arm.is_some() {
        return Err(Failure::usage(
            "--trust, --out, --dataset and --arm are not about a directory of the predecessor's",
        )
        .hint(
            "nobody can know what its answers were answers to: a provider of `kind: replay` reads them as recordings",
        ));
    }
    let dir = if args.file.is_absolute() { args.file.clone() } else { super::project::current_dir()?.join(&args.file) };
    let trees = predecessor_trees(&dir)?;
    if trees.is_empty() {
        return Err(Failure::usage(format!("`{}` holds no run and no archive of the predecessor's", args.file)).hint(
            "a run has `multi_trial_manifest.json` or `run_state.json` in it, an archive `archive_manifest.json`",
        ));
    }
    let store = home.open_store(Access::ReadWrite, out)?;
    let session = store.session()?;
    let mut imported: Vec<ImportedTree> = Vec::new();
    for tree in &trees {
        let run = import_predecessor(&session, &home.experiments, tree, TOOL, &clock.now())?;
        let record = Catalog::read(&store)?.find(&run.run_id)?.record.clone();
        finish::show(&ViewDir::new(&home.experiments, &run.run_id), &store, &record)?;
        let already = if run.already { " (it was there already)" } else { "" };
        out.line(&format!(
            "run {} imported{already}: {}, {} trials, {} files of {}",
            run.run_id,
            run.state,
            run.trials,
            thousands(run.files as u64),
            home.shown(tree)
        ));
        for missing in &run.missing {
            out.line(&format!("  missing: {missing}"));
        }
        for left_out in &run.left_out {
            out.line(&format!("  left where it is, since it is no regular file: {left_out}"));
        }
        imported.push(run);
    }
    out.line("unverified: listed, shown, compared and audited, and never served to a build");
    out.document(&json!({"runs": imported}));
    Ok(Exit::Done)
}

/// Refuses what a run of the predecessor's has nothing for.
pub fn refuse(manifest: &Manifest, why: &str) -> Result<(), Failure> {
    if !manifest.is_predecessors() {
        return Ok(());
    }
    Err(Failure::usage(format!("run `{}` is the predecessor's: it {why}", manifest.run_id))
        .hint("its own files stand in its directory; `exp show` and `exp compare` read them"))
}

/// Shows the results of a run of the predecessor's, from its `significance.json` (schema 2).
///
/// Its p- and q-values are left out: `docs/migration.md` says which of its methods were not sound.
pub fn show(store: &Store, manifest: &Manifest, out: &Output) -> Result<Exit, Failure> {
    out.line(&format!(
        "run {} · {} · {} · imported, unverified",
        manifest.run_id, manifest.state, manifest.created_utc
    ));
    if let Some(root) = manifest.root {
        out.line(&format!("root {root}"));
    }
    let mut trials = Vec::new();
    for trial in &manifest.trials {
        out.line("");
        out.line(&trial.slug);
        let mut rows = Vec::new();
        let results = view(store, manifest, &trial.slug, "results/significance.json")?;
        let results: Value = results.and_then(|bytes| loose_json(&bytes)).unwrap_or_default();
        for (temperature, blocks) in results["results"].as_object().into_iter().flatten() {
            for (kind, block) in blocks.as_object().into_iter().flatten() {
                for (metric, values) in block["metrics"].as_object().into_iter().flatten() {
                    rows.push(row(temperature, kind, metric, values));
                }
            }
        }
        if rows.is_empty() {
            out.line("  no significance.json that can be read");
        } else {
            let head = format!("  {:<6}{:<10}{:<20}{:>7}{:>10}  95 % interval", "temp", "type", "metric", "n", "delta");
            out.line(&head);
        }
        for row in &rows {
            let number = |value: &Value| value.as_f64().map_or_else(|| "–".to_owned(), |value| format!("{value:+.4}"));
            out.line(&format!(
                "  {:<6}{:<10}{:<20}{:>7}{:>10}  [{}, {}]",
                row["temp"].as_str().unwrap_or_default(),
                row["type"].as_str().unwrap_or_default(),
                row["metric"].as_str().unwrap_or_default(),
                row["n_items"].as_u64().map_or_else(|| "–".to_owned(), |n| n.to_string()),
                number(&row["delta"]),
                number(&row["ci_95"][0]),
                number(&row["ci_95"][1]),
            ));
        }
        trials.push(json!({"slug": trial.slug, "metrics": rows}));
    }
    out.document(&json!({
        "run_id": manifest.run_id, "state": manifest.state, "root": manifest.root, "imported": "unverified", "trials": trials,
    }));
    Ok(Exit::Done)
}

fn row(temperature: &str, kind: &str, metric: &str, values: &Value) -> Value {
    json!({
        "temp": temperature, "type": kind, "metric": metric, "n_items": values["n_items"], "delta": values["delta_mean"],
        "ci_95": values["ci_95"],
    })
}
