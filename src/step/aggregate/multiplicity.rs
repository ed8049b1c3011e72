use serde::Serialize;

use super::shared_control::{SharedControl, shared_controls};
use super::trial::Trial;
use crate::plan::{AggregateParams, AnalysisPlan, Multiplicity};
use crate::stats::{Adjustment, adjust};
use crate::step::significance::Deviation;

/// Is all of `multiplicity.json`: the tests of a run corrected together.
#[derive(Serialize)]
pub(super) struct Multiplicities {
    schema_version: u32,
    alpha: f64,
    /// The confirmatory tests: a list that was stated beforehand.
    family: RunFamily,
    /// All others, corrected apart.
    exploratory: RunFamily,
    /// Treatments against the control that they share, over the confirmatory trials.
    shared_control: Vec<SharedControl>,
    /// What is not as the sealed plan says; absent where none is sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Vec<Deviation>>,
}

/// Is a family over all trials of a run.
#[derive(Serialize)]
struct RunFamily {
    scope: &'static str,
    kind: &'static str,
    /// What makes a test one of the family, in words.
    stated_by: &'static str,
    n_tests: usize,
    tests: Vec<TrialTest>,
}

/// Is one test with its corrected p-values.
#[derive(Serialize)]
pub(super) struct TrialTest {
    trial: String,
    dataset: String,
    metric: String,
    test: Option<String>,
    p_value: Option<f64>,
    holm: Option<f64>,
    benjamini_hochberg: Option<f64>,
    benjamini_yekutieli: Option<f64>,
    bonferroni: Option<f64>,
    sidak: Option<f64>,
    hochberg: Option<f64>,
    hommel: Option<f64>,
    /// The step-down p-value of the comparison with a shared control; null without one.
    shared_control: Option<f64>,
    #[serde(skip)]
    pub(super) is_exploratory: bool,
}

impl TrialTest {
    /// Returns the p-value that a correction gives; none without one.
    pub(super) fn of(&self, method: Multiplicity) -> Option<f64> {
        match method {
            Multiplicity::Holm => self.holm,
            Multiplicity::Bonferroni => self.bonferroni,
            Multiplicity::Sidak => self.sidak,
            Multiplicity::Hochberg => self.hochberg,
            Multiplicity::Hommel => self.hommel,
            Multiplicity::BenjaminiHochberg => self.benjamini_hochberg,
            Multiplicity::BenjaminiYekutieli => self.benjamini_yekutieli,
            Multiplicity::None => None,
        }
    }

    /// Returns the p-value of the comparison with a shared control.
    pub(super) fn shared_control(&self) -> Option<f64> {
        self.shared_control
    }
}

