//! Writes a trial's report.

pub(super) mod cost;
pub(super) mod further;

use std::collections::{BTreeMap, BTreeSet};

use super::agreement::agreement;
use super::cost_table::CostTable;
use super::infer::RedrawnItem;
use super::json_lines::{read_lines, unexpected};
use super::named_list::NamedList;
use super::pairwise_results;
use super::significance::{ArmDraws, Block, Estimate, FamilyTest, MetricBlock, NO_TEMPERATURE, Significance};
use super::stats::family::CONFIRMATORY;
use super::{Inputs, Outputs, StepError};
use crate::plan::{Multiplicity, ReportParams};
use crate::report::{
    self, ArmCounts, Delta, Detail, DrawsRow, EquivalenceRow, FamilyNote, McNemarRow, MetricRow, MissingRow,
    PromptFile, Section, SectionKind, TrialReport, Verdict,
};

/// Writes `report.md`.
pub fn run(params: &ReportParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    outputs.put("report.md", compose(params, inputs)?.render().into_bytes())
}

/// Collects what a trial's report says.
pub fn compose(params: &ReportParams, inputs: &Inputs<'_>) -> Result<TrialReport, StepError> {
    let significance: Significance = read("significance", inputs)?;
    let costs: CostTable = read("costs", inputs)?;
    let trial = &params.trial;
    let mut facts = vec![
        ("Model".to_owned(), trial.model.clone()),
        ("Provider".to_owned(), trial.provider.clone()),
        ("Prompt set".to_owned(), trial.prompt_set.clone()),
    ];
    facts.extend(trial.decoding.iter().cloned());
    facts.push(("Draws".to_owned(), trial.draws.to_string()));
    let (label, results) =
        significance.results.iter().next().ok_or_else(|| unexpected("significance", "it has no results"))?;
    let sections = results.datasets.iter().map(|(name, block)| section(SectionKind::Dataset(name.to_owned()), block));
    let of_type = |kind: &str| results.datasets.iter().filter(|(_, block)| block.kind == kind).count();
    let pooled = [(&results.closed, "closed"), (&results.open, "open")]
        .into_iter()
        .filter_map(|(block, kind)| Some((block.as_ref()?, of_type(kind))))
        // One dataset of a type is that type, unless its rows have labels or subgroups to tell apart.
        .filter(|(block, datasets)| {
            let has_fields = block.subgroups.as_ref().is_some_and(|subgroups| subgroups.fields.is_some());
            *datasets > 1 || labels(block).len() > 1 || has_fields
        })
        .map(|(block, _)| section(SectionKind::Pooled, block));
    Ok(TrialReport {
        slug: trial.slug.clone(),
        facts,
        note: trial.note.clone(),
        temperature: (label != NO_TEMPERATURE).then(|| label.to_owned()),
        family: FamilyNote {
            alpha: params.alpha.to_f64(),
            correction: correction(significance.family.correction),
            tests: tested(&significance.family.tests),
            scope: "this trial".to_owned(),
        },
        verdicts: primary(&significance)
            .into_iter()
            .map(|(test, _, metric)| {
                let block = results.datasets.get(&test.dataset).and_then(|block| block.metrics.get(&test.metric));
                verdict(test, metric, block)
            })
            .collect(),
        deviations: significance.plan.as_ref().map(|plan| {
            plan.deviations.iter().map(|found| [found.what.clone(), found.sealed.clone(), found.now.clone()]).collect()
        }),
        prompts: prompts(inputs)?,
        sections: sections.chain(pooled).collect(),
        agreement: agreement(inputs)?,
        pairwise: pairwise_results::sections(inputs)?,
        redrawn: redrawn(inputs)?,
        further: further::further(inputs)?,
        cost: cost::cost(&costs),
    })
}

/// Reads a JSON document that an earlier step wrote.
pub(super) fn read<T: serde::de::DeserializeOwned>(name: &str, inputs: &Inputs<'_>) -> Result<T, StepError> {
    serde_json::from_slice(&inputs.read(name)?).map_err(|error| unexpected(name, error))
}

