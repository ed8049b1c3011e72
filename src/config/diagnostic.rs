use camino::Utf8PathBuf;

use super::Span;

/// Says how much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The config cannot be used.
    Error,
    /// The config can be used, and probably does not say what was meant.
    Warning,
    /// Something worth knowing, such as a legacy default that applies.
    Note,
}

/// Is one finding about a config file, at one place, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, in one line without a final stop.
    pub message: String,
    /// The file, as it is shown to the user.
    pub file: Utf8PathBuf,
    /// The place in the file.
    pub at: Span,
    /// What stands at the arrow.
    pub label: String,
    /// What to do.
    pub remedy: Option<String>,
    /// Other places that belong to it, each with a label.
    pub related: Vec<(Span, String)>,
}

impl Diagnostic {
    /// Makes a finding; the loader fills in the file.
    fn new(severity: Severity, at: Span, message: String) -> Self {
        let (file, label) = (Utf8PathBuf::new(), String::new());
        Self { severity, message, file, at, label, remedy: None, related: Vec::new() }
    }

    /// Makes an error.
    pub fn error(at: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, at, message.into())
    }

    /// Makes a warning.
    pub fn warning(at: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, at, message.into())
    }

    /// Makes a note.
    pub fn note(at: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, at, message.into())
    }

    /// Says what stands at the arrow.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds another place that belongs to it.
    #[must_use]
    pub fn related(mut self, at: Span, label: impl Into<String>) -> Self {
        self.related.push((at, label.into()));
        self
    }

    /// Says whether the config cannot be used because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
