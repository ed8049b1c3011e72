use super::{Inputs, StepError};

/// Holds the texts of a dataset's parts, by part.
pub(super) struct Parts {
    pub(super) names: Vec<String>,
    texts: Vec<String>,
}

impl Parts {
    /// Reads every input `KIND/DATASET/PART`.
    pub(super) fn read(inputs: &Inputs<'_>, kind: &str, dataset: &str) -> Result<Self, StepError> {
        let names = part_names(inputs, kind, dataset);
        let texts = names.iter().map(|name| inputs.text(name)).collect::<Result<_, _>>()?;
        Ok(Self { names, texts })
    }

    /// Walks over the names and texts of the inputs.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().map(String::as_str).zip(self.texts.iter().map(String::as_str))
    }
}

/// Lists the names of the inputs `KIND/DATASET/PART`.
pub(super) fn part_names(inputs: &Inputs<'_>, kind: &str, dataset: &str) -> Vec<String> {
    let prefix = format!("{kind}/{dataset}/");
    let is_part = |name: &&str| name.strip_prefix(&prefix).is_some_and(|part| !part.contains('/'));
    inputs.entries().iter().map(|entry| entry.name.as_str()).filter(is_part).map(str::to_owned).collect()
}
