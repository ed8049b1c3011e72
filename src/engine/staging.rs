use std::io::Write;

use super::NodeFailure;
use crate::step::{Outputs, StepError};
use crate::store::{Session, StagedBlob, StoreError};

/// Stages a step's outputs as they come.
pub(super) struct Staging<'a> {
    pub(super) session: &'a Session,
    pub(super) outputs: Vec<(String, StagedBlob)>,
}

impl Staging<'_> {
    /// Stages an output whose bytes come bit by bit.
    pub(super) fn put_from(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> Result<(), NodeFailure>,
    ) -> Result<(), NodeFailure> {
        let failed = |source: StoreError| StepError::Write { output: name.to_owned(), source: source.into() };
        let mut writer = self.session.stage_writer().map_err(failed)?;
        write(&mut writer)?;
        self.outputs.push((name.to_owned(), writer.finish().map_err(failed)?));
        Ok(())
    }
}

impl Outputs for Staging<'_> {
    fn put(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), StepError> {
        let staged = self
            .session
            .stage(&bytes)
            .map_err(|source| StepError::Write { output: name.to_owned(), source: source.into() })?;
        self.outputs.push((name.to_owned(), staged));
        Ok(())
    }
}
