use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::audit_views::walk;
use super::on_disk::{self, OnDisk};
use super::{FailureEntry, RunError, TrialEntry, TrialSettings, loose_json};
use crate::digest::Decimal;
use crate::plan::path_segment;

/// Is the file that makes a directory an archive of the predecessor's.
const ARCHIVE: &str = "archive_manifest.json";
/// Are the files one of which makes a directory a run of the predecessor's.
const RUN: [&str; 2] = ["multi_trial_manifest.json", "run_state.json"];
/// Are the results of a trial that are shown, and whether a trial without it is not complete.
const RESULTS: [(&str, bool); 8] = [
    ("predictions.csv", true),
    ("per_item_scores.csv", true),
    ("significance.json", true),
    ("costs.json", true),
    ("power_analysis.json", false),
    ("mixed_models.json", false),
    ("unsupported_sensitivity.json", false),
    ("cost_effectiveness.json", false),
];
/// Is the largest file of a tree that is read for what it says.
const LONGEST: u64 = 64 << 20;

/// Is a run as the predecessor left it in a directory, read and not changed.
#[derive(Clone, Debug)]
pub(super) struct PredecessorTree {
    /// Its id: a path segment.
    pub(super) run_id: String,
    /// When it began, as the tree says it: UTC, RFC 3339.
    pub(super) created: Option<String>,
    /// The file that says how it was made.
    pub(super) config: Utf8PathBuf,
    /// Every regular file, by its path below the directory, sorted.
    pub(super) files: Vec<Utf8PathBuf>,
    /// What is no regular file, and is left where it is.
    pub(super) left_out: Vec<Utf8PathBuf>,
    /// The trials, sorted by slug.
    pub(super) trials: Vec<TrialEntry>,
    /// The files that are shown: slug, name below the trial's directory, path below the tree.
    pub(super) views: Vec<(String, String, Utf8PathBuf)>,
    /// What is missing of it.
    pub(super) failures: Vec<FailureEntry>,
}

