use super::{ends, read};
use crate::report::{
    CostEffectiveness, EffectivenessRow, FittedModel, FurtherAnalyses, MarginalModels, MetricRow, PooledMetric,
    PooledRow, PowerAnalysis, PowerRow, PowerTarget, SupportRow, SupportSweep,
};
use crate::step::costs::effectiveness;
use crate::step::named_list::NamedList;
use crate::step::significance::{MetaBlock, PooledEffect};
use crate::step::stats::mixed_models::{self, Model, TREATMENT};
use crate::step::stats::{power_analysis, support_sweep};
use crate::step::{Inputs, StepError};

/// Reads the optional analyses that the report was given, each a document of an earlier step.
pub(super) fn further(inputs: &Inputs<'_>) -> Result<FurtherAnalyses, StepError> {
    Ok(FurtherAnalyses {
        support: given("unsupported_sensitivity", inputs)?.map(|document| support(&document)),
        power: given("power_analysis", inputs)?.map(|document| power(&document)),
        models: given("mixed_models", inputs)?.map(|document| models(&document)),
        effectiveness: given("cost_effectiveness", inputs)?.map(|document| effectiveness(&document)),
    })
}

fn given<T: serde::de::DeserializeOwned>(name: &str, inputs: &Inputs<'_>) -> Result<Option<T>, StepError> {
    inputs.find(name).map(|_| read(name, inputs)).transpose()
}

fn support(document: &support_sweep::Sweep) -> SupportSweep {
    // A trial has one temperature.
    let points = document.results.values().flat_map(|points| points.values());
    let row = |(threshold, point): (&f64, &support_sweep::Point)| SupportRow {
        threshold: *threshold,
        arms: [point.control_mean, point.treatment_mean],
        delta: point.delta_mean,
        interval: ends(point.ci_95, None),
        method: point.method.clone(),
        n: point.n_items,
    };
    SupportSweep {
        strategy: document.strategy.clone(),
        rows: document.thresholds.iter().zip(points).map(row).collect(),
    }
}

fn power(document: &power_analysis::PowerAnalysis) -> PowerAnalysis {
    let mut rows = Vec::new();
    for (dataset, metrics) in document.results.values().flat_map(NamedList::iter) {
        rows.extend(metrics.iter().map(|(metric, design)| {
            PowerRow {
                dataset: dataset.to_owned(),
                metric: MetricRow::named(metric),
                n: design.n_items,
                sd: design.sd_delta,
                smallest: design.mde,
                targets: (document.targets.iter())
                    .map(|target| {
                        let key = power_analysis::target_key(*target);
                        let of = |designs: &std::collections::BTreeMap<String, Option<u64>>| {
                            designs.get(&key).copied().flatten()
                        };
                        PowerTarget {
                            target: *target,
                            items: of(&design.required_n_for_target),
                            draws: of(&design.required_draws_for_target),
                        }
                    })
                    .collect(),
            }
        }));
    }
    PowerAnalysis { method: document.method.clone(), alpha: document.alpha, power: document.power, rows }
}

fn models(document: &mixed_models::Models) -> MarginalModels {
    let words =
        [("logistic_binary_correct", "right or wrong, all datasets"), ("linear_f1_open", "F1, open-book datasets")];
    let model = |(name, words): (&str, &'static str)| {
        let model = match document.models.get(name)? {
            Model::Unavailable { unavailable } => Err(unavailable.clone()),
            Model::Fitted(fitted) => Ok(FittedModel {
                method: fitted.method.clone(),
                metric: MetricRow::named(&fitted.metric),
                effect: fitted.params.get(TREATMENT).copied(),
                interval: ends(fitted.conf_int.get(TREATMENT).copied(), None),
                odds: fitted
                    .odds_ratio
                    .as_ref()
                    .zip(fitted.or_ci.as_ref())
                    .and_then(|(ratio, ends)| Some((*ratio.get(TREATMENT)?, *ends.get(TREATMENT)?))),
                n: fitted.n_obs,
                groups: fitted.n_groups,
            }),
        };
        Some((words, model))
    };
    MarginalModels { models: words.into_iter().filter_map(model).collect() }
}

