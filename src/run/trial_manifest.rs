use std::collections::BTreeMap;

use super::{Manifest, PromptEntry, RunError, RunState, TrialEntry, TrialSettings};
use crate::digest::Decimal;

/// Is `trial_manifest.json`: one trial under the names that the predecessor's scripts read. It is made from the run's
/// manifest alone and holds no hash that is not there.
#[derive(Debug, serde::Serialize)]
struct TrialManifest<'a> {
    schema_version: u32,
    timestamps: Timestamps<'a>,
    run_id: &'a str,
    trial: &'a TrialSettings,
    slug: &'a str,
    temps: &'a [Decimal],
    samples_per_item: BTreeMap<String, u32>,
    decoding: &'a BTreeMap<String, String>,
    prompts: &'a BTreeMap<String, PromptEntry>,
    stage_status: BTreeMap<&'static str, Stage<'a>>,
}

#[derive(Debug, serde::Serialize)]
struct Timestamps<'a> {
    created_at: &'a str,
    updated_at: &'a str,
}

#[derive(Debug, serde::Serialize)]
struct Stage<'a> {
    status: &'static str,
    updated_at: &'a str,
}

/// Writes a trial's manifest.
pub fn trial_manifest(run: &Manifest, trial: &TrialEntry) -> Result<String, RunError> {
    let done = |name: &str| run.views.iter().any(|view| view.slug == trial.slug && view.name == name);
    let stages = [
        ("downloaded", "results/predictions.csv"),
        ("parsed", "results/predictions.csv"),
        ("scored", "results/per_item_scores.csv"),
        ("stats", "results/significance.json"),
        ("costs", "results/costs.json"),
        ("report", "reports/report.md"),
    ];
    let status = |name| match (done(name), run.state) {
        (true, _) => "completed",
        (false, RunState::Failed) => "failed",
        (false, _) => "pending",
    };
    let document = TrialManifest {
        schema_version: Manifest::SCHEMA_VERSION,
        timestamps: Timestamps { created_at: &run.created_utc, updated_at: &run.updated_utc },
        run_id: &run.run_id,
        trial: &trial.trial,
        slug: &trial.slug,
        temps: &trial.trial.temps,
        samples_per_item: trial
            .trial
            .temps
            .iter()
            .map(|temperature| (format!("{:?}", temperature.to_f64()), trial.trial.draws))
            .collect(),
        decoding: &trial.decoding,
        prompts: &trial.prompts,
        stage_status: stages
            .into_iter()
            .map(|(stage, view)| (stage, Stage { status: status(view), updated_at: &run.updated_utc }))
            .collect(),
    };
    serde_json::to_string_pretty(&document).map(|text| text + "\n").map_err(|error| RunError::Unreadable {
        what: format!("the manifest of trial `{}`", trial.slug),
        why: error.to_string(),
    })
}
