use std::collections::BTreeMap;

use crate::report::{ArmOrigin, MetricRow, Section, SectionKind, TrialReport};

/// Is one trial as the run's page shows it.
#[derive(Clone, Debug)]
pub struct PageTrial {
    /// The model's name.
    pub model: String,
    /// The prompt set's name.
    pub prompt_set: String,
    /// The point on the decoding axis.
    pub point: String,
    /// All that the trial's report says.
    pub report: TrialReport,
    /// Risk against coverage, for each set of items with abstentions.
    pub curves: Vec<RiskCurve>,
    /// Effects pooled over labels or datasets.
    pub pooled: Vec<PooledEffects>,
    /// Draws by tokens written.
    pub tokens: TokenCounts,
    /// When, by whom and how the answers were given.
    pub origins: Vec<ArmOrigin>,
    /// That nothing states which revision of the model answers, in one sentence, where that is so.
    pub unpinned: Option<String>,
}

/// Is risk against coverage on one set of items.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskCurve {
    /// The dataset.
    pub dataset: String,
    /// Coverage and risk of control and treatment, by threshold.
    pub arms: [Vec<(f64, f64)>; 2],
}

/// Is a set of items with its mean difference and the 95 % interval.
pub type StudyEffect = (String, f64, Option<(f64, f64)>);

/// Is one metric's effects on several sets of items, and pooled.
#[derive(Clone, Debug, PartialEq)]
pub struct PooledEffects {
    /// The metric.
    pub metric: String,
    /// Of what they are sets, in words.
    pub sets: String,
    /// Each set's effect.
    pub studies: Vec<StudyEffect>,
    /// The pooled effects with their 95 % intervals, by model.
    pub pooled: Vec<(String, f64, (f64, f64))>,
    /// Cochran's Q, its degrees of freedom and its p-value.
    pub q: (f64, u64, f64),
    /// The share of variation that is not sampling.
    pub i2: f64,
    /// The variance between sets.
    pub tau2: Option<f64>,
}

/// Counts draws by the tokens they wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// Of control and treatment.
    pub arms: [BTreeMap<u64, u64>; 2],
}

impl PageTrial {
    /// Lists the sections that are one dataset, with the dataset's name.
    pub(super) fn datasets(&self) -> impl Iterator<Item = (&str, &Section)> {
        self.report.sections.iter().filter_map(|section| match &section.kind {
            SectionKind::Dataset(name) => Some((name.as_str(), section)),
            SectionKind::Pooled => None,
        })
    }

    /// Finds a metric of a dataset.
    pub(super) fn metric(&self, dataset: &str, metric: &str) -> Option<&MetricRow> {
        self.datasets().find(|(name, _)| *name == dataset)?.1.metrics.iter().find(|row| row.name == metric)
    }

    /// Says whether a metric of a dataset is a primary one.
    pub(super) fn is_primary(&self, dataset: &str, metric: &str) -> bool {
        self.report.verdicts.iter().any(|verdict| verdict.dataset == dataset && verdict.metric.name == metric)
    }
}