/// Lists the predecessor's runs at a path: the directory itself, or those in it (`run_*`, `archives/*`, `experiments/…`).
pub fn predecessor_trees(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, RunError> {
    if is_tree(dir)? {
        return Ok(vec![dir.to_owned()]);
    }
    let mut found = Vec::new();
    for place in [dir.to_owned(), dir.join("archives"), dir.join("experiments"), dir.join("experiments/archives")] {
        if !matches!(OnDisk::at(&place)?, OnDisk::Dir) {
            continue;
        }
        for entry in place.read_dir_utf8().map_err(on_disk::failed("list", &place))? {
            let path = entry.map_err(on_disk::failed("list", &place))?.into_path();
            if is_tree(&path)? {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_file(path: &Utf8Path) -> Result<bool, RunError> {
    Ok(matches!(OnDisk::at(path)?, OnDisk::File(_)))
}

/// Says whether a directory is a run or an archive of the predecessor's; one of ours is none.
fn is_tree(dir: &Utf8Path) -> Result<bool, RunError> {
    if !matches!(OnDisk::at(dir)?, OnDisk::Dir) {
        return Ok(false);
    }
    for name in RUN.into_iter().chain([ARCHIVE]) {
        let path = dir.join(name);
        if is_file(&path)? && json(&path)?.get("manifest_digest").is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn json(path: &Utf8Path) -> Result<Value, RunError> {
    let unreadable = |why: String| RunError::Unreadable { what: format!("`{path}`"), why };
    match OnDisk::at(path)? {
        OnDisk::File(meta) if meta.len() > LONGEST => Err(unreadable(format!("it has {} bytes", meta.len()))),
        OnDisk::File(_) => {
            loose_json(&on_disk::read(path)?).ok_or_else(|| unreadable("it is no JSON, or is cut off".to_owned()))
        }
        _ => Ok(Value::Null),
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value[name].as_str().filter(|text| !text.is_empty())
}

impl PredecessorTree {
    /// Reads what a directory holds. Links are not followed; a JSON file of it that does not read is an error.
    pub(super) fn read(dir: &Utf8Path) -> Result<Self, RunError> {
        let own = dir.file_name().unwrap_or("run");
        let (manifest, state, archive) =
            (json(&dir.join(RUN[0]))?, json(&dir.join(RUN[1]))?, json(&dir.join(ARCHIVE))?);
        let is_archive = !archive.is_null();
        let id = if is_archive {
            text(&archive, "experiment_id").unwrap_or(own)
        } else {
            let stated = text(&manifest, "run_id").or(text(&state, "run_id"));
            stated.unwrap_or(own.strip_prefix("run_").unwrap_or(own))
        };
        let mut tree = Self {
            run_id: path_segment(id),
            created: text(&manifest, "created_utc").or(text(&archive, "archived_date")).and_then(moment),
            config: Utf8PathBuf::new(),
            files: Vec::new(),
            left_out: Vec::new(),
            trials: Vec::new(),
            views: Vec::new(),
            failures: Vec::new(),
        };
        for found in walk(dir)? {
            match found.what {
                OnDisk::File(_) => tree.files.push(found.path),
                OnDisk::Dir => {}
                _ => tree.left_out.push(found.path),
            }
        }
        let known: BTreeSet<&Utf8Path> = tree.files.iter().map(Utf8PathBuf::as_path).collect();
        let config = ["effective_config.yaml", ARCHIVE, RUN[0], RUN[1]].into_iter().map(Utf8Path::new);
        let config = config.into_iter().find(|name| known.contains(name));
        let unreadable = |why: &str| RunError::Unreadable { what: format!("`{dir}`"), why: why.to_owned() };
        tree.config = config.ok_or_else(|| unreadable("it holds nothing that says how it was made"))?.to_owned();
        let (trials, views, mut failures) = trials(dir, &known, &manifest, &archive, &tree.run_id)?;
        failures.extend(listed_and_missing(&archive, &known));
        if trials.is_empty() {
            failures.push(FailureEntry { label: "results".to_owned(), why: "no trial has any".to_owned() });
        }
        (tree.trials, tree.views, tree.failures) = (trials, views, failures);
        Ok(tree)
    }
}

/// Reads a time as the predecessor wrote them: RFC 3339, the same without a zone (UTC), or a date.
fn moment(text: &str) -> Option<String> {
    let at_utc = |time: jiff::civil::DateTime| jiff::tz::Offset::UTC.to_timestamp(time).ok();
    let time = text.parse::<jiff::Timestamp>().ok();
    let time = time.or_else(|| text.parse::<jiff::civil::DateTime>().ok().and_then(at_utc));
    let time = time.or_else(|| text.parse::<jiff::civil::Date>().ok().and_then(|date| at_utc(date.into())));
    time.map(|time| format!("{time:.3}"))
}

/// Lists the files that an archive's manifest names and that are not in it.
fn listed_and_missing(archive: &Value, known: &BTreeSet<&Utf8Path>) -> Vec<FailureEntry> {
    let mut missing = Vec::new();
    for (dir, names) in archive["files"].as_object().into_iter().flatten() {
        for name in names.as_array().into_iter().flatten().filter_map(Value::as_str) {
            let path = Utf8Path::new(dir).join(name);
            // A directory stands for what is in it.
            if !known.contains(path.as_path()) && !known.iter().any(|file| file.starts_with(&path)) {
                let why = format!("{ARCHIVE} lists it, and it is not there");
                missing.push(FailureEntry { label: path.into_string(), why });
            }
        }
    }
    missing
}

type Views = Vec<(String, String, Utf8PathBuf)>;

/// Finds the trials by the directories that hold results: `<slug>/results`, `results/<slug>`, or `results` alone.
fn trials(
    dir: &Utf8Path,
    known: &BTreeSet<&Utf8Path>,
    manifest: &Value,
    archive: &Value,
    run_id: &str,
) -> Result<(Vec<TrialEntry>, Views, Vec<FailureEntry>), RunError> {
    let mut places: BTreeMap<String, (Utf8PathBuf, Utf8PathBuf)> = BTreeMap::new();
    for file in known.iter().filter(|file| RESULTS.iter().any(|(name, _)| file.file_name() == Some(name))) {
        let results = file.parent().unwrap_or(Utf8Path::new(""));
        let parts: Vec<&str> = results.as_str().split('/').collect();
        let (slug, reports) = match parts.as_slice() {
            ["results"] => (run_id, Utf8PathBuf::from("reports")),
            [slug, "results"] => (*slug, Utf8Path::new(slug).join("reports")),
            ["results", slug] => (*slug, Utf8Path::new("reports").join(slug)),
            _ => continue,
        };
        places.insert(path_segment(slug), (results.to_owned(), reports));
    }
    let (mut entries, mut views, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    let whole = Utf8Path::new("aggregate_report.md");
    if known.contains(whole) {
        views.push((String::new(), whole.to_string(), whole.to_owned()));
    }
    for (slug, (results, reports)) in places {
        let shown = RESULTS.iter().map(|(name, needed)| (format!("results/{name}"), results.join(name), *needed));
        for (name, path, needed) in shown.chain([("reports/report.md".to_owned(), reports.join("report.md"), true)]) {
            if known.contains(path.as_path()) {
                views.push((slug.clone(), name, path));
            } else if needed {
                failures.push(FailureEntry { label: format!("{slug}/{name}"), why: "it is not there".to_owned() });
            }
        }
        let own = json(&dir.join(&results).join("trial_manifest.json"))?;
        entries.push(entry(slug, &results, &own, manifest, archive));
    }
    Ok((entries, views, failures))
}

/// Reads a trial's settings from its own manifest, else from the run's, else from the archive's.
fn entry(slug: String, results: &Utf8Path, own: &Value, manifest: &Value, archive: &Value) -> TrialEntry {
    let of_run = manifest["trials"].as_array().into_iter().flatten().find(|trial| {
        // Absolute paths of another machine: the end tells.
        text(trial, "results_dir").is_some_and(|dir| Utf8Path::new(dir).ends_with(results))
    });
    let places =
        [own["trial"].clone(), of_run.map_or(Value::Null, |trial| trial["trial"].clone()), archive["config"].clone()];
    let first = |name: &str| places.iter().map(|place| &place[name]).find(|value| !value.is_null());
    let word = |name: &str| first(name).and_then(Value::as_str).map(str::to_owned);
    let number = |value: &Value| value.as_number().and_then(|number| number.to_string().parse::<Decimal>().ok());
    let temps = [&own["temps"], first("temps").unwrap_or(&Value::Null), &archive["config"]["temperature"]];
    let temps = temps.into_iter().find(|temps| !temps.is_null()).map(|temps| match temps {
        Value::Array(all) => all.iter().filter_map(number).collect(),
        one => number(one).into_iter().collect::<Vec<Decimal>>(),
    });
    let samples = [&own["samples_per_item"], &archive["config"]["samples_per_item"]];
    let draws = samples.into_iter().find_map(|samples| match samples {
        Value::Object(by_temperature) => by_temperature.values().find_map(Value::as_u64),
        one => one.as_u64(),
    });
    let limits = first("max_new_tokens").and_then(Value::as_object).into_iter().flatten();
    let limits = limits.map(|(kind, limit)| (kind.clone(), limit.as_u64().and_then(|limit| limit.try_into().ok())));
    let model = word("model_id").unwrap_or_else(|| "unknown".to_owned());
    let settings = TrialSettings {
        id: None,
        model_id: model.clone(),
        prompt_set: word("prompt_set").unwrap_or_else(|| "default".to_owned()),
        temps: temps.unwrap_or_default(),
        top_p: first("top_p").and_then(number),
        top_k: first("top_k").and_then(Value::as_u64).and_then(|k| k.try_into().ok()),
        max_new_tokens: limits.collect(),
        model,
        provider: "unknown".to_owned(),
        draws: draws.and_then(|draws| draws.try_into().ok()).unwrap_or(1),
    };
    TrialEntry {
        trial: settings,
        prompts: BTreeMap::new(),
        decoding: BTreeMap::new(),
        results_dir: format!("{slug}/results"),
        reports_dir: format!("{slug}/reports"),
        report_path: format!("{slug}/reports/report.md"),
        slug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_were_written() {
        assert_eq!(moment("2026-11-23T08:06:49.428143Z").as_deref(), Some("2026-11-23T08:06:49.428Z"));
        assert_eq!(moment("2025-08-21T10:00:00+02:00").as_deref(), Some("2025-08-21T08:00:00.000Z"));
        assert_eq!(moment("2025-08-21T10:00:00.5").as_deref(), Some("2025-08-21T10:00:00.500Z"));
        assert_eq!(moment("2025-08-21").as_deref(), Some("2025-08-21T00:00:00.000Z"));
        assert_eq!(moment("yesterday"), None);
    }
}