/// Names a correction in words; none where there is none.
pub(super) fn correction(multiplicity: Multiplicity) -> Option<String> {
    match multiplicity {
        Multiplicity::Holm => Some("Holm".to_owned()),
        Multiplicity::Bonferroni => Some("Bonferroni".to_owned()),
        Multiplicity::Sidak => Some("Šidák".to_owned()),
        Multiplicity::Hochberg => Some("Hochberg".to_owned()),
        Multiplicity::Hommel => Some("Hommel".to_owned()),
        Multiplicity::BenjaminiHochberg => Some("Benjamini-Hochberg".to_owned()),
        Multiplicity::BenjaminiYekutieli => Some("Benjamini-Yekutieli".to_owned()),
        Multiplicity::None => None,
    }
}

/// Counts the tests of a family that could be made.
pub(super) fn tested(tests: &[FamilyTest]) -> usize {
    tests.iter().filter(|test| test.p_value.is_some()).count()
}

/// Lists the primary metrics: the test, whether its dataset is open-book, and the metric. Those that their dataset does
/// not have are left out.
pub(super) fn primary(significance: &Significance) -> Vec<(&FamilyTest, bool, MetricRow)> {
    let Some((_, results)) = significance.results.iter().next() else { return Vec::new() };
    let found = |test| -> Option<_> {
        let test: &FamilyTest = test;
        let block = results.datasets.get(&test.dataset)?;
        let is_known = block.arms.both().into_iter().flatten().any(|arm| arm.get(&test.metric).is_some());
        is_known.then(|| (test, block.kind == "open", metric_row(block, &test.metric)))
    };
    significance.family.tests.iter().filter_map(found).collect()
}

fn verdict(test: &FamilyTest, metric: MetricRow, block: Option<&MetricBlock>) -> Verdict {
    let flags = || block.iter().flat_map(|block| &block.verdict.flags);
    let words = |flag: &String| match flag.as_str() {
        "differential-missingness" => {
            Some("outcomes are missing in one arm more often than in the other, which may be the difference")
        }
        "bounds-reach-zero" => {
            Some("if every missing outcome went against it, nothing of the difference would be left")
        }
        "few-clusters" => Some("there are fewer than 30 clusters, so that the error may be understated"),
        _ => None,
    };
    Verdict {
        dataset: test.dataset.clone(),
        metric,
        cautions: flags().filter_map(words).map(str::to_owned).collect(),
        equivalence: block.and_then(|block| block.tost.as_ref()).map(|tost| tost.verdict.clone()),
        detectable: block.and_then(|block| block.power.as_ref()).and_then(|power| power.smallest_detectable),
    }
}

/// Collects what a section says beyond means, differences and tests.
fn detail(block: &Block) -> Detail {
    let main = block.mcnemar.as_ref().map(|test| test.metric.as_str());
    let main = main.or_else(|| block.metrics.iter().next().map(|(name, _)| name));
    let found = main.and_then(|name| Some((name, block.metrics.get(name)?)));
    let arm = |arm: &ArmDraws| arm.at_k.iter().map(|row| (row.k, row.pass, row.majority)).collect();
    let draws = found.and_then(|(name, metric)| {
        let draws = metric.draws.as_ref()?;
        Some(DrawsRow {
            metric: metric_row(block, name),
            sampling_share: [draws.control.sampling_share, draws.treatment.sampling_share],
            at_k: [arm(&draws.control), arm(&draws.treatment)],
        })
    });
    let missing = found.and_then(|(name, metric)| {
        let missing = metric.missing.as_ref()?;
        Some(MissingRow {
            metric: metric_row(block, name),
            only: (missing.only_control, missing.only_treatment),
            bounds: missing.worst_case.zip(missing.best_case),
            differential_p: missing.differential_p,
            is_differential: missing.is_differential,
        })
    });
    let equivalence = block.metrics.iter().filter_map(|(name, metric)| {
        let tost = metric.tost.as_ref()?;
        Some(EquivalenceRow {
            metric: metric_row(block, name),
            margin: tost.margin,
            interval: (tost.interval[0], tost.interval[1]),
            level: tost.interval_level,
            p: (tost.p_value, tost.p_non_inferiority),
            verdict: tost.verdict.clone(),
        })
    });
    // Without an abstention there is nothing to select.
    let risk = block.selective_risk.as_ref().and_then(|risk| {
        let [control, treatment] = risk.aurc_at_common_coverage.both().map(|area| area.copied().flatten());
        Some((control?, treatment?, risk.common_coverage.filter(|coverage| *coverage < 1.0)?))
    });
    let fields = block.subgroups.iter().flat_map(|subgroups| subgroups.fields.iter()).flat_map(NamedList::iter);
    Detail {
        draws,
        missing,
        equivalence: equivalence.collect(),
        risk,
        fields: fields.map(|(field, values)| (field.to_owned(), main_rows(values))).collect(),
        pooled: (block.meta.iter().flat_map(NamedList::iter))
            .map(|(metric, meta)| further::pooled(metric, meta))
            .collect(),
    }
}

