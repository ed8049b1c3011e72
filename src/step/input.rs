use std::io::Read;

use super::StepError;
use crate::digest::BlobId;

/// Reads blobs for a step: the bytes are hashed on the way, so that what a step sees is what was named.
pub trait ReadBlobs: Sync {
    /// Opens a blob for streaming.
    fn open(&self, blob: &BlobId) -> Result<Box<dyn Read + '_>, Box<dyn std::error::Error + Send + Sync>>;
}

/// Is one named input of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The name in the action's specification.
    pub name: String,
    /// The content.
    pub blob: BlobId,
    /// What people call it: the path of a source file as written, or the step that made it. Never part of an output.
    pub label: String,
}

/// Holds a step's inputs, sorted by name.
pub struct Inputs<'a> {
    entries: Vec<Input>,
    blobs: &'a dyn ReadBlobs,
}

impl<'a> Inputs<'a> {
    /// Takes the inputs and where to read them.
    pub fn new(mut entries: Vec<Input>, blobs: &'a dyn ReadBlobs) -> Self {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Self { entries, blobs }
    }

    /// Lists the inputs, sorted by name.
    pub fn entries(&self) -> &[Input] {
        &self.entries
    }

    /// Finds an input by name.
    pub fn find(&self, name: &str) -> Option<&Input> {
        self.entries.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok().map(|at| &self.entries[at])
    }

    /// Finds an input that the step cannot do without.
    pub fn need(&self, name: &str) -> Result<&Input, StepError> {
        self.find(name).ok_or_else(|| StepError::NoInput { name: name.to_owned() })
    }

    /// Opens an input for streaming.
    pub fn open(&self, name: &str) -> Result<Box<dyn Read + '_>, StepError> {
        let input = self.need(name)?;
        self.blobs.open(&input.blob).map_err(|source| StepError::Read { input: input.label.clone(), source })
    }

    /// Reads an input whole.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, StepError> {
        let mut bytes = Vec::new();
        let label = || self.find(name).map_or_else(String::new, |input| input.label.clone());
        self.open(name)?
            .read_to_end(&mut bytes)
            .map_err(|source| StepError::Read { input: label(), source: source.into() })?;
        Ok(bytes)
    }

    /// Reads an input whole as UTF-8 text.
    pub fn text(&self, name: &str) -> Result<String, StepError> {
        String::from_utf8(self.read(name)?)
            .map_err(|source| StepError::Read { input: name.to_owned(), source: source.into() })
    }
}
