//! Sets a run's trials side by side.

mod effects;
mod multiplicity;
mod shared_control;
mod trial;

use multiplicity::{Multiplicities, TrialTest};
use trial::Trial;

use super::cost_table::CostTable;
use super::costs::verdict_tokens::{VERDICT_TOKENS, all_verdicts};
use super::json_lines::write_document;
use super::report::cost::judge_cost;
use super::report::further::pooled;
use super::report::{correction, primary, read};
use super::sealed_plan::sealed_plan;
use super::{Inputs, Outputs, StepError};
use crate::plan::{AggregateParams, Multiplicity, TrialLabel};
use crate::report::{
    AggregateReport, AggregateRow, AggregateTrial, DetectableDifference, FamilyNote, InteractionRow, JudgeCost,
};

/// Writes `aggregate_report.md`, `multiplicity.json` and `effects.json`.
///
/// The p-values of every trial's family are corrected once more, over the whole run. Where a plan is sealed, its trials
/// are the family, and a trial that came later is exploratory.
pub fn run(params: &AggregateParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let plan = sealed_plan(inputs)?;
    let trials = params.trials.iter().map(|label| Trial::read(label, inputs)).collect::<Result<Vec<_>, _>>()?;
    let method = trials.first().map_or(Multiplicity::None, |trial| trial.significance.family.correction);
    let multiplicities = Multiplicities::of(params, plan.as_ref(), &trials);
    let effects = effects::Effects::of(params, &trials);

    let shown = trials.iter().map(|trial| {
        let rows = primary(&trial.significance).into_iter().map(|(test, open, metric)| {
            let found = multiplicities.find(&trial.label.slug, &test.dataset, &test.metric);
            let blocks = trial.results().map(|results| &results.datasets);
            let power = blocks.and_then(|all| all.get(&test.dataset)?.metrics.get(&test.metric)?.power.as_ref());
            AggregateRow {
                power: power.and_then(|power| {
                    Some(DetectableDifference {
                        alpha: power.alpha,
                        power: power.power,
                        method: power.method.clone(),
                        smallest: power.smallest_detectable?,
                    })
                }),
                dataset: test.dataset.clone(),
                open,
                metric,
                q: found.and_then(|found| found.of(method)),
                q_shared: found.and_then(TrialTest::shared_control),
                is_exploratory: found.is_some_and(|found| found.is_exploratory),
            }
        });
        let [control, treatment] = trial.costs.arms.both().map(|arm| arm.and_then(|arm| arm.usd));
        AggregateTrial {
            slug: trial.label.slug.clone(),
            model: trial.label.model.clone(),
            prompt_set: trial.label.prompt_set.clone(),
            note: trial.label.note.clone(),
            usd: [control, treatment, trial.costs.usd],
            judged_usd: (!trial.costs.judges.is_empty())
                .then(|| trial.costs.judges.values().map(|judge| judge.all.usd).sum::<Option<f64>>()),
            rows: rows.collect(),
        }
    });
    let interactions = effects.interactions.iter().map(|test| InteractionRow {
        prompt_set: test.prompt_set.clone(),
        point: test.point.clone(),
        dataset: test.dataset.clone(),
        metric: test.metric.clone(),
        models: test.models.clone(),
        p: test.p_value,
        n: test.n_items,
    });
    let shown: Vec<AggregateTrial> = shown.collect();
    let report = AggregateReport {
        family: FamilyNote {
            alpha: params.alpha.to_f64(),
            correction: correction(method),
            tests: multiplicities.confirmatory_count(),
            scope: multiplicities.scope(),
        },
        interactions: interactions.collect(),
        pooled: (effects.meta.iter())
            .filter(|meta| shown.iter().any(|trial| trial.is_primary(&meta.trial, &meta.metric)))
            .map(|meta| (meta.trial.clone(), pooled(&meta.metric, &meta.pooled)))
            .collect(),
        deviations: multiplicities.deviations(),
        trials: shown,
        has_shared_control: !params.shared_controls.is_empty(),
        judges: judged(trials.iter().map(|trial| (trial.label, &trial.costs)), inputs)?,
    };
    outputs.put("multiplicity.json", write_document("multiplicity.json", &multiplicities)?)?;
    outputs.put("effects.json", write_document("effects.json", &effects)?)?;
    outputs.put("aggregate_report.md", report.render().into_bytes())
}

