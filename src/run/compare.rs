use std::collections::BTreeMap;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::compare_items::{compare_items, paired_change};
use super::item_contents::item_contents;
use super::item_table::ItemTable;
use super::matched_items::{SideItems, match_items};
use super::preference_pair::{Preferences, preferences, side_by_side};
use super::preference_scores::{Partners, PreferenceScores, preference_scores};
use super::{
    CostSummary, Drawn, Manifest, MatchedItems, MetricComparison, PreferencePair, RunBlobs, RunError, TrialEntry,
    loose_json,
};
use crate::digest::RootId;

/// Is one side of a comparison: a run, or one trial of it.
#[derive(Clone, Copy, Debug)]
pub struct RunSide<'a> {
    /// What it is called in what is shown.
    pub name: &'a str,
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// Where its blobs are.
    pub blobs: RunBlobs<'a>,
    /// The one trial that is compared, by slug; absent for all.
    pub trial: Option<&'a str>,
}

/// Is a comparison of two runs or trials: what differs in what was asked for, and what differs in what came out.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Comparison {
    /// The two sides.
    pub a: ComparedSide,
    /// See `a`.
    pub b: ComparedSide,
    /// Whether both show the very same files.
    pub same_root: bool,
    /// The differing lines of the configs, with two lines around each.
    pub config: Vec<ConfigLine>,
    /// Why the configs are not compared, if they are not.
    pub config_note: Option<String>,
    /// Trials that only `a` has.
    pub only_in_a: Vec<String>,
    /// Trials that only `b` has.
    pub only_in_b: Vec<String>,
    /// Trials that both have.
    pub trials: Vec<TrialComparison>,
}

/// Says what one side is.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ComparedSide {
    /// Its name.
    pub name: String,
    /// Its run.
    pub run_id: String,
    /// How far that is.
    pub state: super::RunState,
    /// When it began.
    pub created_utc: String,
    /// Its root.
    pub root: Option<RootId>,
    /// What the run cost; absent for a run of the predecessor's.
    pub cost_usd: Option<CostSummary>,
}

/// Is one line of the difference of two configs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ConfigLine {
    /// `-` for a line of `a` only, `+` for one of `b` only, a space for both.
    pub sign: char,
    /// Its number in `a`, from 1.
    pub line_a: Option<usize>,
    /// Its number in `b`, from 1.
    pub line_b: Option<usize>,
    /// The line.
    pub text: String,
}

/// Compares two trials.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TrialComparison {
    /// The trial's slug in `a`.
    pub slug_a: String,
    /// The trial's slug in `b`.
    pub slug_b: String,
    /// Settings that differ.
    pub settings: Vec<Difference>,
    /// Which items both have, and which only one.
    pub items: MatchedItems,
    /// When and by whom the answers were given, where that is known.
    pub drawn: Drawn,
    /// The metrics on the items that both have.
    pub metrics: Vec<MetricComparison>,
    /// The numbers of the two `costs.json`.
    pub costs: Vec<NumberPair>,
    /// The effects of treatment that each found.
    pub significance: Vec<EffectPair>,
    /// Which arm's answers models prefer, as each found it.
    pub pairwise: Vec<PreferencePair>,
    /// What could not be read, and is therefore not compared.
    pub notes: Vec<String>,
}

/// Is one setting that differs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Difference {
    /// Its name.
    pub name: String,
    /// In `a`; absent where it is not there.
    pub a: Option<Value>,
    /// In `b`.
    pub b: Option<Value>,
}

/// Is one number on both sides.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct NumberPair {
    /// Its name: `usd`, `completion_tokens`, `arms.control.usd`.
    pub name: String,
    /// In `a`; absent where it is not there, which is not 0.
    pub a: Option<f64>,
    /// In `b`.
    pub b: Option<f64>,
}

/// Is the effect of treatment on one metric, as the two `significance.json` have it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct EffectPair {
    /// `closed`, `open`, or a dataset's name.
    pub scope: String,
    /// The metric.
    pub metric: String,
    /// In `a`.
    pub a: Option<Effect>,
    /// In `b`.
    pub b: Option<Effect>,
}

