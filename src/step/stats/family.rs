use crate::plan::{Analysis, AnalysisPlan, Multiplicity, TrialDataset};
use crate::stats::{Adjustment, adjust};
use crate::step::significance::{Block, Family, FamilyTest};

/// Is the word for a test of the family that was stated beforehand.
pub(in crate::step) const CONFIRMATORY: &str = "confirmatory";

/// Is the word for every other test.
pub(in crate::step) const EXPLORATORY: &str = "exploratory";

/// Corrects the tests of the trial's primary metrics together, and all its other tests apart; writes each q-value beside
/// its p-value.
///
/// `with` hands out the block of a dataset, by place. A primary metric that its dataset does not have in this trial, or
/// that has no pair, is listed without a test and is not counted. Whatever is not in the stated list cannot change a
/// confirmatory value.
pub(super) fn correct(
    analysis: &Analysis,
    plan: Option<&AnalysisPlan>,
    datasets: &[TrialDataset],
    mut with: impl FnMut(usize, &mut dyn FnMut(&mut Block)),
) -> (Family, Family) {
    let mut lists = [Vec::new(), Vec::new()];
    for (at, dataset) in datasets.iter().enumerate() {
        let stated = confirmatory(analysis, plan, dataset);
        for metric in &stated {
            lists[0].push((at, metric.clone()));
        }
        with(at, &mut |block| {
            let others = block.metrics.iter().filter(|(name, _)| !stated.iter().any(|metric| metric == name));
            lists[1].extend(others.map(|(name, _)| (at, name.to_owned())));
        });
    }
    let [stated, others] = lists;
    let mut family = |list: Vec<(usize, String)>, kind: &str, correction: Multiplicity| {
        let mut tests = Vec::new();
        for (at, metric) in &list {
            with(*at, &mut |block| {
                let test = block.metrics.get(metric).and_then(|block| block.test.as_ref());
                tests.push(FamilyTest {
                    dataset: datasets[*at].name.clone(),
                    metric: metric.clone(),
                    test: test.map(|test| test.name.clone()),
                    p_value: test.map(|test| test.p_value),
                    q_value: None,
                });
            });
        }
        let p_values: Vec<_> = tests.iter().map(|test| test.p_value).collect();
        for ((test, (at, _)), q_value) in tests.iter_mut().zip(&list).zip(corrected(correction, &p_values)) {
            test.q_value = q_value;
            with(*at, &mut |block| {
                let is_mcnemar = kind == CONFIRMATORY && test.test.as_deref() == Some("mcnemar-exact");
                if let Some(own) = block.metrics.get_mut(&test.metric).and_then(|block| block.test.as_mut()) {
                    own.q_value = q_value;
                    own.family = Some(kind.to_owned());
                }
                if let Some(mcnemar) =
                    block.mcnemar.as_mut().filter(|mcnemar| is_mcnemar && mcnemar.metric == test.metric)
                {
                    mcnemar.q_value = q_value;
                }
            });
        }
        Family { scope: "trial".to_owned(), kind: kind.to_owned(), correction, tests }
    };
    let confirmatory = family(stated, CONFIRMATORY, analysis.multiplicity);
    // What is looked at without having been announced is held to a false discovery rate, whatever the family is held to.
    let exploratory = match analysis.multiplicity {
        Multiplicity::None => Multiplicity::None,
        _ => Multiplicity::BenjaminiHochberg,
    };
    (confirmatory, family(others, EXPLORATORY, exploratory))
}

/// Corrects p-values that belong together; without a correction there are none.
pub(in crate::step) fn corrected(multiplicity: Multiplicity, p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    let method = match multiplicity {
        Multiplicity::Holm => Adjustment::Holm,
        Multiplicity::Bonferroni => Adjustment::Bonferroni,
        Multiplicity::Sidak => Adjustment::Sidak,
        Multiplicity::Hochberg => Adjustment::Hochberg,
        Multiplicity::Hommel => Adjustment::Hommel,
        Multiplicity::BenjaminiHochberg => Adjustment::BenjaminiHochberg,
        Multiplicity::BenjaminiYekutieli => Adjustment::BenjaminiYekutieli,
        Multiplicity::None => return vec![None; p_values.len()],
    };
    adjust(p_values, method)
}

/// Lists the primary metrics of a dataset: those that the sealed plan names, else those that the analysis names, else
/// the first.
pub(super) fn confirmatory(analysis: &Analysis, plan: Option<&AnalysisPlan>, dataset: &TrialDataset) -> Vec<String> {
    let stated = plan.map_or(&analysis.primary, |plan| &plan.primary);
    if plan.is_none() && stated.is_empty() {
        return dataset.metrics.first().cloned().into_iter().collect();
    }
    let of_dataset = |name: &String| Some(name.strip_prefix(dataset.name.as_str())?.strip_prefix('.')?.to_owned());
    stated.iter().filter_map(of_dataset).collect()
}
