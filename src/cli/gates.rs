use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;

use super::build_args::BuildArgs;
use super::failure::{Exit, Failure};
use super::output::Output;
use super::who::FACTS;
use crate::config::Config;
use crate::report::{Case, End, Suite, junit_xml};
use crate::run::{
    Catalog, Comparison, Gate, GateResult, Manifest, PairedChange, Preference, PreferencePair, RunRecord, RunState,
};
use crate::step::{OUTPUT_TOKENS, PairwiseBlock, PairwiseResults, Significance};
use crate::store::Store;

/// Is the numbers of one trial, by the names that gates use.
pub type Numbers = (String, BTreeMap<String, Option<f64>>);

/// Reads gates; the first that cannot be read is an error.
pub fn parse(texts: &[String]) -> Result<Vec<Gate>, Failure> {
    texts.iter().map(|text| Gate::parse(text).map_err(|error| Failure::usage(error.to_string()))).collect()
}

/// Refuses gates on what the config's datasets and scorers do not give, before anything runs.
pub fn check_names(gates: &[Gate], config: &Config) -> Result<(), Failure> {
    let mut known = Vec::new();
    for (name, dataset) in &config.datasets {
        let metrics = FACTS.metrics_of(dataset).into_iter().chain([OUTPUT_TOKENS.to_owned()]);
        let pairwise = dataset.pairwise.iter().map(|judge| judge.name.clone());
        known.extend(metrics.chain(pairwise).map(|metric| format!("{name}.{metric}")));
    }
    for gate in gates {
        if !known.iter().any(|name| gate.metric() == name) {
            let known: Vec<String> = known.iter().map(|name| format!("{name}.QUANTITY")).collect();
            return Err(Failure::usage(gate.unknown(known.iter().map(String::as_str)).to_string()));
        }
    }
    Ok(())
}

/// Lists the numbers of each trial of a run.
pub fn numbers_of_run(store: &Store, manifest: &Manifest) -> Result<Vec<Numbers>, Failure> {
    let mut all = Vec::new();
    for trial in &manifest.trials {
        let Some(bytes) = super::show::view(store, manifest, &trial.slug, "results/significance.json")? else {
            continue;
        };
        let results: Significance = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::new(Exit::Damage, format!("significance.json of {}: {error}", trial.slug)))?;
        let mut numbers = BTreeMap::new();
        for (dataset, block) in results.results.iter().flat_map(|(_, results)| results.datasets.iter()) {
            for (metric, found) in block.metrics.iter() {
                let ends = found.ci.or(found.ci_95);
                let mut add = |quantity: &str, value: Option<f64>| {
                    numbers.insert(format!("{dataset}.{metric}.{quantity}"), value);
                };
                add("delta", found.delta_mean);
                add("ci_low", ends.map(|ends| ends[0]));
                add("ci_high", ends.map(|ends| ends[1]));
                add("p", found.test.as_ref().map(|test| test.p_value));
                add("q", found.test.as_ref().and_then(|test| test.q_value));
                add("n", Some(found.n_items as f64));
                add("control", found.control_mean);
                add("treatment", found.treatment_mean);
            }
        }
        if let Some(bytes) = super::show::view(store, manifest, &trial.slug, "results/pairwise.json")? {
            let results: PairwiseResults = serde_json::from_slice(&bytes)
                .map_err(|error| Failure::new(Exit::Damage, format!("pairwise.json of {}: {error}", trial.slug)))?;
            for (dataset, name, block) in results
                .datasets
                .iter()
                .flat_map(|(of, blocks)| blocks.iter().map(move |(name, block)| (of, name, block)))
            {
                preferred(&format!("{dataset}.{name}"), block, &mut numbers);
            }
        }
        all.push((trial.slug.clone(), numbers));
    }
    Ok(all)
}

/// Adds the numbers of a comparison by a model: `treatment` is the win rate, `control` what it lacks to 1, and `delta` with its ends
/// their difference.
fn preferred(name: &str, block: &PairwiseBlock, numbers: &mut BTreeMap<String, Option<f64>>) {
    let rate = &block.win_rate;
    let ends = rate.ci.or(rate.ci_95);
    let difference = |share: f64| 2.0 * share - 1.0;
    let all = [
        ("delta", rate.mean.map(difference)),
        ("ci_low", ends.map(|ends| difference(ends[0]))),
        ("ci_high", ends.map(|ends| difference(ends[1]))),
        ("p", block.sign_test.p_value),
        ("n", Some(rate.n as f64)),
        ("control", rate.mean.map(|mean| 1.0 - mean)),
        ("treatment", rate.mean),
    ];
    numbers.extend(all.map(|(quantity, value)| (format!("{name}.{quantity}"), value)));
}