/// Is an effect: treatment minus control.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Effect {
    /// The mean difference.
    pub delta: Option<f64>,
    /// The p-value of the test of no difference.
    pub p_value: Option<f64>,
    /// The p-value corrected within the trial's family.
    pub q_value: Option<f64>,
    /// The test.
    pub test: Option<String>,
}

/// Compares two sides. Trials are matched by slug; where each side has (or names) one only, these two are compared.
pub fn compare(a: &RunSide<'_>, b: &RunSide<'_>) -> Result<Comparison, RunError> {
    let (trials_a, trials_b) = (trials(a)?, trials(b)?);
    let side = |side: &RunSide<'_>| ComparedSide {
        name: side.name.to_owned(),
        run_id: side.manifest.run_id.clone(),
        state: side.manifest.state,
        created_utc: side.manifest.created_utc.clone(),
        root: side.manifest.root,
        cost_usd: (!side.manifest.is_predecessors()).then_some(side.manifest.cost_usd),
    };
    let mut comparison = Comparison {
        a: side(a),
        b: side(b),
        same_root: a.manifest.root.is_some()
            && a.manifest.root == b.manifest.root
            && trials_a.iter().map(|trial| &trial.slug).eq(trials_b.iter().map(|trial| &trial.slug)),
        config: Vec::new(),
        config_note: None,
        only_in_a: Vec::new(),
        only_in_b: Vec::new(),
        trials: Vec::new(),
    };
    match config_lines(a, b) {
        Ok(lines) => comparison.config = lines,
        Err(why) => comparison.config_note = Some(why),
    }
    if let ([one], [other]) = (trials_a.as_slice(), trials_b.as_slice()) {
        comparison.trials.push(compare_trials(a, one, b, other));
        return Ok(comparison);
    }
    for trial in &trials_a {
        match trials_b.iter().find(|other| other.slug == trial.slug) {
            Some(other) => comparison.trials.push(compare_trials(a, trial, b, other)),
            None => comparison.only_in_a.push(trial.slug.clone()),
        }
    }
    let alone = trials_b.iter().filter(|trial| !trials_a.iter().any(|other| other.slug == trial.slug));
    comparison.only_in_b = alone.map(|trial| trial.slug.clone()).collect();
    Ok(comparison)
}

fn trials<'a>(side: &RunSide<'a>) -> Result<Vec<&'a TrialEntry>, RunError> {
    let all = side.manifest.trials.iter();
    let Some(slug) = side.trial else { return Ok(all.collect()) };
    let begins: Vec<&TrialEntry> = all.clone().filter(|trial| trial.slug.starts_with(slug)).collect();
    match (all.clone().find(|trial| trial.slug == slug), begins.as_slice()) {
        (Some(one), _) | (None, &[one]) => Ok(vec![one]),
        _ => {
            let known = all.map(|trial| trial.slug.as_str()).collect::<Vec<_>>().join(", ");
            let what = if begins.is_empty() { "no trial" } else { "several trials that begin with" };
            Err(RunError::NoTrial { run: side.manifest.run_id.clone(), what, name: slug.to_owned(), known })
        }
    }
}

fn config_lines(a: &RunSide<'_>, b: &RunSide<'_>) -> Result<Vec<ConfigLine>, String> {
    if a.manifest.config.blob == b.manifest.config.blob {
        return Ok(Vec::new());
    }
    let text = |side: &RunSide<'_>| {
        let bytes = side.blobs.read(&side.manifest.config.blob).map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|_| format!("the config of {} is not text", side.name))
    };
    let (a, b) = (text(a)?, text(b)?);
    let diff = TextDiff::from_lines(a.as_str(), b.as_str());
    let mut lines = Vec::new();
    for change in diff.grouped_ops(2).iter().flatten().flat_map(|op| diff.iter_changes(op)) {
        lines.push(ConfigLine {
            sign: match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            },
            line_a: change.old_index().map(|line| line + 1),
            line_b: change.new_index().map(|line| line + 1),
            text: change.value().trim_end_matches(['\n', '\r']).to_owned(),
        });
    }
    Ok(lines)
}