impl Multiplicities {
    /// Corrects the tests of all trials.
    pub(super) fn of(params: &AggregateParams, plan: Option<&AnalysisPlan>, trials: &[Trial<'_>]) -> Self {
        let is_confirmatory = |trial: &Trial<'_>| plan.is_none_or(|plan| plan.trials.contains(&trial.label.slug));
        let shared_control = shared_controls(params, trials, is_confirmatory);
        let mut lists = [Vec::new(), Vec::new()];
        for trial in trials {
            let (family, others) = (&trial.significance.family.tests, &trial.significance.exploratory.tests);
            let late = usize::from(!is_confirmatory(trial));
            for (test, kind) in family.iter().map(|test| (test, late)).chain(others.iter().map(|test| (test, 1))) {
                let in_group = |group: &&SharedControl| group.dataset == test.dataset && group.metric == test.metric;
                let compared = shared_control.iter().filter(in_group).flat_map(|group| &group.comparisons);
                let compared = compared.filter(|_| kind == 0).find(|found| found.trial == trial.label.slug);
                lists[kind].push(TrialTest {
                    trial: trial.label.slug.clone(),
                    dataset: test.dataset.clone(),
                    metric: test.metric.clone(),
                    test: test.test.clone(),
                    p_value: test.p_value,
                    holm: None,
                    benjamini_hochberg: None,
                    benjamini_yekutieli: None,
                    bonferroni: None,
                    sidak: None,
                    hochberg: None,
                    hommel: None,
                    shared_control: compared.and_then(|found| found.p_step_down),
                    is_exploratory: kind == 1,
                });
            }
        }
        let [stated, others] = lists.map(corrected);
        let stated_by = if plan.is_some() {
            "the primary metrics and trials of analysis_plan.lock"
        } else {
            "the primary metrics of the config (the first of each dataset where it names none), in every trial"
        };
        let family = |kind, stated_by, tests: Vec<TrialTest>| RunFamily {
            scope: "run",
            kind,
            stated_by,
            n_tests: tests.iter().filter(|test| test.p_value.is_some()).count(),
            tests,
        };
        Self {
            schema_version: 2,
            alpha: params.alpha.to_f64(),
            family: family("confirmatory", stated_by, stated),
            exploratory: family("exploratory", "every other metric, dataset and trial", others),
            shared_control,
            plan: plan.map(|plan| deviations(plan, trials)),
        }
    }

    /// Finds a test.
    pub(super) fn find(&self, trial: &str, dataset: &str, metric: &str) -> Option<&TrialTest> {
        let is_it = |test: &&TrialTest| test.trial == trial && test.dataset == dataset && test.metric == metric;
        self.family.tests.iter().chain(&self.exploratory.tests).find(is_it)
    }

    /// Counts the confirmatory tests that could be made.
    pub(super) fn confirmatory_count(&self) -> usize {
        self.family.n_tests
    }

    /// Says what the confirmatory family spans, in words.
    pub(super) fn scope(&self) -> String {
        if self.plan.is_some() { "the sealed plan's trials" } else { "all trials of this run" }.to_owned()
    }

    /// Lists what is not as the sealed plan says, as what, sealed, now; none where no plan is sealed.
    pub(super) fn deviations(&self) -> Option<Vec<[String; 3]>> {
        let row = |found: &Deviation| [found.what.clone(), found.sealed.clone(), found.now.clone()];
        self.plan.as_ref().map(|found| found.iter().map(row).collect())
    }
}

fn corrected(mut tests: Vec<TrialTest>) -> Vec<TrialTest> {
    let p_values: Vec<_> = tests.iter().map(|test| test.p_value).collect();
    let of = |method| adjust(&p_values, method).into_iter();
    let mut holm = of(Adjustment::Holm);
    let mut benjamini_hochberg = of(Adjustment::BenjaminiHochberg);
    let mut benjamini_yekutieli = of(Adjustment::BenjaminiYekutieli);
    let mut bonferroni = of(Adjustment::Bonferroni);
    let mut sidak = of(Adjustment::Sidak);
    let mut hochberg = of(Adjustment::Hochberg);
    let mut hommel = of(Adjustment::Hommel);
    for test in &mut tests {
        test.holm = holm.next().flatten();
        test.benjamini_hochberg = benjamini_hochberg.next().flatten();
        test.benjamini_yekutieli = benjamini_yekutieli.next().flatten();
        test.bonferroni = bonferroni.next().flatten();
        test.sidak = sidak.next().flatten();
        test.hochberg = hochberg.next().flatten();
        test.hommel = hommel.next().flatten();
    }
    tests
}

/// Collects the deviations of all trials, and of which trials there are.
fn deviations(plan: &AnalysisPlan, trials: &[Trial<'_>]) -> Vec<Deviation> {
    let mut all: Vec<Deviation> = Vec::new();
    for found in trials.iter().filter_map(|trial| trial.significance.plan.as_ref()).flat_map(|plan| &plan.deviations) {
        if !all.contains(found) {
            all.push(found.clone());
        }
    }
    let is_there = |slug: &String| trials.iter().any(|trial| trial.label.slug == *slug);
    for slug in plan.trials.iter().filter(|slug| !is_there(slug)) {
        all.push(Deviation { what: "trial".to_owned(), sealed: slug.clone(), now: "not in this run".to_owned() });
    }
    for trial in trials.iter().filter(|trial| !plan.trials.contains(&trial.label.slug)) {
        let now = format!("{} (exploratory)", trial.label.slug);
        all.push(Deviation { what: "trial".to_owned(), sealed: "not there".to_owned(), now });
    }
    all
}
