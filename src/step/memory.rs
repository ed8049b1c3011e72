//! Runs a step in memory, for tests.

use std::collections::BTreeMap;
use std::io::Read;

use super::{Input, Inputs, Outputs, ReadBlobs, StepError};
use crate::digest::BlobId;

/// Holds blobs by id.
#[derive(Default)]
struct Memory(BTreeMap<BlobId, Vec<u8>>);

impl ReadBlobs for Memory {
    fn open(&self, blob: &BlobId) -> Result<Box<dyn Read + '_>, Box<dyn std::error::Error + Send + Sync>> {
        let bytes = self.0.get(blob).ok_or("no such blob")?;
        Ok(Box::new(bytes.as_slice()))
    }
}

/// Runs a step on named texts and returns its outputs as texts.
pub(crate) fn run_in_memory<N: AsRef<str>, T: AsRef<str>>(
    texts: &[(N, T)],
    step: impl FnOnce(&Inputs<'_>, &mut dyn Outputs) -> Result<(), StepError>,
) -> Result<BTreeMap<String, String>, StepError> {
    let mut memory = Memory::default();
    let mut entries = Vec::new();
    for (name, text) in texts {
        let bytes = text.as_ref().as_bytes().to_vec();
        let blob = BlobId::of(&bytes);
        memory.0.insert(blob, bytes);
        entries.push(Input { name: name.as_ref().to_owned(), blob, label: name.as_ref().to_owned() });
    }
    let mut outputs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    step(&Inputs::new(entries, &memory), &mut outputs)?;
    Ok(outputs.into_iter().map(|(name, bytes)| (name, String::from_utf8_lossy(&bytes).into_owned())).collect())
}
