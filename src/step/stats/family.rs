use crate::plan::{Analysis, Multiplicity, TrialDataset};
use crate::stats::{benjamini_hochberg, holm};
use crate::step::significance::{Block, Family, FamilyTest};

/// Corrects the tests of the trial's primary metrics together, and writes each q-value beside its p-value.
///
/// `with` hands out the block of a dataset, by place. A primary metric that its dataset does not have in this trial, or
/// that has no pair, is listed without a test and is not counted.
pub(super) fn correct(
    analysis: &Analysis,
    datasets: &[&TrialDataset],
    mut with: impl FnMut(usize, &mut dyn FnMut(&mut Block)),
) -> Family {
    let mut tests = Vec::new();
    let mut places = Vec::new();
    for (at, dataset) in datasets.iter().enumerate() {
        for metric in primary(analysis, dataset) {
            with(at, &mut |block| {
                let test = block.metrics.get(metric).and_then(|block| block.test.as_ref());
                tests.push(FamilyTest {
                    dataset: dataset.name.clone(),
                    metric: metric.to_owned(),
                    test: test.map(|test| test.name.clone()),
                    p_value: test.map(|test| test.p_value),
                    q_value: None,
                });
            });
            places.push(at);
        }
    }
    let p_values: Vec<_> = tests.iter().map(|test| test.p_value).collect();
    for ((test, at), q_value) in tests.iter_mut().zip(places).zip(corrected(analysis.multiplicity, &p_values)) {
        test.q_value = q_value;
        with(at, &mut |block| {
            let is_mcnemar = test.test.as_deref() == Some("mcnemar-exact");
            if let Some(own) = block.metrics.get_mut(&test.metric).and_then(|block| block.test.as_mut()) {
                own.q_value = q_value;
            }
            if let Some(mcnemar) = block.mcnemar.as_mut().filter(|mcnemar| is_mcnemar && mcnemar.metric == test.metric)
            {
                mcnemar.q_value = q_value;
            }
        });
    }
    Family { scope: "trial".to_owned(), correction: analysis.multiplicity, tests }
}

/// Corrects p-values that belong together; without a correction there are none.
pub(in crate::step) fn corrected(multiplicity: Multiplicity, p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    match multiplicity {
        Multiplicity::Holm => holm(p_values),
        Multiplicity::BenjaminiHochberg => benjamini_hochberg(p_values),
        Multiplicity::None => vec![None; p_values.len()],
    }
}

/// Lists the primary metrics of a dataset: those that the analysis names, or the first where it names none at all.
fn primary<'a>(analysis: &'a Analysis, dataset: &'a TrialDataset) -> Vec<&'a str> {
    if analysis.primary.is_empty() {
        return dataset.metrics.first().map(String::as_str).into_iter().collect();
    }
    let of_dataset = |name: &'a String| name.strip_prefix(dataset.name.as_str())?.strip_prefix('.');
    analysis.primary.iter().filter_map(of_dataset).collect()
}