/// Lists the quantities of what changed over paired items.
fn changed(change: &PairedChange) -> [(&'static str, Option<f64>); 7] {
    [
        ("delta", Some(change.delta)),
        ("ci_low", change.ci_95.map(|ends| ends[0])),
        ("ci_high", change.ci_95.map(|ends| ends[1])),
        ("p", change.p_value),
        ("n", Some(change.n as f64)),
        ("control", Some(change.mean_a)),
        ("treatment", Some(change.mean_b)),
    ]
}

/// Adds the numbers of the change in which arm's answers a model prefers: `control` is the win rate in A, `treatment` that in B, and
/// `delta` with its ends how much higher that is, over the items that both compare. Without such items only the two win rates and
/// their difference are known; where one side has none, nothing is.
fn preference_changed(found: &PreferencePair, numbers: &mut BTreeMap<String, Option<f64>>) {
    let rate = |side: &Option<Preference>| side.as_ref().and_then(|side| side.win_rate);
    let change = found.change.as_ref();
    let all = match change.and_then(|change| change.paired.as_ref()) {
        Some(paired) => changed(paired),
        None => [
            ("delta", change.and_then(|change| change.win_rate)),
            ("ci_low", None),
            ("ci_high", None),
            ("p", None),
            ("n", None),
            ("control", rate(&found.a)),
            ("treatment", rate(&found.b)),
        ],
    };
    for (quantity, value) in all {
        let name = format!("{}.{}.{quantity}", found.dataset, found.name);
        numbers.insert(format!("pairwise.{name}"), value);
        // A dataset may be called as a condition is: that one keeps its name.
        numbers.entry(name).or_insert(value);
    }
}

/// Lists the numbers of a comparison, trial by trial: `CONDITION.METRIC.QUANTITY`, with the type before the metric where both
/// types have it, and of a model that compares answers `DATASET.NAME.QUANTITY`, also with `pairwise` before it.
pub fn numbers_of_comparison(comparison: &Comparison) -> Vec<Numbers> {
    let of_trial = |trial: &crate::run::TrialComparison| {
        let mut numbers = BTreeMap::new();
        for found in &trial.metrics {
            let is_alone =
                trial.metrics.iter().filter(|o| o.condition == found.condition && o.metric == found.metric).count()
                    == 1;
            let (condition, kind, metric) = (&found.condition, &found.kind, &found.metric);
            for (quantity, value) in changed(&found.change) {
                numbers.insert(format!("{condition}.{kind}.{metric}.{quantity}"), value);
                if is_alone {
                    numbers.insert(format!("{condition}.{metric}.{quantity}"), value);
                }
            }
        }
        for found in &trial.pairwise {
            preference_changed(found, &mut numbers);
        }
        let name = if trial.slug_a == trial.slug_b {
            trial.slug_a.clone()
        } else {
            format!("{} | {}", trial.slug_a, trial.slug_b)
        };
        (name, numbers)
    };
    comparison.trials.iter().map(of_trial).collect()
}

/// Judges a build's gates on the run that it ended with, where that is complete.
pub fn of_build(
    store: &Store,
    record: &RunRecord,
    args: &BuildArgs,
    out: &Output,
) -> Result<(Exit, Vec<GateResult>), Failure> {
    if args.gate.is_empty() && args.junit.is_none() {
        return Ok((Exit::Done, Vec::new()));
    }
    if record.state != RunState::Complete {
        out.note("no gate is judged: the run is not complete");
        return Ok((Exit::Done, Vec::new()));
    }
    let manifest = Catalog::manifest(store, record)?;
    let (gates, mut all) = (parse(&args.gate)?, numbers_of_run(store, &manifest)?);
    // What the config knows and no trial has (a metric that nothing was scored on) is not defined, and meets no gate.
    for (_, numbers) in &mut all {
        for gate in &gates {
            numbers.entry(gate.name.clone()).or_insert(None);
        }
    }
    judge(&gates, &all, args.junit.as_deref(), out)
}

/// Holds every gate against every trial that has its number, tells of each, and writes JUnit XML where that is wanted.
pub fn judge(
    gates: &[Gate],
    all: &[Numbers],
    junit_file: Option<&Utf8Path>,
    out: &Output,
) -> Result<(Exit, Vec<GateResult>), Failure> {
    let mut results = Vec::new();
    for gate in gates {
        let found: Vec<GateResult> = all.iter().filter_map(|(of, numbers)| gate.judge(of, numbers)).collect();
        if found.is_empty() {
            let names = all.iter().flat_map(|(_, numbers)| numbers.keys());
            let known: BTreeSet<String> =
                names.filter_map(|name| Some(format!("{}.QUANTITY", name.rsplit_once('.')?.0))).collect();
            return Err(Failure::usage(gate.unknown(known.iter().map(String::as_str)).to_string()));
        }
        if gate.is_on_point_estimate() {
            out.note(&format!(
                "warning: gate `{}` judges a point estimate, which chance moves either way; `ci_low` or `ci_high` says what is sure",
                gate.text
            ));
        }
        results.extend(found);
    }
    for result in &results {
        let word = if result.passed { "passed" } else { "FAILED" };
        out.note(&format!("gate {word}: {} ({}) in {}", result.gate, value_text(result.value), result.of));
    }
    if let Some(path) = junit_file {
        let end = |result: &GateResult| {
            let message = format!("the value is {}", value_text(result.value));
            let failed = End::Failed { text: format!("{}: {message}", result.gate), message };
            if result.passed { End::Passed } else { failed }
        };
        let case = |result: &GateResult| Case { class: result.of.clone(), name: result.gate.clone(), end: end(result) };
        let suite = Suite { name: "gates".to_owned(), cases: results.iter().map(case).collect() };
        std::fs::write(path, junit_xml("exp", &[suite]))
            .map_err(|error| Failure::new(Exit::Environment, format!("cannot write `{path}`: {error}")))?;
    }
    let all_passed = results.iter().all(|result| result.passed);
    Ok((if all_passed { Exit::Done } else { Exit::Gate }, results))
}

fn value_text(value: Option<f64>) -> String {
    value.map_or_else(|| "not defined".to_owned(), |value| format!("{value:.6}"))
}