fn section(kind: SectionKind, block: &Block) -> Section {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in block.arms.both().into_iter().flatten().flat_map(NamedList::iter) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let counts = [0, 1].map(|arm| {
        let (statuses, missing) = (block.statuses.both()[arm], block.missing.both()[arm]?);
        Some(ArmCounts {
            statuses: statuses.iter().flat_map(|counts| counts.iter()).map(|(name, n)| (name.clone(), *n)).collect(),
            missing_items: missing.items,
            missing_draws: missing.draws,
        })
    });
    let mcnemar = block.mcnemar.as_ref().map(|test| McNemarRow {
        metric: metric_row(block, &test.metric),
        b: test.b,
        c: test.c,
        p_exact: test.p_exact,
        p_mid: test.p_mid,
        odds_ratio: test.odds_ratio,
        odds_ratio_ends: (test.or_ci_95[0], test.or_ci_95[1]),
        binarised: test.binarised.clone(),
        q: test.q_value,
    });
    Section {
        kind,
        open: block.kind == "open",
        n_items: block.n_items,
        n_missing: block.n_missing,
        n_clusters: block.n_clusters,
        metrics: names.into_iter().map(|name| metric_row(block, name)).collect(),
        mcnemar,
        counts,
        labels: labels(block),
        detail: detail(block),
    }
}

/// Returns the main metric of each label, where there are several.
fn labels(block: &Block) -> Vec<(String, MetricRow)> {
    block.subgroups.as_ref().map_or_else(Vec::new, |subgroups| main_rows(&subgroups.dataset))
}

/// Returns the main metric of each of several sets of items.
fn main_rows(sets: &NamedList<Block>) -> Vec<(String, MetricRow)> {
    let row = |(label, block): (&str, &Block)| {
        let main = block.mcnemar.as_ref().map(|test| test.metric.as_str());
        let name = main.or_else(|| block.metrics.iter().next().map(|(name, _)| name))?;
        Some((label.to_owned(), metric_row(block, name)))
    };
    sets.iter().filter_map(row).collect()
}

fn metric_row(block: &Block, name: &str) -> MetricRow {
    let arm = |arm: Option<&NamedList<Estimate>>| arm.and_then(|arm| arm.get(name)).map(estimate);
    MetricRow { arms: block.arms.both().map(arm), delta: block.metrics.get(name).map(delta), ..MetricRow::named(name) }
}

/// Returns the ends at the confidence level.
pub(super) fn ends(usual: Option<[f64; 2]>, other: Option<[f64; 2]>) -> Option<(f64, f64)> {
    other.or(usual).map(|[lower, upper]| (lower, upper))
}

fn estimate(of: &Estimate) -> report::Estimate {
    report::Estimate { mean: of.mean, interval: ends(of.ci_95, of.ci), method: of.method.clone(), n: of.n }
}

fn delta(of: &MetricBlock) -> Delta {
    Delta {
        n: of.n_items,
        means: of.control_mean.zip(of.treatment_mean),
        mean: of.delta_mean,
        interval: ends(of.ci_95, of.ci),
        method: of.method.clone(),
        signs: (of.treatment_higher, of.equal, of.control_higher),
        test: of.test.as_ref().map(|test| (test.name.clone(), test.p_value)),
        q: of.test.as_ref().filter(|test| test.family.as_deref() == Some(CONFIRMATORY)).and_then(|test| test.q_value),
    }
}

