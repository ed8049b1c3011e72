/// Says how a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing: a build works, and may not do what is expected.
    Warn,
    /// A build would be stopped by it.
    Fail,
}

/// Is one thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// What it is about: `config`, `provider mine`, `store`.
    pub subject: String,
    /// How it came out.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Check {
    /// Makes a check that came out well.
    pub fn ok(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self { subject: subject.into(), level: Level::Ok, found: found.into(), remedy: None }
    }

    /// Makes a check that found something worth knowing.
    pub fn warn(subject: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { subject: subject.into(), level: Level::Warn, found: found.into(), remedy }
    }

    /// Makes a check that found what would stop a build.
    pub fn fail(subject: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Fail, ..Self::warn(subject, found, remedy) }
    }

    /// Writes the check in one line, and the remedy in a second.
    pub fn render(&self, width: usize) -> String {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        };
        let remedy = self.remedy.as_ref().map_or_else(String::new, |remedy| format!("\n      remedy: {remedy}"));
        format!("{level:<5} {:<width$}  {}{remedy}", self.subject, self.found)
    }
}