fn compare_trials(a: &RunSide<'_>, one: &TrialEntry, b: &RunSide<'_>, other: &TrialEntry) -> TrialComparison {
    let mut compared = TrialComparison {
        slug_a: one.slug.clone(),
        slug_b: other.slug.clone(),
        settings: settings(one, other),
        items: MatchedItems::default(),
        drawn: Drawn::default(),
        metrics: Vec::new(),
        costs: Vec::new(),
        significance: Vec::new(),
        pairwise: Vec::new(),
        notes: Vec::new(),
    };
    let mut view = |name: &str| -> Option<[Vec<u8>; 2]> {
        let mut read = |side: &RunSide<'_>, slug: &str| {
            let found = side.manifest.views.iter().find(|view| view.slug == slug && view.name == name);
            let read = match found {
                Some(found) => side.blobs.read(&found.blob).map_err(|error| error.to_string()),
                None => Err("it does not show this file".to_owned()),
            };
            read.map_err(|why| compared.notes.push(format!("`{name}` of {}: {why}", side.name))).ok()
        };
        let (one, other) = (read(a, &one.slug), read(b, &other.slug));
        Some([one?, other?])
    };
    let scores = view("results/per_item_scores.csv");
    let costs = view("results/costs.json");
    let significance = view("results/significance.json");
    let mut items: Option<(ItemTable, ItemTable, Vec<Option<u32>>)> = None;
    if let Some([one, other]) = scores {
        match (ItemTable::read(&one), ItemTable::read(&other)) {
            (Ok(one), Ok(other)) => {
                let contents = item_contents([(a, &one), (b, &other)]);
                let [known_a, known_b] = &contents;
                let (matched, partner) = match_items(
                    SideItems { keys: one.items(), contents: &known_a.of_item },
                    SideItems { keys: other.items(), contents: &known_b.of_item },
                );
                compared.items = matched;
                if compared.items.by_id_alone > 0 {
                    for (side, contents) in [a, b].into_iter().zip(&contents) {
                        let why = contents.note.as_ref();
                        let note = |why| format!("items of {} are matched by their ids alone: {why}", side.name);
                        compared.notes.extend(why.map(note));
                    }
                }
                compared.metrics = compare_items(&one, &other, &partner);
                if compared.metrics.is_empty() && compared.items.matched > 0 {
                    let note = "no condition, type and metric has values of an item on both sides";
                    compared.notes.push(note.to_owned());
                }
                items = Some((one, other, partner));
            }
            (Err(why), _) => compared.notes.push(format!("`per_item_scores.csv` of {}: {why}", a.name)),
            (_, Err(why)) => compared.notes.push(format!("`per_item_scores.csv` of {}: {why}", b.name)),
        }
    }
    if let Some([one, other]) = costs {
        let (one, other) = (numbers(&one), numbers(&other));
        let names: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        compared.costs = names
            .into_iter()
            .map(|name| NumberPair { name: name.clone(), a: one.get(name).copied(), b: other.get(name).copied() })
            .collect();
    }
    if let Some([one, other]) = significance {
        let (one, other) = (effects(&one), effects(&other));
        let names: std::collections::BTreeSet<&(String, String)> = one.keys().chain(other.keys()).collect();
        compared.significance = names
            .into_iter()
            .map(|name| EffectPair {
                scope: name.0.clone(),
                metric: name.1.clone(),
                a: one.get(name).cloned(),
                b: other.get(name).cloned(),
            })
            .collect();
    }
    // Few runs have any: what shows none has none.
    let (of_a, of_b) = (preferred(a, &one.slug, &mut compared.notes), preferred(b, &other.slug, &mut compared.notes));
    compared.pairwise = side_by_side(&of_a.0, &of_b.0);
    if let Some((a, b, partner)) = &items {
        let partners = Partners { a, b, partner };
        for pair in &mut compared.pairwise {
            let key = (pair.dataset.clone(), pair.name.clone());
            if let (Some(change), Some(a), Some(b)) = (&mut pair.change, of_a.1.get(&key), of_b.1.get(&key)) {
                let pairs = partners.pairs(&pair.dataset, a, b);
                let found = paired_change(&format!("pairwise|{}|{}", pair.dataset, pair.name), &pairs);
                change.paired = found.map(|(change, _)| change);
            }
        }
    }
    compared
}