/// Counts, by status, the items that the inputs `redraws/ARM/DATASET/NNNNN` name; one that both arms name counts once.
fn redrawn(inputs: &Inputs<'_>) -> Result<Vec<(String, u64)>, StepError> {
    let mut items = BTreeSet::new();
    for entry in inputs.entries() {
        let Some((_, place)) = entry.name.strip_prefix("redraws/").and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        let text = inputs.text(&entry.name)?;
        for line in read_lines::<RedrawnItem>("redraws", &text) {
            let RedrawnItem { item, status, .. } = line?;
            items.extend(status.into_iter().map(|status| (status, place.to_owned(), item.clone())));
        }
    }
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (status, ..) in items {
        *counts.entry(status).or_default() += 1;
    }
    Ok(counts.into_iter().collect())
}

/// Describes the inputs `prompt/ARM/PART`, control before treatment and each arm's parts by name.
fn prompts(inputs: &Inputs<'_>) -> Result<Vec<PromptFile>, StepError> {
    let mut files = Vec::new();
    for entry in inputs.entries() {
        let Some((arm, part)) = entry.name.strip_prefix("prompt/").and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        let bytes = inputs.read(&entry.name)?;
        files.push(PromptFile {
            arm: arm.to_owned(),
            part: part.to_owned(),
            bytes: bytes.len() as u64,
            words: String::from_utf8_lossy(&bytes).split_whitespace().count() as u64,
            digest: entry.blob.to_string(),
        });
    }
    Ok(files)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::digest::Decimal;
    use crate::plan::{
        Analysis, CostsParams, OptionalAnalyses, Price, PricedModel, StatsParams, TrialDataset, TrialLabel,
    };
    use crate::step::memory::run_in_memory;
    use crate::step::{costs, stats};

    /// Is a name that tries everything.
    pub(in crate::step) const HOSTILE: &str = "x|y`<img src=z>`[a](http://b)\n# c @d www.e.f";

    pub(in crate::step) fn label(name: &str) -> TrialLabel {
        TrialLabel {
            slug: format!("slug-{name}"),
            model: name.to_owned(),
            provider: name.to_owned(),
            prompt_set: name.to_owned(),
            point: "t07".to_owned(),
            decoding: vec![("temperature".to_owned(), "0.7".to_owned())],
            draws: 1,
            note: Some(name.to_owned()),
        }
    }

    /// Makes `significance.json` and `costs.json` of a trial with 30 items, 12 of them better under treatment.
    pub(in crate::step) fn results(dataset: &str, price: bool) -> (String, String) {
        let [significance, costs, _] = results_and_differences(dataset, price);
        (significance, costs)
    }

    /// Makes the same, and `differences`.
    pub(in crate::step) fn results_and_differences(dataset: &str, price: bool) -> [String; 3] {
        let half = Decimal::new(5, -2);
        let arm = |em: f64, status: &str, tokens: u32| {
            let (scored, sums) = if status == "stop" { (1, format!("[{em:?}]")) } else { (0, "[]".to_owned()) };
            format!(
                r#"{{"statuses":["{status}"],"scored":{scored},"sums":{sums},"input_tokens":[100],"output_tokens":[{tokens}]}}"#
            )
        };
        let name = serde_json::to_string(dataset).unwrap();
        let line = |id: u32| {
            let control = arm(if id < 12 { 0.0 } else { 1.0 }, "stop", 10);
            let treatment = arm(1.0, if id == 29 { "content_filter" } else { "stop" }, 10 + id % 2);
            format!("{{\"dataset\":{name},\"item\":\"{id}\",\"control\":{control},\"treatment\":{treatment}}}\n")
        };
        let paired: String = (0..30).map(line).collect();
        let stats_params = StatsParams {
            temperature: Some("0.7".parse().unwrap()),
            datasets: vec![TrialDataset { name: dataset.to_owned(), open: false, metrics: vec!["em".to_owned()] }],
            analysis: Analysis {
                bootstrap_samples: 200,
                permutation_samples: 0,
                random_seed: 1,
                ..Analysis::default()
            },
            exclusions: None,
            optional: OptionalAnalyses::default(),
        };
        let costs_params = CostsParams {
            model: PricedModel {
                provider: "p".to_owned(),
                model: "m".to_owned(),
                price: price.then_some(Price {
                    input: Decimal::ONE,
                    output: Decimal::ONE,
                    cached_input: None,
                    cache_write: None,
                    batch: None,
                    long_prompt: None,
                }),
                price_as_of: Some(HOSTILE.to_owned()),
                batch: false,
            },
            bootstrap_samples: 200,
            random_seed: 1,
            alpha: half,
            effectiveness: None,
            judges: Vec::new(),
        };
        let inputs = [("paired", paired.as_str())];
        let mut stats = run_in_memory(&inputs, |i, o| stats::run(&stats_params, i, o)).unwrap();
        let mut costs = run_in_memory(&inputs, |i, o| costs::run(&costs_params, i, o)).unwrap();
        let [significance, differences] = ["significance.json", "differences"].map(|name| stats.remove(name).unwrap());
        [significance, costs.remove("costs.json").unwrap(), differences]
    }

    fn rendered(name: &str, price: bool) -> String {
        let (significance, costs) = results(name, price);
        let params = ReportParams { trial: label(name), alpha: Decimal::new(5, -2) };
        let inputs = [
            ("significance", significance.as_str()),
            ("costs", costs.as_str()),
            ("prompt/treatment/system", "Think it\tover. <b>\n"),
            ("prompt/control/system", "Be brief."),
        ];
        let mut out = run_in_memory(&inputs, |inputs, outputs| run(&params, inputs, outputs)).unwrap();
        out.remove("report.md").unwrap()
    }

    #[test]
    fn a_report_says_what_changed_and_by_how_much() {
        let report = rendered("quiz", true);
        for part in [
            "# Evaluation Report\n\nTrial `slug-quiz`. When, by whom and how its answers were given: [provenance](provenance.md).\n",
            "- **EM in `quiz`:** higher under treatment: +41.4 pp (95% interval ",
            "over 29 items, from 58.6% to 100.0%. McNemar's exact test: p = 0.0005, q = 0.0005 (Holm over 1 test).",
            "| `control` | `system` | 9 | 2 | `blake3:",
            "## Results @ T=0.7\n\n### `quiz` (closed-book)\n",
            "| Control | 30 | 60.0% [42.3, 75.4] | 10.0 [10.0, 10.0] |",
            "McNemar on EM: 12 items turned right, 0 turned wrong; exact p = 0.0005, mid-p = 0.0002, q = 0.0005.",
            "| Treatment | 29 | 1 | 1 | 1 |",
            "1 of 30 items lack a score under an arm and are in no difference.",
            "| Both | 6,000 | 615 | $0.006615 |",
        ] {
            assert!(report.contains(part), "{part}\n---\n{report}");
        }
        assert!(!report.contains("NaN") && !report.contains("inf "));
        assert!(rendered("quiz", false).contains("the cost is not known; it is not zero"));
    }

    /// Returns what stands outside of code.
    pub(in crate::step) fn outside_code(markdown: &str) -> String {
        let mut outside = String::new();
        for line in markdown.lines() {
            let mut rest = line;
            while let Some(start) = rest.find('`') {
                let fence = rest[start..].len() - rest[start..].trim_start_matches('`').len();
                let after = &rest[start + fence..];
                outside.push_str(&rest[..start]);
                let close = after
                    .match_indices(&"`".repeat(fence))
                    .map(|(at, _)| at)
                    .find(|at| !after[at + fence..].starts_with('`') && !after[..*at].ends_with('`'))
                    .unwrap();
                rest = &after[close + fence..];
            }
            outside.push_str(rest);
            outside.push('\n');
        }
        outside
    }

    #[test]
    fn names_make_no_markup() {
        let report = rendered(HOSTILE, true);
        let outside = outside_code(&report).replace("\\<", "").replace("\\[", "").replace("\\]", "");
        for mark in ["<img", "](http", "http://", "\n# c", "www.", "@d"] {
            assert!(!outside.contains(mark), "{mark}\n---\n{outside}");
        }
        // Each row of a table has as many cells as the row before it.
        let bars: Vec<usize> = report.lines().map(|line| line.matches('|').count()).collect();
        assert!(bars.iter().any(|bars| *bars > 5));
        assert!(bars.windows(2).all(|pair| pair[0] == pair[1] || pair.contains(&0)), "{bars:?}");
    }
}
