/// Is one thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What: a path below the run's directory, a blob, an action, an entry of an archive.
    pub subject: String,
    /// How it should be.
    pub expected: String,
    /// How it is.
    pub actual: String,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    /// Writes a finding.
    pub(super) fn new(
        subject: impl Into<String>,
        expected: impl Into<String>,
        actual: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { subject: subject.into(), expected: expected.into(), actual: actual.into(), remedy: remedy.into() }
    }
}