/// Reads which arm's answers models prefer in a trial, and item by item; nothing where no model compares them. What cannot be read is
/// noted.
fn preferred(side: &RunSide<'_>, slug: &str, notes: &mut Vec<String>) -> (Preferences, PreferenceScores) {
    let mut read = |name: &str| {
        let found = side.manifest.views.iter().find(|view| view.slug == slug && view.name == name)?;
        let read = side.blobs.read(&found.blob).map_err(|error| error.to_string());
        read.map_err(|why| notes.push(format!("`{name}` of {}: {why}", side.name))).ok()
    };
    let (results, table) = (read("results/pairwise.json"), read("results/pairwise.csv"));
    let mut note = |name: &str, why: &str| notes.push(format!("`{name}` of {}: {why}", side.name));
    let results = results.map(|bytes| preferences(&bytes)).map(|found| {
        found.unwrap_or_else(|| {
            note("results/pairwise.json", "its layout is not known");
            Preferences::default()
        })
    });
    let table = table.map(|bytes| preference_scores(&bytes)).map(|found| {
        found.unwrap_or_else(|why| {
            note("results/pairwise.csv", &why);
            PreferenceScores::default()
        })
    });
    (results.unwrap_or_default(), table.unwrap_or_default())
}

fn settings(a: &TrialEntry, b: &TrialEntry) -> Vec<Difference> {
    let fields = |trial: &TrialEntry| match serde_json::to_value(trial) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let mut differences = Vec::new();
    let (a, b) = (fields(a), fields(b));
    let settings = |fields: &serde_json::Map<String, Value>| -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        for (name, value) in fields {
            // The settings themselves, and what is beside them by name: decoding, prompts. Names and places of directories
            // are no settings.
            if let Value::Object(inner) = value {
                let prefix = if name == "trial" { String::new() } else { format!("{name}.") };
                all.extend(inner.iter().map(|(inner, value)| (format!("{prefix}{inner}"), value.clone())));
            }
        }
        all
    };
    let (a, b) = (settings(&a), settings(&b));
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for name in names {
        let (a, b) = (a.get(name), b.get(name));
        if a != b {
            differences.push(Difference { name: name.clone(), a: a.cloned(), b: b.cloned() });
        }
    }
    differences
}

/// Lists the numbers of a document by their paths; those of lists are left out.
fn numbers(bytes: &[u8]) -> BTreeMap<String, f64> {
    fn collect(path: &str, value: &Value, found: &mut BTreeMap<String, f64>) {
        match value {
            Value::Number(number) => found.extend(number.as_f64().map(|number| (path.to_owned(), number))),
            Value::Object(fields) => {
                for (name, value) in fields {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    collect(&path, value, found);
                }
            }
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    if let Some(value) = loose_json(bytes) {
        collect("", &value, &mut found);
    }
    found.remove("schema_version");
    found
}

/// Lists the effects of a `significance.json` by scope and metric. A trial has one temperature, so its key is left out.
fn effects(bytes: &[u8]) -> BTreeMap<(String, String), Effect> {
    let mut found = BTreeMap::new();
    let Some(document) = loose_json(bytes) else { return found };
    let temperatures = document["results"].as_object();
    for results in temperatures.iter().flat_map(|temperatures| temperatures.values()) {
        let datasets = results["datasets"].as_object();
        let blocks = ["closed", "open"].into_iter().filter_map(|kind| Some((kind, results.get(kind)?)));
        let blocks =
            blocks.chain(datasets.iter().flat_map(|sets| sets.iter().map(|(name, block)| (name.as_str(), block))));
        for (scope, block) in blocks {
            for (metric, value) in block["metrics"].as_object().iter().flat_map(|metrics| metrics.iter()) {
                let effect = Effect {
                    delta: value["delta_mean"].as_f64(),
                    p_value: value["test"]["p_value"].as_f64(),
                    q_value: value["test"]["q_value"].as_f64(),
                    test: value["test"]["name"].as_str().map(str::to_owned),
                };
                if effect.delta.is_some() {
                    found.insert((scope.to_owned(), metric.clone()), effect);
                }
            }
        }
    }
    found
}