fn effectiveness(document: &effectiveness::Document) -> CostEffectiveness {
    let mut rows = Vec::new();
    for (dataset, metrics) in document.results.values().flat_map(NamedList::iter) {
        // What is free under both arms has no price that an effect could be held against.
        let priced = metrics.iter().filter(|(_, row)| [row.usd_control, row.usd_treatment] != [Some(0.0); 2]);
        rows.extend(priced.map(|(metric, row)| EffectivenessRow {
            dataset: dataset.to_owned(),
            metric: MetricRow::named(metric),
            n: row.n_items,
            usd_diff: row.usd_diff,
            delta: row.delta_metric,
            usd_per_point: row.usd_per_1pp,
            interval: ends(row.usd_per_1pp_ci_95, None),
            direction: row.direction.clone(),
        }));
    }
    CostEffectiveness { method: document.interval_method.clone(), rows }
}

/// Takes what several sets of items come to on one metric.
pub(in crate::step) fn pooled(metric: &str, of: &MetaBlock) -> PooledMetric {
    let row = |effect: &PooledEffect| PooledRow {
        mean: effect.delta_mean,
        interval: (effect.ci_95[0], effect.ci_95[1]),
        hartung_knapp: ends(effect.hartung_knapp_ci_95, None),
        tau2: effect.tau2,
    };
    let combined = of.combined.as_ref();
    let p = |test: Option<&crate::step::significance::CombinedTest>| test.map(|test| test.p_value);
    PooledMetric {
        metric: MetricRow::named(metric),
        studies: of.studies.clone(),
        effects: [row(&of.fixed), row(&of.random), row(&of.paule_mandel)],
        q: (of.heterogeneity.q, of.heterogeneity.df, of.heterogeneity.p_value),
        i2: of.heterogeneity.i2,
        combined: [p(combined.and_then(|c| c.fisher.as_ref())), p(combined.and_then(|c| c.stouffer.as_ref()))],
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use crate::digest::Decimal;
    use crate::plan::{
        Analysis, CostsParams, Effectiveness, OptionalAnalyses, Price, PricedModel, ReportParams, StatsParams,
        TrialDataset,
    };
    use crate::step::memory::run_in_memory;
    use crate::step::report::tests::{HOSTILE, label, outside_code};
    use crate::step::{costs, report, stats};

    /// Is a trial of 40 open-book items under two labels; a third of them turns right under treatment, and is longer.
    fn rendered(name: &str, optional: OptionalAnalyses, price: bool) -> String {
        let json = serde_json::to_string(name).unwrap();
        let mut paired = String::new();
        for id in 0..40_u32 {
            let arm = |right: bool, tokens: u32| {
                let value = f64::from(u32::from(right));
                let support = if right { "0.9" } else { "0.25" };
                format!(
                    r#"{{"statuses":["stop"],"scored":1,"sums":[{value:?},{:?},{:?}],"input_tokens":[100],"output_tokens":[{tokens}],"support":[{support}]}}"#,
                    value / 2.0,
                    1.0 - value
                )
            };
            let was = id % 4 == 0;
            let (control, treatment) = (arm(was, 10 + id % 3), arm(was || id % 3 == 0, 12 + id % 5));
            let label = if id % 2 == 0 { "even" } else { "odd" };
            let _ = writeln!(
                paired,
                "{{\"dataset\":{json},\"label\":\"{label}\",\"item\":\"{id}\",\"control\":{control},\"treatment\":{treatment}}}"
            );
        }
        let metrics = ["em", "f1", "unsupported_rate"].map(str::to_owned).to_vec();
        let datasets = vec![TrialDataset { name: name.to_owned(), open: true, metrics }];
        let stats_params = StatsParams {
            temperature: None,
            datasets: datasets.clone(),
            analysis: Analysis {
                bootstrap_samples: 200,
                permutation_samples: 0,
                random_seed: 1,
                ..Analysis::default()
            },
            exclusions: None,
            optional,
        };
        let million = Decimal::new(1, 6);
        let costs_params = CostsParams {
            model: PricedModel {
                provider: "p".to_owned(),
                model: "m".to_owned(),
                price: price.then_some(Price {
                    input: million,
                    output: million,
                    cached_input: None,
                    cache_write: None,
                    batch: None,
                    long_prompt: None,
                }),
                price_as_of: None,
                batch: false,
            },
            bootstrap_samples: 200,
            random_seed: 1,
            alpha: Decimal::new(5, -2),
            effectiveness: optional.cost_effectiveness.then_some(Effectiveness {
                temperature: None,
                datasets,
                cluster: false,
            }),
            judges: Vec::new(),
        };
        let inputs = [("paired", paired.as_str())];
        let mut made = run_in_memory(&inputs, |i, o| stats::run(&stats_params, i, o)).unwrap();
        made.extend(run_in_memory(&inputs, |i, o| costs::run(&costs_params, i, o)).unwrap());
        let inputs: Vec<(String, String)> = (made.into_iter())
            .filter_map(|(name, text)| Some((name.strip_suffix(".json")?.to_owned(), text)))
            .collect();
        let params = ReportParams { trial: label(name), alpha: Decimal::new(5, -2) };
        let mut out = run_in_memory(&inputs, |inputs, outputs| report::run(&params, inputs, outputs)).unwrap();
        out.remove("report.md").unwrap()
    }

    const HEADINGS: [&str; 4] = [
        "### Unsupported Sensitivity\n",
        "### Power / MDE\n",
        "### Mixed-Effects (Robustness)\n",
        "### Cost-Effectiveness\n",
    ];

    #[test]
    fn each_analysis_that_was_made_has_its_section() {
        let report = rendered("quiz", OptionalAnalyses::default(), true);
        let lines = [
            "| 0.20 | 40 | 0.0% | 0.0% | +0.0 pp | +0.0 to +0.0 pp |",
            "| 0.50 | 40 | 75.0% | 50.0% | -25.0 pp | -40.0 to -12.4 pp |",
            "Intervals: percentile bootstrap.",
            "The smallest difference that a two-sided test at level 0.05 finds with a power of 80% (by the normal approximation), on",
            "| `quiz` | EM | 40 | 43.9 pp | 19.4 pp | 2.0\u{a0}pp: 3,774\u{a0}items; 5.0\u{a0}pp: 604\u{a0}items; 10.0\u{a0}pp: 151\u{a0}items |",
            "| `quiz` | Output tokens | 40 | 1.7 | 0.7 | – |",
            "| right or wrong, all datasets | EM | logistic GEE, exchangeable | 80 | 40 | odds ratio 3.000 | 1.614 to 5.576 |",
            "| F1, open-book datasets | F1 | least squares, cluster-robust | 80 | 40 | +12.5 pp | +5.4 to +19.6 pp |",
            "| `quiz` | EM | 40 | +$3.0250 | +25.0 pp | $0.1210 | $0.0794 to $0.2605 | costs more, scores higher |",
            "Intervals: Fieller, of the ratio of two paired means.",
            // The labels of the rows are sets of items whose effects are pooled.
            "| EM | random effects, DerSimonian-Laird | +23.7 pp | +4.3 to +43.1 pp | -102.3 to +149.6 pp | 10.3 pp |",
            "| EM | `even`, `odd` | 2.14 on 1 df | 0.1434 | 53% | 0.0256 | 0.0228 |",
        ];
        for part in HEADINGS.into_iter().chain(lines) {
            assert!(report.contains(part), "{part}\n---\n{report}");
        }
    }

    #[test]
    fn what_was_not_made_has_none() {
        let none = OptionalAnalyses {
            unsupported_sensitivity: false,
            mixed_effects: false,
            power_analysis: false,
            cost_effectiveness: false,
        };
        let report = rendered("quiz", none, true);
        assert!(HEADINGS.iter().all(|heading| !report.contains(heading)), "{report}");
        // Without a price there is nothing to hold an effect against.
        let unpriced = rendered("quiz", OptionalAnalyses::default(), false);
        assert!(unpriced.contains(HEADINGS[1]) && !unpriced.contains(HEADINGS[3]), "{unpriced}");
    }

    #[test]
    fn names_make_no_markup() {
        let report = rendered(HOSTILE, OptionalAnalyses::default(), true);
        let outside = outside_code(&report).replace("\\<", "").replace("\\[", "").replace("\\]", "");
        for mark in ["<img", "](http", "http://", "\n# c", "www.", "@d"] {
            assert!(!outside.contains(mark), "{mark}\n---\n{outside}");
        }
        let bars: Vec<usize> = report.lines().map(|line| line.matches('|').count()).collect();
        assert!(bars.windows(2).all(|pair| pair[0] == pair[1] || pair.contains(&0)), "{bars:?}");
    }
}
