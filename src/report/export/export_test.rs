/// Is one comparison of a trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportTest {
    /// The dataset.
    pub dataset: String,
    /// The metric.
    pub metric: String,
    /// How many items.
    pub n: u64,
    /// The control's mean.
    pub control: Option<f64>,
    /// The treatment's mean.
    pub treatment: Option<f64>,
    /// The mean difference.
    pub delta: Option<f64>,
    /// Its 95 % interval.
    pub ci_95: Option<[f64; 2]>,
    /// The p-value.
    pub p: Option<f64>,
    /// The p-value corrected within the trial's family.
    pub q: Option<f64>,
    /// Whether it is one of the confirmatory tests.
    pub is_confirmatory: bool,
}