/// Sums up what the models that judge took over all trials, by the inputs of [`run`]; what trials share counts once.
pub fn judges(params: &AggregateParams, inputs: &Inputs<'_>) -> Result<Vec<JudgeCost>, StepError> {
    let costs = params.trials.iter().map(|label| Ok((label, read(&format!("costs/{}", label.slug), inputs)?)));
    let costs = costs.collect::<Result<Vec<(&TrialLabel, CostTable)>, StepError>>()?;
    judged(costs.iter().map(|(label, costs)| (*label, costs)), inputs)
}

fn judged<'t>(
    trials: impl Iterator<Item = (&'t TrialLabel, &'t CostTable)>,
    inputs: &Inputs<'_>,
) -> Result<Vec<JudgeCost>, StepError> {
    let mut judged = Vec::new();
    for (label, costs) in trials.filter(|(_, costs)| !costs.judges.is_empty()) {
        let name = format!("{VERDICT_TOKENS}/{}", label.slug);
        let text = inputs.text(&name)?;
        judged.push((costs, (name, text)));
    }
    let all = all_verdicts(&judged)?;
    Ok(all.iter().map(|(model, found)| judge_cost(model, &found.costs, found.on_pairs)).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    use serde_json::Value;

    use super::*;
    use crate::digest::Decimal;
    use crate::plan::{
        Analysis, AnalysisPlan, CostsParams, OptionalAnalyses, PricedModel, StatsParams, TrialDataset, TrialLabel,
    };
    use crate::step::memory::run_in_memory;
    use crate::step::report::tests::{HOSTILE, label, outside_code, results_and_differences};
    use crate::step::{costs, stats};

    fn params(trials: Vec<TrialLabel>) -> AggregateParams {
        AggregateParams {
            trials,
            alpha: Decimal::new(5, -2),
            shared_controls: Vec::new(),
            resamples: 200,
            random_seed: 1,
            cluster: false,
        }
    }

    #[test]
    fn trials_stand_side_by_side_with_arms_apart() {
        let params = params(vec![label("a"), label(HOSTILE)]);
        let mut inputs = Vec::new();
        for (trial, (dataset, price)) in params.trials.iter().zip([("quiz", true), (HOSTILE, false)]) {
            let texts = results_and_differences(dataset, price);
            for (name, text) in ["significance", "costs", "differences"].iter().zip(texts) {
                inputs.push((format!("{name}/{}", trial.slug), text));
            }
        }
        let mut out = run_in_memory(&inputs, |inputs, outputs| run(&params, inputs, outputs)).unwrap();
        let report = out.remove("aggregate_report.md").unwrap();
        let row = "| `slug-a` | `a` | `a` | `quiz` | closed | EM | 29 | 60.0% [42.3, 75.4] | 100.0% [88.3, 100.0] | +41.4 pp |";
        assert!(report.starts_with("# Aggregate Trial Comparison\n\n"));
        assert!(report.contains(row), "{report}");
        // 2^-11, doubled over the two trials.
        assert!(report.contains("| 0.0005 | 0.0010 | $0.006615 |"), "{report}");
        assert!(report.contains("| 0.0005 | 0.0010 | – |"), "{report}");
        assert!(report.contains("corrected by Holm over the 2 primary tests of all trials of this run."));
        let outside = outside_code(&report).replace("\\<", "").replace("\\[", "").replace("\\]", "");
        for mark in ["<img", "](http", "http://", "\n# c", "www.", "@d"] {
            assert!(!outside.contains(mark), "{mark}\n---\n{outside}");
        }
    }

    fn dataset(name: &str, metrics: &[&str]) -> TrialDataset {
        TrialDataset { name: name.to_owned(), open: false, metrics: metrics.iter().map(ToString::to_string).collect() }
    }

    /// Makes the inputs of a trial of which one item in `every` turns right, on `em` and with half the gain on `f1`.
    fn trial(name: &str, datasets: &[TrialDataset], every: u32, plan: Option<&str>, out: &mut Vec<(String, String)>) {
        let mut paired = String::new();
        for dataset in datasets {
            for id in 0..60_u32 {
                let (turns, was) = (id % every == 0, f64::from(u32::from(id % 4 == 0)));
                let now = if turns { 1.0 - was } else { was };
                let arm = |value: f64| {
                    let sums: Vec<String> = dataset
                        .metrics
                        .iter()
                        .map(|m| format!("{:?}", if m == "em" { value } else { value / 2.0 }))
                        .collect();
                    format!(
                        r#"{{"statuses":["stop"],"scored":1,"sums":[{}],"input_tokens":[1],"output_tokens":[1]}}"#,
                        sums.join(",")
                    )
                };
                let _ = writeln!(
                    paired,
                    "{{\"dataset\":\"{}\",\"item\":\"{id}\",\"control\":{},\"treatment\":{}}}",
                    dataset.name,
                    arm(was),
                    arm(now)
                );
            }
        }
        let stats_params = StatsParams {
            temperature: None,
            datasets: datasets.to_vec(),
            analysis: Analysis { bootstrap_samples: 50, primary: vec!["q.em".to_owned()], ..Analysis::default() },
            exclusions: None,
            optional: OptionalAnalyses::default(),
        };
        let costs_params = CostsParams {
            model: PricedModel {
                provider: "p".to_owned(),
                model: "m".to_owned(),
                price: None,
                price_as_of: None,
                batch: false,
            },
            bootstrap_samples: 50,
            random_seed: 1,
            alpha: Decimal::new(5, -2),
            effectiveness: None,
            judges: Vec::new(),
        };
        let mut inputs = vec![("paired", paired.as_str())];
        inputs.extend(plan.map(|plan| ("plan", plan)));
        let mut made = run_in_memory(&inputs, |i, o| stats::run(&stats_params, i, o)).unwrap();
        let mut priced = run_in_memory(&inputs, |i, o| costs::run(&costs_params, i, o)).unwrap();
        out.push((format!("significance/{name}"), made.remove("significance.json").unwrap()));
        out.push((format!("differences/{name}"), made.remove("differences").unwrap()));
        out.push((format!("costs/{name}"), priced.remove("costs.json").unwrap()));
    }

    fn aggregated(params: &AggregateParams, inputs: &[(String, String)]) -> BTreeMap<String, String> {
        run_in_memory(inputs, |inputs, outputs| run(params, inputs, outputs)).unwrap()
    }

    fn json(out: &BTreeMap<String, String>, name: &str) -> Value {
        serde_json::from_str(&out[name]).unwrap()
    }

    fn named(slug: &str, model: &str, prompt_set: &str) -> TrialLabel {
        TrialLabel { slug: slug.to_owned(), model: model.to_owned(), prompt_set: prompt_set.to_owned(), ..label("x") }
    }

    #[test]
    fn what_comes_later_leaves_confirmatory_values_as_they_are() {
        let plan = AnalysisPlan {
            version: AnalysisPlan::VERSION,
            sealed_at: "2026-11-23T00:00:00Z".to_owned(),
            primary: vec!["q.em".to_owned()],
            trials: vec!["a".to_owned(), "b".to_owned()],
            alpha: Decimal::new(5, -2),
            multiplicity: Multiplicity::Holm,
            cluster: false,
            margins: BTreeMap::new(),
            subgroups: Vec::new(),
            seed: 1337,
            exclusions: crate::plan::Exclusions {
                outcomes: crate::plan::Outcomes::default(),
                datasets: BTreeMap::new(),
            },
        };
        let plan = serde_json::to_string(&plan).unwrap();
        let shared = |slugs: &[&str]| vec![slugs.iter().map(|slug| (*slug).to_owned()).collect::<Vec<_>>()];
        let first = [dataset("q", &["em"])];
        let mut inputs = vec![("plan".to_owned(), plan.clone())];
        trial("a", &first, 3, Some(&plan), &mut inputs);
        trial("b", &first, 7, Some(&plan), &mut inputs);
        let mut few = params(vec![named("a", "m", "s"), named("b", "m", "t")]);
        few.shared_controls = shared(&["a", "b"]);
        let before = json(&aggregated(&few, &inputs), "multiplicity.json");

        // A metric, a dataset and a prompt set more.
        let more = [dataset("q", &["em", "f1"]), dataset("r", &["em"])];
        let mut inputs = vec![("plan".to_owned(), plan.clone())];
        trial("a", &more, 3, Some(&plan), &mut inputs);
        trial("b", &more, 7, Some(&plan), &mut inputs);
        trial("c", &more, 2, Some(&plan), &mut inputs);
        let mut many = params(vec![named("a", "m", "s"), named("b", "m", "t"), named("c", "m", "u")]);
        many.shared_controls = shared(&["a", "b", "c"]);
        let out = aggregated(&many, &inputs);
        let after = json(&out, "multiplicity.json");
        assert_eq!(before["family"], after["family"]);
        assert_eq!(before["shared_control"], after["shared_control"]);
        assert_eq!(after["family"]["n_tests"], 2);
        let first = &after["family"]["tests"][0];
        assert!(first["holm"].as_f64() >= first["p_value"].as_f64() && first["p_value"].as_f64() < Some(0.1));
        assert!(after["family"]["tests"][0]["shared_control"].as_f64().is_some());
        // em, f1 and tokens of three trials, r.em besides, less the two confirmatory tests and what cannot be tested.
        let late = |test: &&Value| test["trial"] == "c" && test["dataset"] == "q" && test["metric"] == "em";
        let late = after["exploratory"]["tests"].as_array().unwrap().iter().find(late).unwrap();
        assert!(late["holm"].as_f64() >= late["p_value"].as_f64() && late["shared_control"].is_null());
        assert_eq!(after["plan"][0]["now"], "c (exploratory)");
        let report = &out["aggregate_report.md"];
        assert!(report.contains("not as `analysis_plan.lock` says") && report.contains("(exploratory)"), "{report}");
        assert!(report.contains("corrected by Holm over the 2 primary tests of the sealed plan's trials"), "{report}");
        // Within a trial, too.
        let significance = |inputs: &[(String, String)]| -> Value {
            let text = &inputs.iter().find(|(name, _)| name == "significance/a").unwrap().1;
            serde_json::from_str(text).unwrap()
        };
        let found = significance(&inputs);
        assert_eq!(found["family"]["tests"].as_array().map(Vec::len), Some(1));
        assert_eq!(found["exploratory"]["tests"][0]["metric"], "f1");
        assert_eq!(found["exploratory"]["correction"], "benjamini_hochberg");
    }

    #[test]
    fn effects_are_a_grid_with_an_interaction_and_a_pool() {
        let datasets = [dataset("q", &["em"]), dataset("r", &["em"])];
        let mut inputs = Vec::new();
        trial("a", &datasets, 3, None, &mut inputs);
        trial("b", &datasets, 7, None, &mut inputs);
        let out = aggregated(&params(vec![named("a", "m", "s"), named("b", "n", "s")]), &inputs);
        let effects = json(&out, "effects.json");
        assert_eq!(effects["grid"].as_array().map(Vec::len), Some(8));
        let test = &effects["interactions"][0];
        assert_eq!((test["models"].as_array().map(Vec::len), &test["dataset"]), (Some(2), &Value::from("q")));
        assert_eq!(
            (test["df1"].as_u64(), test["df2"].as_u64(), test["n_items"].as_u64()),
            (Some(1), Some(59), Some(60))
        );
        assert!(test["p_value"].as_f64().is_some());
        assert_eq!(effects["meta"][0]["pooled"]["studies"].as_array().map(Vec::len), Some(2));
        let report = &out["aggregate_report.md"];
        assert!(report.contains("## Does the effect depend on the model?"));
        let pooled = "pooled over its datasets, treatment − control; `effects.json` has those on all metrics.\n\n| Trial | Metric |";
        assert!(report.contains(pooled), "{report}");
        assert!(report.contains("| `a` | EM | `q`, `r` | 0.00 on 1 df | 1.0000 | 0% |"), "{report}");
        assert!(report.contains("## Power / MDE\n") && report.contains("| `b` | `q` | EM | 60 |"), "{report}");
        let one = aggregated(&params(vec![named("a", "m", "s")]), &inputs[..3]);
        assert_eq!(json(&one, "effects.json")["interactions"], serde_json::json!([]));
    }
}
